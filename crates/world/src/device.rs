//! Owns one device of one user: its vault on a disk that fails, and the client that runs on it.
//!
//! Invariant: a client that is dropped in the middle of something comes back from its vault alone.

use crate::chance::Chance;
use crate::clock::{DeviceClock, WorldClock};
use crate::network::{Network, Surroundings};
use crate::violation::Violation;
use sordino_client::{
    Client, ClientConfig, ClientError, Delays, Event, EventStream, Handle, HubAddress,
    RegisterWith, StreamReading,
};
use sordino_store::conformance::volatile::{Crash, Disk, Fault};
use sordino_wire::Domain;
use std::sync::Arc;
use std::time::Duration;

/// Names that would be found anywhere.
const NAMES: [&str; 6] = [
    "annabella-of-the-hills",
    "bartholomew-the-quiet",
    "cassandra-from-the-sea",
    "demetrius-without-fear",
    "euphemia-under-the-oak",
    "florentin-of-nine-inns",
];
/// Operations of the vault's disk within which it dies, or the client is done before.
const FAULT_WITHIN: u64 = 60;

/// One device.
pub(crate) struct Device {
    pub(crate) index: usize,
    pub(crate) name: &'static str,
    pub(crate) client: Option<Client>,
    events: Option<EventStream>,
    vault: Disk,
    network: Arc<Network>,
    clock: DeviceClock,
    domain: Domain,
    chance: Chance,
}

impl Device {
    /// A device that has nothing yet.
    pub(crate) fn new(
        index: usize,
        network: &Arc<Network>,
        clock: &WorldClock,
        domain: &Domain,
        mut chance: Chance,
    ) -> Self {
        let off_s = i64::try_from(chance.below(7_200)).unwrap_or(0) - 3_600;
        // Most clocks are right.
        let off_s = if chance.one_in(3) { off_s } else { 0 };
        Self {
            index,
            name: NAMES.get(index).copied().unwrap_or("nobody-in-particular"),
            client: None,
            events: None,
            vault: Disk::new(Fault::Never),
            network: Arc::clone(network),
            clock: DeviceClock {
                world: clock.clone(),
                off_s,
            },
            domain: domain.clone(),
            chance,
        }
    }

    /// How many devices a world can have.
    pub(crate) fn most() -> usize {
        NAMES.len()
    }

    fn config(&mut self) -> ClientConfig {
        let address = HubAddress {
            url: format!("http://{}", self.domain.as_str()),
            domain: self.domain.clone(),
        };
        let mut config = ClientConfig::new("in no file", [7; 32], address);
        config.delays = Delays::none();
        config.retry_pause = Duration::from_millis(300);
        config.stream_reading = StreamReading::Separate;
        config.clock = Arc::new(self.clock.clone());
        // Another one each time: a client that comes back must not repeat itself.
        config.seed = Some(self.chance.bytes());
        config.world = Some(Arc::new(Surroundings {
            network: Arc::clone(&self.network),
            device: self.index,
            vault: self.vault.clone(),
        }));
        config
    }

    pub(crate) fn handle(&self) -> Result<Handle, ClientError> {
        Handle::from_input(self.name).map_err(|_| ClientError::OutOfBounds)
    }

    /// Makes an account.
    pub(crate) async fn register(&mut self) -> Result<(), ClientError> {
        let (config, handle) = (self.config(), self.handle()?);
        let client = Client::register(config, &handle, RegisterWith::work()).await?;
        self.switch_on(client);
        Ok(())
    }

    fn switch_on(&mut self, client: Client) {
        self.events = Some(client.events());
        self.client = Some(client);
    }

    /// Lets the vault's disk die, some time soon.
    pub(crate) fn arm_vault(&mut self) {
        let at = self.chance.below(FAULT_WITHIN);
        self.vault.set_fault(Fault::From(at));
    }

    /// Whether it has died; if not, it does not any more.
    pub(crate) fn vault_failed(&self) -> bool {
        let failed = self.vault.failed();
        if !failed {
            self.vault.set_fault(Fault::Never);
        }
        failed
    }

    /// The device goes off in the middle of whatever it does, and on again.
    pub(crate) async fn crash(&mut self) -> Result<(), Violation> {
        let seed = self.chance.number();
        let vault = self.vault.crash(Crash::Tear(seed), Fault::Never);
        self.client = None;
        self.events = None;
        self.vault = vault;
        let config = self.config();
        let client = Client::open(config).await;
        let client = client.map_err(|error| Violation::VaultDoesNotOpen {
            device: self.index,
            why: error.to_string(),
        })?;
        self.switch_on(client);
        Ok(())
    }

    /// What the application was told since the last look.
    pub(crate) fn told(&mut self) -> Vec<Event> {
        let events = self.events.as_mut();
        events.map_or_else(Vec::new, |events| {
            std::iter::from_fn(|| events.try_next()).collect()
        })
    }
}
