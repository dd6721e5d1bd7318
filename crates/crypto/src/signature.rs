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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::flips;
    use openmls_traits::signatures::Signer as _;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[5; 32])
    }

    #[test]
    fn a_signature_serves_one_key_label_and_content() {
        let signature = key().sign("Label", b"content").unwrap();
        assert_eq!(
            verify(&key().public(), "Label", b"content", &signature),
            Ok(())
        );
        let refused = Err(CryptoError::Signature);
        let other = SigningKey::from_seed(&[6; 32]).public();
        assert_eq!(verify(&other, "Label", b"content", &signature), refused);
        assert_eq!(
            verify(&key().public(), "Labe", b"content", &signature),
            refused
        );
        assert_eq!(
            verify(&key().public(), "Labelc", b"ontent", &signature),
            refused
        );
        assert_eq!(
            verify(&key().public(), "Label", b"content ", &signature),
            refused
        );
        for flipped in flips(signature.as_slice()) {
            let flipped = SignatureBytes::new(flipped).unwrap();
            assert_eq!(
                verify(&key().public(), "Label", b"content", &flipped),
                refused
            );
        }
    }

    #[test]
    fn what_is_not_a_key_or_a_signature_is_refused() {
        let signature = key().sign("Label", b"content").unwrap();
        let refused = Err(CryptoError::Signature);
        for length in [1, 31, 33, 64] {
            let odd = SignatureKey::new(vec![7; length]).unwrap();
            assert_eq!(verify(&odd, "Label", b"content", &signature), refused);
        }
        for length in [1, 63, 65] {
            let odd = SignatureBytes::new(vec![7; length]).unwrap();
            assert_eq!(verify(&key().public(), "Label", b"content", &odd), refused);
        }
    }

    #[test]
    fn small_order_keys_are_refused() {
        // The neutral element as key, with R neutral and s zero, satisfies the lax equation.
        let mut neutral = [0u8; 32];
        neutral[0] = 1;
        let mut signature = [0u8; 64];
        signature[0] = 1;
        let key = SignatureKey::new(neutral).unwrap();
        let signature = SignatureBytes::new(signature).unwrap();
        let verified = verify(&key, "Label", b"content", &signature);
        assert_eq!(verified, Err(CryptoError::Signature));
    }

    #[test]
    fn mls_signatures_carry_no_label_of_ours() {
        let payload = b"payload";
        let raw = openmls_traits::signatures::Signer::sign(&key(), payload).unwrap();
        assert_eq!(key().signature_scheme(), SignatureScheme::ED25519);
        let key_bytes: [u8; 32] = key().public().as_slice().try_into().unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&raw).unwrap();
        let public = ed25519_dalek::VerifyingKey::from_bytes(&key_bytes).unwrap();
        assert!(public.verify_strict(payload, &signature).is_ok());
    }

    #[test]
    fn a_seed_gives_its_key_again() {
        assert_eq!(
            SigningKey::from_seed(&key().seed()).public(),
            key().public()
        );
    }
}
