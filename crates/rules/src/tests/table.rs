//! The table is total and closed: whatever it does not name is no operation.

use super::device::*;
use crate::classify::Kind;
use crate::commit::{AddedLeaf, CommittedProposal};
use crate::*;
use proptest::prelude::*;
use sordino_wire::{CommitIntent, JoinRule, PolicySummary, Reject};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Users 0 and 1 have two leaves each, 2 has one; 3 is a stranger.
fn members() -> Members {
    let mut members = Members::default();
    for (index, user, device) in [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1), (5, 2, 0)] {
        members.put(index, leaf(user, device));
    }
    members
}

/// Derived once each.
fn leaf(user: u8, device: u8) -> LeafView {
    type Leaves = BTreeMap<(u8, u8), LeafView>;
    static LEAVES: Mutex<Leaves> = Mutex::new(Leaves::new());
    let mut leaves = LEAVES.lock().unwrap();
    let made = leaves.entry((user, device)).or_insert_with(|| LeafView {
        credential: Device::new(user, device).credential,
        encryption_key: vec![user, device],
    });
    made.clone()
}

fn add(user: u8) -> Content {
    Content::Add(Box::new(AddedLeaf {
        leaf: leaf(user, 9),
        lifetime: key_package_lifetime(0),
    }))
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        (0u8..4).prop_map(add),
        (0u32..7).prop_map(Content::Remove),
        Just(Content::SelfRemove),
        Just(Content::ExternalInit),
        Just(Content::Policy(Box::new(open_policy()))),
        Just(Content::Other),
    ]
}

fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        4 => Just(Origin::Value),
        1 => (0u32..7).prop_map(Origin::Member),
        1 => Just(Origin::Hub),
        1 => Just(Origin::Joiner),
    ]
}

fn proposals() -> impl Strategy<Value = Vec<CommittedProposal>> {
    let proposal = (origin(), content()).prop_map(|(origin, content)| CommittedProposal {
        origin,
        reference: None,
        content,
    });
    prop::collection::vec(proposal, 0..5)
}

fn view() -> impl Strategy<Value = CommitView> {
    let sender = prop_oneof![
        (0u32..7).prop_map(CommitSender::Member),
        Just(CommitSender::NewMember),
    ];
    let path = prop::option::of((0u8..4).prop_map(|user| leaf(user, 7)));
    (sender, proposals(), path).prop_map(|(sender, proposals, path_leaf)| CommitView {
        sender,
        proposals,
        path_leaf,
        aad: stays(),
    })
}

fn join() -> impl Strategy<Value = JoinRule> {
    prop_oneof![
        Just(JoinRule::Closed),
        Just(JoinRule::Invite),
        Just(JoinRule::Open),
        Just(JoinRule::Connection),
    ]
}

fn intent() -> impl Strategy<Value = CommitIntent> {
    prop_oneof![4 => Just(CommitIntent::Apply), 1 => Just(CommitIntent::Delete)]
}

/// The table once more, written down from the design page: the multiset of proposals that each row
/// admits, as counts by column.
fn named(view: &CommitView, operation: Operation) -> bool {
    let count = |kind: Kind| {
        view.proposals
            .iter()
            .filter(|proposal| Kind::of(proposal) == kind)
            .count()
    };
    let [adds, removes, inits, policies] =
        [Kind::Add, Kind::Remove, Kind::ExternalInit, Kind::Policy].map(count);
    let references =
        count(Kind::SelfRemoveRef) + count(Kind::HubRemoveRef) + count(Kind::JoinerAddRef);
    let only_leaving = count(Kind::HubRemoveRef) + count(Kind::JoinerAddRef) == 0;
    let by_value = (adds, removes, inits, policies);
    let member = matches!(view.sender, CommitSender::Member(_));
    let shape = match operation {
        Operation::AddUsers | Operation::AddOwnClients => {
            adds > 0 && by_value == (adds, 0, 0, 0) && member
        }
        Operation::RemoveUsers | Operation::RemoveOwnClients => {
            removes > 0 && by_value == (0, removes, 0, 0) && member
        }
        Operation::Update => by_value == (0, 0, 0, 0) && references == 0 && member,
        Operation::CommitPending => by_value == (0, 0, 0, 0) && references > 0 && member,
        Operation::ChangePolicy => by_value == (0, 0, 0, 1) && member,
        Operation::Delete => {
            by_value == (0, removes, 0, 0) && count(Kind::JoinerAddRef) == 0 && member
        }
        Operation::Resync => by_value == (0, 1, 1, 0) && only_leaving && !member,
        Operation::ExternalJoinNewDevice
        | Operation::ExternalJoinInvite
        | Operation::ExternalJoinOpen
        | Operation::ExternalJoinConnection => by_value == (0, 0, 1, 0) && only_leaving && !member,
    };
    shape && count(Kind::Foreign) == 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_table_is_total_and_closed(view in view(), join in join(), intent in intent()) {
        let (members, domain) = (members(), hub_domain());
        let policy = PolicySummary { join, ..open_policy() };
        let before = Before {
            members: &members,
            policy: &policy,
            generation: GENERATION,
            hub_domain: &domain,
            group_id: GROUP,
            pending: &[],
            now_s: None,
        };
        let outcome = classify(&before, &view, intent);
        match &outcome {
            Ok(operation) => {
                prop_assert!(named(&view, *operation));
                prop_assert_eq!(*operation == Operation::Delete, intent == CommitIntent::Delete);
            }
            Err(Reject::NotAnOperation | Reject::InvalidCommit | Reject::Policy(_)) => {}
            Err(other) => prop_assert!(false, "{:?}", other),
        }
        // Whatever no row names is refused as that, unless a leaf is not even there.
        let some_row = Operation::ALL.into_iter().any(|operation| named(&view, operation));
        if !some_row {
            prop_assert!(matches!(
                outcome,
                Err(Reject::NotAnOperation | Reject::InvalidCommit)
            ));
        }
        if view.proposals.iter().any(|proposal| Kind::of(proposal) == Kind::Foreign) {
            prop_assert_eq!(outcome.clone(), Err(Reject::NotAnOperation));
        }
        // Judging never panics, and accepts nothing that is not an operation.
        let verdict = check_commit(&before, &view, intent);
        if let Ok(verdict) = verdict {
            prop_assert_eq!(Ok(verdict.operation), outcome);
            check_result(&members, &view, &verdict)?;
        }
    }
}

/// Every multiset of at most three proposals, by every kind of sender: each row is reached, and
/// whatever a row names is that row, unless it concerns own and other users at once.
#[test]
fn every_row_is_reached_and_nothing_else() {
    let columns = [
        (Origin::Value, add(0)),
        (Origin::Value, add(3)),
        (Origin::Value, Content::Remove(1)),
        (Origin::Value, Content::Remove(5)),
        (Origin::Value, Content::ExternalInit),
        (Origin::Value, Content::Policy(Box::new(open_policy()))),
        (Origin::Value, Content::SelfRemove),
        (Origin::Member(2), Content::SelfRemove),
        (Origin::Member(2), Content::Remove(3)),
        (Origin::Hub, Content::Remove(3)),
        (Origin::Hub, add(3)),
        (Origin::Joiner, add(3)),
        (Origin::Value, Content::Other),
    ];
    let column = |number: usize| columns.get(number).cloned().into_iter();
    let (members, domain) = (members(), hub_domain());
    let mut reached = BTreeSet::new();
    let none = columns.len();
    for first in 0..=none {
        for second in first..=none {
            for third in second..=none {
                let proposals: Vec<_> = column(first)
                    .chain(column(second))
                    .chain(column(third))
                    .map(|(origin, content)| CommittedProposal {
                        origin,
                        reference: None,
                        content,
                    })
                    .collect();
                for surroundings in surroundings() {
                    let view = CommitView {
                        sender: surroundings.sender,
                        proposals: proposals.clone(),
                        path_leaf: surroundings.path_leaf,
                        aad: stays(),
                    };
                    let before = Before {
                        members: &members,
                        policy: &surroundings.policy,
                        generation: GENERATION,
                        hub_domain: &domain,
                        group_id: GROUP,
                        pending: &[],
                        now_s: None,
                    };
                    let outcome = classify(&before, &view, surroundings.intent);
                    check_outcome(&view, surroundings.intent, &outcome);
                    reached.extend(outcome.ok());
                }
            }
        }
    }
    assert_eq!(reached, BTreeSet::from(Operation::ALL));
}

fn check_outcome(view: &CommitView, intent: CommitIntent, outcome: &Result<Operation, Reject>) {
    let rows = Operation::ALL
        .into_iter()
        .filter(|row| (*row == Operation::Delete) == (intent == CommitIntent::Delete));
    let rows: Vec<_> = rows.filter(|row| named(view, *row)).collect();
    match outcome {
        Ok(operation) => assert!(rows.contains(operation)),
        Err(Reject::Policy(_)) => assert!(rows.contains(&Operation::ExternalJoinOpen)),
        Err(refused) => {
            assert_eq!(refused, &Reject::NotAnOperation);
            assert!(rows.is_empty() || view.path_leaf.is_none() || is_mixed(view));
        }
    }
}

/// Whether a commit by the user of leaf 0 concerns that user and another one.
fn is_mixed(view: &CommitView) -> bool {
    let by_value = |wanted: &Content| {
        view.proposals
            .iter()
            .any(|proposal| proposal.origin == Origin::Value && &proposal.content == wanted)
    };
    (by_value(&add(0)) && by_value(&add(3)))
        || (by_value(&Content::Remove(1)) && by_value(&Content::Remove(5)))
}

struct Surroundings {
    sender: CommitSender,
    path_leaf: Option<LeafView>,
    policy: PolicySummary,
    intent: CommitIntent,
}

fn surroundings() -> Vec<Surroundings> {
    let mut all = Vec::new();
    for join in [
        JoinRule::Closed,
        JoinRule::Invite,
        JoinRule::Open,
        JoinRule::Connection,
    ] {
        for intent in [CommitIntent::Apply, CommitIntent::Delete] {
            for path_leaf in [None, Some(leaf(0, 7)), Some(leaf(3, 7))] {
                for sender in [CommitSender::Member(0), CommitSender::NewMember] {
                    all.push(Surroundings {
                        sender,
                        path_leaf: path_leaf.clone(),
                        policy: PolicySummary {
                            join,
                            ..open_policy()
                        },
                        intent,
                    });
                }
            }
        }
    }
    all
}

/// What an accepted commit makes of the leaves.
fn check_result(
    members: &Members,
    view: &CommitView,
    verdict: &Verdict,
) -> Result<(), TestCaseError> {
    let gone: BTreeSet<u32> = verdict.cleared().collect();
    let joined = usize::from(verdict.operation.is_external());
    let expected = members.len() - gone.len() + verdict.added.len() + joined;
    prop_assert_eq!(verdict.members.len(), expected);
    prop_assert_eq!(verdict.must_move_generation, !verdict.removed.is_empty());
    prop_assert!(verdict.members.get(verdict.committer).is_some());
    prop_assert_eq!(verdict.added.len(), view.adds().count());
    Ok(())
}
