//! Devices come by the account key's word, and go with a new one.

use crate::world::*;
use sordino_accounts::Endpoint;
use sordino_crypto::make_client_credential;
use sordino_wire::limits::MAX_ACCOUNT_CLIENTS;
use sordino_wire::{AccountReject, AccountRequestBody};

#[test]
fn a_device_puts_itself_in_by_the_account_keys_word() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let tablet = alice.device(&mut world);
    let refused = tablet.refused(&mut world, AccountRequestBody::ReadAccount);
    assert_eq!(refused, AccountReject::BadAuthentication);
    assert_eq!(tablet.send(&mut world, alice.put(&tablet)), DONE);
    let view = tablet.account(&mut world);
    let expected = [alice.credential(&alice.phone), alice.credential(&tablet)];
    assert_eq!(view.clients.as_slice(), expected);
    assert_eq!(alice.phone.account(&mut world), view);
}

#[test]
fn a_device_renews_its_credential_under_its_name() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let renewed = Phone {
        client: alice.phone.client.clone(),
        ..alice.device(&mut world)
    };
    assert_eq!(renewed.send(&mut world, alice.put(&renewed)), DONE);
    let view = renewed.account(&mut world);
    assert_eq!(view.clients.as_slice(), [alice.credential(&renewed)]);
    let refused = alice
        .phone
        .refused(&mut world, AccountRequestBody::ReadAccount);
    assert_eq!(refused, AccountReject::BadAuthentication);
    // The same again changes nothing that matters.
    assert_eq!(renewed.send(&mut world, alice.put(&renewed)), DONE);
    assert_eq!(renewed.account(&mut world), view);
}

#[test]
fn nobody_else_puts_a_device_in() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let thief = alice.device(&mut world);
    let forged = make_client_credential(&alice.user, &thief.client, &thief.key, &key(7)).unwrap();
    let bad = AccountReject::BadAuthentication;
    let body = AccountRequestBody::PutClient(forged);
    assert_eq!(thief.refused(&mut world, body), bad);
    // Signed by one device with the credential of another one.
    let tablet = alice.device(&mut world);
    assert_eq!(thief.refused(&mut world, alice.put(&tablet)), bad);
    // Of another user of the same key.
    let bob = Person {
        account_key: sordino_crypto::SigningKey::from_seed(&alice.account_key.seed()),
        ..Person::new(&mut world, "bob")
    };
    let refused = thief.refused(&mut world, bob.put(&thief));
    assert_eq!(refused, AccountReject::InvalidCredential);
}

#[test]
fn two_devices_share_neither_key_nor_name() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let twin = Phone {
        client: alice.device(&mut world).client,
        key: sordino_crypto::SigningKey::from_seed(&alice.phone.key.seed()),
        handle: alice.handle.clone(),
    };
    let refused = twin.refused(&mut world, alice.put(&twin));
    assert_eq!(refused, AccountReject::InvalidCredential);
}

#[test]
fn devices_are_bounded() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    for _ in 1..MAX_ACCOUNT_CLIENTS {
        let device = alice.device(&mut world);
        assert_eq!(device.send(&mut world, alice.put(&device)), DONE);
    }
    let one_more = alice.device(&mut world);
    let refused = one_more.refused(&mut world, alice.put(&one_more));
    assert_eq!(refused, AccountReject::LimitReached { limit: 16 });
    // One that is in can still renew.
    assert_eq!(alice.phone.send(&mut world, alice.put(&alice.phone)), DONE);
}

#[test]
fn a_device_that_was_left_out_is_revoked_and_does_not_come_back() {
    let mut world = World::new(WORK);
    let mut alice = world.registered("alice");
    let lost = alice.device(&mut world);
    assert_eq!(lost.send(&mut world, alice.put(&lost)), DONE);
    let old_word = alice.put(&lost);
    let replacement = alice.replacement(&key(8), &[&alice.phone]);
    let body = AccountRequestBody::ReplaceAccountKey(replacement);
    assert_eq!(alice.phone.send(&mut world, body), DONE);
    alice.account_key = key(8);
    for body in [
        AccountRequestBody::ReadAccount,
        old_word,
        AccountRequestBody::ReplaceConnectionKey(alice.signed_key()),
    ] {
        let refused = lost.refused(&mut world, body);
        assert_eq!(refused, AccountReject::BadAuthentication);
    }
    let view = alice.phone.account(&mut world);
    assert_eq!(view.clients.as_slice(), [alice.credential(&alice.phone)]);
    assert_eq!(view.entry.account_key, key(8).public());
    // A new word lets even that one in.
    assert_eq!(lost.send(&mut world, alice.put(&lost)), DONE);
}

#[test]
fn of_two_changes_on_one_state_both_happen_one_after_the_other() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let devices = [alice.device(&mut world), alice.device(&mut world)];
    let bytes = devices
        .each_ref()
        .map(|device| device.bytes(&mut world, alice.put(device)));
    let sordino_accounts::Step::Commit(stale) = world.step(&bytes[0], Endpoint::Accounts) else {
        panic!("not a commit");
    };
    assert_eq!(world.handle(&bytes[1], Endpoint::Accounts), DONE);
    assert!(world.store.apply(stale.changes).is_err());
    assert_eq!(world.handle(&bytes[0], Endpoint::Accounts), DONE);
    assert_eq!(alice.phone.account(&mut world).clients.len(), 3);
}
