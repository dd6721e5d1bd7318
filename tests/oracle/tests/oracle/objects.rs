//! `messages`: every object is parsed and encoded again by both stacks, and cut short it is refused.
//!
//! A proposal is put behind its type, a commit into a PublicMessage, since neither library shows its
//! parser of the bare body. GroupSecrets, one object of the 17, are shown by neither: they are sealed
//! for members, and no hub ever has them. The ReInit of the vectors proposes a ratchet tree as an
//! extension of the next group's context, which openmls refuses to parse; our rules refuse every ReInit.
//! mls-rs knows leaf indices of 24 bits, and the Removes of the vectors name random ones.

use crate::load::{Objects, is_selection, messages};
use mls_rs::MlsMessage;
use mls_rs::group::ExportedTree;
use mls_rs::group::proposal::Proposal;
use mls_rs_codec::{MlsDecode as _, MlsEncode as _};
use openmls::framing::MlsMessageIn;
use openmls::messages::proposals_in::ProposalIn;
use openmls::prelude::RatchetTreeIn;
use std::collections::BTreeMap;
use tls_codec::{DeserializeBytes as _, Serialize as _};

/// How an object is presented.
enum Kind {
    Message,
    Tree,
    /// Behind this type.
    Proposal(u16),
    /// In a PublicMessage.
    Commit,
    Shown(&'static str),
}

fn kind(name: &str) -> Kind {
    match name {
        "mls_welcome"
        | "mls_group_info"
        | "mls_key_package"
        | "public_message_application"
        | "public_message_proposal"
        | "public_message_commit"
        | "private_message" => Kind::Message,
        "ratchet_tree" => Kind::Tree,
        "add_proposal" => Kind::Proposal(1),
        "update_proposal" => Kind::Proposal(2),
        "remove_proposal" => Kind::Proposal(3),
        "pre_shared_key_proposal" => Kind::Proposal(4),
        "re_init_proposal" => Kind::Proposal(5),
        "external_init_proposal" => Kind::Proposal(6),
        "group_context_extensions_proposal" => Kind::Proposal(7),
        "commit" => Kind::Commit,
        "group_secrets" => Kind::Shown("by neither library"),
        other => panic!("an object that is not known: {other}"),
    }
}

/// A PublicMessage around a commit: from the first member of a group without a name, unsigned.
fn around(commit: &[u8]) -> Vec<u8> {
    let front = [0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3];
    let signature_and_tags = [0, 0, 0];
    [&front, commit, &signature_and_tags].concat()
}

/// What both encode again; nothing where one does not parse.
fn through_openmls(kind: &Kind, bytes: &[u8]) -> Option<Vec<u8>> {
    match kind {
        Kind::Tree => RatchetTreeIn::tls_deserialize_exact_bytes(bytes)
            .ok()?
            .tls_serialize_detached()
            .ok(),
        Kind::Proposal(_) => ProposalIn::tls_deserialize_exact_bytes(bytes)
            .ok()?
            .tls_serialize_detached()
            .ok(),
        _ => MlsMessageIn::tls_deserialize_exact_bytes(bytes)
            .ok()?
            .tls_serialize_detached()
            .ok(),
    }
}

fn through_mls_rs(kind: &Kind, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let encoded = match kind {
        Kind::Tree => {
            let tree = ExportedTree::mls_decode(&mut rest).ok()?;
            tree.to_bytes().ok()
        }
        Kind::Proposal(_) => {
            let proposal = Proposal::mls_decode(&mut rest).ok()?;
            proposal.mls_encode_to_vec().ok()
        }
        _ => {
            let message = MlsMessage::mls_decode(&mut rest).ok()?;
            message.to_bytes().ok()
        }
    };
    encoded.filter(|_| rest.is_empty())
}

fn one(objects: &Objects, counts: &mut BTreeMap<String, usize>) {
    for (name, object) in objects {
        let kind = kind(name);
        let bytes = match &kind {
            Kind::Shown(why) => {
                *counts.entry(format!("{name}: {why}")).or_default() += 1;
                continue;
            }
            Kind::Proposal(kind) => [&kind.to_be_bytes(), object.0.as_slice()].concat(),
            Kind::Commit => around(&object.0),
            Kind::Message | Kind::Tree => object.0.clone(),
        };
        let again = through_openmls(&kind, &bytes);
        let refused_by_openmls = name == "re_init_proposal";
        if refused_by_openmls {
            assert_eq!(again, None);
            *counts.entry(format!("{name}: not by openmls")).or_default() += 1;
        } else {
            assert!(again.as_ref() == Some(&bytes), "{name} by openmls");
        }
        let again = through_mls_rs(&kind, &bytes);
        if name == "remove_proposal" && object.0[0] != 0 {
            assert_eq!(again, None);
            let what = "remove_proposal of a leaf beyond 2^24: not by mls-rs";
            *counts.entry(what.into()).or_default() += 1;
        } else {
            assert!(again.as_ref() == Some(&bytes), "{name} by mls-rs");
        }
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(through_openmls(&kind, cut), None, "{name} by openmls, cut");
        assert_eq!(through_mls_rs(&kind, cut), None, "{name} by mls-rs, cut");
        *counts.entry("parsed and encoded".into()).or_default() += 1;
    }
}

#[test]
fn every_object_is_parsed_and_encoded_again_by_both_stacks() {
    let mut counts = BTreeMap::new();
    for objects in messages() {
        one(&objects, &mut counts);
    }
    let (cases, beyond) = if is_selection() { (40, 40) } else { (300, 299) };
    let expected = [
        ("group_secrets: by neither library".to_owned(), cases),
        ("re_init_proposal: not by openmls".to_owned(), cases),
        (
            "remove_proposal of a leaf beyond 2^24: not by mls-rs".to_owned(),
            beyond,
        ),
        ("parsed and encoded".to_owned(), cases * 16),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}
