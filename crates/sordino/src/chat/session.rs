//! Owns a person's open folder: the client, and how far each room was read.
//!
//! Invariant: names of rooms and how far they were read are sealed in the vault like everything
//! else; a name typed by a person means one room or contact, or an error that says what to type.

use super::account::Who;
use super::home::Home;
use super::talk::{Line, Lines, Standing};
use super::unlock::{Unlocking, VaultKey};
use super::{ChatError, Content};
use serde::{Deserialize, Serialize};
use sordino_client::{
    Client, ClientConfig, ClientError, Delays, EventStream, Group, GroupId, HubAddress, Message,
    Person,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::task::JoinHandle;

/// The note that holds what is known about rooms.
const ROOMS_NOTE: &str = "chat rooms";
/// Messages looked at in one step.
const SCAN: usize = 256;
/// Digits of a room's id that are shown, and are enough to name it.
const SHOWN_DIGITS: usize = 8;

/// The longest a person at the screen waits for who is asking, in seconds.
const SCREEN_LOOK_UP_S: u64 = 3;

/// Whether what is due waits for a random moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It does not.
    AtOnce,
    /// It does: what the hub sees then tells less of what caused it.
    Patient,
}

/// What this chat remembers of one room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RoomNote {
    /// The next message to look at.
    scanned: u64,
    /// The next message to read.
    read: u64,
    /// Messages of others from there on.
    unread: usize,
}

/// A person's open folder.
pub(crate) struct Session {
    client: Client,
    notes: Mutex<BTreeMap<String, RoomNote>>,
    online: AtomicBool,
}

impl Session {
    /// How a client is set up here. A command does what is due at once, since it ends before a
    /// random delay would; the screen has the time to wait.
    pub(crate) fn config(home: &Home, key: &VaultKey, hub: HubAddress, pace: Pace) -> ClientConfig {
        let mut config = ClientConfig::new(home.vault(), **key, hub);
        match pace {
            Pace::AtOnce => config.delays = Delays::none(),
            Pace::Patient => config.delays.look_up_s = SCREEN_LOOK_UP_S,
        }
        config
    }

    /// Opens the folder.
    pub(crate) async fn open(
        home: &Home,
        unlocking: &Unlocking,
        pace: Pace,
    ) -> Result<Self, ChatError> {
        let settings = home.settings()?;
        let key = unlocking.open(&settings.seal)?;
        let config = Self::config(home, &key, settings.hub()?, pace);
        Self::of(Client::open(config).await?)
    }

    /// With a client that is open.
    pub(crate) fn of(client: Client) -> Result<Self, ChatError> {
        let notes = match client.note(ROOMS_NOTE)? {
            // A note of another version is forgotten: it is made again from the messages.
            Some(note) => serde_json::from_slice(&note).unwrap_or_default(),
            None => BTreeMap::new(),
        };
        Ok(Self {
            client,
            notes: Mutex::new(notes),
            online: AtomicBool::new(true),
        })
    }

    /// The client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Fetches what is new and brings on what was begun. A hub that does not answer is no error:
    /// what is here can be read all the same.
    pub(crate) async fn sync(&self) -> Result<(), ChatError> {
        match self.client.sync_once().await {
            Ok(()) => self.online.store(true, Ordering::Relaxed),
            Err(ClientError::Unreachable) => {
                if self.online.swap(false, Ordering::Relaxed) {
                    eprintln!("the hub does not answer; showing what is here");
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether the hub answered last.
    pub(crate) fn is_online(&self) -> bool {
        self.online.load(Ordering::Relaxed)
    }

    /// Keeps up to date in the background.
    pub(crate) fn run(&self) -> JoinHandle<()> {
        self.client.run()
    }

    /// What happens from now on.
    pub(crate) fn events(&self) -> EventStream {
        self.client.events()
    }

    /// Who this is.
    pub(crate) fn who(&self) -> Result<Who, ChatError> {
        let fingerprint = self.client.fingerprint()?;
        Ok(Who::new(&self.client.credential().user, fingerprint))
    }

    /// Who this is, for a title.
    pub(crate) fn title(&self) -> String {
        let user = self.client.credential().user;
        format!("{} at {}", short_name(&user), domain_of(&user))
    }

    /// What a room is called here.
    pub(crate) fn room_name(&self, room: GroupId) -> String {
        let named = self.known_name(room);
        named.unwrap_or_else(|| format!("room {}", shown_id(room)))
    }

    /// The room that somebody means: `@handle`, a name, or the first digits of an id.
    pub(crate) async fn room(&self, text: &str) -> Result<GroupId, ChatError> {
        if let Some(handle) = text.strip_prefix('@') {
            return self.conversation_with(handle).await;
        }
        let mut found = Vec::new();
        for group in self.client.groups() {
            self.scan(&group).await?;
            let named = self.known_name(group.id());
            let by_name = named.is_some_and(|name| name.eq_ignore_ascii_case(text));
            let digits = text.len() >= SHOWN_DIGITS && hex::encode(group.id().0).starts_with(text);
            if by_name || digits {
                found.push(group.id());
            }
        }
        match found.as_slice() {
            [room] => Ok(*room),
            [] => Err(ChatError::NoRoom(text.to_owned())),
            _ => Err(ChatError::ManyRooms(text.to_owned())),
        }
    }

    /// Messages of others that were not read.
    pub(crate) async fn unread(&self, room: GroupId) -> Result<usize, ChatError> {
        let group = self.client.group(room).await?;
        self.scan(&group).await?;
        Ok(self.with_note(room, |note| note.unread))
    }

    /// Messages of others that were not read, as far as they were looked at.
    pub(crate) fn unread_known(&self, room: GroupId) -> usize {
        self.with_note(room, |note| note.unread)
    }

    /// Notes that everything before a message was read.
    pub(crate) async fn mark_read(&self, room: GroupId, next: u64) -> Result<(), ChatError> {
        if self.with_note(room, |note| note.read >= next && note.unread == 0) {
            return Ok(());
        }
        self.change_note(room, |note| {
            note.read = note.read.max(next);
            note.scanned = note.scanned.max(next);
            note.unread = 0;
        })
    }

    /// The last lines of a conversation, those on their way included.
    pub(crate) async fn lines(&self, room: GroupId, last: usize) -> Result<Lines, ChatError> {
        let group = self.client.group(room).await?;
        let next = group.message_count().await?;
        let from = next.saturating_sub(u64::try_from(last).unwrap_or(u64::MAX));
        let mut shown = self.lines_from(room, from).await?;
        for content in group.outgoing().await? {
            if let Content::Text(text) = Content::read(&content) {
                shown.lines.push(Line {
                    who: short_name(&self.client.credential().user),
                    text,
                    time_s: 0,
                    standing: Standing::Own,
                    delivered: false,
                });
            }
        }
        Ok(shown)
    }

    /// What was said from a message on.
    pub(crate) async fn lines_from(&self, room: GroupId, from: u64) -> Result<Lines, ChatError> {
        let group = self.client.group(room).await?;
        self.scan(&group).await?;
        let mut lines = Vec::new();
        let mut next = from;
        loop {
            let messages = group.messages(next, SCAN).await?;
            let Some(last) = messages.last() else {
                return Ok(Lines { lines, next });
            };
            next = last.number.saturating_add(1);
            lines.extend(messages.iter().map(|message| self.line(message)));
        }
    }

    fn line(&self, message: &Message) -> Line {
        let (text, system) = match Content::read(&message.content) {
            Content::Text(text) => (text, false),
            Content::RoomName(name) => (format!("calls this room \u{201c}{name}\u{201d}"), true),
            Content::Unknown => (
                "(a kind of message that this version does not know)".into(),
                true,
            ),
        };
        Line {
            who: person_name(&message.sender),
            text,
            time_s: message.time_s,
            standing: match (system, message.own) {
                (true, _) => Standing::System,
                (_, true) => Standing::Own,
                _ => standing(&message.sender),
            },
            delivered: true,
        }
    }

    /// Looks at what came since the last time.
    pub(crate) async fn scan(&self, group: &Group) -> Result<(), ChatError> {
        let room = group.id();
        let mut note = self.with_note(room, RoomNote::clone);
        let before = note.clone();
        loop {
            let messages = group.messages(note.scanned, SCAN).await?;
            let Some(last) = messages.last() else {
                break;
            };
            note.scanned = last.number.saturating_add(1);
            for message in &messages {
                match Content::read(&message.content) {
                    Content::RoomName(name) => self.client.set_label(room, &name)?,
                    _ if !message.own && message.number >= note.read => note.unread += 1,
                    _ => {}
                }
            }
        }
        if note == before {
            return Ok(());
        }
        self.change_note(room, |kept| {
            // What was read meanwhile stays read.
            if kept.read == before.read && kept.scanned == before.scanned {
                *kept = note;
            }
        })
    }

    fn with_note<T>(&self, room: GroupId, look: impl FnOnce(&RoomNote) -> T) -> T {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        match notes.get(&hex::encode(room.0)) {
            Some(note) => look(note),
            None => look(&RoomNote::default()),
        }
    }

    fn change_note(
        &self,
        room: GroupId,
        change: impl FnOnce(&mut RoomNote),
    ) -> Result<(), ChatError> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        change(notes.entry(hex::encode(room.0)).or_default());
        let text = serde_json::to_vec(&*notes).map_err(|_| ChatError::Settings)?;
        Ok(self.client.keep_note(ROOMS_NOTE, &text)?)
    }

    /// Notes what a room is called, and tells its members.
    pub(crate) async fn name_room(&self, room: GroupId, name: &str) -> Result<(), ChatError> {
        let content = Content::room_name(name).map_err(|_| ChatError::BadText)?;
        self.client.set_label(room, name.trim())?;
        self.client.group(room).await?.send(&content).await?;
        Ok(())
    }

    /// What a room was called last, if anything.
    pub(crate) fn known_name(&self, room: GroupId) -> Option<String> {
        self.client.label(room).ok().flatten()
    }
}

/// The first digits of a room's id.
pub(crate) fn shown_id(room: GroupId) -> String {
    let mut digits = hex::encode(room.0);
    digits.truncate(SHOWN_DIGITS);
    digits
}

/// The handle in a user's URI.
pub(crate) fn short_name(user: &sordino_client::IdentifierUri) -> String {
    let uri = user.as_str();
    uri.rsplit('/').next().unwrap_or(uri).to_owned()
}

fn domain_of(user: &sordino_client::IdentifierUri) -> &str {
    let uri = user.as_str();
    uri.split('/').nth(2).unwrap_or(uri)
}

/// What to call somebody in a room.
pub(crate) fn person_name(person: &Person) -> String {
    match &person.identity {
        Some(identity) => short_name(&identity.user),
        None => "somebody".to_owned(),
    }
}

/// How far a name can be believed.
pub(crate) fn standing(person: &Person) -> Standing {
    use sordino_client::Standing as Proof;
    match person.standing {
        Proof::Own => Standing::Own,
        Proof::Contact | Proof::Known => Standing::Proven,
        Proof::Claimed | Proof::Unidentified => Standing::Claimed,
        Proof::Outdated | Proof::Conflict => Standing::Conflict,
    }
}
