//! Stage 2, pay: what concerns somebody else costs tokens, for whoever asks is nobody here.
//!
//! Owns: which requests have a price. Invariant: nothing is read of any account, and nothing is
//! written, for a request whose tokens are not what they must be.

use crate::Shared;
use crate::admit::Admitted;
use crate::outcome::Refusal;
use sordino_effects::{Bill, Env, Paid, Records, Unpaid};
use sordino_wire::{AccountReject, AccountRequestBody, PricedOperation};

/// What has a price.
pub(crate) fn priced(body: &AccountRequestBody) -> Option<PricedOperation> {
    match body {
        AccountRequestBody::LookUp(_) => Some(PricedOperation::LookUp),
        AccountRequestBody::SendConnectionRequest(_) => Some(PricedOperation::ConnectionRequest),
        _ => None,
    }
}

/// Takes what an operation costs. Ends the request where it was done before with these tokens, but
/// for a look-up, which was paid for once and changes nothing.
pub(crate) fn pay(
    shared: &Shared,
    records: &dyn Records,
    env: &Env<'_>,
    admitted: &mut Admitted,
    operation: PricedOperation,
) -> Result<(), Refusal> {
    let Some(price) = env.origin.price(operation, 1) else {
        return Ok(());
    };
    let bill = Bill {
        price,
        tokens: &admitted.tokens,
        request: admitted.body_hash,
    };
    match bill.pay(&shared.outer, records, env) {
        Ok(Paid::Now(payment)) => {
            admitted.settlement.payment = Some(payment);
            Ok(())
        }
        Ok(Paid::Before(_)) if operation == PricedOperation::LookUp => Ok(()),
        Ok(Paid::Before(_)) => Err(Refusal::Repeated),
        Err(unpaid) => Err(match unpaid {
            Unpaid::Required => AccountReject::TokenRequired {
                price,
                challenge: env.origin.challenge(),
            }
            .into(),
            Unpaid::Invalid { index } => AccountReject::TokenInvalid { index }.into(),
            Unpaid::Spent { index } => AccountReject::DoubleSpent { index }.into(),
            Unpaid::Fault(fault) => fault.into(),
        }),
    }
}
