//! Rotation as a state machine: time passes, keys come and go.

use crate::support::{DAY_S, rng};
use proptest::prelude::*;
use sordino_tokens::{
    IssuerKeys, KeyPurpose, Rotation, TokenClass, TokenType, epoch_length_s, plan,
};

const OFFERED: [(TokenClass, TokenType); 2] = [
    (TokenClass::Write, TokenType::VoprfRistretto255),
    (TokenClass::Contact, TokenType::VoprfRistretto255),
];

/// Does what a plan says, in its order.
fn carry_out(
    keys: &mut IssuerKeys,
    rotation: &Rotation,
    random: &mut impl rand_chacha::rand_core::RngCore,
) {
    for id in &rotation.retire {
        assert!(keys.retire(id));
    }
    for purpose in &rotation.make {
        keys.generate(*purpose, random).unwrap();
    }
}

fn purposes(keys: &IssuerKeys) -> Vec<KeyPurpose> {
    keys.iter().map(|key| *key.purpose()).collect()
}

#[test]
fn a_new_hub_has_this_epoch_and_the_next() {
    let now_s = 20_000 * DAY_S + 5_000;
    let rotation = plan(&IssuerKeys::new(), &OFFERED, now_s, DAY_S);
    assert!(rotation.retire.is_empty());
    let epochs: Vec<_> = rotation.make.iter().map(|purpose| purpose.epoch).collect();
    assert_eq!(epochs.len(), 4);
    assert_eq!((epochs[0], epochs[2]), (epochs[1], epochs[3]));
    assert_eq!(
        (epochs[0].number(), epochs[0].start_s()),
        (20_000, 20_000 * DAY_S)
    );
    assert_eq!(
        (epochs[2].number(), epochs[2].start_s()),
        (20_001, 20_001 * DAY_S)
    );
    assert_eq!(epochs[2].end_s(), 20_002 * DAY_S);
}

#[test]
fn keys_come_one_epoch_ahead_and_go_two_hours_after() {
    let mut keys = IssuerKeys::new();
    let mut random = rng(1);
    let start_s = 20_000 * DAY_S;
    let first = plan(&keys, &OFFERED, start_s, DAY_S);
    carry_out(&mut keys, &first, &mut random);
    let at = |keys: &IssuerKeys, now_s| plan(keys, &OFFERED, now_s, DAY_S);
    assert!(at(&keys, start_s + DAY_S - 1).is_empty());
    let turn = at(&keys, start_s + DAY_S);
    assert_eq!((turn.retire.len(), turn.make.len()), (0, 2));
    assert!(
        turn.make
            .iter()
            .all(|purpose| purpose.epoch.number() == 20_002)
    );
    carry_out(&mut keys, &turn, &mut random);
    assert_eq!(keys.iter().count(), 6);
    assert!(at(&keys, start_s + DAY_S + 7_199).is_empty());
    let over = at(&keys, start_s + DAY_S + 7_200);
    assert_eq!((over.retire.len(), over.make.len()), (2, 0));
    assert!(!turn.is_empty() && !over.is_empty());
}

#[test]
fn a_new_length_begins_with_the_epoch_after_next() {
    let mut keys = IssuerKeys::new();
    let mut random = rng(1);
    let start_s = 20_000 * DAY_S;
    let first = plan(&keys, &OFFERED, start_s, 7 * DAY_S);
    carry_out(&mut keys, &first, &mut random);
    assert!(plan(&keys, &OFFERED, start_s, DAY_S).is_empty());
    let current_end_s = purposes(&keys)[0].epoch.end_s();
    let turn = plan(&keys, &OFFERED, current_end_s, DAY_S);
    let epoch = turn.make[0].epoch;
    assert_eq!(epoch.start_s(), current_end_s + 7 * DAY_S);
    assert_eq!(epoch.end_s(), epoch.start_s() + DAY_S);
}

#[test]
fn a_type_that_is_newly_offered_joins_the_running_epochs() {
    let mut keys = IssuerKeys::new();
    let mut random = rng(1);
    let now_s = 20_000 * DAY_S + 60;
    let first = plan(&keys, &OFFERED[..1], now_s, DAY_S);
    carry_out(&mut keys, &first, &mut random);
    let more = plan(&keys, &OFFERED, now_s + 60, DAY_S);
    let made: Vec<_> = more
        .make
        .iter()
        .map(|purpose| (purpose.class, purpose.epoch))
        .collect();
    let known = purposes(&keys);
    assert_eq!(
        made,
        [
            (TokenClass::Contact, known[0].epoch),
            (TokenClass::Contact, known[1].epoch),
        ]
    );
}

#[test]
fn after_a_long_sleep_a_new_chain_begins() {
    let mut keys = IssuerKeys::new();
    let mut random = rng(1);
    let first = plan(&keys, &OFFERED, 20_000 * DAY_S, DAY_S);
    carry_out(&mut keys, &first, &mut random);
    let woken = plan(&keys, &OFFERED, 20_050 * DAY_S + 9, DAY_S);
    assert_eq!((woken.retire.len(), woken.make.len()), (4, 4));
    assert_eq!(woken.make[0].epoch.number(), 20_050);
    assert!(woken.make[0].epoch.contains(20_050 * DAY_S + 9));
    carry_out(&mut keys, &woken, &mut random);
    assert!(plan(&keys, &OFFERED, 20_050 * DAY_S + 9, DAY_S).is_empty());
}

#[test]
fn a_clock_that_went_back_makes_no_keys() {
    let mut keys = IssuerKeys::new();
    let first = plan(&keys, &OFFERED, 20_000 * DAY_S, DAY_S);
    carry_out(&mut keys, &first, &mut rng(1));
    assert!(plan(&keys, &OFFERED, 19_990 * DAY_S, DAY_S).is_empty());
    assert!(plan(&keys, &OFFERED, 0, DAY_S).is_empty());
}

#[test]
fn epochs_are_never_shorter_than_their_grace() {
    let rotation = plan(&IssuerKeys::new(), &OFFERED, 1_000_000, 1);
    let epoch = rotation.make[0].epoch;
    assert_eq!(epoch.end_s() - epoch.start_s(), 7_200);
    assert!(epoch.contains(1_000_000));
    let _ = plan(&IssuerKeys::new(), &OFFERED, u64::MAX, u64::MAX);
    assert!(
        plan(&IssuerKeys::new(), &OFFERED, u64::MAX, DAY_S)
            .make
            .is_empty()
    );
}

#[derive(Debug, Clone)]
struct Step {
    elapsed_s: u64,
    drawing_accounts: u64,
    offered: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let elapsed = prop_oneof![0..3_600u64, 0..2 * DAY_S, 0..40 * DAY_S];
    (elapsed, 0..2_000u64, 1..=2usize).prop_map(|(elapsed_s, drawing_accounts, offered)| Step {
        elapsed_s,
        drawing_accounts,
        offered,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_time_does_the_rules_hold(
        start_s in 0..30_000 * DAY_S,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut keys = IssuerKeys::new();
        let mut random = rng(1);
        let mut now_s = start_s;
        let mut last_number = 0;
        for step in steps {
            now_s += step.elapsed_s;
            let before = purposes(&keys);
            let offered = &OFFERED[..step.offered];
            let rotation = plan(&keys, offered, now_s, epoch_length_s(step.drawing_accounts));
            let retired: Vec<KeyPurpose> = keys
                .iter()
                .filter(|key| rotation.retire.contains(key.id()))
                .map(|key| *key.purpose())
                .collect();
            // Destroyed exactly when two hours have passed since the end.
            for purpose in &before {
                let is_over = now_s >= purpose.epoch.end_s() + 7_200;
                prop_assert_eq!(retired.contains(purpose), is_over);
            }
            // Every key finds a place, which the set itself refuses to a fourth one or a second one.
            carry_out(&mut keys, &rotation, &mut random);
            let live = purposes(&keys);
            for (class, token_type) in offered {
                let of_kind: Vec<_> = live
                    .iter()
                    .filter(|purpose| purpose.class == *class && purpose.token_type == *token_type)
                    .map(|purpose| purpose.epoch)
                    .collect();
                prop_assert!(of_kind.len() <= 3);
                let running: Vec<_> = of_kind.iter().filter(|epoch| epoch.contains(now_s)).collect();
                prop_assert_eq!(running.len(), 1);
                let next = of_kind.iter().filter(|epoch| epoch.start_s() >= running[0].end_s());
                let next: Vec<_> = next.collect();
                prop_assert_eq!(next.len(), 1);
                prop_assert_eq!(next[0].start_s(), running[0].end_s());
                prop_assert!(next[0].number() > running[0].number());
                prop_assert!(running[0].number() >= last_number);
            }
            last_number = live.iter().map(|p| p.epoch).find(|e| e.contains(now_s)).unwrap().number();
            // One schedule for all classes and types.
            for one in &live {
                for other in &live {
                    let same = one.epoch == other.epoch;
                    prop_assert!(same || !one.epoch.overlaps(&other.epoch));
                }
            }
            // Nothing more to do.
            prop_assert!(plan(&keys, offered, now_s, epoch_length_s(step.drawing_accounts)).is_empty());
        }
    }
}
