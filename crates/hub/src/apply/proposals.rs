//! Owns pending proposals: a member leaves, somebody asks to be added, the hub removes.
//!
//! Invariant: a stored proposal can be committed: its leaf was checked in full before. At most 16;
//! they belong to one epoch.

use super::attend::attend;
use super::merge::{Merged, pending_refs};
use super::parse_handshake;
use super::send::check_not_frozen;
use crate::admit::Admitted;
use crate::authenticate::Who;
use crate::outcome::{Fault, Refusal, Step};
use crate::reseal::{Writer, outcome};
use crate::state::{GroupState, Head, Pending, PendingItem, PendingKind};
use crate::{Env, HubShared};
use openmls::extensions::SenderExtensionIndex;
use openmls::framing::{ProcessedMessageContent, PublicMessageIn};
use openmls::group::{GroupEpoch, GroupId as MlsGroupId, PublicGroup, QueuedProposal};
use openmls::messages::external_proposals::ExternalProposal;
use openmls::messages::proposals::Proposal;
use openmls::prelude::LeafNodeIndex;
use openmls_rust_crypto::OpenMlsRustCrypto;
use sordino_crypto::{Space, sha256};
use sordino_effects::Records;
use sordino_rules::{Before, check_proposal, credential_of};
use sordino_wire::limits::MAX_PENDING_PROPOSALS;
use sordino_wire::{
    Bytes, CredentialRule, DeliveredProposal, DeliveryEvent, GroupId, HandshakeBytes, InboxAddress,
    List, ProposalsRequest, Reject,
};
use tls_codec::Serialize as _;

/// The most leaves that the hub proposes to remove for inactivity after one commit.
const MAX_INACTIVE_PER_COMMIT: usize = 4;

pub(crate) fn propose(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    mut state: GroupState,
    who: Who,
    request: &ProposalsRequest,
) -> Result<Step, Refusal> {
    check_not_frozen(state.head())?;
    let mut accepted = Vec::new();
    for message in request.proposals.iter() {
        let item = check_one(shared, records, env.now_s, &state, &who, message, request)?;
        let mut items = std::mem::take(&mut state.pending.items).into_vec();
        items.push(item.clone());
        let limit = u32::try_from(MAX_PENDING_PROPOSALS).unwrap_or(u32::MAX);
        state.pending.items = List::new(items).map_err(|_| Reject::LimitReached { limit })?;
        accepted.push(item);
    }
    if accepted.is_empty() {
        return Err(Reject::Malformed.into());
    }

    let mut writer = Writer::new(shared, env);
    writer.expect(&state.opened)?;
    let place = state.opened.store_key;
    let head = &mut state.opened.head;
    head.counter = head.counter.saturating_add(1);
    attend(
        &mut writer,
        records,
        place,
        head,
        &state.mls.members,
        who.user(),
    )?;
    for item in accepted {
        let delivered = DeliveredProposal {
            proposal: item.message,
            inbox: item.inbox,
        };
        let event = DeliveryEvent::Proposal(delivered);
        writer.deliver(&head.delivery_key, head.counter, event)?;
    }
    head.manifest.pending = writer.put_pending(&state.ear_key, &state.pending)?;
    writer.put_head(&state.ear_key, head)?;
    let outcome = outcome(head.epoch, head.counter);
    Ok(writer.finish(&admitted.settlement, outcome)?)
}

fn check_one(
    shared: &HubShared,
    records: &dyn Records,
    now_s: u64,
    state: &GroupState,
    who: &Who,
    message: &HandshakeBytes,
    request: &ProposalsRequest,
) -> Result<PendingItem, Refusal> {
    let head = state.head();
    let public = parse_handshake(message.as_slice(), head.group_id, head.epoch)?;
    let queued = process(shared, &state.mls.group, public)?;
    let pending = pending_refs(&state.pending)?;
    let before = Before {
        members: &state.mls.members,
        policy: &head.policy,
        generation: head.generation,
        hub_domain: &shared.config.domain,
        group_id: head.group_id,
        pending: &pending,
        now_s: Some(now_s),
    };
    let kind = check_proposal(&before, &queued)?;
    let (kind, leaf_index, inbox) = match (kind, who) {
        (sordino_rules::PendingKind::SelfRemove { leaf }, Who::Leaf { leaf_index, .. })
            if leaf == *leaf_index =>
        {
            (PendingKind::SelfRemove, leaf, None)
        }
        (sordino_rules::PendingKind::Add(_), Who::Joiner { signature_key }) => {
            check_joiner(shared, records, &queued, signature_key)?;
            (PendingKind::Join, 0, Some(joiner_inbox(shared, request)?))
        }
        _ => return Err(Reject::BadAuthentication.into()),
    };
    item(kind, leaf_index, message.clone(), &queued, inbox)
}

/// MLS validation of a proposal.
pub(crate) fn process(
    shared: &HubShared,
    group: &PublicGroup,
    public: PublicMessageIn,
) -> Result<QueuedProposal, Reject> {
    let processed = group
        .process_message(&shared.crypto, public)
        .map_err(|_| Reject::InvalidProposal)?;
    match processed.into_content() {
        ProcessedMessageContent::ProposalMessage(queued)
        | ProcessedMessageContent::ExternalJoinProposalMessage(queued) => Ok(*queued),
        _ => Err(Reject::InvalidProposal),
    }
}

fn check_joiner(
    shared: &HubShared,
    records: &dyn Records,
    queued: &QueuedProposal,
    signature_key: &sordino_wire::SignatureKey,
) -> Result<(), Refusal> {
    let Proposal::Add(add) = queued.proposal() else {
        return Err(Reject::InvalidProposal.into());
    };
    let credential = credential_of(add.key_package().leaf_node())?;
    if credential.signature_key != *signature_key {
        return Err(Reject::BadAuthentication.into());
    }
    let reference = add
        .key_package()
        .hash_ref(&shared.crypto)
        .map_err(|_| Reject::InvalidProposal)?;
    let marker = shared
        .outer
        .index()
        .blind(Space::KeyPackage, reference.as_slice())?;
    if records.get(&marker)?.is_some() {
        return Err(Reject::InvalidCredential(CredentialRule::KeyPackage).into());
    }
    Ok(())
}

fn joiner_inbox(shared: &HubShared, request: &ProposalsRequest) -> Result<InboxAddress, Reject> {
    match &request.inbox {
        Some(inbox) if inbox.domain == shared.config.domain => Ok(inbox.clone()),
        _ => Err(Reject::InboxUnavailable { index: 0 }),
    }
}

pub(crate) fn item(
    kind: PendingKind,
    leaf_index: u32,
    message: HandshakeBytes,
    queued: &QueuedProposal,
    inbox: Option<InboxAddress>,
) -> Result<PendingItem, Refusal> {
    let reference = queued.proposal_reference_ref();
    let stored = crate::state::to_postcard(&(reference, queued))?;
    let hash = sha256(message.as_slice());
    let queued = Bytes::new(stored).map_err(|_| Reject::InvalidProposal)?;
    Ok(PendingItem {
        kind,
        leaf_index,
        message,
        hash,
        queued,
        inbox,
    })
}

/// After a commit: removals that it did not make are proposed again by the hub, and those of
/// leaves that have been inactive for long are proposed.
pub(crate) fn reissue(
    writer: &Writer<'_, '_, '_>,
    group_id: GroupId,
    head: &Head,
    former: &Pending,
    merged: &Merged,
    state: &GroupState,
) -> Result<(Vec<HandshakeBytes>, Pending), Refusal> {
    let mut leaves: Vec<u32> = former
        .items
        .iter()
        .filter(|item| item.kind != PendingKind::Join)
        .map(|item| item.leaf_index)
        .filter(|leaf| !merged.verdict.removed.contains(leaf))
        // A leaf that was replaced meanwhile is not the one that asked to leave.
        .filter(|leaf| merged.verdict.replaced != Some(*leaf))
        .filter(|leaf| merged.verdict.members.get(*leaf).is_some())
        .collect();
    leaves.extend(inactive(writer, merged, state));
    leaves.sort_unstable();
    leaves.dedup();
    leaves.truncate(MAX_PENDING_PROPOSALS);
    let mut messages = Vec::new();
    let mut items = Vec::new();
    for leaf in leaves {
        let message = remove_proposal(writer.shared, group_id, head.epoch, leaf)?;
        let public = parse_handshake(message.as_slice(), group_id, head.epoch)?;
        let queued = process(writer.shared, &state.mls.group, public)?;
        items.push(item(
            PendingKind::HubRemove,
            leaf,
            message.clone(),
            &queued,
            None,
        )?);
        messages.push(message);
    }
    let items = List::new(items).map_err(|_| Fault::Inconsistent)?;
    Ok((messages, Pending { items }))
}

/// Leaves that have been inactive for long. Looked at when the roster is open: each time that a
/// generation moves, which is every 30 days at least.
fn inactive(
    writer: &Writer<'_, '_, '_>,
    merged: &Merged,
    state: &GroupState,
) -> impl Iterator<Item = u32> {
    let today = writer.today();
    let limit = writer.shared.config.inactive_days;
    let committer = merged.verdict.committer;
    let activity = state.roster.opened().into_iter();
    let leaves: Vec<u32> = activity
        .flat_map(|roster| roster.activity.iter())
        .filter(|a| a.leaf_index != committer && today.saturating_sub(a.day) > limit)
        .map(|a| a.leaf_index)
        .take(MAX_INACTIVE_PER_COMMIT)
        .collect();
    leaves.into_iter()
}

fn remove_proposal(
    shared: &HubShared,
    group_id: GroupId,
    epoch: u64,
    leaf: u32,
) -> Result<HandshakeBytes, Fault> {
    let message = ExternalProposal::new_remove::<OpenMlsRustCrypto>(
        LeafNodeIndex::new(leaf),
        MlsGroupId::from_slice(&group_id.0),
        GroupEpoch::from(epoch),
        &shared.signer,
        SenderExtensionIndex::new(0),
    )
    .map_err(|_| Fault::Crypto)?;
    let bytes = message
        .tls_serialize_detached()
        .map_err(|_| Fault::Encoding)?;
    Bytes::new(bytes).map_err(|_| Fault::Encoding)
}
