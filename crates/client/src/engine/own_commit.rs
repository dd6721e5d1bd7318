//! Owns the end of this device's own commit: merged when it comes back, or dropped when it lost.
//!
//! Invariant: it is merged exactly when the stream delivers it, never on the hub's word alone.

use crate::engine::process::{Flow, operation_of};
use crate::engine::state::{LoadedGroup, Step};
use crate::engine::tools::Tools;
use crate::error::{ClientError, GroupStatus, Result, mls};
use openmls::prelude::OpenMlsProvider;
use sordino_rules::Operation;
use sordino_wire::{DeliveredCommit, Digest};

impl LoadedGroup {
    /// The own commit was delivered.
    pub(crate) fn merge_own(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        delivered: &DeliveredCommit,
    ) -> Result<Flow> {
        let pending = self
            .state
            .pending
            .take()
            .ok_or(ClientError::Mls("there is no pending commit"))?;
        let (group, provider) = self.mls_mut()?;
        group
            .merge_pending_commit(provider)
            .map_err(mls("the own commit does not merge"))?;
        self.clear_epoch();
        self.keys.rotation = pending.rotation;
        self.state.last_own_commit = Some(pending.commit_hash);
        if pending.pays_identity == 1 {
            self.state.owes_identity = 0;
            self.state.owes_rotation = 0;
        }
        if pending.invite_code.is_some() {
            self.keys.invite_code = pending.invite_code;
        }
        for record in pending.identities {
            self.state
                .identities
                .retain(|known| known.credential != record.credential);
            self.state.identities.push(record);
        }
        let moved = pending.next.is_some();
        if let Some(next) = pending.next {
            self.enter_generation(step, next);
        }
        let own = self.own_credential()?;
        let by = Some(self.person(&own)?);
        let operation = operation_of(pending.operation);
        self.settle(tools, step, operation, by, delivered)?;
        if operation == Operation::Delete {
            // The hub has dropped the group; no stream will say so to whoever dropped it.
            self.state.status = GroupStatus::Deleted;
            return Ok(Flow::Stop);
        }
        Ok(if moved { Flow::Stop } else { Flow::On })
    }

    /// The hub certainly did not take the own commit.
    pub(crate) fn drop_own(&mut self, commit_hash: Digest) -> Result<()> {
        let same = |pending: &crate::records::PendingCommit| pending.commit_hash == commit_hash;
        if !self.state.pending.as_ref().is_some_and(same) {
            return Ok(());
        }
        self.state.pending = None;
        let (group, provider) = self.mls_mut()?;
        group
            .clear_pending_commit(provider.storage())
            .map_err(mls("the pending commit stays"))
    }
}
