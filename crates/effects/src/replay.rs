//! Owns remembering what a request achieved, so that the same request again gets the same answer
//! and its nonce serves no other (design page 3.1).
//!
//! Invariant: a remembered outcome opens with what the request itself brings along, lives about an
//! hour, and is committed together with what it is the outcome of.

use crate::changes::Replay;
use crate::env::Env;
use crate::records::Records;
use crate::step::Fault;
use sordino_crypto::{Address, LayerKey, OuterKeys, Space, expand, open_layer, seal_layer};
use sordino_wire::limits::REPLAY_MEMORY_S;
use sordino_wire::{Digest, Nonce, Secret32, encode, exact};
use tls_codec::{DeserializeBytes, Serialize};

/// What is known of a nonce.
#[derive(Debug, PartialEq, Eq)]
pub enum Remembered<T> {
    /// It is new.
    Nothing,
    /// The same request was done before.
    Same(T),
    /// It was used for another request.
    Other,
}

/// Where the outcome of a mutating request is remembered.
pub struct ReplaySlot {
    address: Address,
    key: LayerKey,
    nonce_time_s: u64,
}

impl ReplaySlot {
    /// The slot of a nonce. `request` is a hash of all that makes a request the same one: whoever
    /// could not send it opens nothing.
    pub fn new(
        outer: &OuterKeys,
        nonce: &Nonce,
        nonce_time_s: u64,
        request: &Digest,
    ) -> Result<Self, Fault> {
        let address = crate::address(outer, Space::Replay, &nonce.0)?;
        let key = expand::<32>(&request.0, "replay", &nonce.0)?;
        Ok(Self {
            address,
            key: LayerKey::new(Secret32::new(*key)),
            nonce_time_s,
        })
    }

    /// What is known of the nonce.
    pub fn look_up<T: DeserializeBytes>(
        &self,
        records: &dyn Records,
    ) -> Result<Remembered<T>, Fault> {
        let Some(bytes) = records.replay(&self.address.store_key)? else {
            return Ok(Remembered::Nothing);
        };
        let Ok(opened) = open_layer(&self.key, &self.address, &bytes) else {
            return Ok(Remembered::Other);
        };
        let outcome = exact(&opened).map_err(|_| Fault::Inconsistent)?;
        Ok(Remembered::Same(outcome))
    }

    /// The record that remembers an outcome for an hour.
    pub fn remember<T: Serialize>(&self, outcome: &T, env: &mut Env<'_>) -> Result<Replay, Fault> {
        let value = seal_layer(&self.key, &self.address, &encode(outcome)?, env.rng)?;
        let last_s = self
            .nonce_time_s
            .max(env.now_s)
            .saturating_add(REPLAY_MEMORY_S);
        let expires_hour = u32::try_from(last_s / 3_600).unwrap_or(u32::MAX);
        Ok(Replay {
            key: self.address.store_key,
            value,
            expires_hour,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stored, outer, rng};
    use sordino_wire::Outcome;

    #[test]
    fn an_outcome_is_for_the_same_request_and_its_nonce_for_no_other() {
        let outer = outer();
        let slot = |nonce: u8, request: u8| {
            ReplaySlot::new(&outer, &Nonce([nonce; 16]), 60, &Digest([request; 32])).unwrap()
        };
        let outcome = Outcome {
            epoch: 3,
            counter: 4,
            detail: Default::default(),
        };
        let mut rng = rng();
        let mut env = Env {
            now_s: 7_200,
            rng: &mut rng,
        };
        let kept = slot(1, 1).remember(&outcome, &mut env).unwrap();
        assert_eq!(kept.expires_hour, 3);
        let store = Stored::outcome(kept.key, &kept.value);
        let look_up = |nonce, request| slot(nonce, request).look_up(&store).unwrap();
        assert_eq!(look_up(1, 1), Remembered::Same(outcome));
        assert_eq!(look_up(1, 2), Remembered::Other);
        assert_eq!(look_up(2, 1), Remembered::Nothing);
    }
}
