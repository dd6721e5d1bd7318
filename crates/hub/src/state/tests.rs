//! What stands in a store must still open after any change of this code.

use super::*;
use sordino_wire::{
    Bytes, Digest, Domain, GenerationStep, GroupId, HpkeKey, IdentifierUri, IdentityEntry,
    IdentityRule, InboxAddress, InboxId, JoinRule, KeyCheck, KeyQuestion, List, PartialGroupInfo,
    Permission, PolicySummary, Position, PreviousWrapper, Roster, RosterEntry, Salt, Secret32,
    SenderRule, SignatureBytes, SignatureKey, SuccessorPointer, encode, exact,
};
use tls_codec::{DeserializeBytes, Serialize, Size};

fn list<T, const MAX: usize>(elements: Vec<T>) -> List<T, MAX> {
    List::new(elements).unwrap()
}

fn user() -> IdentifierUri {
    IdentifierUri::new("mimi://home.example/u/1").unwrap()
}

fn key(byte: u8) -> SignatureKey {
    SignatureKey::new([byte; 32]).unwrap()
}

fn signature(byte: u8) -> SignatureBytes {
    SignatureBytes::new([byte; 64]).unwrap()
}

fn policy() -> PolicySummary {
    PolicySummary {
        format: 1,
        add: Permission::Members,
        remove: Permission::Admins,
        change_policy: Permission::Admins,
        send: Permission::Members,
        destroy: Permission::Nobody,
        join: JoinRule::Invite,
        senders: SenderRule::Leaf,
        identities: IdentityRule::All,
        epoch_tolerance: 3,
        max_members: 500,
        invite_code_hash: Some(Digest([1; 32])),
        admins: list(vec![user()]),
    }
}

fn question() -> KeyQuestion {
    KeyQuestion {
        leaf_key: key(2),
        hpke_key: HpkeKey::new([3; 32]).unwrap(),
        inbox: InboxAddress {
            domain: Domain::new("home.example").unwrap(),
            inbox_id: InboxId([4; 16]),
            hpke_key: HpkeKey::new([5; 32]).unwrap(),
        },
        last_day: 20_001,
        signature: signature(6),
    }
}

fn head() -> Head {
    Head {
        format: HEAD_FORMAT,
        group_id: GroupId([7; 16]),
        epoch: 8,
        generation: 9,
        counter: 10,
        generation_day: 20_002,
        guard: Salt([11; 16]),
        manifest: Manifest {
            base_epoch: 7,
            tree: Salt([12; 16]),
            roster: Salt([13; 16]),
            deltas: list(vec![Salt([14; 16])]),
            pending: Some(Salt([15; 16])),
        },
        context_hash: Digest([16; 32]),
        sender_keys: list(vec![EpochKey {
            epoch: 8,
            key: Secret32::new([17; 32]),
        }]),
        sender_rekeys: list(vec![user()]),
        delivery_key: Secret32::new([18; 32]),
        policy: policy(),
        frozen: Some(SuccessorPointer {
            group_id: GroupId([19; 16]),
            leaf_index: 20,
            signature: signature(21),
        }),
        unconfirmed: Some(Unconfirmed {
            supplier: user(),
            previous_store_key: [22; 16],
            previous_key: Secret32::new([23; 32]),
            chain: 2,
            last_day: 20_003,
            old_store_keys: list(vec![[24; 16]]),
            former_delivery_key: Some(Secret32::new([25; 32])),
        }),
        questions: list(vec![ParkedQuestion {
            question: question(),
            delivered: 1,
        }]),
        places: list(vec![ParkingPlace {
            store_key: [26; 16],
            head_key: Secret32::new([27; 32]),
            version: Salt([28; 16]),
        }]),
        kept: list(vec![KeptSnapshot {
            epoch: 8,
            base_epoch: 7,
            last_day: 20_004,
        }]),
    }
}

fn tombstone() -> Tombstone {
    Tombstone {
        format: Tombstone::FORMAT,
        group_id: GroupId([7; 16]),
        epoch: 8,
        questions: list(vec![question()]),
    }
}

fn group_info() -> PartialGroupInfo {
    PartialGroupInfo {
        extensions: Bytes::new([31; 37]).unwrap(),
        signature: signature(32),
    }
}

fn tree() -> TreeRecord {
    TreeRecord {
        format: HEAD_FORMAT,
        epoch: 7,
        group_info: group_info(),
        signer: 3,
        mls: Bytes::new([33; 8]).unwrap(),
    }
}

fn entry() -> IdentityEntry {
    IdentityEntry {
        generation: 9,
        salt: Salt([34; 16]),
        ciphertext: Bytes::new([35; 528]).unwrap(),
    }
}

fn delta() -> DeltaRecord {
    DeltaRecord {
        format: HEAD_FORMAT,
        epoch: 8,
        group_info: group_info(),
        signer: 3,
        day: 20_005,
        removed: list(vec![1]),
        added: list(vec![2]),
        entries: list(vec![RosterEntry {
            leaf_index: 2,
            entry: entry(),
        }]),
        staged: Bytes::new([36; 8]).unwrap(),
    }
}

fn wrapper() -> PreviousWrapper {
    PreviousWrapper {
        generation: 8,
        ciphertext: Bytes::new([37; 48]).unwrap(),
    }
}

fn roster() -> RosterRecord {
    RosterRecord {
        format: HEAD_FORMAT,
        epoch: 7,
        roster: Roster {
            entries: list(vec![RosterEntry {
                leaf_index: 0,
                entry: entry(),
            }]),
            wrappers: list(vec![wrapper()]),
        },
        activity: activity_of(0, 20_006),
    }
}

fn pending() -> Pending {
    Pending {
        items: list(vec![PendingItem {
            kind: PendingKind::Join,
            leaf_index: 0,
            message: Bytes::new([38; 8]).unwrap(),
            hash: Digest([39; 32]),
            queued: Bytes::new([40; 8]).unwrap(),
            inbox: Some(question().inbox),
        }]),
    }
}

fn previous() -> Previous {
    Previous {
        format: HEAD_FORMAT,
        old_head: Bytes::new([41; 8]).unwrap(),
        items: list(vec![ChainItem {
            time_s: 1_700_000_040,
            commit: Bytes::new([42; 8]).unwrap(),
            group_info: group_info(),
            key_check: KeyCheck {
                epoch: 8,
                commit_hash: Digest([43; 32]),
                keys_hash: Digest([44; 32]),
                signature: signature(45),
            },
            identity_entries: list(vec![entry()]),
            step: GenerationStep::Moves,
            wrapper: Some(wrapper()),
            pending: pending(),
        }]),
        guard: Salt([46; 16]),
        counter: 11,
        pending: pending(),
        sealed: list(vec![[47; 16]]),
        rekeyed: list(vec![Rekeyed {
            user: user(),
            store_keys: list(vec![[48; 16]]),
        }]),
        old_store_keys: list(vec![[49; 16]]),
        last_day: 20_007,
    }
}

fn pointer() -> JoinerPointer {
    JoinerPointer {
        format: HEAD_FORMAT,
        base_epoch: 7,
        position: Position {
            epoch: 8,
            generation: 9,
            counter: 10,
            cursor: 1_000_011,
        },
    }
}

/// One encoding, the one that was written down; nothing shorter or longer is read.
#[track_caller]
fn check<T: Serialize + DeserializeBytes + Size>(value: &T, golden: &[u8]) {
    let bytes = encode(value).unwrap();
    assert!(bytes == golden, "the format has changed");
    let again: T = exact(golden).unwrap();
    assert_eq!(encode(&again).unwrap(), golden);
    for length in 0..golden.len() {
        assert!(exact::<T>(&golden[..length]).is_err());
    }
    let longer = [golden, &[0]].concat();
    assert!(exact::<T>(&longer).is_err());
}

macro_rules! golden {
    ($($test:ident: $value:ident, $file:literal;)+) => {$(
        #[test]
        fn $test() {
            check(&$value(), include_bytes!(concat!("../../tests/golden/", $file)));
        }
    )+};
}

golden! {
    a_head_keeps_its_format: head, "head.bin";
    a_tombstone_keeps_its_format: tombstone, "tombstone.bin";
    a_tree_keeps_its_format: tree, "tree.bin";
    a_delta_keeps_its_format: delta, "delta.bin";
    a_roster_keeps_its_format: roster, "roster.bin";
    pending_proposals_keep_their_format: pending, "pending.bin";
    a_window_keeps_its_format: previous, "previous.bin";
    a_joiners_pointer_keeps_its_format: pointer, "joiner-pointer.bin";
}

#[test]
fn a_head_and_a_tombstone_are_not_taken_for_each_other() {
    let head = encode(&head()).unwrap();
    let tombstone = encode(&tombstone()).unwrap();
    assert_eq!(head[..2], HEAD_FORMAT.to_be_bytes());
    assert_eq!(tombstone[..2], Tombstone::FORMAT.to_be_bytes());
    assert_ne!(HEAD_FORMAT, Tombstone::FORMAT);
}

#[test]
fn a_commit_changes_the_roster() {
    let mut roster = roster();
    roster.apply(&delta()).unwrap();
    let leaves: Vec<u32> = roster.roster.entries.iter().map(|e| e.leaf_index).collect();
    assert_eq!(leaves, [0, 2]);
    let active = |roster: &RosterRecord| -> Vec<(u32, u32)> {
        let activity = roster.activity.iter();
        activity.map(|a| (a.leaf_index, a.day)).collect()
    };
    assert_eq!(active(&roster), [(0, 20_006), (2, 20_005), (3, 20_005)]);
    // A leaf that goes takes all of its own along; one that commits again is there once.
    let mut gone = delta();
    gone.day = 20_009;
    gone.removed = list(vec![0]);
    gone.added = list(vec![4, 3]);
    roster.apply(&gone).unwrap();
    let leaves: Vec<u32> = roster.roster.entries.iter().map(|e| e.leaf_index).collect();
    assert_eq!(leaves, [2], "its entry came anew");
    assert_eq!(active(&roster), [(2, 20_005), (3, 20_009), (4, 20_009)]);
}

#[test]
fn wrappers_that_no_entry_needs_are_dropped() {
    let mut roster = roster();
    let of = |generation| PreviousWrapper {
        generation,
        ..wrapper()
    };
    roster.end_generation(Some(of(9))).unwrap();
    let kept: Vec<u64> = roster
        .roster
        .wrappers
        .iter()
        .map(|w| w.generation)
        .collect();
    assert_eq!(kept, [9], "the oldest entry is of generation 9");
    roster.roster.entries = List::default();
    roster.end_generation(Some(of(10))).unwrap();
    assert!(roster.roster.wrappers.is_empty());
}
