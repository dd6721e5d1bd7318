//! Owns what is settled together with a request's changes: its nonce, its tokens.
//!
//! Invariant: both are used up with the changes or not at all.

use crate::changes::Changes;
use crate::env::Env;
use crate::payment::Payment;
use crate::replay::ReplaySlot;
use crate::step::Fault;
use sordino_wire::Outcome;

/// What a request uses up when it succeeds.
#[derive(Default)]
pub struct Settlement {
    /// Where the outcome is remembered for its nonce.
    pub nonce: Option<ReplaySlot>,
    /// What it is paid with.
    pub payment: Option<Payment>,
}

impl Settlement {
    /// Adds it to the changes, with what they came to.
    pub fn settle(
        &self,
        outcome: &Outcome,
        changes: &mut Changes,
        env: &mut Env<'_>,
    ) -> Result<(), Fault> {
        if let Some(slot) = &self.nonce {
            changes.replay.push(slot.remember(outcome, env)?);
        }
        if let Some(payment) = &self.payment {
            payment.settle(outcome, changes, env)?;
        }
        Ok(())
    }
}
