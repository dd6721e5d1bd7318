//! Owns the head: the one record that every request opens (design page 3.3).
//!
//! Invariant: it names the versions of all other records of the group, and every change of the
//! group replaces it. Within the 8 KiB class at any usual size.

use sordino_wire::limits::{
    MAX_DELTAS, MAX_KEPT_SNAPSHOTS, MAX_PARKED_KEY_REQUESTS, MAX_PARKING_PLACES, MAX_REKEYS,
};
use sordino_wire::{
    Digest, GroupId, IdentifierUri, KeyQuestion, List, PolicySummary, Salt, Secret32,
    SuccessorPointer,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The format of a [`Head`] and of the records it names.
pub(crate) const HEAD_FORMAT: u16 = 1;
/// Sender keys kept: those within tolerance (9 epochs at most), and what rekeys added (4).
const MAX_SENDER_KEYS: usize = 16;

/// What every request needs to know of a group.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Head {
    /// [`HEAD_FORMAT`].
    pub(crate) format: u16,
    /// The group.
    pub(crate) group_id: GroupId,
    /// The current epoch.
    pub(crate) epoch: u64,
    /// The current generation.
    pub(crate) generation: u64,
    /// Grows by one with every change that the head sees.
    pub(crate) counter: u64,
    /// The day on which the generation began.
    pub(crate) generation_day: u32,
    /// The name of the guard row that all sealings of this state share.
    pub(crate) guard: Salt,
    /// Where the other records stand.
    pub(crate) manifest: Manifest,
    /// SHA-256 of the group context, which lies with the tree.
    pub(crate) context_hash: Digest,
    /// Sender keys of the epochs within tolerance.
    pub(crate) sender_keys: List<EpochKey, MAX_SENDER_KEYS>,
    /// Users who added a sender key to this epoch by rekey.
    pub(crate) sender_rekeys: List<IdentifierUri, MAX_REKEYS>,
    /// Seals what is delivered.
    pub(crate) delivery_key: Secret32,
    /// Who may do what.
    pub(crate) policy: PolicySummary,
    /// Set where the group is frozen.
    pub(crate) frozen: Option<SuccessorPointer>,
    /// Set while nobody else has opened this generation (design page 2.4, rule 2).
    pub(crate) unconfirmed: Option<Unconfirmed>,
    /// Key requests of members.
    pub(crate) questions: List<ParkedQuestion, MAX_PARKED_KEY_REQUESTS>,
    /// Tombstones of former generations, where members who are behind may have parked.
    pub(crate) places: List<ParkingPlace, MAX_PARKING_PLACES>,
    /// Epochs kept for joiners by Welcome.
    pub(crate) kept: List<KeptSnapshot, MAX_KEPT_SNAPSHOTS>,
}

/// The versions of a group's other records.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Manifest {
    /// The epoch of the tree snapshot; names the records `tree/<epoch>` and `roster/<epoch>`.
    pub(crate) base_epoch: u64,
    /// The version of the tree record.
    pub(crate) tree: Salt,
    /// The version of the roster record.
    pub(crate) roster: Salt,
    /// The versions of the deltas of the epochs after `base_epoch`, in order.
    pub(crate) deltas: List<Salt, MAX_DELTAS>,
    /// The version of the pending record, if there is one.
    pub(crate) pending: Option<Salt>,
}

/// A sender key of one epoch.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct EpochKey {
    pub(crate) epoch: u64,
    pub(crate) key: Secret32,
}

/// Who gave the keys of this sealing, and what is kept in case they are wrong.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Unconfirmed {
    /// The user who gave the keys.
    pub(crate) supplier: IdentifierUri,
    /// Where the record [`super::Previous`] lies.
    pub(crate) previous_store_key: [u8; 16],
    /// What opens it.
    pub(crate) previous_key: Secret32,
    /// Commits in the chain.
    pub(crate) chain: u8,
    /// The last day on which the window is open.
    pub(crate) last_day: u32,
    /// The old generation's records, deleted when the window closes.
    pub(crate) old_store_keys: super::StoreKeys,
    /// For a sealing made by rekey: members who are on another sealing read here.
    pub(crate) former_delivery_key: Option<Secret32>,
}

/// A key request and whether the members have it.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct ParkedQuestion {
    pub(crate) question: KeyQuestion,
    /// 1 once it was delivered.
    pub(crate) delivered: u8,
}

/// A former generation's tombstone.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct ParkingPlace {
    pub(crate) store_key: [u8; 16],
    pub(crate) head_key: Secret32,
    /// Its version when it was last looked at.
    pub(crate) version: Salt,
}

/// An epoch whose tree joiners by Welcome may still ask for, in the current generation.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct KeptSnapshot {
    pub(crate) epoch: u64,
    pub(crate) base_epoch: u64,
    /// The last day on which it is of use.
    pub(crate) last_day: u32,
}

/// What stands in a former head's place (design page 2.4, rule 4).
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Tombstone {
    /// [`HEAD_FORMAT`] with the top bit set, so that neither is taken for the other.
    pub(crate) format: u16,
    /// The group.
    pub(crate) group_id: GroupId,
    /// The epoch at which the generation moved, or the group was deleted.
    pub(crate) epoch: u64,
    /// Key requests parked here.
    pub(crate) questions: List<KeyQuestion, MAX_PARKED_KEY_REQUESTS>,
}

impl Tombstone {
    /// The format of a tombstone.
    pub(crate) const FORMAT: u16 = HEAD_FORMAT | 0x8000;
}

impl Head {
    /// The sender keys of an epoch.
    pub(crate) fn sender_keys_of(&self, epoch: u64) -> impl Iterator<Item = &EpochKey> {
        self.sender_keys.iter().filter(move |k| k.epoch == epoch)
    }

    /// A copy of the head, for a further sealing of the same state.
    pub(crate) fn duplicate(&self) -> Result<Self, tls_codec::Error> {
        sordino_wire::exact(&sordino_wire::encode(self)?)
    }
}
