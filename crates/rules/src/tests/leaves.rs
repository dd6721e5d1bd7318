//! Leaves, KeyPackages and trees by themselves.

use super::device::*;
use super::world::*;
use crate::*;
use openmls::credentials::{BasicCredential, Credential, CredentialType, CredentialWithKey};
use openmls::extensions::{Extension, ExtensionType, Extensions, LastResortExtension};
use openmls::prelude::{
    Capabilities, KeyPackage, KeyPackageBuilder, Lifetime, MlsGroup, ProposalType,
};
use openmls_traits::types::Ciphersuite;
use sordino_wire::{
    CommitAad, CredentialRule, Domain, GroupId, LeafOperation, PSEUDONYMOUS_CREDENTIAL_TYPE,
    PseudonymousCredential, Reject,
};

const DAY_S: u64 = 86_400;

fn refused<T>(rule: CredentialRule) -> Result<T, Reject> {
    Err(Reject::InvalidCredential(rule))
}

fn builder() -> KeyPackageBuilder {
    KeyPackage::builder()
        .leaf_node_capabilities(capabilities())
        .key_package_lifetime(key_package_lifetime(now_s()))
}

fn build(device: &Device, builder: KeyPackageBuilder, with_key: CredentialWithKey) -> KeyPackage {
    builder
        .build(CIPHERSUITE, &device.provider, &device.leaf_key, with_key)
        .unwrap()
        .key_package()
        .clone()
}

#[test]
fn a_canonical_key_package_passes() {
    let device = Device::new(1, 0);
    let package = device.key_package();
    assert_eq!(
        check_key_package(&package, now_s()),
        Ok(device.credential.clone())
    );
    assert_eq!(
        check_leaf(package.leaf_node()),
        Ok(device.credential.clone())
    );
    assert_eq!(credential_of(package.leaf_node()), Ok(device.credential));
}

#[test]
fn a_key_package_is_valid_in_its_lifetime() {
    let package = Device::new(1, 0).key_package();
    let lifetime = *package.life_time();
    let check = |now_s| check_key_package(&package, now_s).map(|_| ());
    check(lifetime.not_before()).unwrap();
    check(lifetime.not_after() - 1).unwrap();
    assert_eq!(
        check(lifetime.not_before() - 1),
        refused(CredentialRule::KeyPackage)
    );
    assert_eq!(
        check(lifetime.not_after()),
        refused(CredentialRule::KeyPackage)
    );
}

#[test]
fn lifetimes_are_whole_days_and_not_too_long() {
    let today = now_s() - now_s() % DAY_S;
    let canonical = key_package_lifetime(now_s());
    assert!(canonical.has_acceptable_range());
    assert_eq!(canonical, key_package_lifetime(today));
    let device = Device::new(1, 0);
    for (not_before, not_after, good) in [
        (today - DAY_S, today + DAY_S, true),
        (today - 1, today + DAY_S, false),
        (today - DAY_S, today + DAY_S + 1, false),
        (today - DAY_S, today + 84 * DAY_S, false),
    ] {
        let lifetime = Lifetime::init(not_before, not_after);
        let package = build(
            &device,
            builder().key_package_lifetime(lifetime),
            device.with_key(),
        );
        let expected = if good {
            Ok(device.credential.clone())
        } else {
            refused(CredentialRule::NotCanonical)
        };
        assert_eq!(check_key_package(&package, now_s()), expected);
    }
}

#[test]
fn last_resort_and_other_extensions_are_refused() {
    let device = Device::new(1, 0);
    let last_resort = Extensions::single(Extension::LastResort(LastResortExtension::new()));
    let package = build(
        &device,
        builder().key_package_extensions(last_resort.unwrap()),
        device.with_key(),
    );
    assert_eq!(
        check_key_package(&package, now_s()),
        refused(CredentialRule::NotCanonical)
    );
    let dictionary = openmls::extensions::AppDataDictionary::new();
    let dictionary = openmls::extensions::AppDataDictionaryExtension::new(dictionary);
    let in_leaf = Extensions::single(Extension::AppDataDictionary(dictionary)).unwrap();
    let package = build(
        &device,
        builder().leaf_node_extensions(in_leaf),
        device.with_key(),
    );
    assert_eq!(
        check_leaf(package.leaf_node()),
        refused(CredentialRule::NotCanonical)
    );
}

#[test]
fn capabilities_are_the_canonical_ones_in_order() {
    let device = Device::new(1, 0);
    // The second is the hub's, as external sender.
    let credentials = [
        CredentialType::Other(PSEUDONYMOUS_CREDENTIAL_TYPE),
        CredentialType::Basic,
    ];
    let with = |proposals: &[ProposalType], credentials: &[CredentialType]| {
        Capabilities::new(
            None,
            Some(&[CIPHERSUITE]),
            Some(&[ExtensionType::AppDataDictionary]),
            Some(proposals),
            Some(credentials),
        )
    };
    let (leaving, updating) = (ProposalType::SelfRemove, ProposalType::AppDataUpdate);
    assert_eq!(with(&[leaving, updating], &credentials), capabilities());
    let others = [
        with(&[updating, leaving], &credentials),
        with(
            &[leaving, updating, ProposalType::Custom(0xff00)],
            &credentials,
        ),
        with(&[leaving, updating], &credentials[..1]),
        with(
            &[leaving, updating],
            &[credentials[0], CredentialType::Basic, CredentialType::X509],
        ),
        Capabilities::default(),
    ];
    for other in others {
        let package = build(
            &device,
            builder().leaf_node_capabilities(other),
            device.with_key(),
        );
        assert_eq!(
            check_leaf(package.leaf_node()),
            refused(CredentialRule::NotCanonical)
        );
    }
}

#[test]
fn other_credentials_are_refused() {
    let device = Device::new(1, 0);
    let key = device.with_key().signature_key;
    let mut trailing = sordino_wire::encode(&device.credential).unwrap();
    trailing.push(0);
    let custom = |kind, content| Credential::new(CredentialType::Other(kind), content);
    let others = [
        Credential::from(BasicCredential::new(b"alice".to_vec())),
        custom(PSEUDONYMOUS_CREDENTIAL_TYPE, trailing),
        custom(PSEUDONYMOUS_CREDENTIAL_TYPE, Vec::new()),
        custom(0xF5D1, sordino_wire::encode(&device.credential).unwrap()),
    ];
    for credential in others {
        let with_key = CredentialWithKey {
            credential,
            signature_key: key.clone(),
        };
        let package = build(&device, builder(), with_key);
        assert_eq!(
            check_leaf(package.leaf_node()),
            refused(CredentialRule::NotPseudonymous)
        );
    }
}

#[test]
fn a_credential_names_the_leafs_key() {
    let device = Device::new(1, 0);
    let mut credential = device.credential.clone();
    credential.signature_key = Device::new(2, 0).credential.signature_key;
    resign(&mut credential, &device);
    let with_key = CredentialWithKey {
        credential: credential_with_key(&credential).credential,
        signature_key: device.with_key().signature_key,
    };
    let package = build(&device, builder(), with_key);
    assert_eq!(
        check_leaf(package.leaf_node()),
        refused(CredentialRule::LeafKey)
    );
}

#[test]
fn other_suites_are_refused() {
    let device = Device::new(1, 0);
    let suite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
    let package = builder()
        .build(suite, &device.provider, &device.leaf_key, device.with_key())
        .unwrap();
    assert_eq!(
        check_key_package(package.key_package(), now_s()),
        refused(CredentialRule::NotCanonical)
    );
}

#[test]
fn a_tree_is_checked_before_it_is_joined() {
    let world = World::with(&open_policy(), &[(1, 0), (1, 1)]);
    let members = world.members();
    check_tree(&members).unwrap();
    assert_eq!(Members::of_mls_group(world.group(1)), Ok(members.clone()));
    assert_eq!(members.len(), 3);
    assert!(!members.is_empty());
    assert_eq!(members.users().len(), 2);
    let user = world.user(1);
    assert_eq!(members.of_user(&user).count(), 2);
    assert!(members.has_user(&user));
    let second = members.get(1).unwrap();
    let credential = &second.credential;
    assert_eq!(
        members.by_client(&credential.client_pseudonym),
        Some(second)
    );
    assert_eq!(
        members.by_signature_key(&credential.signature_key),
        Some(second)
    );

    let spoil = |change: &dyn Fn(&mut LeafView)| {
        let mut members = members.clone();
        let third = members.remove(2).unwrap();
        let mut leaf = LeafView {
            credential: third.credential.clone(),
            encryption_key: third.encryption_key.clone(),
        };
        change(&mut leaf);
        members.put(2, leaf);
        check_tree(&members)
    };
    let stranger = Device::new(2, 0).credential;
    assert_eq!(
        spoil(&|leaf| leaf.encryption_key = second.encryption_key.clone()),
        refused(CredentialRule::Duplicate)
    );
    assert_eq!(
        spoil(&|leaf| leaf.credential = second.credential.clone()),
        refused(CredentialRule::Duplicate)
    );
    assert_eq!(
        spoil(&|leaf| leaf.credential.user_auth_key = stranger.user_auth_key.clone()),
        refused(CredentialRule::UserPseudonym)
    );
    assert_eq!(
        spoil(&|leaf| leaf.credential.signature_key = stranger.signature_key.clone()),
        refused(CredentialRule::UserSignature)
    );
}

#[test]
fn a_creators_leaf_does_not_tell_the_second() {
    let device = Device::new(1, 0);
    for (lifetime, expected) in [
        (key_package_lifetime(now_s()), Ok(1)),
        (
            Lifetime::init(now_s(), now_s() + DAY_S),
            refused(CredentialRule::NotCanonical),
        ),
    ] {
        let group = MlsGroup::builder()
            .ciphersuite(CIPHERSUITE)
            .with_capabilities(capabilities())
            .lifetime(lifetime)
            .build(&device.provider, &device.leaf_key, device.with_key())
            .unwrap();
        let members = Members::of_mls_group(&group);
        assert_eq!(members.map(|members| members.len()), expected);
    }
}

#[test]
fn a_proof_is_for_one_user_key_and_one_place() {
    let world = World::with(&open_policy(), &[(1, 0)]);
    let (members, domain) = (world.members(), hub_domain());
    let new = Device::new(1, 1);
    let operation = LeafOperation::AddOwnClient;
    let valid = proof(operation, &world.devices[1], 1, &new);
    let context = ProofContext {
        hub_domain: &domain,
        group_id: GROUP,
        generation: GENERATION,
    };
    let verify = |context: &ProofContext<'_>, leaf: &PseudonymousCredential| {
        verify_leaf_proof(context, &members, operation, &valid, leaf)
    };
    verify(&context, &new.credential).unwrap();
    let mut other_key = new.credential.clone();
    other_key.user_auth_key = Device::new(2, 0).credential.user_auth_key;
    assert_eq!(
        verify(&context, &other_key),
        refused(CredentialRule::UserKey)
    );
    let elsewhere = Domain::new("other.example").unwrap();
    for context in [
        ProofContext {
            hub_domain: &elsewhere,
            ..context
        },
        ProofContext {
            group_id: GroupId([8; 16]),
            ..context
        },
        ProofContext {
            generation: GENERATION + 1,
            ..context
        },
    ] {
        assert_eq!(
            verify(&context, &new.credential),
            refused(CredentialRule::LeafProof)
        );
    }
}

#[test]
fn authenticated_data_parses_exactly() {
    let good = sordino_wire::encode(&stays()).unwrap();
    assert_eq!(parse_commit_aad(&good), Ok(stays()));
    let mut trailing = good.clone();
    trailing.push(0);
    let other = sordino_wire::encode(&CommitAad {
        format: 2,
        ..stays()
    });
    for bad in [trailing, good[..4].to_vec(), Vec::new(), other.unwrap()] {
        assert_eq!(parse_commit_aad(&bad), Err(Reject::Malformed));
    }
}
