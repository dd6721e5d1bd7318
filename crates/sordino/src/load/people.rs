//! Owns the groups of a load: real clients, who come in by links.

use super::{Arguments, LoadError};
use indicatif::ProgressBar;
use sordino_client::{
    Client, ClientConfig, ClientError, Delays, Group, GroupSettings, HubAddress, IdentifierUri,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long members may take until they know each other.
const PATIENCE: Duration = Duration::from_secs(120);
/// The vaults' key: nothing in them outlives the run.
const VAULT_KEY: [u8; 32] = [7; 32];

/// One group as those have it who act in it.
pub(crate) struct Room {
    /// Whoever commits.
    pub(crate) driver: (Client, Group),
    /// Whoever comes in again and again.
    pub(crate) guest: (Client, Group),
}

/// Everybody.
pub(crate) struct World {
    pub(crate) rooms: Vec<Room>,
    /// Makes further groups.
    pub(crate) founder: Client,
    /// Where the vaults are.
    pub(crate) folder: Folder,
}

/// The vaults' folder, which goes with this.
pub(crate) struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn setup(what: &'static str) -> impl FnOnce(ClientError) -> LoadError {
    move |source| LoadError::Setup { what, source }
}

async fn user(hub: &HubAddress, folder: &Path, number: u16) -> Result<Client, LoadError> {
    let vault = folder.join(format!("vault-{number}.redb"));
    let mut config = ClientConfig::new(vault, VAULT_KEY, hub.clone());
    // Nobody has to wait for politeness here.
    config.delays = Delays {
        answer_s: 0,
        confirm_s: 0,
        remove_s: 0,
    };
    config.retry_pause = Duration::from_millis(50);
    let name = format!("mimi://{}/u/load-{number}", hub.domain.as_str());
    let uri = IdentifierUri::new(name).map_err(|_| LoadError::Domain)?;
    let client = Client::create_user(config, &uri).await;
    client.map_err(setup("making a user"))
}

impl World {
    /// Makes all groups, with everybody in all of them.
    pub(crate) async fn make(
        arguments: &Arguments,
        hub: &HubAddress,
        bar: &ProgressBar,
    ) -> Result<Self, LoadError> {
        let path = std::env::temp_dir().join(format!("sordino-load-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|e| LoadError::File(path.clone(), e))?;
        let folder = Folder(path);
        let mut people = Vec::new();
        for number in 0..arguments.members {
            people.push(user(hub, &folder.0, number).await?);
        }
        let founder = user(hub, &folder.0, arguments.members).await?;
        let mut rooms = Vec::new();
        for number in 0..arguments.groups {
            bar.set_message(format!(
                "making group {} of {}",
                number + 1,
                arguments.groups
            ));
            let room = match room(&people).await {
                Err(LoadError::Setup {
                    source: ClientError::Unreachable,
                    ..
                }) => return Err(LoadError::NoHub(hub.url.clone())),
                room => room?,
            };
            rooms.push(room);
        }
        Ok(Self {
            rooms,
            founder,
            folder,
        })
    }
}

async fn room(people: &[Client]) -> Result<Room, LoadError> {
    let (Some(driver), Some(guest)) = (people.first(), people.last()) else {
        return Err(setup("finding members")(ClientError::OutOfBounds));
    };
    let made = driver.create_group(GroupSettings::open()).await;
    let first = made.map_err(setup("making a group"))?;
    let mut groups = vec![first.clone()];
    for person in people.iter().skip(1) {
        let link = first.invite_link().await;
        let link = link.map_err(setup("making a link"))?;
        let group = person.join_open(&link).await;
        groups.push(group.map_err(setup("coming in"))?);
        settle(people, &groups).await?;
    }
    let last = groups.last().cloned().unwrap_or_else(|| first.clone());
    Ok(Room {
        driver: (driver.clone(), first),
        guest: (guest.clone(), last),
    })
}

/// Until everybody who is in has the group's secret and the same epoch.
async fn settle(people: &[Client], groups: &[Group]) -> Result<(), LoadError> {
    let begin = Instant::now();
    loop {
        let mut views = Vec::new();
        let mut busy = false;
        for (person, group) in people.iter().zip(groups) {
            // What fails is tried again.
            let _ = person.sync_once().await;
            busy |= group.is_busy().await.unwrap_or(true);
        }
        for group in groups {
            let _ = group.catch_up().await;
            views.push(group.epoch_authenticator().await.ok());
        }
        views.dedup();
        if !busy && views.len() == 1 {
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            return Err(setup("waiting until members know each other")(
                ClientError::SecretUnknown,
            ));
        }
    }
}
