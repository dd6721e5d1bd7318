//! Policies: sane ones, changes, and what else a group's context may hold.

use super::device::*;
use super::world::*;
use crate::*;
use openmls::extensions::{Extension, Extensions, UnknownExtension};
use openmls::group::GroupContext;
use openmls::messages::proposals::AppDataUpdateProposal;
use openmls::prelude::{AppDataDictionaryUpdater, Proposal};
use sordino_wire::limits::{MAX_EPOCH_TOLERANCE, MAX_MEMBERS};
use sordino_wire::{
    Capability, Digest, Domain, IdentityRule, JoinRule, List, POLICY_COMPONENT, Permission,
    PolicySummary, Reject, SenderRule,
};

const INSANE: Reject = Reject::Policy(Capability::Policy);

fn changing(world: &mut World, device: usize, policy: &PolicySummary) -> Result<Verdict, Reject> {
    let proposal = policy_update(policy);
    let bundle = world.commit(device, stays(), |builder| builder.add_proposal(proposal));
    world.judge(bundle.commit())
}

fn admins(devices: &[&Device]) -> List<sordino_wire::IdentifierUri, 64> {
    List::new(devices.iter().map(|device| device.user().clone()).collect()).unwrap()
}

#[test]
fn the_policy_is_replaced() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let new = PolicySummary {
        add: Permission::Admins,
        admins: admins(&[&world.devices[1]]),
        ..open_policy()
    };
    let proposal = policy_update(&new);
    let bundle = world.commit(1, stays(), |builder| builder.add_proposal(proposal));
    let verdict = world.accept(1, bundle.commit());
    assert_eq!(verdict.operation, Operation::ChangePolicy);
    assert_eq!(verdict.auth, RequiredAuth::Leaf);
    assert_eq!(verdict.new_policy.as_ref(), Some(&new));
    assert!(verdict.entry_leaves.is_empty());
    assert_eq!(world.policy(), new);
    // And it counts from now on.
    let package = Device::new(2, 0).key_package();
    let bundle = world.commit(0, stays(), |builder| builder.propose_adds([package]));
    assert_eq!(
        world.judge(bundle.commit()),
        Err(Reject::Policy(Capability::Add))
    );
}

#[test]
fn changing_the_policy_needs_the_permission() {
    let policy = PolicySummary {
        change_policy: Permission::Admins,
        admins: admins(&[&Device::new(1, 0)]),
        ..open_policy()
    };
    let mut world = World::with(&policy, &[(1, 0)]);
    changing(&mut world, 1, &open_policy()).unwrap();
    assert_eq!(
        changing(&mut world, 0, &open_policy()),
        Err(Reject::Policy(Capability::ChangePolicy))
    );
}

#[test]
fn a_policy_must_be_sane() {
    let mut world = World::with(&open_policy(), &[(1, 0), (1, 1)]);
    let (here, gone) = (Device::new(1, 0), Device::new(9, 0));
    let some = |change: &dyn Fn(&mut PolicySummary)| {
        let mut policy = open_policy();
        change(&mut policy);
        policy
    };
    let sane = [
        some(&|policy| policy.max_members = 3),
        some(&|policy| policy.max_members = u32::try_from(MAX_MEMBERS).unwrap()),
        some(&|policy| policy.epoch_tolerance = MAX_EPOCH_TOLERANCE),
        some(&|policy| policy.change_policy = Permission::Nobody),
        some(&|policy| {
            policy.remove = Permission::Admins;
            policy.admins = admins(&[&gone, &here]);
        }),
        some(&|policy| {
            policy.send = Permission::Nobody;
            policy.senders = SenderRule::Leaf;
        }),
        some(&|policy| {
            policy.join = JoinRule::Invite;
            policy.invite_code_hash = Some(Digest([1; 32]));
        }),
        some(&|policy| policy.identities = IdentityRule::None),
    ];
    for policy in sane {
        changing(&mut world, 0, &policy).unwrap();
    }
    let insane = [
        some(&|policy| policy.max_members = 2),
        some(&|policy| policy.max_members = u32::try_from(MAX_MEMBERS).unwrap() + 1),
        some(&|policy| policy.epoch_tolerance = MAX_EPOCH_TOLERANCE + 1),
        some(&|policy| policy.add = Permission::Admins),
        some(&|policy| policy.remove = Permission::Admins),
        some(&|policy| policy.change_policy = Permission::Admins),
        some(&|policy| policy.destroy = Permission::Admins),
        some(&|policy| {
            policy.destroy = Permission::Admins;
            policy.admins = admins(&[&gone]);
        }),
        some(&|policy| policy.admins = admins(&[&here, &here])),
        some(&|policy| policy.send = Permission::Nobody),
        some(&|policy| policy.join = JoinRule::Invite),
        some(&|policy| policy.invite_code_hash = Some(Digest([1; 32]))),
        some(&|policy| policy.join = JoinRule::Connection),
    ];
    for policy in insane {
        assert_eq!(changing(&mut world, 0, &policy), Err(INSANE));
    }
}

#[test]
fn a_connection_group_stays_one() {
    let connection = PolicySummary {
        join: JoinRule::Connection,
        ..open_policy()
    };
    let mut world = World::with(&connection, &[(1, 0)]);
    let other = PolicySummary {
        epoch_tolerance: 1,
        ..connection
    };
    changing(&mut world, 0, &other).unwrap();
    assert_eq!(changing(&mut world, 0, &open_policy()), Err(INSANE));
}

#[test]
fn a_policy_must_be_readable() {
    let other_format = PolicySummary {
        format: 2,
        ..open_policy()
    };
    let mut trailing = sordino_wire::encode(&open_policy()).unwrap();
    trailing.push(0);
    let unreadable = [
        sordino_wire::encode(&other_format).unwrap(),
        trailing,
        Vec::new(),
    ];
    for encoded in unreadable {
        let update = AppDataUpdateProposal::update(POLICY_COMPONENT, encoded);
        let updater = AppDataDictionaryUpdater::new(None);
        assert_eq!(resolve_app_data([&update], updater).unwrap_err(), INSANE);
    }
}

#[test]
fn one_component_changes_once_and_stays() {
    let encoded = sordino_wire::encode(&open_policy()).unwrap();
    let update = AppDataUpdateProposal::update(POLICY_COMPONENT, encoded.clone());
    let other = AppDataUpdateProposal::update(0x9002, encoded);
    let removal = AppDataUpdateProposal::remove(POLICY_COMPONENT);
    let resolve = |proposals: &[&AppDataUpdateProposal]| {
        let updater = AppDataDictionaryUpdater::new(None);
        resolve_app_data(proposals.iter().copied(), updater).map(|updates| updates.unwrap().len())
    };
    assert_eq!(resolve(&[&update]), Ok(1));
    for refused in [
        &[][..],
        &[&update, &update],
        &[&update, &other],
        &[&other],
        &[&removal],
    ] {
        assert_eq!(resolve(refused), Err(Reject::NotAnOperation));
    }
}

#[test]
fn other_proposals_are_no_operation() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let package = Device::new(2, 0).key_package();
    let proposal = policy_update(&open_policy());
    let bundle = world.commit(0, stays(), |builder| {
        builder.propose_adds([package]).add_proposal(proposal)
    });
    assert_eq!(world.judge(bundle.commit()), Err(Reject::NotAnOperation));
    let psk = openmls::schedule::PreSharedKeyId::external(vec![1; 32], vec![2; 32]);
    let psk = Proposal::PreSharedKey(Box::new(openmls::prelude::PreSharedKeyProposal::new(psk)));
    let content = crate::commit::CommittedProposal {
        origin: Origin::Value,
        reference: None,
        content: crate::commit::Content::of(&psk).unwrap(),
    };
    assert_eq!(content.content, Content::Other);
}

#[test]
fn the_context_changes_by_the_policy_alone() {
    let mut world = World::new(&open_policy());
    let mut extensions = world.hub.group_context().extensions().clone();
    extensions
        .add(Extension::Unknown(0xff01, UnknownExtension(vec![1])))
        .unwrap();
    // A context that is not the one before makes the difference that no proposal explains.
    let bundle = world.commit(0, stays(), |builder| builder.force_self_update(true));
    let (staged, _) = world.stage(bundle.commit()).unwrap();
    let aad = sordino_wire::encode(&stays()).unwrap();
    let sender = openmls::prelude::Sender::Member(world.index(0));
    let view = |before: &GroupContext| CommitView::from_staged(&staged, &sender, &aad, before);
    assert!(view(world.hub.group_context()).is_ok());
    // The context after the commit does not follow itself.
    assert_eq!(view(staged.group_context()), Err(Reject::InvalidCommit));
    let foreign = World::new(&PolicySummary {
        epoch_tolerance: 3,
        ..open_policy()
    });
    assert_eq!(
        view(foreign.hub.group_context()),
        Err(Reject::NotAnOperation)
    );
}

#[test]
fn a_new_group_has_the_canonical_context() {
    let world = World::new(&open_policy());
    let context = world.hub.group_context();
    let key = world.hub_key.public();
    assert_eq!(
        check_group_context(context, &hub_domain(), &key),
        Ok(open_policy())
    );
    let other = Domain::new("other.example").unwrap();
    assert_eq!(
        check_group_context(context, &other, &key),
        Err(Reject::InvalidGroupInfo)
    );
    let other = Device::new(1, 0).leaf_key.public();
    assert_eq!(
        check_group_context(context, &hub_domain(), &other),
        Err(Reject::InvalidGroupInfo)
    );
    let none = Extensions::<GroupContext>::empty();
    assert_eq!(policy_of(&none), Err(INSANE));
    assert_eq!(policy_of(context.extensions()), Ok(open_policy()));
}

#[test]
fn permissions_name_members_admins_or_nobody() {
    let (admin, member) = (Device::new(0, 0), Device::new(1, 0));
    let policy = PolicySummary {
        add: Permission::Admins,
        remove: Permission::Nobody,
        admins: admins(&[&admin]),
        ..open_policy()
    };
    assert!(allows(&policy, admin.user(), Capability::Add));
    assert!(!allows(&policy, member.user(), Capability::Add));
    assert!(!allows(&policy, admin.user(), Capability::Remove));
    assert!(allows(&policy, member.user(), Capability::Send));
    for capability in [Capability::Join, Capability::Size, Capability::Policy] {
        assert!(!allows(&policy, admin.user(), capability));
    }
}
