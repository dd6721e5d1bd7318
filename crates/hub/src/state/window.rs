//! Owns what is kept in case a committer gave the hub wrong keys (design page 2.4, rule 2).
//!
//! Invariant: the record opens with the generation's key before the commit, holds the old head and
//! the commits since, and never a key of the new generation.

use sordino_wire::limits::{MAX_ADDS, MAX_BODY_BYTES, MAX_CHAIN_COMMITS, MAX_REKEYS};
use sordino_wire::{
    Bytes, GenerationStep, HandshakeBytes, IdentifierUri, IdentityEntry, KeyCheck, List,
    PartialGroupInfo, PreviousWrapper, Salt,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// Places of records, for their deletion.
pub(crate) type StoreKeys = List<[u8; 16], 128>;

/// A commit of the chain, without the keys that came with it.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct ChainItem {
    pub(crate) time_s: u64,
    pub(crate) commit: HandshakeBytes,
    pub(crate) group_info: PartialGroupInfo,
    pub(crate) key_check: KeyCheck,
    pub(crate) identity_entries: List<IdentityEntry, MAX_ADDS>,
    pub(crate) step: GenerationStep,
    pub(crate) wrapper: Option<PreviousWrapper>,
    /// Proposals that were pending when it came, in postcard, for its references.
    pub(crate) pending: super::Pending,
}

/// A further sealing of the newest state.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Rekeyed {
    /// Who asked for it.
    pub(crate) user: IdentifierUri,
    /// Its records, to be deleted when the window closes.
    pub(crate) store_keys: StoreKeys,
}

/// The record at `locator("previous")`.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Previous {
    pub(crate) format: u16,
    /// The serialised head before the first commit of the chain.
    pub(crate) old_head: Bytes<1, MAX_BODY_BYTES>,
    /// The commits since.
    pub(crate) items: List<ChainItem, MAX_CHAIN_COMMITS>,
    /// The guard of the newest state.
    pub(crate) guard: Salt,
    /// The counter of the newest state.
    pub(crate) counter: u64,
    /// The proposals that are pending in the newest state.
    pub(crate) pending: super::Pending,
    /// The records of the sealing that the newest commit wrote.
    pub(crate) sealed: StoreKeys,
    /// Further sealings of the newest state.
    pub(crate) rekeyed: List<Rekeyed, MAX_REKEYS>,
    /// The old generation's records beside its head, deleted when the window closes.
    pub(crate) old_store_keys: StoreKeys,
    /// The last day on which the window is open.
    pub(crate) last_day: u32,
}
