//! Owns Ed25519 signatures with labels (`SignWithLabel` of RFC 9420 section 5.1.2, own prefix).
//!
//! Invariant: what is signed here begins with "Sordino 1.0 " and can never be what MLS signs, so a
//! leaf key serves both. Verification is strict: no small-order keys, canonical scalars.

use crate::CryptoError;
use crate::labels::labelled;
use ed25519_dalek::Signer as _;
use openmls_traits::signatures::SignerError;
use openmls_traits::types::SignatureScheme;
use sordino_wire::{SignatureBytes, SignatureKey, encode};
use tls_codec::Serialize;
use zeroize::Zeroizing;

/// An Ed25519 signing key.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of a seed (RFC 8032's private key).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The public key.
    pub fn public(&self) -> SignatureKey {
        // 32 bytes are within the bounds of the type.
        SignatureKey::new(self.0.verifying_key().to_bytes()).unwrap_or_default()
    }

    /// The seed, for a vault.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// Signs `content` under `label`.
    pub fn sign(&self, label: &str, content: &[u8]) -> Result<SignatureBytes, CryptoError> {
        let signed = encode(&labelled(label, content))?;
        Ok(SignatureBytes::new(self.0.sign(&signed).to_bytes())?)
    }

    /// Signs the TLS encoding of `content` under `label`.
    pub fn sign_struct<T: Serialize>(
        &self,
        label: &str,
        content: &T,
    ) -> Result<SignatureBytes, CryptoError> {
        self.sign(label, &encode(content)?)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// A leaf key signs for MLS too, which puts its own labels in front.
impl openmls_traits::signatures::Signer for SigningKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Verifies a signature over `content` under `label`.
pub fn verify(
    key: &SignatureKey,
    label: &str,
    content: &[u8],
    signature: &SignatureBytes,
) -> Result<(), CryptoError> {
    let refused = |_| CryptoError::Signature;
    let key: &[u8; 32] = key.as_slice().try_into().map_err(refused)?;
    let signature: &[u8; 64] = signature.as_slice().try_into().map_err(refused)?;
    let signed = encode(&labelled(label, content))?;
    ed25519_dalek::VerifyingKey::from_bytes(key)
        .and_then(|key| {
            key.verify_strict(&signed, &ed25519_dalek::Signature::from_bytes(signature))
        })
        .map_err(|_| CryptoError::Signature)
}

/// Verifies a signature over the TLS encoding of `content` under `label`.
pub fn verify_struct<T: Serialize>(
    key: &SignatureKey,
    label: &str,
    content: &T,
    signature: &SignatureBytes,
) -> Result<(), CryptoError> {
    verify(key, label, &encode(content)?, signature)
}
