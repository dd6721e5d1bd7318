//! Leaves that must not come in, or must not change so (design page 2.2).

use crate::refuse::{credential, refuse_plan};
use crate::scene::group_of;
use crate::support::{Actor, Plan, Way, rejected};
use sordino_crypto::{EarKey, SigningKey};
use sordino_wire::{
    CredentialRule, IdentifierUri, LeafOperation, PseudonymousCredential,
    PseudonymousCredentialTbs, Reject,
};

/// A credential with some fields of another one, signed by the user's own key.
fn forged(by: &Actor, change: impl FnOnce(&mut PseudonymousCredential)) -> PseudonymousCredential {
    let mut credential = by.credential_after(by.rotation + 1);
    change(&mut credential);
    let tbs = PseudonymousCredentialTbs {
        client_pseudonym: credential.client_pseudonym.clone(),
        user_pseudonym: credential.user_pseudonym.clone(),
        signature_key: credential.signature_key.clone(),
        user_auth_key: credential.user_auth_key.clone(),
    };
    let signature = by.user_key().sign_struct("PseudonymousCredential", &tbs);
    credential.user_auth_signature = signature.unwrap();
    credential
}

fn impostor(key: SigningKey, credential: PseudonymousCredential) -> Plan {
    Plan {
        impostor: Some((key, credential)),
        ..Plan::update()
    }
}

#[test]
fn a_leaf_that_becomes_somebody_else() {
    let (mut world, mut members) = group_of(421, 2);
    let new_key = |m: &Actor| m.leaf_key_after(m.rotation + 1);
    let other = members[1].credential();

    let client = forged(&members[0], |c| {
        let text = c.client_pseudonym.as_str();
        let last = if text.ends_with('0') { '1' } else { '0' };
        let uri = format!("{}{last}", &text[..text.len() - 1]);
        c.client_pseudonym = IdentifierUri::new(uri).unwrap();
    });
    let plan = impostor(new_key(&members[0]), client);
    let reject = refuse_plan(&mut world, &mut members[0], &plan);
    assert_eq!(reject, credential(CredentialRule::PseudonymChanged));

    let user = forged(&members[0], |c| {
        c.user_pseudonym = other.user_pseudonym.clone()
    });
    let plan = impostor(new_key(&members[0]), user);
    let reject = refuse_plan(&mut world, &mut members[0], &plan);
    assert_eq!(reject, credential(CredentialRule::UserPseudonym));

    let taken = forged(&members[0], |c| {
        c.client_pseudonym = other.client_pseudonym.clone()
    });
    let plan = impostor(new_key(&members[0]), taken);
    let reject = refuse_plan(&mut world, &mut members[0], &plan);
    assert_eq!(reject, credential(CredentialRule::PseudonymChanged));

    // The other one lends its key: nobody could join a tree that holds it twice.
    let key = forged(&members[0], |c| {
        c.signature_key = other.signature_key.clone()
    });
    let plan = impostor(members[1].leaf_key(), key);
    let reject = refuse_plan(&mut world, &mut members[0], &plan);
    assert_eq!(reject, credential(CredentialRule::Duplicate));

    let not_the_leafs = forged(&members[0], |c| {
        c.signature_key = other.signature_key.clone()
    });
    let plan = impostor(new_key(&members[0]), not_the_leafs);
    assert_eq!(
        refuse_plan(&mut world, &mut members[0], &plan),
        Reject::InvalidCommit
    );
}

#[test]
fn nobody_grafts_a_device_onto_somebody() {
    let (mut world, mut members) = group_of(422, 2);
    let rule = credential(CredentialRule::LeafProof);
    let mut device = Actor::new(&mut world, 2, 1);
    let entry = device.invitation(&mut world);
    let key = device.leaf_key().public();
    let plan = Plan::add(vec![entry.clone()]);
    assert_eq!(
        refuse_plan(&mut world, &mut members[0], &plan),
        rule,
        "by another user"
    );

    let genuine = members[1].proof(&world, LeafOperation::AddOwnClient, &key);
    let mut forged = genuine.clone();
    forged.user_signature = genuine.sibling_signature.clone();
    let mut of_another_leaf = genuine.clone();
    of_another_leaf.sibling_leaf = members[0].leaf();
    let of_another_way = members[1].proof(&world, LeafOperation::Resync, &key);
    for proof in [forged, of_another_leaf, of_another_way] {
        let plan = Plan {
            adds: vec![entry.clone()],
            proofs: vec![proof],
            ..Plan::default()
        };
        assert_eq!(refuse_plan(&mut world, &mut members[1], &plan), rule);
    }
    let none = Plan {
        adds: vec![entry],
        ..Plan::default()
    };
    assert_eq!(refuse_plan(&mut world, &mut members[1], &none), rule);
}

#[test]
fn a_new_device_without_its_sibling() {
    let (mut world, members) = group_of(423, 2);
    let rule = credential(CredentialRule::LeafProof);
    let mut device = Actor::new(&mut world, 2, 1);
    let key = device.leaf_key().public();
    let mut proof = members[1].proof(&world, LeafOperation::ExternalJoin, &key);
    proof.sibling_signature = proof.user_signature.clone();
    device.learn(&members[1]);
    let ear = EarKey::new(members[1].ear().secret().duplicate());
    let way = Way::NewDevice(proof);
    let external = device.external(&mut world, &ear, &way, false, false);
    assert_eq!(rejected(device.try_external(&mut world, external)), rule);
}

#[test]
fn a_proof_of_the_generation_before() {
    let (mut world, mut members) = group_of(424, 2);
    let mut device = Actor::new(&mut world, 2, 1);
    let key = device.leaf_key().public();
    let proof = members[1].proof(&world, LeafOperation::ExternalJoin, &key);
    members[0].commit(&mut world, &Plan::moving());
    device.learn(&members[0]);
    let ear = EarKey::new(members[0].ear().secret().duplicate());
    let external = device.external(&mut world, &ear, &Way::NewDevice(proof), false, false);
    let rule = credential(CredentialRule::LeafProof);
    assert_eq!(rejected(device.try_external(&mut world, external)), rule);
}
