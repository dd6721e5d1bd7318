//! Owns what members say to each other inside an application message (design page 5), so that
//! what clients arrange among themselves looks to the hub like any other message.
//!
//! Invariant: a receiver takes a kind only in the kind of group it belongs in, and only from
//! somebody whose identity it has verified.

use crate::account::AccountKeyChange;
use crate::bytes::Bytes;
use crate::commit::InviteLink;
use crate::limits::MAX_MEMBER_CONTENT_BYTES;
use crate::secret::Secret32;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// What two connected users give each other, once both are inside.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct ContactKeys {
    /// `contact_key_c`: opens the sets that the giver publishes for the receiver.
    pub contact_key: Secret32,
    /// `contact_token_c`: fetches them.
    pub contact_token: Secret32,
}

/// The content of an application message.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u16)]
pub enum MemberContent {
    /// What the application says.
    #[tls_codec(discriminant = 1)]
    Application(Bytes<0, MAX_MEMBER_CONTENT_BYTES>),
    /// See [`ContactKeys`]. In connection groups alone; the newest counts.
    #[tls_codec(discriminant = 2)]
    ContactKeys(ContactKeys),
    /// "Come into this group", where no key-package set was left. In connection groups alone.
    #[tls_codec(discriminant = 3)]
    Invite(InviteLink),
    /// The sender's user has another account key from now on.
    #[tls_codec(discriminant = 4)]
    AccountKeyChange(AccountKeyChange),
    /// Between the devices of one user, in their own group alone; its form is the client's.
    #[tls_codec(discriminant = 5)]
    Devices(Bytes<1, MAX_MEMBER_CONTENT_BYTES>),
}
