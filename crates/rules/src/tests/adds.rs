//! Adding users, adding own clients.

use super::device::*;
use super::world::*;
use crate::*;
use openmls::prelude::{KeyPackage, Lifetime};
use sordino_wire::{
    Capability, CommitIntent, CredentialRule, GenerationStep, IdentityRule, JoinRule,
    LeafOperation, List, Permission, PolicySummary, Reject,
};

fn refused(rule: CredentialRule) -> Reject {
    Reject::InvalidCredential(rule)
}

fn adding(world: &mut World, device: usize, who: &[&Device]) -> Result<Verdict, Reject> {
    let packages: Vec<KeyPackage> = who.iter().map(|device| device.key_package()).collect();
    let bundle = world.commit(device, stays(), |builder| builder.propose_adds(packages));
    world.judge(bundle.commit())
}

#[test]
fn users_with_several_devices_are_added() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let who = [Device::new(2, 0), Device::new(2, 1), Device::new(3, 0)];
    let packages: Vec<_> = who.iter().map(Device::key_package).collect();
    let bundle = world.commit(1, stays(), |builder| builder.propose_adds(packages));
    let verdict = world.accept(1, bundle.commit());
    assert_eq!(verdict.operation, Operation::AddUsers);
    assert_eq!(verdict.auth, RequiredAuth::Leaf);
    assert_eq!(verdict.committer, 1);
    assert_eq!(verdict.added, [2, 3, 4]);
    assert_eq!(verdict.entry_leaves, [2, 3, 4]);
    assert!(verdict.removed.is_empty() && !verdict.must_move_generation);
    assert!(!verdict.moves_generation);
    verdict.check_entries(3).unwrap();
    assert_eq!(
        verdict.check_entries(2),
        Err(Reject::IdentityEntries { expected: 3 })
    );
}

#[test]
fn a_room_without_identities_has_no_entries() {
    let policy = PolicySummary {
        identities: IdentityRule::None,
        ..open_policy()
    };
    let mut world = World::new(&policy);
    let verdict = adding(&mut world, 0, &[&Device::new(1, 0)]).unwrap();
    assert!(verdict.entry_leaves.is_empty());
}

#[test]
fn an_add_may_move_the_generation() {
    let mut world = World::new(&open_policy());
    let package = Device::new(1, 0).key_package();
    let bundle = world.commit(0, moves(), |builder| builder.propose_adds([package]));
    let verdict = world.judge(bundle.commit()).unwrap();
    assert!(verdict.moves_generation && !verdict.must_move_generation);
}

#[test]
fn the_generation_must_be_the_groups() {
    let mut world = World::new(&open_policy());
    let mut aad = stays();
    aad.generation += 1;
    let package = Device::new(1, 0).key_package();
    let bundle = world.commit(0, aad, |builder| builder.propose_adds([package]));
    assert_eq!(world.judge(bundle.commit()), Err(Reject::Generation));
}

#[test]
fn adding_needs_the_permission() {
    let mut policy = PolicySummary {
        add: Permission::Admins,
        admins: List::new(vec![Device::new(0, 0).user().clone()]).unwrap(),
        ..open_policy()
    };
    let mut world = World::with(&policy, &[(1, 0)]);
    adding(&mut world, 0, &[&Device::new(2, 0)]).unwrap();
    assert_eq!(
        adding(&mut world, 1, &[&Device::new(3, 0)]),
        Err(Reject::Policy(Capability::Add))
    );
    policy.add = Permission::Nobody;
    let mut world = World::new(&policy);
    assert_eq!(
        adding(&mut world, 0, &[&Device::new(2, 0)]),
        Err(Reject::Policy(Capability::Add))
    );
}

#[test]
fn a_leaf_is_not_grafted_onto_another_user() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    assert_eq!(
        adding(&mut world, 0, &[&Device::new(1, 1)]),
        Err(refused(CredentialRule::LeafProof))
    );
    assert_eq!(
        adding(&mut world, 0, &[&Device::new(2, 0), &Device::new(1, 1)]),
        Err(refused(CredentialRule::LeafProof))
    );
}

#[test]
fn members_are_limited() {
    let policy = PolicySummary {
        max_members: 2,
        ..open_policy()
    };
    let mut world = World::new(&policy);
    adding(&mut world, 0, &[&Device::new(1, 0)]).unwrap();
    assert_eq!(
        adding(&mut world, 0, &[&Device::new(1, 0), &Device::new(2, 0)]),
        Err(Reject::Policy(Capability::Size))
    );
}

#[test]
fn a_connection_group_holds_two_users() {
    let policy = PolicySummary {
        join: JoinRule::Connection,
        ..open_policy()
    };
    let mut world = World::new(&policy);
    adding(&mut world, 0, &[&Device::new(1, 0), &Device::new(1, 1)]).unwrap();
    assert_eq!(
        adding(&mut world, 0, &[&Device::new(1, 0), &Device::new(2, 0)]),
        Err(Reject::Policy(Capability::Size))
    );
}

#[test]
fn nothing_occurs_twice() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let package = Device::new(2, 0).key_package();
    let bundle = world.commit(0, stays(), |builder| builder.propose_adds([package]));
    let view = world.stage(bundle.commit()).unwrap().1;
    world.judge_view(&view, CommitIntent::Apply).unwrap();
    let member = world.members().get(1).unwrap().clone();
    let spoil: [fn(&mut LeafView, &Member); 3] = [
        |leaf, other| leaf.credential.client_pseudonym = other.credential.client_pseudonym.clone(),
        |leaf, other| leaf.credential.signature_key = other.credential.signature_key.clone(),
        |leaf, other| leaf.encryption_key = other.encryption_key.clone(),
    ];
    for spoil in spoil {
        let mut view = view.clone();
        spoil(added(&mut view, 0), &member);
        assert_eq!(
            world.judge_view(&view, CommitIntent::Apply),
            Err(refused(CredentialRule::Duplicate))
        );
    }
}

#[test]
fn one_pseudonym_has_one_user_key() {
    let mut world = World::new(&open_policy());
    let who = [Device::new(2, 0), Device::new(2, 1)];
    let packages: Vec<_> = who.iter().map(Device::key_package).collect();
    let bundle = world.commit(0, stays(), |builder| builder.propose_adds(packages));
    let mut view = world.stage(bundle.commit()).unwrap().1;
    added(&mut view, 1).credential.user_auth_key = world.devices[0].user_key.public();
    assert_eq!(
        world.judge_view(&view, CommitIntent::Apply),
        Err(refused(CredentialRule::UserKey))
    );
}

#[test]
fn a_key_package_must_be_valid_now() {
    let mut world = World::new(&open_policy());
    let package = Device::new(2, 0).key_package();
    let bundle = world.commit(0, stays(), |builder| builder.propose_adds([package]));
    let mut view = world.stage(bundle.commit()).unwrap().1;
    for lifetime in [Lifetime::init(0, 86_400), Lifetime::init(1 << 40, 1 << 41)] {
        let Content::Add(added) = &mut view.proposals[0].content else {
            panic!("an Add");
        };
        added.lifetime = lifetime;
        assert_eq!(
            world.judge_view(&view, CommitIntent::Apply),
            Err(refused(CredentialRule::KeyPackage))
        );
    }
}

#[test]
fn own_clients_are_added_with_both_signatures() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let new = [Device::new(1, 1), Device::new(1, 2)];
    let proofs = new
        .iter()
        .map(|leaf| proof(LeafOperation::AddOwnClient, &world.devices[1], 1, leaf))
        .collect();
    let packages: Vec<_> = new.iter().map(Device::key_package).collect();
    let bundle = world.commit(1, with_proofs(proofs), |builder| {
        builder.propose_adds(packages)
    });
    let verdict = world.accept(1, bundle.commit());
    assert_eq!(verdict.operation, Operation::AddOwnClients);
    assert_eq!(verdict.auth, RequiredAuth::PseudonymousUser);
    assert_eq!(verdict.entry_leaves, [2, 3]);
}

#[test]
fn own_clients_are_added_under_any_policy() {
    let policy = PolicySummary {
        add: Permission::Nobody,
        join: JoinRule::Closed,
        ..open_policy()
    };
    let mut world = World::new(&policy);
    let new = Device::new(0, 1);
    let proof = proof(LeafOperation::AddOwnClient, &world.devices[0], 0, &new);
    let bundle = world.commit(0, with_proofs(vec![proof]), |builder| {
        builder.propose_adds([new.key_package()])
    });
    world.judge(bundle.commit()).unwrap();
}

#[test]
fn own_clients_need_the_right_signatures() {
    let mut world = World::with(&open_policy(), &[(1, 0), (2, 0)]);
    let new = Device::new(1, 1);
    let package = new.key_package();
    let operation = LeafOperation::AddOwnClient;
    let me = &world.devices[1];
    let mut no_user = proof(operation, me, 1, &new);
    no_user.user_signature = proof(operation, &world.devices[2], 1, &new).user_signature;
    let mut no_sibling = proof(operation, me, 1, &new);
    no_sibling.sibling_signature = proof(operation, &world.devices[2], 1, &new).sibling_signature;
    let wrong = [
        vec![],
        vec![proof(operation, me, 1, &new), proof(operation, me, 1, &new)],
        vec![no_user],
        vec![no_sibling],
        vec![proof(operation, me, 2, &new)],
        vec![proof(operation, me, 77, &new)],
        vec![proof(operation, me, 1, &Device::new(1, 2))],
        vec![proof(LeafOperation::ExternalJoin, me, 1, &new)],
        vec![proof_at(GENERATION - 1, operation, me, 1, &new)],
    ];
    for proofs in wrong {
        let package = package.clone();
        let bundle = world.commit(1, with_proofs(proofs), |builder| {
            builder.propose_adds([package])
        });
        assert_eq!(
            world.judge(bundle.commit()),
            Err(refused(CredentialRule::LeafProof))
        );
    }
}

#[test]
fn own_clients_keep_the_users_key() {
    let mut world = World::new(&open_policy());
    let new = Device::new(0, 1);
    let proof = proof(LeafOperation::AddOwnClient, &world.devices[0], 0, &new);
    let bundle = world.commit(0, with_proofs(vec![proof]), |builder| {
        builder.propose_adds([new.key_package()])
    });
    let mut view = world.stage(bundle.commit()).unwrap().1;
    added(&mut view, 0).credential.user_auth_key = Device::new(2, 0).user_key.public();
    assert_eq!(
        world.judge_view(&view, CommitIntent::Apply),
        Err(refused(CredentialRule::UserKey))
    );
}

#[test]
fn a_sibling_that_leaves_vouches_for_nobody() {
    let mut world = World::with(&open_policy(), &[(0, 1)]);
    world.hub_removes(1);
    let new = Device::new(0, 2);
    let proof = proof(LeafOperation::AddOwnClient, &world.devices[1], 1, &new);
    let mut aad = with_proofs(vec![proof]);
    aad.generation_step = GenerationStep::Moves;
    let bundle = world.commit(0, aad, |builder| builder.propose_adds([new.key_package()]));
    assert_eq!(
        world.judge(bundle.commit()),
        Err(refused(CredentialRule::LeafProof))
    );
}

#[test]
fn own_and_other_users_are_never_mixed() {
    let mut world = World::new(&open_policy());
    let (own, other) = (Device::new(0, 1), Device::new(1, 0));
    let proof = proof(LeafOperation::AddOwnClient, &world.devices[0], 0, &own);
    let bundle = world.commit(0, with_proofs(vec![proof]), |builder| {
        builder.propose_adds([own.key_package(), other.key_package()])
    });
    assert_eq!(world.judge(bundle.commit()), Err(Reject::NotAnOperation));
}

#[test]
fn the_authenticated_data_holds_nothing_else() {
    let mut world = World::new(&open_policy());
    let new = Device::new(1, 0);
    let code = Some(sordino_wire::Digest([1; 32]));
    let mut with_code = stays();
    with_code.invite_code = code;
    let mut with_request = stays();
    with_request.request_id = code;
    for aad in [with_code, with_request] {
        let bundle = world.commit(0, aad, |builder| builder.propose_adds([new.key_package()]));
        assert_eq!(world.judge(bundle.commit()), Err(Reject::Malformed));
    }
    let proof = proof(LeafOperation::AddOwnClient, &world.devices[0], 0, &new);
    let bundle = world.commit(0, with_proofs(vec![proof]), |builder| {
        builder.propose_adds([new.key_package()])
    });
    assert_eq!(
        world.judge(bundle.commit()),
        Err(refused(CredentialRule::LeafProof))
    );
}

/// The leaf of the n-th proposal, which is an Add.
fn added(view: &mut CommitView, n: usize) -> &mut LeafView {
    match &mut view.proposals[n].content {
        Content::Add(added) => &mut added.leaf,
        _ => panic!("an Add"),
    }
}
