//! The store against maps: bytes are a history of changes, sweeps and power cuts.

use crate::script::Script;
use sordino_store::conformance::block_on;
use sordino_store::conformance::model::{Action, NAMES, ONCE_NAMES, Step, run as history};

/// Longer histories find nothing that shorter ones do not, and cost more.
const MAX_ACTIONS: usize = 24;

pub(crate) fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut actions = Vec::new();
    while actions.len() < MAX_ACTIONS
        && let Some(kind) = script.byte()
    {
        actions.push(action(kind, &mut script));
    }
    block_on(history(actions));
}

fn action(kind: u8, script: &mut Script<'_>) -> Action {
    match kind % 8 {
        0 => Action::Reopen,
        1 => Action::Expire {
            days: u32::from(script.below(3)),
            budget: usize::from(script.below(8)),
        },
        2 => Action::Expire {
            days: 28 + u32::from(script.below(12)),
            budget: usize::from(script.below(8)),
        },
        _ => Action::Commit(step(script)),
    }
}

fn step(script: &mut Script<'_>) -> Step {
    let parts = script.below(64);
    let has = |bit: u8| parts & (1 << bit) != 0;
    let mut named = |names: u8, days: u8| (script.below(names), script.below(days));
    let mut dated = |names: u8| {
        let (name, days) = named(names, 6);
        (name, u32::from(days))
    };
    let append = (0..u8::from(has(0)) * 2).map(|_| dated(NAMES)).collect();
    let spend = has(1).then(|| dated(ONCE_NAMES));
    // With a spend, the set is opened or closed now and then.
    let set = spend.and_then(|(_, days)| match days {
        0 | 1 => Some(true),
        5 => Some(false),
        _ => None,
    });
    let replay = has(2).then(|| dated(ONCE_NAMES));
    let put = (0..u8::from(has(3)) * 2).map(|_| dated(NAMES));
    let put = put.map(|(name, days)| (name, (days > 0).then_some(days)));
    Step {
        put: put.collect(),
        append,
        spend: spend.map(|(name, _)| name),
        set,
        replay,
        delete: has(4).then(|| script.below(NAMES)),
        expect: has(5).then(|| (script.below(NAMES), script.below(3))),
    }
}

pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    let commits: Vec<u8> = (0..160).map(|n| (n * 37 % 251) as u8 | 3).collect();
    let mixed: Vec<u8> = (0..240).map(|n| (n * 91 % 253) as u8).collect();
    vec![("commits".into(), commits), ("mixed".into(), mixed)]
}
