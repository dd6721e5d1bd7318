//! Owns HPKE (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, mode base.
//!
//! Invariant: all randomness is the caller's: 32 bytes, which are a new private key, or which
//! `DeriveKeyPair` turns into a seal's ephemeral one. The system's is never touched.

use crate::CryptoError;
use hpke_rs::{Hpke, HpkePrivateKey as BackendPrivateKey, HpkePublicKey as BackendPublicKey, Mode};
use hpke_rs_crypto::types::{AeadAlgorithm, KdfAlgorithm, KemAlgorithm};
use rand_core::RngCore;
use sordino_wire::{Bytes, HpkeCiphertext, HpkeKey, encode};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

mod backend;

use backend::{Backend, lend_randomness};

/// Bytes of an X25519 key, and of the randomness that makes one.
const KEY_BYTES: usize = 32;

/// An HPKE private key.
pub struct HpkePrivateKey(Zeroizing<[u8; KEY_BYTES]>);

impl HpkePrivateKey {
    /// Takes the 32 bytes of an X25519 private key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CryptoError> {
        let bytes = bytes.try_into().map_err(|_| CryptoError::Length)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The bytes, for a vault or [`hpke_open`].
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The public key.
    pub fn public(&self) -> Result<HpkeKey, CryptoError> {
        use hpke_rs_crypto::HpkeCrypto as _;
        let public = Backend::secret_to_public(KemAlgorithm::DhKem25519, self.0.as_slice())
            .map_err(|_| CryptoError::Hpke)?;
        Ok(HpkeKey::new(public)?)
    }
}

impl PartialEq for HpkePrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for HpkePrivateKey {}

impl std::fmt::Debug for HpkePrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HpkePrivateKey(..)")
    }
}

/// A fresh key pair: 32 random bytes are the private key.
pub fn hpke_generate(rng: &mut dyn RngCore) -> Result<(HpkePrivateKey, HpkeKey), CryptoError> {
    let mut random = Zeroizing::new([0u8; KEY_BYTES]);
    rng.fill_bytes(random.as_mut_slice());
    let private = HpkePrivateKey(random);
    let public = private.public()?;
    Ok((private, public))
}

/// Seals to a public key.
pub fn hpke_seal(
    public_key: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut dyn RngCore,
) -> Result<HpkeCiphertext, CryptoError> {
    let recipient = BackendPublicKey::new(public_key.to_vec());
    let mut random = Zeroizing::new([0u8; KEY_BYTES]);
    rng.fill_bytes(random.as_mut_slice());
    let lent = lend_randomness(random);
    let (kem_output, ciphertext) = suite()
        .seal(&recipient, info, aad, plaintext, None, None, None)
        .map_err(|_| CryptoError::Hpke)?;
    if !lent.was_enough() {
        return Err(CryptoError::Hpke);
    }
    Ok(HpkeCiphertext {
        kem_output: Bytes::new(kem_output)?,
        ciphertext: Bytes::new(ciphertext)?,
    })
}

/// Opens with a private key.
pub fn hpke_open(
    private_key: &[u8],
    info: &[u8],
    aad: &[u8],
    sealed: &HpkeCiphertext,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let private = BackendPrivateKey::new(private_key.to_vec());
    let opened = suite()
        .open(
            sealed.kem_output.as_slice(),
            &private,
            info,
            aad,
            sealed.ciphertext.as_slice(),
            None,
            None,
            None,
        )
        .map_err(|_| CryptoError::Decrypt)?;
    Ok(Zeroizing::new(opened))
}

/// `info` of our own HPKE uses: `{label, context}`.
pub(crate) fn labelled_info(label: &str, context: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(encode(&crate::labels::labelled(label, context))?)
}

fn suite() -> Hpke<Backend> {
    Hpke::new(
        Mode::Base,
        KemAlgorithm::DhKem25519,
        KdfAlgorithm::HkdfSha256,
        AeadAlgorithm::Aes128Gcm,
    )
}
