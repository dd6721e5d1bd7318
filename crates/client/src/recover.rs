//! Owns coming back: rekey, random rekey, resync.
//!
//! Invariant: every way back ends in an external commit over the leaf key that is in the tree, and
//! is followed by a rotation; nothing here needs the MLS state that broke.

use crate::core::Core;
use crate::drive::Driven;
use crate::duties::Chores;
use crate::engine::external::Entrance;
use crate::engine::state::LoadedGroup;
use crate::engine::tools::Tools;
use crate::envelope::Signing;
use crate::error::{ClientError, GroupStatus, Result};
use crate::events::{Event, Recovery};
use crate::records::{GenerationRecord, SpareKeys, Trouble};
use sordino_wire::{
    Digest, ExternalCommitInformation, GroupAccess, GroupId, Reject, RekeyRequest, ReportCommit,
    RequestBody, Secret32,
};

impl Core {
    /// Gives the hub the keys that the commit really gives (page 2.4, rule 2).
    pub(crate) async fn rekey(&self, id: GroupId) -> Result<()> {
        let answer = self
            .member_request(id, |group, tools| {
                let ear_key_before = group
                    .state
                    .trouble
                    .iter()
                    .find_map(|trouble| match trouble {
                        Trouble::WrongKeys { ear_key_before } => Some(ear_key_before.duplicate()),
                        _ => None,
                    })
                    .ok_or(ClientError::NotInGroup)?;
                let body = RequestBody::Rekey(RekeyRequest {
                    access: GroupAccess {
                        group_id: group.id(),
                        ear_key: ear_key_before,
                    },
                    ear_key: group.current()?.ear_key.duplicate(),
                    sender_key: group.sender_key()?.secret().duplicate(),
                });
                leaf_request(group, tools, group.epoch()?, body)
            })
            .await?;
        self.step(id, |group, _, step| {
            group
                .state
                .trouble
                .retain(|trouble| !matches!(trouble, Trouble::WrongKeys { .. }));
            if answer.is_ok() {
                step.events.push(Event::Recovered {
                    group: id,
                    how: Recovery::Rekeyed,
                });
            }
            Ok(())
        })
        .await
    }

    /// Finds the way back that is open.
    pub(crate) async fn come_back(&self, id: GroupId, chores: &Chores) -> Result<()> {
        if chores.external {
            return self.drive_external(id).await.map(|_| ());
        }
        match self.information_by_any_key(id).await? {
            Ok(information) => {
                self.ask_about_outbox(id).await?;
                self.report(id).await?;
                self.build_external(id, &Entrance::Resync, &information)
                    .await?;
                match self.drive_external(id).await? {
                    Driven::Won => Ok(()),
                    Driven::Lost => {
                        self.pause(0).await;
                        Ok(())
                    }
                }
            }
            Err(Reject::Unavailable { .. } | Reject::RateLimited { .. }) => {
                Err(ClientError::Unreachable)
            }
            Err(_) => {
                if self.random_rekey(id).await? {
                    return Ok(());
                }
                self.ask_unless_asked(id, chores).await
            }
        }
    }

    /// What the hub has under the key in force, or under the one that an own commit of unknown fate
    /// would have brought.
    async fn information_by_any_key(
        &self,
        id: GroupId,
    ) -> Result<std::result::Result<ExternalCommitInformation, Reject>> {
        let access = self.view(id, |group, _| group.access()).await?;
        let refusal = match self.external_information(access).await? {
            Ok(information) => return Ok(Ok(information)),
            Err(refusal) => refusal,
        };
        let pending = self
            .view(id, |group, _| {
                let pending = group.state.pending.as_ref();
                let next = pending.and_then(|pending| pending.next.as_ref());
                Ok(next.map(|next| GroupAccess {
                    group_id: id,
                    ear_key: next.ear_key.duplicate(),
                }))
            })
            .await?;
        let Some(access) = pending else {
            return Ok(Err(refusal));
        };
        let Ok(information) = self.external_information(access).await? else {
            return Ok(Err(refusal));
        };
        self.step(id, |group, _, step| {
            let pending = group.state.pending.take();
            if let Some(next) = pending.and_then(|pending| pending.next) {
                group.enter_generation(step, next);
            }
            Ok(())
        })
        .await?;
        Ok(Ok(information))
    }

    /// Lets a group that is coming back do so now, if it can.
    pub(crate) async fn make_active(&self, id: GroupId) -> Result<()> {
        for _ in 0..3 {
            if self.status(id).await? != GroupStatus::Recovering {
                break;
            }
            self.tend_in_turn(id).await?;
        }
        self.view(id, |group, _| group.require_active()).await
    }

    /// Tells the others of a commit that does not process. Its refusal changes nothing.
    async fn report(&self, id: GroupId) -> Result<()> {
        let trouble = self.unprocessable(id).await?;
        let Some((commit_hash, epoch)) = trouble else {
            return Ok(());
        };
        let _ = self
            .member_request(id, |group, tools| {
                let body = RequestBody::ReportCommit(ReportCommit {
                    access: group.access()?,
                    commit_hash,
                });
                leaf_request(group, tools, epoch, body)
            })
            .await?;
        Ok(())
    }

    async fn unprocessable(&self, id: GroupId) -> Result<Option<(Digest, u64)>> {
        self.view(id, |group, _| {
            Ok(group
                .state
                .trouble
                .iter()
                .find_map(|trouble| match trouble {
                    Trouble::Unprocessable {
                        commit_hash, epoch, ..
                    } => Some((*commit_hash, *epoch)),
                    _ => None,
                }))
        })
        .await
    }

    /// A bad commit moved the generation to a key that this member cannot derive: a random key
    /// opens the state, on the way to a resync that moves the generation again.
    async fn random_rekey(&self, id: GroupId) -> Result<bool> {
        let Some((_, epoch)) = self.unprocessable(id).await? else {
            return Ok(false);
        };
        if self.mls_lost(id).await? {
            return Ok(false);
        }
        let ear_key = self.draw_spare(id).await?;
        let answer = self
            .member_request(id, |group, tools| {
                let spare = spare_of(group).ok_or(ClientError::NotInGroup)?;
                let body = RequestBody::Rekey(RekeyRequest {
                    access: group.access()?,
                    ear_key: spare.ear_key.duplicate(),
                    sender_key: spare.sender_key.duplicate(),
                });
                leaf_request(group, tools, epoch, body)
            })
            .await?;
        if answer.is_err() {
            return Ok(false);
        }
        self.step(id, |group, _, step| {
            let generation = group.generation()?.saturating_add(1);
            group.push_generation(GenerationRecord {
                generation,
                ear_key: ear_key.duplicate(),
                group_secret: None,
            });
            group.state.cursor = 0;
            step.events.push(Event::Recovered {
                group: id,
                how: Recovery::RandomRekey,
            });
            Ok(())
        })
        .await?;
        Ok(true)
    }

    /// Kept before they are sent, so that a crash does not lose the only keys.
    async fn draw_spare(&self, id: GroupId) -> Result<Secret32> {
        self.step(id, |group, tools, _| {
            for trouble in &mut group.state.trouble {
                if let Trouble::Unprocessable { spare, .. } = trouble {
                    let keys = spare.get_or_insert_with(|| SpareKeys {
                        ear_key: Secret32::new(tools.entropy.array()),
                        sender_key: Secret32::new(tools.entropy.array()),
                    });
                    return Ok(keys.ear_key.duplicate());
                }
            }
            Err(ClientError::NotInGroup)
        })
        .await
    }

    async fn mls_lost(&self, id: GroupId) -> Result<bool> {
        self.view(id, |group, _| Ok(group.mls.is_none())).await
    }
}

fn spare_of(group: &LoadedGroup) -> Option<&SpareKeys> {
    group
        .state
        .trouble
        .iter()
        .find_map(|trouble| match trouble {
            Trouble::Unprocessable { spare, .. } => spare.as_ref(),
            _ => None,
        })
}

/// A request signed by the own leaf.
pub(crate) fn leaf_request(
    group: &LoadedGroup,
    tools: &Tools<'_>,
    epoch: u64,
    body: RequestBody,
) -> Result<Vec<u8>> {
    let leaf = group.leaf(tools.device)?;
    let signing = Signing::Leaf {
        index: group.own_index()?,
        key: &leaf.key,
    };
    tools.seal(group, epoch, body, &signing, Some(&leaf.key))
}
