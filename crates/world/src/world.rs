//! Owns one world: its steps, what is looked at after each, and how it ends.
//!
//! Invariant: devices do things at the same time, in tasks of one thread; between two steps nobody
//! is in the middle of anything but copies of requests that are still under way.

mod ending;
mod meeting;
mod seats;

use crate::act::{Act, Offer, connections, rooms};
use crate::chance::Chance;
use crate::clock::{DAY_S, WorldClock};
use crate::device::Device;
use crate::figures::Figures;
use crate::hub::Hub;
use crate::ledger::short;
use crate::network::Network;
use crate::search::Search;
use crate::tell::{event_line, is_explained, kind_of};
use crate::violation::Violation;
use sha2::{Digest as _, Sha256};
use sordino_client::{Client, ClientError, Event, Group, Recovery, raw};
use sordino_server::Seeds;
use sordino_wire::{Domain, GroupId, IdentifierUri};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Longer than anything takes, with every attempt of every request lost.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// Absences end before the heads of silent streams die, which would begin their numbers anew.
const MAX_PASSED_S: u64 = 30 * DAY_S;
/// Which world is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How long it lasts.
    pub steps: u64,
    /// Whether each step is printed.
    pub verbose: bool,
}

/// What a world came to, as far as it must be the same each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// SHA-256 of everything that happened, step by step.
    pub digest: [u8; 32],
}

/// A rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In which world.
    pub plan: Plan,
    /// After which step; none: before the first or at the end.
    pub step: Option<u64>,
    /// Which rule.
    pub violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { seed, steps, .. } = self.plan;
        match self.step {
            Some(step) => writeln!(f, "seed {seed}, step {step}: {}", self.violation)?,
            None => writeln!(f, "seed {seed}: {}", self.violation)?,
        }
        write!(
            f,
            "repeat it: cargo run --release -p sordino-world -- --seed {seed} --steps {steps} --verbose"
        )
    }
}

/// Plays a world to its end.
///
/// # Errors
/// When a rule is broken.
pub fn play(plan: Plan) -> Result<(Figures, History), Failure> {
    let fails = |step| {
        move |violation| Failure {
            plan,
            step,
            violation,
        }
    };
    let runtime = runtime(plan.seed)
        .map_err(|e| fails(None)(Violation::DoesNotStart { why: e.to_string() }))?;
    runtime.block_on(async {
        let mut world = World::begin(plan).await.map_err(fails(None))?;
        world.network.set_faulty(true);
        world.network.hub().faulty = true;
        for step in 0..plan.steps {
            world.step(step).await.map_err(fails(Some(step)))?;
        }
        world.end().await.map_err(fails(None))?;
        Ok(world.sum_up())
    })
}

/// One thread, whose time passes when nothing is to be done, and whose chance is the seed's.
pub(crate) fn runtime(seed: u64) -> std::io::Result<tokio::runtime::Runtime> {
    let seeds = Seeds::new(seed);
    seeds.install();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .on_thread_start(move || seeds.install())
        .build()
}

pub(crate) struct World {
    plan: Plan,
    chance: Chance,
    pub(crate) clock: WorldClock,
    pub(crate) network: Arc<Network>,
    pub(crate) devices: Vec<Device>,
    search: Search,
    figures: Figures,
    history: Sha256,
    said: u64,
    /// Of each group and epoch, the secret that all members share.
    authenticators: BTreeMap<(GroupId, u64), Vec<u8>>,
    /// Where each device was in each of its groups.
    epochs: BTreeMap<(usize, GroupId), u64>,
    /// Where it was first.
    joined: BTreeMap<(usize, GroupId), u64>,
    /// As whom each device was last in each of its groups.
    leaves: BTreeMap<(usize, GroupId), IdentifierUri>,
    /// Devices that may have missed messages of a group.
    excused: BTreeSet<(usize, GroupId)>,
    /// Devices that asked to leave a group.
    leaving: BTreeSet<(usize, GroupId)>,
    /// Devices that have come into a group by a link, and users who were invited into it: whoever is
    /// both may have two leaves there, and go with one.
    linked: BTreeSet<(usize, GroupId)>,
    invited: BTreeSet<(IdentifierUri, GroupId)>,
    /// Messages that a device was told the hub has.
    accepted: Vec<(usize, GroupId, String)>,
    // Last: the folder goes when all else has.
    _folder: tempfile::TempDir,
}

/// One device's part of a step.
struct Part {
    device: usize,
    name: &'static str,
    group: Option<GroupId>,
    sends: Option<String>,
    task: JoinHandle<Option<Result<(), ClientError>>>,
}

impl World {
    /// A world in which nothing fails yet, and everybody knows somebody.
    pub(crate) async fn begin(plan: Plan) -> Result<Self, Violation> {
        let cannot = |why: String| Violation::DoesNotStart { why };
        let folder = tempfile::tempdir().map_err(|e| cannot(e.to_string()))?;
        let domain = Domain::new("hub.example").map_err(|_| cannot("domain".into()))?;
        let clock = WorldClock::begin();
        let mut chance = Chance::new(plan.seed, "world");
        let most = u64::try_from(Device::most()).unwrap_or(0);
        let count = usize::try_from(chance.between(3, most.min(5))).unwrap_or(3);
        let hub = Hub::start(
            folder.path(),
            &domain,
            &clock,
            Chance::new(plan.seed, "hub"),
        )?;
        let network = Network::new(hub, Chance::new(plan.seed, "network"), count, plan.verbose);
        let devices = (0..count).map(|index| {
            let chance = Chance::new(plan.seed, &format!("device {index}"));
            Device::new(index, &network, &clock, &domain, chance)
        });
        let devices = devices.collect();
        let mut world = Self {
            plan,
            chance,
            clock,
            devices,
            network,
            search: Search::default(),
            figures: Figures {
                seeds: 1,
                ..Figures::default()
            },
            history: Sha256::new(),
            said: 0,
            authenticators: BTreeMap::new(),
            epochs: BTreeMap::new(),
            joined: BTreeMap::new(),
            leaves: BTreeMap::new(),
            excused: BTreeSet::new(),
            leaving: BTreeSet::new(),
            linked: BTreeSet::new(),
            invited: BTreeSet::new(),
            accepted: Vec::new(),
            _folder: folder,
        };
        world.meet().await?;
        world.check().await?;
        Ok(world)
    }

    async fn step(&mut self, number: u64) -> Result<(), Violation> {
        self.figures.steps = self.figures.steps.saturating_add(1);
        self.surroundings()?;
        let parts = self.set_out().await;
        for part in parts {
            self.await_part(number, part).await?;
        }
        self.check().await
    }

    /// What happens to everybody: absences, partitions, the hub's power.
    fn surroundings(&mut self) -> Result<(), Violation> {
        if self.chance.per_mille(80) {
            self.clock.jump(self.chance.between(60, 4 * 3_600));
            self.say(|| "the clock jumps".to_owned());
            self.figures.faults.add("clock jumps");
        }
        if self.chance.per_mille(30) && self.clock.passed_s() < MAX_PASSED_S {
            self.network.hub().audit()?;
            let days = self.chance.between(1, 9);
            self.clock.jump(days * DAY_S);
            self.say(|| format!("{days} days pass"));
            self.figures.faults.add("absences of days");
            self.network.hub().upkeep()?;
        }
        for device in 0..self.devices.len() {
            match self.chance.below(100) {
                0..2 => self.network.cut_off(device, true),
                2..40 => self.network.cut_off(device, false),
                _ => {}
            }
        }
        if self.chance.per_mille(30) {
            self.say(|| "the hub crashes".to_owned());
            self.network.hub().crash()?;
        }
        if self.chance.per_mille(200) {
            self.network.hub().upkeep()?;
        }
        Ok(())
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.plan.verbose {
            println!("    {}", what());
        }
    }

    /// Some devices begin to do something.
    async fn set_out(&mut self) -> Vec<Part> {
        let mut free: Vec<usize> = (0..self.devices.len()).collect();
        let mut parts = Vec::new();
        for _ in 0..self.chance.between(1, 3) {
            let Some(device) = self.chance.pick(&free).copied() else {
                break;
            };
            free.retain(|other| *other != device);
            let Some(client) = self.devices.get(device).and_then(|d| d.client.clone()) else {
                continue;
            };
            let others: Vec<IdentifierUri> = self
                .clients()
                .filter(|(index, _)| *index != device)
                .map(|(_, client)| client.credential().user)
                .collect();
            let offer = self.offer(device).await;
            self.said = self.said.saturating_add(1);
            let text = format!("word {} of device {device}, spoken softly", self.said);
            let act = Act::choose(&client, &others, offer, text, &mut self.chance).await;
            let name = act.name();
            self.figures.operations.add(name);
            let group = act.group();
            let sends = match &act {
                Act::Send(_, text) => {
                    self.search.add("message", text.as_bytes());
                    Some(text.clone())
                }
                Act::JoinByLink(link) | Act::ProposeJoin(link) => {
                    self.linked.insert((device, link.group_id));
                    None
                }
                Act::Invite(group, user) => {
                    self.invited.insert((user.clone(), group.id()));
                    None
                }
                Act::Leave(group) => {
                    self.leaving.insert((device, group.id()));
                    None
                }
                _ => None,
            };
            if self.chance.per_mille(40)
                && let Some(device) = self.devices.get_mut(device)
            {
                device.arm_vault();
            }
            let crash_after = match self.chance.per_mille(60) {
                true => Duration::from_millis(self.chance.below(4_000)),
                false => LONGEST,
            };
            let task = tokio::spawn(async move {
                tokio::time::timeout(crash_after, act.run(client))
                    .await
                    .ok()
            });
            parts.push(Part {
                device,
                name,
                group,
                sends,
                task,
            });
        }
        parts
    }

    /// A link to a room of somebody else's.
    async fn offer(&mut self, to: usize) -> Option<Offer> {
        let givers: Vec<Client> = self
            .clients()
            .filter(|(index, _)| *index != to)
            .map(|(_, client)| client)
            .collect();
        let giver = self.chance.pick(&givers)?;
        let rooms = rooms(giver, true).await;
        let room = self.chance.pick(&rooms)?;
        let link = room.invite_link().await.ok()?;
        Some(Offer { link })
    }

    async fn await_part(&mut self, number: u64, part: Part) -> Result<(), Violation> {
        let Part {
            device,
            name,
            group,
            sends,
            task,
        } = part;
        let ended = task.await.map_err(|error| Violation::Unexplained {
            device,
            operation: name,
            error: error.to_string(),
        })?;
        self.clock.follow();
        let Some(of_device) = self.devices.get_mut(device) else {
            return Ok(());
        };
        let dead = of_device.vault_failed();
        let told = of_device.told();
        let outcome = match &ended {
            None => "interrupted",
            Some(Ok(())) => "done",
            Some(Err(error)) => kind_of(error),
        };
        self.figures.outcomes.add(outcome);
        self.remember(number, &format!("{device} {name}: {outcome}"));
        if self.plan.verbose {
            let group = group.map(short).unwrap_or_default();
            println!("{number}: {device} {name} {group}: {ended:?}");
        }
        if let (Some(Ok(())), Some(group), Some(text)) = (&ended, group, sends) {
            self.accepted.push((device, group, text));
        }
        self.heard(device, told)?;
        match ended {
            Some(Err(error)) if !dead && !is_explained(&error) => {
                return Err(unexplained(device, name)(error));
            }
            _ => {}
        }
        if dead || ended.is_none() {
            let kind = if dead {
                "vault failures"
            } else {
                "device crashes"
            };
            self.figures.faults.add(kind);
            if let Some(of_device) = self.devices.get_mut(device) {
                of_device.crash().await?;
            }
        }
        Ok(())
    }

    fn remember(&mut self, number: u64, what: &str) {
        let passed_s = self.clock.passed_s();
        let line = format!("{number} {passed_s} {what}\n");
        self.history.update(line.as_bytes());
    }

    /// What an application was told.
    fn heard(&mut self, device: usize, told: Vec<Event>) -> Result<(), Violation> {
        for event in told {
            if self.plan.verbose {
                println!("    {device} hears {}", event_line(&event));
            }
            match &event {
                Event::Removed { group } => {
                    self.excused.insert((device, *group));
                    // An older Welcome may bring it in again.
                    self.epochs.remove(&(device, *group));
                    self.leaving.remove(&(device, *group));
                }
                Event::Gap { group }
                | Event::Recovered {
                    group,
                    how: Recovery::Resynced,
                } => {
                    self.excused.insert((device, *group));
                }
                Event::Undecryptable { group } => {
                    self.figures.checks.add("undecryptable messages");
                    self.excused.insert((device, *group));
                }
                Event::JoinFailed { group } => {
                    self.linked.insert((device, *group));
                }
                Event::Joined { group } if self.epochs.contains_key(&(device, *group)) => {
                    self.excused.insert((device, *group));
                }
                Event::RolledBack { .. }
                | Event::Halted { .. }
                | Event::Evidence { .. }
                | Event::IdentityConflict { .. }
                | Event::ConnectionIntruder { .. }
                | Event::DeviceRemoved => {
                    return Err(Violation::Alarm {
                        device,
                        event: format!("{event:?}"),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn clients(&self) -> impl Iterator<Item = (usize, Client)> + '_ {
        let on = self.devices.iter();
        on.filter_map(|device| Some((device.index, device.client.clone()?)))
    }

    /// What must hold whenever nobody is in the middle of anything.
    async fn check(&mut self) -> Result<(), Violation> {
        self.network.hub().audit()?;
        let clients: Vec<(usize, Client)> = self.clients().collect();
        for (device, client) in clients {
            for trace in raw::traces(&client).await.unwrap_or_default() {
                self.search.add(trace.kind, &trace.bytes);
            }
            let mut groups = rooms(&client, true).await;
            groups.extend(connections(&client).await);
            for group in groups {
                self.check_member(device, &group).await?;
            }
        }
        let image = self.network.hub().image();
        self.search.check(&image)?;
        self.remember_hub();
        Ok(())
    }

    fn remember_hub(&mut self) {
        let hub = self.network.hub();
        let (commits, messages) = hub.ledger.acknowledged();
        let line = format!(
            "{} {} {} {commits} {messages}\n",
            hub.requests, hub.refused, hub.ledger.entries
        );
        drop(hub);
        if self.plan.verbose {
            print!("    hub {line}");
        }
        self.history.update(line.as_bytes());
    }

    /// One device in one of its groups.
    async fn check_member(&mut self, device: usize, group: &Group) -> Result<(), Violation> {
        let id = group.id();
        let (Ok(epoch), Ok(authenticator)) =
            (group.epoch().await, group.epoch_authenticator().await)
        else {
            return Ok(());
        };
        if let Ok(own) = group.own().await {
            self.leaves.insert((device, id), own.client_pseudonym);
        }
        self.figures.checks.add("members compared");
        let first = self
            .authenticators
            .entry((id, epoch))
            .or_insert_with(|| authenticator.clone());
        if *first != authenticator {
            let group = short(id);
            return Err(Violation::Separated { group, epoch });
        }
        let hubs = self.network.hub().ledger.epoch(id);
        if hubs.is_some_and(|hubs| epoch > hubs) {
            return Err(Violation::AheadOfTheHub {
                group: short(id),
                device,
                epoch,
            });
        }
        self.joined.entry((device, id)).or_insert(epoch);
        let before = self.epochs.insert((device, id), epoch).unwrap_or(0);
        if epoch < before {
            return Err(Violation::DeviceWentBack {
                group: short(id),
                device,
                from: before,
                to: epoch,
            });
        }
        Ok(())
    }

    fn sum_up(mut self) -> (Figures, History) {
        let hub = self.network.hub();
        let (commits, messages) = hub.ledger.acknowledged();
        let checks = &mut self.figures.checks;
        checks.add_many("requests", hub.requests);
        checks.add_many("refused", hub.refused);
        checks.add_many("tokens spent", hub.till.spent());
        checks.add_many("commits", commits);
        checks.add_many("messages", messages);
        checks.add_many("entries", hub.ledger.entries);
        checks.add_many("things not stored in clear", self.search.things());
        let faults = Figures {
            faults: hub.faults.clone(),
            ..Figures::default()
        };
        drop(hub);
        self.figures.merge(&faults);
        let faults = Figures {
            faults: self.network.counts(),
            ..Figures::default()
        };
        self.figures.merge(&faults);
        let digest = self.history.clone().finalize().into();
        (self.figures, History { digest })
    }
}

fn unexplained(device: usize, operation: &'static str) -> impl Fn(ClientError) -> Violation {
    move |error| Violation::Unexplained {
        device,
        operation,
        error: format!("{error:?}"),
    }
}
