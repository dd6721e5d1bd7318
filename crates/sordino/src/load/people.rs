//! Owns the groups of a load: real clients, who come in by links.

use super::{Arguments, LoadError};
use indicatif::ProgressBar;
use sordino_client::{
    Client, ClientConfig, ClientError, Delays, Group, GroupSettings, Handle, HubAddress,
    RegisterWith,
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

/// What users register with: codes, as long as there are some, or work.
struct Registry {
    /// Tells the handles of this run from those of others.
    run: String,
    codes: Vec<String>,
}

impl Registry {
    fn open(codes: Option<&Path>) -> Result<Self, LoadError> {
        let mut run = [0; 4];
        getrandom::fill(&mut run).map_err(|_| LoadError::Randomness)?;
        let text = match codes {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|e| LoadError::File(path.to_owned(), e))?
            }
            None => String::new(),
        };
        Ok(Self {
            run: run.iter().map(|byte| format!("{byte:02x}")).collect(),
            codes: text.split_whitespace().rev().map(str::to_owned).collect(),
        })
    }

    async fn user(
        &mut self,
        hub: &HubAddress,
        folder: &Path,
        number: u16,
    ) -> Result<Client, LoadError> {
        let vault = folder.join(format!("vault-{number}.redb"));
        let mut config = ClientConfig::new(vault, VAULT_KEY, hub.clone());
        // Nobody has to wait for politeness here.
        config.delays = Delays::none();
        config.retry_pause = Duration::from_millis(50);
        let handle = Handle::from_input(&format!("load-{}-{number}", self.run));
        let handle = handle.map_err(|_| LoadError::Domain)?;
        let with = self.codes.pop().map(RegisterWith::Invitation);
        let with = with.unwrap_or_else(RegisterWith::work);
        match Client::register(config, &handle, with).await {
            Err(ClientError::Unreachable) => Err(LoadError::NoHub(hub.url.clone())),
            client => client.map_err(setup("registering a user")),
        }
    }
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
        let mut registry = Registry::open(arguments.invitations.as_deref())?;
        let mut people = Vec::new();
        for number in 0..arguments.members {
            bar.set_message(format!(
                "registering {} of {}",
                number + 1,
                arguments.members
            ));
            people.push(registry.user(hub, &folder.0, number).await?);
        }
        let founder = registry.user(hub, &folder.0, arguments.members).await?;
        let mut rooms = Vec::new();
        for number in 0..arguments.groups {
            bar.set_message(format!(
                "making group {} of {}",
                number + 1,
                arguments.groups
            ));
            rooms.push(room(&people).await?);
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
