//! Owns every use of the blind RSA library (RFC 9474, RSABSSA-SHA384-PSS-Deterministic, 2048 bits).
//!
//! Invariant: a public key is a SubjectPublicKeyInfo with id-RSASSA-PSS in its one encoding, of 2048
//! bits and exponent 65537; a blinded message is greater than 1 and less than n - 1; a signature is
//! less than n.

use crate::kind::{TOKEN_INPUT_BYTES, TokenType};
use crate::random::Lent;
use crate::refused::TokenFault;
use blind_rsa_signatures::reexports::crypto_bigint::BoxedUint;
use blind_rsa_signatures::{
    BlindMessage, BlindSignature, BlindingResult, Deterministic, KeyPair, PSS, PublicKey, Secret,
    SecretKey, Sha384, Signature,
};
use rand_core::RngCore;
use zeroize::Zeroizing;

type Public = PublicKey<Sha384, PSS, Deterministic>;
type Private = SecretKey<Sha384, PSS, Deterministic>;

/// Bytes of the modulus, of a blinded message, of a signature.
const MODULUS_BYTES: usize = TokenType::BlindRsa.message_bytes();
const PRIME_BYTES: usize = MODULUS_BYTES / 2;
/// What stands behind the modulus in a SubjectPublicKeyInfo: INTEGER 65537.
const EXPONENT_DER: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];
const EXPONENT: u32 = 65_537;

/// A public key with its encoding and its modulus.
pub(crate) struct RsaPublic {
    inner: Public,
    modulus: [u8; MODULUS_BYTES],
}

impl RsaPublic {
    /// Reads a SubjectPublicKeyInfo of 342 bytes.
    pub(crate) fn from_spki(spki: &[u8]) -> Option<Self> {
        if spki.len() != TokenType::BlindRsa.public_key_bytes() {
            return None;
        }
        let inner = Public::from_spki(spki).ok()?;
        // One encoding, and the PSS one: the key id is a hash of it.
        let is_canonical = inner.to_spki().ok()?.as_slice() == spki;
        let (header, modulus) = spki.strip_suffix(&EXPONENT_DER)?.split_last_chunk()?;
        // A zero stands before a number exactly if its first bit is set. Without one it is longer.
        let is_2048_bits = header.last() == Some(&0);
        (is_canonical && is_2048_bits).then_some(Self {
            inner,
            modulus: *modulus,
        })
    }

    /// Whether a blinded message is in the range that is signed.
    pub(crate) fn takes(&self, blinded: &[u8]) -> bool {
        let one = one();
        let mut before_n = self.modulus;
        // The modulus is odd.
        if let Some(last) = before_n.last_mut() {
            *last ^= 1;
        }
        blinded.len() == MODULUS_BYTES && blinded > one.as_slice() && blinded < before_n.as_slice()
    }

    /// Whether the key made this signature. The library refuses other lengths, and what is not less
    /// than the modulus.
    pub(crate) fn verify(&self, input: &[u8; TOKEN_INPUT_BYTES], authenticator: &[u8]) -> bool {
        let signature = Signature(authenticator.to_vec());
        self.inner.verify(&signature, None, input).is_ok()
    }

    /// Blinds an input: the factor that unblinds, then the blinded message.
    pub(crate) fn blind(
        &self,
        input: &[u8; TOKEN_INPUT_BYTES],
        rng: &mut impl RngCore,
    ) -> Result<Zeroizing<Vec<u8>>, TokenFault> {
        let blinded = self.inner.blind(&mut Lent(rng), input);
        let blinded = blinded.map_err(|_| TokenFault)?;
        let factor = Zeroizing::new(blinded.secret.0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MODULUS_BYTES));
        bytes.extend_from_slice(&factor);
        bytes.extend_from_slice(&blinded.blind_message.0);
        Ok(bytes)
    }

    /// Unblinds and checks a signature; `None` if it is not one.
    pub(crate) fn finish(
        &self,
        input: &[u8; TOKEN_INPUT_BYTES],
        blinding: &[u8],
        blind_signature: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (factor, blinded) = blinding.split_at_checked(MODULUS_BYTES)?;
        if blind_signature >= self.modulus.as_slice() {
            return None;
        }
        let mut result = BlindingResult {
            blind_message: BlindMessage(blinded.to_vec()),
            secret: Secret(factor.to_vec()),
            msg_randomizer: None,
        };
        let signature =
            self.inner
                .finalize(&BlindSignature(blind_signature.to_vec()), &result, input);
        zeroize::Zeroize::zeroize(&mut result.secret.0);
        Some(Zeroizing::new(signature.ok()?.0))
    }
}

fn one() -> [u8; MODULUS_BYTES] {
    let mut one = [0; MODULUS_BYTES];
    if let Some(last) = one.last_mut() {
        *last = 1;
    }
    one
}

/// A key pair.
pub(crate) struct RsaPrivate {
    inner: Private,
    public: RsaPublic,
    spki: Vec<u8>,
}

impl RsaPrivate {
    /// A new key pair; takes tens of milliseconds.
    pub(crate) fn generate(rng: &mut impl RngCore) -> Result<Self, TokenFault> {
        let pair = KeyPair::generate(&mut Lent(rng), MODULUS_BYTES * 8).map_err(|_| TokenFault)?;
        Self::of(pair.sk).ok_or(TokenFault)
    }

    fn of(inner: Private) -> Option<Self> {
        let spki = inner.public_key().ok()?.to_spki().ok()?;
        let public = RsaPublic::from_spki(&spki)?;
        Some(Self {
            inner,
            public,
            spki,
        })
    }

    /// The key pair of two primes of 128 bytes each. They are checked for being odd and large, not for
    /// being prime.
    pub(crate) fn from_primes(primes: &[u8]) -> Option<Self> {
        let (p, q) = primes.split_at_checked(PRIME_BYTES)?;
        // The library panics at an even product, and at a prime of 1.
        let is_odd = |n: &[u8]| n.last().is_some_and(|last| last & 1 == 1);
        let is_large = |n: &[u8]| n.first().is_some_and(|first| first & 0x80 != 0);
        if q.len() != PRIME_BYTES || ![p, q].into_iter().all(|n| is_odd(n) && is_large(n)) {
            return None;
        }
        let number = |bytes: &[u8]| BoxedUint::from_be_slice_vartime(bytes);
        let mut inner =
            rsa::RsaPrivateKey::from_p_q(number(p), number(q), BoxedUint::from(EXPONENT)).ok()?;
        inner.precompute().ok()?;
        Self::of(Private::new(inner))
    }

    /// The two primes, 128 bytes each.
    pub(crate) fn primes(&self) -> Result<Zeroizing<Vec<u8>>, TokenFault> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MODULUS_BYTES));
        for prime in self.inner.components().primes() {
            let prime = Zeroizing::new(prime);
            let leading = prime.iter().take_while(|byte| **byte == 0).count();
            let digits = prime.get(leading..).unwrap_or_default();
            let missing = PRIME_BYTES.checked_sub(digits.len()).ok_or(TokenFault)?;
            bytes.extend(std::iter::repeat_n(0, missing));
            bytes.extend_from_slice(digits);
        }
        if bytes.len() != MODULUS_BYTES {
            return Err(TokenFault);
        }
        Ok(bytes)
    }

    pub(crate) fn public(&self) -> &RsaPublic {
        &self.public
    }

    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Signs a blinded message that [`RsaPublic::takes`]. The library blinds the operation against
    /// timing and checks its result.
    pub(crate) fn sign(
        &self,
        blinded: &[u8],
        rng: &mut impl RngCore,
    ) -> Result<Vec<u8>, TokenFault> {
        let signature = self.inner.blind_sign_with_rng(&mut Lent(rng), blinded);
        Ok(signature.map_err(|_| TokenFault)?.0)
    }
}
