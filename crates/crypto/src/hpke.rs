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

/// A secret of `length` bytes that the holder of the public key derives from the encapsulated key,
/// which comes first (RFC 9180 section 5.3).
pub fn hpke_send_export(
    public_key: &[u8],
    info: &[u8],
    exporter_context: &[u8],
    length: usize,
    rng: &mut dyn RngCore,
) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), CryptoError> {
    let recipient = BackendPublicKey::new(public_key.to_vec());
    let mut random = Zeroizing::new([0u8; KEY_BYTES]);
    rng.fill_bytes(random.as_mut_slice());
    let lent = lend_randomness(random);
    let (kem_output, context) = suite()
        .setup_sender(&recipient, info, None, None, None)
        .map_err(|_| CryptoError::Hpke)?;
    if !lent.was_enough() {
        return Err(CryptoError::Hpke);
    }
    let secret = context.export(exporter_context, length);
    let secret = secret.map_err(|_| CryptoError::Hpke)?;
    Ok((kem_output, Zeroizing::new(secret)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{flips, rng};
    use rand_core::SeedableRng as _;

    /// Gives out bytes that a test names.
    struct Given(Vec<u8>);

    impl RngCore for Given {
        fn next_u32(&mut self) -> u32 {
            unreachable!()
        }

        fn next_u64(&mut self) -> u64 {
            unreachable!()
        }

        fn fill_bytes(&mut self, destination: &mut [u8]) {
            let rest = self.0.split_off(destination.len());
            destination.copy_from_slice(&std::mem::replace(&mut self.0, rest));
        }

        fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), rand_core::Error> {
            self.fill_bytes(destination);
            Ok(())
        }
    }

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    /// RFC 9180, appendix A.1.1, sequence number 0.
    #[test]
    fn the_rfcs_vector() {
        let info = bytes("4f6465206f6e2061204772656369616e2055726e");
        let aad = bytes("436f756e742d30");
        let plaintext = bytes("4265617574792069732074727574682c20747275746820626561757479");
        let seed = bytes("7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234");
        let secret = bytes("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8");
        let private = HpkePrivateKey::from_bytes(&secret).unwrap();
        let public = private.public().unwrap();
        assert_eq!(
            public.as_slice(),
            bytes("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d")
        );
        let sealed =
            hpke_seal(public.as_slice(), &info, &aad, &plaintext, &mut Given(seed)).unwrap();
        assert_eq!(
            sealed.kem_output.as_slice(),
            bytes("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431")
        );
        assert_eq!(
            sealed.ciphertext.as_slice(),
            bytes(
                "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9\
                 6d8770ac83d07bea87e13c512a"
            )
        );
        let opened = hpke_open(private.expose(), &info, &aad, &sealed).unwrap();
        assert_eq!(opened.as_slice(), plaintext);
    }

    /// The same key, and what is exported of it (RFC 9180, appendix A.1.1.2).
    #[test]
    fn the_rfcs_exported_values() {
        let info = bytes("4f6465206f6e2061204772656369616e2055726e");
        let public = bytes("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d");
        let seed = bytes("7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234");
        for (context, expected) in [
            (
                "",
                "3853fe2b4035195a573ffc53856e77058e15d9ea064de3e59f4961d0095250ee",
            ),
            (
                "00",
                "2e8f0b54673c7029649d4eb9d5e33bf1872cf76d623ff164ac185da9e88c21a5",
            ),
            (
                "54657374436f6e74657874",
                "e9e43065102c3836401bed8c3c3c75ae46be1639869391d62c61f1ec7af54931",
            ),
        ] {
            let mut rng = Given(seed.clone());
            let sent = hpke_send_export(&public, &info, &bytes(context), 32, &mut rng);
            let (kem_output, secret) = sent.unwrap();
            assert_eq!(
                kem_output,
                bytes("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431")
            );
            assert_eq!(secret.as_slice(), bytes(expected));
        }
    }

    #[test]
    fn randomness_is_the_callers() {
        let (_, public) = hpke_generate(&mut rng()).unwrap();
        let seal = |rng: &mut dyn RngCore| hpke_seal(public.as_slice(), b"", b"", b"x", rng);
        assert_eq!(seal(&mut rng()), seal(&mut rng()));
        let mut other = rand_chacha::ChaCha20Rng::seed_from_u64(8);
        assert_ne!(seal(&mut rng()), seal(&mut other));
        let mut twice = rng();
        assert_ne!(seal(&mut twice), seal(&mut twice));
        assert_eq!(hpke_generate(&mut rng()), hpke_generate(&mut rng()));
        let private = |rng: &mut dyn RngCore| hpke_generate(rng).unwrap().0;
        assert_ne!(private(&mut rng()), private(&mut other));
    }

    #[test]
    fn a_seal_without_lent_randomness_notices() {
        let (_, public) = hpke_generate(&mut rng()).unwrap();
        let lent = lend_randomness(Zeroizing::new([1; 32]));
        let (mut first, mut second) = (suite(), suite());
        let recipient = BackendPublicKey::new(public.as_slice().to_vec());
        first
            .seal(&recipient, b"", b"", b"", None, None, None)
            .unwrap();
        assert!(lent.was_enough());
        second
            .seal(&recipient, b"", b"", b"", None, None, None)
            .unwrap();
        assert!(!lent.was_enough());
    }

    #[test]
    fn everything_that_is_not_the_same_is_refused() {
        let (private, public) = hpke_generate(&mut rng()).unwrap();
        let sealed = hpke_seal(public.as_slice(), b"i", b"a", b"text", &mut rng()).unwrap();
        let refused = Err(CryptoError::Decrypt);
        assert!(hpke_open(private.expose(), b"i", b"a", &sealed).is_ok());
        assert_eq!(hpke_open(private.expose(), b"j", b"a", &sealed), refused);
        assert_eq!(hpke_open(private.expose(), b"i", b"b", &sealed), refused);
        assert_eq!(hpke_open(&[7; 32], b"i", b"a", &sealed), refused);
        assert_eq!(hpke_open(&[7; 31], b"i", b"a", &sealed), refused);
        for flipped in flips(sealed.ciphertext.as_slice()) {
            let mut damaged = sealed.clone();
            damaged.ciphertext = Bytes::new(flipped).unwrap();
            assert_eq!(hpke_open(private.expose(), b"i", b"a", &damaged), refused);
        }
        for flipped in flips(sealed.kem_output.as_slice()) {
            let mut damaged = sealed.clone();
            damaged.kem_output = Bytes::new(flipped).unwrap();
            assert_eq!(hpke_open(private.expose(), b"i", b"a", &damaged), refused);
        }
        for length in [1, 31, 33] {
            let mut damaged = sealed.clone();
            damaged.kem_output = Bytes::new(vec![9; length]).unwrap();
            assert_eq!(hpke_open(private.expose(), b"i", b"a", &damaged), refused);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for length in [0, 31, 33] {
            let sealed = hpke_seal(&vec![9; length], b"", b"", b"", &mut rng());
            assert_eq!(sealed, Err(CryptoError::Hpke));
            let private = HpkePrivateKey::from_bytes(&vec![9; length]);
            assert_eq!(private, Err(CryptoError::Length));
        }
        let small_order = hpke_seal(&[0; 32], b"", b"", b"", &mut rng());
        assert_eq!(small_order, Err(CryptoError::Hpke));
    }
}
