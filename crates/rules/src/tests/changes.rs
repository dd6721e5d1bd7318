//! Updating the own leaf.

use super::device::*;
use super::world::*;
use crate::*;
use openmls::prelude::LeafNodeIndex;
use sordino_wire::{CommitIntent, CredentialRule, IdentifierUri, PseudonymousCredential, Reject};

fn refused(rule: CredentialRule) -> Result<Verdict, Reject> {
    Err(Reject::InvalidCredential(rule))
}

#[test]
fn an_update_renews_the_leaf() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let bundle = world.commit(1, stays(), |builder| builder.force_self_update(true));
    let verdict = world.accept(1, bundle.commit());
    assert_eq!(verdict.operation, Operation::Update);
    assert_eq!(verdict.auth, RequiredAuth::Leaf);
    assert_eq!(verdict.entry_leaves, [1]);
    assert_eq!(verdict.committer, 1);
    assert!(!verdict.moves_generation);
    let bundle = world.commit(1, moves(), |builder| builder.force_self_update(true));
    let verdict = world.accept(1, bundle.commit());
    assert!(verdict.moves_generation && !verdict.must_move_generation);
}

#[test]
fn an_update_rotates_the_signature_key() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let new = Device::rotated(1, 0, 1);
    let as_new = Some((&new.leaf_key, &new.credential));
    let bundle = world.commit_as(1, stays(), |builder| builder, as_new);
    let verdict = world.accept(1, bundle.commit());
    assert_eq!(verdict.operation, Operation::Update);
    let member = verdict.members.get(1).unwrap();
    assert_eq!(member.credential, new.credential);
}

#[test]
fn only_an_update_rotates_the_signature_key() {
    let mut world = World::with(&open_policy(), &[(1, 0), (2, 0)]);
    let new = Device::rotated(1, 0, 1);
    let as_new = Some((&new.leaf_key, &new.credential));
    let bundle = world.commit_as(
        1,
        moves(),
        |builder| builder.propose_removals([LeafNodeIndex::new(2)]),
        as_new,
    );
    assert_eq!(
        world.judge(bundle.commit()),
        refused(CredentialRule::LeafKey)
    );
    let package = Device::new(3, 0).key_package();
    let bundle = world.commit_as(
        1,
        stays(),
        |builder| builder.propose_adds([package]),
        as_new,
    );
    assert_eq!(
        world.judge(bundle.commit()),
        refused(CredentialRule::LeafKey)
    );
}

#[test]
fn a_path_keeps_the_pseudonyms() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    // Another client of the same user, another user altogether.
    for other in [Device::new(1, 1), Device::new(2, 0)] {
        let as_other = Some((&other.leaf_key, &other.credential));
        let bundle = world.commit_as(1, stays(), |builder| builder, as_other);
        assert_eq!(
            world.judge(bundle.commit()),
            refused(CredentialRule::PseudonymChanged)
        );
    }
}

#[test]
fn a_path_keeps_the_user_key_and_renews_the_encryption_key() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let bundle = world.commit(1, stays(), |builder| builder.force_self_update(true));
    let view = world.stage(bundle.commit()).unwrap().1;
    let spoil = |change: &dyn Fn(&mut LeafView)| {
        let mut view = view.clone();
        change(view.path_leaf.as_mut().unwrap());
        world.judge_view(&view, CommitIntent::Apply)
    };
    let members = world.members();
    let (mine, other) = (members.get(1).unwrap(), members.get(0).unwrap());
    assert_eq!(
        spoil(&|leaf| leaf.credential.user_auth_key = other.credential.user_auth_key.clone()),
        refused(CredentialRule::UserKey)
    );
    assert_eq!(
        spoil(&|leaf| leaf.encryption_key = mine.encryption_key.clone()),
        refused(CredentialRule::Duplicate)
    );
    assert_eq!(
        spoil(&|leaf| leaf.encryption_key = other.encryption_key.clone()),
        refused(CredentialRule::Duplicate)
    );
}

#[test]
fn nobody_takes_another_members_signature_key() {
    // openmls accepts it, and nobody could join any more.
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let other = &world.devices[0].credential.signature_key.clone();
    let mut credential = world.devices[1].credential.clone();
    credential.signature_key = other.clone();
    resign(&mut credential, &Device::new(1, 0));
    let signer = Device::new(0, 0).leaf_key;
    let bundle = world.commit_as(1, stays(), |builder| builder, Some((&signer, &credential)));
    assert_eq!(
        world.judge(bundle.commit()),
        refused(CredentialRule::Duplicate)
    );
}

#[test]
fn a_path_leaf_is_checked_like_any_leaf() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let me = Device::new(1, 0);
    let judge = |world: &mut World, credential: &PseudonymousCredential| {
        let as_me = Some((&me.leaf_key, credential));
        let bundle = world.commit_as(1, stays(), |builder| builder, as_me);
        world.judge(bundle.commit())
    };
    let mut unsigned = me.credential.clone();
    unsigned.user_auth_signature = Device::new(2, 0).credential.user_auth_signature;
    assert_eq!(
        judge(&mut world, &unsigned),
        refused(CredentialRule::UserSignature)
    );
    let mut not_hash = me.credential.clone();
    not_hash.user_pseudonym = Device::new(2, 0).credential.user_pseudonym;
    resign(&mut not_hash, &me);
    assert_eq!(
        judge(&mut world, &not_hash),
        refused(CredentialRule::UserPseudonym)
    );
    let mut not_uri = me.credential.clone();
    not_uri.client_pseudonym = IdentifierUri::new("mimi://home.example/d/alice").unwrap();
    resign(&mut not_uri, &me);
    assert_eq!(
        judge(&mut world, &not_uri),
        refused(CredentialRule::NotPseudonymous)
    );
}

#[test]
fn an_update_with_proposals_by_value_is_something_else() {
    let mut world = World::with(&open_policy(), &[(1, 0)]);
    let bundle = world.commit(1, stays(), |builder| builder.force_self_update(true));
    let view = world.stage(bundle.commit()).unwrap().1;
    let mut without_path = view.clone();
    without_path.path_leaf = None;
    assert_eq!(
        world.judge_view(&without_path, CommitIntent::Apply),
        Err(Reject::NotAnOperation)
    );
}
