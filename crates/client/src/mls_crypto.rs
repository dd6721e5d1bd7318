//! Owns the cryptography that openmls computes with: its own provider's, with the randomness of
//! HPKE taken from this client's source.
//!
//! Invariant: MLS draws no random byte from anywhere else. The provider's own generators are never
//! asked.

use crate::entropy::Entropy;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeAeadType, HpkeCiphertext,
    HpkeConfig, HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput, SignatureScheme,
};
use sordino_crypto::{hpke_seal, hpke_send_export};
use tls_codec::SecretVLBytes;

/// What MLS computes with.
pub(crate) struct MlsCrypto {
    inner: RustCrypto,
    entropy: Entropy,
}

impl MlsCrypto {
    pub(crate) fn new(entropy: Entropy) -> Self {
        Self {
            inner: RustCrypto::default(),
            entropy,
        }
    }
}

/// The one suite that there is (cipher suite 0x0001).
fn check(config: &HpkeConfig) -> Result<(), CryptoError> {
    match config {
        HpkeConfig(HpkeKemType::DhKem25519, HpkeKdfType::HkdfSha256, HpkeAeadType::AesGcm128) => {
            Ok(())
        }
        _ => Err(CryptoError::UnsupportedCiphersuite),
    }
}

impl OpenMlsCrypto for MlsCrypto {
    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        check(&config)?;
        let mut rng = self.entropy.clone();
        let sealed = hpke_seal(pk_r, info, aad, ptxt, &mut rng)
            .map_err(|_| CryptoError::CryptoLibraryError)?;
        Ok(HpkeCiphertext {
            kem_output: sealed.kem_output.into_vec().into(),
            ciphertext: sealed.ciphertext.into_vec().into(),
        })
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        check(&config)?;
        let mut rng = self.entropy.clone();
        let (kem_output, secret) =
            hpke_send_export(pk_r, info, exporter_context, exporter_length, &mut rng)
                .map_err(|_| CryptoError::SenderSetupError)?;
        Ok((kem_output, secret.to_vec().into()))
    }

    // The rest needs no randomness.

    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        self.inner.supports(ciphersuite)
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        self.inner.supported_ciphersuites()
    }

    fn hkdf_extract(
        &self,
        hash_type: HashType,
        salt: &[u8],
        ikm: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        self.inner.hkdf_extract(hash_type, salt, ikm)
    }

    fn hmac(
        &self,
        hash_type: HashType,
        key: &[u8],
        message: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        self.inner.hmac(hash_type, key, message)
    }

    fn hkdf_expand(
        &self,
        hash_type: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        self.inner.hkdf_expand(hash_type, prk, info, okm_len)
    }

    fn hash(&self, hash_type: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.inner.hash(hash_type, data)
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.inner.aead_encrypt(alg, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.inner.aead_decrypt(alg, key, ct_tag, nonce, aad)
    }

    /// Refused: leaf keys are derived from a slot, never drawn.
    fn signature_key_gen(&self, _: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        Err(CryptoError::UnsupportedSignatureScheme)
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        pk: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.inner.verify_signature(alg, data, pk, signature)
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.inner.sign(alg, data, key)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.inner.hpke_open(config, input, sk_r, info, aad)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        self.inner.hpke_setup_receiver_and_export(
            config,
            enc,
            sk_r,
            info,
            exporter_context,
            exporter_length,
        )
    }

    fn derive_hpke_keypair(
        &self,
        config: HpkeConfig,
        ikm: &[u8],
    ) -> Result<HpkeKeyPair, CryptoError> {
        self.inner.derive_hpke_keypair(config, ikm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

    fn seeded() -> MlsCrypto {
        MlsCrypto::new(Entropy::new(Some([7; 32])).unwrap())
    }

    #[test]
    fn the_providers_own_side_opens_what_is_sealed() {
        let crypto = seeded();
        let config = || SUITE.hpke_config();
        let pair = crypto.derive_hpke_keypair(config(), &[1; 32]).unwrap();
        let sealed = crypto
            .hpke_seal(config(), &pair.public, b"info", b"aad", b"text")
            .unwrap();
        let opened = crypto.hpke_open(config(), &sealed, &pair.private, b"info", b"aad");
        assert_eq!(opened.unwrap(), b"text");
        let (kem_output, sent) = crypto
            .hpke_setup_sender_and_export(config(), &pair.public, b"info", b"context", 32)
            .unwrap();
        let received = crypto
            .hpke_setup_receiver_and_export(
                config(),
                &kem_output,
                &pair.private,
                b"info",
                b"context",
                32,
            )
            .unwrap();
        assert_eq!(*sent, *received);
    }

    #[test]
    fn all_randomness_is_the_clients() {
        let config = || SUITE.hpke_config();
        let pair = seeded().derive_hpke_keypair(config(), &[1; 32]).unwrap();
        let draw = || {
            let crypto = seeded();
            let sealed = crypto.hpke_seal(config(), &pair.public, b"", b"", b"text");
            let sealed = sealed.unwrap();
            let (kem_output, _) = crypto
                .hpke_setup_sender_and_export(config(), &pair.public, b"", b"", 32)
                .unwrap();
            (sealed.kem_output.as_slice().to_vec(), kem_output)
        };
        assert_eq!(draw(), draw());
        let (first, second) = draw();
        assert_ne!(first, second);
        assert!(
            seeded()
                .signature_key_gen(SignatureScheme::ED25519)
                .is_err()
        );
    }
}
