//! Owns merging a commit into a group's state: everything that does not need the keys it brings.
//!
//! Invariant: pure and repeatable: the same commit on the same state gives the same state, so a
//! chain of commits can be applied again when its keys were wrong (design page 2.4, rule 2).

use super::parse_handshake;
use crate::HubShared;
use crate::outcome::{Fault, Refusal};
use crate::state::{DeltaRecord, HEAD_FORMAT, LazyRoster, MlsState, Pending, ReadOnlyStorage};
use openmls::ciphersuite::hash_ref::ProposalRef;
use openmls::extensions::Extensions;
use openmls::framing::{ProcessedMessageContent, PublicMessageIn, Sender};
use openmls::group::{ProposalQueue, PublicGroup, StagedCommit};
use openmls::messages::group_info::{GroupInfo, VerifiableGroupInfo};
use openmls::prelude::{
    LeafNodeIndex, OpenMlsSignaturePublicKey, Signature, SignatureScheme, Verifiable,
};
use sordino_crypto::{sha256, verify_struct};
use sordino_rules::{
    Before, CommitView, PendingRef, Verdict, check_commit, check_no_repeats, policy_of,
    resolve_app_data,
};
use sordino_wire::{
    Bytes, CommitIntent, GroupId, IdentityEntry, KeyCheck, KeyCheckTbs, List, PartialGroupInfo,
    PolicySummary, Reject, RosterEntry, SignatureKey,
};
use tls_codec::DeserializeBytes as _;

/// Label under which a committer states which keys it gave.
const KEY_CHECK_LABEL: &str = "KeyCheck";

/// A commit with what belongs to it, but for its keys.
pub(crate) struct CommitParts<'a> {
    pub(crate) intent: CommitIntent,
    pub(crate) commit: &'a [u8],
    pub(crate) group_info: &'a PartialGroupInfo,
    pub(crate) key_check: &'a KeyCheck,
    pub(crate) identity_entries: &'a [IdentityEntry],
}

/// The state that a commit is merged into.
pub(crate) struct Base<'a> {
    pub(crate) group_id: GroupId,
    pub(crate) generation: u64,
    pub(crate) policy: &'a PolicySummary,
    pub(crate) mls: &'a mut MlsState,
    pub(crate) roster: &'a mut LazyRoster,
    pub(crate) pending: &'a Pending,
}

/// What a merged commit did.
pub(crate) struct Merged {
    pub(crate) verdict: Verdict,
    /// What the hub judged by.
    pub(crate) committer_key: SignatureKey,
    pub(crate) delta: DeltaRecord,
    /// SHA-256 of each added KeyPackage's reference, with the last day of its life.
    pub(crate) key_packages: Vec<(Vec<u8>, u32)>,
    /// References of the pending proposals that it committed.
    pub(crate) committed: Vec<ProposalRef>,
    /// The policy in force after it.
    pub(crate) policy: PolicySummary,
}

/// Validates a commit and merges it.
pub(crate) fn merge(
    shared: &HubShared,
    base: Base<'_>,
    parts: &CommitParts<'_>,
    now_s: Option<u64>,
    today: u32,
) -> Result<Merged, Refusal> {
    let epoch = base.mls.epoch();
    let message = parse_handshake(parts.commit, base.group_id, epoch)?;
    check_no_repeats(parts.commit)?;
    let (staged, verdict, committed) = judge(shared, &base, parts, message.clone(), now_s)?;
    verdict.check_entries(parts.identity_entries.len())?;
    check_entry_generation(&base, &verdict, parts)?;
    let committer = verdict
        .members
        .get(verdict.committer)
        .ok_or(Reject::InvalidCommit)?;
    let committer_key = committer.credential.signature_key.clone();
    verify_group_info(
        shared,
        parts.group_info,
        &message,
        &staged,
        verdict.committer,
        &committer_key,
    )?;
    verify_key_check(base.group_id, epoch, parts, &committer_key)?;
    let key_packages = key_packages(shared, &staged)?;
    let policy = policy_of(staged.group_context().extensions())?;
    let delta = advance(base, parts, staged, &verdict, today)?;
    Ok(Merged {
        verdict,
        committer_key,
        delta,
        key_packages,
        committed,
        policy,
    })
}

/// A commit that MLS has found valid.
pub(crate) struct Staged {
    pub(crate) commit: StagedCommit,
    pub(crate) sender: Sender,
    pub(crate) aad: Vec<u8>,
}

/// MLS validation.
pub(crate) fn stage(
    shared: &HubShared,
    group: &PublicGroup,
    message: PublicMessageIn,
) -> Result<Staged, Reject> {
    let processed = group
        .process_message(&shared.crypto, message)
        .map_err(|_| Reject::InvalidCommit)?;
    let sender = processed.sender().clone();
    let aad = processed.aad().to_vec();
    let commit = match processed.into_content() {
        ProcessedMessageContent::StagedCommitMessage(staged) => *staged,
        ProcessedMessageContent::UnresolvedAppDataCommit(unresolved) => {
            let updater = group.app_data_dictionary_updater();
            let updates = resolve_app_data(unresolved.app_data_update_proposals(), updater)?;
            group
                .stage_app_data_commit(&shared.crypto, *unresolved, updates)
                .map_err(|_| Reject::InvalidCommit)?
        }
        _ => return Err(Reject::NotAnOperation),
    };
    Ok(Staged {
        commit,
        sender,
        aad,
    })
}

/// MLS validation, then the rules that hub and clients share.
fn judge(
    shared: &HubShared,
    base: &Base<'_>,
    parts: &CommitParts<'_>,
    message: PublicMessageIn,
    now_s: Option<u64>,
) -> Result<(StagedCommit, Verdict, Vec<ProposalRef>), Refusal> {
    let group = &base.mls.group;
    let staged = stage(shared, group, message)?;
    let (sender, aad) = (&staged.sender, &staged.aad);
    let view = CommitView::from_staged(&staged.commit, sender, aad, group.group_context())?;
    let pending = pending_refs(base.pending)?;
    let before = Before {
        members: &base.mls.members,
        policy: base.policy,
        generation: base.generation,
        hub_domain: &shared.config.domain,
        group_id: base.group_id,
        pending: &pending,
        now_s,
    };
    let verdict = check_commit(&before, &view, parts.intent)?;
    let committed = view
        .proposals
        .iter()
        .filter_map(|p| p.reference.clone())
        .collect();
    Ok((staged.commit, verdict, committed))
}

/// The pending proposals as the rules see them.
pub(crate) fn pending_refs(pending: &Pending) -> Result<Vec<PendingRef>, Refusal> {
    pending
        .items
        .iter()
        .map(|item| {
            let (_, queued) = super::read_queued(item.queued.as_slice())?;
            Ok(PendingRef::of(&queued, item.hash)?)
        })
        .collect()
}

/// Entries that a commit adds are under the generation that it starts, or the one in force.
fn check_entry_generation(
    base: &Base<'_>,
    verdict: &Verdict,
    parts: &CommitParts<'_>,
) -> Result<(), Reject> {
    let after = base
        .generation
        .saturating_add(u64::from(verdict.moves_generation));
    if parts.identity_entries.iter().any(|e| e.generation != after) {
        return Err(Reject::Generation);
    }
    Ok(())
}

/// The commit's signature does not cover the confirmation tag; the GroupInfo's does.
pub(crate) fn verify_group_info(
    shared: &HubShared,
    partial: &PartialGroupInfo,
    message: &PublicMessageIn,
    staged: &StagedCommit,
    signer: u32,
    signer_key: &SignatureKey,
) -> Result<(), Reject> {
    let rebuilt = rebuild_group_info(partial, message, staged, signer)?;
    verify_rebuilt(shared, rebuilt, signer_key)
}

fn rebuild_group_info(
    partial: &PartialGroupInfo,
    message: &PublicMessageIn,
    staged: &StagedCommit,
    signer: u32,
) -> Result<VerifiableGroupInfo, Reject> {
    let tag = message
        .confirmation_tag()
        .cloned()
        .ok_or(Reject::InvalidCommit)?;
    let (extensions, signature) = read_partial(partial)?;
    let signer = LeafNodeIndex::new(signer);
    Ok(VerifiableGroupInfo::new(
        staged.group_context().clone(),
        extensions,
        tag,
        signer,
        signature,
    ))
}

/// Exactly one extension, external_pub: anything else would be served to whoever asks.
pub(crate) fn read_partial(
    partial: &PartialGroupInfo,
) -> Result<(Extensions<GroupInfo>, Signature), Reject> {
    let bytes = partial.extensions.as_slice();
    let extensions = Extensions::<GroupInfo>::tls_deserialize_exact_bytes(bytes)
        .map_err(|_| Reject::InvalidGroupInfo)?;
    if extensions.external_pub().is_none() || extensions.iter().count() != 1 {
        return Err(Reject::InvalidGroupInfo);
    }
    // openmls' Signature is an opaque<V> by itself.
    let signature = sordino_wire::encode(&partial.signature)
        .ok()
        .and_then(|b| Signature::tls_deserialize_exact_bytes(&b).ok())
        .ok_or(Reject::InvalidGroupInfo)?;
    Ok((extensions, signature))
}

fn verify_rebuilt(
    shared: &HubShared,
    rebuilt: VerifiableGroupInfo,
    signer_key: &SignatureKey,
) -> Result<(), Reject> {
    let key = OpenMlsSignaturePublicKey::new(
        signer_key.as_slice().to_vec().into(),
        SignatureScheme::ED25519,
    )
    .map_err(|_| Reject::InvalidGroupInfo)?;
    let verified: Result<GroupInfo, _> = rebuilt.verify(&shared.crypto, &key);
    verified.map(|_| ()).map_err(|_| Reject::InvalidGroupInfo)
}

fn verify_key_check(
    group_id: GroupId,
    epoch: u64,
    parts: &CommitParts<'_>,
    key: &SignatureKey,
) -> Result<(), Reject> {
    let check = parts.key_check;
    let content = KeyCheckTbs {
        group_id,
        epoch: check.epoch,
        commit_hash: check.commit_hash,
        keys_hash: check.keys_hash,
    };
    let matches =
        check.epoch == epoch.saturating_add(1) && check.commit_hash == sha256(parts.commit);
    if !matches || verify_struct(key, KEY_CHECK_LABEL, &content, &check.signature).is_err() {
        return Err(Reject::KeyCheckMismatch);
    }
    Ok(())
}

/// What a KeyPackage is remembered by, so that it enters this hub once.
fn key_packages(shared: &HubShared, staged: &StagedCommit) -> Result<Vec<(Vec<u8>, u32)>, Reject> {
    staged
        .add_proposals()
        .map(|add| {
            let key_package = add.add_proposal().key_package();
            let reference = key_package
                .hash_ref(&shared.crypto)
                .map_err(|_| Reject::InvalidCommit)?;
            let last_day = key_package.life_time().not_after() / 86_400;
            Ok((
                reference.as_slice().to_vec(),
                u32::try_from(last_day).unwrap_or(u32::MAX),
            ))
        })
        .collect()
}

/// A staged commit as it is stored. Merging does not need the proposals, and they double the size.
pub(crate) fn slim(staged: &mut StagedCommit) -> Result<Vec<u8>, Fault> {
    staged.staged_proposal_queue = ProposalQueue::default();
    crate::state::to_postcard(staged)
}

/// Writes down what changes, then changes it.
fn advance(
    base: Base<'_>,
    parts: &CommitParts<'_>,
    mut staged: StagedCommit,
    verdict: &Verdict,
    today: u32,
) -> Result<DeltaRecord, Refusal> {
    let serialised = slim(&mut staged)?;
    let entries = verdict
        .entry_leaves
        .iter()
        .zip(parts.identity_entries)
        .map(|(leaf, entry)| RosterEntry {
            leaf_index: *leaf,
            entry: entry.clone(),
        })
        .collect();
    let out_of_bounds = |_| Refusal::from(Reject::InvalidCommit);
    let delta = DeltaRecord {
        format: HEAD_FORMAT,
        epoch: staged.group_context().epoch().as_u64(),
        group_info: parts.group_info.clone(),
        signer: verdict.committer,
        day: today,
        removed: List::new(verdict.cleared().collect()).map_err(out_of_bounds)?,
        added: List::new(verdict.added.clone()).map_err(out_of_bounds)?,
        entries: List::new(entries).map_err(out_of_bounds)?,
        staged: Bytes::new(serialised).map_err(out_of_bounds)?,
    };
    base.mls
        .group
        .merge_commit(&ReadOnlyStorage::default(), staged)
        .map_err(|_| Fault::Inconsistent)?;
    base.mls.members = verdict.members.clone();
    base.mls.group_info = parts.group_info.clone();
    base.mls.signer = verdict.committer;
    base.roster.apply(&delta).map_err(out_of_bounds)?;
    Ok(delta)
}
