//! What somebody learns who has no account: nothing about who has one.

use crate::world::*;
use sordino_accounts::{Endpoint, Step};
use sordino_crypto::{OperatorKey, check_connection_key, make_client_credential};
use sordino_effects::Changes;
use sordino_wire::{
    AccountEntry, AccountReject, AccountRequestBody, AccountResponse, AccountResponseBody,
    Secret32, encode,
};

fn check(world: &World, name: &str, entry: &AccountEntry) {
    let user = handle(name).uri(&world.domain).unwrap();
    let checked = check_connection_key(&user, &entry.account_key, &entry.connection_key);
    assert_eq!(checked, Ok(()));
}

#[test]
fn an_unknown_handle_has_an_entry_like_any_other_and_always_the_same() {
    let mut world = World::new(WORK);
    world.registered("alice");
    let (known, unknown) = (world.look_up("alice"), world.look_up("nobody"));
    let size = |entry: &AccountEntry| {
        let body = AccountResponseBody::Entry(entry.clone());
        (
            encode(entry).unwrap().len(),
            AccountResponse { body }.encode().unwrap().len(),
        )
    };
    assert_eq!(size(&known), size(&unknown));
    check(&world, "alice", &known);
    check(&world, "nobody", &unknown);
    assert_ne!(world.look_up("nobodi"), unknown);
    world.pass_days(100);
    assert_eq!(world.look_up("nobody"), unknown);
    // A restart, and a rotation of the operator key.
    let mut restarted = World::new(WORK).continues(&world);
    assert_eq!(restarted.look_up("nobody"), unknown);
    let former = OperatorKey::new(Secret32::new([3; 32]));
    let current = OperatorKey::new(Secret32::new([8; 32]));
    let mut rotated = World::with_operator(WORK, current, vec![former]).continues(&world);
    assert_eq!(rotated.look_up("nobody"), unknown);
    assert_eq!(rotated.look_up("alice"), known);
}

#[test]
fn looking_up_changes_nothing() {
    let mut world = World::new(WORK);
    world.registered("alice");
    let before = world.store.clone();
    world.look_up("alice");
    world.look_up("nobody");
    assert!(world.store == before);
}

/// What a request to a handle would write, in numbers and sizes.
fn written(world: &mut World, body: AccountRequestBody) -> (AccountResponseBody, Vec<usize>) {
    let bytes = unsigned(body);
    let Step::Commit(effects) = world.step(&bytes, Endpoint::ConnectionRequest) else {
        panic!("not a commit");
    };
    let Changes {
        expect,
        put,
        delete,
        append,
        replay,
    } = &effects.changes;
    assert!(replay.is_none() && delete.is_empty());
    let mut sizes = vec![expect.len()];
    sizes.extend(put.iter().map(|put| put.value.len()));
    sizes.extend(append.iter().map(|append| append.value.len()));
    let reply = effects.reply.clone();
    world.store.apply(effects.changes).unwrap();
    (reply, sizes)
}

#[test]
fn a_request_to_anybody_is_answered_and_written_alike() {
    let mut world = World::new(WORK);
    world.registered("alice");
    world.registered("gone").delete(&mut world);
    let mut seen = Vec::new();
    for name in ["alice", "gone", "nobody"] {
        let first = written(&mut world, asking(name, 1));
        let again = written(&mut world, asking(name, 1));
        let other = written(&mut world, asking(name, 2));
        assert_eq!(first.0, DONE);
        seen.push([first, again, other]);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    // Where it waits already, as much is written but for the entry.
    assert_eq!(seen[0][0].1[..2], seen[0][1].1[..2]);
}

#[test]
fn a_full_inbox_looks_like_any_other() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    for number in 0..64 {
        for name in ["alice", "nobody"] {
            assert_eq!(world.ask(asking(name, number)), DONE);
        }
    }
    let full = ["alice", "nobody"].map(|name| written(&mut world, asking(name, 200)));
    assert_eq!(full[0], full[1]);
    assert_eq!(full[0].0, DONE);
    // It was dropped: those that came first are there.
    let page = alice.phone.requests(&mut world, 0);
    assert_eq!(page.entries.len(), 64);
    let has = |number| {
        let wanted = encode(&sealed(number)).unwrap();
        page.entries
            .iter()
            .any(|entry| entry.entry.as_slice() == wanted)
    };
    assert!((0..64).all(has) && !has(200));
}

#[test]
fn whoever_is_no_device_gets_one_answer_whether_or_not_there_is_an_account() {
    let mut world = World::new(WORK);
    world.registered("alice");
    world.registered("gone").delete(&mut world);
    for name in ["alice", "gone", "nobody"] {
        let stranger = Person::new(&mut world, name);
        let phone = &stranger.phone;
        let replacement = stranger.replacement(&key(8), &[phone]);
        let settle = sordino_wire::SettleConnectionRequests {
            hashes: Default::default(),
        };
        let read = sordino_wire::ReadConnectionRequests { from: 0, wait_s: 0 };
        let bodies = [
            AccountRequestBody::ReadAccount,
            stranger.put(phone),
            AccountRequestBody::ReplaceAccountKey(replacement),
            AccountRequestBody::ReplaceConnectionKey(stranger.signed_key()),
            AccountRequestBody::ReadConnectionRequests(read),
            AccountRequestBody::SettleConnectionRequests(settle),
        ];
        for body in bodies {
            let refused = phone.refused(&mut world, body);
            assert_eq!(refused, AccountReject::BadAuthentication, "{name}");
        }
        let bytes = stranger.deletion(&mut world, phone);
        let refused = world.refused(&bytes, Endpoint::Accounts);
        assert_eq!(refused, AccountReject::BadAuthentication, "{name}");
        // What is wrong in itself is refused before anybody looks whether there is an account.
        let own = make_client_credential(&stranger.user, &phone.client, &phone.key, &phone.key);
        let body = AccountRequestBody::PutClient(own.unwrap());
        let refused = phone.refused(&mut world, body);
        assert_eq!(refused, AccountReject::InvalidCredential, "{name}");
    }
}
