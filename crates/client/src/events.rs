//! Owns what an application is told, as it happens.
//!
//! Invariant: an event is sent after the state it tells of is durable; who listens late finds the
//! same facts in [`crate::Group::messages`] and [`crate::Group::members`].

use crate::people::requests::RequestId;
use sordino_rules::Operation;
use sordino_wire::{Digest, GroupId, IdentifierUri};
use tokio::sync::broadcast;

/// How many events wait for a slow listener before it is told that it lags.
const BACKLOG: usize = 4_096;

/// A member as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The user's pseudonym in this group.
    pub user_pseudonym: IdentifierUri,
    /// The device's pseudonym in this group.
    pub client_pseudonym: IdentifierUri,
    /// Who it really is, proven by its identity entry; `None` while unidentified.
    pub identity: Option<Identity>,
    /// What that identity is worth to this user.
    pub standing: Standing,
}

/// What an identity is worth: which account key stands behind it, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// There is none, or the room shows none.
    #[default]
    Unidentified,
    /// This user itself.
    Own,
    /// A connected contact, under the account key that was looked up and confirmed.
    Contact,
    /// Under the same account key as before, in another group.
    Known,
    /// Seen for the first time: the name is the group's word alone.
    Claimed,
    /// Under an account key that this user has replaced since: a device that may have been lost.
    Outdated,
    /// Under another account key than the one that is known for this name.
    Conflict,
}

/// A verified identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: IdentifierUri,
    /// The device.
    pub client: IdentifierUri,
    /// The account key that certified the device.
    pub account_key: sordino_wire::SignatureKey,
}

/// A message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in this device's history of the group, from 0.
    pub number: u64,
    /// Who sent it.
    pub sender: Person,
    /// Whether this device sent it.
    pub own: bool,
    /// What it says.
    pub content: Vec<u8>,
    /// The hub's time of delivery in seconds since 1970, floored to 60.
    pub time_s: u64,
    /// The MLS epoch in which it was sent.
    pub epoch: u64,
}

/// How a group came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The right keys were given to the hub.
    Rekeyed,
    /// A fresh random key was given to the hub, on the way to a resync.
    RandomRekey,
    /// The members were asked for the group's secret.
    KeyRequested,
    /// A member answered.
    KeyReceived,
    /// Back in by an external commit in place of the former leaf.
    Resynced,
}

/// Something that a cheat leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A committer signed other keys than the commit gives: its signature over the wrong hash.
    WrongKeys {
        /// Who.
        committer: Person,
        /// SHA-256 of the commit's MLSMessage.
        commit: Digest,
    },
    /// A KeyCheck's signature or commit hash does not verify.
    BadKeyCheck {
        /// SHA-256 of the commit's MLSMessage.
        commit: Digest,
    },
    /// An identity entry does not open or does not prove what it says.
    BadIdentityEntry {
        /// Whose leaf.
        member: Person,
    },
    /// An identity entry names another user than those of the same pseudonym.
    MixedIdentities {
        /// Whose leaf.
        member: Person,
    },
    /// A commit that MLS refuses to process, from this member's view.
    Unprocessable {
        /// SHA-256 of the commit's MLSMessage.
        commit: Digest,
    },
    /// A commit that breaks a rule, which an honest hub would have refused.
    IllegalCommit {
        /// SHA-256 of the commit's MLSMessage.
        commit: Digest,
    },
    /// A member reports a commit.
    Reported {
        /// Who reports.
        member: Option<Person>,
        /// SHA-256 of the commit's MLSMessage.
        commit: Digest,
    },
    /// A stream entry that does not open.
    UnreadableEntry,
    /// A key object whose giver is not the member it says.
    BadKeyObject,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody asks for a connection: see [`crate::Client::connection_requests`].
    ConnectionRequested {
        /// Names the request.
        id: RequestId,
    },
    /// A contact is inside: names are verified on this side, and both can talk.
    Connected {
        /// Who.
        user: IdentifierUri,
        /// The group that both share.
        group: GroupId,
    },
    /// A contact is not in the shared group any more.
    Disconnected {
        /// Who.
        user: IdentifierUri,
    },
    /// Somebody else than the person who was asked came in, and is removed; the person is asked
    /// anew.
    ConnectionIntruder {
        /// Who was asked.
        user: IdentifierUri,
        /// Who came, if that can be said.
        intruder: Person,
    },
    /// A contact asks this user into a group: see [`crate::Client::invites`].
    Invited {
        /// Who.
        user: IdentifierUri,
        /// Into which group.
        group: GroupId,
    },
    /// Somebody appears under another account key than the one that is known for this name.
    IdentityConflict {
        /// In which group.
        group: GroupId,
        /// Who.
        person: Person,
    },
    /// Somebody has another account key from now on, and the former one has signed for it.
    AccountKeyChanged {
        /// Who.
        user: IdentifierUri,
    },
    /// A key-package set of a contact could not be used: it was passed over.
    UnusableKeyPackages {
        /// Whose.
        user: IdentifierUri,
    },
    /// This device was removed from the account by another one, and is of no use any more.
    DeviceRemoved,
    /// A Welcome was refused, since it did not come from the contact for whom its KeyPackage was.
    WelcomeRefused,
    /// This device is in a group now.
    Joined {
        /// Which.
        group: GroupId,
    },
    /// A join that was interrupted did not come about; it can be tried again.
    JoinFailed {
        /// Which.
        group: GroupId,
    },
    /// A message arrived, or one's own came back from the hub.
    Message {
        /// In which group.
        group: GroupId,
        /// The message.
        message: Message,
    },
    /// A commit was applied.
    Committed {
        /// In which group.
        group: GroupId,
        /// The epoch it started.
        epoch: u64,
        /// What it did.
        operation: Operation,
        /// Who, if that leaf is still there.
        by: Option<Person>,
    },
    /// Members came, went or were identified.
    RosterChanged {
        /// In which group.
        group: GroupId,
    },
    /// Somebody wants to be added.
    JoinProposed {
        /// Into which group.
        group: GroupId,
        /// The pseudonym that asks.
        user_pseudonym: IdentifierUri,
    },
    /// This device was removed, or left.
    Removed {
        /// From which group.
        group: GroupId,
    },
    /// A group came back.
    Recovered {
        /// Which.
        group: GroupId,
        /// How.
        how: Recovery,
    },
    /// Somebody cheated.
    Evidence {
        /// In which group.
        group: GroupId,
        /// What shows it.
        evidence: Evidence,
    },
    /// A message could not be decrypted: too late for its epoch, or damaged by its sender.
    Undecryptable {
        /// In which group.
        group: GroupId,
    },
    /// An own message that will not be sent any more.
    NotSent {
        /// Into which group.
        group: GroupId,
        /// What it said.
        content: Vec<u8>,
        /// Whether the others may have it: the hub's answer was lost, and so is what could tell.
        may_have_arrived: bool,
    },
    /// The group is frozen in favour of another.
    Frozen {
        /// Which.
        group: GroupId,
        /// Its successor.
        successor: GroupId,
    },
    /// The group is deleted.
    Deleted {
        /// Which.
        group: GroupId,
    },
    /// Entries died before they were read; the group recovers by itself.
    Gap {
        /// In which group.
        group: GroupId,
    },
    /// The hub went back to an earlier state of a group.
    RolledBack {
        /// Which.
        group: GroupId,
    },
    /// The hub delivered what no honest hub delivers; the group is not processed any further.
    Halted {
        /// Which.
        group: GroupId,
    },
    /// The listener was too slow and missed that many events.
    Lagged(u64),
}

impl Event {
    /// Everybody whom the event names.
    pub(crate) fn people_mut(&mut self) -> Option<(GroupId, &mut Person)> {
        match self {
            Self::Message { group, message } => Some((*group, &mut message.sender)),
            Self::Committed {
                group,
                by: Some(person),
                ..
            }
            | Self::IdentityConflict { group, person } => Some((*group, person)),
            Self::Evidence {
                group,
                evidence:
                    Evidence::WrongKeys {
                        committer: member, ..
                    }
                    | Evidence::BadIdentityEntry { member }
                    | Evidence::MixedIdentities { member }
                    | Evidence::Reported {
                        member: Some(member),
                        ..
                    },
            } => Some((*group, member)),
            _ => None,
        }
    }
}

/// The sending side.
#[derive(Clone, Debug)]
pub(crate) struct EventSink(broadcast::Sender<Event>);

impl EventSink {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }

    /// Tells everybody who listens; nobody listening is fine.
    pub(crate) fn send_all(&self, events: Vec<Event>) {
        for event in events {
            let _ = self.0.send(event);
        }
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        EventStream(self.0.subscribe())
    }
}

/// Events from the moment of subscribing on.
#[derive(Debug)]
pub struct EventStream(broadcast::Receiver<Event>);

impl EventStream {
    /// The next event; `None` once the client is gone.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Event::Lagged(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next event that is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.0.try_recv() {
            Ok(event) => Some(event),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(Event::Lagged(missed)),
            Err(_) => None,
        }
    }
}
