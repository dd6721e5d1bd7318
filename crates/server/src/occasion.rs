//! Owns what the server gives to one request beside time and randomness: what limits it, what takes
//! its tokens, what came in its headers.
//!
//! Invariant: it is made once per request and kept however often the request is handled anew, so
//! that nothing is counted twice and no token is verified twice.
//! Never sees an address: a network is a name that means nothing outside this process.

use crate::mint::Mint;
use sordino_effects::{DrawBook, Issuer, Limiter, NotIssued, Origin, Spend, Subject, TooMuch};
use sordino_limiter::Attempt;
use sordino_wire::{
    BatchResponseBytes, Domain, DrawTokens, PricedOperation, TokenBytes, TokenChallengeBytes,
    TokenClass, TokenPrice, TokenTerms,
};
use std::sync::{Arc, Mutex, PoisonError};

/// One request, from its headers to its answer.
pub(crate) struct Occasion {
    attempt: Attempt,
    mint: Arc<Mint>,
    /// The provider whose accounts draw here.
    provider: Domain,
    pub(crate) header_token: Option<TokenBytes>,
    verified: Mutex<Vec<Spend>>,
}

impl Occasion {
    pub(crate) fn new(
        attempt: Attempt,
        mint: Arc<Mint>,
        provider: Domain,
        header_token: Option<TokenBytes>,
    ) -> Self {
        Self {
            attempt,
            mint,
            provider,
            header_token,
            verified: Mutex::default(),
        }
    }
}

impl Limiter for Occasion {
    fn take(&self, subject: Subject<'_>, bytes: usize) -> Result<(), TooMuch> {
        self.attempt.take(subject, bytes)
    }
}

impl Origin for Occasion {
    fn price(&self, operation: PricedOperation, entries: usize) -> Option<TokenPrice> {
        self.mint.price(operation, entries)
    }

    fn terms(&self, now_s: u64) -> TokenTerms {
        self.mint.terms(now_s)
    }

    fn challenge(&self) -> TokenChallengeBytes {
        self.mint.challenge()
    }

    fn identify(&self, token: &[u8], class: TokenClass, now_s: u64) -> Option<Spend> {
        self.mint.identify(token, class, now_s)
    }

    fn verify(&self, token: &[u8], spend: &Spend, now_s: u64) -> bool {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.contains(spend) {
            return true;
        }
        let genuine = self.mint.verify(token, now_s);
        if genuine {
            verified.push(*spend);
        }
        genuine
    }
}

impl Issuer for Occasion {
    fn draw_book(&self, class: TokenClass, epoch: u64, now_s: u64) -> Option<DrawBook> {
        self.mint.draw_book(class, epoch, now_s)
    }

    fn issue(&self, draw: &DrawTokens, now_s: u64) -> Result<BatchResponseBytes, NotIssued> {
        self.take(Subject::Provider(&self.provider), 0)
            .map_err(NotIssued::TooMuch)?;
        self.mint.issue_batch(draw, now_s)
    }
}
