//! Streams and inboxes: possession of a name is all it takes.

use crate::scene::{group_of, sync_all};
use crate::support::{Actor, Plan, World, done, rejected};
use sordino_crypto::stream_id;
use sordino_hub::{Endpoint, Step};
use sordino_wire::{
    Authentication, DsRequest, List, ReadInbox, ReadStreams, Reject, RequestBody, ResponseBody,
    Secret32, StreamId, StreamPage, StreamRead,
};

fn own_stream(world: &World, member: &Actor) -> StreamId {
    let key = member.ear().delivery_key().unwrap();
    stream_id(&key, &world.domain).unwrap()
}

fn request(reads: &[(StreamId, u64, u16)], wait_s: u16) -> RequestBody {
    let reads = reads.iter().map(|(stream_id, from, max)| StreamRead {
        stream_id: *stream_id,
        from: *from,
        max: *max,
    });
    RequestBody::ReadStreams(ReadStreams {
        reads: List::new(reads.collect()).unwrap(),
        wait_s,
    })
}

fn read(world: &mut World, reads: &[(StreamId, u64, u16)]) -> Vec<StreamPage> {
    match world.ask(request(reads, 0)) {
        ResponseBody::Streams(pages) => pages.pages.into_vec(),
        other => panic!("not streams: {other:?}"),
    }
}

fn step(world: &mut World, body: RequestBody, endpoint: Endpoint) -> Step {
    let auth = Authentication::Possession;
    let bytes = DsRequest::free(body, auth).encode().unwrap();
    world.step(&bytes, endpoint)
}

#[test]
fn an_unknown_stream_is_an_empty_one() {
    let mut world = World::new(601);
    let pages = read(&mut world, &[(StreamId([1; 16]), 0, 10)]);
    assert!(pages[0].entries.is_empty());
    assert_eq!(pages[0].oldest, pages[0].next);
}

#[test]
fn pages_have_bounds_and_an_order() {
    let (mut world, mut members) = group_of(602, 2);
    for _ in 0..5 {
        done(members[0].say(&mut world, b"hello"));
    }
    let id = own_stream(&world, &members[0]);
    let all = read(&mut world, &[(id, 0, 100)]).remove(0);
    assert_eq!(all.entries.len(), 6);
    let first = all.oldest;
    let numbers: Vec<u64> = all.entries.iter().map(|e| e.number).collect();
    assert_eq!(numbers, (first..first + 6).collect::<Vec<_>>());
    let some = read(&mut world, &[(id, first + 2, 3), (id, first + 6, 3)]);
    assert!(some[0].entries.as_slice() == &all.entries.as_slice()[2..5]);
    assert!(some[1].entries.is_empty());
    assert_eq!(some[1].next, first + 6);
}

#[test]
fn what_has_expired_is_a_gap() {
    let (mut world, mut members) = group_of(603, 2);
    done(members[0].say(&mut world, b"old"));
    let id = own_stream(&world, &members[0]);
    let first = read(&mut world, &[(id, 0, 10)]).remove(0).oldest;
    world.pass_days(20);
    done(members[0].say(&mut world, b"newer"));
    world.pass_days(20);
    let gap = read(&mut world, &[(id, first, 10)]).remove(0);
    assert_eq!((gap.oldest, gap.entries.len()), (first + 2, 0));
    let oldest = read(&mut world, &[(id, 0, 10)]).remove(0);
    assert_eq!((oldest.oldest, oldest.entries.len()), (first + 2, 1));
    // Where nothing is left, who has missed something is told at once; who begins anew waits.
    world.pass_days(20);
    let told = step(
        &mut world,
        request(&[(id, first, 10)], 30),
        Endpoint::Streams,
    );
    assert!(matches!(told, Step::Answer(_)));
    let waits = step(&mut world, request(&[(id, 0, 10)], 30), Endpoint::Streams);
    assert!(matches!(waits, Step::Wait { .. }));
}

#[test]
fn what_died_with_its_window_is_a_gap_though_its_row_is_there() {
    let (mut world, mut members) = group_of(604, 2);
    let id = own_stream(&world, &members[0]);
    done(members[0].say(&mut world, b"old"));
    let first = read(&mut world, &[(id, 0, 10)]).remove(0).oldest;
    world.now_s += 20 * 86_400;
    done(members[0].say(&mut world, b"newer"));
    let (today, outer) = (world.today() + 20, world.outer.clone());
    let persist = |_: &[u8]| Ok::<(), sordino_crypto::CryptoError>(());
    outer
        .roll_windows(today, 100, &mut world.rng, persist)
        .unwrap();
    let gap = read(&mut world, &[(id, first, 10)]).remove(0);
    assert_eq!(gap.oldest, first + 2);
    let oldest = read(&mut world, &[(id, 0, 10)]).remove(0);
    assert_eq!((oldest.oldest, oldest.entries.len()), (first + 2, 1));
}

#[test]
fn an_answer_that_is_full_takes_no_more() {
    let (mut world, mut members) = group_of(605, 2);
    for _ in 0..12 {
        done(members[0].say(&mut world, &vec![7; 100_000]));
    }
    let id = own_stream(&world, &members[0]);
    let pages = read(&mut world, &[(id, 0, 100); 64]);
    let bytes: usize = pages
        .iter()
        .flat_map(|page| page.entries.iter())
        .map(|e| e.entry.as_slice().len())
        .sum();
    assert!(bytes < 5 * 1024 * 1024, "{bytes}");
    assert!(pages[63].entries.is_empty() && pages[63].next == pages[0].next);
}

#[test]
fn whoever_has_read_all_waits() {
    let (mut world, mut members) = group_of(606, 2);
    let id = own_stream(&world, &members[0]);
    let next = read(&mut world, &[(id, 0, 10)]).remove(0).next;
    let waits = step(
        &mut world,
        request(&[(id, next, 10)], 30),
        Endpoint::Streams,
    );
    assert!(matches!(waits, Step::Wait { wait_s: 30, logs, .. } if logs.len() == 1));
    let mut waits = |reads: &[(StreamId, u64, u16)], wait_s| match step(
        &mut world,
        request(reads, wait_s),
        Endpoint::Streams,
    ) {
        Step::Wait { .. } => true,
        Step::Answer(_) => false,
        _ => panic!("neither"),
    };
    let unknown = StreamId([1; 16]);
    assert!(!waits(&[(id, 0, 10)], 30) && !waits(&[(id, next, 10)], 0));
    assert!(waits(&[(id, next, 10)], 60) && waits(&[(unknown, 0, 10)], 30));
    // One stream that has something is enough, also where the reader has no room for it.
    assert!(!waits(&[(id, 0, 10), (unknown, 0, 10)], 30));
    assert!(!waits(&[(unknown, 0, 10), (id, 0, 10)], 30));
    assert!(!waits(&[(id, 0, 0)], 30));
    assert!(!waits(&[], 30));
    let too_long = world.ask(request(&[(id, next, 10)], 61));
    assert_eq!(rejected(too_long), Reject::TooLarge { limit: 60 });
    done(members[1].say(&mut world, b"now"));
    let woken = step(
        &mut world,
        request(&[(id, next, 10)], 30),
        Endpoint::Streams,
    );
    assert!(matches!(woken, Step::Answer(_)));
}

#[test]
fn an_inbox_is_read_with_its_secret_alone() {
    let (mut world, mut members) = group_of(607, 1);
    let mut new = Actor::new(&mut world, 2, 0);
    let entry = new.invitation(&mut world);
    let inbox = |secret, wait_s| {
        RequestBody::ReadInbox(ReadInbox {
            inbox_secret: secret,
            from: 0,
            wait_s,
        })
    };
    let secret = new.inbox.as_ref().unwrap().secret.duplicate();
    let waits = step(&mut world, inbox(secret.duplicate(), 5), Endpoint::Inboxes);
    assert!(matches!(waits, Step::Wait { .. }));
    let looks = step(&mut world, inbox(secret.duplicate(), 0), Endpoint::Inboxes);
    assert!(matches!(looks, Step::Answer(_)));
    members[0].commit(&mut world, &Plan::add(vec![entry]));
    let has = step(&mut world, inbox(secret.duplicate(), 5), Endpoint::Inboxes);
    assert!(matches!(has, Step::Answer(ResponseBody::Inbox(page)) if page.entries.len() == 1));
    let other = world.ask(inbox(Secret32::new([1; 32]), 0));
    assert!(matches!(other, ResponseBody::Inbox(page) if page.entries.is_empty()));
    new.join(&mut world);
    members.push(new);
    sync_all(&mut world, &mut members);
    world.pass_days(81);
    let dead = world.ask(inbox(secret, 0));
    assert!(matches!(dead, ResponseBody::Inbox(page) if page.entries.is_empty()));
}
