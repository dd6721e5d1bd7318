//! Owns the MLS side of a group's state: openmls' public group, in and out of records.
//!
//! Invariant: a change is buffered in records and becomes durable in one transaction; nothing is
//! written through openmls' storage traits, and on an error the group in memory is thrown away.

use crate::outcome::Fault;
use crate::state::{DeltaRecord, HEAD_FORMAT, Pending, TreeRecord};
use openmls::group::{GroupId as MlsGroupId, InterimTranscriptHash, PublicGroup, StagedCommit};
use openmls_traits::public_storage::PublicStorageProvider;
use openmls_traits::storage::{CURRENT_VERSION, traits};
use serde::de::DeserializeOwned;
use sordino_rules::Members;
use sordino_wire::{Bytes, Digest, GroupId, PartialGroupInfo};
use tls_codec::Serialize as _;

/// The public group with what a GroupInfo is rebuilt from.
pub(crate) struct MlsState {
    pub(crate) group: PublicGroup,
    pub(crate) members: Members,
    pub(crate) group_info: PartialGroupInfo,
    pub(crate) signer: u32,
}

/// What openmls reads when it loads a group: our records, in postcard.
#[derive(Default)]
pub(crate) struct ReadOnlyStorage {
    tree: Vec<u8>,
    context: Vec<u8>,
    interim: Vec<u8>,
    tag: Vec<u8>,
}

/// A record of openmls' that does not parse.
#[derive(Debug, thiserror::Error)]
#[error("a stored value does not parse")]
pub(crate) struct NotReadable;

/// The four values of a public group, in the order in which they are stored.
#[derive(serde::Serialize, serde::Deserialize)]
struct StoredGroup {
    tree: Vec<u8>,
    context: Vec<u8>,
    interim: Vec<u8>,
    tag: Vec<u8>,
}

impl MlsState {
    /// Loads a snapshot, replays deltas in order, queues pending proposals.
    pub(crate) fn load(
        group_id: GroupId,
        tree: TreeRecord,
        deltas: &[DeltaRecord],
        pending: &Pending,
    ) -> Result<Self, Fault> {
        let id = MlsGroupId::from_slice(&group_id.0);
        let mut signer = tree.signer;
        let mut group_info = tree.group_info.clone();
        if let Some(last) = deltas.last() {
            signer = last.signer;
            group_info = last.group_info.clone();
        }
        let deltas = deltas.iter().map(|delta| delta.staged.as_slice());
        let group = replay(&id, tree.mls.as_slice(), deltas, pending)?;
        let members = Members::of_public_group(&group).map_err(|_| Fault::Inconsistent)?;
        Ok(Self {
            group,
            members,
            group_info,
            signer,
        })
    }

    /// A state whose group has just been created or changed.
    pub(crate) fn new(
        group: PublicGroup,
        group_info: PartialGroupInfo,
        signer: u32,
    ) -> Result<Self, sordino_wire::Reject> {
        let members = Members::of_public_group(&group)?;
        Ok(Self {
            group,
            members,
            group_info,
            signer,
        })
    }

    /// The current epoch.
    pub(crate) fn epoch(&self) -> u64 {
        self.group.group_context().epoch().as_u64()
    }

    /// The snapshot of the group as it is now.
    pub(crate) fn snapshot(&self) -> Result<TreeRecord, Fault> {
        Ok(TreeRecord {
            format: HEAD_FORMAT,
            epoch: self.epoch(),
            group_info: self.group_info.clone(),
            signer: self.signer,
            mls: Bytes::new(store(&self.group)?).map_err(|_| Fault::Encoding)?,
        })
    }

    /// The serialised ratchet tree.
    pub(crate) fn ratchet_tree(&self) -> Result<Vec<u8>, Fault> {
        self.group
            .export_ratchet_tree()
            .tls_serialize_detached()
            .map_err(|_| Fault::Encoding)
    }

    /// SHA-256 of the group context.
    pub(crate) fn context_hash(&self) -> Result<Digest, Fault> {
        let bytes = self
            .group
            .group_context()
            .tls_serialize_detached()
            .map_err(|_| Fault::Encoding)?;
        Ok(sordino_crypto::sha256(&bytes))
    }
}

/// A public group as bytes.
pub(crate) fn store(group: &PublicGroup) -> Result<Vec<u8>, Fault> {
    let context = group.group_context();
    let tag = group.confirmation_tag();
    let mut interim_input = context.confirmed_transcript_hash().to_vec();
    tag.tls_serialize(&mut interim_input)
        .map_err(|_| Fault::Encoding)?;
    let interim = InterimTranscriptHash(sordino_crypto::sha256(&interim_input).0.to_vec());
    to_postcard(&StoredGroup {
        tree: to_postcard(group.treesync())?,
        context: to_postcard(context)?,
        interim: to_postcard(&interim)?,
        tag: to_postcard(tag)?,
    })
}

/// A public group from bytes: deltas are merged in order, pending proposals queued.
pub(crate) fn replay<'a>(
    id: &MlsGroupId,
    stored: &[u8],
    deltas: impl Iterator<Item = &'a [u8]>,
    pending: &Pending,
) -> Result<PublicGroup, Fault> {
    let stored: StoredGroup = postcard::from_bytes(stored).map_err(|_| Fault::Inconsistent)?;
    let storage = ReadOnlyStorage {
        tree: stored.tree,
        context: stored.context,
        interim: stored.interim,
        tag: stored.tag,
    };
    let mut group = PublicGroup::load(&storage, id)
        .map_err(|_| Fault::Inconsistent)?
        .ok_or(Fault::Inconsistent)?;
    for delta in deltas {
        let staged: StagedCommit = postcard::from_bytes(delta).map_err(|_| Fault::Inconsistent)?;
        // openmls does not check that a delta follows.
        let follows = group.group_context().epoch().as_u64().checked_add(1);
        if follows != Some(staged.group_context().epoch().as_u64()) {
            return Err(Fault::Inconsistent);
        }
        group
            .merge_commit(&storage, staged)
            .map_err(|_| Fault::Inconsistent)?;
    }
    for item in pending.items.iter() {
        let (_, proposal) = crate::apply::read_queued(item.queued.as_slice())?;
        group
            .add_proposal(&storage, proposal)
            .map_err(|_| Fault::Inconsistent)?;
    }
    Ok(group)
}

/// Serialises in postcard.
pub(crate) fn to_postcard(value: &impl serde::Serialize) -> Result<Vec<u8>, Fault> {
    postcard::to_stdvec(value).map_err(|_| Fault::Encoding)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>, NotReadable> {
    if bytes.is_empty() {
        return Ok(None);
    }
    postcard::from_bytes(bytes)
        .map(Some)
        .map_err(|_| NotReadable)
}

impl PublicStorageProvider<CURRENT_VERSION> for ReadOnlyStorage {
    type PublicError = NotReadable;

    fn queued_proposals<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        ProposalRef: traits::ProposalRef<CURRENT_VERSION>,
        QueuedProposal: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        _: &GroupId,
    ) -> Result<Vec<(ProposalRef, QueuedProposal)>, Self::PublicError> {
        // They are queued after the deltas.
        Ok(Vec::new())
    }

    fn tree<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        TreeSync: traits::TreeSync<CURRENT_VERSION>,
    >(
        &self,
        _: &GroupId,
    ) -> Result<Option<TreeSync>, Self::PublicError> {
        read(&self.tree)
    }

    fn group_context<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        GroupContext: traits::GroupContext<CURRENT_VERSION>,
    >(
        &self,
        _: &GroupId,
    ) -> Result<Option<GroupContext>, Self::PublicError> {
        read(&self.context)
    }

    fn interim_transcript_hash<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        Hash: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        _: &GroupId,
    ) -> Result<Option<Hash>, Self::PublicError> {
        read(&self.interim)
    }

    fn confirmation_tag<
        GroupId: traits::GroupId<CURRENT_VERSION>,
        Tag: traits::ConfirmationTag<CURRENT_VERSION>,
    >(
        &self,
        _: &GroupId,
    ) -> Result<Option<Tag>, Self::PublicError> {
        read(&self.tag)
    }

    // Writes go nowhere: records are made from the group itself.
    fn write_tree<G: traits::GroupId<CURRENT_VERSION>, T: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        _: &G,
        _: &T,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }

    fn write_interim_transcript_hash<
        G: traits::GroupId<CURRENT_VERSION>,
        H: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        _: &G,
        _: &H,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }

    fn write_context<
        G: traits::GroupId<CURRENT_VERSION>,
        C: traits::GroupContext<CURRENT_VERSION>,
    >(
        &self,
        _: &G,
        _: &C,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }

    fn write_confirmation_tag<
        G: traits::GroupId<CURRENT_VERSION>,
        C: traits::ConfirmationTag<CURRENT_VERSION>,
    >(
        &self,
        _: &G,
        _: &C,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }

    fn queue_proposal<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        Q: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        _: &G,
        _: &R,
        _: &Q,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }

    fn delete_tree<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _: &G,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }

    fn delete_confirmation_tag<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _: &G,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }

    fn delete_context<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _: &G,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }

    fn delete_interim_transcript_hash<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        _: &G,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }

    fn remove_proposal<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        _: &G,
        _: &R,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }

    fn clear_proposal_queue<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        _: &G,
    ) -> Result<(), Self::PublicError> {
        Ok(())
    }
}
