//! A commit says everything twice: the same proposal by value, or the same reference. Everything
//! around it fits, so that nothing else is wrong with it.

use crate::scene::{group_of, sync_all};
use crate::support::{Actor, Plan, World, done, policy};
use crate::surgery::{Commit, sign, vector};
use crate::verdicts::{Hub, judge};
use crate::watch::{Watch, information};
use openmls::group::{ProposalStore, PublicGroup};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{
    MlsMessageIn, OpenMlsProvider as _, ProcessedMessageContent, RatchetTreeIn,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use sordino_crypto::sha256;
use sordino_wire::{Bytes, CommitRequest, KeyCheckTbs, SignatureBytes};
use tls_codec::{DeserializeBytes as _, Serialize as _};

/// The context that a hub without our rule computes from a commit.
fn next_context(world: &mut World, member: &Actor, commit: &[u8]) -> Option<Vec<u8>> {
    let told = information(world, member);
    let info = told.group_info.as_slice();
    let info = VerifiableGroupInfo::tls_deserialize_exact_bytes(info).unwrap();
    let tree = told.ratchet_tree.as_slice();
    let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree).unwrap();
    let provider = OpenMlsRustCrypto::default();
    let (crypto, storage) = (provider.crypto(), provider.storage());
    let none = ProposalStore::new();
    let (mut group, _) = PublicGroup::from_external(crypto, storage, tree, info, none).unwrap();
    let mut process = |bytes: &[u8]| {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        match group.process_message(crypto, message).ok()?.into_content() {
            ProcessedMessageContent::ProposalMessage(queued) => {
                group.add_proposal(storage, *queued).unwrap();
                None
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => Some(staged),
            _ => None,
        }
    };
    for pending in told.pending.iter() {
        process(pending.proposal.as_slice());
    }
    let context = process(commit)?.group_context().clone();
    Some(context.tls_serialize_detached().unwrap())
}

/// Puts another commit into a request and signs everything around it.
fn fit(world: &mut World, member: &Actor, request: &mut CommitRequest, commit: &Commit) {
    let bytes = commit.bytes();
    let key = member.leaf_key();
    if let Some(context) = next_context(world, member, &bytes) {
        let content = [
            context,
            request.group_info.extensions.as_slice().to_vec(),
            vector(&commit.confirmation_tag),
            member.leaf().to_be_bytes().to_vec(),
        ]
        .concat();
        let signature = sign(&key, "GroupInfoTBS", &content);
        request.group_info.signature = SignatureBytes::new(signature).unwrap();
    }
    let check = &mut request.key_check;
    check.commit_hash = sha256(&bytes);
    let tbs = KeyCheckTbs {
        group_id: member.group_id,
        epoch: check.epoch,
        commit_hash: check.commit_hash,
        keys_hash: check.keys_hash,
    };
    check.signature = key.sign_struct("KeyCheck", &tbs).unwrap();
    request.commit = Bytes::new(bytes).unwrap();
}

fn plans(world: &mut World, members: &[Actor]) -> Vec<(&'static str, Plan)> {
    let mut new = Actor::rejoining(world, 9, 0, 0);
    let mut other = policy();
    other.max_members = 50;
    vec![
        (
            "RemovingNonExistingMember",
            Plan::remove(&[members[2].leaf()]),
        ),
        ("DuplicateLeafData", Plan::add(vec![new.invitation(world)])),
        (
            "SerializationError",
            Plan {
                policy: Some(other),
                ..Plan::default()
            },
        ),
        ("RemovingNonExistingMember", Plan::moving()),
    ]
}

#[test]
fn nothing_is_said_twice() {
    let (mut world, mut members) = group_of(990, 4);
    let mut watch = Watch::begin(&mut world, &members[0]);
    let plans = plans(&mut world, &members);
    let by_reference = plans.len() - 1;
    for (number, (by_mls_rs, plan)) in plans.into_iter().enumerate() {
        if number == by_reference {
            done(members[3].leave(&mut world));
            sync_all(&mut world, &mut members);
            watch.follow(&mut world, &members[0]);
        }
        let mut request = members[0].draft(&mut world, &plan);
        let mut commit = Commit::parse(request.commit.as_slice());
        let once = commit.proposals.clone();
        assert!(!once.is_empty());
        commit.proposals.extend(once);
        let own = &members[0];
        commit.sign(&own.leaf_key(), own.leaf(), own.context());
        fit(&mut world, &members[0], &mut request, &commit);
        let kind = members[0].kind_of(&plan);
        let said = judge(&mut world, &watch.group, &members[0], kind, request);
        assert_eq!(said.hub, Hub::Mls, "{number}");
        assert_eq!(said.watcher.as_deref(), Some(by_mls_rs));
        members[0].forget_commit();
    }
}
