//! Replacing keys, and the end of an account.

use crate::world::*;
use sordino_accounts::Endpoint;
use sordino_crypto::{
    hpke_generate, make_account_deletion, make_account_key_change, make_connection_key,
};
use sordino_wire::{AccountReject, AccountRequestBody, List, Nonce, ReplaceAccountKey};

const INVALID: AccountReject = AccountReject::InvalidCredential;

#[test]
fn an_account_key_is_replaced_with_all_that_it_certified() {
    let mut world = World::new(WORK);
    let mut alice = world.registered("alice");
    let tablet = alice.device(&mut world);
    assert_eq!(tablet.send(&mut world, alice.put(&tablet)), DONE);
    let replacement = alice.replacement(&key(8), &[&tablet, &alice.phone]);
    let body = AccountRequestBody::ReplaceAccountKey(replacement);
    assert_eq!(tablet.send(&mut world, body), DONE);
    alice.account_key = key(8);
    let view = alice.phone.account(&mut world);
    let expected = [alice.credential(&tablet), alice.credential(&alice.phone)];
    assert_eq!(view.clients.as_slice(), expected);
    assert_eq!(view.entry.connection_key, alice.signed_key());
    assert_eq!(world.look_up("alice"), view.entry);
}

#[test]
fn every_part_of_a_replacement_must_fit() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let bob = world.registered("bob");
    let tablet = alice.device(&mut world);
    assert_eq!(tablet.send(&mut world, alice.put(&tablet)), DONE);
    let right = || alice.replacement(&key(8), &[&alice.phone, &tablet]);
    let changed = |change: &dyn Fn(&mut ReplaceAccountKey)| {
        let mut replacement = right();
        change(&mut replacement);
        AccountRequestBody::ReplaceAccountKey(replacement)
    };
    let change_of = |user, old: u8, new: u8| make_account_key_change(user, &key(old), &key(new));
    let twice = alice.replacement(&key(8), &[&alice.phone, &alice.phone]);
    let foreign = bob.replacement(&key(8), &[&alice.phone]);
    let cases = [
        // Not from the key that the account has.
        changed(&|r| r.change = change_of(&alice.user, 7, 8).unwrap()),
        // Not this user's.
        changed(&|r| {
            r.change = make_account_key_change(&bob.user, &alice.account_key, &key(8)).unwrap();
        }),
        // Signatures exchanged.
        changed(&|r| r.change.old_signature = r.change.new_signature.clone()),
        changed(&|r| r.change.new_signature = r.change.old_signature.clone()),
        // To another key than the devices'.
        changed(&|r| {
            r.change = make_account_key_change(&alice.user, &alice.account_key, &key(9)).unwrap();
        }),
        // A device that the old key certifies.
        changed(&|r| {
            let old = vec![alice.credential(&alice.phone)];
            r.clients = List::new(old).unwrap();
        }),
        // The connection key as the old key certifies it.
        changed(&|r| r.connection_key = alice.signed_key()),
        // Without the device that asks, without any, one twice, another user's.
        changed(&|r| r.clients = alice.replacement(&key(8), &[&tablet]).clients),
        changed(&|r| r.clients = List::default()),
        changed(&|r| r.clients = twice.clients.clone()),
        changed(&|r| r.clients = foreign.clients.clone()),
        // No change at all.
        AccountRequestBody::ReplaceAccountKey(
            alice.replacement(&alice.account_key, &[&alice.phone]),
        ),
    ];
    for (number, body) in cases.into_iter().enumerate() {
        let refused = alice.phone.refused(&mut world, body);
        assert_eq!(refused, INVALID, "case {number}");
    }
    let body = AccountRequestBody::ReplaceAccountKey(right());
    assert_eq!(alice.phone.send(&mut world, body), DONE);
}

#[test]
fn only_a_device_replaces_the_account_key() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let stranger = alice.device(&mut world);
    let replacement = alice.replacement(&key(8), &[&alice.phone, &stranger]);
    let body = AccountRequestBody::ReplaceAccountKey(replacement);
    let refused = stranger.refused(&mut world, body);
    assert_eq!(refused, AccountReject::BadAuthentication);
}

#[test]
fn a_connection_key_is_replaced() {
    let mut world = World::new(WORK);
    let mut alice = world.registered("alice");
    let (_, fresh) = hpke_generate(&mut world.rng).unwrap();
    let forged = make_connection_key(&alice.user, &key(7), &fresh).unwrap();
    let body = AccountRequestBody::ReplaceConnectionKey(forged);
    assert_eq!(alice.phone.refused(&mut world, body), INVALID);
    alice.hpke_key = fresh;
    let body = AccountRequestBody::ReplaceConnectionKey(alice.signed_key());
    assert_eq!(alice.phone.send(&mut world, body), DONE);
    assert_eq!(world.look_up("alice").connection_key, alice.signed_key());
}

#[test]
fn a_deleted_account_is_like_none() {
    let mut world = World::new(WORK);
    let before = world.look_up("alice");
    let alice = world.registered("alice");
    assert_ne!(world.look_up("alice"), before);
    let bytes = alice.deletion(&mut world, &alice.phone);
    assert_eq!(world.handle(&bytes, Endpoint::Accounts), DONE);
    assert_eq!(world.look_up("alice"), before);
    let refused = alice
        .phone
        .refused(&mut world, AccountRequestBody::ReadAccount);
    assert_eq!(refused, AccountReject::BadAuthentication);
    let refused = alice.phone.refused(&mut world, alice.put(&alice.phone));
    assert_eq!(refused, AccountReject::BadAuthentication);
    // A repetition is answered alike.
    let after = world.store.clone();
    assert_eq!(world.handle(&bytes, Endpoint::Accounts), DONE);
    assert!(world.store == after);
}

#[test]
fn a_device_alone_does_not_end_an_account() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let own = make_account_deletion(&alice.phone.key, &Nonce([1; 16])).unwrap();
    let body = AccountRequestBody::DeleteAccount(own);
    assert_eq!(alice.phone.refused(&mut world, body), INVALID);
    // Of another request.
    let other = make_account_deletion(&alice.account_key, &Nonce([1; 16])).unwrap();
    let body = AccountRequestBody::DeleteAccount(other);
    assert_eq!(alice.phone.refused(&mut world, body), INVALID);
    let stranger = alice.device(&mut world);
    let bytes = alice.deletion(&mut world, &stranger);
    let refused = world.refused(&bytes, Endpoint::Accounts);
    assert_eq!(refused, AccountReject::BadAuthentication);
}
