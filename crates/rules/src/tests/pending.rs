//! Proposals by reference: who may make them, and who must commit them.

use super::device::*;
use super::world::*;
use crate::*;
use openmls::prelude::{ExternalProposal, KeyPackage, LeafNodeIndex, SenderExtensionIndex};
use openmls_rust_crypto::OpenMlsRustCrypto;
use sordino_crypto::sha256;
use sordino_wire::{
    Capability, CommitIntent, CredentialRule, Digest, JoinRule, LeafOperation, List, Permission,
    PolicySummary, Reject,
};

fn proposing(
    world: &World,
    message: &openmls::prelude::MlsMessageOut,
) -> Result<PendingKind, Reject> {
    let (members, policy, domain) = (world.members(), world.policy(), hub_domain());
    let before = Before {
        members: &members,
        policy: &policy,
        generation: GENERATION,
        hub_domain: &domain,
        group_id: GROUP,
        pending: &world.pending,
        now_s: Some(now_s()),
    };
    check_proposal(&before, &world.proposal(message))
}

fn committing(world: &mut World, device: usize) -> Result<Verdict, Reject> {
    let bundle = world.commit(device, moves(), |builder| builder);
    world.judge(bundle.commit())
}

#[test]
fn what_is_pending_is_committed() {
    let mut world = World::with(&open_policy(), &[(1, 0), (2, 0)]);
    world.leaves(1);
    world.hub_removes(2);
    world.asks_in(&Device::new(3, 0));
    let bundle = world.commit(0, moves(), |builder| builder);
    let verdict = world.accept(0, bundle.commit());
    assert_eq!(verdict.operation, Operation::CommitPending);
    assert_eq!(verdict.auth, RequiredAuth::Leaf);
    assert_eq!(verdict.removed, [1, 2]);
    assert_eq!(verdict.added, [1]);
    assert_eq!(verdict.entry_leaves, [1]);
    assert!(verdict.must_move_generation);
}

#[test]
fn leaving_moves_the_generation() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    world.leaves(1);
    let bundle = world.commit(0, stays(), |builder| builder);
    assert_eq!(world.judge(bundle.commit()), Err(Reject::Generation));
}

#[test]
fn a_member_leaves_nothing_out_that_somebody_else_needs() {
    let mut world = World::with(&open_policy(), &[(1, 0), (2, 0)]);
    let leaving = world.leaves(1);
    let removing = world.hub_removes(2);
    world.asks_in(&Device::new(3, 0));
    let hash = |message: &openmls::prelude::MlsMessageOut| sha256(&message.to_bytes().unwrap());
    let missing = |hashes: Vec<Digest>| Reject::MissingProposals {
        hashes: List::new(hashes).unwrap(),
    };
    let bundle = world.commit(0, stays(), |builder| {
        builder
            .consume_proposal_store(false)
            .force_self_update(true)
    });
    assert_eq!(
        world.judge(bundle.commit()),
        Err(missing(vec![hash(&leaving), hash(&removing)]))
    );
    // The request to be let in alone may be left out.
    let bundle = world.commit(0, moves(), |builder| builder);
    let mut view = world.stage(bundle.commit()).unwrap().1;
    view.proposals
        .retain(|proposal| proposal.origin != Origin::Joiner);
    world.judge_view(&view, CommitIntent::Apply).unwrap();
    view.proposals
        .retain(|proposal| proposal.origin != Origin::Hub);
    assert_eq!(
        world.judge_view(&view, CommitIntent::Apply),
        Err(missing(vec![hash(&removing)]))
    );
}

#[test]
fn operations_carry_what_is_pending() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    world.leaves(1);
    let package = Device::new(2, 0).key_package();
    let bundle = world.commit(0, moves(), |builder| builder.propose_adds([package]));
    let verdict = world.judge(bundle.commit()).unwrap();
    assert_eq!(verdict.operation, Operation::AddUsers);
    assert_eq!((verdict.removed, verdict.added), (vec![1], vec![1]));
    let proposal = policy_update(&open_policy());
    let bundle = world.commit(0, moves(), |builder| builder.add_proposal(proposal));
    let verdict = world.judge(bundle.commit()).unwrap();
    assert_eq!(verdict.operation, Operation::ChangePolicy);
}

#[test]
fn entries_follow_the_order_of_the_adds() {
    let mut world = World::new(&open_policy());
    world.asks_in(&Device::new(2, 0));
    let package = Device::new(1, 0).key_package();
    let bundle = world.commit(0, stays(), |builder| builder.propose_adds([package]));
    let verdict = world.judge(bundle.commit()).unwrap();
    assert_eq!(verdict.operation, Operation::AddUsers);
    assert_eq!(verdict.entry_leaves, [1, 2]);
    let first = verdict.members.get(1).unwrap();
    assert_eq!(&first.credential.user_pseudonym, Device::new(2, 0).user());
}

#[test]
fn own_clients_come_beside_requests() {
    let mut world = World::new(&open_policy());
    world.asks_in(&Device::new(2, 0));
    let own = Device::new(0, 1);
    let proof = proof(LeafOperation::AddOwnClient, &world.devices[0], 0, &own);
    let bundle = world.commit(0, with_proofs(vec![proof]), |builder| {
        builder.propose_adds([own.key_package()])
    });
    let verdict = world.judge(bundle.commit()).unwrap();
    assert_eq!(verdict.operation, Operation::AddOwnClients);
    assert_eq!(verdict.entry_leaves.len(), 2);
}

#[test]
fn who_is_being_removed_can_only_wait() {
    let mut world = World::with(&open_policy(), &[(1, 0), (2, 0)]);
    let bundle = world.commit(1, stays(), |builder| builder.force_self_update(true));
    let commit = bundle.commit().clone();
    world.judge(&commit).unwrap();
    world.hub_removes(1);
    assert_eq!(world.judge(&commit), Err(Reject::BeingRemoved));
    let bundle = world.commit(2, stays(), |builder| {
        builder
            .consume_proposal_store(false)
            .force_self_update(true)
    });
    let commit = bundle.commit().clone();
    let view = world.stage(&commit).unwrap().1;
    world.pending.clear();
    world.judge_view(&view, CommitIntent::Apply).unwrap();
    world.pending.push(PendingRef {
        hash: Digest([0; 32]),
        reference: view_reference(&world),
        kind: PendingKind::SelfRemove { leaf: 2 },
    });
    assert_eq!(
        world.judge_view(&view, CommitIntent::Apply),
        Err(Reject::BeingRemoved)
    );
}

fn view_reference(world: &World) -> openmls::ciphersuite::hash_ref::ProposalRef {
    let message = world.request(&Device::new(5, 0), Device::new(5, 0).key_package());
    world.proposal(&message).proposal_reference_ref().clone()
}

#[test]
fn leaving_counts_more_than_being_removed() {
    let mut world = World::with(&open_policy(), &[(1, 0), (2, 0)]);
    world.hub_removes(1);
    let removal = world.pending[0].clone();
    world.leaves(1);
    let bundle = world.commit(0, moves(), |builder| builder);
    let view = world.stage(bundle.commit()).unwrap().1;
    assert_eq!(view.proposals.len(), 1);
    assert_eq!(view.proposals[0].content, Content::SelfRemove);
    let verdict = world.judge(bundle.commit()).unwrap();
    assert_eq!(verdict.removed, [1]);
    // With both, one leaf leaves twice.
    let mut both = view.clone();
    both.proposals.push(CommittedProposal {
        origin: Origin::Hub,
        reference: Some(removal.reference),
        content: Content::Remove(1),
    });
    assert_eq!(
        world.judge_view(&both, CommitIntent::Apply),
        Err(Reject::InvalidCommit)
    );
}

#[test]
fn letting_in_needs_the_permission_to_add() {
    let policy = PolicySummary {
        add: Permission::Admins,
        admins: List::new(vec![Device::new(0, 0).user().clone()]).unwrap(),
        ..open_policy()
    };
    let mut world = World::with(&policy, &[(1, 0)]);
    world.asks_in(&Device::new(2, 0));
    committing(&mut world, 0).unwrap();
    assert_eq!(
        committing(&mut world, 1),
        Err(Reject::Policy(Capability::Add))
    );
}

#[test]
fn a_device_does_not_ask_for_another_user() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    world.asks_in(&Device::new(1, 1));
    assert_eq!(
        committing(&mut world, 0),
        Err(Reject::InvalidCredential(CredentialRule::LeafProof))
    );
}

#[test]
fn requests_are_checked_before_they_are_stored() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let joiner = Device::new(2, 0);
    let message = world.request(&joiner, joiner.key_package());
    assert!(matches!(
        proposing(&world, &message),
        Ok(PendingKind::Add(_))
    ));
    let member = Device::new(1, 1);
    let message = world.request(&member, member.key_package());
    assert_eq!(
        proposing(&world, &message),
        Err(Reject::InvalidCredential(CredentialRule::LeafProof))
    );
    // A leaf that no commit could add.
    let package = KeyPackage::builder()
        .key_package_lifetime(key_package_lifetime(now_s()))
        .build(
            CIPHERSUITE,
            &joiner.provider,
            &joiner.leaf_key,
            joiner.with_key(),
        )
        .unwrap();
    let message = world.request(&joiner, package.key_package().clone());
    assert_eq!(
        proposing(&world, &message),
        Err(Reject::InvalidCredential(CredentialRule::NotCanonical))
    );
    // Two requests of one client.
    let message = world.request(&joiner, joiner.key_package());
    world.store(message);
    let message = world.request(&joiner, joiner.key_package());
    assert_eq!(
        proposing(&world, &message),
        Err(Reject::InvalidCredential(CredentialRule::Duplicate))
    );
}

#[test]
fn requests_need_a_room_that_takes_them() {
    let full = PolicySummary {
        max_members: 1,
        ..open_policy()
    };
    let closed = PolicySummary {
        join: JoinRule::Closed,
        ..open_policy()
    };
    let alone = PolicySummary {
        add: Permission::Nobody,
        ..open_policy()
    };
    let connection = PolicySummary {
        join: JoinRule::Connection,
        ..open_policy()
    };
    for (policy, why) in [
        (full, Capability::Size),
        (closed, Capability::Join),
        (alone, Capability::Join),
        (connection, Capability::Join),
    ] {
        let world = World::new(&policy);
        let joiner = Device::new(2, 0);
        let message = world.request(&joiner, joiner.key_package());
        assert_eq!(proposing(&world, &message), Err(Reject::Policy(why)));
    }
}

#[test]
fn nobody_leaves_twice() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let message = world.hub_removes(1);
    assert_eq!(proposing(&world, &message), Err(Reject::InvalidProposal));
    world.pending.clear();
    assert_eq!(
        proposing(&world, &message),
        Ok(PendingKind::Remove { leaf: 1 })
    );
    let leaving = world.leaves(1);
    assert_eq!(proposing(&world, &leaving), Err(Reject::InvalidProposal));
    // The hub does not remove who leaves anyway.
    assert_eq!(proposing(&world, &message), Err(Reject::InvalidProposal));
    world.pending.clear();
    assert_eq!(
        proposing(&world, &leaving),
        Ok(PendingKind::SelfRemove { leaf: 1 })
    );
}

#[test]
fn pending_proposals_are_limited() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let message = world.hub_removes(1);
    let one = world.pending[0].clone();
    world.pending = vec![one; 16];
    assert_eq!(
        proposing(&world, &message),
        Err(Reject::LimitReached { limit: 16 })
    );
}

#[test]
fn nobody_else_proposes() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let joiner = Device::new(2, 0);
    // The hub adds nobody.
    let add = ExternalProposal::new_add::<OpenMlsRustCrypto>(
        joiner.key_package(),
        world.hub.group_id().clone(),
        world.hub.group_context().epoch(),
        &world.hub_key,
        SenderExtensionIndex::new(0),
    )
    .unwrap();
    assert_eq!(proposing(&world, &add), Err(Reject::NotAnOperation));
    // The hub does not touch the context.
    let extensions = ExternalProposal::new_group_context_extensions::<OpenMlsRustCrypto>(
        world.hub.group_context().extensions().clone(),
        world.hub.group_id().clone(),
        world.hub.group_context().epoch(),
        &world.hub_key,
        SenderExtensionIndex::new(0),
    )
    .unwrap();
    assert_eq!(proposing(&world, &extensions), Err(Reject::NotAnOperation));
    // Members propose to remove nobody, and add nobody.
    let device = &mut world.devices[1];
    let group = device.group.as_mut().unwrap();
    let provider = &device.provider;
    let (removal, _) = group
        .propose_remove_member(provider, &device.leaf_key, LeafNodeIndex::new(0))
        .unwrap();
    let (addition, _) = group
        .propose_add_member(provider, &device.leaf_key, &joiner.key_package())
        .unwrap();
    assert_eq!(proposing(&world, &removal), Err(Reject::NotAnOperation));
    assert_eq!(proposing(&world, &addition), Err(Reject::NotAnOperation));
}
