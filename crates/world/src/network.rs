//! Owns what lies between devices and hub: requests and answers are late, are lost, come twice,
//! overtake each other; a device may be cut off.
//!
//! Invariant: all of it is decided by chance from the seed, in the order in which requests are made,
//! which is the same each time, since one thread runs them all.

use crate::chance::Chance;
use crate::figures::Counts;
use crate::hub::Hub;
use sordino_client::simulation::{Attempt, Reply, World};
use sordino_server::HttpAnswer;
use sordino_store::conformance::volatile::Disk;
use sordino_wire::{DsRequest, DsResponse};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// After so long, a device waits no more for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
const CACHE_BYTES: usize = 1 << 20;

/// What may happen to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delivered,
    RequestLost,
    AnswerLost,
    /// A copy of the request arrives so many milliseconds later.
    Twice(u64),
}

struct State {
    chance: Chance,
    faulty: bool,
    cut_off: Vec<bool>,
    /// Devices whose answers to group operations are all lost.
    deaf: BTreeSet<usize>,
    counts: Counts,
}

/// The network and the hub behind it.
pub(crate) struct Network {
    hub: Mutex<Hub>,
    state: Mutex<State>,
    /// Whether each attempt is printed.
    verbose: bool,
}

impl Network {
    pub(crate) fn new(hub: Hub, chance: Chance, devices: usize, verbose: bool) -> Arc<Self> {
        Arc::new(Self {
            hub: Mutex::new(hub),
            state: Mutex::new(State {
                chance,
                faulty: false,
                cut_off: vec![false; devices],
                deaf: BTreeSet::new(),
                counts: Counts::default(),
            }),
            verbose,
        })
    }

    /// The hub, which nobody else uses meanwhile.
    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything goes wrong from now on.
    pub(crate) fn set_faulty(&self, faulty: bool) {
        let mut state = self.state();
        state.faulty = faulty;
        if !faulty {
            state.cut_off.fill(false);
        }
    }

    /// Cuts a device off, or lets it in again.
    pub(crate) fn cut_off(&self, device: usize, cut: bool) {
        let mut state = self.state();
        if let Some(place) = state.cut_off.get_mut(device) {
            *place = cut;
        }
        if cut {
            state.counts.add("partitions");
        }
    }

    /// Lets a device hear no answers to group operations, or hear them again.
    #[cfg(test)]
    pub(crate) fn set_deaf(&self, device: usize, deaf: bool) {
        let mut state = self.state();
        match deaf {
            true => state.deaf.insert(device),
            false => state.deaf.remove(&device),
        };
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    /// Decides what becomes of an attempt, with its delays there and back.
    fn decide(&self, device: usize, path: &str) -> (Option<Fate>, Duration, Duration) {
        let mut state = self.state();
        if path == sordino_wire::media::GROUP_OPERATION && state.deaf.contains(&device) {
            let soon = Duration::from_millis(1);
            return (Some(Fate::AnswerLost), soon, soon);
        }
        let State {
            chance,
            faulty,
            cut_off,
            counts,
            ..
        } = &mut *state;
        let slow = *faulty && chance.per_mille(30);
        if slow {
            counts.add("delays");
        }
        let longest_ms = if slow { 20_000 } else { 150 };
        let there = Duration::from_millis(chance.between(1, longest_ms));
        let back = Duration::from_millis(chance.between(1, longest_ms));
        if cut_off.get(device).copied().unwrap_or(false) {
            return (None, there, back);
        }
        let fate = match chance.below(1_000) {
            _ if !*faulty => Fate::Delivered,
            0..40 => Fate::RequestLost,
            40..90 => Fate::AnswerLost,
            90..130 => Fate::Twice(chance.between(1, 40_000)),
            _ => Fate::Delivered,
        };
        match fate {
            Fate::Delivered => {}
            Fate::RequestLost => counts.add("requests lost"),
            Fate::AnswerLost => counts.add("answers lost"),
            Fate::Twice(_) => counts.add("requests twice"),
        }
        (Some(fate), there, back)
    }

    /// One attempt of one device.
    async fn carry(
        self: Arc<Self>,
        device: usize,
        path: &'static str,
        body: Option<Vec<u8>>,
    ) -> Option<Reply> {
        let (fate, there, back) = self.decide(device, path);
        let Some(fate) = fate.filter(|fate| *fate != Fate::RequestLost) else {
            tokio::time::sleep(PATIENCE).await;
            return None;
        };
        tokio::time::sleep(there).await;
        let answer = self.hub().handle(path, body.as_deref());
        if self.verbose {
            let line = attempt_line(body.as_deref(), answer.as_ref());
            println!("        {device} {line} {fate:?}");
        }
        if let Fate::Twice(later_ms) = fate {
            let network = Arc::clone(&self);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(later_ms)).await;
                // Nobody is there any more to hear the answer.
                let _ = network.hub().handle(path, body.as_deref());
            });
        }
        if fate == Fate::AnswerLost {
            tokio::time::sleep(PATIENCE).await;
            return None;
        }
        tokio::time::sleep(back).await;
        answer.map(reply)
    }
}

/// What was asked and what was answered, by name.
fn attempt_line(body: Option<&[u8]>, answer: Option<&HttpAnswer>) -> String {
    let asked = body.and_then(|body| DsRequest::parse(body).ok());
    let asked = asked.map(|parsed| format!("{:?}", parsed.request.body));
    let answer = answer.and_then(|answer| DsResponse::parse(&answer.body).ok());
    let answer = answer.map(|answer| format!("{:?}", answer.body));
    let short = |text: Option<String>, most: usize| -> String {
        text.unwrap_or_default().chars().take(most).collect()
    };
    format!("{} -> {}", short(asked, 28), short(answer, 70))
}

fn reply(answer: HttpAnswer) -> Reply {
    Reply {
        status: answer.status,
        octets: answer.octets,
        body: answer.body,
    }
}

/// What one device has around it, for as long as it is switched on.
pub(crate) struct Surroundings {
    pub(crate) network: Arc<Network>,
    pub(crate) device: usize,
    pub(crate) vault: Disk,
}

impl World for Surroundings {
    fn attempt(&self, path: &'static str, body: Option<&[u8]>) -> Attempt<'_> {
        let network = Arc::clone(&self.network);
        let (device, body) = (self.device, body.map(<[u8]>::to_vec));
        Box::pin(network.carry(device, path, body))
    }

    fn open_vault(&self) -> Result<redb::Database, redb::DatabaseError> {
        redb::Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(self.vault.clone())
    }
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Surroundings(..)")
    }
}
