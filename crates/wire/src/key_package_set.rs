//! Owns key-package sets at the provider (design page 5): a small opaque pool per contact.
//!
//! Invariant: a pool is named by a token that its owner and one contact know; nothing in a request
//! says whose pool it is, and no entry can be opened by the provider.

use crate::bytes::{Bytes, List};
use crate::ids::{Nonce, Salt};
use crate::limits::{
    MAX_POOL_SETS, MAX_SET_DEVICES, MAX_SET_ENTRIES_PER_REQUEST, SET_ENTRY_CIPHERTEXT_BYTES,
};
use crate::secret::Secret32;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// What the entries of one set have in common: `Expand(user_secret, "set tag", slot, 16)`.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, TlsSerialize, TlsSize, TlsDeserializeBytes,
)]
pub struct SetTag(pub [u8; 16]);

impl std::fmt::Debug for SetTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetTag(..)")
    }
}

/// One device's part of a set, as the provider sees it.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct SetEntry {
    /// The set.
    pub set_tag: SetTag,
    /// Names the device within the set, so that it can replace its own entry and no other:
    /// `Expand(client_secret, "set device", set_tag, 16)`.
    pub device_tag: DeviceTag,
    /// How many devices the user has, as this device knows. The highest number among a set's
    /// entries says when the set is complete.
    pub devices: u8,
    /// The MLS cipher suite.
    pub cipher_suite: u16,
    /// Its last day, in days since 1970; equal within a set.
    pub last_day: u32,
    /// Random.
    pub salt: Salt,
    /// AES-256-GCM of the padded [`crate::KeyPackageEntry`] under
    /// `Expand(contact_key_c, "set", SetEntryContext, 44)`.
    pub ciphertext: Bytes<SET_ENTRY_CIPHERTEXT_BYTES, SET_ENTRY_CIPHERTEXT_BYTES>,
}

/// Context of a set entry's key derivation.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct SetEntryContext {
    /// See [`SetEntry`].
    pub salt: Salt,
    /// See [`SetEntry`].
    pub set_tag: SetTag,
    /// See [`SetEntry`].
    pub device_tag: DeviceTag,
    /// See [`SetEntry`].
    pub cipher_suite: u16,
    /// See [`SetEntry`].
    pub last_day: u32,
}

/// Puts entries into a pool. The first one makes the pool and fixes its owner.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct PublishKeyPackages {
    /// `contact_token_c`: names the pool and opens its record.
    pub contact_token: Secret32,
    /// `Expand(user_secret, "pool owner", {contact, generation}, 32)`: the contact lacks it.
    pub owner_secret: Secret32,
    /// What to put, of one or several sets.
    pub entries: List<SetEntry, MAX_SET_ENTRIES_PER_REQUEST>,
    /// Sets to drop, after the new entries are in: upload before delete.
    pub drop: List<SetTag, MAX_POOL_SETS>,
}

/// Drops a pool: what it holds can never be fetched again.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct DropKeyPackages {
    /// See [`PublishKeyPackages`].
    pub contact_token: Secret32,
    /// See [`PublishKeyPackages`].
    pub owner_secret: Secret32,
}

/// Takes one complete set out of a pool. The same request again gets the same set for an hour.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct FetchKeyPackages {
    /// See [`PublishKeyPackages`].
    pub contact_token: Secret32,
    /// Random; a repeated request repeats it.
    pub nonce: Nonce,
}

/// Looks at a pool as its owner: what is complete, what lacks this device's entry, what runs out.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct InspectKeyPackages {
    /// See [`PublishKeyPackages`].
    pub contact_token: Secret32,
    /// See [`PublishKeyPackages`].
    pub owner_secret: Secret32,
}

/// A set that was taken: all entries of one tag.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct FetchedSet {
    /// The entries.
    pub entries: List<SetEntry, MAX_SET_DEVICES>,
    /// Complete sets that are left: when it is 0 the owner will be asked in another way.
    pub left: u8,
}

/// One set of a pool, for its owner.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct SetState {
    /// The set.
    pub set_tag: SetTag,
    /// The devices whose entries are there.
    pub device_tags: List<DeviceTag, MAX_SET_DEVICES>,
    /// How many are needed.
    pub devices: u8,
    /// Its last day.
    pub last_day: u32,
}

/// See [`SetEntry::device_tag`].
#[derive(Clone, Copy, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct DeviceTag(pub [u8; 16]);

impl std::fmt::Debug for DeviceTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceTag(..)")
    }
}

/// A pool, for its owner. One that does not exist is an empty one.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct PoolState {
    /// Sets that can still be fetched or completed.
    pub sets: List<SetState, MAX_POOL_SETS>,
    /// Tags that were served and whose last day has not passed; they cannot come back.
    pub served: List<SetTag, { crate::limits::MAX_SERVED_TAGS }>,
}
