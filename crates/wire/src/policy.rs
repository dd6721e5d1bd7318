//! Owns the policy summary that a group carries in its GroupContext.
//!
//! Invariant: one canonical encoding. The full room policy (draft-ietf-mimi-room-policy) takes
//! this component's place later; `format` tells them apart.

use crate::bytes::List;
use crate::ids::{Digest, IdentifierUri};
use crate::limits::MAX_ADMINS;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The component of the app data dictionary that holds a [`PolicySummary`].
pub const POLICY_COMPONENT: u16 = 0x9001;
/// The only format so far.
pub const POLICY_FORMAT: u8 = 1;

/// Who may do a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum Permission {
    /// Nobody.
    Nobody = 0,
    /// Users listed as administrators.
    Admins = 1,
    /// Every member.
    Members = 2,
}

/// How somebody who is not a member may come in by an external commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum JoinRule {
    /// Not at all (own new devices excepted).
    Closed = 0,
    /// With the code of an invite link.
    Invite = 1,
    /// Whoever holds the link's keys.
    Open = 2,
    /// A connection group: while it has one user, one other may join; two users at most.
    Connection = 3,
}

/// Whose identity the members want to see. Enforced by members; the hub counts entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum IdentityRule {
    /// Everybody's.
    All = 0,
    /// Nobody's: the room has no identity entries.
    None = 1,
}

/// How messages are authorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum SenderRule {
    /// By membership of the epoch; the hub does not learn which member.
    Anonymous = 0,
    /// By a leaf whose user may send.
    Leaf = 1,
}

/// Who may do what in a group.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct PolicySummary {
    /// [`POLICY_FORMAT`].
    pub format: u8,
    /// Who may add users.
    pub add: Permission,
    /// Who may remove users.
    pub remove: Permission,
    /// Who may change this summary.
    pub change_policy: Permission,
    /// Who may send, where senders sign.
    pub send: Permission,
    /// Who may delete or re-initialise the group.
    pub destroy: Permission,
    /// How outsiders come in.
    pub join: JoinRule,
    /// Whether senders are anonymous.
    pub senders: SenderRule,
    /// Whose identity is shown.
    pub identities: IdentityRule,
    /// Epochs behind the current one in which a send is still accepted, within a generation.
    pub epoch_tolerance: u8,
    /// The most leaves.
    pub max_members: u32,
    /// SHA-256 of the invite code, where `join` is [`JoinRule::Invite`].
    pub invite_code_hash: Option<Digest>,
    /// User pseudonyms of the administrators.
    pub admins: List<IdentifierUri, MAX_ADMINS>,
}
