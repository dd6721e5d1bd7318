//! Key-package sets and deposits: what they do, and every refusal, after which nothing changed.

use crate::support::{Inbox, World, done, rejected};
use sordino_crypto::{ContactToken, Space, open_inbox_delivery, sha256};
use sordino_hub::Endpoint;
use sordino_wire::limits::{
    MAX_INBOX_DELIVERIES, MAX_POOL_SETS, MAX_SET_DAYS, MAX_SET_DEVICES, SET_ENTRY_CIPHERTEXT_BYTES,
};
use sordino_wire::{
    Authentication, Bytes, Deposit, DeviceTag, DropKeyPackages, DsRequest, FetchKeyPackages,
    FetchedSet, HpkeCiphertext, InboxDelivery, InspectKeyPackages, List, Nonce, OpenInbox,
    PoolState, PublishKeyPackages, ReadInbox, Reject, RequestBody, ResponseBody, Salt, Secret32,
    SetEntry, SetTag, exact,
};
use std::collections::BTreeSet;

const TOKEN: [u8; 32] = [1; 32];
const OWNER: [u8; 32] = [2; 32];

fn entry(world: &World, tag: u8, device: u8, devices: u8) -> SetEntry {
    SetEntry {
        set_tag: SetTag([tag; 16]),
        device_tag: DeviceTag([device; 16]),
        devices,
        cipher_suite: 1,
        last_day: world.today() + 30,
        salt: Salt([tag; 16]),
        ciphertext: Bytes::new(vec![device; SET_ENTRY_CIPHERTEXT_BYTES]).unwrap(),
    }
}

fn publish_as(owner: [u8; 32], entries: Vec<SetEntry>, drop: Vec<SetTag>) -> RequestBody {
    RequestBody::PublishKeyPackages(PublishKeyPackages {
        contact_token: Secret32::new(TOKEN),
        owner_secret: Secret32::new(owner),
        entries: List::new(entries).unwrap(),
        drop: List::new(drop).unwrap(),
    })
}

fn publish(entries: Vec<SetEntry>) -> RequestBody {
    publish_as(OWNER, entries, Vec::new())
}

fn fetch_with(token: [u8; 32], nonce: u8) -> RequestBody {
    RequestBody::FetchKeyPackages(FetchKeyPackages {
        contact_token: Secret32::new(token),
        nonce: Nonce([nonce; 16]),
    })
}

fn fetch(nonce: u8) -> RequestBody {
    fetch_with(TOKEN, nonce)
}

#[track_caller]
fn fetched(answer: ResponseBody) -> FetchedSet {
    match answer {
        ResponseBody::KeyPackages(set) => set,
        other => panic!("no set: {other:?}"),
    }
}

fn inspect(world: &mut World, owner: [u8; 32]) -> ResponseBody {
    world.ask(RequestBody::InspectKeyPackages(InspectKeyPackages {
        contact_token: Secret32::new(TOKEN),
        owner_secret: Secret32::new(owner),
    }))
}

#[track_caller]
fn pool(world: &mut World) -> PoolState {
    match inspect(world, OWNER) {
        ResponseBody::Pool(pool) => pool,
        other => panic!("no pool: {other:?}"),
    }
}

#[track_caller]
fn refused(world: &mut World, body: RequestBody, endpoint: Endpoint) -> Reject {
    let auth = Authentication::Possession;
    let bytes = DsRequest { body, auth }.encode().unwrap();
    world.refused(&bytes, endpoint)
}

#[test]
fn a_set_is_fetched_once_as_a_whole() {
    let mut world = World::new(901);
    let entries = vec![entry(&world, 1, 1, 2), entry(&world, 2, 1, 1)];
    done(world.ask(publish(entries)));
    // The set of two devices lacks one; the other one is whole.
    let set = fetched(world.ask(fetch(1)));
    assert_eq!((set.entries.len(), set.left), (1, 0));
    assert_eq!(set.entries[0].set_tag, SetTag([2; 16]));
    assert_eq!(rejected(world.ask(fetch(2))), Reject::PoolEmpty);
    let second = entry(&world, 1, 2, 2);
    done(world.ask(publish(vec![second])));
    let set = fetched(world.ask(fetch(3)));
    let devices: BTreeSet<u8> = set.entries.iter().map(|e| e.device_tag.0[0]).collect();
    assert_eq!(devices, [1, 2].into());
    assert_eq!(rejected(world.ask(fetch(4))), Reject::PoolEmpty);
    let state = pool(&mut world);
    assert!(state.sets.is_empty());
    assert_eq!(state.served.len(), 2);
}

#[test]
fn the_same_request_gets_the_same_set_for_an_hour() {
    let mut world = World::new(902);
    let entries = vec![entry(&world, 1, 1, 1), entry(&world, 2, 1, 1)];
    done(world.ask(publish(entries)));
    let first = fetched(world.ask(fetch(1)));
    let before = world.store.clone();
    assert_eq!(fetched(world.ask(fetch(1))), first);
    assert!(world.store == before, "a repetition changed the store");
    let second = fetched(world.ask(fetch(2)));
    assert_ne!(second.entries[0].set_tag, first.entries[0].set_tag);
    // The nonce serves no other pool.
    let other = refused(
        &mut world,
        fetch_with([9; 32], 1),
        Endpoint::GroupKeyPackages,
    );
    assert_eq!(other, Reject::Replayed);
}

#[test]
fn the_owner_sees_what_is_missing_and_replaces_before_it_drops() {
    let mut world = World::new(903);
    assert!(pool(&mut world).sets.is_empty());
    let entries = vec![entry(&world, 1, 1, 2)];
    done(world.ask(publish(entries)));
    let state = pool(&mut world);
    assert_eq!(
        (state.sets[0].devices, state.sets[0].device_tags.len()),
        (2, 1)
    );
    let full: Vec<SetEntry> = (2..=MAX_POOL_SETS as u8)
        .map(|tag| entry(&world, tag, 1, 1))
        .collect();
    done(world.ask(publish(full)));
    // There is room for one more, since the old one goes in the same transaction.
    let new = vec![entry(&world, 99, 1, 1)];
    done(world.ask(publish_as(OWNER, new, vec![SetTag([1; 16])])));
    let tags: BTreeSet<u8> = pool(&mut world)
        .sets
        .iter()
        .map(|s| s.set_tag.0[0])
        .collect();
    assert!(tags.contains(&99) && !tags.contains(&1));
}

#[test]
fn what_is_published_must_be_in_order() {
    let mut world = World::new(904);
    let entries = vec![entry(&world, 1, 1, 2), entry(&world, 2, 1, 1)];
    done(world.ask(publish(entries)));
    fetched(world.ask(fetch(1)));
    type Change = fn(&mut SetEntry, u32);
    let changes: [(Change, Reject); 8] = [
        (|e, _| e.last_day += 1, Reject::InvalidSet),
        (|e, _| e.cipher_suite = 2, Reject::InvalidSet),
        (|e, _| e.set_tag = SetTag([2; 16]), Reject::InvalidSet),
        (|e, _| e.devices = 0, Reject::InvalidSet),
        (
            |e, _| e.devices = MAX_SET_DEVICES as u8 + 1,
            Reject::InvalidSet,
        ),
        (|e, today| e.last_day = today - 1, Reject::InvalidSet),
        (
            |e, today| e.last_day = today + MAX_SET_DAYS + 1,
            Reject::InvalidSet,
        ),
        (
            |e, today| e.last_day = today.saturating_sub(400),
            Reject::InvalidSet,
        ),
    ];
    let today = world.today();
    for (index, (change, reject)) in changes.into_iter().enumerate() {
        let mut wrong = entry(&world, 1, 2, 2);
        change(&mut wrong, today);
        let got = refused(&mut world, publish(vec![wrong]), Endpoint::GroupKeyPackages);
        assert_eq!(got, reject, "change {index}");
    }
    // One wrong entry is the refusal of all.
    let mut wrong = entry(&world, 3, 1, 1);
    wrong.devices = 0;
    let good = entry(&world, 4, 1, 1);
    refused(
        &mut world,
        publish(vec![good, wrong]),
        Endpoint::GroupKeyPackages,
    );
    let many: Vec<SetEntry> = (10..10 + MAX_POOL_SETS as u8)
        .map(|tag| entry(&world, tag, 1, 1))
        .collect();
    let got = refused(&mut world, publish(many), Endpoint::GroupKeyPackages);
    assert_eq!(
        got,
        Reject::LimitReached {
            limit: MAX_POOL_SETS as u32
        }
    );
}

#[test]
fn a_pool_has_one_owner() {
    let mut world = World::new(905);
    let entries = vec![entry(&world, 1, 1, 1)];
    done(world.ask(publish(entries)));
    let thief = [7; 32];
    let other = vec![entry(&world, 2, 1, 1)];
    let drop = RequestBody::DropKeyPackages(DropKeyPackages {
        contact_token: Secret32::new(TOKEN),
        owner_secret: Secret32::new(thief),
    });
    for body in [publish_as(thief, other, Vec::new()), drop] {
        let got = refused(&mut world, body, Endpoint::GroupKeyPackages);
        assert_eq!(got, Reject::BadAuthentication);
    }
    assert_eq!(
        rejected(inspect(&mut world, thief)),
        Reject::BadAuthentication
    );
    // The owner drops it; then nothing is left for anybody.
    done(world.ask(RequestBody::DropKeyPackages(DropKeyPackages {
        contact_token: Secret32::new(TOKEN),
        owner_secret: Secret32::new(OWNER),
    })));
    assert_eq!(rejected(world.ask(fetch(1))), Reject::PoolEmpty);
    assert!(pool(&mut world).sets.is_empty());
}

#[test]
fn unknown_empty_and_wrong_are_one_answer() {
    let mut world = World::new(906);
    let entries = vec![entry(&world, 1, 1, 1)];
    done(world.ask(publish(entries)));
    fetched(world.ask(fetch(1)));
    for (token, nonce) in [(TOKEN, 2), ([3; 32], 3), (OWNER, 4)] {
        let got = refused(
            &mut world,
            fetch_with(token, nonce),
            Endpoint::GroupKeyPackages,
        );
        assert_eq!(got, Reject::PoolEmpty);
    }
}

#[test]
fn what_is_past_its_day_is_gone_and_its_tag_may_come_back() {
    let mut world = World::new(907);
    let entries = vec![entry(&world, 1, 1, 1), entry(&world, 2, 1, 1)];
    done(world.ask(publish(entries)));
    fetched(world.ask(fetch(1)));
    world.pass_days(31);
    assert_eq!(rejected(world.ask(fetch(2))), Reject::PoolEmpty);
    let state = pool(&mut world);
    assert!(state.sets.is_empty() && state.served.is_empty());
    let again = vec![entry(&world, 1, 1, 1)];
    done(world.ask(publish(again)));
    fetched(world.ask(fetch(3)));
}

#[test]
fn pools_have_one_size_whatever_is_in_them() {
    let mut sizes = BTreeSet::new();
    for devices in [1, 16] {
        let mut world = World::new(908);
        for device in 1..=devices {
            let entries: Vec<SetEntry> = (1..=MAX_POOL_SETS as u8)
                .map(|tag| entry(&world, tag, device, devices))
                .collect();
            done(world.ask(publish(entries)));
        }
        let pool = ContactToken::new(Secret32::new(TOKEN)).pool_id().unwrap();
        let key = world
            .outer
            .index()
            .blind(Space::KeyPackage, &pool.0)
            .unwrap();
        sizes.insert(
            sordino_hub::Records::get(&world.store, &key)
                .unwrap()
                .unwrap()
                .len(),
        );
    }
    assert_eq!(sizes.len(), 1, "{sizes:?}");
}

fn deposit_into(inbox: &Inbox, secret: [u8; 32], contents: &[u8]) -> RequestBody {
    RequestBody::Deposit(Deposit {
        inbox: inbox.address.clone(),
        deposit_secret: Secret32::new(secret),
        contents: Bytes::new(contents).unwrap(),
    })
}

fn open_for_deposits(world: &mut World, secret: [u8; 32]) -> Inbox {
    let inbox = Inbox::new(world, 5);
    done(world.ask(RequestBody::OpenInbox(OpenInbox {
        deposit_hash: Some(sha256(&secret)),
        ..inbox.request()
    })));
    inbox
}

#[test]
fn a_deposit_reaches_the_owner_of_the_inbox() {
    let mut world = World::new(909);
    let inbox = open_for_deposits(&mut world, [5; 32]);
    done(world.ask(deposit_into(&inbox, [5; 32], b"an offer")));
    let read = RequestBody::ReadInbox(ReadInbox {
        inbox_secret: inbox.secret.duplicate(),
        from: 0,
        wait_s: 0,
    });
    let ResponseBody::Inbox(page) = world.ask(read) else {
        panic!("no page");
    };
    let sealed: HpkeCiphertext = exact(page.entries[0].entry.as_slice()).unwrap();
    let id = inbox.address.inbox_id;
    let opened = open_inbox_delivery(inbox.private.expose(), id, &sealed).unwrap();
    assert_eq!(
        opened,
        InboxDelivery::Deposit(Bytes::new(b"an offer").unwrap())
    );
}

#[test]
fn deposits_are_taken_where_they_were_asked_for_alone() {
    let mut world = World::new(910);
    let unavailable = Reject::InboxUnavailable { index: 0 };
    let inbox = open_for_deposits(&mut world, [5; 32]);
    let welcomes = Inbox::new(&mut world, 5);
    done(world.ask(RequestBody::OpenInbox(welcomes.request())));
    let unknown = Inbox::new(&mut world, 5);
    let mut elsewhere = deposit_into(&inbox, [5; 32], b"x");
    if let RequestBody::Deposit(deposit) = &mut elsewhere {
        deposit.inbox.domain = sordino_wire::Domain::new("other.example").unwrap();
    }
    let mut other_key = deposit_into(&inbox, [5; 32], b"x");
    if let RequestBody::Deposit(deposit) = &mut other_key {
        deposit.inbox.hpke_key = unknown.address.hpke_key.clone();
    }
    for body in [
        deposit_into(&inbox, [6; 32], b"x"),
        deposit_into(&welcomes, [5; 32], b"x"),
        deposit_into(&unknown, [5; 32], b"x"),
        elsewhere,
        other_key,
    ] {
        assert_eq!(refused(&mut world, body, Endpoint::Inboxes), unavailable);
    }
    for _ in 0..MAX_INBOX_DELIVERIES {
        done(world.ask(deposit_into(&inbox, [5; 32], b"x")));
    }
    let full = deposit_into(&inbox, [5; 32], b"x");
    assert_eq!(refused(&mut world, full, Endpoint::Inboxes), unavailable);
    let late = open_for_deposits(&mut world, [5; 32]);
    world.pass_days(6);
    let body = deposit_into(&late, [5; 32], b"x");
    assert_eq!(refused(&mut world, body, Endpoint::Inboxes), unavailable);
}
