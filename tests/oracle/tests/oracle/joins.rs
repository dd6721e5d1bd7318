//! Those who come in: resyncs that do more than they may, and requests to be let in that were changed.

use crate::scene::{all_agree, group_with};
use crate::support::{Actor, Kind, Way, World, done, policy};
use crate::surgery::{Commit, vector};
use crate::verdicts::{Hub, Verdicts, by_watcher, judge};
use crate::watch::Watch;
use rand_core::RngCore as _;
use sordino_crypto::EarKey;
use sordino_hub::Endpoint;
use sordino_wire::{Bytes, JoinRule, List, PolicySummary, RequestBody};
use std::collections::BTreeMap;

fn open() -> PolicySummary {
    let mut policy = policy();
    policy.join = JoinRule::Open;
    policy
}

/// An inline Remove.
fn removal(leaf: u32) -> Vec<u8> {
    [&[1, 0, 3][..], &leaf.to_be_bytes()].concat()
}

/// Takes a part of the proposals out.
fn cut(commit: &mut Commit, part: &[u8]) {
    let at = commit
        .proposals
        .windows(part.len())
        .position(|window| window == part)
        .unwrap();
    commit.proposals.drain(at..at + part.len());
}

/// The inline ExternalInit: its kem output has 32 bytes.
fn init(commit: &Commit) -> Vec<u8> {
    let at = commit
        .proposals
        .windows(4)
        .position(|window| window == [1, 0, 6, 32])
        .unwrap();
    commit.proposals[at..at + 36].to_vec()
}

type Change = fn(&mut Commit, own: u32, other: u32);

const CHANGES: [(&str, Change); 9] = [
    ("another's leaf", |c, own, other| {
        cut(c, &removal(own));
        c.proposals.extend(removal(other));
    }),
    ("another's leaf too", |c, _, other| {
        c.proposals.extend(removal(other));
    }),
    ("a leaf that is not there", |c, own, _| {
        cut(c, &removal(own));
        c.proposals.extend(removal(99));
    }),
    ("no leaf", |c, own, _| cut(c, &removal(own))),
    ("without ExternalInit", |c, _, _| {
        let init = init(c);
        cut(c, &init);
    }),
    ("with two ExternalInits", |c, _, _| {
        let init = init(c);
        c.proposals.extend(init);
    }),
    ("with a PSK", |c, _, _| {
        let psk = [vec![1, 0, 4, 1], vector(b"shared"), vector(&[7; 32])].concat();
        c.proposals.extend(psk);
    }),
    ("with context extensions", |c, _, _| {
        c.proposals.extend([1, 0, 7, 0]);
    }),
    ("without path", |c, _, _| c.path = None),
];

fn resync(world: &mut World, watch: &Watch, members: &mut [Actor], change: Change) -> Verdicts {
    let other = members[2].leaf();
    let context = members[0].context().clone();
    let member = &mut members[1];
    let ear = EarKey::new(member.ear().secret().duplicate());
    let external = member.external(world, &ear, &Way::Resync, false, false);
    let leaf = external.group.own_leaf_index().u32();
    let mut request = external.request;
    let mut commit = Commit::parse(request.commit.as_slice());
    change(&mut commit, member.leaf(), other);
    commit.sign(&member.leaf_key(), leaf, &context);
    request.commit = Bytes::new(commit.bytes()).unwrap();
    judge(world, &watch.group, member, Kind::User, request)
}

#[test]
fn a_resync_that_does_more_than_it_may() {
    let (mut world, mut members) = group_with(970, 4, &open());
    let watch = Watch::begin(&mut world, &members[0]);
    let mut verdicts = BTreeMap::new();
    for (name, change) in CHANGES {
        let said = resync(&mut world, &watch, &mut members, change);
        verdicts.insert(name, (said.hub, said.watcher));
    }
    let refused = |error: &str| (Hub::Mls, Some(error.to_owned()));
    let one_init = "ExternalCommitMustHaveExactlyOneExternalInit";
    let expected = [
        (
            "another's leaf",
            refused("ExternalCommitRemovesOtherIdentity"),
        ),
        (
            "another's leaf too",
            refused("ExternalCommitWithMoreThanOneRemove"),
        ),
        ("a leaf that is not there", refused("InvalidNodeIndex")),
        ("no leaf", refused("DuplicateLeafData")),
        ("without ExternalInit", refused(one_init)),
        ("with two ExternalInits", refused(one_init)),
        (
            "with context extensions",
            refused("InvalidProposalTypeInExternalCommit"),
        ),
        ("without path", refused("CommitMissingPath")),
        // RFC 9420 section 12.2 allows it, our table does not.
        ("with a PSK", (Hub::Rule("NotAnOperation".into()), None)),
    ];
    assert_eq!(verdicts, BTreeMap::from(expected));
    all_agree(&mut world, &mut members);
}

#[test]
fn a_changed_request_to_be_let_in() {
    let (mut world, mut members) = group_with(971, 2, &open());
    let mut watch = Watch::begin(&mut world, &members[0]);
    let mut joiner = Actor::new(&mut world, 7, 0);
    let (ear, epoch) = (
        EarKey::new(members[0].ear().secret().duplicate()),
        members[0].epoch(),
    );
    let honest = joiner.joining_request(&mut world, epoch, &ear);
    let message = honest.proposals.iter().next().unwrap().as_slice().to_vec();
    let send = |world: &mut World, bytes: &[u8]| {
        let mut request: sordino_wire::ProposalsRequest =
            sordino_wire::exact(&sordino_wire::encode(&honest).unwrap()).unwrap();
        request.proposals = List::new(vec![Bytes::new(bytes.to_vec()).unwrap()]).unwrap();
        let mut signing = joiner.signing(world);
        signing.epoch = epoch;
        signing.bytes(world, Kind::Joiner, RequestBody::Proposals(request))
    };
    for _ in 0..60 {
        let mut changed = message.clone();
        let at = usize::try_from(world.rng.next_u32()).unwrap() % changed.len();
        changed[at] ^= 1 << (world.rng.next_u32() % 8);
        let bytes = send(&mut world, &changed);
        let reject = world.refused(&bytes, Endpoint::GroupOperation);
        let now_s = world.now_s;
        let watcher = by_watcher(&watch.group, now_s, &changed);
        assert!(watcher.is_some(), "byte {at}: {reject:?}");
    }
    let bytes = send(&mut world, &message);
    done(world.handle(&bytes, Endpoint::GroupOperation));
    members[0].sync(&mut world);
    watch.follow(&mut world, &members[0]);
    assert_eq!(watch.counts["proposals"], 1);
}
