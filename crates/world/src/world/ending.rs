//! Owns how a world ends: the faults stop, and all come together, with the same messages.
//!
//! Invariant: from here on nothing fails, so that whoever stays apart has no excuse but those that
//! are named.

use super::{World, unexplained};
use crate::act::{connections, rooms};
use crate::clock::DAY_S;
use crate::device::Device;
use crate::hub::STREAM_ENTRY_DAYS;
use crate::ledger::short;
use crate::shown::{Shown, compare};
use crate::violation::Violation;
use sordino_client::{Client, GroupStatus};
use sordino_wire::GroupId;
use std::collections::{BTreeMap, BTreeSet};

/// Rounds in which all must come together.
const ROUNDS: u32 = 90;
/// The one before which more days pass than keys wait for being confirmed: where all who could have
/// lost their state, nobody confirms them.
const LATE_ROUND: u32 = 60;
/// Between two of them, in seconds.
const ROUND_S: u64 = 20;
/// So often somebody does something meanwhile.
const STIR_EVERY: u32 = 4;
/// So often a day passes.
const DAY_EVERY: u32 = 20;
impl World {
    /// The faults stop, and all come together.
    pub(super) async fn end(&mut self) -> Result<(), Violation> {
        self.network.set_faulty(false);
        {
            let mut hub = self.network.hub();
            hub.faulty = false;
            hub.audit()?;
            hub.crash()?;
        }
        self.gather().await?;
        let last_words = self.last_words().await?;
        self.gather().await?;
        self.check().await?;
        self.compare_shown(&last_words).await
    }

    /// Rounds until nobody is apart from the others.
    async fn gather(&mut self) -> Result<(), Violation> {
        let mut apart = None;
        for round in 1..=ROUNDS {
            self.clock.jump(ROUND_S);
            if round == LATE_ROUND {
                let days = u64::from(STREAM_ENTRY_DAYS).saturating_add(1);
                self.clock.jump(days.saturating_mul(DAY_S));
                self.network.hub().upkeep()?;
            }
            if round.is_multiple_of(STIR_EVERY) {
                self.stir().await;
            }
            if round.is_multiple_of(DAY_EVERY) {
                // What was asked and not answered is asked again the day after.
                self.clock.jump(DAY_S);
            }
            let clients: Vec<(usize, Client)> = self.clients().collect();
            for (device, client) in clients {
                // In trouble, a round may fail; the next one goes on.
                let outcome = client.sync_once().await;
                if self.plan.verbose
                    && let Err(error) = &outcome
                {
                    println!("    round {round}: {device}: {error}");
                }
                let told = self.devices.get_mut(device).map(Device::told);
                self.heard(device, told.unwrap_or_default())?;
            }
            self.network.hub().audit()?;
            apart = self.apart().await;
            if apart.is_none() {
                let rounds = u64::from(round);
                self.figures
                    .checks
                    .add_many("rounds to come together", rounds);
                return Ok(());
            }
        }
        match apart {
            Some((group, how)) => Err(Violation::NotConverged {
                group: short(group),
                how,
            }),
            None => Ok(()),
        }
    }

    /// A member of each room does something: the hub hands questions on when a member opens the
    /// state, and opens nothing by itself.
    async fn stir(&mut self) {
        let mut stirred = BTreeSet::new();
        let clients: Vec<(usize, Client)> = self.clients().collect();
        for (device, client) in clients {
            let mut groups = rooms(&client, true).await;
            groups.extend(connections(&client).await);
            for group in groups {
                let id = group.id();
                if self.leaving.contains(&(device, id)) || stirred.contains(&id) {
                    continue;
                }
                let outcome = group.update().await;
                if self.plan.verbose {
                    println!("    stir {} {device}: {outcome:?}", short(id));
                }
                if outcome.is_ok() {
                    stirred.insert(id);
                }
            }
        }
    }

    /// Everybody says something in every room; all must hear it.
    async fn last_words(&mut self) -> Result<Vec<(GroupId, String)>, Violation> {
        let mut words = Vec::new();
        let clients: Vec<(usize, Client)> = self.clients().collect();
        for (device, client) in clients {
            for room in rooms(&client, true).await {
                let active = matches!(room.status().await, Ok(GroupStatus::Active));
                if !active || self.is_abandoned(room.id()).await {
                    continue;
                }
                let text = format!("the last word of device {device}");
                let sent = room.send(text.as_bytes()).await;
                sent.map_err(unexplained(device, "last word"))?;
                self.accepted.push((device, room.id(), text.clone()));
                words.push((room.id(), text));
            }
        }
        Ok(words)
    }

    /// Whether all who are in a group have asked to leave it.
    async fn is_abandoned(&self, id: GroupId) -> bool {
        for (device, client) in self.clients() {
            let Ok(group) = client.group(id).await else {
                continue;
            };
            let inside = matches!(
                group.status().await,
                Ok(GroupStatus::Active | GroupStatus::Joining | GroupStatus::Recovering)
            );
            if inside && !self.leaving.contains(&(device, id)) {
                return false;
            }
        }
        true
    }

    async fn compare_shown(&mut self, last_words: &[(GroupId, String)]) -> Result<(), Violation> {
        let mut shown: BTreeMap<GroupId, Vec<Shown>> = BTreeMap::new();
        for (device, client) in self.clients() {
            let mut groups = rooms(&client, true).await;
            groups.extend(connections(&client).await);
            for group in groups {
                if !matches!(group.status().await, Ok(GroupStatus::Active)) {
                    continue;
                }
                let messages = group.messages(0, usize::MAX).await.unwrap_or_default();
                let epochs = messages.iter().map(|message| message.epoch).collect();
                let texts = messages
                    .into_iter()
                    .map(|message| String::from_utf8_lossy(&message.content).into_owned());
                let joined = self.joined.get(&(device, group.id())).copied();
                shown.entry(group.id()).or_default().push(Shown {
                    device,
                    texts: texts.collect(),
                    epochs,
                    joined: joined.unwrap_or(0),
                    excused: self.excused.contains(&(device, group.id())),
                });
            }
        }
        let mut compared = 0;
        for (id, shown) in &shown {
            compare(&short(*id), shown)?;
            for one in shown {
                let must = self.accepted.iter().filter(|(device, group, _)| {
                    *device == one.device && group == id && !one.excused
                });
                let must = must.map(|(_, _, text)| text);
                let last = last_words.iter().filter(|(group, _)| group == id);
                for text in must.chain(last.map(|(_, text)| text)) {
                    compared += 1;
                    if !one.texts.contains(text) {
                        return Err(Violation::NotShown {
                            group: short(*id),
                            device: one.device,
                            text: text.clone(),
                        });
                    }
                }
            }
        }
        self.figures
            .checks
            .add_many("messages that must be shown", compared);
        Ok(())
    }
}
