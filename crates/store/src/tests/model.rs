//! Random histories against a model of maps.

use crate::conformance::block_on;
use crate::conformance::model::{Action, NAMES, ONCE_NAMES, Step, run};
use proptest::collection::vec;
use proptest::prelude::*;

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES;
    let days = || 0..6_u32;
    (
        proptest::option::of((name(), 0..3_u8)),
        vec((name(), proptest::option::of(days())), 0..3),
        proptest::option::weighted(0.2, name()),
        vec((name(), days()), 0..4),
        proptest::option::weighted(0.3, (0..ONCE_NAMES, days())),
        proptest::option::weighted(0.3, (0..ONCE_NAMES, days())),
    )
        .prop_map(|(expect, put, delete, append, spend, replay)| Step {
            expect,
            put,
            delete,
            append,
            spend,
            replay,
        })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => step().prop_map(Action::Commit),
        2 => (prop_oneof![4 => 0..3_u32, 1 => 30..40_u32], 0..8_usize)
            .prop_map(|(days, budget)| Action::Expire { days, budget }),
        1 => Just(Action::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn behaves_like_maps(actions in vec(action(), 1..40)) {
        block_on(run(actions));
    }
}
