//! Owns an issuer's key: what it is for, its public encoding, its private half.
//!
//! Invariant: a key belongs to one class, one epoch and one type for good; it is random, so nothing
//! else can bring it back once it is destroyed; it is never printed and wiped on drop.

use crate::blind_rsa::RsaPrivate;
use crate::epoch::Epoch;
use crate::kind::{TokenClass, TokenType};
use crate::reader::Reader;
use crate::refused::TokenFault;
use crate::token::KeyId;
use crate::voprf_suite as suite;
use p384::NistP384;
use rand_core::RngCore;
use voprf::{Ristretto255, VoprfServer};
use zeroize::Zeroizing;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyPurpose {
    /// What its tokens buy.
    pub class: TokenClass,
    /// Its type.
    pub token_type: TokenType,
    /// When they buy it.
    pub epoch: Epoch,
}

/// An issuer's key pair.
pub struct IssuerKey {
    purpose: KeyPurpose,
    id: KeyId,
    public_key: Vec<u8>,
    pub(crate) private: PrivateKey,
}

pub(crate) enum PrivateKey {
    VoprfP384(VoprfServer<NistP384>),
    BlindRsa(Box<RsaPrivate>),
    VoprfRistretto255(VoprfServer<Ristretto255>),
}

/// A key pair as it is kept, to be sealed: 60 bytes for type 0x0005, 76 for 0x0001, 284 for 0x0002.
///
/// `{uint8 version = 1; uint16 type; uint8 class; uint64 epoch, start_s, end_s; opaque private[N]}`,
/// `private` being a scalar or the two primes.
pub struct StoredIssuerKey(Zeroizing<Vec<u8>>);

impl StoredIssuerKey {
    /// The bytes, to be sealed.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for StoredIssuerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredIssuerKey(..)")
    }
}

const STORED_VERSION: u8 = 1;

/// Bytes are no stored key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a stored issuer key")]
pub struct StoredKeyRefused;

impl IssuerKey {
    /// A new random key. Type 0x0002 takes tens of milliseconds, the others microseconds.
    ///
    /// [`crate::IssuerKeys::generate`] makes keys whose truncated ids differ.
    pub fn generate(purpose: KeyPurpose, rng: &mut impl RngCore) -> Result<Self, TokenFault> {
        let private = match purpose.token_type {
            TokenType::VoprfP384 => PrivateKey::VoprfP384(suite::generate(rng)?),
            TokenType::BlindRsa => PrivateKey::BlindRsa(Box::new(RsaPrivate::generate(rng)?)),
            TokenType::VoprfRistretto255 => PrivateKey::VoprfRistretto255(suite::generate(rng)?),
        };
        Ok(Self::of(purpose, private))
    }

    fn of(purpose: KeyPurpose, private: PrivateKey) -> Self {
        let public_key = match &private {
            PrivateKey::VoprfP384(server) => suite::public_key(server),
            PrivateKey::BlindRsa(key) => key.spki().to_vec(),
            PrivateKey::VoprfRistretto255(server) => suite::public_key(server),
        };
        Self {
            purpose,
            id: KeyId::of(&public_key),
            public_key,
            private,
        }
    }

    /// What it is for.
    pub fn purpose(&self) -> &KeyPurpose {
        &self.purpose
    }

    /// Its full id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The encoded public key, as directories have it.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The form to be sealed and kept.
    pub fn to_stored(&self) -> Result<StoredIssuerKey, TokenFault> {
        let private = match &self.private {
            PrivateKey::VoprfP384(server) => suite::private_key(server),
            PrivateKey::BlindRsa(key) => key.primes()?,
            PrivateKey::VoprfRistretto255(server) => suite::private_key(server),
        };
        let KeyPurpose {
            class,
            token_type,
            epoch,
        } = self.purpose;
        let mut bytes = Zeroizing::new(Vec::with_capacity(28 + private.len()));
        bytes.push(STORED_VERSION);
        bytes.extend_from_slice(&token_type.code().to_be_bytes());
        bytes.push(class.code());
        for number in [epoch.number(), epoch.start_s(), epoch.end_s()] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&private);
        Ok(StoredIssuerKey(bytes))
    }
}

/// Reads a whole stored key.
pub fn parse_stored_key(bytes: &[u8]) -> Result<IssuerKey, StoredKeyRefused> {
    read_stored(bytes).ok_or(StoredKeyRefused)
}

fn read_stored(bytes: &[u8]) -> Option<IssuerKey> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != STORED_VERSION {
        return None;
    }
    let token_type = TokenType::from_code(reader.u16()?)?;
    let purpose = KeyPurpose {
        class: TokenClass::from_code(reader.u8()?)?,
        token_type,
        epoch: Epoch::new(reader.u64()?, reader.u64()?, reader.u64()?)?,
    };
    let private = reader.take(token_type.private_key_bytes())?;
    reader.end()?;
    let private = match token_type {
        TokenType::VoprfP384 => PrivateKey::VoprfP384(suite::from_private_key(private)?),
        TokenType::BlindRsa => PrivateKey::BlindRsa(Box::new(RsaPrivate::from_primes(private)?)),
        TokenType::VoprfRistretto255 => {
            PrivateKey::VoprfRistretto255(suite::from_private_key(private)?)
        }
    };
    Some(IssuerKey::of(purpose, private))
}

impl std::fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IssuerKey(..)")
    }
}
