//! Owns reading: streams and inboxes (design page 3.4), and what their entries hold.
//!
//! Invariant: a read names streams by possession of their ids and nothing else.

use crate::bytes::{Bytes, List};
use crate::commit::{HandshakeBytes, KeyCheck, SealedKeyObject};
use crate::credential::{IdentityEntry, PreviousWrapper};
use crate::ids::{Digest, Salt, StreamId};
use crate::limits::{
    MAX_ADDS, MAX_BODY_BYTES, MAX_PENDING_PROPOSALS, MAX_STREAM_ENTRIES, MAX_STREAM_READS,
    MAX_WELCOME_BYTES,
};
use crate::operation::{KeyQuestion, MessageBytes, SuccessorPointer};
use crate::secret::Secret32;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// One stream to read.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct StreamRead {
    /// The stream.
    pub stream_id: StreamId,
    /// The first number wanted; 0 stands for the oldest kept.
    pub from: u64,
    /// The most entries wanted.
    pub max: u16,
}

/// Read streams; wait if there is nothing yet.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct ReadStreams {
    /// Which.
    pub reads: List<StreamRead, MAX_STREAM_READS>,
    /// How long to wait, at most 60.
    pub wait_s: u16,
}

/// Read one inbox; wait if there is nothing yet.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct ReadInbox {
    /// Its secret: the id is the first 16 bytes of the SHA-256.
    pub inbox_secret: Secret32,
    /// The first number wanted; 0 stands for the oldest kept.
    pub from: u64,
    /// How long to wait, at most 60.
    pub wait_s: u16,
}

/// An entry of a stream, sealed under the generation's delivery key.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct SealedEntry {
    /// Random.
    pub salt: Salt,
    /// AES-256-GCM of the padded [`Delivery`].
    pub ciphertext: Bytes<1, MAX_BODY_BYTES>,
}

/// An entry with its number.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct NumberedEntry {
    /// Contiguous within the stream.
    pub number: u64,
    /// The serialised [`SealedEntry`] (streams) or [`crate::commit::HpkeCiphertext`] (inboxes).
    pub entry: Bytes<1, MAX_BODY_BYTES>,
}

/// What one stream or inbox answers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct StreamPage {
    /// The oldest number kept. Above the number asked for: a gap.
    pub oldest: u64,
    /// The number that the next entry will get.
    pub next: u64,
    /// Entries from the number asked for.
    pub entries: List<NumberedEntry, MAX_STREAM_ENTRIES>,
}

/// Pages in the order of the reads.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct StreamPages {
    /// One per read.
    pub pages: List<StreamPage, MAX_STREAM_READS>,
}

/// What members read from their stream, once opened.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct Delivery {
    /// The hub's time in seconds since 1970, floored to 60.
    pub time_s: u64,
    /// The head's counter after this entry's request, so that a roll-back of the group shows.
    pub counter: u64,
    /// What happened.
    pub event: DeliveryEvent,
    /// Zero bytes up to the padded size.
    pub padding: crate::padding::Padding,
}

/// What happened in a group.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum DeliveryEvent {
    /// An application message.
    #[tls_codec(discriminant = 1)]
    Message(MessageBytes),
    /// A commit. The last entry of a generation is the commit that ends it.
    #[tls_codec(discriminant = 2)]
    Commit(Box<DeliveredCommit>),
    /// A pending proposal.
    #[tls_codec(discriminant = 3)]
    Proposal(DeliveredProposal),
    /// Somebody asks for the group's secret.
    #[tls_codec(discriminant = 4)]
    KeyQuestion(KeyQuestion),
    /// A key request was answered: its SHA-256.
    #[tls_codec(discriminant = 5)]
    KeyQuestionAnswered(Digest),
    /// Somebody else's keys open this generation too: nobody else need confirm.
    #[tls_codec(discriminant = 6)]
    KeysConfirmed(u64),
    /// The group is frozen in favour of another.
    #[tls_codec(discriminant = 7)]
    Frozen(SuccessorPointer),
    /// A member cannot process a commit.
    #[tls_codec(discriminant = 8)]
    Reported(DeliveredReport),
    /// The group is deleted.
    #[tls_codec(discriminant = 9)]
    Deleted,
}

/// A commit as members get it.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct DeliveredCommit {
    /// The PublicMessage.
    pub commit: HandshakeBytes,
    /// The committer's statement about the keys.
    pub key_check: KeyCheck,
    /// As in the request.
    pub identity_entries: List<IdentityEntry, MAX_ADDS>,
    /// Where the generation moved.
    pub wrapper: Option<PreviousWrapper>,
    /// The hub's own proposals, made again after an external commit.
    pub reissued: List<HandshakeBytes, MAX_PENDING_PROPOSALS>,
}

/// A proposal as members get it.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct DeliveredProposal {
    /// The PublicMessage.
    pub proposal: HandshakeBytes,
    /// Where the Welcome goes, for an Add by a new member.
    pub inbox: Option<crate::commit::InboxAddress>,
}

/// A report as members get it.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct DeliveredReport {
    /// Who reports.
    pub leaf_index: u32,
    /// Which commit.
    pub commit_hash: Digest,
}

/// What an inbox holds, once opened.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum InboxDelivery {
    /// A Welcome with its key object.
    #[tls_codec(discriminant = 1)]
    Welcome {
        /// The serialised MLSMessage.
        welcome: Bytes<1, MAX_WELCOME_BYTES>,
        /// Sealed to the KeyPackage's init key.
        key_object: SealedKeyObject,
    },
    /// An answer to a key request.
    #[tls_codec(discriminant = 2)]
    KeyAnswer {
        /// SHA-256 of the serialised [`KeyQuestion`].
        question: Digest,
        /// Sealed to its key.
        key_object: SealedKeyObject,
    },
    /// A deposit: the contents as they came.
    #[tls_codec(discriminant = 3)]
    Deposit(Bytes<1, { crate::limits::MAX_DEPOSIT_BYTES }>),
}
