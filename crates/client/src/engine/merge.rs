//! Owns what follows from a commit that was merged: keys, roster, what is due, what is told.
//!
//! Invariant: after a commit, nothing of the former epoch is pending any more.

use crate::engine::process::Flow;
use crate::engine::state::{LoadedGroup, Step};
use crate::engine::tools::Tools;
use crate::error::{GroupStatus, Result, mls};
use crate::events::Event;
use crate::records::{DueGeneration, GenerationRecord};
use openmls::group::PastEpochDeletionPolicy;
use sordino_rules::{Member, Operation, Verdict};
use sordino_wire::{DeliveredCommit, DeliveredProposal, IdentityRule};

/// A commit of somebody else, merged.
pub(crate) struct Merged<'a> {
    pub(crate) delivered: &'a DeliveredCommit,
    pub(crate) verdict: Verdict,
    /// Where the generation moves.
    pub(crate) next: Option<GenerationRecord>,
    /// Whether it removed this device.
    pub(crate) evicted: bool,
}

impl LoadedGroup {
    /// Brings keys and roster to the new epoch.
    pub(crate) fn after_merge(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        merged: Merged<'_>,
    ) -> Result<Flow> {
        self.clear_epoch();
        if merged.evicted {
            self.state.status = GroupStatus::Removed;
            step.events.push(Event::Removed { group: self.id() });
            return Ok(Flow::Stop);
        }
        let committer = merged.verdict.members.get(merged.verdict.committer);
        let moved = merged.next.is_some();
        if let Some(next) = merged.next {
            let by_own_user = match committer {
                Some(member) => member.credential.user_pseudonym == self.own_user()?,
                None => false,
            };
            self.enter_generation(step, next);
            let chain_broken = merged.delivered.wrapper.is_none();
            if chain_broken && self.policy()?.identities == IdentityRule::All {
                // Newcomers cannot walk back to this device's entry, so it makes a new one.
                self.state.owes_identity = 1;
            }
            if !by_own_user {
                self.plan_confirmation(tools, step)?;
            }
        }
        let leaves: Vec<Member> = merged
            .verdict
            .entry_leaves
            .iter()
            .filter_map(|index| merged.verdict.members.get(*index).cloned())
            .collect();
        let entries = merged.delivered.identity_entries.as_slice();
        for evidence in self.learn_entries(&leaves, entries)? {
            let event = self.evidence(evidence);
            step.events.push(event);
        }
        let by = match committer {
            Some(member) => Some(self.person(&member.credential)?),
            None => None,
        };
        self.settle(tools, step, merged.verdict.operation, by, merged.delivered)?;
        Ok(if moved { Flow::Stop } else { Flow::On })
    }

    /// What own and others' commits have in common.
    pub(crate) fn settle(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        operation: Operation,
        by: Option<crate::events::Person>,
        delivered: &DeliveredCommit,
    ) -> Result<()> {
        self.prune_identities()?;
        self.fit_tolerance()?;
        let members = self.members()?;
        self.state.questions.retain(|question| {
            members
                .by_signature_key(&question.question.leaf_key)
                .is_some()
        });
        self.take_reissued(tools, step, delivered)?;
        let epoch = self.epoch()?;
        step.events.push(Event::Committed {
            group: self.id(),
            epoch,
            operation,
            by,
        });
        let same_roster = operation == Operation::ChangePolicy
            || (operation == Operation::Update && delivered.identity_entries.is_empty());
        if !same_roster {
            step.events.push(Event::RosterChanged { group: self.id() });
        }
        Ok(())
    }

    /// The hub's own proposals for the new epoch: whoever does not know them can make no commit
    /// that the hub takes, and process none that names them.
    pub(crate) fn take_reissued(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        delivered: &DeliveredCommit,
    ) -> Result<()> {
        for proposal in delivered.reissued.iter() {
            let proposal = DeliveredProposal {
                proposal: proposal.clone(),
                inbox: None,
            };
            self.process_proposal(tools, step, &proposal)?;
        }
        Ok(())
    }

    /// Keeps the secrets of as many past epochs as the policy accepts messages from.
    pub(crate) fn fit_tolerance(&mut self) -> Result<()> {
        let epochs = usize::from(self.policy()?.epoch_tolerance);
        let wanted = PastEpochDeletionPolicy::MaxEpochs(epochs);
        let (group, provider) = self.mls_mut()?;
        if group.past_epoch_deletion_policy() == &wanted {
            return Ok(());
        }
        group
            .set_past_epoch_deletion_policy(provider, wanted)
            .map_err(mls("the configuration is not kept"))
    }

    /// Forgets what was pending in the epoch that ended.
    pub(crate) fn clear_epoch(&mut self) {
        self.state.pending = None;
        self.state.proposals.clear();
        self.state.removals_due_s = None;
    }

    /// From here on, the group is read and written with the next generation's keys.
    pub(crate) fn enter_generation(&mut self, step: &Step, next: GenerationRecord) {
        self.push_generation(next);
        self.state.cursor = 0;
        self.state.generation_started_s = step.now_s;
        self.state.confirmation = None;
    }

    fn plan_confirmation(&mut self, tools: &Tools<'_>, step: &Step) -> Result<()> {
        let delay = tools
            .entropy
            .below(tools.delays.confirm_s.saturating_add(1));
        self.state.confirmation = Some(DueGeneration {
            generation: self.generation()?,
            due_s: step.now_s.saturating_add(delay),
        });
        Ok(())
    }
}
