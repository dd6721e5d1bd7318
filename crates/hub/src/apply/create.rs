//! Owns creating a group.
//!
//! Invariant: the id was never used on this hub, the one leaf signs the request, and the group
//! context is the canonical one with the hub as external sender.

use super::merge::read_partial;
use super::store_state::write_records;
use crate::admit::Admitted;
use crate::authenticate::{Who, require_epoch, signer_in};
use crate::outcome::{Expectation, Fault, Put, Refusal, Step};
use crate::reseal::{Writer, outcome};
use crate::state::{
    EpochKey, HEAD_FORMAT, Head, Manifest, MlsState, ReadOnlyStorage, RosterRecord, activity_of,
};
use crate::{Env, HubShared};
use openmls::group::{ProposalStore, PublicGroup};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::RatchetTreeIn;
use sordino_crypto::{EarKey, Space};
use sordino_effects::Records;
use sordino_rules::{check_group_context, check_policy, check_tree};
use sordino_wire::{
    Bytes, CreateGroup, IdentityEntry, IdentityRule, List, PartialGroupInfo, PolicySummary, Reject,
    Roster, RosterEntry, Salt, exact,
};
use tls_codec::{DeserializeBytes as _, Serialize as _};

/// The largest tree of one leaf: its credential has two URIs and is the bulk of it.
const MAX_FIRST_TREE_BYTES: usize = 8 * 1024;

pub(crate) fn create(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    request: &CreateGroup,
) -> Result<Step, Refusal> {
    let marker = shared
        .outer
        .index()
        .blind(Space::Marker, &request.access.group_id.0)?;
    if records.get(&marker)?.is_some() {
        return Err(Reject::GroupIdTaken.into());
    }
    let (mls, policy) = new_group(shared, request)?;
    require_epoch(admitted, 0)?;
    match signer_in(shared, admitted, request.access.group_id, &mls.members)? {
        Who::Leaf { leaf_index: 0, .. } => {}
        _ => return Err(Reject::BadAuthentication.into()),
    }
    let roster = new_roster(request.identity_entry.as_ref(), &policy, env.today())?;

    let mut writer = Writer::new(shared, env);
    writer.changes.expect.push((marker, Expectation::Absent));
    let mut value = vec![0u8; 32];
    writer.env.rng.fill_bytes(&mut value);
    writer.changes.put.push(Put {
        key: marker,
        value,
        expires_day: None,
    });
    let ear_key = EarKey::new(request.access.ear_key.duplicate());
    let mut head = new_head(&mut writer, &ear_key, request, &mls, policy)?;
    write_records(&mut writer, &ear_key, &mut head, &mls, roster)?;
    let store_key = writer.put_head(&ear_key, &head)?;
    writer.changes.expect.push((store_key, Expectation::Absent));
    Ok(writer.finish(admitted.replay.as_ref(), outcome(0, head.counter))?)
}

fn new_group(
    shared: &HubShared,
    request: &CreateGroup,
) -> Result<(MlsState, PolicySummary), Refusal> {
    // A tree of many leaves would be refused after much work.
    if request.ratchet_tree.as_slice().len() > MAX_FIRST_TREE_BYTES {
        return Err(Reject::InvalidGroupInfo.into());
    }
    let info = VerifiableGroupInfo::tls_deserialize_exact_bytes(request.group_info.as_slice())
        .map_err(|_| Reject::InvalidGroupInfo)?;
    let tree = RatchetTreeIn::tls_deserialize_exact_bytes(request.ratchet_tree.as_slice())
        .map_err(|_| Reject::Malformed)?;
    let context = info.group_context();
    let named = context.group_id().as_slice() == request.access.group_id.0;
    if !named || context.epoch().as_u64() != 0 {
        return Err(Reject::InvalidGroupInfo.into());
    }
    let policy = check_group_context(context, &shared.config.domain, &shared.signature_key)?;
    let storage = ReadOnlyStorage::default();
    let (group, info) =
        PublicGroup::from_external(&shared.crypto, &storage, tree, info, ProposalStore::new())
            .map_err(|_| Reject::InvalidGroupInfo)?;
    let signature = info
        .signature()
        .tls_serialize_detached()
        .map_err(|_| Fault::Encoding)?;
    let extensions = info
        .extensions()
        .tls_serialize_detached()
        .map_err(|_| Fault::Encoding)?;
    let partial = PartialGroupInfo {
        extensions: Bytes::new(extensions).map_err(|_| Reject::InvalidGroupInfo)?,
        signature: exact(&signature).map_err(|_| Reject::InvalidGroupInfo)?,
    };
    read_partial(&partial)?;
    let mls = MlsState::new(group, partial, 0)?;
    if mls.members.len() != 1 || mls.members.get(0).is_none() {
        return Err(Reject::InvalidGroupInfo.into());
    }
    check_tree(&mls.members)?;
    check_policy(&policy, &mls.members)?;
    Ok((mls, policy))
}

fn new_roster(
    entry: Option<&IdentityEntry>,
    policy: &PolicySummary,
    today: u32,
) -> Result<RosterRecord, Refusal> {
    let wanted = policy.identities != IdentityRule::None;
    if entry.is_some() != wanted {
        return Err(Reject::IdentityEntries {
            expected: u32::from(wanted),
        }
        .into());
    }
    if entry.is_some_and(|e| e.generation != 0) {
        return Err(Reject::Generation.into());
    }
    let entries = entry.map(|e| RosterEntry {
        leaf_index: 0,
        entry: e.clone(),
    });
    let entries = List::new(entries.into_iter().collect()).map_err(|_| Fault::Encoding)?;
    let roster = Roster {
        entries,
        wrappers: List::default(),
    };
    Ok(RosterRecord {
        format: HEAD_FORMAT,
        epoch: 0,
        roster,
        activity: activity_of(0, today),
    })
}

fn new_head(
    writer: &mut Writer<'_, '_, '_>,
    ear_key: &EarKey,
    request: &CreateGroup,
    mls: &MlsState,
    policy: PolicySummary,
) -> Result<Head, Refusal> {
    let sender_key = EpochKey {
        epoch: 0,
        key: request.sender_key.duplicate(),
    };
    Ok(Head {
        format: HEAD_FORMAT,
        group_id: request.access.group_id,
        epoch: 0,
        generation: 0,
        counter: 1,
        generation_day: writer.today(),
        guard: writer.replace_guard(None)?,
        manifest: Manifest {
            base_epoch: 0,
            tree: Salt([0; 16]),
            roster: Salt([0; 16]),
            deltas: List::default(),
            pending: None,
        },
        context_hash: mls.context_hash()?,
        sender_keys: List::new(vec![sender_key]).map_err(|_| Fault::Encoding)?,
        sender_rekeys: List::default(),
        delivery_key: ear_key.delivery_key()?.secret().duplicate(),
        policy,
        frozen: None,
        unconfirmed: None,
        questions: List::default(),
        places: List::default(),
        kept: List::default(),
    })
}
