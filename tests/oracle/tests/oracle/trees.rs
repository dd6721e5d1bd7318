//! `tree-validation`: both stacks accept every tree of a suite that they have, and refuse what was
//! changed.
//!
//! Neither lets a tree in without a signed GroupInfo, and the vectors hold no keys. So the GroupInfo
//! names a signer outside the tree: both look for it after they have checked the tree and before
//! they verify the signature. That answer means that the tree was found good.
//!
//! openmls compares the tree hash after the signature, so that comparison is mls-rs's alone here;
//! for groups that exist, `history` and `watch` compare the hashes of both.

use crate::load::{Tree, is_selection, trees};
use mls_rs::error::MlsError;
use mls_rs::external_client::ExternalClient;
use mls_rs::group::ExportedTree;
use mls_rs::identity::basic::BasicIdentityProvider;
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use openmls::group::{ProposalStore, PublicGroup};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{CreationFromExternalError, RatchetTreeIn};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use std::collections::BTreeMap;
use tls_codec::{DeserializeBytes as _, Serialize as _, VLBytes};

/// A leaf index outside every tree.
const NOBODY: u32 = 5000;
const TAMPERED_PER_TREE: usize = 12;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Good,
    Bad(String),
    /// The library lacks the suite.
    NoSuite,
}

fn vector(contents: &[u8]) -> Vec<u8> {
    VLBytes::new(contents.to_vec())
        .tls_serialize_detached()
        .unwrap()
}

fn group_info(tree: &Tree, tree_hash: &[u8]) -> Vec<u8> {
    [
        &1u16.to_be_bytes()[..],
        &tree.cipher_suite.to_be_bytes(),
        &vector(&tree.group_id.0),
        &0u64.to_be_bytes(),
        &vector(tree_hash),
        // Transcript hash, context extensions, GroupInfo extensions.
        &vector(&[0; 32]),
        &[0, 0],
        &vector(&[0; 32]),
        &NOBODY.to_be_bytes(),
        &vector(&[0; 64]),
    ]
    .concat()
}

fn root(tree: &Tree) -> &[u8] {
    &tree.tree_hashes[tree.tree_hashes.len() / 2].0
}

fn by_openmls(tree: &Tree, bytes: &[u8]) -> Verdict {
    let Ok(parsed) = RatchetTreeIn::tls_deserialize_exact_bytes(bytes) else {
        return Verdict::Bad("does not parse".into());
    };
    assert_eq!(parsed.tls_serialize_detached().unwrap(), bytes);
    let info = group_info(tree, root(tree));
    let info = VerifiableGroupInfo::tls_deserialize_exact_bytes(&info).unwrap();
    let provider = OpenMlsRustCrypto::default();
    let storage = provider.storage();
    let none = ProposalStore::new();
    match PublicGroup::from_external(provider.crypto(), storage, parsed, info, none) {
        Err(CreationFromExternalError::UnknownSender) => Verdict::Good,
        Err(CreationFromExternalError::UnsupportedCiphersuite(_)) => Verdict::NoSuite,
        Err(error) => Verdict::Bad(format!("{error:?}")),
        Ok(_) => panic!("nobody signs"),
    }
}

fn by_mls_rs(tree: &Tree, bytes: &[u8], tree_hash: &[u8]) -> Verdict {
    let Ok(parsed) = ExportedTree::from_bytes(bytes) else {
        return Verdict::Bad("does not parse".into());
    };
    let client = ExternalClient::builder()
        .crypto_provider(RustCryptoProvider::default())
        .identity_provider(BasicIdentityProvider::new())
        .build();
    let info = crate::stack::group_info_message(&group_info(tree, tree_hash));
    match client.observe_group(info, Some(parsed), None) {
        Err(MlsError::InvalidNodeIndex(node)) if node == 2 * NOBODY => Verdict::Good,
        Err(MlsError::UnsupportedCipherSuite(_)) => Verdict::NoSuite,
        Err(error) => Verdict::Bad(format!("{error:?}")),
        Ok(_) => panic!("nobody signs"),
    }
}

#[test]
fn both_stacks_take_every_tree_of_a_suite_that_they_have() {
    let mut verdicts = BTreeMap::new();
    for tree in trees() {
        let bytes = &tree.tree.0;
        let both = (
            tree.cipher_suite,
            by_openmls(&tree, bytes),
            by_mls_rs(&tree, bytes, root(&tree)),
        );
        *verdicts.entry(both).or_insert(0) += 1;
        if by_mls_rs(&tree, bytes, root(&tree)) == Verdict::Good {
            let wrong = vec![7; root(&tree).len()];
            let verdict = by_mls_rs(&tree, bytes, &wrong);
            assert_eq!(verdict, Verdict::Bad("TreeHashMismatch".into()));
        }
    }
    let (good, none) = (Verdict::Good, Verdict::NoSuite);
    let large = if is_selection() { 0 } else { 3 };
    let expected = [
        ((1, good.clone(), good.clone()), 14),
        ((2, good.clone(), good.clone()), 14),
        ((3, good.clone(), good.clone()), 14),
        // Our cryptography lacks these four; mls-rs's lacks three.
        ((4, none.clone(), none.clone()), 11 + large),
        ((5, none.clone(), none.clone()), 11 + large),
        ((6, none.clone(), none.clone()), 11 + large),
        ((7, none, good), 11 + large),
    ];
    assert_eq!(verdicts, BTreeMap::from(expected));
}

#[test]
fn a_changed_tree_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut accepted = Vec::new();
    let mut refused = 0;
    for tree in trees().iter().filter(|tree| tree.cipher_suite == 1) {
        for _ in 0..TAMPERED_PER_TREE {
            let mut changed = tree.tree.0.clone();
            let at = usize::try_from(rng.next_u64()).unwrap() % changed.len();
            changed[at] ^= 1 << (rng.next_u32() % 8);
            match by_openmls(tree, &changed) {
                Verdict::Bad(_) => refused += 1,
                other => accepted.push((at, other)),
            }
            let verdict = by_mls_rs(tree, &changed, root(tree));
            assert!(matches!(verdict, Verdict::Bad(_)), "{verdict:?}");
        }
        let other_group = Tree {
            cipher_suite: tree.cipher_suite,
            tree: tree.tree.clone(),
            group_id: crate::load::Hex(vec![7; 32]),
            tree_hashes: tree.tree_hashes.clone(),
        };
        // A leaf that came with a KeyPackage is not bound to a group; one of a commit is.
        for verdict in [
            by_openmls(&other_group, &tree.tree.0),
            by_mls_rs(&other_group, &tree.tree.0, root(tree)),
        ] {
            assert!(matches!(verdict, Verdict::Bad(_)), "{verdict:?}");
        }
    }
    assert_eq!(accepted, []);
    assert_eq!(refused, 14 * TAMPERED_PER_TREE);
}
