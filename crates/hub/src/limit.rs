//! Stage 5, limit: how much is too much, without knowing of whom (design page 4).
//!
//! Owns: whose budget each request counts against. Invariant: a budget is touched by those alone who
//! showed that it is theirs: members that of their group, a pseudonym its own, outsiders the one for
//! outsiders. What brings a member back (resync, rekey, key request, confirming keys) and reading
//! count against none, so no flood of others keeps anybody out.

use crate::admit::Admitted;
use crate::authenticate::Who;
use crate::outcome::Refusal;
use crate::pay::pay_price;
use crate::state::{GroupState, OpenedHead};
use crate::{Env, HubShared};
use sordino_effects::Records;
use sordino_effects::{Subject, TooMuch};
use sordino_wire::{IdentifierUri, InboxId, PricedOperation, Reject};

/// A message of somebody in the group. Above the group's budget it takes a token, or a leaf's
/// signature in its place: scarcity never makes a sender show itself.
pub(crate) fn message(
    shared: &HubShared,
    records: &dyn Records,
    env: &Env<'_>,
    admitted: &mut Admitted,
    opened: &OpenedHead,
) -> Result<(), Refusal> {
    let subject = Subject::Messages(&opened.head.group_id);
    let Err(TooMuch { retry_after_s }) = env.limiter.take(subject, admitted.size_bytes) else {
        return Ok(());
    };
    match env.origin.price(PricedOperation::SendOverBudget, 1) {
        Some(price) => pay_price(shared, records, env, admitted, price, retry_after_s),
        None => Err(Reject::RateLimited { retry_after_s }.into()),
    }
}

/// A commit or proposals.
pub(crate) fn handshake(
    env: &Env<'_>,
    admitted: &Admitted,
    state: &GroupState,
    who: &Who,
) -> Result<(), Refusal> {
    let group_id = &state.head().group_id;
    match who {
        Who::Leaf { user, .. } => {
            pseudonym(env, admitted, state, user)?;
            take(env, Subject::Handshakes(group_id), admitted.size_bytes)
        }
        // A user comes back, or brings a new device: that must always go.
        Who::User { .. } => Ok(()),
        Who::Joiner { .. } => take(env, Subject::Joins(group_id), admitted.size_bytes),
    }
}

/// What a leaf signs.
pub(crate) fn pseudonym(
    env: &Env<'_>,
    admitted: &Admitted,
    state: &GroupState,
    user: &IdentifierUri,
) -> Result<(), Refusal> {
    let subject = Subject::Pseudonym(&state.head().group_id, user);
    take(env, subject, admitted.size_bytes)
}

/// What somebody does with an inbox whose secret it has.
pub(crate) fn inbox(env: &Env<'_>, id: &InboxId, bytes: usize) -> Result<(), Refusal> {
    take(env, Subject::Inbox(id), bytes)
}

fn take(env: &Env<'_>, subject: Subject<'_>, bytes: usize) -> Result<(), Refusal> {
    env.limiter
        .take(subject, bytes)
        .map_err(|TooMuch { retry_after_s }| Reject::RateLimited { retry_after_s }.into())
}
