//! Connection requests wait, are read and settled.

use crate::world::*;
use sordino_accounts::{Endpoint, Step};
use sordino_wire::limits::{CONNECTION_REQUEST_DAYS, MAX_STREAM_WAIT_S};
use sordino_wire::{AccountReject, AccountRequestBody, ReadConnectionRequests, StreamPage, encode};

fn numbers(page: &StreamPage) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let number = bytes[1];
        assert_eq!(bytes, encode(&sealed(number)).unwrap());
        number
    };
    page.entries
        .iter()
        .map(|entry| number(entry.entry.as_slice()))
        .collect()
}

#[test]
fn requests_are_read_in_order_by_every_device() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let tablet = alice.device(&mut world);
    assert_eq!(tablet.send(&mut world, alice.put(&tablet)), DONE);
    for number in [3, 1, 2] {
        assert_eq!(world.ask(asking("alice", number)), DONE);
    }
    world.ask(asking("bob", 9));
    let page = alice.phone.requests(&mut world, 0);
    assert_eq!(numbers(&page), [3, 1, 2]);
    assert_eq!(tablet.requests(&mut world, 0), page);
    let end = alice.phone.requests(&mut world, page.next);
    assert_eq!((numbers(&end), end.next), (vec![], page.next));
    let second = page.entries.as_slice()[1].number;
    assert_eq!(numbers(&alice.phone.requests(&mut world, second)), [1, 2]);
    world.ask(asking("alice", 4));
    assert_eq!(numbers(&alice.phone.requests(&mut world, page.next)), [4]);
}

#[test]
fn a_request_waits_once() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    for _ in 0..3 {
        assert_eq!(world.ask(asking("alice", 1)), DONE);
    }
    assert_eq!(numbers(&alice.phone.requests(&mut world, 0)), [1]);
}

#[test]
fn what_is_settled_is_shown_to_no_device_and_makes_room() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    for number in 0..64 {
        world.ask(asking("alice", number));
    }
    let settled = vec![hash(&sealed(5)), hash(&sealed(6)), hash(&sealed(222))];
    assert_eq!(alice.phone.settle(&mut world, settled), DONE);
    let page = alice.phone.requests(&mut world, 0);
    assert_eq!(page.entries.len(), 62);
    assert!(!numbers(&page).contains(&5) && !numbers(&page).contains(&6));
    for number in [100, 101, 102] {
        world.ask(asking("alice", number));
    }
    assert_eq!(
        numbers(&alice.phone.requests(&mut world, page.next)),
        [100, 101]
    );
}

#[test]
fn a_request_may_come_again_after_it_was_settled() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    world.ask(asking("alice", 1));
    alice.phone.settle(&mut world, vec![hash(&sealed(1))]);
    let page = alice.phone.requests(&mut world, 0);
    assert!(page.entries.is_empty());
    world.ask(asking("alice", 1));
    assert_eq!(numbers(&alice.phone.requests(&mut world, page.next)), [1]);
}

#[test]
fn many_settled_ones_do_not_hide_what_waits() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    for round in 0..20_u8 {
        let batch = (0..60).map(|n| (round % 2) * 60 + n);
        for number in batch.clone() {
            world.ask(asking("alice", number));
        }
        let hashes = batch.map(|n| hash(&sealed(n))).collect();
        assert_eq!(alice.phone.settle(&mut world, hashes), DONE);
    }
    world.ask(asking("alice", 250));
    let page = alice.phone.requests(&mut world, 0);
    assert_eq!(numbers(&page), [250]);
    assert!(
        alice
            .phone
            .requests(&mut world, page.next)
            .entries
            .is_empty()
    );
}

#[test]
fn a_request_waits_for_its_days() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    world.ask(asking("alice", 1));
    world.pass_days(CONNECTION_REQUEST_DAYS - 1);
    world.ask(asking("alice", 2));
    world.pass_days(1);
    assert_eq!(numbers(&alice.phone.requests(&mut world, 0)), [1, 2]);
    world.pass_days(1);
    let page = alice.phone.requests(&mut world, 0);
    assert_eq!(numbers(&page), [2]);
    world.pass_days(CONNECTION_REQUEST_DAYS);
    let page = alice.phone.requests(&mut world, page.next);
    assert!(page.entries.is_empty());
    // Its place is free again.
    for number in 0..64 {
        world.ask(asking("alice", number));
    }
    let page = alice.phone.requests(&mut world, page.next);
    assert_eq!(page.entries.len(), 64);
}

#[test]
fn what_came_before_an_account_or_after_it_is_nobodys() {
    let mut world = World::new(WORK);
    for number in 0..64 {
        world.ask(asking("alice", number));
    }
    let alice = world.registered("alice");
    assert!(alice.phone.requests(&mut world, 0).entries.is_empty());
    // It takes no room either.
    world.ask(asking("alice", 100));
    assert_eq!(numbers(&alice.phone.requests(&mut world, 0)), [100]);
    let waiting = world.store.records.len();
    alice.delete(&mut world);
    assert_eq!(world.store.records.len(), waiting - 1);
}

#[test]
fn a_reader_waits_for_the_first_request() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let read = |from, wait_s| {
        AccountRequestBody::ReadConnectionRequests(ReadConnectionRequests { from, wait_s })
    };
    let too_long = read(0, MAX_STREAM_WAIT_S + 1);
    let refused = alice.phone.refused(&mut world, too_long);
    assert_eq!(refused, AccountReject::TooLarge { limit: 60 });
    let bytes = alice.phone.bytes(&mut world, read(0, 60));
    let Step::Wait { logs, wait_s, .. } = world.step(&bytes, Endpoint::Accounts) else {
        panic!("does not wait");
    };
    assert_eq!((logs.len(), wait_s), (1, 60));
    world.ask(asking("alice", 1));
    let grown = world.store.entries().any(|(log, _)| *log == logs[0]);
    assert!(grown, "it waits for another log");
    let step = world.step(&bytes, Endpoint::Accounts);
    assert!(
        matches!(step, Step::Answer(_)),
        "there is something to read"
    );
}
