//! Owns AES-256-GCM under keys that are used once.
//!
//! Invariant: a key and its nonce come out of one derivation whose context holds a fresh salt (or
//! which seals one value ever), so a pair never meets two plaintexts.

use crate::CryptoError;
use crate::labels::expand;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// A key with its nonce, for one value.
pub(crate) struct OneTimeKey {
    key: Zeroizing<[u8; KEY_BYTES]>,
    nonce: [u8; NONCE_BYTES],
}

impl OneTimeKey {
    /// `key || nonce = Expand(secret, label, context, 44)`.
    pub(crate) fn derive(secret: &[u8], label: &str, context: &[u8]) -> Result<Self, CryptoError> {
        let material = expand::<{ KEY_BYTES + NONCE_BYTES }>(secret, label, context)?;
        let (key, nonce) = material.split_at(KEY_BYTES);
        Ok(Self {
            key: Zeroizing::new(key.try_into().map_err(|_| CryptoError::Length)?),
            nonce: nonce.try_into().map_err(|_| CryptoError::Length)?,
        })
    }

    /// A key whose nonce is zero.
    pub(crate) fn with_zero_nonce(key: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self {
            key,
            nonce: [0; NONCE_BYTES],
        }
    }

    /// Ciphertext and tag. Takes the key: it has done its one work.
    pub(crate) fn seal(self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let payload = Payload {
            msg: plaintext,
            aad,
        };
        self.cipher()
            .encrypt(&self.nonce.into(), payload)
            .map_err(|_| CryptoError::Length)
    }

    /// The plaintext.
    pub(crate) fn open(&self, aad: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let payload = Payload {
            msg: ciphertext,
            aad,
        };
        self.cipher()
            .decrypt(&self.nonce.into(), payload)
            .map_err(|_| CryptoError::Decrypt)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&(*self.key).into())
    }
}
