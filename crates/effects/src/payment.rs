//! Owns paying for a request with tokens (design page 4).
//!
//! Invariant: tokens are spent in the transaction of what they pay for, all of them or none; a
//! request that is refused keeps them. The same request with the same tokens is the same request:
//! it gets its answer again. Checks come in the order of their cost, so that garbage is refused
//! before a curve is touched, and before anything is written.

use crate::changes::{Changes, Spend};
use crate::env::Env;
use crate::records::Records;
use crate::replay::{Remembered, ReplaySlot};
use crate::step::Fault;
use sordino_crypto::{OuterKeys, sha256};
use sordino_wire::limits::MAX_TOKENS_PER_REQUEST;
use sordino_wire::{Digest, List, Outcome, TokenBytes, TokenPrice, Tokens, encode};
use tls_codec::{TlsSerialize, TlsSize};

/// What is to be paid, and with what.
pub struct Bill<'a> {
    /// How much.
    pub price: TokenPrice,
    /// The tokens in the envelope.
    pub tokens: &'a Tokens,
    /// What makes the request the same one, however it is authenticated.
    pub request: Digest,
}

/// Tokens that are good, and will be spent.
pub struct Payment {
    spends: Vec<Spend>,
    receipt: ReplaySlot,
}

/// How a request stands that has its tokens.
pub enum Paid {
    /// They are good.
    Now(Payment),
    /// The same request was done with them before, and came to this.
    Before(Outcome),
}

/// Why a request is not paid for. Nothing was spent.
#[derive(Debug, PartialEq, Eq)]
pub enum Unpaid {
    /// There are fewer tokens than it costs, or more.
    Required,
    /// A token is none.
    Invalid {
        /// Which.
        index: u8,
    },
    /// A token was spent on another request, or stands here twice.
    Spent {
        /// Which.
        index: u8,
    },
    /// The client is not told.
    Fault(Fault),
}

impl From<Fault> for Unpaid {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a receipt is for: other tokens make another request.
#[derive(TlsSerialize, TlsSize)]
struct Purchase {
    request: Digest,
    spent: List<[u8; 16], MAX_TOKENS_PER_REQUEST>,
}

impl Bill<'_> {
    /// Checks the tokens.
    pub fn pay(
        &self,
        outer: &OuterKeys,
        records: &dyn Records,
        env: &Env<'_>,
    ) -> Result<Paid, Unpaid> {
        let tokens: Vec<&TokenBytes> = env
            .header_token
            .into_iter()
            .chain(self.tokens.iter())
            .collect();
        if tokens.len() != usize::from(self.price.tokens) {
            return Err(Unpaid::Required);
        }
        let spends = self.identify(&tokens, env)?;
        let receipt = self.receipt(outer, &spends, env)?;
        for (index, spend) in (0u8..).zip(&spends) {
            if !records.spent(spend).map_err(Fault::from)? {
                continue;
            }
            return match receipt.look_up(records)? {
                Remembered::Same(outcome) => Ok(Paid::Before(outcome)),
                Remembered::Nothing | Remembered::Other => Err(Unpaid::Spent { index }),
            };
        }
        for ((index, token), spend) in (0u8..).zip(&tokens).zip(&spends) {
            if !env.origin.verify(token.as_slice(), spend, env.now_s) {
                return Err(Unpaid::Invalid { index });
            }
        }
        Ok(Paid::Now(Payment { spends, receipt }))
    }

    fn identify(&self, tokens: &[&TokenBytes], env: &Env<'_>) -> Result<Vec<Spend>, Unpaid> {
        let mut spends: Vec<Spend> = Vec::with_capacity(tokens.len());
        for (index, token) in (0u8..).zip(tokens) {
            let spend = env
                .origin
                .identify(token.as_slice(), self.price.class, env.now_s)
                .ok_or(Unpaid::Invalid { index })?;
            if spends.contains(&spend) {
                return Err(Unpaid::Spent { index });
            }
            spends.push(spend);
        }
        Ok(spends)
    }

    /// It lies at the first token's place, and opens for the same request with the same tokens.
    fn receipt(
        &self,
        outer: &OuterKeys,
        spends: &[Spend],
        env: &Env<'_>,
    ) -> Result<ReplaySlot, Unpaid> {
        let first = spends.first().ok_or(Unpaid::Required)?;
        let nullifiers = spends.iter().map(|spend| spend.nullifier).collect();
        let purchase = Purchase {
            request: self.request,
            spent: List::new(nullifiers).map_err(|_| Unpaid::Required)?,
        };
        let request = sha256(&encode(&purchase).map_err(Fault::from)?);
        Ok(ReplaySlot::receipt(
            outer,
            &first.nullifier,
            env.now_s,
            &request,
        )?)
    }
}

impl Payment {
    /// Spends the tokens with the changes that they pay for, and keeps what these came to.
    pub fn settle(
        &self,
        outcome: &Outcome,
        changes: &mut Changes,
        env: &mut Env<'_>,
    ) -> Result<(), Fault> {
        changes.spend.extend_from_slice(&self.spends);
        changes.replay.push(self.receipt.remember(outcome, env)?);
        Ok(())
    }
}
