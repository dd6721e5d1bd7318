//! Owns getting commits through: send, wait for the echo, or lose the race and build again.
//!
//! Invariant: a commit whose fate is unknown stays pending and is repeated byte for byte; it is
//! dropped only after the hub certainly refused it and the stream was read to its end.

use crate::core::{Core, outcome};
use crate::engine::external::Entrance;
use crate::engine::plan::Plan;
use crate::error::{ClientError, GroupStatus, Result};
use crate::events::Event;
use crate::transport::Endpoint;
use sordino_rules::PendingKind;
use sordino_wire::{
    Digest, ExternalCommitInformation, GroupAccess, GroupId, Reject, RequestBody, ResponseBody,
};
use std::time::Duration;
use tls_codec::VLBytes;

/// How often a commit is built before the caller hears of it.
const ATTEMPTS: u32 = 12;
/// How often the stream is read for an echo that must be there.
const ECHO_READS: u32 = 20;

/// For how long a commit waits by itself where its group is over its budget, in seconds.
const PATIENCE_S: u32 = 5;

/// An update that changes nothing but gives the members this device's identity entry.
const PAY_IDENTITY: Plan = Plan::Update {
    rotate: false,
    move_generation: false,
};

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driven {
    Won,
    Lost,
}

impl Core {
    /// Carries out a plan, whatever others commit meanwhile.
    pub(crate) async fn commit(&self, id: GroupId, plan: &Plan) -> Result<()> {
        let cell = self.cell(id);
        let _turn = cell.turn.lock().await;
        self.make_active(id).await?;
        self.commit_in_turn(id, plan).await
    }

    pub(crate) async fn commit_in_turn(&self, id: GroupId, plan: &Plan) -> Result<()> {
        for attempt in 0..ATTEMPTS {
            self.finish_pending(id).await?;
            self.catch_up(id).await?;
            if plan.is_update() && self.must_commit(id).await? {
                // An update contains nothing else, so what others asked for goes first.
                if self.build_and_drive(id, &Plan::CommitPending).await? == Driven::Lost {
                    self.pause(attempt).await;
                    continue;
                }
            }
            if (plan.adds() || plan.is_update()) && self.owes_identity(id).await? {
                // The update that pays it is the last moment to ask who the others are.
                self.learn_members(id).await?;
                // Whoever is added believes the giver by its identity entry: that goes first.
                if plan.adds() && self.build_and_drive(id, &PAY_IDENTITY).await? == Driven::Lost {
                    self.pause(attempt).await;
                    continue;
                }
            }
            if matches!(plan, Plan::CommitPending) && !self.may_commit(id).await? {
                return Ok(());
            }
            if self.build_and_drive(id, plan).await? == Driven::Won {
                return Ok(());
            }
            self.pause(attempt).await;
        }
        Err(ClientError::Contended)
    }

    /// Whether proposals are pending that every commit of a member must contain.
    pub(crate) async fn must_commit(&self, id: GroupId) -> Result<bool> {
        self.view(id, |group, _| {
            let own = group.own_index()?;
            let pending = group.pending()?;
            let leaving = pending.iter().any(|p| p.leaving() == Some(own));
            Ok(!leaving && pending.iter().any(|p| p.leaving().is_some()))
        })
        .await
    }

    /// Whether the members do not have this device's identity entry yet.
    async fn owes_identity(&self, id: GroupId) -> Result<bool> {
        self.view(id, |group, _| Ok(group.state.owes_identity == 1))
            .await
    }

    /// Whether there is anything to commit for others.
    async fn may_commit(&self, id: GroupId) -> Result<bool> {
        self.view(id, |group, _| {
            let show = group.policy()?.identities == sordino_wire::IdentityRule::None;
            Ok(group
                .pending()?
                .iter()
                .any(|p| p.leaving().is_some() || (show && matches!(p.kind, PendingKind::Add(_)))))
        })
        .await
    }

    async fn build_and_drive(&self, id: GroupId, plan: &Plan) -> Result<Driven> {
        let hash = self
            .step(id, |group, tools, step| {
                group.build_commit(tools, step, plan)?;
                let pending = group.state.pending.as_ref();
                pending
                    .map(|pending| pending.commit_hash)
                    .ok_or(ClientError::Mls("there is no pending commit"))
            })
            .await?;
        self.drive(id, hash).await
    }

    /// Brings a commit from before to its end.
    pub(crate) async fn finish_pending(&self, id: GroupId) -> Result<()> {
        let hash = self
            .view(id, |group, _| {
                Ok(group.state.pending.as_ref().map(|p| p.commit_hash))
            })
            .await?;
        match hash {
            Some(hash) => self.drive(id, hash).await.map(|_| ()),
            None => Ok(()),
        }
    }

    async fn drive(&self, id: GroupId, hash: Digest) -> Result<Driven> {
        for _ in 0..ECHO_READS {
            let Some(request) = self.pending_request(id, hash).await? else {
                return self.fate(id, hash).await;
            };
            let answer = self.post(Endpoint::Operation, &request, 0).await?;
            match outcome(answer)? {
                Ok(_) => {
                    self.catch_up(id).await?;
                    if self.pending_request(id, hash).await?.is_some() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                Err(Reject::StaleTime { hub_time_s }) => {
                    self.learn_time(hub_time_s);
                    self.catch_up(id).await?;
                    self.sign_pending_again(id, hash).await?;
                }
                Err(Reject::Unavailable { .. }) => return Err(ClientError::Unreachable),
                Err(reject) => return self.refused(id, hash, reject).await,
            }
        }
        Err(ClientError::Unreachable)
    }

    async fn pending_request(&self, id: GroupId, hash: Digest) -> Result<Option<Vec<u8>>> {
        self.view(id, |group, _| {
            let pending = group.state.pending.as_ref();
            let same = pending.filter(|pending| pending.commit_hash == hash);
            Ok(same.map(|pending| pending.request.as_slice().to_vec()))
        })
        .await
    }

    async fn fate(&self, id: GroupId, hash: Digest) -> Result<Driven> {
        self.view(id, |group, _| {
            Ok(if group.state.last_own_commit == Some(hash) {
                Driven::Won
            } else {
                Driven::Lost
            })
        })
        .await
    }

    /// The hub refused; unless the stream tells otherwise, the commit is gone.
    async fn refused(&self, id: GroupId, hash: Digest, reject: Reject) -> Result<Driven> {
        self.catch_up(id).await?;
        if self.pending_request(id, hash).await?.is_none() {
            return self.fate(id, hash).await;
        }
        let too_old = reject == Reject::Generation;
        self.step(id, |group, _, _| {
            if too_old {
                // The hub counts the generation's age; the next attempt moves it.
                group.state.generation_started_s = 0;
            }
            group.drop_own(hash)
        })
        .await?;
        match reject {
            Reject::WrongEpoch { .. } | Reject::MissingProposals { .. } | Reject::Generation => {
                Ok(Driven::Lost)
            }
            // The group is over its budget of handshakes, and will not be before long.
            Reject::RateLimited { retry_after_s } if retry_after_s <= PATIENCE_S => {
                tokio::time::sleep(Duration::from_secs(u64::from(retry_after_s))).await;
                Ok(Driven::Lost)
            }
            Reject::AwaitingConfirmation => {
                self.hand_on_questions(id).await?;
                Err(ClientError::Refused(reject))
            }
            reject => Err(ClientError::Refused(reject)),
        }
    }

    /// The request grew old before the hub took it: the same commit in a fresh envelope.
    async fn sign_pending_again(&self, id: GroupId, hash: Digest) -> Result<()> {
        self.step(id, |group, tools, _| {
            let Some(pending) = group.state.pending.as_ref() else {
                return Ok(());
            };
            if pending.commit_hash != hash {
                return Ok(());
            }
            let request = group.sign_commit_again(tools, pending)?;
            if let Some(pending) = group.state.pending.as_mut() {
                pending.request = VLBytes::new(request);
            }
            Ok(())
        })
        .await
    }

    /// Comes in by an external commit, whatever others commit meanwhile.
    pub(crate) async fn enter(&self, id: GroupId, entrance: &Entrance) -> Result<()> {
        for attempt in 0..ATTEMPTS {
            let access = self.view(id, |group, _| group.access()).await?;
            let information = match self.external_information(access).await? {
                Ok(information) => information,
                Err(reject) => return Err(ClientError::Refused(reject)),
            };
            self.build_external(id, entrance, &information).await?;
            if self.drive_external(id).await? == Driven::Won {
                return Ok(());
            }
            self.pause(attempt).await;
        }
        Err(ClientError::Contended)
    }

    pub(crate) async fn build_external(
        &self,
        id: GroupId,
        entrance: &Entrance,
        information: &ExternalCommitInformation,
    ) -> Result<()> {
        let hub_key = self.hub_key().await?;
        self.step(id, |group, tools, step| {
            let counter = information.position.counter;
            if counter < group.state.counter {
                step.events.push(Event::RolledBack { group: id });
                group.state.counter = counter;
            }
            group.build_external(tools, &hub_key, entrance, information)
        })
        .await
    }

    /// Asks for what an external commit is built from.
    pub(crate) async fn external_information(
        &self,
        access: GroupAccess,
    ) -> Result<std::result::Result<ExternalCommitInformation, Reject>> {
        let body = RequestBody::ExternalCommitInformation(access);
        match self
            .ask(Endpoint::ExternalCommitInformation, body, 0)
            .await?
        {
            ResponseBody::ExternalCommitInformation(information) => Ok(Ok(information)),
            ResponseBody::Rejected(reject) => Ok(Err(reject)),
            _ => Err(ClientError::BadAnswer),
        }
    }

    /// Sends an external commit until the stream delivers it or another one.
    pub(crate) async fn drive_external(&self, id: GroupId) -> Result<Driven> {
        let mut sent = None;
        for _ in 0..ECHO_READS {
            let external = self
                .view(id, |group, _| {
                    Ok(group.external.as_ref().map(|external| {
                        (external.commit_hash, external.request.as_slice().to_vec())
                    }))
                })
                .await?;
            let Some((hash, request)) = external else {
                return match sent {
                    Some(hash) => self.fate(id, hash).await,
                    None => Ok(Driven::Lost),
                };
            };
            sent = Some(hash);
            let answer = self.post(Endpoint::Operation, &request, 0).await?;
            match outcome(answer)? {
                Ok(_) => {
                    self.catch_up(id).await?;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(Reject::Unavailable { .. }) => return Err(ClientError::Unreachable),
                Err(reject) => return self.external_refused(id, hash, reject).await,
            }
        }
        Err(ClientError::Unreachable)
    }

    async fn external_refused(&self, id: GroupId, hash: Digest, reject: Reject) -> Result<Driven> {
        self.catch_up(id).await?;
        let too_old = reject == Reject::Generation;
        let gone = self
            .step(id, |group, _, _| {
                if too_old {
                    // As above: the next attempt moves it.
                    group.state.generation_started_s = 0;
                }
                let same = group.external.as_ref().map(|e| e.commit_hash) == Some(hash);
                if same {
                    group.external = None;
                }
                Ok(!same)
            })
            .await?;
        if gone {
            return self.fate(id, hash).await;
        }
        match reject {
            Reject::StaleTime { hub_time_s } => {
                self.learn_time(hub_time_s);
                Ok(Driven::Lost)
            }
            Reject::WrongEpoch { .. } | Reject::Generation => Ok(Driven::Lost),
            reject => Err(ClientError::Refused(reject)),
        }
    }

    /// Sends a signed request of a member that is not a commit, signing again where it is stale.
    pub(crate) async fn member_request(
        &self,
        id: GroupId,
        make: impl Fn(
            &mut crate::engine::state::LoadedGroup,
            &crate::engine::tools::Tools<'_>,
        ) -> Result<Vec<u8>>,
    ) -> Result<std::result::Result<(), Reject>> {
        for _ in 0..3 {
            let request = self.step(id, |group, tools, _| make(group, tools)).await?;
            let answer = self.post(Endpoint::Operation, &request, 0).await?;
            match outcome(answer)? {
                Ok(_) => return Ok(Ok(())),
                Err(Reject::StaleTime { hub_time_s }) => self.learn_time(hub_time_s),
                Err(reject) => return Ok(Err(reject)),
            }
        }
        Err(ClientError::Unreachable)
    }

    /// Whether a group may be written to.
    pub(crate) async fn status(&self, id: GroupId) -> Result<GroupStatus> {
        self.view(id, |group, _| Ok(group.state.status)).await
    }
}
