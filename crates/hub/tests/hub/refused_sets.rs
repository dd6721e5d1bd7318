//! Key-package sets: what is refused, and that a refusal changes nothing.

use crate::pool::{Pool, entry, nonce, single, whole};
use crate::scene::group_of;
use crate::support::{Kind, World, done, possession_bytes};
use sordino_hub::Endpoint;
use sordino_wire::limits::{
    MAX_POOL_SETS, MAX_SERVED_TAGS, MAX_SET_DAYS, MAX_SET_DEVICES, MAX_SET_ENTRIES_PER_REQUEST,
};
use sordino_wire::{DeviceTag, Reject, SetTag};

/// A pool with one complete set and half of another.
fn pool_with_sets(seed: u64) -> (World, Pool) {
    let mut world = World::new(seed);
    let pool = Pool::new(1);
    let mut entries = whole(&mut world, 1, 2, 20);
    entries.push(entry(&mut world, 2, 1, 2, 20));
    pool.publish(&mut world, &entries);
    (world, pool)
}

#[test]
fn a_wrong_owner() {
    let (mut world, pool) = pool_with_sets(721);
    let other = pool.without_owner();
    let set = single(&mut world, 3, 20);
    let bad = Reject::BadAuthentication;
    assert_eq!(other.refused(&mut world, &[set]), bad);
    // With nothing to put, or only something to drop.
    assert_eq!(world.refused_ask(other.publishes(&[], &[])), bad);
    assert_eq!(
        world.refused_ask(other.publishes(&[], &[SetTag([1; 16])])),
        bad
    );
    assert_eq!(world.refused_ask(other.inspects()), bad);
    assert_eq!(world.refused_ask(other.drops()), bad);
    // Nor after the pool was dropped.
    done(world.ask(pool.drops()));
    let set = single(&mut world, 3, 20);
    assert_eq!(other.refused(&mut world, &[set]), bad);
}

#[test]
fn entries_of_a_set_that_disagree() {
    let (mut world, pool) = pool_with_sets(722);
    let mut suite = entry(&mut world, 2, 2, 2, 20);
    suite.cipher_suite = 2;
    let day = entry(&mut world, 2, 2, 2, 21);
    for wrong in [suite, day] {
        let invalid = pool.refused(&mut world, std::slice::from_ref(&wrong));
        assert_eq!(invalid, Reject::InvalidSet);
        // Beside entries that are right, too; and a device cannot change its own set's.
        let mut own = wrong.clone();
        own.device_tag = DeviceTag([1; 16]);
        let right = entry(&mut world, 2, 2, 2, 20);
        assert_eq!(
            pool.refused(&mut world, &[right, wrong]),
            Reject::InvalidSet
        );
        assert_eq!(pool.refused(&mut world, &[own]), Reject::InvalidSet);
    }
    // Within one request.
    let mut two = whole(&mut world, 3, 2, 20);
    two[1].cipher_suite = 7;
    assert_eq!(pool.refused(&mut world, &two), Reject::InvalidSet);
}

#[test]
fn a_tag_that_was_served() {
    let (mut world, pool) = pool_with_sets(723);
    let again = whole(&mut world, 1, 2, 20);
    pool.fetch(&mut world);
    assert_eq!(pool.refused(&mut world, &again), Reject::InvalidSet);
    // With other contents, another day, by another device.
    let other = [entry(&mut world, 1, 9, 1, 30)];
    assert_eq!(pool.refused(&mut world, &other), Reject::InvalidSet);
    // After it was dropped, and on its last day.
    done(world.ask(pool.publishes(&[], &[SetTag([1; 16])])));
    done(world.ask(pool.drops()));
    assert_eq!(pool.refused(&mut world, &again), Reject::InvalidSet);
    world.pass_days(20);
    assert_eq!(pool.refused(&mut world, &again), Reject::InvalidSet);
    world.pass_days(1);
    assert_eq!(pool.refused(&mut world, &again), Reject::InvalidSet);
}

#[test]
fn a_day_that_has_passed_or_is_too_far() {
    let (mut world, pool) = pool_with_sets(724);
    let mut past = single(&mut world, 3, 0);
    past.last_day -= 1;
    let far = single(&mut world, 3, MAX_SET_DAYS + 1);
    let mut never = single(&mut world, 3, 0);
    never.last_day = u32::MAX;
    for wrong in [past, far, never] {
        assert_eq!(pool.refused(&mut world, &[wrong]), Reject::InvalidSet);
    }
    let edges = [
        single(&mut world, 3, 0),
        single(&mut world, 4, MAX_SET_DAYS),
    ];
    pool.publish(&mut world, &edges);
}

#[test]
fn a_number_of_devices_that_no_user_has() {
    let (mut world, pool) = pool_with_sets(725);
    let most = u8::try_from(MAX_SET_DEVICES).unwrap();
    for devices in [0, most + 1, u8::MAX] {
        let wrong = entry(&mut world, 3, 1, devices, 20);
        assert_eq!(pool.refused(&mut world, &[wrong]), Reject::InvalidSet);
    }
    // More entries than a set has room for: the last one is refused, replacing is not.
    let full = whole(&mut world, 3, most, 20);
    for part in full.chunks(MAX_SET_ENTRIES_PER_REQUEST) {
        pool.publish(&mut world, part);
    }
    let over = entry(&mut world, 3, most + 1, most, 20);
    assert_eq!(pool.refused(&mut world, &[over]), Reject::InvalidSet);
    let replaced = entry(&mut world, 3, most, most, 20);
    pool.publish(&mut world, &[replaced]);
}

#[test]
fn more_sets_than_a_pool_holds() {
    let mut world = World::new(726);
    let pool = Pool::new(1);
    let most = u8::try_from(MAX_POOL_SETS).unwrap();
    let sets: Vec<_> = (0..most).map(|tag| single(&mut world, tag, 20)).collect();
    pool.publish(&mut world, &sets);
    let limit = u32::from(most);
    let over = single(&mut world, most, 20);
    let refused = pool.refused(&mut world, std::slice::from_ref(&over));
    assert_eq!(refused, Reject::LimitReached { limit });
    // Dropping another that is not there makes no room.
    let body = pool.publishes(std::slice::from_ref(&over), &[SetTag([99; 16])]);
    assert_eq!(world.refused_ask(body), Reject::LimitReached { limit });
    // A fetch makes room.
    pool.fetch(&mut world);
    pool.publish(&mut world, &[over]);
}

/// Served tags count from the moment a set is published, so that no fetch is refused for them.
#[test]
fn more_served_tags_than_a_pool_remembers() {
    let mut world = World::new(727);
    let pool = Pool::new(1);
    for number in 0..MAX_SERVED_TAGS {
        let mut set = single(&mut world, 0, 20);
        set.set_tag.0[..2].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
        pool.publish(&mut world, &[set]);
        pool.fetch(&mut world);
    }
    let limit = u32::try_from(MAX_SERVED_TAGS).unwrap();
    let over = single(&mut world, 0xee, 20);
    let refused = pool.refused(&mut world, std::slice::from_ref(&over));
    assert_eq!(refused, Reject::LimitReached { limit });
    // Their day passes, and there is room again.
    world.pass_days(21);
    let new = single(&mut world, 0xee, 20);
    pool.publish(&mut world, &[new]);
}

/// One answer, so that nobody tells a pool that is empty from one that is not there.
#[test]
fn nothing_to_fetch() {
    let (mut world, pool) = pool_with_sets(728);
    let unknown = Pool::new(9);
    unknown.assert_empty(&mut world);
    pool.fetch(&mut world);
    pool.assert_empty(&mut world); // the half set that is left is not complete
    done(world.ask(pool.drops()));
    pool.assert_empty(&mut world);
    // The answers are the same to the byte.
    let answers = [&unknown, &pool].map(|pool| {
        let body = pool.fetches(nonce(&mut world));
        let before = world.store.clone();
        let answer = world.ask(body);
        assert!(world.store == before);
        sordino_wire::encode(&answer).unwrap()
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_nonce_that_served_another_request() {
    let (mut world, pool) = pool_with_sets(729);
    let other = Pool::new(2);
    let set = single(&mut world, 1, 20);
    other.publish(&mut world, &[set]);
    let asked = nonce(&mut world);
    pool.fetch_with(&mut world, asked);
    assert_eq!(world.refused_ask(other.fetches(asked)), Reject::Replayed);
    let unknown = Pool::new(9);
    assert_eq!(world.refused_ask(unknown.fetches(asked)), Reject::Replayed);
    other.fetch(&mut world);
}

/// Nobody shows a leaf, or signs as anybody, beside a token.
#[test]
fn an_authentication_that_says_who() {
    let (mut world, members) = group_of(730, 1);
    let pool = Pool::new(1);
    let set = single(&mut world, 1, 20);
    pool.publish(&mut world, &[set]);
    for kind in [Kind::Epoch, Kind::Leaf, Kind::User, Kind::Joiner] {
        let set = single(&mut world, 3, 20);
        let asked = nonce(&mut world);
        let bodies = [
            pool.publishes(&[set], &[]),
            pool.fetches(asked),
            pool.inspects(),
            pool.drops(),
        ];
        for body in bodies {
            let signing = members[0].signing(&mut world);
            let bytes = signing.bytes(&world, kind, body);
            let refused = world.refused(&bytes, Endpoint::GroupKeyPackages);
            assert_eq!(refused, Reject::BadAuthentication);
        }
    }
}

#[test]
fn another_address() {
    let (mut world, pool) = pool_with_sets(731);
    let asked = nonce(&mut world);
    let set = single(&mut world, 3, 20);
    let bodies = [
        pool.publishes(&[set], &[]),
        pool.fetches(asked),
        pool.inspects(),
        pool.drops(),
    ];
    for body in bodies {
        let bytes = possession_bytes(body);
        for endpoint in [
            Endpoint::GroupOperation,
            Endpoint::WelcomeInformation,
            Endpoint::ExternalCommitInformation,
            Endpoint::Streams,
            Endpoint::Inboxes,
        ] {
            assert_eq!(world.refused(&bytes, endpoint), Reject::WrongEndpoint);
        }
    }
    // Nor is anything else taken where sets are.
    let inbox = sordino_wire::RequestBody::ReadInbox(sordino_wire::ReadInbox {
        inbox_secret: sordino_wire::Secret32::new([1; 32]),
        from: 0,
        wait_s: 0,
    });
    let bytes = possession_bytes(inbox);
    let refused = world.refused(&bytes, Endpoint::GroupKeyPackages);
    assert_eq!(refused, Reject::WrongEndpoint);
}

#[test]
fn every_prefix_of_an_upload() {
    let (mut world, pool) = pool_with_sets(732);
    let set = single(&mut world, 3, 20);
    let bytes = possession_bytes(pool.publishes(&[set], &[]));
    for length in 0..bytes.len() {
        let refused = world.refused(&bytes[..length], Endpoint::GroupKeyPackages);
        assert_eq!(refused, Reject::Malformed);
    }
}
