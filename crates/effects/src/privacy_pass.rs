//! Owns what services ask of Privacy Pass (RFC 9576): the origin that takes tokens, the issuer that
//! makes them, and what an attester writes down.
//!
//! Invariant: what an origin is shown and what an issuer is shown have nothing in common. The trait
//! [`Origin`] is the seam for other proofs of spending.

use crate::changes::Spend;
use crate::limiter::TooMuch;
use sordino_wire::{
    BatchResponseBytes, Bytes, DrawTokens, List, PricedOperation, TokenChallengeBytes, TokenClass,
    TokenPrice, TokenTerms,
};

/// Takes tokens.
pub trait Origin {
    /// What an operation on so many entries costs, unless nothing.
    fn price(&self, operation: PricedOperation, entries: usize) -> Option<TokenPrice>;

    /// What everybody may know.
    fn terms(&self, now_s: u64) -> TokenTerms;

    /// The challenge of the type that clients draw.
    fn challenge(&self) -> TokenChallengeBytes;

    /// What spending a token inserts, if it is well formed, for a key of the class that is valid
    /// now, and for this origin's challenge. Hashes at most; no curve is touched.
    fn identify(&self, token: &[u8], class: TokenClass, now_s: u64) -> Option<Spend>;

    /// Whether the token that was identified so is one of this issuer's.
    fn verify(&self, token: &[u8], spend: &Spend, now_s: u64) -> bool;
}

/// Where an attester writes down who drew in a class and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawBook {
    /// The set in which each account that drew stands once; it ends with the epoch's key.
    pub set: [u8; 8],
    /// The last day on which the key is of use.
    pub last_day: u32,
}

/// Why no batch is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotIssued {
    /// No tokens of the class and epoch are issued now.
    EpochClosed,
    /// The batch is not one.
    InvalidBatch,
    /// Too many for one provider.
    TooMuch(TooMuch),
}

/// Makes tokens.
pub trait Issuer {
    /// Where draws of a class and epoch are written down; `None`: they are not issued now.
    fn draw_book(&self, class: TokenClass, epoch: u64, now_s: u64) -> Option<DrawBook>;

    /// Evaluates one whole batch. The same batch gets the same answer, byte for byte.
    fn issue(&self, draw: &DrawTokens, now_s: u64) -> Result<BatchResponseBytes, NotIssued>;
}

/// An origin at which everything is free, and an issuer that issues nothing.
pub struct Free;

impl Origin for Free {
    fn price(&self, _: PricedOperation, _: usize) -> Option<TokenPrice> {
        None
    }

    fn terms(&self, _: u64) -> TokenTerms {
        let nothing = b"{}".as_slice();
        TokenTerms {
            directory: Bytes::new(nothing).unwrap_or_default(),
            price_list: Bytes::new(nothing).unwrap_or_default(),
            batches: List::default(),
        }
    }

    fn challenge(&self) -> TokenChallengeBytes {
        // Nobody is asked for a token where everything is free.
        TokenChallengeBytes::default()
    }

    fn identify(&self, _: &[u8], _: TokenClass, _: u64) -> Option<Spend> {
        None
    }

    fn verify(&self, _: &[u8], _: &Spend, _: u64) -> bool {
        false
    }
}

impl Issuer for Free {
    fn draw_book(&self, _: TokenClass, _: u64, _: u64) -> Option<DrawBook> {
        None
    }

    fn issue(&self, _: &DrawTokens, _: u64) -> Result<BatchResponseBytes, NotIssued> {
        Err(NotIssued::EpochClosed)
    }
}
