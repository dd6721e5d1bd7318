//! Owns getting messages out.
//!
//! Invariant: in order, one at a time, each with the same bytes until the hub has it; encrypted
//! again only after the hub certainly refused it and the stream does not show it. Where that cannot
//! be found out, the application is told.

use crate::core::{Core, outcome};
use crate::engine::outgoing::application;
use crate::error::{ClientError, GroupStatus, Result};
use crate::events::Event;
use crate::transport::Endpoint;
use sordino_wire::{GroupId, MemberContent, Reject};

/// How often one message is tried before the caller hears of it.
const ATTEMPTS: u32 = 12;
/// How often a group may come back while one message is sent.
const RETURNS: u32 = 3;

impl Core {
    /// Sends a message; it is durable here before it goes out, and at the hub afterwards.
    pub(crate) async fn send(&self, id: GroupId, content: &MemberContent) -> Result<()> {
        let cell = self.cell(id);
        let _turn = cell.turn.lock().await;
        self.make_active(id).await?;
        self.finish_pending(id).await?;
        self.commit_what_must_be(id).await?;
        self.make_active(id).await?;
        let number = self
            .step(id, |group, tools, _| group.queue_message(tools, content))
            .await?;
        cell.note_unposted(number);
        for _ in 0..RETURNS {
            match self.flush_in_turn(id, Some(number)).await {
                Err(ClientError::Inactive(GroupStatus::Recovering)) => {}
                outcome => return outcome,
            }
            // The group has to come back first.
            if let Err(error) = self.make_active(id).await {
                return self.not_now(id, number, error).await;
            }
        }
        let error = ClientError::Inactive(GroupStatus::Recovering);
        self.not_now(id, number, error).await
    }

    /// The caller hears that its message was not sent, so it is not; unless it may be at the hub.
    async fn not_now(&self, id: GroupId, number: u64, error: ClientError) -> Result<()> {
        if !self.cell(id).is_unposted(number) {
            return Err(ClientError::Unreachable);
        }
        self.give_up(id, number, false).await?;
        Err(error)
    }

    /// Nobody speaks in an epoch that somebody has asked to leave: what is pending goes first.
    /// Where that is not possible, the message is not held up by it.
    async fn commit_what_must_be(&self, id: GroupId) -> Result<()> {
        if !self.must_commit(id).await? {
            return Ok(());
        }
        match self
            .commit_in_turn(id, &crate::engine::plan::Plan::CommitPending)
            .await
        {
            Err(ClientError::Unreachable) => Err(ClientError::Unreachable),
            _ => Ok(()),
        }
    }

    /// Sends what is in the outbox.
    pub(crate) async fn flush_in_turn(&self, id: GroupId, until: Option<u64>) -> Result<()> {
        loop {
            let next = self
                .view(id, |group, _| {
                    let waiting = group.state.outbox.iter().find(|o| o.accepted == 0);
                    Ok(waiting.map(|o| o.number))
                })
                .await?;
            let Some(number) = next else {
                return Ok(());
            };
            match self.send_one(id, number).await {
                Ok(()) => {}
                Err(error @ (ClientError::Unreachable | ClientError::Queued { .. })) => {
                    return Err(error);
                }
                // It is sent when the group is back.
                Err(error @ ClientError::Inactive(GroupStatus::Recovering)) => return Err(error),
                Err(error) if until == Some(number) => {
                    self.give_up(id, number, false).await?;
                    return Err(error);
                }
                Err(_) => self.give_up(id, number, true).await?,
            }
        }
    }

    async fn send_one(&self, id: GroupId, number: u64) -> Result<()> {
        let cell = self.cell(id);
        for attempt in 0..ATTEMPTS {
            let request = self
                .view(id, |group, _| {
                    let waiting = group.outgoing(number).filter(|o| o.accepted == 0);
                    Ok(waiting.map(|o| o.request.as_slice().to_vec()))
                })
                .await?;
            let Some(request) = request else {
                return Ok(());
            };
            if request.is_empty() {
                self.encrypt_again(id, number).await?;
                continue;
            }
            let fresh = cell.note_posted(number);
            let outcome = outcome(self.post(Endpoint::Operation, &request, 0).await?)?;
            if fresh && outcome.as_ref().is_err_and(is_certain) {
                cell.note_unposted(number);
            }
            match outcome {
                Ok(_) => return self.accepted(id, number).await,
                Err(Reject::WrongEpoch { .. }) => {
                    self.catch_up(id).await?;
                    self.encrypt_again(id, number).await?;
                    if attempt > 0 {
                        self.pause(attempt).await;
                    }
                }
                Err(Reject::StaleTime { hub_time_s }) => {
                    self.learn_time(hub_time_s);
                    self.catch_up(id).await?;
                    self.step(id, |group, tools, _| group.sign_again(tools, number))
                        .await?;
                }
                Err(Reject::Unavailable { .. }) => return Err(ClientError::Unreachable),
                Err(
                    Reject::RateLimited { retry_after_s }
                    | Reject::TokenRequired { retry_after_s, .. },
                ) => return Err(ClientError::Queued { retry_after_s }),
                Err(reject) => return Err(ClientError::Refused(reject)),
            }
        }
        Err(ClientError::Contended)
    }

    /// What the hub refused and the stream does not show is not there.
    async fn encrypt_again(&self, id: GroupId, number: u64) -> Result<()> {
        self.step(id, |group, tools, _| group.encrypt_again(tools, number))
            .await?;
        self.cell(id).note_unposted(number);
        Ok(())
    }

    /// Before a return from outside: asks what became of messages whose answer was lost, for the
    /// stream will not be read to where it would tell.
    pub(crate) async fn ask_about_outbox(&self, id: GroupId) -> Result<()> {
        let waiting = self
            .view(id, |group, _| {
                let outbox = group.state.outbox.iter();
                let waiting =
                    outbox.filter(|o| o.accepted == 0 && !o.request.as_slice().is_empty());
                let waiting = waiting.map(|o| (o.number, o.request.as_slice().to_vec()));
                Ok(waiting.collect::<Vec<_>>())
            })
            .await?;
        let cell = self.cell(id);
        for (number, request) in waiting {
            if cell.is_unposted(number) {
                continue;
            }
            let answer = self.post(Endpoint::Operation, &request, 0).await?;
            match outcome(answer)? {
                Ok(_) => self.accepted(id, number).await?,
                Err(Reject::Unavailable { .. }) => return Err(ClientError::Unreachable),
                Err(_) => {}
            }
        }
        Ok(())
    }

    async fn accepted(&self, id: GroupId, number: u64) -> Result<()> {
        self.step(id, |group, _, _| {
            for outgoing in &mut group.state.outbox {
                if outgoing.number == number {
                    outgoing.accepted = 1;
                }
            }
            Ok(())
        })
        .await
    }

    /// Drops a message that the hub does not take, and tells the application if it is not waiting.
    async fn give_up(&self, id: GroupId, number: u64, tell: bool) -> Result<()> {
        self.step(id, |group, _, step| {
            let content = group.outgoing(number).and_then(application);
            if let (true, Some(content)) = (tell, content) {
                step.events.push(Event::NotSent {
                    group: id,
                    content,
                    may_have_arrived: false,
                });
            }
            group
                .state
                .outbox
                .retain(|outgoing| outgoing.number != number);
            Ok(())
        })
        .await
    }
}

/// Whether a refusal says that the hub does not have the message, if it did not have it before.
fn is_certain(reject: &Reject) -> bool {
    matches!(
        reject,
        Reject::WrongEpoch { .. }
            | Reject::StaleTime { .. }
            | Reject::RateLimited { .. }
            | Reject::TokenRequired { .. }
    )
}
