//! Whatever four users with two devices each do, in whatever order, they stay together.

use crate::life::{Life, Op};
use proptest::prelude::*;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::Say),
        2 => Just(Op::Update),
        1 => Just(Op::Rotate),
        2 => Just(Op::Move),
        4 => Just(Op::AddUser),
        3 => Just(Op::AddDevice),
        1 => Just(Op::RemoveUser),
        1 => Just(Op::RemoveDevice),
        1 => Just(Op::ChangePolicy),
        1 => Just(Op::Leave),
        1 => Just(Op::Resync),
        1 => Just(Op::Confirm),
        2 => Just(Op::Race),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everybody_stays_together(
        seed in any::<u64>(),
        steps in prop::collection::vec((0usize..8, 0usize..8, op()), 1..24),
    ) {
        let mut life = Life::new(seed);
        for (who, other, op) in steps {
            let count = life.members.len();
            life.act(who % count, other, op);
            life.converge();
        }
    }
}
