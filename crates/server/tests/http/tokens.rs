//! Tokens over HTTP: terms, drawing, paying, refusals, rotation.

use crate::client::{Client, TestServer, Version, request};
use crate::person::{Person, asking, handle};
use crate::wallet::{
    account_answer_of, answer_of, authorization, batch_of, drawing, drawn, in_tokens, inbox,
    keys_of, paid, paid_account, raw, rng, terms, tokens,
};
use futures_util::future::join_all;
use hyper::Method;
use sordino_server::{PublicQuota, ServerConfig, TestClock, TokenSettings};
use sordino_tokens::{
    Draw, PriceList, Token, TokenChallenge, TokenType, parse_directory, parse_price_list,
    parse_www_authenticate,
};
use sordino_wire::{
    AccountReject, AccountRequestBody, AccountResponseBody, Bytes, Domain, Reject, RequestBody,
    ResponseBody, TokenClass, media,
};
use std::sync::Arc;

const DAY_S: u64 = 86_400;
pub(crate) const NOW_S: u64 = 20_700 * DAY_S + 1_000;
pub(crate) const TODAY: u32 = 20_700;

/// Standard prices, a clock that stands, batches that tests can afford.
fn priced(config: &mut ServerConfig) {
    config.tokens = TokenSettings {
        write_per_week: 8,
        contact_per_week: 4,
        epoch_s: Some(7 * DAY_S),
        ..TokenSettings::default()
    };
    config.clock = Arc::new(TestClock::new(NOW_S));
}

pub(crate) struct Hub {
    pub(crate) server: TestServer,
    pub(crate) domain: Domain,
    pub(crate) client: Client,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let server = TestServer::start_with(|config| {
            priced(config);
            change(config);
        })
        .await;
        let domain = server.running.domain().clone();
        let client = Client::connect(server.address(), Version::Two).await;
        Self {
            server,
            domain,
            client,
        }
    }

    pub(crate) async fn person(&mut self, name: &str, seed: u8) -> Person {
        let person = Person::new(&self.domain, name, seed, NOW_S);
        let work = person.work(&mut self.client).await;
        let body = person.register(work);
        let registered = person.send(&mut self.client, body).await;
        assert_eq!(registered, AccountResponseBody::Done);
        person
    }

    /// A person's tokens of a class.
    pub(crate) async fn purse(&mut self, class: TokenClass, seed: u8) -> Vec<Token> {
        let person = self.person(&format!("p{seed}"), seed).await;
        drawn(&mut self.client, &person, &self.domain, class, seed.into()).await
    }

    pub(crate) async fn open(&mut self, number: u64, list: &[&[u8]]) -> (u16, ResponseBody) {
        let bytes = paid(inbox(number, TODAY), tokens(list));
        let answer = raw(&mut self.client, media::INBOXES, bytes, None).await;
        (answer.status.as_u16(), answer_of(&answer))
    }

    pub(crate) async fn refused(&mut self, number: u64, list: &[&[u8]]) -> Reject {
        match self.open(number, list).await {
            (_, ResponseBody::Rejected(reject)) => reject,
            (_, other) => panic!("{other:?}"),
        }
    }
}

pub(crate) fn is_done(answer: &ResponseBody) -> bool {
    matches!(answer, ResponseBody::Done(_))
}

#[tokio::test]
async fn terms_are_the_same_on_every_way() {
    let mut hub = Hub::start_with(|config| {
        config.tokens.public = Some(PublicQuota {
            tokens_per_hour: 10,
            tokens_per_network_per_hour: 10,
        });
    })
    .await;
    let direct = terms(&mut hub.client).await;
    let through = hub
        .client
        .ask_account(media::ACCOUNTS, AccountRequestBody::TokenTerms);
    assert_eq!(
        through.await,
        AccountResponseBody::TokenTerms(direct.clone())
    );
    let served = hub.client.get(sordino_tokens::media::DIRECTORY_PATH).await;
    assert_eq!(served.body, direct.directory.as_slice());
    assert_eq!(
        served.headers["content-type"],
        "application/private-token-issuer-directory"
    );
    assert_eq!(served.headers["cache-control"], "public, max-age=3600");

    let prices = parse_price_list(direct.price_list.as_slice()).unwrap();
    assert_eq!(prices, PriceList::default());
    assert_eq!(batch_of(&direct, TokenClass::Write), 8);
    assert_eq!(batch_of(&direct, TokenClass::Contact), 4);

    // The running epoch's keys come before the next one's; a client that knows the RFC alone takes
    // the first of its type whose time has come.
    let directory = parse_directory(&served.body).unwrap();
    assert_eq!(directory.issuer_request_uri, media::TOKEN_REQUEST);
    assert_eq!(directory.keys.len(), 2 * 2 * 3);
    let starts: Vec<_> = directory.keys.iter().map(|key| key.not_before_s).collect();
    assert!(starts.is_sorted());
    for key in &directory.keys[..6] {
        assert!(key.terms.unwrap().epoch.contains(NOW_S));
    }
    let mut last_bytes: Vec<_> = directory.keys.iter().map(|k| k.id().truncated()).collect();
    last_bytes.sort_unstable();
    last_bytes.dedup();
    assert_eq!(last_bytes.len(), directory.keys.len());
}

#[tokio::test]
async fn an_account_draws_one_whole_batch_of_each_class_and_epoch() {
    let mut hub = Hub::start().await;
    let person = hub.person("alice", 1).await;
    let terms = terms(&mut hub.client).await;
    let domain = hub.domain.clone();
    let mut rng = rng(1);
    for class in TokenClass::ALL {
        let keys = keys_of(&terms, class);
        assert_eq!(keys.len(), 2, "running and next");
        let batch = batch_of(&terms, class);
        for key in &keys {
            // Too few, too many, none, with a longer length than needed, for another class.
            let mut wrong = Vec::new();
            for count in [1, batch - 1, batch + 1] {
                wrong.push(drawing(&domain, class, key, count, &mut rng).1);
            }
            let (draw, good) = drawing(&domain, class, key, batch, &mut rng);
            let mut none = good.clone();
            none.request = Bytes::new([&good.request.as_slice()[..3], &[0]].concat()).unwrap();
            wrong.push(none);
            let mut long = good.clone();
            let bytes = good.request.as_slice();
            let length = u32::try_from(32 * batch).unwrap() | 0x8000_0000;
            let elements = &bytes[bytes.len() - 32 * batch..];
            long.request =
                Bytes::new([&bytes[..3], &length.to_be_bytes(), elements].concat()).unwrap();
            wrong.push(long);
            let mut element = good.clone();
            let mut bytes = good.request.as_slice().to_vec();
            bytes.splice(bytes.len() - 32.., [0; 32]);
            element.request = Bytes::new(bytes).unwrap();
            wrong.push(element);
            for wrong in wrong {
                let body = AccountRequestBody::DrawTokens(wrong);
                let answer = person.send(&mut hub.client, body).await;
                let refused = AccountResponseBody::Rejected(AccountReject::InvalidBatch);
                assert_eq!(answer, refused);
            }
            let mut closed = good.clone();
            closed.epoch += 1_000;
            let body = AccountRequestBody::DrawTokens(closed);
            let answer = person.send(&mut hub.client, body).await;
            assert_eq!(
                answer,
                AccountResponseBody::Rejected(AccountReject::EpochClosed)
            );
            let mut other_class = good.clone();
            other_class.class = match class {
                TokenClass::Write => TokenClass::Contact,
                TokenClass::Contact => TokenClass::Write,
            };
            let body = AccountRequestBody::DrawTokens(other_class);
            let answer = person.send(&mut hub.client, body).await;
            // The other class was drawn already where this is the second one.
            let reject = match class {
                TokenClass::Write => AccountReject::InvalidBatch,
                TokenClass::Contact => AccountReject::AlreadyDrawn,
            };
            assert_eq!(answer, AccountResponseBody::Rejected(reject));

            // None of it counted. Then the batch, and again the same; but no other.
            let body = || AccountRequestBody::DrawTokens(good.clone());
            let first = person.send(&mut hub.client, body()).await;
            let AccountResponseBody::Tokens(answer) = &first else {
                panic!("{first:?}");
            };
            assert_eq!(draw.finish(answer.as_slice()).unwrap().len(), batch);
            assert_eq!(person.send(&mut hub.client, body()).await, first);
            let (_, other) = drawing(&domain, class, key, batch, &mut rng);
            let answer = person.send(&mut hub.client, AccountRequestBody::DrawTokens(other));
            let refused = AccountResponseBody::Rejected(AccountReject::AlreadyDrawn);
            assert_eq!(answer.await, refused);
            assert_eq!(person.send(&mut hub.client, body()).await, first);
        }
    }
}

#[tokio::test]
async fn of_many_draws_at_once_one_counts() {
    let mut hub = Hub::start().await;
    let person = hub.person("alice", 1).await;
    let terms = terms(&mut hub.client).await;
    let key = keys_of(&terms, TokenClass::Write)[0].clone();
    let requests = (0..40).map(|seed| {
        let (_, draw) = drawing(&hub.domain, TokenClass::Write, &key, 8, &mut rng(seed));
        person.bytes(AccountRequestBody::DrawTokens(draw))
    });
    let address = hub.server.address();
    let answers = join_all(requests.map(async |bytes| {
        let mut client = Client::connect(address, Version::One).await;
        client.ask_account_bytes(media::ACCOUNTS, &bytes).await
    }))
    .await;
    let drawn = answers
        .iter()
        .filter(|a| matches!(a, AccountResponseBody::Tokens(_)));
    assert_eq!(drawn.count(), 1);
    let refused = AccountResponseBody::Rejected(AccountReject::AlreadyDrawn);
    assert_eq!(answers.iter().filter(|a| **a == refused).count(), 39);
}

#[tokio::test]
async fn what_has_a_price_asks_for_it() {
    let mut hub = Hub::start().await;
    let bytes = paid(inbox(1, TODAY), tokens(&[]));
    let answer = raw(&mut hub.client, media::INBOXES, bytes, None).await;
    assert_eq!(answer.status, 401);
    let ResponseBody::Rejected(Reject::TokenRequired {
        price, challenge, ..
    }) = answer_of(&answer)
    else {
        panic!();
    };
    assert_eq!((price.class, price.tokens), (TokenClass::Write, 1));
    let header = answer.headers["www-authenticate"].to_str().unwrap();
    let offered = parse_www_authenticate(header).unwrap();
    assert_eq!(offered.len(), 1, "{header}");
    assert_eq!(offered[0].challenge.to_bytes(), challenge.as_slice());
    let running = &keys_of(&terms(&mut hub.client).await, TokenClass::Write)[0];
    assert_eq!(offered[0].token_key.as_ref(), Some(&running.public_key));

    let body = AccountRequestBody::LookUp(handle("nobody"));
    let bytes = paid_account(body, tokens(&[]));
    let answer = raw(&mut hub.client, media::CONNECTION_REQUEST, bytes, None).await;
    assert_eq!(answer.status, 401);
    let bytes = paid_account(asking("nobody", 1), tokens(&[]));
    let answer = raw(&mut hub.client, media::CONNECTION_REQUEST, bytes, None).await;
    let AccountResponseBody::Rejected(AccountReject::TokenRequired { price, .. }) =
        account_answer_of(&answer)
    else {
        panic!();
    };
    assert_eq!((price.class, price.tokens), (TokenClass::Contact, 2));
}

#[tokio::test]
async fn tokens_pay_in_the_envelope_or_in_the_header_and_only_once() {
    let mut hub = Hub::start().await;
    let write = hub.purse(TokenClass::Write, 1).await;
    let contact = hub.purse(TokenClass::Contact, 2).await;
    let t = |index: usize| write[index].as_bytes();

    let (status, answer) = hub.open(1, &[t(0)]).await;
    assert!(status == 200 && is_done(&answer), "{answer:?}");
    // The same again is the same; another body is not.
    assert_eq!(hub.open(1, &[t(0)]).await, (200, answer));
    let spent = Reject::DoubleSpent { index: 0 };
    assert_eq!(
        hub.open(2, &[t(0)]).await,
        (403, ResponseBody::Rejected(spent.clone()))
    );
    // Another token for the same body pays again, and changes nothing.
    assert!(is_done(&hub.open(1, &[t(1)]).await.1));

    // In the header; beside one in the envelope that is one too many, and both are kept.
    let bytes = paid(inbox(3, TODAY), tokens(&[t(2)]));
    let header = authorization(t(3));
    let answer = raw(&mut hub.client, media::INBOXES, bytes, Some(&header)).await;
    assert_eq!(answer.status, 401);
    let bytes = paid(inbox(3, TODAY), tokens(&[]));
    let answer = raw(&mut hub.client, media::INBOXES, bytes, Some(&header)).await;
    assert!(is_done(&answer_of(&answer)));
    assert!(is_done(&hub.open(4, &[t(2)]).await.1));
    let bytes = paid(inbox(5, TODAY), tokens(&[]));
    let answer = raw(&mut hub.client, media::INBOXES, bytes, Some(&header)).await;
    assert_eq!(answer_of(&answer), ResponseBody::Rejected(spent));

    // Two for a connection request; the answer to a look-up is the entry, again and again.
    let c = |index: usize| contact[index].as_bytes();
    let bytes = paid_account(asking("p1", 1), tokens(&[c(0), c(1)]));
    for _ in 0..2 {
        let answer = raw(
            &mut hub.client,
            media::CONNECTION_REQUEST,
            bytes.clone(),
            None,
        )
        .await;
        assert_eq!(account_answer_of(&answer), AccountResponseBody::Done);
    }
    let look = |name: &str, token| {
        paid_account(AccountRequestBody::LookUp(handle(name)), tokens(&[token]))
    };
    for _ in 0..2 {
        let answer = raw(
            &mut hub.client,
            media::CONNECTION_REQUEST,
            look("p1", c(2)),
            None,
        )
        .await;
        assert!(matches!(
            account_answer_of(&answer),
            AccountResponseBody::Entry(_)
        ));
    }
    for token in [c(2), c(0), c(1)] {
        let bytes = look("p2", token);
        let answer = raw(&mut hub.client, media::CONNECTION_REQUEST, bytes, None).await;
        assert_eq!(
            account_answer_of(&answer),
            AccountResponseBody::Rejected(AccountReject::DoubleSpent { index: 0 })
        );
    }
    // One token twice is not two tokens.
    let bytes = paid_account(asking("p1", 9), tokens(&[c(3), c(3)]));
    let answer = raw(&mut hub.client, media::CONNECTION_REQUEST, bytes, None).await;
    assert_eq!(
        account_answer_of(&answer),
        AccountResponseBody::Rejected(AccountReject::DoubleSpent { index: 1 })
    );
    let answer = raw(
        &mut hub.client,
        media::CONNECTION_REQUEST,
        look("p2", c(3)),
        None,
    )
    .await;
    assert!(matches!(
        account_answer_of(&answer),
        AccountResponseBody::Entry(_)
    ));
}

#[tokio::test]
async fn headers_that_are_no_credentials() {
    let mut hub = Hub::start().await;
    let bytes = || paid(inbox(1, TODAY), tokens(&[]));
    for bad in [
        "PrivateToken",
        "PrivateToken token=",
        "PrivateToken token=\"AAAA",
        "PrivateToken token=\"AAAA\", token=\"BBBB\"",
        "PrivateToken token=\"!!!!\"",
    ] {
        let answer = raw(&mut hub.client, media::INBOXES, bytes(), Some(bad)).await;
        answer.assert_problem(400, "bad_authorization");
    }
    // Two credentials, more than a credential can be long, other bytes than ASCII.
    let good = "PrivateToken token=\"AAAA\"".as_bytes();
    let long = [b"PrivateToken token=".as_slice(), &[b'A'; 8_192]].concat();
    for headers in [
        vec![good, good],
        vec![good, b"Basic YTpi"],
        vec![&long],
        vec![b"PrivateToken token=\xe4\xf6"],
    ] {
        let mut sent = request(Method::POST, media::INBOXES, Some(media::OCTETS), bytes());
        for header in headers {
            let value = hyper::header::HeaderValue::from_bytes(header).unwrap();
            sent.headers_mut().append("authorization", value);
        }
        let answer = hub.client.send(sent).await;
        answer.assert_problem(400, "bad_authorization");
    }
    // Credentials of another scheme are as good as none.
    let answer = raw(&mut hub.client, media::INBOXES, bytes(), Some("Basic YTpi")).await;
    assert_eq!(answer.status, 401);
    let answer = raw(
        &mut hub.client,
        media::INBOXES,
        bytes(),
        Some("PrivateToken token=\"AAAA\""),
    );
    assert_eq!(
        answer_of(&answer.await),
        ResponseBody::Rejected(Reject::TokenInvalid { index: 0 })
    );
}

#[tokio::test]
async fn a_refused_request_keeps_its_tokens() {
    let mut hub = Hub::start().await;
    let write = hub.purse(TokenClass::Write, 1).await;
    let token = write[0].as_bytes();
    // Too late a day, then too early a one; refused after the token was found good.
    for today in [TODAY + 1_000, TODAY - 100] {
        let bytes = paid(inbox(1, today), tokens(&[token]));
        let answer = raw(&mut hub.client, media::INBOXES, bytes, None).await;
        let refused = Reject::InboxUnavailable { index: 0 };
        assert_eq!(answer_of(&answer), ResponseBody::Rejected(refused));
    }
    // Too few and too many.
    assert!(matches!(
        hub.refused(1, &[]).await,
        Reject::TokenRequired { .. }
    ));
    assert!(matches!(
        hub.refused(1, &[token, write[1].as_bytes()]).await,
        Reject::TokenRequired { .. }
    ));
    assert!(is_done(&hub.open(1, &[token]).await.1));
    assert!(is_done(&hub.open(2, &[write[1].as_bytes()]).await.1));
}

#[tokio::test]
async fn one_token_in_64_concurrent_requests() {
    let mut hub = Hub::start().await;
    let write = hub.purse(TokenClass::Write, 1).await;
    let address = hub.server.address();
    let at_once = async |bodies: Vec<Vec<u8>>| {
        join_all(bodies.into_iter().map(async |bytes| {
            let mut client = Client::connect(address, Version::One).await;
            answer_of(&raw(&mut client, media::INBOXES, bytes, None).await)
        }))
        .await
    };
    let same = vec![paid(inbox(1, TODAY), tokens(&[write[0].as_bytes()])); 64];
    let answers = at_once(same).await;
    assert!(is_done(&answers[0]), "{:?}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]));

    let different = (100..164).map(|n| paid(inbox(n, TODAY), tokens(&[write[1].as_bytes()])));
    let answers = at_once(different.collect()).await;
    assert_eq!(answers.iter().filter(|a| is_done(a)).count(), 1);
    let spent = ResponseBody::Rejected(Reject::DoubleSpent { index: 0 });
    assert_eq!(answers.iter().filter(|a| **a == spent).count(), 63);
    // Two tokens in two orders: one request gets both, whatever the order of commits.
    let contact = hub.purse(TokenClass::Contact, 2).await;
    let (a, b) = (contact[0].as_bytes(), contact[1].as_bytes());
    let requests = (0..32u8).map(|n| {
        let list = if n % 2 == 0 { [a, b] } else { [b, a] };
        paid_account(asking("p1", n), tokens(&list))
    });
    let answers = join_all(requests.map(async |bytes| {
        let mut client = Client::connect(address, Version::One).await;
        account_answer_of(&raw(&mut client, media::CONNECTION_REQUEST, bytes, None).await)
    }))
    .await;
    let done = answers.iter().filter(|a| **a == AccountResponseBody::Done);
    assert_eq!(done.count(), 1);
}

/// Nothing was spent, as the operator's numbers have it.
pub(crate) async fn spent(hub: &Hub) -> u64 {
    let address = hub.server.running.metrics_addr().unwrap();
    let mut client = Client::connect(address, Version::One).await;
    let text = client.get("/metrics").await.body;
    let text = std::str::from_utf8(&text).unwrap();
    text.lines()
        .filter(|line| line.starts_with("sordino_tokens_spent{"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum()
}

#[tokio::test]
async fn tokens_that_are_none_are_refused_and_nothing_is_written() {
    let mut hub = Hub::start_with(|config| {
        config.metrics = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let write = hub.purse(TokenClass::Write, 1).await;
    let contact = hub.purse(TokenClass::Contact, 2).await;
    let good = write[0].as_bytes().to_vec();
    let invalid = Reject::TokenInvalid { index: 0 };

    // Of another class; of the next epoch; of another hub; for another challenge.
    assert_eq!(hub.refused(1, &[contact[0].as_bytes()]).await, invalid);
    let person = hub.person("next", 3).await;
    let terms_here = terms(&mut hub.client).await;
    let next = &keys_of(&terms_here, TokenClass::Write)[1];
    let (draw, body) = drawing(&hub.domain, TokenClass::Write, next, 8, &mut rng(3));
    let answer = person.send(&mut hub.client, AccountRequestBody::DrawTokens(body));
    let AccountResponseBody::Tokens(batch) = answer.await else {
        panic!();
    };
    let early = draw.finish(batch.as_slice()).unwrap();
    assert_eq!(hub.refused(1, &[early[0].as_bytes()]).await, invalid);
    let mut other = Hub::start().await;
    let foreign = other.purse(TokenClass::Write, 1).await;
    assert_eq!(hub.refused(1, &[foreign[0].as_bytes()]).await, invalid);
    let person = hub.person("elsewhere", 4).await;
    let running = &keys_of(&terms_here, TokenClass::Write)[0];
    let elsewhere = Domain::new("other.example").unwrap();
    let (draw, body) = drawing(&elsewhere, TokenClass::Write, running, 8, &mut rng(4));
    let answer = person.send(&mut hub.client, AccountRequestBody::DrawTokens(body));
    let AccountResponseBody::Tokens(batch) = answer.await else {
        panic!();
    };
    let bound = draw.finish(batch.as_slice()).unwrap();
    assert_eq!(hub.refused(1, &[bound[0].as_bytes()]).await, invalid);

    // Truncated at every byte, with something behind it, every bit flipped (type, nonce, challenge,
    // upper and last byte of the key id, authenticator).
    for length in 1..good.len() {
        assert_eq!(
            hub.refused(1, &[&good[..length]]).await,
            invalid,
            "{length}"
        );
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(hub.refused(1, &[&longer]).await, invalid);
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(hub.refused(1, &[&flipped]).await, invalid, "bit {bit}");
    }
    // The position of the bad one is told, and the good one is kept.
    let mut flipped = contact[1].as_bytes().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let bytes = paid_account(asking("p1", 1), tokens(&[contact[0].as_bytes(), &flipped]));
    let answer = raw(&mut hub.client, media::CONNECTION_REQUEST, bytes, None).await;
    let refused = AccountReject::TokenInvalid { index: 1 };
    assert_eq!(
        account_answer_of(&answer),
        AccountResponseBody::Rejected(refused)
    );
    assert_eq!(spent(&hub).await, 0);
    assert!(is_done(&hub.open(1, &[&good]).await.1));
    assert_eq!(spent(&hub).await, 1);
}

#[tokio::test]
async fn keys_rotate_while_the_hub_runs_and_stay_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new(NOW_S);
    let mut config = ServerConfig::local(folder.path());
    priced(&mut config);
    config.clock = Arc::new(clock.clone());
    config.domain = sordino_server::DomainChoice::Named(Domain::new("hub.example").unwrap());
    config.metrics = Some("127.0.0.1:0".parse().unwrap());
    let running = sordino_server::Server::start(config.clone()).await.unwrap();
    let mut client = Client::connect(running.local_addr(), Version::One).await;
    let domain = running.domain().clone();
    let alice = Person::new(&domain, "alice", 1, NOW_S);
    let work = alice.work(&mut client).await;
    alice.send(&mut client, alice.register(work)).await;
    let tokens_now = drawn(&mut client, &alice, &domain, TokenClass::Write, 1).await;
    let terms_before = terms(&mut client).await;
    let keys = keys_of(&terms_before, TokenClass::Write);
    let (draw, body) = drawing(&domain, TokenClass::Write, &keys[1], 8, &mut rng(2));
    let AccountResponseBody::Tokens(batch) = alice
        .send(&mut client, AccountRequestBody::DrawTokens(body))
        .await
    else {
        panic!();
    };
    let tokens_next = draw.finish(batch.as_slice()).unwrap();
    let pay = async |client: &mut Client, number: u64, token: &Token| {
        let day = u32::try_from(sordino_server::Clock::now_s(&clock) / DAY_S).unwrap();
        let bytes = paid(inbox(number, day), tokens(&[token.as_bytes()]));
        answer_of(&raw(client, media::INBOXES, bytes, None).await)
    };
    assert!(is_done(&pay(&mut client, 1, &tokens_now[0]).await));
    let report = running.run_maintenance().await.unwrap();
    assert_eq!((report.token_keys_made, report.token_keys_ended), (0, 0));

    // Over a restart: the same keys, and what was spent is spent.
    drop(client);
    running.shutdown().await;
    let running = sordino_server::Server::start(config.clone()).await.unwrap();
    let mut client = Client::connect(running.local_addr(), Version::One).await;
    assert_eq!(terms(&mut client).await, terms_before);
    let spent = ResponseBody::Rejected(Reject::DoubleSpent { index: 0 });
    assert_eq!(pay(&mut client, 2, &tokens_now[0]).await, spent);

    // The next epoch begins: its tokens are good, and the last one's for two hours more.
    let ends_s = keys[0].terms.unwrap().epoch.end_s();
    clock.set(ends_s + 1);
    let report = running.run_maintenance().await.unwrap();
    assert_eq!((report.token_keys_made, report.token_keys_ended), (2, 0));
    assert!(is_done(&pay(&mut client, 3, &tokens_next[0]).await));
    assert!(is_done(&pay(&mut client, 4, &tokens_now[1]).await));
    clock.set(ends_s + 7_199);
    running.run_maintenance().await.unwrap();
    assert!(is_done(&pay(&mut client, 5, &tokens_now[2]).await));

    // Then key and spent set go together: whether or not they have gone, no token is taken.
    clock.set(ends_s + 7_200);
    let invalid = ResponseBody::Rejected(Reject::TokenInvalid { index: 0 });
    for token in &tokens_now[..4] {
        assert_eq!(pay(&mut client, 6, token).await, invalid);
    }
    let report = running.run_maintenance().await.unwrap();
    assert_eq!((report.token_keys_made, report.token_keys_ended), (0, 2));
    for token in &tokens_now[..4] {
        assert_eq!(pay(&mut client, 6, token).await, invalid);
    }
    assert!(is_done(&pay(&mut client, 7, &tokens_next[1]).await));
    running.shutdown().await;

    // A clock that goes back finds no key of theirs either.
    clock.set(ends_s - 1);
    let running = sordino_server::Server::start(config).await.unwrap();
    let mut client = Client::connect(running.local_addr(), Version::One).await;
    assert_eq!(pay(&mut client, 6, &tokens_now[0]).await, invalid);
    running.shutdown().await;
}

#[tokio::test]
async fn nobody_is_issued_a_token_without_an_account_or_a_quota() {
    let mut hub = Hub::start().await;
    let answer = hub.client.send(request(
        Method::POST,
        media::TOKEN_REQUEST,
        Some("application/private-token-request"),
        vec![0; 52],
    ));
    answer.await.assert_problem(403, "issuance_closed");
}

/// Draws one token of a type at the issuer's own address.
pub(crate) async fn drawn_in_public(
    hub: &mut Hub,
    token_type: TokenType,
    seed: u64,
) -> Result<Token, (u16, Option<String>)> {
    let directory = parse_directory(terms(&mut hub.client).await.directory.as_slice()).unwrap();
    let class = in_tokens(TokenClass::Write);
    let key = directory.key_at(class, token_type, NOW_S).unwrap();
    let challenge = TokenChallenge::of_hub(token_type, hub.domain.as_str()).unwrap();
    let draw = Draw::single(key, &challenge, &mut rng(seed)).unwrap();
    let answer = hub.client.send(request(
        Method::POST,
        &directory.issuer_request_uri,
        Some(draw.form().request_type()),
        draw.request().unwrap(),
    ));
    let answer = answer.await;
    if answer.status != 200 {
        let retry = answer.headers.get("retry-after");
        let retry = retry.map(|value| value.to_str().unwrap().to_owned());
        return Err((answer.status.as_u16(), retry));
    }
    assert_eq!(answer.headers["content-type"], draw.form().response_type());
    Ok(draw.finish(&answer.body).unwrap().remove(0))
}

#[tokio::test]
async fn a_public_quota_serves_clients_that_know_the_rfcs_alone() {
    let mut hub = Hub::start_with(|config| {
        config.tokens.public = Some(PublicQuota {
            tokens_per_hour: 3,
            tokens_per_network_per_hour: 3,
        });
    })
    .await;
    // What is refused takes nothing of the quota.
    for (content_type, body, status) in [
        ("application/octet-stream", vec![0; 52], 415),
        ("application/private-token-request", vec![0; 52], 422),
        ("application/private-token-request", vec![], 422),
        (
            "application/private-token-request",
            [vec![0, 5, 0], vec![0; 32]].concat(),
            422,
        ),
        (
            "application/private-token-amortized-batch-request",
            vec![0, 5, 0, 0],
            422,
        ),
        (
            "application/private-token-generic-batch-request",
            vec![0],
            422,
        ),
    ] {
        let sent = request(Method::POST, media::TOKEN_REQUEST, Some(content_type), body);
        let answer = hub.client.send(sent).await;
        answer.assert_problem(status, "token_request_refused");
    }
    for (number, token_type) in TokenType::ALL.into_iter().enumerate() {
        let number = u64::try_from(number).unwrap();
        let token = drawn_in_public(&mut hub, token_type, number).await.unwrap();
        assert!(is_done(&hub.open(number, &[token.as_bytes()]).await.1));
        let spent = Reject::DoubleSpent { index: 0 };
        assert_eq!(hub.refused(50, &[token.as_bytes()]).await, spent);
    }
    let refused = drawn_in_public(&mut hub, TokenType::BlindRsa, 9).await;
    let (status, retry) = refused.unwrap_err();
    assert_eq!((status, retry.as_deref()), (429, Some("60")));
}

#[tokio::test]
async fn the_operator_sees_numbers_and_nothing_else() {
    let mut hub = Hub::start_with(|config| {
        config.metrics = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let write = hub.purse(TokenClass::Write, 1).await;
    hub.purse(TokenClass::Write, 2).await;
    assert!(is_done(&hub.open(1, &[write[0].as_bytes()]).await.1));
    hub.refused(2, &[write[0].as_bytes()]).await;
    hub.refused(2, &[]).await;
    hub.refused(2, &[&[0; 162]]).await;
    let address = hub.server.running.metrics_addr().unwrap();
    let mut client = Client::connect(address, Version::One).await;
    let answer = client.get("/metrics").await;
    assert_eq!(
        answer.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = std::str::from_utf8(&answer.body).unwrap();
    let epoch = keys_of(&terms(&mut hub.client).await, TokenClass::Write)[0]
        .terms
        .unwrap()
        .epoch
        .number();
    for line in [
        format!("sordino_token_anonymity_set{{class=\"write\",epoch=\"{epoch}\"}} 2"),
        format!("sordino_token_anonymity_set_small{{class=\"write\",epoch=\"{epoch}\"}} 1"),
        format!("sordino_tokens_issued{{class=\"write\",epoch=\"{epoch}\"}} 16"),
        format!("sordino_tokens_spent{{class=\"write\",epoch=\"{epoch}\"}} 1"),
        format!("sordino_tokens_issued{{class=\"contact\",epoch=\"{epoch}\"}} 0"),
        "sordino_token_requests_refused_total{reason=\"missing\"} 1".into(),
        "sordino_token_requests_refused_total{reason=\"invalid\"} 1".into(),
        "sordino_token_requests_refused_total{reason=\"spent\"} 1".into(),
        "sordino_tokens_issued_to_public_total 0".into(),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    client
        .get("/inboxes")
        .await
        .assert_problem(404, "not_found");
    // Not at the address that everybody reaches.
    hub.client
        .get("/metrics")
        .await
        .assert_problem(404, "not_found");
}

#[tokio::test]
async fn other_requests_stay_free() {
    let mut hub = Hub::start().await;
    let body = RequestBody::ReadStreams(crate::client::reads(1));
    let bytes = paid(body, tokens(&[]));
    let answer = raw(&mut hub.client, media::STREAMS, bytes, None).await;
    assert_eq!(answer.status, 200);
    // A token that nothing costs is not looked at, and not spent.
    let write = hub.purse(TokenClass::Write, 1).await;
    let body = RequestBody::ReadStreams(crate::client::reads(1));
    let bytes = paid(body, tokens(&[write[0].as_bytes()]));
    let answer = raw(&mut hub.client, media::STREAMS, bytes, None).await;
    assert_eq!(answer.status, 200);
    assert!(is_done(&hub.open(1, &[write[0].as_bytes()]).await.1));
}
