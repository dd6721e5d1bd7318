//! Owns the two signed requests that change nothing of MLS: confirming keys, reporting a commit.

use super::attend::attend_alone;
use crate::admit::Admitted;
use crate::outcome::{Refusal, Step};
use crate::reseal::{Writer, outcome};
use crate::state::GroupState;
use crate::{Env, HubShared};
use sordino_effects::Records;
use sordino_wire::{DeliveredReport, DeliveryEvent, IdentifierUri, ReportCommit};

/// "These keys open the state for me too."
pub(crate) fn confirm_keys(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    mut state: GroupState,
    user: &IdentifierUri,
) -> Result<Step, Refusal> {
    let mut writer = Writer::new(shared, env);
    writer.expect(&state.opened)?;
    attend_alone(&mut writer, records, &mut state, user)?;
    let head = state.head();
    let outcome = outcome(head.epoch, head.counter);
    Ok(writer.finish(admitted.replay.as_ref(), outcome)?)
}

/// "I cannot process this commit": the members hold its key check already.
#[expect(
    clippy::too_many_arguments,
    reason = "the values of the stages before, each of its own"
)]
pub(crate) fn report(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    admitted: &Admitted,
    mut state: GroupState,
    leaf_index: u32,
    user: &IdentifierUri,
    request: &ReportCommit,
) -> Result<Step, Refusal> {
    let mut writer = Writer::new(shared, env);
    writer.expect(&state.opened)?;
    attend_alone(&mut writer, records, &mut state, user)?;
    let head = state.head();
    let report = DeliveredReport {
        leaf_index,
        commit_hash: request.commit_hash,
    };
    writer.deliver(
        &head.delivery_key,
        head.counter,
        DeliveryEvent::Reported(report),
    )?;
    let outcome = outcome(head.epoch, head.counter);
    Ok(writer.finish(admitted.replay.as_ref(), outcome)?)
}
