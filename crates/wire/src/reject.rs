//! Owns what a client may see of a refusal.
//!
//! Invariant: unknown group, wrong key and not permitted to know are the one value
//! [`Reject::UnknownGroup`]; no refusal names a group, user or stream.

use crate::bytes::{Bytes, List};
use crate::ids::Digest;
use crate::limits::MAX_PENDING_PROPOSALS;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// A refusal: nothing changed, nothing was spent, nothing was lost.
#[derive(
    Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes, thiserror::Error,
)]
#[repr(u16)]
pub enum Reject {
    /// The request does not parse, or has bytes it must not have.
    #[tls_codec(discriminant = 1)]
    #[error("the request is malformed")]
    Malformed,
    /// The version is not spoken here.
    #[tls_codec(discriminant = 2)]
    #[error("the protocol version is not supported; this hub speaks version {supported}")]
    UnsupportedVersion {
        /// What is.
        supported: u16,
    },
    /// Something is over a limit.
    #[tls_codec(discriminant = 3)]
    #[error("too large; the limit is {limit}")]
    TooLarge {
        /// The limit, in bytes or elements.
        limit: u64,
    },
    /// No such group, or the keys do not open it, or not permitted to know.
    #[tls_codec(discriminant = 4)]
    #[error("there is no such group, or these keys do not open it")]
    UnknownGroup,
    /// The group is in another epoch: catch up, rebuild, retry.
    #[tls_codec(discriminant = 5)]
    #[error("the group is in epoch {current}")]
    WrongEpoch {
        /// The current epoch.
        current: u64,
    },
    /// Pending proposals that a commit must contain.
    #[tls_codec(discriminant = 6)]
    #[error("the commit lacks pending proposals")]
    MissingProposals {
        /// SHA-256 of each missing proposal's MLSMessage.
        hashes: List<Digest, MAX_PENDING_PROPOSALS>,
    },
    /// The committer is being removed and can only wait.
    #[tls_codec(discriminant = 7)]
    #[error("the sender is being removed")]
    BeingRemoved,
    /// A signature or MAC does not verify, or is of the wrong kind for this operation.
    #[tls_codec(discriminant = 8)]
    #[error("the authentication does not verify")]
    BadAuthentication,
    /// The request's time is too far from the hub's.
    #[tls_codec(discriminant = 9)]
    #[error("the request's time is off; the hub's is {hub_time_s}")]
    StaleTime {
        /// The hub's time, floored to 60 s.
        hub_time_s: u64,
    },
    /// The nonce was used for another body.
    #[tls_codec(discriminant = 10)]
    #[error("the nonce was used before")]
    Replayed,
    /// The policy does not allow it.
    #[tls_codec(discriminant = 11)]
    #[error("the policy does not allow this ({0:?})")]
    Policy(Capability),
    /// MLS validation failed (RFC 9420 section 12.4).
    #[tls_codec(discriminant = 12)]
    #[error("the commit is not valid")]
    InvalidCommit,
    /// A proposal is not valid.
    #[tls_codec(discriminant = 13)]
    #[error("the proposal is not valid")]
    InvalidProposal,
    /// The rebuilt GroupInfo does not verify, or has other extensions than external_pub.
    #[tls_codec(discriminant = 14)]
    #[error("the GroupInfo is not valid")]
    InvalidGroupInfo,
    /// A pseudonymous credential breaks a rule of design page 2.2.
    #[tls_codec(discriminant = 15)]
    #[error("a credential breaks a rule ({0:?})")]
    InvalidCredential(CredentialRule),
    /// The number of identity entries is wrong.
    #[tls_codec(discriminant = 16)]
    #[error("{expected} identity entries are expected")]
    IdentityEntries {
        /// How many are expected.
        expected: u32,
    },
    /// The KeyCheck does not match the commit and the keys given.
    #[tls_codec(discriminant = 17)]
    #[error("the key check does not match")]
    KeyCheckMismatch,
    /// A handshake must be a PublicMessage.
    #[tls_codec(discriminant = 18)]
    #[error("handshakes must be public messages")]
    PrivateHandshake,
    /// An application message must be a PrivateMessage.
    #[tls_codec(discriminant = 19)]
    #[error("application messages must be private messages")]
    PublicApplication,
    /// The proposals match no row of the table.
    #[tls_codec(discriminant = 20)]
    #[error("this combination of proposals is not an operation")]
    NotAnOperation,
    /// Too many requests.
    #[tls_codec(discriminant = 21)]
    #[error("rate limited; try again in {retry_after_s} s")]
    RateLimited {
        /// When to try again.
        retry_after_s: u32,
    },
    /// The group is frozen in favour of another.
    #[tls_codec(discriminant = 24)]
    #[error("the group is frozen")]
    Frozen {
        /// The signed pointer.
        pointer: crate::operation::SuccessorPointer,
    },
    /// An inbox is unknown, full, past its day, or at another provider.
    #[tls_codec(discriminant = 25)]
    #[error("an inbox does not accept this delivery")]
    InboxUnavailable {
        /// Which joiner of the request, 0 where there is one.
        index: u32,
    },
    /// The id of a new group was used before.
    #[tls_codec(discriminant = 26)]
    #[error("the group id is taken")]
    GroupIdTaken,
    /// Somebody else must open the state before this user commits again (page 2.4, rule 2).
    #[tls_codec(discriminant = 27)]
    #[error("another member must confirm the keys first")]
    AwaitingConfirmation,
    /// The hub cannot answer now.
    #[tls_codec(discriminant = 28)]
    #[error("the hub is not available; try again in {retry_after_s} s")]
    Unavailable {
        /// When to try again.
        retry_after_s: u32,
    },
    /// The group has no room for more of this.
    #[tls_codec(discriminant = 29)]
    #[error("a limit of the group is reached ({limit})")]
    LimitReached {
        /// The limit.
        limit: u32,
    },
    /// The request type is not accepted at this address.
    #[tls_codec(discriminant = 30)]
    #[error("this request is not accepted at this address")]
    WrongEndpoint,
    /// The key request is unknown or was answered.
    #[tls_codec(discriminant = 31)]
    #[error("the key request is unknown or was answered")]
    QuestionUnknown,
    /// The generation is too old or must move with this commit.
    #[tls_codec(discriminant = 32)]
    #[error("the generation must move with this commit, or must not")]
    Generation,
    /// The welcome part does not fit the Adds.
    #[tls_codec(discriminant = 33)]
    #[error("the welcome does not fit the commit")]
    InvalidWelcome,
    /// No complete set is left for this contact, or there is no such pool: invite it instead.
    #[tls_codec(discriminant = 34)]
    #[error("no key-package set is left")]
    PoolEmpty,
    /// A set's entries contradict each other, or its tag was served before.
    #[tls_codec(discriminant = 35)]
    #[error("a key-package set is not acceptable")]
    InvalidSet,
}

/// What a policy decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u16)]
pub enum Capability {
    /// Adding users.
    Add = 1,
    /// Removing users.
    Remove = 2,
    /// Changing the policy.
    ChangePolicy = 3,
    /// Sending.
    Send = 4,
    /// Deleting or re-initialising.
    Destroy = 5,
    /// Coming in from outside.
    Join = 6,
    /// The number of members.
    Size = 7,
    /// A policy that contradicts itself or orphans the group.
    Policy = 8,
}

/// The rules for pseudonymous credentials (design page 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u16)]
pub enum CredentialRule {
    /// Not a pseudonymous credential, or one that does not parse.
    NotPseudonymous = 1,
    /// The user pseudonym is not the hash of the user authentication key.
    UserPseudonym = 2,
    /// `user_auth_signature` does not verify.
    UserSignature = 3,
    /// `signature_key` is not the leaf's.
    LeafKey = 4,
    /// Leaves of one user pseudonym have different user authentication keys.
    UserKey = 5,
    /// A client pseudonym, signature key or encryption key occurs twice.
    Duplicate = 6,
    /// A commit changes a pseudonym.
    PseudonymChanged = 7,
    /// The two signatures for a leaf that joins a user are missing or wrong.
    LeafProof = 8,
    /// Capabilities or extensions are not the canonical ones.
    NotCanonical = 9,
    /// The KeyPackage was used before, or is past its lifetime.
    KeyPackage = 10,
}

/// What an [`crate::Outcome`] says beside epoch and counter; a repeated request gets it again.
pub type OutcomeDetail = Bytes<0, { crate::limits::MAX_OUTCOME_DETAIL_BYTES }>;
