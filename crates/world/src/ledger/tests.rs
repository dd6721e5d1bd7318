//! A history that is right, and one for each rule in which it is broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use super::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sordino_crypto::seal_entry;
use sordino_wire::{
    Bytes, CommitIntent, CreateGroup, DeliveredCommit, Digest, ExternalCommitInformation,
    GroupAccess, HeadAccess, KeyCheck, List, Locator, NextGeneration, NextKeys, NumberedEntry,
    OutcomeDetail, PartialGroupInfo, Position, Reject, Roster, SendMessage, SignatureBytes, encode,
};

const GROUP: GroupId = GroupId([3; 16]);
const FIRST: u64 = 1_000;

fn domain() -> Domain {
    Domain::new("hub.example").unwrap()
}

fn ear_key(generation: u8) -> Secret32 {
    Secret32::new([generation; 32])
}

/// An MLSMessage as far as anybody looks into it.
fn mls(epoch: u64, tail: u8) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 1, 16];
    bytes.extend(GROUP.0);
    bytes.extend(epoch.to_be_bytes());
    bytes.push(tail);
    bytes
}

fn access(generation: u8) -> GroupAccess {
    GroupAccess {
        group_id: GROUP,
        ear_key: ear_key(generation),
    }
}

fn key_check() -> KeyCheck {
    KeyCheck {
        epoch: 0,
        commit_hash: Digest([0; 32]),
        keys_hash: Digest([0; 32]),
        signature: SignatureBytes::new(vec![0; 64]).unwrap(),
    }
}

fn create() -> RequestBody {
    RequestBody::CreateGroup(CreateGroup {
        access: access(0),
        sender_key: ear_key(100),
        group_info: Bytes::new(vec![1]).unwrap(),
        ratchet_tree: Bytes::new(vec![1]).unwrap(),
        identity_entry: None,
    })
}

fn commit(epoch: u64, tail: u8, next: Option<u8>) -> RequestBody {
    RequestBody::Commit(Box::new(CommitRequest {
        access: access(0),
        intent: CommitIntent::Apply,
        commit: Bytes::new(mls(epoch, tail)).unwrap(),
        group_info: PartialGroupInfo {
            extensions: Bytes::new(vec![1]).unwrap(),
            signature: SignatureBytes::new(vec![0; 64]).unwrap(),
        },
        next: NextKeys {
            sender_key: ear_key(100),
            generation: next.map(|generation| NextGeneration {
                ear_key: ear_key(generation),
                wrapper: None,
            }),
        },
        key_check: key_check(),
        identity_entries: List::default(),
        welcome: None,
    }))
}

fn send(epoch: u64, tail: u8) -> RequestBody {
    RequestBody::Send(SendMessage {
        head: HeadAccess {
            group_id: GROUP,
            locator: Locator([0; 16]),
            head_key: ear_key(101),
        },
        message: Bytes::new(mls(epoch, tail)).unwrap(),
    })
}

fn done(epoch: u64, counter: u64) -> ResponseBody {
    ResponseBody::Done(Outcome {
        epoch,
        counter,
        detail: OutcomeDetail::default(),
    })
}

fn said(epoch: u64, tail: u8) -> DeliveryEvent {
    DeliveryEvent::Message(Bytes::new(mls(epoch, tail)).unwrap())
}

fn committed(epoch: u64, tail: u8) -> DeliveryEvent {
    DeliveryEvent::Commit(Box::new(DeliveredCommit {
        commit: Bytes::new(mls(epoch, tail)).unwrap(),
        key_check: key_check(),
        identity_entries: List::default(),
        wrapper: None,
        reissued: List::default(),
    }))
}

fn page(generation: u8, first: u64, events: Vec<(u64, DeliveryEvent)>) -> StreamPage {
    let key = EarKey::new(ear_key(generation)).delivery_key().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let entries: Vec<NumberedEntry> = (first..)
        .zip(events)
        .map(|(number, (counter, event))| {
            let sealed = seal_entry(&key, 60, counter, event, &mut rng).unwrap();
            NumberedEntry {
                number,
                entry: Bytes::new(encode(&sealed).unwrap()).unwrap(),
            }
        })
        .collect();
    StreamPage {
        oldest: first,
        next: first + u64::try_from(entries.len()).unwrap(),
        entries: List::new(entries).unwrap(),
    }
}

/// A group with one commit and one message, acknowledged and not read yet.
fn begun() -> Ledger {
    let mut ledger = Ledger::new(domain());
    for (body, answer) in [
        (create(), done(0, 1)),
        (commit(0, 1, None), done(1, 2)),
        (send(1, 2), done(1, 3)),
    ] {
        ledger.asked(&body);
        ledger.answered(&body, &answer, true).unwrap();
    }
    ledger
}

fn events() -> Vec<(u64, DeliveryEvent)> {
    vec![(2, committed(0, 1)), (3, said(1, 2))]
}

fn read(ledger: &mut Ledger, page: &StreamPage) -> Result<bool, Violation> {
    let reading = *ledger.latest().last().unwrap();
    ledger.page(reading, page)
}

/// What is found when these events are what the stream has.
fn found(events: Vec<(u64, DeliveryEvent)>) -> Violation {
    let mut ledger = begun();
    let read = read(&mut ledger, &page(0, FIRST, events));
    read.and_then(|_| ledger.balance()).unwrap_err()
}

#[test]
fn a_history_that_is_right() {
    let mut ledger = begun();
    assert_eq!(read(&mut ledger, &page(0, FIRST, events())), Ok(false));
    assert_eq!(ledger.balance(), Ok(()));
    assert_eq!(ledger.epoch(GROUP), Some(1));
    assert_eq!((ledger.entries, ledger.acknowledged()), (2, (1, 1)));
    // Read again, and on from there.
    assert_eq!(
        ledger.page(ledger.all()[0], &page(0, FIRST, events())),
        Ok(false)
    );
    assert_eq!(ledger.latest()[0].from, FIRST + 2);
    let more = page(0, FIRST + 2, vec![(4, said(1, 9))]);
    assert_eq!(read(&mut ledger, &more), Ok(false));
    assert_eq!(ledger.balance(), Ok(()));
}

#[test]
fn a_commit_that_moves_the_generation_moves_the_stream() {
    let mut ledger = begun();
    let moves = commit(1, 7, Some(1));
    ledger.asked(&moves);
    ledger.answered(&moves, &done(2, 4), true).unwrap();
    let mut events = events();
    events.push((4, committed(1, 7)));
    assert_eq!(read(&mut ledger, &page(0, FIRST, events)), Ok(true));
    assert_eq!(ledger.latest()[0].generation, 1);
    let more = page(1, 50, vec![(5, said(2, 8))]);
    assert_eq!(read(&mut ledger, &more), Ok(false));
    assert_eq!(ledger.balance(), Ok(()));
}

#[test]
fn what_is_lost_is_found() {
    let lost = found(vec![(2, committed(0, 1))]);
    assert!(matches!(lost, Violation::MessageLost { counter: 3, .. }));
    let lost = found(vec![]);
    assert!(matches!(lost, Violation::MessageLost { .. }));
    let mut ledger = begun();
    ledger
        .groups
        .get_mut(&GROUP)
        .unwrap()
        .acked_messages
        .clear();
    let lost = ledger.balance().unwrap_err();
    assert!(matches!(lost, Violation::CommitLost { epoch: 1, .. }));
}

#[test]
fn what_comes_twice_or_elsewhere_is_found() {
    let mut events = events();
    events.push((4, said(1, 2)));
    assert!(matches!(found(events), Violation::MessageTwice { .. }));
    let moved = found(vec![(2, committed(0, 1)), (4, said(1, 2))]);
    assert!(matches!(
        moved,
        Violation::MessageMoved {
            said: 3,
            found: 4,
            ..
        }
    ));
    let back = found(vec![(3, committed(0, 1)), (2, said(1, 2))]);
    assert!(matches!(
        back,
        Violation::CounterWentBack { from: 3, to: 2, .. }
    ));
    let early = found(vec![(2, said(1, 2))]);
    assert!(matches!(
        early,
        Violation::MessageOutOfEpoch {
            epoch: 0,
            message: 1,
            ..
        }
    ));
}

#[test]
fn two_commits_of_one_epoch_are_found() {
    let two = found(vec![(2, committed(0, 1)), (3, committed(0, 5))]);
    assert!(matches!(two, Violation::TwoCommits { epoch: 1, .. }));
    let skipped = found(vec![(2, committed(0, 1)), (3, committed(2, 5))]);
    assert!(matches!(
        skipped,
        Violation::EpochSkipped {
            expected: 1,
            found: 2,
            ..
        }
    ));
    // Another one than the one that was acknowledged.
    let other = found(vec![(2, committed(0, 6)), (3, said(1, 2))]);
    assert!(matches!(other, Violation::TwoCommits { epoch: 1, .. }));
    // Two that are acknowledged.
    let mut ledger = begun();
    let second = ledger.answered(&commit(0, 9, None), &done(1, 4), true);
    assert!(matches!(
        second,
        Err(Violation::TwoCommits { epoch: 1, .. })
    ));
    let again = ledger.answered(&commit(0, 1, None), &done(1, 2), false);
    assert_eq!(again, Ok(()), "the same answer to the same request");
}

#[test]
fn gaps_and_changes_are_found() {
    let mut ledger = begun();
    let mut gap = page(0, FIRST, events());
    let mut entries = gap.entries.into_vec();
    entries[1].number += 1;
    gap.entries = List::new(entries).unwrap();
    let missing = read(&mut ledger, &gap).unwrap_err();
    assert!(matches!(
        missing,
        Violation::NumberMissing { found: 1_002, .. }
    ));

    let mut ledger = begun();
    read(&mut ledger, &page(0, FIRST, events())).unwrap();
    let late = page(0, FIRST + 3, vec![(4, said(1, 9))]);
    let missing = read(&mut ledger, &late).unwrap_err();
    assert!(matches!(
        missing,
        Violation::NumberMissing {
            expected: 1_002,
            found: 1_003,
            ..
        }
    ));

    let changed = page(0, FIRST, vec![(2, committed(0, 1)), (3, said(1, 3))]);
    let all = ledger.all()[0];
    let changed = ledger.page(all, &changed).unwrap_err();
    assert!(matches!(
        changed,
        Violation::EntryChanged { number: 1_001, .. }
    ));
    let shrunk = page(0, FIRST, vec![(2, committed(0, 1))]);
    let shrunk = ledger.page(all, &shrunk).unwrap_err();
    assert!(matches!(
        shrunk,
        Violation::StreamShrank {
            from: 1_002,
            to: 1_001,
            ..
        }
    ));

    let mut ledger = begun();
    let foreign = read(&mut ledger, &page(9, FIRST, events())).unwrap_err();
    assert!(matches!(
        foreign,
        Violation::EntryUnreadable { number: 1_000, .. }
    ));
}

#[test]
fn what_is_refused_and_written_is_found() {
    let mut ledger = begun();
    let refused = ResponseBody::Rejected(Reject::InvalidCommit);
    let body = commit(1, 4, None);
    assert_eq!(ledger.answered(&body, &refused, false), Ok(()));
    let wrote = ledger.answered(&body, &refused, true).unwrap_err();
    assert!(matches!(wrote, Violation::RefusedAndWrote { .. }));
}

#[test]
fn an_epoch_that_goes_back_is_found() {
    let mut ledger = begun();
    let told = |epoch| {
        ResponseBody::ExternalCommitInformation(ExternalCommitInformation {
            position: Position {
                epoch,
                generation: 0,
                counter: 3,
                cursor: 1,
            },
            group_info: Bytes::new(vec![1]).unwrap(),
            ratchet_tree: Bytes::new(vec![1]).unwrap(),
            roster: Roster::default(),
            pending: List::default(),
        })
    };
    let body = RequestBody::ExternalCommitInformation(access(0));
    assert_eq!(ledger.answered(&body, &told(1), false), Ok(()));
    let back = ledger.answered(&body, &told(0), false).unwrap_err();
    assert!(matches!(
        back,
        Violation::EpochWentBack { from: 1, to: 0, .. }
    ));
}
