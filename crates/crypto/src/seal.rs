//! Owns sealing of records at rest (design page 2.5), the form that both layers have:
//! `salt[16] || header || commitment[32] || AES-256-GCM(padded value)`.
//!
//! Invariant: each seal has a key of its own, since the salt depends on fresh randomness *and* on
//! the plaintext (a machine that is cloned or rolled back does not repeat a key for two values).
//! The commitment is compared first, so a ciphertext opens under one key. A record opens at its
//! own address alone.

use crate::CryptoError;
use crate::aead::OneTimeKey;
use crate::generation::{HeadKey, PendingKey, PreviousKey, RosterKey, TreeKey};
use crate::labels::{expand, extract, hmac_bytes, sha256, truncate};
use crate::secret::secret;
use rand_core::RngCore;
use sordino_wire::{Digest, encode};
use subtle::ConstantTimeEq as _;
use tls_codec::{TlsSerialize, TlsSize};
use zeroize::Zeroizing;

/// The format of sealed records. It is authenticated, not stored.
pub const RECORD_FORMAT: u16 = 1;
pub(crate) const SALT_BYTES: usize = 16;
pub(crate) const COMMITMENT_BYTES: usize = 32;

/// What kind of record: the first part of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, TlsSerialize, TlsSize)]
#[repr(u8)]
pub enum Space {
    /// The head of a group, or its tombstone.
    Head = 1,
    /// A snapshot of a public group.
    Tree = 2,
    /// A commit since the snapshot.
    Delta = 3,
    /// Identity entries.
    Roster = 4,
    /// Pending proposals.
    Pending = 5,
    /// A snapshot kept for a joiner.
    Snapshot = 6,
    /// Records kept for a rekey.
    Previous = 7,
    /// A guard row.
    Guard = 8,
    /// The mark of a group id that was used.
    Marker = 9,
    /// Key-package sets.
    KeyPackage = 10,
    /// Remembered outcomes.
    Replay = 11,
    /// The log of a stream.
    StreamLog = 12,
    /// The log of an inbox.
    InboxLog = 13,
    /// An inbox.
    Inbox = 14,
    /// What the server keeps for itself.
    Meta = 15,
    /// An account, or what stays of one.
    Account = 16,
    /// Which connection requests wait at a handle.
    Waiting = 17,
    /// The log of connection requests to a handle.
    RequestLog = 18,
    /// The mark of an invitation that was used.
    Invitation = 19,
}

impl Space {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Head,
        Self::Tree,
        Self::Delta,
        Self::Roster,
        Self::Pending,
        Self::Snapshot,
        Self::Previous,
        Self::Guard,
        Self::Marker,
        Self::KeyPackage,
        Self::Replay,
        Self::StreamLog,
        Self::InboxLog,
        Self::Inbox,
        Self::Meta,
        Self::Account,
        Self::Waiting,
        Self::RequestLog,
        Self::Invitation,
    ];
}

/// Where a record is: authenticated together with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The kind of record.
    pub space: Space,
    /// Its blinded key.
    pub store_key: [u8; 16],
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(..)")
    }
}

/// Context of a record's key, and its additional authenticated data.
#[derive(TlsSerialize, TlsSize)]
struct RecordContext {
    space: Space,
    store_key: [u8; 16],
    format: u16,
}

/// What a salt is the MAC of.
#[derive(TlsSerialize, TlsSize)]
struct SaltContext {
    random: [u8; 32],
    plaintext_hash: Digest,
}

secret! {
    /// The key of one layer of one kind of record.
    LayerKey;
}

macro_rules! layer_key_from {
    ($($name:ident)+) => {$(
        impl From<&$name> for LayerKey {
            fn from(key: &$name) -> Self {
                Self::new(key.secret().duplicate())
            }
        }
    )+};
}
layer_key_from!(HeadKey TreeKey RosterKey PendingKey PreviousKey);

/// Seals one layer: `salt[16] || commitment[32] || ciphertext`.
pub fn seal_layer(
    key: &LayerKey,
    address: &Address,
    plaintext: &[u8],
    rng: &mut dyn RngCore,
) -> Result<Vec<u8>, CryptoError> {
    seal_with_header(key, address, b"", plaintext, rng)
}

/// Opens one layer.
pub fn open_layer(
    key: &LayerKey,
    address: &Address,
    sealed: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    open_with_header::<0>(key, address, sealed)
}

/// A salt that repeats neither for another plaintext nor for other randomness.
pub(crate) fn fresh_salt(
    key: &[u8],
    plaintext: &[u8],
    rng: &mut dyn RngCore,
) -> Result<[u8; SALT_BYTES], CryptoError> {
    let mut random = [0u8; 32];
    rng.fill_bytes(&mut random);
    let context = SaltContext {
        random,
        plaintext_hash: sha256(plaintext),
    };
    truncate(&hmac_bytes(key, &encode(&context)?)?)
}

/// Seals with bytes between salt and commitment that say which key opens it. They need no
/// authentication of their own: other bytes choose another key, which the commitment refuses.
pub(crate) fn seal_with_header(
    key: &LayerKey,
    address: &Address,
    header: &[u8],
    plaintext: &[u8],
    rng: &mut dyn RngCore,
) -> Result<Vec<u8>, CryptoError> {
    let salt = fresh_salt(key.secret().expose(), plaintext, rng)?;
    seal_with_salt(key, address, &salt, header, plaintext)
}

/// Seals under a given salt. One salt serves one plaintext per key.
pub(crate) fn seal_with_salt(
    key: &LayerKey,
    address: &Address,
    salt: &[u8; SALT_BYTES],
    header: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let context = record_context(address)?;
    let (record_key, commitment) = record_key(key, salt, &context)?;
    let ciphertext = record_key.seal(&context, plaintext)?;
    Ok([salt, header, commitment.as_slice(), &ciphertext].concat())
}

/// Opens what has a header of `HEADER` bytes.
pub(crate) fn open_with_header<const HEADER: usize>(
    key: &LayerKey,
    address: &Address,
    sealed: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let (salt, rest) = sealed
        .split_first_chunk::<SALT_BYTES>()
        .ok_or(CryptoError::Length)?;
    let (_, rest) = rest
        .split_first_chunk::<HEADER>()
        .ok_or(CryptoError::Length)?;
    let (stored, ciphertext) = rest
        .split_first_chunk::<COMMITMENT_BYTES>()
        .ok_or(CryptoError::Length)?;
    let context = record_context(address)?;
    let (record_key, commitment) = record_key(key, salt, &context)?;
    if !bool::from(stored.ct_eq(&*commitment)) {
        return Err(CryptoError::Commitment);
    }
    record_key.open(&context, ciphertext)
}

fn record_context(address: &Address) -> Result<Vec<u8>, CryptoError> {
    Ok(encode(&RecordContext {
        space: address.space,
        store_key: address.store_key,
        format: RECORD_FORMAT,
    })?)
}

/// `k || commitment = Expand(Extract(salt, layer key), "record", context, 64)`.
fn record_key(
    key: &LayerKey,
    salt: &[u8; SALT_BYTES],
    context: &[u8],
) -> Result<(OneTimeKey, Zeroizing<[u8; COMMITMENT_BYTES]>), CryptoError> {
    let secret = extract(salt, key.secret().expose());
    let material = expand::<64>(secret.as_slice(), "record", context)?;
    let (key, commitment) = material
        .split_first_chunk::<32>()
        .ok_or(CryptoError::Length)?;
    let commitment = commitment.try_into().map_err(|_| CryptoError::Length)?;
    Ok((
        OneTimeKey::with_zero_nonce(Zeroizing::new(*key)),
        Zeroizing::new(commitment),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{flips, rng, secret};
    use proptest::prelude::*;

    const ADDRESS: Address = Address {
        space: Space::Head,
        store_key: [1; 16],
    };

    fn key() -> LayerKey {
        LayerKey::new(secret(1))
    }

    fn sealed() -> Vec<u8> {
        seal_layer(&key(), &ADDRESS, b"plaintext", &mut rng()).unwrap()
    }

    #[test]
    fn a_layer_adds_64_bytes() {
        assert_eq!(sealed().len(), 9 + 16 + 32 + 16);
        assert_eq!(
            open_layer(&key(), &ADDRESS, &sealed()),
            Ok(b"plaintext".to_vec())
        );
    }

    #[test]
    fn another_key_is_refused_by_the_commitment() {
        let other = LayerKey::new(secret(2));
        let refused = Err(CryptoError::Commitment);
        assert_eq!(open_layer(&other, &ADDRESS, &sealed()), refused);
    }

    #[test]
    fn a_moved_record_is_refused() {
        let refused = Err(CryptoError::Commitment);
        let elsewhere = Address {
            store_key: [2; 16],
            ..ADDRESS
        };
        assert_eq!(open_layer(&key(), &elsewhere, &sealed()), refused);
        let other_space = Address {
            space: Space::Tree,
            ..ADDRESS
        };
        assert_eq!(open_layer(&key(), &other_space, &sealed()), refused);
    }

    #[test]
    fn every_flipped_byte_is_refused() {
        for (index, flipped) in flips(&sealed()).enumerate() {
            let expected = if index < SALT_BYTES + COMMITMENT_BYTES {
                CryptoError::Commitment
            } else {
                CryptoError::Decrypt
            };
            assert_eq!(open_layer(&key(), &ADDRESS, &flipped), Err(expected));
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let sealed = sealed();
        for length in 0..sealed.len() {
            let refused = open_layer(&key(), &ADDRESS, &sealed[..length]).unwrap_err();
            let expected = if length < SALT_BYTES + COMMITMENT_BYTES {
                CryptoError::Length
            } else {
                CryptoError::Decrypt
            };
            assert_eq!(refused, expected);
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert_eq!(
            open_layer(&key(), &ADDRESS, &longer),
            Err(CryptoError::Decrypt)
        );
    }

    #[test]
    fn a_repeated_generator_does_not_repeat_a_salt_for_another_value() {
        let other = seal_layer(&key(), &ADDRESS, b"plaintexu", &mut rng()).unwrap();
        assert_ne!(sealed()[..SALT_BYTES], other[..SALT_BYTES]);
    }

    #[test]
    fn a_salt_is_fresh_for_the_same_value() {
        let mut rng = rng();
        let first = seal_layer(&key(), &ADDRESS, b"plaintext", &mut rng).unwrap();
        let second = seal_layer(&key(), &ADDRESS, b"plaintext", &mut rng).unwrap();
        assert_ne!(first[..SALT_BYTES], second[..SALT_BYTES]);
    }

    #[test]
    fn every_space_has_its_own_context() {
        let contexts: std::collections::HashSet<_> = Space::ALL
            .iter()
            .map(|space| {
                record_context(&Address {
                    space: *space,
                    ..ADDRESS
                })
                .unwrap()
            })
            .collect();
        assert_eq!(contexts.len(), Space::ALL.len());
    }

    #[test]
    fn debug_shows_no_address() {
        assert_eq!(format!("{ADDRESS:?}"), "Address(..)");
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(
            value in prop::collection::vec(any::<u8>(), 0..5_000),
            key in any::<[u8; 32]>(),
            store_key in any::<[u8; 16]>(),
        ) {
            let key = LayerKey::new(sordino_wire::Secret32::new(key));
            let address = Address { space: Space::Roster, store_key };
            let sealed = seal_layer(&key, &address, &value, &mut rng()).unwrap();
            prop_assert_eq!(open_layer(&key, &address, &sealed), Ok(value));
        }

        #[test]
        fn nothing_random_opens(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open_layer(&key(), &ADDRESS, &bytes).is_err());
        }
    }
}
