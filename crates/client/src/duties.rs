//! Owns what a member owes: confirmations, answers, removals, its identity, a fresh leaf key.
//!
//! Invariant: a chore is found in the group's durable state and struck off after it is done, so
//! that it is done at least once and, where once is enough, by whoever is first.

use crate::core::Core;
use crate::drive::Driven;
use crate::engine::plan::Plan;
use crate::error::{ClientError, GroupStatus, Result};
use crate::events::Event;
use crate::records::Trouble;
use crate::recover::leaf_request;
use crate::transport::Endpoint;
use sordino_wire::{
    Digest, GroupAccess, GroupId, IdentityRule, Membership, Reject, RequestBody, ResponseBody,
};
use std::sync::atomic::Ordering;

/// How long a device waits before it asks again who unidentified members are, in seconds.
const LOOK_AGAIN_S: u64 = 15;

/// What is to be done about a group, as a list without secrets.
pub(crate) struct Chores {
    pub(crate) status: GroupStatus,
    pending: bool,
    pub(crate) external: bool,
    wrong_keys: bool,
    outbox: bool,
    confirm: bool,
    questions: Vec<Digest>,
    removals: bool,
    owes_identity: bool,
    owes_rotation: bool,
    secret_known: bool,
    /// Members whose identity should be known and is not.
    unidentified: bool,
    pub(crate) asked_s: Option<u64>,
}

impl Core {
    /// Does for a group whatever is due.
    pub(crate) async fn tend(&self, id: GroupId) -> Result<()> {
        let cell = self.cell(id);
        // Somebody else's turn: it is tended after that.
        let Ok(_turn) = cell.turn.try_lock() else {
            return Ok(());
        };
        self.tend_in_turn(id).await
    }

    /// The same, in one's own turn.
    pub(crate) async fn tend_in_turn(&self, id: GroupId) -> Result<()> {
        let chores = self.chores(id).await?;
        match chores.status {
            GroupStatus::Recovering => return self.come_back(id, &chores).await,
            GroupStatus::Joining => return self.finish_joining(id).await,
            GroupStatus::Active => {}
            _ => return Ok(()),
        }
        if chores.pending {
            self.finish_pending(id).await?;
        }
        if chores.wrong_keys {
            self.rekey(id).await?;
        }
        if chores.confirm {
            self.confirm(id).await?;
        }
        for digest in &chores.questions {
            self.answer(id, *digest).await?;
        }
        if chores.outbox {
            self.flush_in_turn(id, None).await?;
        }
        if chores.removals && self.must_commit(id).await? {
            unless_awaiting(self.commit_in_turn(id, &Plan::CommitPending).await)?;
        }
        self.pay(id, &chores).await?;
        if chores.unidentified && chores.secret_known {
            self.look_again(id).await?;
        }
        Ok(())
    }

    /// Some members are unidentified: they owe their entry, or this device missed it. Asking now
    /// and then tells which.
    async fn look_again(&self, id: GroupId) -> Result<()> {
        let cell = self.cell(id);
        let now_s = self.now_s();
        let asked_s = cell.asked_members_s.load(Ordering::Relaxed);
        if asked_s != 0 && now_s.saturating_sub(asked_s) < LOOK_AGAIN_S {
            return Ok(());
        }
        cell.asked_members_s.store(now_s.max(1), Ordering::Relaxed);
        if asked_s == 0 {
            // Most follow at once by themselves.
            return Ok(());
        }
        self.learn_members(id).await
    }

    /// Brings a join that was interrupted to its end, one way or the other.
    async fn finish_joining(&self, id: GroupId) -> Result<()> {
        match self.drive_external(id).await {
            Ok(Driven::Won) => Ok(()),
            Ok(Driven::Lost) | Err(ClientError::Refused(_)) => {
                self.forget(id).await?;
                self.events.send_all(vec![Event::JoinFailed { group: id }]);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn chores(&self, id: GroupId) -> Result<Chores> {
        let now_s = self.now_s();
        self.view(id, |group, _| {
            let state = &group.state;
            Ok(Chores {
                status: state.status,
                pending: state.pending.is_some(),
                external: group.external.is_some(),
                wrong_keys: state
                    .trouble
                    .iter()
                    .any(|trouble| matches!(trouble, Trouble::WrongKeys { .. })),
                outbox: state.outbox.iter().any(|outgoing| outgoing.accepted == 0),
                confirm: state.confirmation.is_some_and(|due| due.due_s <= now_s),
                questions: state
                    .questions
                    .iter()
                    .filter(|question| question.due_s <= now_s)
                    .map(|question| question.digest)
                    .collect(),
                removals: state.removals_due_s.is_some_and(|due_s| due_s <= now_s),
                owes_identity: state.owes_identity == 1,
                owes_rotation: state.owes_rotation == 1,
                unidentified: group
                    .policy()
                    .is_ok_and(|p| p.identities == IdentityRule::All)
                    && group
                        .mls()
                        .is_ok_and(|mls| mls.members().count() > state.identities.len()),
                secret_known: group.group_secret().is_ok_and(|secret| secret.is_some()),
                asked_s: state.asked.as_ref().map(|asked| asked.asked_s),
            })
        })
        .await
    }

    /// What a member owes: a fresh leaf key after a resync, its identity after a join by link.
    async fn pay(&self, id: GroupId, chores: &Chores) -> Result<()> {
        if chores.owes_identity && !chores.secret_known {
            return self.ask_unless_asked(id, chores).await;
        }
        if chores.owes_rotation || chores.owes_identity {
            let plan = Plan::Update {
                rotate: chores.owes_rotation,
                move_generation: false,
            };
            unless_awaiting(self.commit_in_turn(id, &plan).await)?;
        }
        Ok(())
    }

    /// Asks who the members are, once the key for it is there.
    pub(crate) async fn learn_members(&self, id: GroupId) -> Result<()> {
        let access = self.view(id, |group, _| group.access()).await?;
        let membership = self.inspect(access).await?.map_err(ClientError::Refused)?;
        self.step(id, |group, _, step| {
            if group.group_secret()?.is_none() {
                // It may arrive between this and the update that ends the asking.
                return Err(ClientError::SecretUnknown);
            }
            let position = membership.position;
            if (position.epoch, position.generation) != (group.epoch()?, group.generation()?) {
                // The roster of another tree than this device has: it is asked for again.
                return Ok(());
            }
            for evidence in group.learn_roster(&membership.roster)? {
                let event = group.evidence(evidence);
                step.events.push(event);
            }
            step.events.push(Event::RosterChanged { group: id });
            Ok(())
        })
        .await
    }

    /// Roster and tree as the hub has them.
    pub(crate) async fn inspect(
        &self,
        access: GroupAccess,
    ) -> Result<std::result::Result<Membership, Reject>> {
        let body = RequestBody::InspectMembership(access);
        match self
            .ask(Endpoint::ExternalCommitInformation, body, 0)
            .await?
        {
            ResponseBody::Membership(membership) => Ok(Ok(membership)),
            ResponseBody::Rejected(reject) => Ok(Err(reject)),
            _ => Err(ClientError::BadAnswer),
        }
    }

    /// "These keys open the state for me too."
    async fn confirm(&self, id: GroupId) -> Result<()> {
        let _ = self
            .member_request(id, |group, tools| {
                let body = RequestBody::ConfirmKeys(group.access()?);
                leaf_request(group, tools, group.epoch()?, body)
            })
            .await?;
        self.step(id, |group, _, _| {
            group.state.confirmation = None;
            Ok(())
        })
        .await
    }

    /// Opens the state without changing it: whoever could confirm may wait for an answer itself,
    /// and the hub hands questions on when a member opens the state, not when it refuses one.
    pub(crate) async fn hand_on_questions(&self, id: GroupId) -> Result<()> {
        let opened = self
            .member_request(id, |group, tools| {
                let body = RequestBody::ConfirmKeys(group.access()?);
                leaf_request(group, tools, group.epoch()?, body)
            })
            .await;
        match opened {
            Err(ClientError::Unreachable) => Err(ClientError::Unreachable),
            _ => Ok(()),
        }
    }

    /// Answers somebody's key request.
    async fn answer(&self, id: GroupId, digest: Digest) -> Result<()> {
        let _ = self
            .member_request(id, |group, tools| group.answer_question(tools, digest))
            .await?;
        self.step(id, |group, _, _| {
            group.state.questions.retain(|q| q.digest != digest);
            Ok(())
        })
        .await
    }
}

/// Where somebody else must open the state first, the next round tries again.
fn unless_awaiting(result: Result<()>) -> Result<()> {
    match result {
        Err(ClientError::Refused(Reject::AwaitingConfirmation)) => Ok(()),
        other => other,
    }
}
