//! Owns moving rooms to new slots after a device was removed: the user comes in again under a
//! pseudonym that the removed device cannot derive, and the former one is removed.
//!
//! Invariant: a move is begun only where the policy lets anybody with the link in and members
//! remove; the user is never out of the room meanwhile, and the former pseudonym goes only once the
//! others of the user's devices have followed, or had the time to.

use crate::core::Core;
use crate::engine::external::Entrance;
use crate::engine::plan::Plan;
use crate::engine::state::GroupKind;
use crate::error::{ClientError, GroupStatus, Result};
use crate::records::GenerationRecord;
use crate::slots;
use crate::vault::Batch;
use sordino_rules::allows;
use sordino_wire::{Capability, Digest, GroupId, IdentifierUri, JoinRule, Secret32};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The moves that are under way.
const MOVES: &str = "devices/moves";
/// How long the user's other devices have to follow, in seconds.
const FOLLOW_S: u64 = 7 * 86_400;

/// One room.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct Move {
    group: GroupId,
    /// The pseudonym that is left behind.
    former: IdentifierUri,
    /// Not before.
    due_s: u64,
    /// The way in, kept before this device's state of the room is given up.
    way: Option<Way>,
}

/// A link, with the generation's secret, which a member knows.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct Way {
    generation: u64,
    ear_key: Secret32,
    group_secret: Option<Secret32>,
    code: Option<Digest>,
}

impl Core {
    fn moves(&self) -> Result<Vec<Move>> {
        Ok(self.vault.get(MOVES)?.unwrap_or_default())
    }

    fn keep_moves(&self, moves: &Vec<Move>) -> Result<()> {
        let mut batch = Batch::default();
        batch.put(MOVES, moves)?;
        Ok(self.vault.commit(&batch)?)
    }

    /// Rooms that admit it are moved, each at a random time of its own, so that nobody sees them
    /// move together.
    pub(super) async fn plan_moves(&self, groups: &[GroupId]) -> Result<()> {
        let mut moves = self.moves()?;
        for id in groups {
            let planned = moves.iter().any(|known| known.group == *id);
            if planned || !matches!(self.kind_of(*id), GroupKind::Room) {
                continue;
            }
            if let Some(former) = self.movable(*id).await? {
                moves.push(Move {
                    group: *id,
                    former,
                    due_s: self.later_s(self.delays.move_s),
                    way: None,
                });
            }
        }
        self.keep_moves(&moves)
    }

    /// This user's pseudonym in a room that it can leave and come into again by itself.
    async fn movable(&self, id: GroupId) -> Result<Option<IdentifierUri>> {
        if !matches!(self.status(id).await, Ok(GroupStatus::Active)) {
            return Ok(None);
        }
        self.view(id, |group, _| {
            let policy = group.policy()?;
            let own = group.own_credential()?.user_pseudonym;
            let admits = match policy.join {
                JoinRule::Open => true,
                JoinRule::Invite => group.keys.invite_code.is_some(),
                JoinRule::Closed | JoinRule::Connection => false,
            };
            let is_admin = policy.admins.iter().any(|admin| *admin == own);
            // A pseudonym that nobody has met yet stands for a member without a role.
            let stranger = IdentifierUri::new("mimi://nobody/u/nobody")?;
            let may_remove = allows(&policy, &stranger, Capability::Remove);
            Ok((admits && may_remove && !is_admin).then_some(own))
        })
        .await
    }

    /// Brings moves on that are under way.
    pub(super) async fn go_on_moving(&self) -> Result<()> {
        let mut moves = self.moves()?;
        let mut first_error = None;
        let mut index = 0;
        while index < moves.len() {
            let Some(current) = moves.get_mut(index) else {
                break;
            };
            let done = if current.due_s > self.now_s() {
                Ok(false)
            } else {
                self.move_on(current).await
            };
            match done {
                Ok(true) => {
                    moves.remove(index);
                }
                Ok(false) => index += 1,
                Err(error) => {
                    first_error.get_or_insert(error);
                    index += 1;
                }
            }
            self.keep_moves(&moves)?;
        }
        match first_error {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// One step of a move; says whether it is at its end.
    async fn move_on(&self, current: &mut Move) -> Result<bool> {
        let id = current.group;
        let status = match self.status(id).await {
            Ok(status) => Some(status),
            Err(ClientError::NotInGroup) => None,
            Err(error) => return Err(error),
        };
        match status {
            Some(GroupStatus::Joining | GroupStatus::Recovering) => return Ok(false),
            Some(GroupStatus::Active) => {}
            None if current.way.is_some() => {}
            // It is over for this user in another way.
            _ => return Ok(true),
        }
        let own = match status {
            None => None,
            Some(_) => {
                let own = self
                    .view(id, |group, _| Ok(group.own_credential()?.user_pseudonym))
                    .await?;
                Some(own)
            }
        };
        if own.is_some_and(|own| own != current.former) {
            return self.leave_former(current).await;
        }
        if current.way.is_none() {
            self.catch_up(id).await?;
            if self.movable(id).await?.is_none() {
                return Ok(true);
            }
            current.way = Some(self.way_into(id).await?);
            let mut moves = self.moves()?;
            moves.retain(|known| known.group != id);
            moves.push(current.duplicate()?);
            self.keep_moves(&moves)?;
        }
        self.come_in_anew(current).await?;
        Ok(false)
    }

    async fn way_into(&self, id: GroupId) -> Result<Way> {
        self.view(id, |group, _| {
            let current = group.current()?;
            Ok(Way {
                generation: current.generation,
                ear_key: current.ear_key.duplicate(),
                group_secret: current.group_secret.as_ref().map(Secret32::duplicate),
                code: group.keys.invite_code,
            })
        })
        .await
    }

    async fn come_in_anew(&self, current: &mut Move) -> Result<()> {
        let Some(way) = current.way.take() else {
            return Ok(());
        };
        let id = current.group;
        let number = self.device().user_secret_number()?;
        let slot = slots::reserve_for_group(&self.vault, number, &self.hub_domain, id)?;
        let generation = GenerationRecord {
            generation: way.generation,
            ear_key: way.ear_key,
            group_secret: way.group_secret,
        };
        let entrance = way.code.map_or(Entrance::Open, Entrance::Invite);
        self.enter_group_anew(id, slot, generation, &entrance).await
    }

    /// The former pseudonym is removed once the user's other devices are in under the new one.
    async fn leave_former(&self, current: &Move) -> Result<bool> {
        let id = current.group;
        let user = self.device().credential().user.clone();
        let devices = self.known_devices()?;
        let (there, followed) = self
            .view(id, |group, _| {
                let own = group.own_credential()?.user_pseudonym;
                let people = group.people()?;
                let there = people
                    .iter()
                    .any(|person| person.user_pseudonym == current.former);
                let here = people.iter().filter(|person| {
                    person.user_pseudonym == own
                        && person.identity.as_ref().is_some_and(|i| i.user == user)
                });
                Ok((there, here.count() >= devices.len()))
            })
            .await?;
        if !there {
            return Ok(true);
        }
        let late = self.now_s() > current.due_s.saturating_add(FOLLOW_S);
        if !followed && !late {
            return Ok(false);
        }
        let plan = Plan::RemoveUsers(vec![current.former.clone()]);
        match self.commit(id, &plan).await {
            Ok(()) | Err(ClientError::NoSuchMember) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl Move {
    fn duplicate(&self) -> Result<Self> {
        let bytes = zeroize::Zeroizing::new(sordino_wire::encode(self)?);
        Ok(sordino_wire::exact(&bytes)?)
    }
}
