//! Owns the users of a demo and their devices.

use super::DemoError;
use sordino_client::{
    Advice, Client, ClientConfig, ClientError, Delays, Group, GroupHandover, GroupId, HubAddress,
    IdentifierUri, KeyPackageSet, NewDevice, assemble_set,
};
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
}

impl Cast {
    /// Makes users; every second one links a second device.
    pub(crate) async fn make(
        users: usize,
        hub: &HubAddress,
        folder: &Path,
        seed: u64,
    ) -> Result<Self, DemoError> {
        let mut cast = Self {
            devices: Vec::new(),
            users: Vec::new(),
        };
        for user in 0..users {
            let name = format!("mimi://{}/u/demo-person-{user}", hub.domain.as_str());
            let uri = IdentifierUri::new(name).map_err(|_| failed("naming a user"))?;
            let first = config(folder, hub, user, 0, seed);
            let client = client("making a user", Client::create_user(first, &uri).await)?;
            cast.enter(client.clone(), user);
            cast.users.push(uri.clone());
            if user % 2 == 1 {
                let second = config(folder, hub, user, 1, seed);
                let device = link(&client, second, &uri).await;
                let device = device.map_err(|source| DemoError::Client {
                    what: "linking a device",
                    source,
                })?;
                cast.enter(device, user);
            }
        }
        Ok(cast)
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

    /// A key-package set of all devices of a user, for one contact.
    pub(crate) async fn key_package_set(
        &self,
        user: usize,
        contact: &IdentifierUri,
    ) -> Result<KeyPackageSet, ClientError> {
        let mut entries = Vec::new();
        let mut slot = None;
        for index in self.devices_of(user) {
            let Some(device) = self.devices.get(index) else {
                continue;
            };
            let slot = slot.get_or_insert_with(|| device.client.new_set_slot(contact));
            entries.push(device.client.key_package_set_entry(slot).await?);
        }
        assemble_set(entries)
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
        answer_s: 1,
        confirm_s: 1,
        remove_s: 1,
    };
    config.retry_pause = Duration::from_millis(100);
    config
}

async fn link(
    first: &Client,
    config: ClientConfig,
    user: &IdentifierUri,
) -> Result<Client, ClientError> {
    let device = NewDevice::new(config, user).await?;
    let handover = first.link_device(device.link_request()).await?;
    Ok(device.accept(handover).await?.0)
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
    mut operation: impl FnMut() -> F,
) -> Result<T, DemoError>
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
            return Err(DemoError::Client { what, source });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a further device needs to come into a group by itself, with its sibling's consent.
pub(crate) async fn join_as_sibling(
    sibling: &Group,
    device: &Client,
    handover: &GroupHandover,
) -> Result<Group, ClientError> {
    let request = device.leaf_request(handover)?;
    let grant = sibling.grant_leaf(&request).await?;
    device.join_as_new_device(grant).await
}
