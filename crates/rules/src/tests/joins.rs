//! External commits: new devices, invites, open rooms, connections, resyncs.

use super::device::*;
use super::world::*;
use crate::*;
use sordino_crypto::sha256;
use sordino_wire::{
    Capability, CommitAad, CommitIntent, CredentialRule, Digest, IdentityRule, JoinRule,
    LeafOperation, PolicySummary, Reject,
};

const CODE: Digest = Digest([42; 32]);
const NOBODY: usize = usize::MAX;

fn refused(rule: CredentialRule) -> Result<Verdict, Reject> {
    Err(Reject::InvalidCredential(rule))
}

fn no_join() -> Result<Verdict, Reject> {
    Err(Reject::Policy(Capability::Join))
}

fn policy(join: JoinRule) -> PolicySummary {
    PolicySummary {
        join,
        invite_code_hash: (join == JoinRule::Invite).then(|| sha256(&CODE.0)),
        ..open_policy()
    }
}

fn with_code(code: Digest) -> CommitAad {
    CommitAad {
        invite_code: Some(code),
        ..stays()
    }
}

fn joining(world: &mut World, device: &Device, aad: &CommitAad) -> Result<Verdict, Reject> {
    let commit = world.external(device, aad, &[]).1;
    world.judge(&commit)
}

#[test]
fn anybody_comes_into_an_open_room() {
    let mut world = World::with(&policy(JoinRule::Open), &[(1, 0)]);
    let commit = world.external(&Device::new(2, 0), &stays(), &[]).1;
    let verdict = world.accept(NOBODY, &commit);
    assert_eq!(verdict.operation, Operation::ExternalJoinOpen);
    assert_eq!(verdict.auth, RequiredAuth::Joiner);
    assert_eq!(verdict.committer, 2);
    assert!(verdict.entry_leaves.is_empty() && verdict.added.is_empty());
    assert!(!verdict.must_move_generation && verdict.removed.is_empty());
}

#[test]
fn an_open_room_wants_no_code() {
    let mut world = World::new(&policy(JoinRule::Open));
    let verdict = joining(&mut world, &Device::new(1, 0), &with_code(CODE));
    assert_eq!(verdict, Err(Reject::Malformed));
}

#[test]
fn an_invite_needs_its_code() {
    let mut world = World::new(&policy(JoinRule::Invite));
    let joiner = Device::new(1, 0);
    let verdict = joining(&mut world, &joiner, &with_code(CODE)).unwrap();
    assert_eq!(verdict.operation, Operation::ExternalJoinInvite);
    assert_eq!(verdict.auth, RequiredAuth::Joiner);
    assert!(verdict.entry_leaves.is_empty());
    assert_eq!(joining(&mut world, &joiner, &stays()), no_join());
    assert_eq!(
        joining(&mut world, &joiner, &with_code(Digest([43; 32]))),
        no_join()
    );
}

#[test]
fn nobody_comes_into_a_closed_room() {
    let mut world = World::new(&policy(JoinRule::Closed));
    assert_eq!(joining(&mut world, &Device::new(1, 0), &stays()), no_join());
}

#[test]
fn one_user_comes_into_a_connection_group() {
    let mut world = World::with(&policy(JoinRule::Connection), &[(0, 1)]);
    let mut aad = stays();
    aad.request_id = Some(CODE);
    for aad in [&aad, &stays()] {
        let verdict = joining(&mut world, &Device::new(1, 0), aad).unwrap();
        assert_eq!(verdict.operation, Operation::ExternalJoinConnection);
        assert_eq!(verdict.entry_leaves, [2]);
    }
    let mut world = World::with(&policy(JoinRule::Connection), &[(1, 0)]);
    assert_eq!(joining(&mut world, &Device::new(2, 0), &stays()), no_join());
}

#[test]
fn a_full_room_takes_nobody() {
    let full = PolicySummary {
        max_members: 2,
        ..policy(JoinRule::Open)
    };
    let mut world = World::with(&full, &[(1, 0)]);
    assert_eq!(
        joining(&mut world, &Device::new(2, 0), &stays()),
        Err(Reject::Policy(Capability::Size))
    );
}

#[test]
fn a_new_device_needs_both_signatures() {
    for join in [JoinRule::Closed, JoinRule::Invite, JoinRule::Connection] {
        let mut world = World::with(&policy(join), &[(1, 0)]);
        let new = Device::new(1, 1);
        let proof = proof(LeafOperation::ExternalJoin, &world.devices[1], 1, &new);
        let verdict = joining(&mut world, &new, &with_proofs(vec![proof])).unwrap();
        assert_eq!(verdict.operation, Operation::ExternalJoinNewDevice);
        assert_eq!(verdict.auth, RequiredAuth::Joiner);
        assert_eq!(verdict.entry_leaves, [2]);
    }
    let mut world = World::with(&policy(JoinRule::Open), &[(1, 0), (2, 0)]);
    let new = Device::new(1, 1);
    let operation = LeafOperation::ExternalJoin;
    let (sibling, stranger) = (&world.devices[1], &world.devices[2]);
    let mut no_user = proof(operation, sibling, 1, &new);
    no_user.user_signature = proof(operation, stranger, 1, &new).user_signature;
    let wrong = [
        vec![],
        vec![no_user],
        vec![proof(operation, stranger, 1, &new)],
        vec![proof(operation, stranger, 2, &new)],
        vec![proof(LeafOperation::Resync, sibling, 1, &new)],
        vec![proof_at(GENERATION + 1, operation, sibling, 1, &new)],
    ];
    for proofs in wrong {
        assert_eq!(
            joining(&mut world, &new, &with_proofs(proofs)),
            refused(CredentialRule::LeafProof)
        );
    }
}

#[test]
fn a_sibling_that_is_being_removed_lets_nobody_in() {
    let mut world = World::with(&policy(JoinRule::Open), &[(1, 0)]);
    world.hub_removes(1);
    let new = Device::new(1, 1);
    let proof = proof(LeafOperation::ExternalJoin, &world.devices[1], 1, &new);
    assert_eq!(
        joining(&mut world, &new, &with_proofs(vec![proof])),
        refused(CredentialRule::LeafProof)
    );
}

#[test]
fn a_client_does_not_come_in_twice() {
    let mut world = World::with(&policy(JoinRule::Open), &[(1, 0)]);
    // The same client with a rotated key: openmls takes it for another one.
    let again = Device::rotated(1, 0, 1);
    let proof = proof(LeafOperation::ExternalJoin, &world.devices[1], 1, &again);
    assert_eq!(
        joining(&mut world, &again, &with_proofs(vec![proof])),
        refused(CredentialRule::Duplicate)
    );
}

#[test]
fn joiners_may_commit_those_who_leave() {
    let mut world = World::with(&policy(JoinRule::Open), &[(1, 0), (2, 0)]);
    let leaving = world.leaves(1);
    world.hub_removes(2);
    let joiner = Device::new(3, 0);
    // The hub's removal cannot be committed from outside; it is proposed again.
    let commit = world
        .external(&joiner, &moves(), std::slice::from_ref(&leaving))
        .1;
    let verdict = world.judge(&commit).unwrap();
    assert_eq!(verdict.operation, Operation::ExternalJoinOpen);
    assert_eq!((verdict.removed, verdict.committer), (vec![1], 1));
    assert!(verdict.must_move_generation);
    let commit = world.external(&joiner, &stays(), &[leaving]).1;
    assert_eq!(world.judge(&commit), Err(Reject::Generation));
    assert!(joining(&mut world, &joiner, &stays()).is_ok());
}

fn resyncing(
    world: &mut World,
    device: &Device,
    proofs: Vec<sordino_wire::LeafProof>,
) -> Result<Verdict, Reject> {
    joining(world, device, &with_proofs(proofs))
}

#[test]
fn a_client_replaces_its_own_leaf() {
    let mut world = World::with(&policy(JoinRule::Closed), &[(1, 0), (2, 0)]);
    let me = Device::new(1, 0);
    let valid = proof(LeafOperation::Resync, &me, 1, &me);
    let commit = world.external(&me, &with_proofs(vec![valid]), &[]).1;
    let verdict = world.accept(NOBODY, &commit);
    assert_eq!(verdict.operation, Operation::Resync);
    assert_eq!(verdict.auth, RequiredAuth::PseudonymousUser);
    assert_eq!(verdict.replaced, Some(1));
    assert_eq!(verdict.committer, 1);
    assert_eq!(verdict.entry_leaves, [1]);
    assert_eq!(verdict.cleared().collect::<Vec<_>>(), [1]);
    assert!(verdict.removed.is_empty() && !verdict.must_move_generation);
}

#[test]
fn a_resync_is_never_too_many() {
    let full = PolicySummary {
        max_members: 2,
        identities: IdentityRule::None,
        ..policy(JoinRule::Closed)
    };
    let mut world = World::with(&full, &[(1, 0)]);
    let me = Device::new(1, 0);
    let valid = proof(LeafOperation::Resync, &me, 1, &me);
    let mut aad = with_proofs(vec![valid]);
    aad.generation_step = sordino_wire::GenerationStep::Moves;
    let verdict = joining(&mut world, &me, &aad).unwrap();
    assert!(verdict.moves_generation && verdict.entry_leaves.is_empty());
}

#[test]
fn a_resync_is_signed_by_the_replaced_leaf() {
    let mut world = World::with(&policy(JoinRule::Open), &[(1, 0), (1, 1)]);
    let me = Device::new(1, 0);
    let sibling = Device::new(1, 1);
    let operation = LeafOperation::Resync;
    let wrong = [
        vec![],
        vec![proof(operation, &sibling, 1, &me)],
        vec![proof(operation, &sibling, 2, &me)],
        vec![proof(LeafOperation::ExternalJoin, &me, 1, &me)],
        vec![proof_at(GENERATION - 1, operation, &me, 1, &me)],
    ];
    for proofs in wrong {
        assert_eq!(
            resyncing(&mut world, &me, proofs),
            refused(CredentialRule::LeafProof)
        );
    }
}

#[test]
fn a_resync_keeps_the_client() {
    let mut world = World::with(&policy(JoinRule::Open), &[(1, 0)]);
    let me = Device::new(1, 0);
    // The same signature key, which is all that openmls compares, under another client pseudonym.
    let mut other = Device::new(1, 0);
    other.credential.client_pseudonym = Device::new(1, 1).credential.client_pseudonym;
    resign(&mut other.credential, &me);
    let valid = proof(LeafOperation::Resync, &me, 1, &me);
    assert_eq!(
        resyncing(&mut world, &other, vec![valid.clone()]),
        refused(CredentialRule::PseudonymChanged)
    );
    let commit = world.external(&me, &with_proofs(vec![valid]), &[]).1;
    let view = world.stage(&commit).unwrap().1;
    let spoil = |change: &dyn Fn(&mut LeafView)| {
        let mut view = view.clone();
        change(view.path_leaf.as_mut().unwrap());
        world.judge_view(&view, CommitIntent::Apply)
    };
    let other = Device::new(2, 0).credential;
    assert_eq!(
        spoil(&|leaf| leaf.credential.user_pseudonym = other.user_pseudonym.clone()),
        refused(CredentialRule::PseudonymChanged)
    );
    assert_eq!(
        spoil(&|leaf| leaf.credential.user_auth_key = other.user_auth_key.clone()),
        refused(CredentialRule::UserKey)
    );
    assert_eq!(
        spoil(&|leaf| leaf.credential.signature_key = other.signature_key.clone()),
        refused(CredentialRule::LeafKey)
    );
    let members = world.members();
    let old = &members.get(1).unwrap().encryption_key;
    assert_eq!(
        spoil(&|leaf| leaf.encryption_key = old.clone()),
        refused(CredentialRule::Duplicate)
    );
}

#[test]
fn a_resync_replaces_one_leaf() {
    let mut world = World::with(&policy(JoinRule::Open), &[(1, 0), (1, 1)]);
    let me = Device::new(1, 0);
    let valid = proof(LeafOperation::Resync, &me, 1, &me);
    let commit = world.external(&me, &with_proofs(vec![valid]), &[]).1;
    let view = world.stage(&commit).unwrap().1;
    let removal = view
        .proposals
        .iter()
        .position(|proposal| matches!(proposal.content, Content::Remove(_)))
        .unwrap();
    let mut two = view.clone();
    let mut second = two.proposals[removal].clone();
    second.content = Content::Remove(2);
    two.proposals.push(second);
    assert_eq!(
        world.judge_view(&two, CommitIntent::Apply),
        Err(Reject::NotAnOperation)
    );
    let mut sibling = view.clone();
    sibling.proposals[removal].content = Content::Remove(2);
    assert_eq!(
        world.judge_view(&sibling, CommitIntent::Apply),
        refused(CredentialRule::PseudonymChanged)
    );
    world.hub_removes(1);
    assert_eq!(
        world.judge_view(&view, CommitIntent::Apply),
        Err(Reject::BeingRemoved)
    );
}

#[test]
fn an_external_commit_does_nothing_else() {
    let world = World::with(&policy(JoinRule::Open), &[(1, 0)]);
    let commit = world.external(&Device::new(2, 0), &stays(), &[]).1;
    let view = world.stage(&commit).unwrap().1;
    let package = Device::new(3, 0).key_package();
    let added = Content::Add(Box::new(AddedLeaf {
        leaf: crate::key_package::read_key_package(&package).unwrap(),
        lifetime: *package.life_time(),
    }));
    let others = [
        added,
        Content::ExternalInit,
        Content::Policy(Box::new(open_policy())),
        Content::SelfRemove,
        Content::Other,
    ];
    for content in others {
        let mut view = view.clone();
        let mut more = view.proposals[0].clone();
        more.content = content;
        view.proposals.push(more);
        assert_eq!(
            world.judge_view(&view, CommitIntent::Apply),
            Err(Reject::NotAnOperation)
        );
    }
    assert_eq!(
        world.judge_view(&view, CommitIntent::Delete),
        Err(Reject::NotAnOperation)
    );
}
