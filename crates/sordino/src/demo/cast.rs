//! Owns the users of a demo and their devices.

use super::DemoError;
use super::table::Times;
use sordino_client::{
    Advice, Client, ClientConfig, ClientError, ContactState, Delays, Group, GroupId, Handle,
    HubAddress, IdentifierUri, Linking, RegisterWith,
};
use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long one operation is tried.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(150);

/// One device with its background task.
pub(crate) struct Device {
    /// The client.
    pub(crate) client: Client,
    /// Which user it is of.
    pub(crate) user: usize,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Everybody.
pub(crate) struct Cast {
    /// All devices; those of one user stand together, its first one first.
    pub(crate) devices: Vec<Device>,
    /// The users' names.
    pub(crate) users: Vec<IdentifierUri>,
    /// Conversations of two that serve as a room.
    taken: tokio::sync::Mutex<BTreeSet<GroupId>>,
    /// One connection is made at a time between the same two.
    connecting: tokio::sync::Mutex<()>,
}

impl Cast {
    /// Registers users; every second one links a second device.
    pub(crate) async fn make(
        users: usize,
        hub: &HubAddress,
        folder: &Path,
        seed: u64,
        times: &Times,
    ) -> Result<Self, DemoError> {
        let mut cast = Self {
            devices: Vec::new(),
            users: Vec::new(),
            taken: tokio::sync::Mutex::new(BTreeSet::new()),
            connecting: tokio::sync::Mutex::new(()),
        };
        for user in 0..users {
            let handle = Handle::new(format!("demo-person-{user}"));
            let handle = handle.map_err(|_| failed("naming a user"))?;
            let first = config(folder, hub, user, 0, seed);
            let register = Client::register(first, &handle, RegisterWith::work());
            let client = client("registering", times.timed("register", register).await)?;
            cast.enter(client.clone(), user);
            cast.users.push(client.credential().user);
            if user % 2 == 1 {
                let second = config(folder, hub, user, 1, seed);
                let device = times.timed("link device", link(&client, second)).await;
                let device = device.map_err(|source| DemoError::Client {
                    what: "linking a device",
                    source,
                })?;
                cast.enter(device, user);
            }
        }
        Ok(cast)
    }

    /// The conversation of two users; they connect where they are not yet.
    pub(crate) async fn connection(
        &self,
        times: &Times,
        asker: usize,
        asked: usize,
    ) -> Result<Group, DemoError> {
        let asker = self.first(asker)?;
        let asked = self.first(asked)?;
        let (one, other) = (asker.credential().user, asked.credential().user);
        let _turn = self.connecting.lock().await;
        if let Some(group) = connected(asker, &other).await {
            return Ok(group);
        }
        let handle = other.as_str().rsplit('/').next().unwrap_or_default();
        let handle = Handle::new(handle).map_err(|_| failed("naming a user"))?;
        let connect = async {
            persist_quietly(|| asker.connect(&handle)).await?;
            persist_quietly(|| accept(asked, &one)).await?;
            Ok(())
        };
        client("connecting", times.timed("connect", connect).await)?;
        let start = Instant::now();
        loop {
            let both = (connected(asker, &other).await, connected(asked, &one).await);
            if let (Some(group), Some(_)) = both {
                return Ok(group);
            }
            if start.elapsed() > PATIENCE {
                return Err(DemoError::Restless("a connection".to_owned()));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Takes the conversation of two for a room, once.
    pub(crate) async fn take(&self, conversation: GroupId) -> bool {
        self.taken.lock().await.insert(conversation)
    }

    /// A user's first device.
    pub(crate) fn first(&self, user: usize) -> Result<&Client, DemoError> {
        let index = self.devices_of(user).first().copied();
        let index = index.ok_or_else(|| failed("finding a device"))?;
        Ok(&self.device(index)?.client)
    }

    fn enter(&mut self, client: Client, user: usize) {
        let task = client.run();
        self.devices.push(Device { client, user, task });
    }

    /// A user's devices, by index.
    pub(crate) fn devices_of(&self, user: usize) -> Vec<usize> {
        let of_user = |(_, device): &(usize, &Device)| device.user == user;
        let devices = self.devices.iter().enumerate().filter(of_user);
        devices.map(|(index, _)| index).collect()
    }

    /// One device.
    pub(crate) fn device(&self, index: usize) -> Result<&Device, DemoError> {
        self.devices
            .get(index)
            .ok_or_else(|| failed("finding a device"))
    }

    /// A group as one device has it.
    pub(crate) async fn group(&self, device: usize, id: GroupId) -> Result<Group, DemoError> {
        let group = self.device(device)?.client.group(id).await;
        group.map_err(|source| DemoError::Client {
            what: "opening a group",
            source,
        })
    }
}

fn config(folder: &Path, hub: &HubAddress, user: usize, device: usize, seed: u64) -> ClientConfig {
    let vault = folder.join(format!("vault-{user}-{device}.redb"));
    let mut key = [0u8; 32];
    for (to, from) in key
        .iter_mut()
        .zip(format!("{seed}/{user}/{device}").bytes())
    {
        *to = from;
    }
    let mut config = ClientConfig::new(vault, key, hub.clone());
    // Nobody has to wait for politeness on one machine.
    config.delays = Delays {
        inspect_s: 2,
        ..Delays::none()
    };
    config.retry_pause = Duration::from_millis(100);
    config
}

async fn link(first: &Client, config: ClientConfig) -> Result<Client, ClientError> {
    let linking = Linking::start(config).await?;
    let code = linking.code().to_owned();
    let (linked, device) = tokio::join!(first.link_device(&code), linking.finish());
    linked?;
    device
}

/// The conversation with a contact, if there is one.
async fn connected(client: &Client, other: &IdentifierUri) -> Option<Group> {
    let contact = client.contact(other).await.ok()?;
    contact
        .group
        .filter(|_| contact.state == ContactState::Connected)
}

/// Accepts somebody's request, once it is there.
async fn accept(client: &Client, asker: &IdentifierUri) -> Result<(), ClientError> {
    let requests = client.connection_requests().await?;
    let request = requests.iter().find(|request| request.from == *asker);
    // It is on its way: the background task looks who it is.
    let request = request.ok_or(ClientError::Unreachable)?;
    client.accept(request.id).await.map(|_| ())
}

fn failed(what: &'static str) -> DemoError {
    DemoError::Client {
        what,
        source: ClientError::OutOfBounds,
    }
}

fn client<T>(what: &'static str, result: Result<T, ClientError>) -> Result<T, DemoError> {
    result.map_err(|source| DemoError::Client { what, source })
}

/// Tries an operation as its errors advise, until it is done or nobody has patience any more.
pub(crate) async fn persist<T, F>(
    what: &'static str,
    operation: impl FnMut() -> F,
) -> Result<T, DemoError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let done = persist_quietly(operation).await;
    done.map_err(|source| DemoError::Client { what, source })
}

async fn persist_quietly<T, F>(mut operation: impl FnMut() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let start = Instant::now();
    loop {
        let source = match operation().await {
            Ok(value) => return Ok(value),
            Err(source) => source,
        };
        let again = matches!(source.advice(), Advice::RetryAfter(_) | Advice::Wait);
        if !again || start.elapsed() > PATIENCE {
            return Err(source);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
