//! Owns what can go wrong for an application, and what it can do about it.
//!
//! Invariant: no text names a group, a user, a stream or a key.

use sordino_crypto::CryptoError;
use sordino_wire::{AccountReject, Reject};

/// Why an operation did not happen, or is not known to have happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The hub did not answer. What was asked stays stored and is repeated by the next sync.
    #[error("the hub did not answer; the request is repeated until it does")]
    Unreachable,
    /// The group is over its budget of messages just now. The message stays stored, and goes out when
    /// there is room.
    #[error(
        "the group is busy; the message is kept, and goes out in {retry_after_s} seconds or so"
    )]
    Queued {
        /// When there is room, in seconds.
        retry_after_s: u32,
    },
    /// The hub answered with something that is not an answer.
    #[error("the hub's answer is not understood")]
    BadAnswer,
    /// The hub refused; nothing changed.
    #[error("the hub refused: {0}")]
    Refused(Reject),
    /// A rule that this client checks itself refuses it; nothing was sent.
    #[error("not allowed: {0}")]
    NotAllowed(Reject),
    /// Every attempt lost its race against other commits.
    #[error("other commits came first every time")]
    Contended,
    /// This device does not have such a group.
    #[error("this device is not in such a group")]
    NotInGroup,
    /// The group cannot be used any more.
    #[error("the group is not active: {0}")]
    Inactive(GroupStatus),
    /// `group_secret_g` is not known yet: a member must answer the key request first.
    #[error("the group's secret has not arrived yet")]
    SecretUnknown,
    /// The invite code is not known to this device.
    #[error("this device does not know an invite code of the group")]
    NoInvite,
    /// An identity link, key object or credential handed over does not verify.
    #[error("what was handed over does not verify")]
    BadHandover,
    /// No such user or device in the group.
    #[error("there is no such member")]
    NoSuchMember,
    /// The group is hosted by a hub this client does not talk to.
    #[error("the group is at another hub")]
    OtherHub,
    /// A slot was used before; it must never serve twice.
    #[error("this slot was used before")]
    SlotUsed,
    /// The account world refused; nothing changed.
    #[error("{}", what_to_do(.0))]
    AccountRefused(AccountReject),
    /// The person is in the group.
    #[error("this person is in the group already")]
    AlreadyMember,
    /// There is no connection with this person, or it is not complete.
    #[error(
        "you are not connected with this person: send a connection request, or wait for the answer"
    )]
    NotConnected,
    /// There is such a contact, or such a request, already.
    #[error("you are connected with this person already")]
    AlreadyConnected,
    /// This user is blocked here.
    #[error("you have blocked this person; unblock first")]
    Blocked,
    /// One cannot connect with oneself.
    #[error("this is your own handle")]
    Oneself,
    /// The connection request is not there, or not any more.
    #[error("there is no such request any more")]
    NoSuchRequest,
    /// The group of a connection request is not that of the person who asks, or holds others.
    #[error("the identity in the group is not that of the person who asks; nothing was accepted")]
    IdentityMismatch,
    /// No key-package set of this person is left, and the group has no invites.
    #[error(
        "this person cannot be added just now: no key package is left, and this group admits nobody by invite; try again once they were online"
    )]
    PoolEmpty,
    /// The person's key packages are not usable with this client, or not really theirs.
    #[error("this person's key packages are not usable here; ask them to update their client")]
    UnusableKeyPackages,
    /// The device's account key is elsewhere.
    #[error("only the device that holds the account key can do this")]
    NoAccountKey,
    /// The code of a new device is mistyped or cut short.
    #[error("this is not a link code; copy the whole of it")]
    BadLinkCode,
    /// The code was good once.
    #[error("the link code is too old, or was used; show a new one on the new device")]
    LinkCodeExpired,
    /// The new device did not answer.
    #[error("the new device did not answer; is it still waiting?")]
    LinkUnanswered,
    /// The account has no such device.
    #[error("the account has no such device")]
    NoSuchDevice,
    /// Another device is being removed.
    #[error("another device is being removed; that comes first")]
    RemovalUnderWay,
    /// This device has no tokens left that are good now.
    #[error(
        "no tokens are left for this until the next epoch, in {} hours", .again_s.div_ceil(3_600)
    )]
    NoTokens {
        /// When there are new ones, in seconds from now.
        again_s: u64,
    },
    /// The hub tells different clients different things about its token keys, or exchanges them unannounced:
    /// it could tell users apart by them. Nothing was drawn.
    #[error("the hub's token keys cannot be trusted: {0}; nothing was drawn, tell the provider")]
    TokenKeys(sordino_tokens::Inconsistent),
    /// What was issued are no tokens of the announced key.
    #[error("the hub issued tokens that are none")]
    BadTokens,
    /// The vault cannot be read or written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A cryptographic check failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// A value is outside the bounds of its type.
    #[error("a value is outside its bounds")]
    OutOfBounds,
    /// MLS refused an operation, or its state is unusable.
    #[error("MLS: {0}")]
    Mls(&'static str),
}

/// A refusal of the account world, and what a person can do about it.
fn what_to_do(reject: &AccountReject) -> String {
    let advice = match reject {
        AccountReject::HandleTaken => "choose another one",
        AccountReject::InvitationInvalid => "ask the provider for a new invitation",
        AccountReject::ProofOfWorkInvalid => "register again",
        AccountReject::OtherAdmission => {
            "it wants an invitation where work was offered, or the other way round, or registers nobody"
        }
        AccountReject::BadAuthentication => {
            "this device may have been removed, or the account deleted"
        }
        AccountReject::LimitReached { .. } => "remove a device first",
        AccountReject::UnsupportedVersion { .. } => "update this client",
        _ => return reject.to_string(),
    };
    format!("{reject}: {advice}")
}

/// What an application can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing was lost; call again after that many seconds.
    RetryAfter(u32),
    /// The background sync brings it to an end.
    Wait,
    /// The call was wrong; another one may succeed.
    Change,
    /// The group or the vault is not usable any more.
    GiveUp,
}

impl ClientError {
    /// What to do.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Unreachable
            | Self::Queued { .. }
            | Self::SecretUnknown
            | Self::Inactive(GroupStatus::Recovering | GroupStatus::Joining) => Advice::Wait,
            Self::Contended => Advice::RetryAfter(1),
            Self::Refused(
                Reject::RateLimited { retry_after_s } | Reject::Unavailable { retry_after_s },
            ) => Advice::RetryAfter(*retry_after_s),
            Self::Refused(Reject::AwaitingConfirmation) => Advice::RetryAfter(5),
            Self::AccountRefused(
                AccountReject::RateLimited { retry_after_s }
                | AccountReject::Unavailable { retry_after_s },
            ) => Advice::RetryAfter(*retry_after_s),
            Self::NoTokens { again_s } => {
                Advice::RetryAfter(u32::try_from(*again_s).unwrap_or(u32::MAX))
            }
            Self::Inactive(_) | Self::Vault(_) => Advice::GiveUp,
            _ => Advice::Change,
        }
    }
}

/// Why the vault failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The file cannot be opened, read or written.
    #[error("the vault's file cannot be used")]
    File,
    /// A record does not open: another key, or a changed file.
    #[error("the vault does not open with this key")]
    Sealed,
    /// A record opens and is not of the expected form.
    #[error("a record of the vault is not understood")]
    Format,
    /// There is a device in the vault already, or none.
    #[error("the vault holds another device, or none")]
    Device,
}

/// Whether a group can be used.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    tls_codec::TlsSerialize,
    tls_codec::TlsSize,
    tls_codec::TlsDeserializeBytes,
)]
#[repr(u8)]
pub enum GroupStatus {
    /// A member.
    Active = 1,
    /// An external commit is on its way.
    Joining = 2,
    /// Coming back after a gap, broken state or a bad commit.
    Recovering = 3,
    /// Removed by somebody, or left.
    Removed = 4,
    /// Deleted.
    Deleted = 5,
    /// Frozen in favour of a successor.
    Frozen = 6,
    /// The hub delivered something that no honest hub delivers. Nothing more is processed.
    Halted = 7,
}

impl std::fmt::Display for GroupStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Joining => "joining",
            Self::Recovering => "recovering",
            Self::Removed => "removed",
            Self::Deleted => "deleted",
            Self::Frozen => "frozen",
            Self::Halted => "halted",
        })
    }
}

/// The result of this crate.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

impl From<sordino_wire::OutOfBounds> for ClientError {
    fn from(_: sordino_wire::OutOfBounds) -> Self {
        Self::OutOfBounds
    }
}

impl From<tls_codec::Error> for ClientError {
    fn from(_: tls_codec::Error) -> Self {
        Self::OutOfBounds
    }
}

/// Shortens `map_err` at the border to MLS: its errors name epochs, so only a phrase is kept.
pub(crate) fn mls<E: std::fmt::Debug>(what: &'static str) -> impl FnOnce(E) -> ClientError {
    move |_| ClientError::Mls(what)
}
