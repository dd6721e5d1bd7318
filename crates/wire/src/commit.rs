//! Owns what travels with a commit: authenticated data, key check, key objects, Welcomes.
//!
//! Invariant: everything a member must believe is signed by a leaf or checked against MLS.

use crate::bytes::{Bytes, List};
use crate::credential::{IdentityEntry, PreviousWrapper};
use crate::ids::{
    Digest, Domain, GroupId, HpkeKey, IdentifierUri, InboxId, SignatureBytes, SignatureKey,
};
use crate::limits::{
    MAX_ADDS, MAX_GROUP_INFO_BYTES, MAX_HANDSHAKE_BYTES, MAX_KEY_OBJECT_BYTES, MAX_LEAF_PROOFS,
    MAX_WELCOME_BYTES,
};
use crate::operation::GroupAccess;
use crate::secret::Secret32;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// A serialised handshake MLSMessage.
pub type HandshakeBytes = Bytes<1, MAX_HANDSHAKE_BYTES>;
/// A key object sealed by HPKE: `kem_output<V> || ciphertext<V>` as [`HpkeCiphertext`].
pub type SealedKeyObject = Bytes<1, MAX_KEY_OBJECT_BYTES>;
/// The format of [`CommitAad`].
pub const COMMIT_AAD_FORMAT: u8 = 1;

/// What a client wants with a commit, where MLS alone does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum CommitIntent {
    /// Apply it.
    Apply = 0,
    /// It removes everybody else; drop the group after it.
    Delete = 1,
}

/// `PartialGroupInfo` of draft-mahy-mls-ratchet-tree-options: the hub rebuilds the rest.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct PartialGroupInfo {
    /// The serialised GroupInfo extensions: external_pub alone.
    pub extensions: Bytes<1, MAX_GROUP_INFO_BYTES>,
    /// The GroupInfo's signature by the committer's new leaf.
    pub signature: SignatureBytes,
}

/// Keys of the epoch that the commit starts.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct NextKeys {
    /// `sender_key_{e+1}`.
    pub sender_key: Secret32,
    /// Present where the generation moves.
    pub generation: Option<NextGeneration>,
}

/// Keys of a generation that a commit starts.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct NextGeneration {
    /// `ear_key_{g+1}`.
    pub ear_key: Secret32,
    /// `ilwk_g` under `ilwk_{g+1}`; absent where the committer does not know `ilwk_g`.
    pub wrapper: Option<PreviousWrapper>,
}

/// A committer's statement about the keys it gave the hub (design page 2.4, rule 1).
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct KeyCheck {
    /// The epoch that the commit starts.
    pub epoch: u64,
    /// SHA-256 of the commit's MLSMessage.
    pub commit_hash: Digest,
    /// SHA-256 of [`KeyCheckContent`].
    pub keys_hash: Digest,
    /// By the committer's new leaf over the fields above, label "KeyCheck".
    pub signature: SignatureBytes,
}

/// What the signature of a [`KeyCheck`] covers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct KeyCheckTbs {
    /// The group.
    pub group_id: GroupId,
    /// See [`KeyCheck`].
    pub epoch: u64,
    /// See [`KeyCheck`].
    pub commit_hash: Digest,
    /// See [`KeyCheck`].
    pub keys_hash: Digest,
}

/// What `keys_hash` is the hash of. `ear_key` is that of the generation in force after the commit.
#[derive(Debug, TlsSerialize, TlsSize)]
pub struct KeyCheckContent {
    /// Always "key check".
    pub label: Bytes<9, 9>,
    /// The group.
    pub group_id: GroupId,
    /// The epoch that the commit starts.
    pub epoch: u64,
    /// `ear_key`.
    pub ear_key: Secret32,
    /// `sender_key`.
    pub sender_key: Secret32,
}

/// What a commit carries as authenticated data, seen by hub and members.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct CommitAad {
    /// [`COMMIT_AAD_FORMAT`].
    pub format: u8,
    /// The generation in force before the commit.
    pub generation: u64,
    /// Whether the commit starts a new generation.
    pub generation_step: GenerationStep,
    /// One per leaf that joins a user already present, in the order of the leaves.
    pub proofs: List<LeafProof, MAX_LEAF_PROOFS>,
    /// The code of an invite link.
    pub invite_code: Option<Digest>,
    /// The id of an accepted connection request.
    pub request_id: Option<Digest>,
}

/// Whether a commit starts a new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum GenerationStep {
    /// It does not.
    Stays = 0,
    /// It does.
    Moves = 1,
}

/// Which way a leaf joins a user already present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum LeafOperation {
    /// By an Add of its own user.
    AddOwnClient = 1,
    /// By external commit of a new device.
    ExternalJoin = 2,
    /// By external commit in place of its former leaf.
    Resync = 3,
}

/// Both signatures for a leaf that joins a user already present (design page 2.2).
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct LeafProof {
    /// By the user's authentication key over [`LeafProofTbs`], label "AddedLeaf".
    pub user_signature: SignatureBytes,
    /// A current leaf of that user (a resync: the leaf that is replaced).
    pub sibling_leaf: u32,
    /// By that leaf over [`LeafProofTbs`], label "AddedLeaf".
    pub sibling_signature: SignatureBytes,
}

/// What both signatures of a [`LeafProof`] cover.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct LeafProofTbs {
    /// The hub.
    pub hub_domain: Domain,
    /// The group.
    pub group_id: GroupId,
    /// The generation in force: a lost race needs no second signature, a removal voids it.
    pub generation: u64,
    /// Which way it joins.
    pub operation: LeafOperation,
    /// The new leaf's signature key.
    pub leaf_key: SignatureKey,
}

/// Where something addressed to one client goes.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct InboxAddress {
    /// The provider that keeps the inbox.
    pub domain: Domain,
    /// The inbox.
    pub inbox_id: InboxId,
    /// Deliveries are sealed to this key.
    pub hpke_key: HpkeKey,
}

/// A Welcome and what each joiner gets beside it.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct WelcomeBundle {
    /// The serialised MLSMessage.
    pub welcome: Bytes<1, MAX_WELCOME_BYTES>,
    /// One per Add, in the order of the Adds.
    pub joiners: List<JoinerDelivery, MAX_ADDS>,
}

/// What one joiner gets.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct JoinerDelivery {
    /// Where.
    pub inbox: InboxAddress,
    /// Sealed to the KeyPackage's init key.
    pub key_object: SealedKeyObject,
}

/// A commit with all that belongs to it: one request for every row of page 3.2 that commits.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct CommitRequest {
    /// The group, by its current keys.
    pub access: GroupAccess,
    /// Apply or delete.
    pub intent: CommitIntent,
    /// The commit as a PublicMessage.
    pub commit: HandshakeBytes,
    /// What the hub cannot rebuild.
    pub group_info: PartialGroupInfo,
    /// Keys of the new epoch.
    pub next: NextKeys,
    /// The committer's statement about them.
    pub key_check: KeyCheck,
    /// One per added leaf, or one where the committer's own credential is new.
    pub identity_entries: List<IdentityEntry, MAX_ADDS>,
    /// Present where it adds.
    pub welcome: Option<WelcomeBundle>,
}

/// `{g, group_secret_g}` on its way to somebody who comes in (design page 2.4).
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct GroupKeyObject {
    /// The hub of the group.
    pub hub_domain: Domain,
    /// The group.
    pub group_id: GroupId,
    /// The epoch in which it is valid.
    pub epoch: u64,
    /// The generation.
    pub generation: u64,
    /// Its secret.
    pub group_secret: Secret32,
    /// The giver's leaf.
    pub giver_leaf_key: SignatureKey,
    /// Who gives.
    pub giver_credential: crate::credential::ClientCredential,
    /// By the giver's client credential over [`GroupKeyObjectTbs`], label "GroupKeyObject".
    pub signature: SignatureBytes,
}

/// What the signature of a [`GroupKeyObject`] covers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct GroupKeyObjectTbs {
    /// The hub of the group.
    pub hub_domain: Domain,
    /// The group.
    pub group_id: GroupId,
    /// The epoch.
    pub epoch: u64,
    /// SHA-256 of the Welcome it comes with; of nothing where there is none.
    pub welcome_hash: Digest,
    /// SHA-256 of the HPKE key it is sealed to.
    pub recipient_hash: Digest,
    /// The generation.
    pub generation: u64,
    /// SHA-256 of the secret.
    pub secret_hash: Digest,
    /// The giver's leaf.
    pub giver_leaf_key: SignatureKey,
}

/// `HPKECiphertext` of RFC 9420 section 7.6.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct HpkeCiphertext {
    /// The encapsulated key.
    pub kem_output: Bytes<1, 2_048>,
    /// The ciphertext.
    pub ciphertext: Bytes<1, { crate::limits::MAX_BODY_BYTES }>,
}

/// What an invite link holds (design page 2.4): opens the public state, not identities.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct InviteLink {
    /// The hub.
    pub hub_domain: Domain,
    /// The group.
    pub group_id: GroupId,
    /// The generation.
    pub generation: u64,
    /// Its key.
    pub ear_key: Secret32,
    /// The code; the policy holds its hash. Absent for open rooms.
    pub code: Option<Digest>,
}

/// One device's part of a key-package set, handed over between users.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct KeyPackageEntry {
    /// The KeyPackage as an MLSMessage.
    pub key_package: Bytes<1, 16_384>,
    /// The identity link of its credential.
    pub link: crate::credential::IdentityLink,
    /// Where Welcomes for it go.
    pub inbox: InboxAddress,
}

/// A user's devices as one set: one KeyPackage each, all of one user pseudonym, for one group.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct KeyPackageSet {
    /// The user pseudonym of all of them.
    pub user_pseudonym: IdentifierUri,
    /// One per device.
    pub entries: List<KeyPackageEntry, 64>,
}
