//! Owns the bodies of all requests but the commit's (design page 3.2).
//!
//! Invariant: nothing about a group, stream or user stands outside a body.

use crate::bytes::{Bytes, List};
use crate::commit::{CommitRequest, HandshakeBytes, InboxAddress, SealedKeyObject};
use crate::credential::IdentityEntry;
use crate::ids::{Digest, GroupId, HpkeKey, InboxId, Locator, SignatureBytes, SignatureKey};
use crate::key_package_set::{
    DropKeyPackages, FetchKeyPackages, InspectKeyPackages, PublishKeyPackages,
};
use crate::limits::{
    MAX_GROUP_INFO_BYTES, MAX_MESSAGE_BYTES, MAX_PROPOSALS_PER_REQUEST, MAX_TREE_BYTES,
};
use crate::secret::Secret32;
use crate::stream::{ReadInbox, ReadStreams};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// A serialised application message: an MLSMessage with a PrivateMessage.
pub type MessageBytes = Bytes<1, MAX_MESSAGE_BYTES>;
/// A serialised ratchet tree.
pub type TreeBytes = Bytes<1, MAX_TREE_BYTES>;
/// A serialised GroupInfo without its tree.
pub type GroupInfoBytes = Bytes<1, MAX_GROUP_INFO_BYTES>;

/// A group and the key of its current generation: opens every record of it.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct GroupAccess {
    /// The group.
    pub group_id: GroupId,
    /// `ear_key_g`.
    pub ear_key: Secret32,
}

/// The head alone, by place and key: what a send needs.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct HeadAccess {
    /// The group.
    pub group_id: GroupId,
    /// `locator(head)`.
    pub locator: Locator,
    /// `head_key_g`.
    pub head_key: Secret32,
}

/// Create a group. Authentication: `Leaf` (leaf 0 of the tree it brings).
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct CreateGroup {
    /// The id, unused ever, and the key of generation 0.
    pub access: GroupAccess,
    /// `sender_key_0`.
    pub sender_key: Secret32,
    /// GroupInfo without tree, its one extension being external_pub.
    pub group_info: GroupInfoBytes,
    /// The tree: one leaf.
    pub ratchet_tree: TreeBytes,
    /// The creator's identity entry, unless the policy wants none.
    pub identity_entry: Option<IdentityEntry>,
}

/// Proposals by reference: a SelfRemove (`Leaf`), or an Add by a new member (`Joiner`).
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct ProposalsRequest {
    /// The group.
    pub access: GroupAccess,
    /// PublicMessages.
    pub proposals: List<HandshakeBytes, MAX_PROPOSALS_PER_REQUEST>,
    /// Where the Welcome goes, for an Add by a new member.
    pub inbox: Option<InboxAddress>,
}

/// Send an application message, authorised by the epoch (`EpochMember`).
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct SendMessage {
    /// The head.
    pub head: HeadAccess,
    /// The message.
    pub message: MessageBytes,
}

/// Send an application message as a leaf (`Leaf`), where the policy has roles for sending.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct SendAsLeaf {
    /// The group.
    pub access: GroupAccess,
    /// The message.
    pub message: MessageBytes,
}

/// What a joiner by Welcome needs (`Joiner`, by the KeyPackage's leaf key).
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct WelcomeInformationRequest {
    /// The group, by the key from the key object.
    pub access: GroupAccess,
    /// The epoch of the Welcome.
    pub epoch: u64,
}

/// The right keys, where a committer gave the hub wrong ones (`Leaf` of the new tree; page 2.4).
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct RekeyRequest {
    /// The group, by the last key that opened it.
    pub access: GroupAccess,
    /// The generation's key as this member derives it; where g did not move, the same as `access`.
    pub ear_key: Secret32,
    /// The epoch's sender key as this member derives it.
    pub sender_key: Secret32,
}

/// Ask the members for `group_secret_g` (page 2.4, rule 3). Signed inside; `Possession` outside.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct KeyRequest {
    /// Head or tombstone, by the last keys that the asker knows.
    pub head: HeadAccess,
    /// What is parked and delivered.
    pub question: KeyQuestion,
}

/// The part of a key request that members see.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct KeyQuestion {
    /// The asker's leaf.
    pub leaf_key: SignatureKey,
    /// Fresh; the answer is sealed to it.
    pub hpke_key: HpkeKey,
    /// Where the answer goes.
    pub inbox: InboxAddress,
    /// The inbox's last day.
    pub last_day: u32,
    /// By that leaf over [`KeyQuestionTbs`], label "KeyRequest".
    pub signature: SignatureBytes,
}

/// What the signature of a [`KeyQuestion`] covers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct KeyQuestionTbs {
    /// The hub.
    pub hub_domain: crate::ids::Domain,
    /// The group.
    pub group_id: GroupId,
    /// See [`KeyQuestion`].
    pub leaf_key: SignatureKey,
    /// See [`KeyQuestion`].
    pub hpke_key: HpkeKey,
    /// See [`KeyQuestion`].
    pub inbox: InboxAddress,
    /// See [`KeyQuestion`].
    pub last_day: u32,
}

/// Answer a key request that was delivered (`EpochMember`).
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct AnswerKeyRequest {
    /// The head.
    pub head: HeadAccess,
    /// Which one: SHA-256 of the serialised [`KeyQuestion`].
    pub question: Digest,
    /// Sealed to its key.
    pub key_object: SealedKeyObject,
}

/// Freeze a group in favour of another one on this hub (`Leaf`).
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct Reinitialise {
    /// The old group.
    pub access: GroupAccess,
    /// The new one, which the hub opens to compare versions.
    pub target: GroupAccess,
    /// Delivered to the members and kept in the frozen group.
    pub pointer: SuccessorPointer,
}

/// A signed pointer from a frozen group to its successor.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct SuccessorPointer {
    /// The successor.
    pub group_id: GroupId,
    /// The leaf that signs.
    pub leaf_index: u32,
    /// By it over [`SuccessorPointerTbs`], label "Successor".
    pub signature: SignatureBytes,
}

/// What the signature of a [`SuccessorPointer`] covers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct SuccessorPointerTbs {
    /// The old group.
    pub group_id: GroupId,
    /// Its last epoch.
    pub epoch: u64,
    /// The successor.
    pub successor: GroupId,
}

/// A commit that a member cannot process (`Leaf`): members see it beside the key check.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct ReportCommit {
    /// The group.
    pub access: GroupAccess,
    /// SHA-256 of the commit's MLSMessage.
    pub commit_hash: Digest,
}

/// Open an inbox. No authentication: page 4 prices it.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct OpenInbox {
    /// SHA-256(secret)[0..16].
    pub inbox_id: InboxId,
    /// Deliveries are sealed to this key.
    pub hpke_key: HpkeKey,
    /// Its last day, in days since 1970.
    pub last_day: u32,
    /// SHA-256 of a secret whose holder may deposit here. Absent where Welcomes and answers to key
    /// requests alone may come.
    pub deposit_hash: Option<Digest>,
}

/// Puts something into an inbox that was opened for deposits: how two devices of one user meet.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct Deposit {
    /// Where.
    pub inbox: InboxAddress,
    /// What [`OpenInbox::deposit_hash`] is the hash of.
    pub deposit_secret: Secret32,
    /// Sealed by its sender to whom it is for.
    pub contents: Bytes<1, { crate::limits::MAX_DEPOSIT_BYTES }>,
}

/// All requests.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u16)]
pub enum RequestBody {
    /// See [`CreateGroup`].
    #[tls_codec(discriminant = 1)]
    CreateGroup(CreateGroup),
    /// See [`CommitRequest`].
    #[tls_codec(discriminant = 2)]
    Commit(Box<CommitRequest>),
    /// See [`ProposalsRequest`].
    #[tls_codec(discriminant = 3)]
    Proposals(ProposalsRequest),
    /// See [`SendMessage`].
    #[tls_codec(discriminant = 4)]
    Send(SendMessage),
    /// See [`SendAsLeaf`].
    #[tls_codec(discriminant = 5)]
    SendAsLeaf(SendAsLeaf),
    /// Roster with identity entries (`Possession`).
    #[tls_codec(discriminant = 6)]
    InspectMembership(GroupAccess),
    /// See [`WelcomeInformationRequest`].
    #[tls_codec(discriminant = 7)]
    WelcomeInformation(WelcomeInformationRequest),
    /// GroupInfo, tree and pending proposals (`Possession`).
    #[tls_codec(discriminant = 8)]
    ExternalCommitInformation(GroupAccess),
    /// See [`RekeyRequest`].
    #[tls_codec(discriminant = 9)]
    Rekey(RekeyRequest),
    /// See [`KeyRequest`].
    #[tls_codec(discriminant = 10)]
    KeyRequest(KeyRequest),
    /// See [`AnswerKeyRequest`].
    #[tls_codec(discriminant = 11)]
    AnswerKeyRequest(AnswerKeyRequest),
    /// See [`Reinitialise`].
    #[tls_codec(discriminant = 12)]
    Reinitialise(Reinitialise),
    /// "These keys open the state for me too" (`Leaf`; page 2.4, rule 2).
    #[tls_codec(discriminant = 13)]
    ConfirmKeys(GroupAccess),
    /// See [`ReportCommit`].
    #[tls_codec(discriminant = 14)]
    ReportCommit(ReportCommit),
    /// See [`OpenInbox`].
    #[tls_codec(discriminant = 32)]
    OpenInbox(OpenInbox),
    /// See [`ReadInbox`].
    #[tls_codec(discriminant = 33)]
    ReadInbox(ReadInbox),
    /// See [`ReadStreams`].
    #[tls_codec(discriminant = 34)]
    ReadStreams(ReadStreams),
    /// See [`Deposit`].
    #[tls_codec(discriminant = 35)]
    Deposit(Deposit),
    /// See [`PublishKeyPackages`].
    #[tls_codec(discriminant = 48)]
    PublishKeyPackages(PublishKeyPackages),
    /// See [`DropKeyPackages`].
    #[tls_codec(discriminant = 49)]
    DropKeyPackages(DropKeyPackages),
    /// See [`FetchKeyPackages`].
    #[tls_codec(discriminant = 50)]
    FetchKeyPackages(FetchKeyPackages),
    /// See [`InspectKeyPackages`].
    #[tls_codec(discriminant = 51)]
    InspectKeyPackages(InspectKeyPackages),
}
