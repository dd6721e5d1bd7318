//! A user with three devices stays in sync, whatever happens to them: seeded, so that a failure
//! can be repeated. `SORDINO_MIXED_STEPS` makes it longer, `SORDINO_MIXED_SEED` another one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::{World, connect, texts};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sordino_client::{Client, ClientError, Group, GroupId, GroupSettings, GroupStatus, Linking};
use std::collections::{BTreeMap, BTreeSet};

const DEVICES: usize = 3;
/// Rounds in which everything must come to rest.
const ROUNDS: usize = 40;

/// One of the user's devices.
struct Device {
    /// Gone while it is switched off.
    client: Option<Client>,
    vault: String,
    /// On, but not asked to do anything and not synced.
    offline: bool,
}

struct Play {
    world: World,
    rng: ChaCha20Rng,
    devices: Vec<Device>,
    friend: Client,
    vaults: usize,
    said: usize,
    wiped: usize,
}

fn number(name: &str, usual: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(usual, |text| text.parse().unwrap())
}

impl Play {
    async fn start(seed: u64) -> Self {
        let world = World::start().await;
        let first = world.user("alice").await;
        let friend = world.user("bob").await;
        connect(&first, &friend).await;
        let mut play = Self {
            world,
            rng: ChaCha20Rng::seed_from_u64(seed),
            devices: vec![Device {
                client: Some(first),
                vault: "alice".into(),
                offline: false,
            }],
            friend,
            vaults: 0,
            said: 0,
            wiped: 0,
        };
        while play.devices.len() < DEVICES {
            let device = play.link(0).await;
            play.devices.push(device);
        }
        for index in 0..DEVICES {
            play.rounds_until_told(index).await;
        }
        play
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.next_u64() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// Links a new device by an old one.
    async fn link(&mut self, by: usize) -> Device {
        self.vaults += 1;
        let vault = format!("alice-{}", self.vaults);
        let linking = Linking::start(self.world.config(&vault)).await.unwrap();
        let code = linking.code().to_owned();
        let old = self.devices[by].client.as_ref().unwrap();
        let (linked, new) = tokio::join!(old.link_device(&code), linking.finish());
        linked.unwrap();
        Device {
            client: Some(new.unwrap()),
            vault,
            offline: false,
        }
    }

    /// A device that is on and online; there always is one.
    fn online(&mut self) -> usize {
        let on: Vec<usize> = (0..self.devices.len())
            .filter(|index| self.devices[*index].client.is_some() && !self.devices[*index].offline)
            .collect();
        let chosen = self.below(on.len());
        on[chosen]
    }

    async fn rounds(&self, rounds: usize) {
        for _ in 0..rounds {
            for device in self.devices.iter().filter(|device| !device.offline) {
                if let Some(client) = &device.client {
                    // In trouble, a round may fail; the next one goes on.
                    let _ = client.sync_once().await;
                }
            }
            let _ = self.friend.sync_once().await;
        }
    }

    async fn step(&mut self) {
        match self.below(20) {
            0..=6 => self.talk().await,
            7..=9 => self.friend_talks().await,
            10 => self.open_room(true).await,
            11 => self.open_room(false).await,
            12..=13 => self.go_offline(),
            14..=15 => self.come_online().await,
            16..=17 => self.kill().await,
            18 => self.change_keys().await,
            _ => self.wipe().await,
        }
    }

    async fn room_of(&mut self, index: usize) -> Option<Group> {
        let client = self.devices[index].client.clone().unwrap();
        let mut active = Vec::new();
        for room in client.groups() {
            if room.status().await.unwrap() == GroupStatus::Active {
                active.push(room);
            }
        }
        if active.is_empty() {
            return None;
        }
        let chosen = self.below(active.len());
        Some(active.swap_remove(chosen))
    }

    async fn talk(&mut self) {
        let index = self.online();
        let _ = self.devices[index]
            .client
            .as_ref()
            .unwrap()
            .sync_once()
            .await;
        if let Some(room) = self.room_of(index).await {
            self.said += 1;
            let text = format!("alice {}", self.said);
            room.send(text.as_bytes()).await.unwrap();
        }
    }

    async fn friend_talks(&mut self) {
        let rooms = self.friend.groups();
        if rooms.is_empty() {
            return;
        }
        let chosen = self.below(rooms.len());
        self.said += 1;
        let text = format!("bob {}", self.said);
        rooms[chosen].send(text.as_bytes()).await.unwrap();
    }

    async fn open_room(&mut self, by_friend: bool) {
        let index = self.online();
        let own = self.devices[index].client.clone().unwrap();
        let (from, to) = match by_friend {
            true => (self.friend.clone(), own),
            false => (own, self.friend.clone()),
        };
        let settings = match self.below(2) {
            0 => GroupSettings::closed(),
            _ => GroupSettings::by_invite(),
        };
        let room = from.create_group(settings).await.unwrap();
        match room.invite(&to.credential().user).await {
            // Where no set is left in a closed room, it stays as it is.
            Ok(_) | Err(ClientError::PoolEmpty) => {}
            Err(error) => panic!("by friend: {by_friend}: {error}"),
        }
    }

    /// All but one may be offline at once.
    fn go_offline(&mut self) {
        let on = self
            .devices
            .iter()
            .filter(|d| d.client.is_some() && !d.offline);
        if on.count() > 1 {
            let index = self.online();
            self.devices[index].offline = true;
        }
    }

    async fn come_online(&mut self) {
        for device in &mut self.devices {
            device.offline = false;
        }
        self.rounds(2).await;
    }

    /// The process ends between two instructions, and is started again.
    async fn kill(&mut self) {
        let index = self.online();
        self.devices[index].client = None;
        let vault = self.devices[index].vault.clone();
        self.devices[index].client = Some(self.world.reopen(&vault).await);
        self.rounds(1).await;
    }

    async fn change_keys(&mut self) {
        let index = self.online();
        let _ = self.devices[index]
            .client
            .as_ref()
            .unwrap()
            .sync_once()
            .await;
        if let Some(room) = self.room_of(index).await {
            match room.move_generation().await {
                Ok(())
                | Err(ClientError::Refused(sordino_client::Reject::AwaitingConfirmation)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A device loses everything: another one removes it, and it is linked anew.
    async fn wipe(&mut self) {
        self.come_online().await;
        if self.wiped >= self.devices.len() {
            return;
        }
        let index = self.online();
        let by = (index + 1) % DEVICES;
        let name = self.devices[index]
            .client
            .take()
            .unwrap()
            .credential()
            .client;
        let other = self.devices[by].client.clone().unwrap();
        match other.remove_device(&name).await {
            Ok(()) | Err(ClientError::Refused(sordino_client::Reject::AwaitingConfirmation)) => {}
            Err(error) => panic!("{error}"),
        }
        self.rounds(2).await;
        self.devices[index] = self.link(by).await;
        self.wiped += 1;
        self.rounds_until_told(index).await;
    }

    /// Until a device that is new has heard from the others whom the user knows.
    async fn rounds_until_told(&self, index: usize) {
        let friend = self.friend.credential().user;
        for _ in 0..ROUNDS {
            self.rounds(1).await;
            let device = self.devices[index].client.as_ref().unwrap();
            if device.contact(&friend).await.is_ok() {
                return;
            }
        }
        panic!("the new device hears nothing");
    }

    /// What one device has: its rooms with everybody in them, its contacts, its account.
    async fn view(client: &Client) -> BTreeMap<String, String> {
        let mut view = BTreeMap::new();
        for room in client.groups() {
            if room.status().await.unwrap() != GroupStatus::Active {
                continue;
            }
            let mut people: Vec<String> = Vec::new();
            for person in room.members().await.unwrap() {
                let name = person.identity.map(|identity| identity.client);
                people.push(name.map_or("?".into(), |name| name.as_str().to_owned()));
            }
            people.sort();
            let authenticator = room.epoch_authenticator().await.unwrap();
            view.insert(
                format!("room {:?}", room.id().0),
                format!("{people:?} {:?}", &authenticator[..8]),
            );
        }
        for contact in client.contacts().await.unwrap() {
            view.insert(
                format!("contact {}", contact.user.as_str()),
                format!("{:?} {}", contact.state, contact.fingerprint),
            );
        }
        view.insert("account".into(), client.fingerprint().unwrap());
        view
    }

    /// Everybody is online; in the end all devices have the same.
    async fn settle(&mut self) {
        self.come_online().await;
        let mut views = Vec::new();
        for _ in 0..ROUNDS {
            self.rounds(1).await;
            views.clear();
            for device in &self.devices {
                views.push(Self::view(device.client.as_ref().unwrap()).await);
            }
            let one = views.iter().all(|view| *view == views[0]);
            if one && !views[0].values().any(|value| value.contains('?')) {
                return;
            }
        }
        panic!("devices differ: {views:#?}");
    }

    async fn histories(&self) -> BTreeMap<GroupId, Vec<BTreeSet<String>>> {
        let mut histories: BTreeMap<GroupId, Vec<BTreeSet<String>>> = BTreeMap::new();
        for device in &self.devices {
            for room in device.client.as_ref().unwrap().groups() {
                let texts = texts(&room).await;
                let unique: BTreeSet<String> = texts.iter().cloned().collect();
                assert_eq!(unique.len(), texts.len(), "a message came twice");
                histories.entry(room.id()).or_default().push(unique);
            }
        }
        histories
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_devices_stay_in_sync() {
    let steps = number("SORDINO_MIXED_STEPS", 200);
    let seed = number("SORDINO_MIXED_SEED", 1);
    println!("seed {seed}, {steps} steps");
    let mut play = Play::start(seed).await;
    for _ in 0..steps {
        play.step().await;
    }
    play.settle().await;
    // From here on, everybody hears everything, in every room.
    let before = play.histories().await;
    for index in 0..DEVICES {
        let client = play.devices[index].client.clone().unwrap();
        for room in client.groups() {
            if room.status().await.unwrap() == GroupStatus::Active {
                let text = format!("at last from {index}");
                room.send(text.as_bytes()).await.unwrap();
            }
        }
    }
    play.settle().await;
    for (room, histories) in play.histories().await {
        let former = before.get(&room).map_or(&[][..], Vec::as_slice);
        for (after, before) in histories.iter().zip(former) {
            let new: Vec<&String> = after.difference(before).collect();
            assert!(before.is_subset(after), "history was lost");
            assert_eq!(new.len(), DEVICES, "{new:?}");
        }
    }
    println!("{} messages, {} wiped devices", play.said, play.wiped);
    play.world.hub.shutdown().await;
}
