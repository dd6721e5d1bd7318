//! Owns getting messages out.
//!
//! Invariant: in order, one at a time, each with the same bytes until the hub has it; encrypted
//! again only after the hub certainly refused it and the stream does not show it.

use crate::core::{Core, outcome};
use crate::error::{ClientError, Result};
use crate::transport::Endpoint;
use sordino_wire::{GroupId, MemberContent, Reject};

/// How often one message is tried before the caller hears of it.
const ATTEMPTS: u32 = 12;

impl Core {
    /// Sends a message; it is durable here before it goes out, and at the hub afterwards.
    pub(crate) async fn send(&self, id: GroupId, content: &MemberContent) -> Result<()> {
        let cell = self.cell(id);
        let _turn = cell.turn.lock().await;
        self.make_active(id).await?;
        self.finish_pending(id).await?;
        self.commit_what_must_be(id).await?;
        let number = self
            .step(id, |group, tools, _| group.queue_message(tools, content))
            .await?;
        self.flush_in_turn(id, Some(number)).await
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
                Err(error) => {
                    self.give_up(id, number).await?;
                    if until == Some(number) {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn send_one(&self, id: GroupId, number: u64) -> Result<()> {
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
            let answer = self.post(Endpoint::Operation, &request, 0).await?;
            match outcome(answer)? {
                Ok(_) => return self.accepted(id, number).await,
                Err(Reject::WrongEpoch { .. }) => {
                    self.catch_up(id).await?;
                    self.step(id, |group, tools, _| group.encrypt_again(tools, number))
                        .await?;
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

    async fn give_up(&self, id: GroupId, number: u64) -> Result<()> {
        self.step(id, |group, _, _| {
            group
                .state
                .outbox
                .retain(|outgoing| outgoing.number != number);
            Ok(())
        })
        .await
    }
}
