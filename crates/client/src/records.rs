//! Owns the forms of what the vault keeps, and the names of its records.
//!
//! Invariant: one format number per record; a record that does not parse is an error, never a
//! default. What recovers a group ([`KeysRecord`]) is apart from what can break ([`MlsRecord`]).

use crate::error::GroupStatus;
use sordino_crypto::Slot;
use sordino_wire::{
    ClientCredential, Digest, Domain, GroupId, IdentifierUri, IdentityLink, InboxAddress, InboxId,
    KeyQuestion, Secret32, SignatureKey,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};

/// The format of all records.
pub(crate) const FORMAT: u8 = 1;
/// The device.
pub(crate) const DEVICE: &str = "device";
/// What there is.
pub(crate) const INDEX: &str = "index";

/// The users who are contacts.
pub(crate) const CONTACTS: &str = "contacts";
/// A registration that is not finished.
pub(crate) const REGISTRATION: &str = "registration";
/// Connection requests of others.
pub(crate) const REQUESTS: &str = "requests";
/// Invites that came through connections.
pub(crate) const INVITES: &str = "invites";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a group's keys are.
pub(crate) fn keys_name(group: GroupId) -> String {
    format!("group/{}/keys", hex(&group.0))
}

/// Where a group's state is.
pub(crate) fn state_name(group: GroupId) -> String {
    format!("group/{}/state", hex(&group.0))
}

/// Where a group's MLS state is.
pub(crate) fn mls_name(group: GroupId) -> String {
    format!("group/{}/mls", hex(&group.0))
}

/// Where one value of a group's MLS state is.
pub(crate) fn mls_value_name(group: GroupId, value: &Digest) -> String {
    format!("group/{}/mls/{}", hex(&group.0), hex(&value.0))
}

/// Where an external commit waits for its echo.
pub(crate) fn external_name(group: GroupId) -> String {
    format!("group/{}/external", hex(&group.0))
}

/// Where a message is.
pub(crate) fn message_name(group: GroupId, number: u64) -> String {
    format!("group/{}/message/{number}", hex(&group.0))
}

/// Where a KeyPackage's private parts are.
pub(crate) fn key_package_name(reference: &Digest) -> String {
    format!("key package/{}", hex(&reference.0))
}

/// Where an inbox is.
pub(crate) fn inbox_name(inbox: InboxId) -> String {
    format!("inbox/{}", hex(&inbox.0))
}

/// Where it says that a slot was used.
pub(crate) fn slot_name(slot_hash: &Digest) -> String {
    format!("slot/{}", hex(&slot_hash.0))
}

/// Where a contact is, by the hash of its name.
pub(crate) fn contact_name(user_hash: &Digest) -> String {
    format!("contact/{}", hex(&user_hash.0))
}

/// Where a user's account key is as first seen.
pub(crate) fn seen_name(user_hash: &Digest) -> String {
    format!("seen/{}", hex(&user_hash.0))
}

/// Where a sent connection request is.
pub(crate) fn asking_name(user_hash: &Digest) -> String {
    format!("asking/{}", hex(&user_hash.0))
}

/// Where this device's part of a contact's pool is.
pub(crate) fn pool_name(user_hash: &Digest) -> String {
    format!("pool/{}", hex(&user_hash.0))
}

/// Where a prefetched set of a contact is.
pub(crate) fn fetched_name(user_hash: &Digest) -> String {
    format!("fetched/{}", hex(&user_hash.0))
}

/// Where the nonce of a fetch that is under way is.
pub(crate) fn fetching_name(user_hash: &Digest) -> String {
    format!("fetching/{}", hex(&user_hash.0))
}

/// The device and its user.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct DeviceRecord {
    pub(crate) format: u8,
    pub(crate) user_secrets: Vec<UserSecretRecord>,
    pub(crate) client_secret: Secret32,
    pub(crate) client_key_seed: Secret32,
    pub(crate) credential: ClientCredential,
    pub(crate) account_key_seed: Option<Secret32>,
    /// Opens connection requests.
    pub(crate) connection_key: Secret32,
}

/// One `user_secret_n`.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct UserSecretRecord {
    pub(crate) number: u32,
    pub(crate) secret: Secret32,
}

/// What there is, since blinded names cannot be listed.
#[derive(Debug, Default, Clone, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct IndexRecord {
    pub(crate) groups: Vec<GroupId>,
    pub(crate) inboxes: Vec<InboxId>,
}

/// A KeyPackage that waits for its Welcome.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct KeyPackageRecord {
    pub(crate) format: u8,
    pub(crate) slot: Slot,
    pub(crate) storage: MlsRecord,
    pub(crate) init_private_key: Secret32,
    pub(crate) init_public_key: VLBytes,
    /// Whose Welcome it waits for.
    pub(crate) purpose: Purpose,
}

/// Who may answer to a KeyPackage.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub(crate) enum Purpose {
    /// One contact, for whose pool it was made.
    #[tls_codec(discriminant = 1)]
    Contact(IdentifierUri),
    /// Any member of the one group that this user asked to be added to.
    #[tls_codec(discriminant = 2)]
    Proposed(GroupId),
    /// Another device of this user, in one group.
    #[tls_codec(discriminant = 3)]
    Sibling(GroupId),
}

/// An inbox of this device.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct InboxRecord {
    pub(crate) format: u8,
    pub(crate) secret: Secret32,
    pub(crate) hpke_private_key: Secret32,
    pub(crate) last_day: u32,
    /// The next number to read.
    pub(crate) cursor: u64,
    /// The group whose key request it serves.
    pub(crate) key_request: Option<GroupId>,
    /// The KeyPackage that it serves.
    pub(crate) key_package: Option<Digest>,
}

/// An openmls storage, dumped.
#[derive(Debug, Default, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct MlsRecord {
    pub(crate) values: Vec<(VLBytes, VLBytes)>,
}

/// The values of a group's MLS state, kept one by one since most steps change few of them.
#[derive(Debug, Default, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct MlsIndexRecord {
    /// SHA-256 of their names, ascending.
    pub(crate) values: Vec<Digest>,
}

/// The keys of one generation, as far as they are known.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct GenerationRecord {
    pub(crate) generation: u64,
    pub(crate) ear_key: Secret32,
    /// Absent after a join by link until a member has answered.
    pub(crate) group_secret: Option<Secret32>,
}

/// What it takes to come back into a group whose MLS state is lost.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct KeysRecord {
    pub(crate) format: u8,
    pub(crate) hub_domain: Domain,
    pub(crate) group_id: GroupId,
    pub(crate) slot: Slot,
    /// Of the leaf key in the tree.
    pub(crate) rotation: u32,
    /// The current generation last, the one before it first.
    pub(crate) generations: Vec<GenerationRecord>,
    pub(crate) invite_code: Option<Digest>,
}

/// Everything else about a group but its MLS state.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct StateRecord {
    pub(crate) format: u8,
    pub(crate) status: GroupStatus,
    /// The next number to read in the stream of the current generation.
    pub(crate) cursor: u64,
    /// The epoch in which this device came in: what is older was not for it.
    pub(crate) joined_epoch: u64,
    /// The highest counter seen.
    pub(crate) counter: u64,
    /// The hub's time at which this device saw the generation begin.
    pub(crate) generation_started_s: u64,
    pub(crate) identities: Vec<IdentityRecord>,
    pub(crate) pending: Option<PendingCommit>,
    /// The last commit of this device that was merged.
    pub(crate) last_own_commit: Option<Digest>,
    pub(crate) proposals: Vec<ProposalRecord>,
    pub(crate) questions: Vec<QuestionRecord>,
    pub(crate) confirmation: Option<DueGeneration>,
    /// When this device commits the removals that others proposed, if nobody else has.
    pub(crate) removals_due_s: Option<u64>,
    pub(crate) trouble: Vec<Trouble>,
    pub(crate) asked: Option<AskedRecord>,
    /// Own identity entry still owed to the members (joined by link), 0 or 1.
    pub(crate) owes_identity: u8,
    /// Own leaf key to be rotated (after a resync), 0 or 1.
    pub(crate) owes_rotation: u8,
    pub(crate) outbox: Vec<OutgoingRecord>,
    pub(crate) next_outgoing: u64,
    pub(crate) messages: u64,
    /// Up to where messages were read, in whichever life in the group.
    pub(crate) read_to: Option<Place>,
    pub(crate) successor: Option<GroupId>,
}

/// What a device keeps of a group when it comes back under another leaf.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct History {
    messages: u64,
    read_to: Option<Place>,
}

impl StateRecord {
    pub(crate) fn history(&self) -> History {
        History {
            messages: self.messages,
            read_to: self.read_to,
        }
    }

    pub(crate) fn take_up(&mut self, history: History) {
        self.messages = history.messages;
        self.read_to = history.read_to;
    }
}

/// A place in all of a group's streams.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, TlsSerialize, TlsSize, TlsDeserializeBytes,
)]
pub(crate) struct Place {
    // In the order in which they decide.
    pub(crate) generation: u64,
    pub(crate) counter: u64,
    pub(crate) number: u64,
}

impl StateRecord {
    pub(crate) fn new(status: GroupStatus, cursor: u64, counter: u64, now_s: u64) -> Self {
        Self {
            format: FORMAT,
            status,
            cursor,
            joined_epoch: 0,
            counter,
            generation_started_s: now_s,
            identities: Vec::new(),
            pending: None,
            last_own_commit: None,
            proposals: Vec::new(),
            questions: Vec::new(),
            confirmation: None,
            removals_due_s: None,
            trouble: Vec::new(),
            asked: None,
            owes_identity: 0,
            owes_rotation: 0,
            outbox: Vec::new(),
            next_outgoing: 0,
            messages: 0,
            read_to: None,
            successor: None,
        }
    }
}

/// A verified identity link by the credential it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct IdentityRecord {
    /// SHA-256 of the serialised credential.
    pub(crate) credential: Digest,
    pub(crate) link: IdentityLink,
}

/// A commit that was sent, or is about to be: kept before it goes out (page 2.4, rule 5).
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct PendingCommit {
    pub(crate) commit_hash: Digest,
    /// The epoch it leaves.
    pub(crate) epoch: u64,
    /// The whole request, to be repeated byte for byte.
    pub(crate) request: VLBytes,
    pub(crate) rotation: u32,
    /// The row of the table, by its place in [`sordino_rules::Operation::ALL`].
    pub(crate) operation: u8,
    /// Where the generation moves.
    pub(crate) next: Option<GenerationRecord>,
    pub(crate) identities: Vec<IdentityRecord>,
    /// A new invite code, where it sets one.
    pub(crate) invite_code: Option<Digest>,
    /// 1 where it brings the own identity entry.
    pub(crate) pays_identity: u8,
}

/// An external commit that was sent, or is about to be.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct ExternalRecord {
    pub(crate) format: u8,
    pub(crate) commit_hash: Digest,
    pub(crate) epoch: u64,
    pub(crate) request: VLBytes,
    /// The group as it is once the commit is applied.
    pub(crate) mls: MlsRecord,
    pub(crate) next: Option<GenerationRecord>,
    pub(crate) identities: Vec<IdentityRecord>,
    /// 1 where it replaces this device's former leaf.
    pub(crate) resync: u8,
    /// 1 where the own identity entry follows with the first update.
    pub(crate) owes_identity: u8,
}

/// What is known of a pending proposal beyond MLS.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct ProposalRecord {
    /// SHA-256 of its MLSMessage.
    pub(crate) message_hash: Digest,
    /// The serialised ProposalRef.
    pub(crate) reference: VLBytes,
    pub(crate) inbox: Option<InboxAddress>,
}

/// Somebody else's key request.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct QuestionRecord {
    pub(crate) digest: Digest,
    pub(crate) question: KeyQuestion,
    pub(crate) due_s: u64,
}

/// A generation whose keys are to be confirmed.
#[derive(Debug, Clone, Copy, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct DueGeneration {
    pub(crate) generation: u64,
    pub(crate) due_s: u64,
}

/// What has to be put right.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub(crate) enum Trouble {
    /// The hub holds other keys than the commit gives.
    #[tls_codec(discriminant = 1)]
    WrongKeys {
        /// The key that opened the state before the commit.
        ear_key_before: Secret32,
    },
    /// A commit does not process.
    #[tls_codec(discriminant = 2)]
    Unprocessable {
        commit_hash: Digest,
        /// The epoch it starts.
        epoch: u64,
        /// The random keys that open the state on the way back, once drawn.
        spare: Option<SpareKeys>,
    },
    /// Entries are missing, or the MLS state is.
    #[tls_codec(discriminant = 3)]
    Lost,
}

/// Random keys under which a member has the state sealed where it cannot derive the right ones.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct SpareKeys {
    pub(crate) ear_key: Secret32,
    pub(crate) sender_key: Secret32,
}

/// A key request of this device.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct AskedRecord {
    pub(crate) digest: Digest,
    pub(crate) hpke_private_key: Secret32,
    pub(crate) hpke_public_key: VLBytes,
    pub(crate) inbox: InboxId,
    pub(crate) asked_s: u64,
}

/// A message on its way out.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct OutgoingRecord {
    pub(crate) number: u64,
    pub(crate) content: VLBytes,
    pub(crate) epoch: u64,
    /// SHA-256 of the MLSMessage.
    pub(crate) message_hash: Digest,
    pub(crate) request: VLBytes,
    /// 1 once the hub has taken it.
    pub(crate) accepted: u8,
}

/// A message as it is kept.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct MessageRecord {
    pub(crate) format: u8,
    pub(crate) user_pseudonym: IdentifierUri,
    pub(crate) client_pseudonym: IdentifierUri,
    pub(crate) user: Option<IdentifierUri>,
    pub(crate) client: Option<IdentifierUri>,
    pub(crate) account_key: Option<SignatureKey>,
    pub(crate) own: u8,
    pub(crate) content: VLBytes,
    pub(crate) time_s: u64,
    pub(crate) epoch: u64,
}
