//! Owns paying: all the tokens of one request, checked together.
//!
//! Invariant: a payment is all of the tokens due and no more, of one class, each once. It is checked
//! whole or refused whole.

use crate::challenge::AllowedChallenges;
use crate::key_set::IssuerKeys;
use crate::price::Due;
use crate::redeem::{RecognisedToken, VerifiedToken};
use crate::refused::TokenRefused;
use crate::token::{Nullifier, SpendSet};

/// How a request pays. Credit tokens or other proofs would be further variants.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum SpendProof<'t> {
    /// Privacy Pass tokens.
    Tokens(&'t [&'t [u8]]),
}

/// A payment whose tokens are recognised and whose authenticators nobody has checked yet.
pub struct Payment<'k, 't>(Vec<RecognisedToken<'k, 't>>);

impl IssuerKeys {
    /// Looks up what a request pays with, without a curve operation.
    pub fn recognise_payment<'k, 't>(
        &'k self,
        proof: SpendProof<'t>,
        due: Due,
        allowed: &AllowedChallenges,
        now_s: u64,
    ) -> Result<Payment<'k, 't>, TokenRefused> {
        let SpendProof::Tokens(tokens) = proof;
        if tokens.len() != due.tokens {
            return Err(TokenRefused::Count);
        }
        let mut recognised: Vec<RecognisedToken<'k, 't>> = Vec::with_capacity(tokens.len());
        for token in tokens {
            let token = self.recognise(token, allowed, now_s)?;
            if token.class() != due.class {
                return Err(TokenRefused::Class);
            }
            let nullifier = token.nullifier();
            if recognised
                .iter()
                .any(|other| other.nullifier() == nullifier)
            {
                return Err(TokenRefused::Twice);
            }
            recognised.push(token);
        }
        Ok(Payment(recognised))
    }
}

impl Payment<'_, '_> {
    /// What would be stored and where, in the order of the tokens.
    pub fn nullifiers(&self) -> impl Iterator<Item = (SpendSet, Nullifier)> {
        self.0
            .iter()
            .map(|token| (token.spend_set(), token.nullifier()))
    }

    /// Checks every authenticator.
    pub fn verify(&self) -> Result<Vec<VerifiedToken>, TokenRefused> {
        self.0.iter().map(RecognisedToken::verify).collect()
    }
}
