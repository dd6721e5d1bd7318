//! Hub and watcher judge alike, whatever is sent and whatever went before. Where they differ, the
//! difference stands in a table with its reason.

use crate::attacks::ATTACKS;
use crate::life::{Life, Op};
use crate::scene::group_of;
use crate::verdicts::{Hub, Verdicts, any_attack, attack};
use crate::watch::Watch;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use std::collections::BTreeMap;

/// How many histories are played, beside the usual number.
const HISTORIES: &str = "SORDINO_ORACLE_HISTORIES";
const USUAL_HISTORIES: u64 = 8;
const STEPS: usize = 30;

/// What the hub says by MLS, what mls-rs says, and why they differ. The hub refuses all of them.
struct Difference {
    attack: &'static str,
    by_mls: bool,
    watcher: Option<&'static str>,
    why: &'static str,
}

const DIFFERENCES: [Difference; 7] = [
    Difference {
        attack: "authenticated data of another kind",
        by_mls: true,
        watcher: None,
        why: "our rule: a commit's authenticated data is a CommitAad, or the commit is malformed",
    },
    Difference {
        attack: "a SelfRemove by value",
        by_mls: false,
        watcher: Some("SerializationError"),
        why: "mls-rs cannot read the type; our rule: a SelfRemove comes by reference",
    },
    Difference {
        attack: "no context extensions",
        by_mls: true,
        watcher: None,
        why: "where AppDataUpdate is required, openmls lets no GroupContextExtensions touch the \
              dictionary (draft-ietf-mls-extensions); mls-rs does not know the draft",
    },
    Difference {
        attack: "leaf that knows its own credential alone",
        by_mls: false,
        watcher: Some("RequiredCredentialNotFound"),
        why: "mls-rs wants a leaf to know the external sender's credential type (decision 0040), \
              openmls does not look; our rule: capabilities are the canonical ones",
    },
    Difference {
        attack: "leaf that lists what all know",
        by_mls: false,
        watcher: Some("DefaultValueListed"),
        why: "openmls takes default types in capabilities (RFC 9420 section 7.2 forbids them); our \
              rule: capabilities are the canonical ones",
    },
    Difference {
        attack: "leaf that knows no cipher suite",
        by_mls: true,
        watcher: None,
        why: "mls-rs does not compare a leaf's suites with the group's; openmls does",
    },
    Difference {
        attack: "leaf that speaks no version",
        by_mls: true,
        watcher: None,
        why: "mls-rs does not compare a leaf's versions with the group's; openmls does",
    },
];

/// What our rules may say to a commit that both libraries take.
const RULES: [&str; 5] = [
    // Types that the closed table does not have.
    "NotAnOperation",
    // Capabilities and extensions that are not the canonical ones.
    "InvalidCredential(NotCanonical)",
    // The generation in the authenticated data.
    "Generation",
    // What was changed is signed by the committer's GroupInfo.
    "InvalidGroupInfo",
    // A leaf key in a commit that is no update.
    "InvalidCredential(LeafKey)",
];

#[track_caller]
fn check(name: &str, verdicts: &Verdicts) -> Option<&'static Difference> {
    let known = DIFFERENCES.iter().find(|d| d.attack == name);
    if !verdicts.agree() {
        let known = known.unwrap_or_else(|| panic!("{name}: {verdicts:?}"));
        assert_eq!(
            verdicts.hub == Hub::Mls,
            known.by_mls,
            "{name}: {}",
            known.why
        );
        assert_eq!(
            verdicts.watcher.as_deref(),
            known.watcher,
            "{name}: {}",
            known.why
        );
        return Some(known);
    }
    if let Hub::Rule(rule) = &verdicts.hub {
        assert!(RULES.contains(&rule.as_str()), "{name}: {rule}");
    }
    None
}

#[test]
fn every_attack_is_judged_alike_or_the_difference_has_a_reason() {
    let (mut world, mut members) = group_of(950, 5);
    let watch = Watch::begin(&mut world, &members[0]);
    let mut different = 0;
    for (name, change) in ATTACKS {
        let verdicts = attack(&mut world, &watch.group, &mut members, 1, 3, *change);
        different += usize::from(check(name, &verdicts).is_some());
    }
    assert_eq!(different, DIFFERENCES.len());
}

const OPS: [Op; 17] = [
    Op::Say,
    Op::Update,
    Op::Update,
    Op::Rotate,
    Op::Move,
    Op::AddUser,
    Op::AddUser,
    Op::AddUser,
    Op::AddDevice,
    Op::AddDevice,
    Op::RemoveUser,
    Op::RemoveDevice,
    Op::ChangePolicy,
    Op::Leave,
    Op::Resync,
    Op::Confirm,
    Op::Race,
];

fn below(rng: &mut ChaCha20Rng, n: usize) -> usize {
    usize::try_from(rng.next_u32()).unwrap() % n
}

/// One attack by somebody who could commit.
fn attack_somehow(life: &mut Life, watch: &mut Watch, rng: &mut ChaCha20Rng) {
    let (name, change) = any_attack(rng);
    let who = below(rng, life.members.len());
    let user = life.members[who].user;
    let other = life.members.iter().position(|m| m.user != user);
    let (Some(other), true) = (other, life.members[who].pending.is_empty()) else {
        return;
    };
    let members = &mut life.members;
    let verdicts = attack(&mut life.world, &watch.group, members, who, other, change);
    check(name, &verdicts);
    watch.count("attacks");
}

/// A history of valid commits and proposals, with an attack after each.
fn history(seed: u64) -> BTreeMap<&'static str, usize> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut life = Life::new(seed);
    let mut watch = Watch::begin(&mut life.world, &life.members[0]);
    for _ in 0..STEPS {
        let op = OPS[below(&mut rng, OPS.len())];
        let who = below(&mut rng, life.members.len());
        let other = below(&mut rng, 8);
        life.act(who, other, op);
        life.converge();
        watch.follow(&mut life.world, &life.members[0]);
        attack_somehow(&mut life, &mut watch, &mut rng);
    }
    watch.counts
}

#[test]
fn histories_end_where_the_hub_is() {
    let wanted = std::env::var(HISTORIES).map(|n| n.parse().unwrap());
    let mut counts = BTreeMap::new();
    for seed in 0..wanted.unwrap_or(USUAL_HISTORIES) {
        for (what, count) in history(seed) {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    for what in [
        "commits",
        "proposals",
        "messages",
        "attacks",
        crate::watch::NOT_READABLE,
        crate::watch::PUT_IN,
    ] {
        assert!(
            counts.get(what).is_some_and(|n| *n > 0),
            "no {what}: {counts:?}"
        );
    }
}
