//! Owns the origin's side: from the bytes of a token to what it pays for.
//!
//! Invariant: lengths, full key id, epoch, challenge, class, number and repetition are checked on
//! borrowed bytes before any curve operation; a [`VerifiedToken`] exists only for a token that its key
//! made. Nothing here remembers: the caller stores nullifiers in the operation's own transaction.

use crate::challenge::AllowedChallenges;
use crate::issuer_key::{IssuerKey, PrivateKey};
use crate::key_set::IssuerKeys;
use crate::kind::{TokenClass, TokenType};
use crate::refused::TokenRefused;
use crate::token::{KeyId, Nullifier, SpendSet, TokenFields, parse_token};
use crate::voprf_suite as suite;

/// A token of a live key and an allowed challenge that nobody has checked yet.
#[derive(Clone, Copy)]
pub struct RecognisedToken<'k, 't> {
    key: &'k IssuerKey,
    fields: TokenFields<'t>,
    nullifier: Nullifier,
}

/// A token that its key made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedToken {
    /// What it buys.
    pub class: TokenClass,
    /// The number of the epoch it buys in.
    pub epoch: u64,
    /// Its type.
    pub token_type: TokenType,
    /// The key that made it.
    pub key_id: KeyId,
    /// What to store, so that it buys once.
    pub nullifier: Nullifier,
    /// Where to store it.
    pub spend_set: SpendSet,
}

impl IssuerKeys {
    /// Looks a token up without checking its authenticator; costs about a microsecond.
    pub fn recognise<'k, 't>(
        &'k self,
        token: &'t [u8],
        allowed: &AllowedChallenges,
        now_s: u64,
    ) -> Result<RecognisedToken<'k, 't>, TokenRefused> {
        let fields = parse_token(token)?;
        let key = self.by_id(fields.token_type, fields.key_id);
        let key = key.ok_or(TokenRefused::UnknownKey)?;
        let epoch = key.purpose().epoch;
        if now_s < epoch.start_s() {
            return Err(TokenRefused::Early);
        }
        if epoch.is_over(now_s) {
            return Err(TokenRefused::Late);
        }
        if !allowed.contains(fields.token_type, fields.challenge_digest) {
            return Err(TokenRefused::Challenge);
        }
        Ok(RecognisedToken {
            key,
            fields,
            nullifier: fields.nullifier(),
        })
    }

    /// Checks one token, whatever its class.
    pub fn verify(
        &self,
        token: &[u8],
        allowed: &AllowedChallenges,
        now_s: u64,
    ) -> Result<VerifiedToken, TokenRefused> {
        self.recognise(token, allowed, now_s)?.verify()
    }
}

impl RecognisedToken<'_, '_> {
    /// What it buys, if it is genuine.
    pub fn class(&self) -> TokenClass {
        self.key.purpose().class
    }

    /// What would be stored, for a look at what is stored before the arithmetic.
    pub fn nullifier(&self) -> Nullifier {
        self.nullifier
    }

    /// Where it would be stored.
    pub fn spend_set(&self) -> SpendSet {
        SpendSet::of(self.key.id())
    }

    /// Checks the authenticator: 0.05 ms for type 0x0005, 1 ms for 0x0001, 0.1 ms for 0x0002.
    pub fn verify(&self) -> Result<VerifiedToken, TokenRefused> {
        let TokenFields {
            input,
            authenticator,
            ..
        } = self.fields;
        let is_genuine = match &self.key.private {
            PrivateKey::VoprfP384(server) => suite::verify(server, input, authenticator),
            PrivateKey::VoprfRistretto255(server) => suite::verify(server, input, authenticator),
            PrivateKey::BlindRsa(key) => key.public().verify(input, authenticator),
        };
        if !is_genuine {
            return Err(TokenRefused::Forged);
        }
        let purpose = self.key.purpose();
        Ok(VerifiedToken {
            class: purpose.class,
            epoch: purpose.epoch.number(),
            token_type: purpose.token_type,
            key_id: *self.key.id(),
            nullifier: self.nullifier,
            spend_set: self.spend_set(),
        })
    }
}

impl std::fmt::Debug for RecognisedToken<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecognisedToken(..)")
    }
}
