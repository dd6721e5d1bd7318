//! Owns a hub on a store in memory: what a request costs before the store does anything.

use crate::measure::thread_cpu;
use crate::transport::{Transport, now_s};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sordino_crypto::{IndexKey, OperatorKey, OuterKeys, SigningKey, WindowKeys};
use sordino_effects::memory::MemoryStore;
use sordino_hub::{Changes, Endpoint, Env, Hub, HubConfig, Step};
use sordino_wire::{Domain, ResponseBody, Secret32, SignatureKey};
use std::sync::Arc;
use std::time::Duration;

/// A hub in memory.
pub struct LocalHub {
    hub: Hub,
    store: MemoryStore,
    rng: ChaCha20Rng,
}

/// The contents of a store at one time.
pub struct Saved(MemoryStore);

/// How much one request writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written {
    /// Bytes of records.
    pub records: usize,
    /// The largest record among them.
    pub largest: usize,
    /// Bytes of log entries: deliveries to the stream and to inboxes.
    pub entries: usize,
    /// Bytes of remembered outcomes.
    pub outcomes: usize,
    /// How many rows all of that is.
    pub rows: usize,
}

impl Written {
    /// What changes would write.
    pub fn of(changes: &Changes) -> Self {
        let sizes = |puts: &[sordino_hub::Put]| -> Vec<usize> {
            puts.iter().map(|p| p.value.len()).collect()
        };
        let records = sizes(&changes.put);
        Self {
            largest: records.iter().copied().max().unwrap_or(0),
            rows: records.len() + changes.append.len() + usize::from(changes.replay.is_some()),
            records: records.into_iter().sum(),
            entries: changes.append.iter().map(|a| a.value.len()).sum(),
            outcomes: changes.replay.iter().map(|r| r.value.len()).sum(),
        }
    }

    /// All values together.
    pub fn total(&self) -> usize {
        self.records + self.entries + self.outcomes
    }
}

impl LocalHub {
    /// An empty one.
    pub fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let operator = OperatorKey::new(Secret32::new([1; 32]));
        let mut windows = WindowKeys::new();
        let today = u32::try_from(now_s() / 86_400).unwrap();
        windows.ensure(&operator, today, 120, &mut rng).unwrap();
        let index = IndexKey::generate(&mut rng);
        let outer = Arc::new(OuterKeys::new(operator, Vec::new(), index, windows));
        let config = HubConfig::new(Domain::new("hub.example").unwrap());
        Self {
            hub: Hub::new(config, &SigningKey::from_seed(&[9; 32]), outer).unwrap(),
            store: MemoryStore::default(),
            rng,
        }
    }

    /// Handles a request, and keeps nothing of it.
    pub fn step(&mut self, endpoint: Endpoint, request: &[u8]) -> Step {
        let mut env = Env {
            now_s: now_s(),
            rng: &mut self.rng,
        };
        self.hub.handle(request, endpoint, &self.store, &mut env)
    }

    /// What is in the store, for [`Self::restore`].
    pub fn save(&self) -> Saved {
        Saved(self.store.clone())
    }

    /// Puts the store back to what it was.
    pub fn restore(&mut self, saved: &Saved) {
        self.store.clone_from(&saved.0);
    }

    /// Applies what a step came to. `false`: something else came first, which cannot be here.
    pub fn keep(&mut self, changes: Changes) -> bool {
        self.store.apply(changes).is_ok()
    }

    /// What a request would change, and the processor time until that is known. Nothing is kept,
    /// so the same request can be measured again.
    pub fn measure(&mut self, endpoint: Endpoint, request: &[u8]) -> (Duration, Changes) {
        let before = thread_cpu();
        let step = self.step(endpoint, request);
        let cpu = thread_cpu() - before;
        match step {
            Step::Commit(effects) => (cpu, effects.changes),
            Step::Answer(answer) => panic!("refused: {answer:?}"),
            _ => panic!("nothing to commit"),
        }
    }
}

impl Default for LocalHub {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for LocalHub {
    fn domain(&self) -> Domain {
        self.hub.domain().clone()
    }

    fn signature_key(&self) -> SignatureKey {
        self.hub.signature_key().clone()
    }

    fn exchange(&mut self, endpoint: Endpoint, request: &[u8]) -> ResponseBody {
        match self.step(endpoint, request) {
            Step::Answer(answer) | Step::Wait { answer, .. } => answer,
            Step::Failed { fault, .. } => panic!("the hub failed: {fault}"),
            Step::Commit(effects) => {
                self.store.apply(effects.changes).unwrap();
                effects.reply
            }
        }
    }
}
