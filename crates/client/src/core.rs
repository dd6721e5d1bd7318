//! Owns what all operations of a client share: vault, connections, device, clock, groups in memory.
//!
//! Invariant: a group changes only inside [`Core::step`]: one closure, one vault transaction, then
//! the events; a closure that fails leaves everything as it was. No lock is held over the network.

use crate::clock::{Clock, HubTime};
use crate::device::Device;
use crate::devices::DevicesGroup;
use crate::devices::facts::Facts;
use crate::devices::shared::load_devices_group;
use crate::devices::siblings::Asked;
use crate::engine::state::{LoadedGroup, Step};
use crate::engine::tools::{Delays, Tools};
use crate::entropy::Entropy;
use crate::envelope::{Occasion, Signing, seal};
use crate::error::{ClientError, Result, VaultError};
use crate::events::EventSink;
use crate::people::book::Book;
use crate::people::tend::Schedule;
use crate::raw::{HookContext, RequestHook};
use crate::records::{
    DEVICE, DeviceRecord, INDEX, IndexRecord, external_name, keys_name, message_name, state_name,
};
use crate::transport::{Endpoint, HubAddress, Transport};
use crate::vault::{Batch, Vault};
use crate::wallet::draw::Wallet;
use sordino_wire::{
    Domain, GroupId, IdentifierUri, InboxId, Outcome, Reject, RequestBody, ResponseBody, Secret32,
    SignatureKey,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, OnceCell};

/// The record of the hub's signature key, as first seen.
const HUB_KEY: &str = "hub key";

/// How streams are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamReading {
    /// All groups in one request: few connections; the hub sees which groups one client is in.
    #[default]
    Together,
    /// One request per group.
    Separate,
}

/// What it takes to open a client.
#[derive(Clone)]
pub struct ClientConfig {
    /// The vault's file.
    pub vault: PathBuf,
    /// Seals the vault; the application keeps it where its platform keeps keys.
    pub vault_key: [u8; 32],
    /// The hub.
    pub hub: HubAddress,
    /// Certificates (DER) of authorities beyond the platform's; used with the feature `rustls`.
    pub extra_roots: Vec<Vec<u8>>,
    /// How streams are read in the background.
    pub stream_reading: StreamReading,
    /// Random delays of background work.
    pub delays: Delays,
    /// The longest random pause before a commit that lost its race is tried again.
    pub retry_pause: Duration,
    /// How long a background read waits at the hub, in seconds, at most 60.
    pub wait_s: u16,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Draws all randomness from a seed. For tests and demonstrations alone.
    pub seed: Option<[u8; 32]>,
    /// What takes the place of network and vault file.
    #[cfg(feature = "simulation")]
    pub world: Option<Arc<dyn crate::simulation::World>>,
}

impl ClientConfig {
    /// The usual settings.
    pub fn new(vault: impl Into<PathBuf>, vault_key: [u8; 32], hub: HubAddress) -> Self {
        Self {
            vault: vault.into(),
            vault_key,
            hub,
            extra_roots: Vec::new(),
            stream_reading: StreamReading::default(),
            delays: Delays::default(),
            retry_pause: Duration::from_millis(300),
            wait_s: 25,
            clock: Arc::new(crate::clock::SystemClock),
            seed: None,
            #[cfg(feature = "simulation")]
            world: None,
        }
    }
}

/// One group's place in memory.
#[derive(Default)]
pub(crate) struct Cell {
    loaded: tokio::sync::Mutex<Option<LoadedGroup>>,
    /// Whose turn it is to change the group at the hub.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// When the hub was last asked who the unidentified members are.
    pub(crate) asked_members_s: std::sync::atomic::AtomicU64,
    /// Whose contradictions the application was told of.
    told: Mutex<HashSet<IdentifierUri>>,
    /// Messages of the outbox that the hub certainly does not have. After a restart, nothing is
    /// certain.
    unposted: Mutex<BTreeSet<u64>>,
}

impl Cell {
    fn unposted(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.unposted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hub certainly does not have a message.
    pub(crate) fn note_unposted(&self, number: u64) {
        self.unposted().insert(number);
    }

    pub(crate) fn is_unposted(&self, number: u64) -> bool {
        self.unposted().contains(&number)
    }

    /// A message goes out now; says whether the hub certainly did not have it before.
    pub(crate) fn note_posted(&self, number: u64) -> bool {
        self.unposted().remove(&number)
    }

    /// Says whether somebody is named for the first time since this client was opened.
    pub(crate) fn tell_once(&self, client_pseudonym: &IdentifierUri) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(client_pseudonym.clone())
    }
}

/// Everything that a client is.
pub(crate) struct Core {
    pub(crate) vault: Vault,
    pub(crate) transport: Transport,
    pub(crate) device: RwLock<Arc<Device>>,
    /// What this user's devices share.
    pub(crate) facts: Mutex<Facts>,
    /// The group in which they tell each other.
    pub(crate) devices_group: Mutex<Option<DevicesGroup>>,
    /// When leaves were asked for.
    pub(crate) asked: Asked,
    /// Whose turn it is to act on what was heard there, to link, to remove.
    pub(crate) devices_turn: tokio::sync::Mutex<()>,
    pub(crate) link_turn: tokio::sync::Mutex<()>,
    pub(crate) removal_turn: tokio::sync::Mutex<()>,
    /// Whether the application was told that this device was removed.
    pub(crate) cast_out: AtomicBool,
    pub(crate) entropy: Entropy,
    pub(crate) events: EventSink,
    pub(crate) hub_domain: Domain,
    pub(crate) reading: StreamReading,
    pub(crate) wait_s: u16,
    retry_pause: Duration,
    pub(crate) delays: Delays,
    clock: Arc<dyn Clock>,
    hub_time: HubTime,
    hub_key: OnceCell<SignatureKey>,
    hook: RwLock<Option<RequestHook>>,
    cells: Mutex<HashMap<GroupId, Arc<Cell>>>,
    index: Mutex<IndexRecord>,
    pub(crate) book: Mutex<Book>,
    pub(crate) schedule: Schedule,
    /// Tokens, and what they cost by.
    pub(crate) wallet: Wallet,
    /// Whose turn it is to see to what is due between people.
    pub(crate) people_turn: tokio::sync::Mutex<()>,
    /// Tells the background task that something is due between people.
    pub(crate) stir: Notify,
    /// Tells the background task that what it waits for has changed.
    pub(crate) wake: Notify,
}

/// Opens the vault of a configuration.
pub(crate) fn open_vault(config: &ClientConfig) -> Result<(Vault, Entropy)> {
    let entropy = Entropy::new(config.seed).map_err(|_| VaultError::File)?;
    let key = Secret32::new(config.vault_key);
    #[cfg(feature = "simulation")]
    if let Some(world) = &config.world {
        let database = world.open_vault().map_err(|_| VaultError::File)?;
        let vault = Vault::in_database(database, &key, entropy.clone())?;
        return Ok((vault, entropy));
    }
    let vault = Vault::open(&config.vault, &key, entropy.clone())?;
    Ok((vault, entropy))
}

fn transport(config: &ClientConfig) -> Result<Transport> {
    let transport = Transport::new(&config.hub, &config.extra_roots)?;
    #[cfg(feature = "simulation")]
    let transport = transport.within(config.world.clone());
    Ok(transport)
}

impl Core {
    /// With the device that the vault holds.
    pub(crate) fn open(config: ClientConfig) -> Result<Self> {
        let (vault, entropy) = open_vault(&config)?;
        let record = vault
            .get::<DeviceRecord>(DEVICE)?
            .ok_or(VaultError::Device)?;
        let device = Device::load(record)?;
        Self::assemble(config, vault, entropy, device)
    }

    pub(crate) fn assemble(
        config: ClientConfig,
        vault: Vault,
        entropy: Entropy,
        device: Device,
    ) -> Result<Self> {
        let index = vault.get(INDEX)?.unwrap_or_default();
        let book = Book::load(&vault)?;
        let facts = Facts::load(&vault)?;
        let devices_group = load_devices_group(&vault)?;
        Ok(Self {
            transport: transport(&config)?,
            hub_domain: config.hub.domain,
            reading: config.stream_reading,
            wait_s: config.wait_s,
            retry_pause: config.retry_pause,
            delays: config.delays,
            clock: config.clock,
            events: EventSink::new(),
            hub_time: HubTime::default(),
            hub_key: OnceCell::new(),
            hook: RwLock::new(None),
            cells: Mutex::new(HashMap::new()),
            index: Mutex::new(index),
            book: Mutex::new(book),
            schedule: Schedule::default(),
            wallet: Wallet::load(&vault)?,
            people_turn: tokio::sync::Mutex::new(()),
            stir: Notify::new(),
            wake: Notify::new(),
            vault,
            entropy,
            device: RwLock::new(Arc::new(device)),
            facts: Mutex::new(facts),
            devices_group: Mutex::new(devices_group),
            asked: Asked::default(),
            devices_turn: tokio::sync::Mutex::new(()),
            link_turn: tokio::sync::Mutex::new(()),
            removal_turn: tokio::sync::Mutex::new(()),
            cast_out: AtomicBool::new(false),
        })
    }

    /// This device with its user's secrets, as they are now.
    pub(crate) fn device(&self) -> Arc<Device> {
        let device = self.device.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&device)
    }

    pub(crate) fn set_hook(&self, hook: Option<RequestHook>) {
        *self.hook.write().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    fn hook(&self) -> Option<RequestHook> {
        let hook = self.hook.read().unwrap_or_else(PoisonError::into_inner);
        hook.clone()
    }

    /// The hub's time.
    pub(crate) fn now_s(&self) -> u64 {
        self.hub_time.now_s(self.clock.as_ref())
    }

    /// How many devices this user has.
    pub(crate) fn device_count(&self) -> u8 {
        let devices = self.known_devices().map_or(1, |devices| devices.len());
        u8::try_from(devices).unwrap_or(u8::MAX)
    }

    /// What goes into requests.
    pub(crate) fn floored_time_s(&self) -> u64 {
        self.hub_time.floored_s(self.clock.as_ref())
    }

    pub(crate) fn learn_time(&self, hub_time_s: u64) {
        self.hub_time.learn(self.clock.as_ref(), hub_time_s);
    }

    /// Runs a closure with what it takes to make requests.
    pub(crate) fn with_tools<T>(&self, run: impl FnOnce(&Tools<'_>) -> T) -> T {
        let hook = self.hook();
        run(&Tools {
            device: &self.device(),
            entropy: &self.entropy,
            time_s: self.floored_time_s(),
            hook: hook.as_ref(),
            delays: self.delays,
        })
    }

    pub(crate) fn cell(&self, id: GroupId) -> Arc<Cell> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(id).or_default())
    }

    /// Changes a group: what the closure does becomes durable, then known; or nothing happens.
    pub(crate) async fn step<T>(
        &self,
        id: GroupId,
        change: impl FnOnce(&mut LoadedGroup, &Tools<'_>, &mut Step) -> Result<T>,
    ) -> Result<T> {
        let cell = self.cell(id);
        let mut place = cell.loaded.lock().await;
        let mut group = self.load(&mut place, id)?;
        let before = group.read_stream();
        let mut step = Step::new(self.now_s());
        step.kind = self.kind_of(id);
        step.unposted = cell.unposted().clone();
        let value = self.with_tools(|tools| change(&mut group, tools, &mut step))?;
        group.wipe_if_over(&mut step);
        group.save(&mut step.batch)?;
        self.conclude(&group, &mut step)?;
        let moved = group.read_stream() != before;
        *place = Some(group);
        drop(place);
        self.events.send_all(step.events);
        if moved {
            self.wake.notify_one();
        }
        Ok(value)
    }

    /// Looks at a group.
    pub(crate) async fn view<T>(
        &self,
        id: GroupId,
        look: impl FnOnce(&LoadedGroup, &Tools<'_>) -> Result<T>,
    ) -> Result<T> {
        let cell = self.cell(id);
        let mut place = cell.loaded.lock().await;
        let group = self.load(&mut place, id)?;
        let value = self.with_tools(|tools| look(&group, tools));
        *place = Some(group);
        value
    }

    fn load(&self, place: &mut Option<LoadedGroup>, id: GroupId) -> Result<LoadedGroup> {
        match place.take() {
            Some(group) => Ok(group),
            None => {
                LoadedGroup::load(&self.vault, id, &self.entropy)?.ok_or(ClientError::NotInGroup)
            }
        }
    }

    /// Puts a new group into vault, index and memory, in one transaction with the rest of a step.
    pub(crate) async fn install(&self, mut group: LoadedGroup, mut step: Step) -> Result<()> {
        let id = group.id();
        let cell = self.cell(id);
        let mut place = cell.loaded.lock().await;
        step.unposted = std::mem::take(&mut cell.unposted());
        if let Some(mut former) =
            place
                .take()
                .or(LoadedGroup::load(&self.vault, id, &self.entropy)?)
        {
            former.drop_outbox(&mut step);
            former.saved.delete(id, &mut step.batch);
        }
        group.save(&mut step.batch)?;
        self.commit_index(&mut step.batch, |index| {
            if !index.groups.contains(&id) {
                index.groups.push(id);
            }
        })?;
        // Who is there is looked at once the group is known.
        step.batch = Batch::default();
        self.share_group(&mut step.batch, &group)?;
        self.conclude(&group, &mut step)?;
        *place = Some(group);
        drop(place);
        self.events.send_all(step.events);
        self.wake.notify_one();
        Ok(())
    }

    /// Forgets a group.
    pub(crate) async fn forget(&self, id: GroupId) -> Result<()> {
        let cell = self.cell(id);
        let mut place = cell.loaded.lock().await;
        let mut batch = Batch::default();
        let group = self.load(&mut place, id)?;
        for number in 0..group.state.messages {
            batch.delete(message_name(id, number));
        }
        group.saved.delete(id, &mut batch);
        batch.delete(keys_name(id));
        batch.delete(state_name(id));
        batch.delete(external_name(id));
        self.commit_index(&mut batch, |index| {
            index.groups.retain(|known| *known != id)
        })?;
        *place = None;
        cell.unposted().clear();
        Ok(())
    }

    /// Applies a batch together with a change of the index.
    pub(crate) fn commit_index(
        &self,
        batch: &mut Batch,
        change: impl FnOnce(&mut IndexRecord),
    ) -> Result<()> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = index.clone();
        change(&mut next);
        batch.put(INDEX, &next)?;
        self.vault.commit(batch)?;
        *index = next;
        Ok(())
    }

    pub(crate) fn groups(&self) -> Vec<GroupId> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.groups.clone()
    }

    pub(crate) fn inboxes(&self) -> Vec<InboxId> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.inboxes.clone()
    }

    /// Sends a request that needs no signature.
    pub(crate) async fn ask(
        &self,
        endpoint: Endpoint,
        mut body: RequestBody,
        wait_s: u16,
    ) -> Result<ResponseBody> {
        if let Some(hook) = self.hook() {
            let context = HookContext {
                group_id: GroupId([0; 16]),
                leaf_key: None,
                epoch: 0,
            };
            hook(&mut body, &context);
        }
        let occasion = Occasion {
            hub_domain: &self.hub_domain,
            group_id: GroupId([0; 16]),
            epoch: 0,
            time_s: 0,
            nonce: [0; 16],
        };
        let request = seal(body, &Signing::Possession, &occasion)?;
        self.post(endpoint, &request, wait_s).await
    }

    /// The hub's signature key: asked for once, then pinned.
    pub(crate) async fn hub_key(&self) -> Result<SignatureKey> {
        let key = self
            .hub_key
            .get_or_try_init(|| async {
                if let Some(pinned) = self.vault.get::<SignatureKey>(HUB_KEY)? {
                    return Ok::<_, ClientError>(pinned);
                }
                let key = self.transport.hub_key(&self.hub_domain).await?;
                let mut batch = Batch::default();
                batch.put(HUB_KEY, &key)?;
                self.vault.commit(&batch)?;
                Ok(key)
            })
            .await?;
        Ok(key.clone())
    }

    /// A random pause before something is tried again.
    pub(crate) async fn pause(&self, attempt: u32) {
        let longest = self
            .retry_pause
            .saturating_mul(attempt.saturating_add(1).min(8));
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let pause_ms = self.entropy.below(longest_ms.saturating_add(1));
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}

/// What an answer to a mutating request says.
pub(crate) fn outcome(answer: ResponseBody) -> Result<std::result::Result<Outcome, Reject>> {
    match answer {
        ResponseBody::Done(outcome) => Ok(Ok(outcome)),
        ResponseBody::Rejected(reject) => Ok(Err(reject)),
        _ => Err(ClientError::BadAnswer),
    }
}
