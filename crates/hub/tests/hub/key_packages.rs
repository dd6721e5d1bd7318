//! Key-package sets: what publishing, looking, fetching and dropping do.

use crate::pool::{Pool, entry, nonce, single, whole};
use crate::support::{World, done};
use sordino_hub::{Endpoint, Step};
use sordino_wire::limits::{
    MAX_POOL_SETS, MAX_SET_DAYS, MAX_SET_DEVICES, MAX_SET_ENTRIES_PER_REQUEST, POOL_IDLE_DAYS,
};
use sordino_wire::{DeviceTag, ResponseBody, SetTag};
use std::collections::BTreeSet;

#[test]
fn a_set_is_fetched_as_it_was_published_and_once() {
    let mut world = World::new(701);
    let pool = Pool::new(1);
    let set = whole(&mut world, 1, 3, 20);
    // Each device publishes its own entry; the set is there when the last one has.
    for one in &set {
        pool.assert_empty(&mut world);
        pool.publish(&mut world, std::slice::from_ref(one));
    }
    let fetched = pool.fetch(&mut world);
    assert_eq!(fetched.entries.as_slice(), set);
    assert_eq!(fetched.left, 0);
    pool.assert_empty(&mut world);
    assert_eq!(world.store.records.len(), 1, "entries of a served set stay");
}

#[test]
fn the_set_that_ends_first_is_fetched_first() {
    let mut world = World::new(702);
    let pool = Pool::new(1);
    let days = [30, 10, 20];
    let sets: Vec<_> = (1u8..)
        .zip(days)
        .map(|(tag, days)| single(&mut world, tag, days))
        .collect();
    pool.publish(&mut world, &sets);
    for (tag, left) in [(2, 2), (3, 1), (1, 0)] {
        let fetched = pool.fetch(&mut world);
        assert_eq!(fetched.entries.as_slice()[0].set_tag, SetTag([tag; 16]));
        assert_eq!(fetched.left, left);
    }
    pool.assert_empty(&mut world);
}

#[test]
fn an_incomplete_set_is_never_fetched() {
    let mut world = World::new(703);
    let pool = Pool::new(1);
    let first = single(&mut world, 1, 20);
    pool.publish(&mut world, &[first]);
    // A sibling knows of three devices: what was complete is so no longer.
    let second = entry(&mut world, 1, 2, 3, 20);
    pool.publish(&mut world, &[second]);
    pool.assert_empty(&mut world);
    let state = pool.state(&mut world);
    assert_eq!(state.sets.as_slice()[0].devices, 3);
    assert_eq!(state.sets.as_slice()[0].device_tags.len(), 2);
    // One that knows of fewer does not lower the number.
    let first_again = entry(&mut world, 1, 1, 1, 20);
    pool.publish(&mut world, &[first_again]);
    pool.assert_empty(&mut world);
    let third = entry(&mut world, 1, 3, 2, 20);
    pool.publish(&mut world, &[third]);
    assert_eq!(pool.fetch(&mut world).entries.len(), 3);
}

#[test]
fn the_largest_set_goes_through() {
    let mut world = World::new(704);
    let pool = Pool::new(1);
    let devices = u8::try_from(MAX_SET_DEVICES).unwrap();
    let set = whole(&mut world, 1, devices, MAX_SET_DAYS);
    for part in set.chunks(MAX_SET_ENTRIES_PER_REQUEST) {
        pool.publish(&mut world, part);
    }
    assert_eq!(pool.fetch(&mut world).entries.as_slice(), set);
}

#[test]
fn a_device_replaces_its_own_entry_and_no_other() {
    let mut world = World::new(705);
    let pool = Pool::new(1);
    let set = whole(&mut world, 1, 2, 20);
    pool.publish(&mut world, &set);
    let records = world.store.records.len();
    let again = entry(&mut world, 1, 2, 2, 20);
    pool.publish(&mut world, std::slice::from_ref(&again));
    assert_eq!(world.store.records.len(), records, "the former entry goes");
    let fetched = pool.fetch(&mut world);
    assert_eq!(fetched.entries.as_slice(), [set[0].clone(), again]);
}

#[test]
fn of_two_entries_of_one_device_in_one_request_the_last_counts() {
    let mut world = World::new(706);
    let pool = Pool::new(1);
    let two = [single(&mut world, 1, 20), single(&mut world, 1, 20)];
    pool.publish(&mut world, &two);
    assert_eq!(world.store.records.len(), 2, "the pool and one entry");
    assert_eq!(pool.fetch(&mut world).entries.as_slice(), &two[1..]);
}

#[test]
fn sets_are_dropped_after_new_ones_are_in() {
    let mut world = World::new(707);
    let pool = Pool::new(1);
    let sets: Vec<_> = (0..u8::try_from(MAX_POOL_SETS).unwrap())
        .map(|tag| single(&mut world, tag, 20))
        .collect();
    pool.publish(&mut world, &sets);
    // Full, and yet one can be put in place of another.
    let new = single(&mut world, 100, 1);
    let replace = pool.publishes(std::slice::from_ref(&new), &[SetTag([0; 16])]);
    done(world.ask(replace));
    assert_eq!(world.store.records.len(), 1 + MAX_POOL_SETS);
    assert_eq!(pool.fetch(&mut world).entries.as_slice(), [new]);
    // A set that was dropped was not served: it may come back.
    pool.publish(&mut world, &sets[..1]);
    assert!(
        pool.state(&mut world)
            .sets
            .iter()
            .any(|s| s.set_tag == SetTag([0; 16]))
    );
    // One that is put and dropped at once is not there; dropping what is not there is nothing.
    let new = single(&mut world, 101, 1);
    let tags = [SetTag([101; 16]), SetTag([102; 16]), SetTag([1; 16])];
    done(world.ask(pool.publishes(&[new], &tags)));
    assert_eq!(
        world.store.records.len(),
        MAX_POOL_SETS,
        "the pool and one set less"
    );
}

#[test]
fn its_owner_sees_a_pool_and_changes_nothing_by_looking() {
    let mut world = World::new(708);
    let pool = Pool::new(1);
    let state = pool.state(&mut world);
    assert!(state.sets.is_empty() && state.served.is_empty());
    assert!(world.store.records.is_empty());
    let set = whole(&mut world, 1, 2, 20);
    let half = entry(&mut world, 2, 7, 2, 30);
    pool.publish(&mut world, &set);
    pool.publish(&mut world, &[half]);
    pool.fetch(&mut world);
    let before = world.store.clone();
    let state = pool.state(&mut world);
    assert!(world.store == before);
    assert_eq!(state.served.as_slice(), [SetTag([1; 16])]);
    let [left] = state.sets.as_slice() else {
        panic!("one set is left")
    };
    assert_eq!((left.set_tag, left.devices), (SetTag([2; 16]), 2));
    assert_eq!(left.device_tags.as_slice(), [DeviceTag([7; 16])]);
    assert_eq!(left.last_day, world.today() + 30);
}

#[test]
fn the_same_fetch_again_gets_the_same_set() {
    let mut world = World::new(709);
    let pool = Pool::new(1);
    let sets = [single(&mut world, 1, 10), single(&mut world, 2, 20)];
    pool.publish(&mut world, &sets);
    let asked = nonce(&mut world);
    let first = pool.fetch_with(&mut world, asked);
    let before = world.store.clone();
    assert_eq!(pool.fetch_with(&mut world, asked), first);
    assert!(world.store == before, "a repeated fetch changed the store");
    // After everything else is gone, too.
    pool.fetch(&mut world);
    done(world.ask(pool.drops()));
    assert_eq!(pool.fetch_with(&mut world, asked), first);
}

#[test]
fn of_two_fetches_at_once_each_gets_a_set_of_its_own() {
    let mut world = World::new(710);
    let pool = Pool::new(1);
    let sets = [single(&mut world, 1, 10), single(&mut world, 2, 20)];
    pool.publish(&mut world, &sets);
    let steps = [1, 2].map(|n| {
        let bytes = crate::support::possession_bytes(pool.fetches([n; 16]));
        world.step(&bytes, Endpoint::GroupKeyPackages)
    });
    let [Step::Commit(first), Step::Commit(second)] = steps else {
        panic!("both see a set")
    };
    // Both would take the same one; the store lets one of them.
    assert!(first.reply == second.reply);
    world.store.apply(first.changes).unwrap();
    assert!(world.store.apply(second.changes).is_err());
    assert!(ResponseBody::KeyPackages(pool.fetch_with(&mut world, [1; 16])) == first.reply);
    let again = pool.fetch_with(&mut world, [2; 16]);
    assert!(ResponseBody::KeyPackages(again) != first.reply);
    pool.assert_empty(&mut world);
}

#[test]
fn a_dropped_pool_is_empty_and_stays_its_owners() {
    let mut world = World::new(711);
    let pool = Pool::new(1);
    done(world.ask(pool.drops()));
    assert!(
        world.store.records.is_empty(),
        "dropping nothing leaves nothing"
    );
    let sets = [single(&mut world, 1, 10), single(&mut world, 2, 20)];
    pool.publish(&mut world, &sets);
    pool.fetch(&mut world);
    done(world.ask(pool.drops()));
    assert_eq!(world.store.records.len(), 1, "no entry stays");
    pool.assert_empty(&mut world);
    // Again, as after a lost answer.
    done(world.ask(pool.drops()));
    let state = pool.state(&mut world);
    assert!(state.sets.is_empty());
    assert_eq!(
        state.served.as_slice(),
        [SetTag([1; 16])],
        "served stays served"
    );
    let new = single(&mut world, 3, 10);
    pool.publish(&mut world, &[new]);
    assert_eq!(pool.fetch(&mut world).entries.len(), 1);
}

#[test]
fn a_set_can_be_fetched_on_its_last_day_and_not_after() {
    let mut world = World::new(712);
    let pool = Pool::new(1);
    let sets = [
        single(&mut world, 1, 3),
        single(&mut world, 2, 3),
        single(&mut world, 3, 9),
    ];
    pool.publish(&mut world, &sets);
    world.pass_days(3);
    assert_eq!(pool.fetch(&mut world).left, 2);
    world.pass_days(1);
    // The second has ended, the first is no longer remembered as served: it cannot come back, since
    // its day has passed.
    let state = pool.state(&mut world);
    assert_eq!(state.sets.len(), 1);
    assert!(state.served.is_empty());
    let fetched = pool.fetch(&mut world);
    assert_eq!(fetched.entries.as_slice()[0].set_tag, SetTag([3; 16]));
    assert_eq!(fetched.left, 0);
    pool.assert_empty(&mut world);
}

#[test]
fn a_pool_that_nobody_touches_is_forgotten() {
    let mut world = World::new(713);
    let pool = Pool::new(1);
    let set = single(&mut world, 1, 3);
    pool.publish(&mut world, &[set]);
    world.pass_days(4);
    assert_eq!(world.store.records.len(), 1, "the entry went with its day");
    world.pass_days(POOL_IDLE_DAYS);
    assert!(world.store.records.is_empty());
}

#[test]
fn pools_do_not_touch_one_another() {
    let mut world = World::new(714);
    let (one, two) = (Pool::new(1), Pool::new(2));
    let sets = [single(&mut world, 1, 10), single(&mut world, 1, 10)];
    one.publish(&mut world, &sets[..1]);
    two.publish(&mut world, &sets[1..]);
    assert_eq!(one.fetch(&mut world).entries.as_slice(), &sets[..1]);
    one.assert_empty(&mut world);
    done(world.ask(one.drops()));
    assert_eq!(two.fetch(&mut world).entries.as_slice(), &sets[1..]);
}

/// Who reads the disk learns neither how many sets a pool holds nor of how many devices.
#[test]
fn pools_have_one_size_and_entries_have_one_size() {
    let mut world = World::new(715);
    let mut pool_sizes = BTreeSet::new();
    let mut entry_sizes = BTreeSet::new();
    let largest = u8::try_from(MAX_SET_DEVICES).unwrap();
    let sets = u8::try_from(MAX_POOL_SETS).unwrap();
    for (number, devices, count) in [(1u8, 1, 1), (2, 3, 2), (3, largest, sets), (4, 1, sets)] {
        let pool = Pool::new(number);
        let others: BTreeSet<_> = world.store.records.keys().copied().collect();
        for tag in 0..count {
            let set = whole(&mut world, tag, devices, 20);
            for part in set.chunks(MAX_SET_ENTRIES_PER_REQUEST) {
                pool.publish(&mut world, part);
            }
        }
        pool.fetch(&mut world);
        let mut sizes: Vec<usize> = (world.store.records.iter())
            .filter(|(key, _)| !others.contains(*key))
            .map(|(_, row)| row.value.len())
            .collect();
        // The pool is the largest record; an entry is an eighth of it.
        sizes.sort_unstable();
        pool_sizes.insert(sizes.pop().unwrap());
        assert_eq!(sizes.len(), usize::from(devices) * (usize::from(count) - 1));
        entry_sizes.extend(sizes);
    }
    assert_eq!(pool_sizes.len(), 1, "{pool_sizes:?}");
    assert_eq!(entry_sizes.len(), 1, "{entry_sizes:?}");
}
