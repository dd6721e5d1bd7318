//! Accounts and connection requests over real sockets.

use crate::client::{BOTH, Client, TestServer, Version, read_request};
use crate::person::{Person, asking, handle, sealed};
use sordino_server::{
    DomainChoice, InvitationError, KeyPlace, Registration, Server, ServerConfig, TestClock,
    invitations,
};
use sordino_wire::{
    AccountReject, AccountRequestBody, AccountResponseBody, Admission, AdmissionTerms, Bytes,
    Domain, ReadConnectionRequests, Reject, ResponseBody, SettleConnectionRequests, encode, media,
};
use std::path::Path;
use std::sync::Arc;

const DONE: AccountResponseBody = AccountResponseBody::Done;
const NOW_S: u64 = 20_000 * 86_400 + 17;

/// A configuration whose domain does not change with the port.
fn config(folder: &Path, registration: Registration) -> ServerConfig {
    let mut config = ServerConfig::local(folder);
    config.domain = DomainChoice::Named(Domain::new("hub.example.org").unwrap());
    config.registration = registration;
    config.clock = Arc::new(TestClock::new(NOW_S));
    config
}

fn rejected(reject: AccountReject) -> AccountResponseBody {
    AccountResponseBody::Rejected(reject)
}

async fn look_up(client: &mut Client, name: &str) -> AccountResponseBody {
    let body = AccountRequestBody::LookUp(handle(name));
    client.ask_account(media::CONNECTION_REQUEST, body).await
}

async fn requests(client: &mut Client, person: &Person, from: u64, wait_s: u16) -> (Vec<u8>, u64) {
    let read = ReadConnectionRequests { from, wait_s };
    let body = AccountRequestBody::ReadConnectionRequests(read);
    match person.send(client, body).await {
        AccountResponseBody::ConnectionRequests(page) => {
            let numbers = page.entries.iter().map(|e| e.entry.as_slice()[1]);
            (numbers.collect(), page.next)
        }
        other => panic!("unexpected: {other:?}"),
    }
}

#[tokio::test]
async fn somebody_registers_by_work_and_is_found_and_asked() {
    let server = TestServer::start().await;
    let now_s = server.now_s();
    for version in BOTH {
        let name = format!("alice-{version:?}").to_lowercase();
        let mut client = Client::connect(server.address(), version).await;
        let alice = Person::new(server.running.domain(), &name, 1, now_s);
        let admission = alice.work(&mut client).await;
        let register = alice.register(admission);
        assert_eq!(alice.send(&mut client, register).await, DONE);
        let found = look_up(&mut client, &name).await;
        assert_eq!(found, AccountResponseBody::Entry(alice.entry()));

        let tablet = alice.with_device(2);
        let put = tablet.put();
        assert_eq!(tablet.send(&mut client, put).await, DONE);
        let (waiting, _) = requests(&mut client, &tablet, 0, 0).await;
        assert!(waiting.is_empty());
        let asked = client.ask_account(media::CONNECTION_REQUEST, asking(&name, 7));
        assert_eq!(asked.await, DONE);
        let (waiting, next) = requests(&mut client, &tablet, 0, 0).await;
        assert_eq!(waiting, [7]);
        let settle = SettleConnectionRequests {
            hashes: sordino_wire::List::new(vec![sealed(7).1]).unwrap(),
        };
        let settle = AccountRequestBody::SettleConnectionRequests(settle);
        assert_eq!(tablet.send(&mut client, settle).await, DONE);
        assert_eq!(requests(&mut client, &alice, 0, 0).await, (vec![], next));
    }
}

#[tokio::test]
async fn a_handle_is_registered_once_and_a_repeated_request_is_answered_alike() {
    let server = TestServer::start().await;
    let mut client = Client::connect(server.address(), Version::One).await;
    let alice = Person::new(server.running.domain(), "alice", 1, server.now_s());
    let admission = alice.work(&mut client).await;
    let bytes = alice.bytes(alice.register(admission));
    for _ in 0..2 {
        assert_eq!(
            client.ask_account_bytes(media::ACCOUNTS, &bytes).await,
            DONE
        );
    }
    let thief = Person::new(server.running.domain(), "alice", 9, server.now_s());
    let admission = thief.work(&mut client).await;
    let refused = thief.send(&mut client, thief.register(admission)).await;
    assert_eq!(refused, rejected(AccountReject::HandleTaken));
    let found = look_up(&mut client, "alice").await;
    assert_eq!(found, AccountResponseBody::Entry(alice.entry()));
}

#[tokio::test]
async fn codes_of_the_command_register_once_each_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = || config(folder.path(), Registration::Invitation);
    let none = invitations(&config(), 1, 30);
    assert!(matches!(none, Err(InvitationError::NoOperatorKey { .. })));
    let running = Server::start(config()).await.unwrap();
    // Beside the running server.
    let codes = invitations(&config(), 2, 30).unwrap();
    let admission = |code: &String| Admission::Invitation(Bytes::new(code.as_str()).unwrap());
    let mut client = Client::connect(running.local_addr(), Version::One).await;
    let terms = client.ask_account(media::ACCOUNTS, AccountRequestBody::AdmissionTerms);
    let expected = AccountResponseBody::AdmissionTerms(AdmissionTerms::Invitation);
    assert_eq!(terms.await, expected);
    let person = |name, seed| Person::new(running.domain(), name, seed, NOW_S);
    let (alice, bob) = (person("alice", 1), person("bob", 2));
    let register = alice.register(admission(&codes[0]));
    assert_eq!(alice.send(&mut client, register).await, DONE);
    let spent = rejected(AccountReject::InvitationInvalid);
    let again = bob.register(admission(&codes[0]));
    assert_eq!(bob.send(&mut client, again).await, spent);
    let forged = bob.register(admission(&codes[0].replace('a', "b").replace('c', "d")));
    assert_eq!(bob.send(&mut client, forged).await, spent);
    running.shutdown().await;
    let running = Server::start(config()).await.unwrap();
    let mut client = Client::connect(running.local_addr(), Version::One).await;
    let again = bob.register(admission(&codes[0]));
    assert_eq!(bob.send(&mut client, again).await, spent);
    let register = bob.register(admission(&codes[1]));
    assert_eq!(bob.send(&mut client, register).await, DONE);
    running.shutdown().await;
}

#[test]
fn codes_are_bounded_and_made_where_they_serve() {
    let folder = tempfile::tempdir().unwrap();
    let mut by_work = config(
        folder.path(),
        Registration::ProofOfWork { difficulty_bits: 1 },
    );
    let refused = invitations(&by_work, 1, 1);
    assert!(matches!(refused, Err(InvitationError::NotByInvitation)));
    by_work.registration = Registration::Invitation;
    for (count, days) in [(0, 1), (1, 0), (10_001, 1), (1, 366)] {
        let refused = invitations(&by_work, count, days);
        assert!(matches!(refused, Err(InvitationError::Range { .. })));
    }
    let path = folder.path().join("a.key");
    std::fs::write(&path, "11".repeat(32)).unwrap();
    by_work.operator_key = KeyPlace::File(path.clone());
    // Readable by others, then not.
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&path, mode(0o644)).unwrap();
    let exposed = invitations(&by_work, 1, 1);
    assert!(matches!(exposed, Err(InvitationError::Key(_))));
    std::fs::set_permissions(&path, mode(0o600)).unwrap();
    let codes = invitations(&by_work, 3, 1).unwrap();
    assert!(codes[0] != codes[1] && codes[1] != codes[2]);
}

#[tokio::test]
async fn a_closed_provider_registers_nobody() {
    let server = TestServer::start_with(|config| config.registration = Registration::Closed).await;
    let mut client = Client::connect(server.address(), Version::One).await;
    let terms = client.ask_account(media::ACCOUNTS, AccountRequestBody::AdmissionTerms);
    let expected = AccountResponseBody::AdmissionTerms(AdmissionTerms::Closed);
    assert_eq!(terms.await, expected);
    let alice = Person::new(server.running.domain(), "alice", 1, server.now_s());
    let admission = Admission::Invitation(Bytes::new(*b"please").unwrap());
    let refused = alice.send(&mut client, alice.register(admission)).await;
    assert_eq!(refused, rejected(AccountReject::OtherAdmission));
}

#[tokio::test]
async fn a_revoked_device_is_refused() {
    let server = TestServer::start().await;
    let mut client = Client::connect(server.address(), Version::One).await;
    let alice = Person::new(server.running.domain(), "alice", 1, server.now_s());
    let admission = alice.work(&mut client).await;
    assert_eq!(
        alice.send(&mut client, alice.register(admission)).await,
        DONE
    );
    let lost = alice.with_device(2);
    assert_eq!(lost.send(&mut client, lost.put()).await, DONE);
    let (replace, renewed) = alice.replace_account_key(3);
    assert_eq!(alice.send(&mut client, replace).await, DONE);
    let refused = rejected(AccountReject::BadAuthentication);
    for body in [AccountRequestBody::ReadAccount, lost.put()] {
        assert_eq!(lost.send(&mut client, body).await, refused);
    }
    let view = renewed
        .send(&mut client, AccountRequestBody::ReadAccount)
        .await;
    let AccountResponseBody::Account(view) = view else {
        panic!("not an account");
    };
    assert_eq!(view.entry, renewed.entry());
    assert_eq!(view.clients.len(), 1);
}

#[tokio::test]
async fn an_unknown_handle_looks_like_any_other_and_always_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let work = Registration::ProofOfWork { difficulty_bits: 4 };
    let running = Server::start(config(folder.path(), work)).await.unwrap();
    let mut client = Client::connect(running.local_addr(), Version::One).await;
    let alice = Person::new(running.domain(), "alice", 1, NOW_S);
    let admission = alice.work(&mut client).await;
    assert_eq!(
        alice.send(&mut client, alice.register(admission)).await,
        DONE
    );
    let known = look_up(&mut client, "alice").await;
    let unknown = look_up(&mut client, "nobody").await;
    assert_eq!(
        encode(&known).unwrap().len(),
        encode(&unknown).unwrap().len()
    );
    assert!(matches!(unknown, AccountResponseBody::Entry(_)));
    for name in ["alice", "nobody"] {
        let asked = client.ask_account(media::CONNECTION_REQUEST, asking(name, 1));
        assert_eq!(asked.await, DONE);
    }
    assert_eq!(look_up(&mut client, "nobody").await, unknown);
    running.shutdown().await;
    let running = Server::start(config(folder.path(), work)).await.unwrap();
    let mut client = Client::connect(running.local_addr(), Version::One).await;
    assert_eq!(look_up(&mut client, "nobody").await, unknown);
    assert_eq!(look_up(&mut client, "alice").await, known);
    assert_eq!(requests(&mut client, &alice, 0, 0).await.0, [1]);
    running.shutdown().await;
}

#[tokio::test]
async fn requests_that_wait_are_bounded_and_nobody_is_told() {
    let server = TestServer::start().await;
    let mut client = Client::connect(server.address(), Version::One).await;
    let alice = Person::new(server.running.domain(), "alice", 1, server.now_s());
    let admission = alice.work(&mut client).await;
    assert_eq!(
        alice.send(&mut client, alice.register(admission)).await,
        DONE
    );
    for number in 0..70 {
        let asked = client.ask_account(media::CONNECTION_REQUEST, asking("alice", number));
        assert_eq!(asked.await, DONE);
    }
    let (waiting, _) = requests(&mut client, &alice, 0, 0).await;
    assert_eq!(waiting, (0..64).collect::<Vec<u8>>());
}

#[tokio::test]
async fn a_device_waits_for_a_request() {
    let server = TestServer::start().await;
    let mut waiting = Client::connect(server.address(), Version::One).await;
    let mut asker = Client::connect(server.address(), Version::One).await;
    let alice = Person::new(server.running.domain(), "alice", 1, server.now_s());
    let admission = alice.work(&mut waiting).await;
    assert_eq!(
        alice.send(&mut waiting, alice.register(admission)).await,
        DONE
    );
    let (_, next) = requests(&mut waiting, &alice, 0, 0).await;
    let read = requests(&mut waiting, &alice, next, 60);
    let ask = asker.ask_account(media::CONNECTION_REQUEST, asking("alice", 5));
    let ((numbers, _), asked) = tokio::join!(read, ask);
    assert_eq!((numbers.as_slice(), asked), ([5].as_slice(), DONE));
}

#[tokio::test]
async fn no_address_takes_requests_of_another_world() {
    let server = TestServer::start().await;
    let mut client = Client::connect(server.address(), Version::One).await;
    let wrong = rejected(AccountReject::WrongEndpoint);
    let terms = client.ask_account(
        media::CONNECTION_REQUEST,
        AccountRequestBody::AdmissionTerms,
    );
    assert_eq!(terms.await, wrong);
    let found = client.ask_account(media::ACCOUNTS, AccountRequestBody::LookUp(handle("alice")));
    assert_eq!(found.await, wrong);
    // A request of the one world is none of the other.
    let terms = crate::client::account_bytes(AccountRequestBody::AdmissionTerms);
    for path in [media::GROUP_OPERATION, media::STREAMS, media::INBOXES] {
        let answer = client.ask(path, &terms).await;
        assert_eq!(answer, ResponseBody::Rejected(Reject::Malformed), "{path}");
    }
    for path in [media::ACCOUNTS, media::CONNECTION_REQUEST] {
        let answer = client.ask_account_bytes(path, &read_request(0)).await;
        assert_eq!(answer, rejected(AccountReject::Malformed), "{path}");
    }
}

#[tokio::test]
async fn requests_of_the_account_world_are_small() {
    let server = TestServer::start().await;
    for path in [media::ACCOUNTS, media::CONNECTION_REQUEST] {
        let mut client = Client::connect(server.address(), Version::One).await;
        let answer = client.post(path, vec![0; 64 * 1024 + 1]).await;
        answer.assert_problem(413, "body_too_large");
        let mut client = Client::connect(server.address(), Version::One).await;
        let answer = client.ask_account_bytes(path, &[0; 64 * 1024]).await;
        assert!(matches!(answer, AccountResponseBody::Rejected(_)));
    }
}
