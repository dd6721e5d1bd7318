//! The devices of one user (design page 5): what they share, how one is added, how one is lost.
//!
//! Invariant: what devices tell each other goes through a group of their own, which looks to the hub
//! like any other; a new device is let in by a person who copies its code, and by nothing else.
//! Never seen by the hub: that two leaves in two groups are of one device.

pub(crate) mod code;
pub(crate) mod facts;
pub(crate) mod link;
pub(crate) mod linking;
pub(crate) mod moving;
pub(crate) mod removal;
pub(crate) mod shared;
pub(crate) mod siblings;

use sordino_wire::{Domain, GroupId, InboxAddress, Secret32};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};

use crate::handover::{LeafGrant, LeafRequest};
use crate::records::UserSecretRecord;
use crate::wallet::purse::Part;
use facts::VersionedFact;
use sordino_crypto::{LINK_SECRET_BYTES, Slot};
use sordino_wire::{ClientCredential, IdentifierUri, KeyPackageEntry, SignatureKey};

/// Which group is that of this user's devices.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct DevicesGroup {
    pub(crate) hub_domain: Domain,
    pub(crate) group_id: GroupId,
    pub(crate) slot: Slot,
}

/// What devices say to each other inside their group.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub(crate) enum DevicesMessage {
    /// What the sender knows and others may not.
    #[tls_codec(discriminant = 1)]
    Facts(Vec<VersionedFact>),
    /// The sender wants to come into these groups.
    #[tls_codec(discriminant = 2)]
    LeafRequests(Vec<LeafRequest>),
    /// A leaf in one of them is granted.
    #[tls_codec(discriminant = 3)]
    LeafGrant {
        /// To whom: the key in the request.
        leaf_key: SignatureKey,
        /// What it takes.
        grant: LeafGrant,
    },
}

/// What a new device gets, sealed to the key in its code.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct LinkOffer {
    pub(crate) user: IdentifierUri,
    pub(crate) user_secrets: Vec<UserSecretRecord>,
    pub(crate) account_key_seed: Secret32,
    pub(crate) connection_key: Secret32,
    pub(crate) group: DevicesGroup,
    /// Where the answer goes.
    pub(crate) reply: InboxAddress,
    pub(crate) reply_secret: [u8; LINK_SECRET_BYTES],
    /// Tokens that are its own from now on.
    pub(crate) tokens: Vec<Part>,
}

/// What it answers: the device that it is, ready to be added to the devices' group.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct LinkAnswer {
    pub(crate) credential: ClientCredential,
    pub(crate) entry: KeyPackageEntry,
}

/// Messages that were heard in the devices' group and not acted upon yet: in the order of the
/// stream, kept in the transaction that moved its cursor.
#[derive(Debug, Default, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<VLBytes>,
}
