//! Stage 4, pay: what costs tokens, for whoever asks has no standing here (design page 4).
//!
//! Owns: which requests have a price. Invariant: nothing is written, and no curve is touched, for a
//! request whose tokens are not what they must be; what members do in their group is free.

use crate::admit::Admitted;
use crate::outcome::Refusal;
use crate::state::GroupState;
use crate::{Env, HubShared};
use sordino_effects::Records;
use sordino_effects::{Bill, Paid, Unpaid};
use sordino_wire::{JoinRule, PricedOperation, Reject, RequestBody, ResponseBody, TokenPrice};

/// What has a price that no group needs to be opened for, and for how many entries.
pub(crate) fn priced(body: &RequestBody) -> Option<(PricedOperation, usize)> {
    match body {
        RequestBody::CreateGroup(_) => Some((PricedOperation::CreateGroup, 1)),
        RequestBody::OpenInbox(_) => Some((PricedOperation::OpenInbox, 1)),
        RequestBody::PublishKeyPackages(request) => {
            Some((PricedOperation::PublishKeyPackages, request.entries.len()))
        }
        _ => None,
    }
}

/// Coming in from outside, where the policy lets anybody in who has a link. A connection was paid
/// for by who asked for it.
pub(crate) fn join(
    shared: &HubShared,
    records: &dyn Records,
    env: &Env<'_>,
    admitted: &mut Admitted,
    state: &GroupState,
) -> Result<(), Refusal> {
    match state.head().policy.join {
        JoinRule::Invite | JoinRule::Open => {
            pay(shared, records, env, admitted, PricedOperation::Join, 1)
        }
        JoinRule::Closed | JoinRule::Connection => Ok(()),
    }
}

/// Takes what an operation costs. Ends the request where it was done before with these tokens.
pub(crate) fn pay(
    shared: &HubShared,
    records: &dyn Records,
    env: &Env<'_>,
    admitted: &mut Admitted,
    operation: PricedOperation,
    entries: usize,
) -> Result<(), Refusal> {
    match env.origin.price(operation, entries) {
        Some(price) => pay_price(shared, records, env, admitted, price, 0),
        None => Ok(()),
    }
}

/// Takes tokens. `retry_after_s`: when it would cost nothing, 0 where it always costs.
pub(crate) fn pay_price(
    shared: &HubShared,
    records: &dyn Records,
    env: &Env<'_>,
    admitted: &mut Admitted,
    price: TokenPrice,
    retry_after_s: u32,
) -> Result<(), Refusal> {
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
        Ok(Paid::Before(outcome)) => {
            let answer = ResponseBody::Done(outcome);
            Err(Refusal::Repeated(Box::new(answer)))
        }
        Err(unpaid) => Err(match unpaid {
            Unpaid::Required => Reject::TokenRequired {
                price,
                challenge: env.origin.challenge(),
                retry_after_s,
            }
            .into(),
            Unpaid::Invalid { index } => Reject::TokenInvalid { index }.into(),
            Unpaid::Spent { index } => Reject::DoubleSpent { index }.into(),
            Unpaid::Fault(fault) => fault.into(),
        }),
    }
}
