//! Owns the HPKE backend: RustCrypto, with its own source of randomness taken out.
//!
//! Invariant: the library makes its generator by a function without arguments, so the caller's
//! bytes are lent to it through the thread, for the time of one call, and serve once.

use hpke_rs_crypto::error::Error;
use hpke_rs_crypto::types::{AeadAlgorithm, KdfAlgorithm, KemAlgorithm};
use hpke_rs_crypto::{HpkeCrypto, HpkeTestRng, TryCryptoRng, TryRng};
use hpke_rs_rust_crypto::HpkeRustCrypto;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use zeroize::{Zeroize, Zeroizing};

type Random = Zeroizing<[u8; super::KEY_BYTES]>;

thread_local! {
    static RANDOM: RefCell<Option<Random>> = const { RefCell::new(None) };
    static SHORT: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, the thread has randomness for one seal.
pub(super) struct Lent;

/// Lends randomness to the next generator that this thread makes.
pub(super) fn lend_randomness(random: Random) -> Lent {
    RANDOM.set(Some(random));
    SHORT.set(false);
    Lent
}

impl Lent {
    /// Whether nobody asked for more than there was.
    pub(super) fn was_enough(&self) -> bool {
        !SHORT.get()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        RANDOM.set(None);
    }
}

/// Hands out the lent bytes once. It cannot report an error, so what it lacks it notes.
pub(super) struct LentRng {
    random: Option<Random>,
}

impl LentRng {
    fn fill(&mut self, destination: &mut [u8]) {
        match self.random.take() {
            Some(random) if random.len() == destination.len() => {
                destination.copy_from_slice(random.as_slice());
            }
            _ => {
                destination.fill(0);
                SHORT.set(true);
            }
        }
    }
}

impl TryRng for LentRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        SHORT.set(true);
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        SHORT.set(true);
        Ok(0)
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        self.fill(destination);
        Ok(())
    }
}

impl TryCryptoRng for LentRng {}

impl Zeroize for LentRng {
    fn zeroize(&mut self) {
        self.random = None;
    }
}

impl HpkeTestRng for LentRng {
    type Error = Infallible;

    fn try_fill_test_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        self.fill(destination);
        Ok(())
    }

    fn seed(&mut self, _: &[u8]) {}
}

/// RustCrypto's primitives with [`LentRng`].
#[derive(Debug)]
pub(super) struct Backend;

type Pair = (Vec<u8>, Vec<u8>);

impl HpkeCrypto for Backend {
    type HpkePrng = LentRng;

    fn name() -> String {
        HpkeRustCrypto::name()
    }

    fn supports_kdf(algorithm: KdfAlgorithm) -> Result<(), Error> {
        HpkeRustCrypto::supports_kdf(algorithm)
    }

    fn supports_kem(algorithm: KemAlgorithm) -> Result<(), Error> {
        HpkeRustCrypto::supports_kem(algorithm)
    }

    fn supports_aead(algorithm: AeadAlgorithm) -> Result<(), Error> {
        HpkeRustCrypto::supports_aead(algorithm)
    }

    fn prng() -> LentRng {
        LentRng {
            random: RANDOM.take(),
        }
    }

    fn kdf_extract(algorithm: KdfAlgorithm, salt: &[u8], ikm: &[u8]) -> Result<Vec<u8>, Error> {
        HpkeRustCrypto::kdf_extract(algorithm, salt, ikm)
    }

    fn kdf_expand(
        algorithm: KdfAlgorithm,
        prk: &[u8],
        info: &[u8],
        output_size: usize,
    ) -> Result<Vec<u8>, Error> {
        HpkeRustCrypto::kdf_expand(algorithm, prk, info, output_size)
    }

    fn dh(algorithm: KemAlgorithm, pk: &[u8], sk: &[u8]) -> Result<Vec<u8>, Error> {
        HpkeRustCrypto::dh(algorithm, pk, sk)
    }

    fn secret_to_public(algorithm: KemAlgorithm, sk: &[u8]) -> Result<Vec<u8>, Error> {
        HpkeRustCrypto::secret_to_public(algorithm, sk)
    }

    fn kem_key_gen(_: KemAlgorithm, _: &mut LentRng) -> Result<Pair, Error> {
        Err(Error::UnsupportedKemOperation)
    }

    fn kem_key_gen_derand(_: KemAlgorithm, _: &[u8]) -> Result<Pair, Error> {
        Err(Error::UnsupportedKemOperation)
    }

    fn kem_encaps(_: KemAlgorithm, _: &[u8], _: &mut LentRng) -> Result<Pair, Error> {
        Err(Error::UnsupportedKemOperation)
    }

    fn kem_decaps(_: KemAlgorithm, _: &[u8], _: &[u8]) -> Result<Vec<u8>, Error> {
        Err(Error::UnsupportedKemOperation)
    }

    fn dh_validate_sk(algorithm: KemAlgorithm, sk: &[u8]) -> Result<Vec<u8>, Error> {
        HpkeRustCrypto::dh_validate_sk(algorithm, sk)
    }

    fn aead_seal(
        algorithm: AeadAlgorithm,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        HpkeRustCrypto::aead_seal(algorithm, key, nonce, aad, message)
    }

    fn aead_open(
        algorithm: AeadAlgorithm,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        HpkeRustCrypto::aead_open(algorithm, key, nonce, aad, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENT: [u8; 32] = [7; 32];

    /// Whether somebody who does this with a generator is noticed.
    fn is_noticed(asks: impl FnOnce(&mut LentRng)) -> bool {
        let lent = lend_randomness(Zeroizing::new(LENT));
        asks(&mut Backend::prng());
        !lent.was_enough()
    }

    fn bytes<const N: usize>(rng: &mut LentRng) -> [u8; N] {
        let mut bytes = [1; N];
        rng.try_fill_bytes(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn whoever_asks_for_more_than_was_lent_is_noticed() {
        assert!(!is_noticed(|_| ()));
        assert!(!is_noticed(|rng| assert_eq!(bytes(rng), LENT)));
        assert!(!is_noticed(|rng| {
            let mut bytes = [1; 32];
            rng.try_fill_test_bytes(&mut bytes).unwrap();
            assert_eq!(bytes, LENT);
        }));
        assert!(is_noticed(|rng| {
            assert_eq!(bytes(rng), LENT);
            assert_eq!(bytes(rng), [0; 32]);
        }));
        assert!(is_noticed(|rng| assert_eq!(bytes(rng), [0; 31])));
        assert!(is_noticed(|rng| assert_eq!(bytes(rng), [0; 33])));
        assert!(is_noticed(|rng| assert_eq!(rng.try_next_u32(), Ok(0))));
        assert!(is_noticed(|rng| assert_eq!(rng.try_next_u64(), Ok(0))));
        assert!(is_noticed(|rng| {
            rng.zeroize();
            assert_eq!(bytes(rng), [0; 32]);
        }));
    }

    #[test]
    fn what_was_lent_is_taken_back() {
        drop(lend_randomness(Zeroizing::new(LENT)));
        assert!(Backend::prng().random.is_none());
        let lent = lend_randomness(Zeroizing::new(LENT));
        assert!(Backend::prng().random.is_some() && Backend::prng().random.is_none());
        assert!(lent.was_enough());
    }

    #[test]
    fn nothing_is_made_by_the_library_itself() {
        let kem = KemAlgorithm::DhKem25519;
        let mut rng = LentRng {
            random: Some(Zeroizing::new(LENT)),
        };
        let refused = [
            Backend::kem_key_gen(kem, &mut rng).is_err(),
            Backend::kem_key_gen_derand(kem, &LENT).is_err(),
            Backend::kem_encaps(kem, &LENT, &mut rng).is_err(),
            Backend::kem_decaps(kem, &LENT, &LENT).is_err(),
        ];
        assert_eq!(refused, [true; 4]);
    }
}
