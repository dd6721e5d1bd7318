//! What lies in the store.

use crate::world::*;
use sordino_crypto::{Space, unpad};
use sordino_effects::{address, open_record};
use sordino_wire::limits::{MAX_ACCOUNT_CLIENTS, MAX_URI_BYTES};
use sordino_wire::{AccountRequestBody, IdentifierUri};
use std::collections::BTreeSet;

fn account_sizes(world: &World, names: &[&str]) -> BTreeSet<usize> {
    let size = |name: &&str| {
        let address = address(&world.outer, Space::Account, name.as_bytes()).unwrap();
        world.store.records[&address.store_key].value.len()
    };
    names.iter().map(size).collect()
}

#[test]
fn all_accounts_have_one_size() {
    let mut world = World::new(WORK);
    world.registered("a1");
    world.registered("gone").delete(&mut world);
    let mut largest = world.registered("a-handle-of-the-longest-kind-3-2");
    assert_eq!(largest.handle.as_str().len(), 32);
    // All devices that there can be, with the longest names.
    for number in 0..MAX_ACCOUNT_CLIENTS {
        let mut device = largest.device(&mut world);
        let base = format!("mimi://hub.example/d/{number:02}");
        let filler = "x".repeat(MAX_URI_BYTES - base.len());
        device.client = IdentifierUri::new(base + &filler).unwrap();
        if number == 0 {
            device.key = sordino_crypto::SigningKey::from_seed(&[77; 32]);
            let replacement = largest.replacement(&key(8), &[&largest.phone]);
            let body = AccountRequestBody::ReplaceAccountKey(replacement);
            assert_eq!(largest.phone.send(&mut world, body), DONE);
            largest.account_key = key(8);
            device = Phone {
                key: sordino_crypto::SigningKey::from_seed(&largest.phone.key.seed()),
                client: device.client,
                handle: device.handle,
            };
            // The first one takes a long name by a new account key.
            let replacement = largest.replacement(&key(9), &[&device]);
            let body = AccountRequestBody::ReplaceAccountKey(replacement);
            assert_eq!(largest.phone.send(&mut world, body), DONE);
            largest.account_key = key(9);
            continue;
        }
        assert_eq!(device.send(&mut world, largest.put(&device)), DONE);
    }
    let view = largest.phone.account(&mut world);
    assert_eq!(view.clients.len(), MAX_ACCOUNT_CLIENTS);
    assert!(
        view.clients
            .iter()
            .all(|c| c.client.as_str().len() == MAX_URI_BYTES)
    );
    let sizes = account_sizes(&world, &["a1", "gone", largest.handle.as_str()]);
    assert_eq!(sizes.len(), 1, "{sizes:?}");
}

#[test]
fn lists_of_what_waits_have_one_size() {
    let mut world = World::new(WORK);
    world.ask(asking("one", 1));
    for number in 0..64 {
        world.ask(asking("many", number));
    }
    let sizes: BTreeSet<_> = world
        .store
        .records
        .values()
        .map(|r| r.value.len())
        .collect();
    assert_eq!(sizes.len(), 1, "{sizes:?}");
    let sizes: BTreeSet<_> = world
        .store
        .entries()
        .map(|(_, value)| value.len())
        .collect();
    assert_eq!(sizes.len(), 1, "{sizes:?}");
}

#[test]
fn an_account_opens_to_who_knows_its_handle_and_has_the_operators_keys() {
    let mut world = World::new(WORK);
    world.registered("alice");
    let outer = &world.outer;
    let address = address(outer, Space::Account, b"alice").unwrap();
    let layer = |name: &str| outer.index().account_layer(&handle(name)).unwrap();
    let open = |name: &str| open_record(outer, &world.store, &address, &layer(name)).unwrap();
    let opened = open("alice").unwrap().value;
    assert!(open("alicf").is_none());
    // The handle itself is not even inside.
    assert!(!opened.windows(5).any(|window| window == b"alice"));
}

#[test]
fn what_waited_dies_with_its_window() {
    let mut world = World::new(WORK);
    world.ask(asking("alice", 1));
    let address = address(&world.outer, Space::Waiting, b"alice").unwrap();
    let kept = world.store.records[&address.store_key].value.clone();
    let open = |world: &World| world.outer.open_window(&address, &kept);
    let padded = open(&world).unwrap();
    assert!(unpad(&padded).unwrap().len() > 32);
    let last_day = world.store.records[&address.store_key].expires_day.unwrap();
    assert_eq!(last_day, world.today() + 30);
    let rolled = world
        .outer
        .roll_windows(last_day + 1, 100, &mut world.rng, |_| {
            Ok::<(), sordino_crypto::CryptoError>(())
        });
    rolled.unwrap();
    assert!(open(&world).is_err());
}
