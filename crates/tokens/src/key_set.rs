//! Owns the keys that live at once.
//!
//! Invariant: at most three per class and type, one per class, type and epoch, and no two with one last
//! byte of their ids, so a truncated id names one key exactly.

use crate::epoch::Epoch;
use crate::issuer_key::{IssuerKey, KeyPurpose};
use crate::kind::TokenType;
use crate::refused::TokenFault;
use crate::token::KeyId;
use rand_core::RngCore;
use sordino_wire::limits::MAX_LIVE_TOKEN_KEYS;
use std::sync::Arc;

/// The live keys of an issuer, which is its own origin. A clone shares the keys: a server puts a
/// changed set in the place of the one that requests are using.
#[derive(Clone, Default)]
pub struct IssuerKeys(Vec<Arc<IssuerKey>>);

/// Why a key cannot join the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Three keys of this class and type live.
    #[error("three keys of this class and type are live")]
    TooMany,
    /// The class and type have a key for some of this time.
    #[error("there is a key for this time")]
    EpochTaken,
    /// Another live key's id has the same last byte.
    #[error("another key has this truncated id")]
    TruncatedIdTaken,
    /// No key could be made.
    #[error(transparent)]
    Fault(#[from] TokenFault),
}

/// Tries after which something must be wrong with the random numbers: with 18 of 256 last bytes taken,
/// all of them fail once in 10^73 times.
const MAX_TRIES: usize = 64;

impl IssuerKeys {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key, made elsewhere or read back from where keys are kept.
    pub fn insert(&mut self, key: IssuerKey) -> Result<(), KeySetError> {
        self.has_place_for(key.purpose())?;
        if self.has_truncated(key.id().truncated()) {
            return Err(KeySetError::TruncatedIdTaken);
        }
        self.0.push(Arc::new(key));
        Ok(())
    }

    /// Makes a random key whose truncated id is free, and adds it.
    pub fn generate(
        &mut self,
        purpose: KeyPurpose,
        rng: &mut impl RngCore,
    ) -> Result<Arc<IssuerKey>, KeySetError> {
        self.has_place_for(&purpose)?;
        for _ in 0..MAX_TRIES {
            let key = IssuerKey::generate(purpose, rng)?;
            if !self.has_truncated(key.id().truncated()) {
                let key = Arc::new(key);
                self.0.push(Arc::clone(&key));
                return Ok(key);
            }
        }
        Err(KeySetError::TruncatedIdTaken)
    }

    /// Takes a key out. It is wiped once nobody uses it any more.
    pub fn retire(&mut self, id: &KeyId) -> bool {
        let before = self.0.len();
        self.0.retain(|key| key.id() != id);
        self.0.len() != before
    }

    /// All live keys, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &IssuerKey> {
        self.0.iter().map(|key| &**key)
    }

    /// The key of a type that a request names and that still issues at this time.
    pub fn drawable(
        &self,
        token_type: TokenType,
        truncated_key_id: u8,
        now_s: u64,
    ) -> Option<&IssuerKey> {
        self.iter().find(|key| {
            let purpose = key.purpose();
            purpose.token_type == token_type
                && key.id().truncated() == truncated_key_id
                && purpose.epoch.is_drawable(now_s)
        })
    }

    /// The key of a type and full id.
    pub fn by_id(&self, token_type: TokenType, id: &[u8; 32]) -> Option<&IssuerKey> {
        self.iter()
            .find(|key| key.purpose().token_type == token_type && key.id().0 == *id)
    }

    fn has_place_for(&self, purpose: &KeyPurpose) -> Result<(), KeySetError> {
        let live = self.iter().map(IssuerKey::purpose);
        let of_kind = live
            .filter(|other| other.class == purpose.class && other.token_type == purpose.token_type);
        let epochs: Vec<Epoch> = of_kind.map(|other| other.epoch).collect();
        if epochs.len() >= MAX_LIVE_TOKEN_KEYS {
            return Err(KeySetError::TooMany);
        }
        let is_taken = epochs.iter().any(|epoch| {
            epoch.overlaps(&purpose.epoch) || epoch.number() == purpose.epoch.number()
        });
        if is_taken {
            return Err(KeySetError::EpochTaken);
        }
        Ok(())
    }

    fn has_truncated(&self, truncated: u8) -> bool {
        self.iter().any(|key| key.id().truncated() == truncated)
    }
}

impl std::fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssuerKeys({} keys)", self.0.len())
    }
}
