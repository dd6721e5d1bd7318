//! Owns what is known of a person: account key, connection, keys given and taken.
//!
//! Invariant: the account key is the one that was looked up, or one that its predecessor has signed
//! for; keys of pools are there only for somebody who was verified inside a shared group.

use crate::core::Core;
use crate::engine::state::{GroupKind, Partner};
use crate::error::Result;
use crate::events::Person;
use crate::group::Group;
use sordino_crypto::account_fingerprint;
use sordino_wire::{ContactKeys, Digest, GroupId, IdentifierUri, SignatureKey, encode, exact};
use std::sync::Arc;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::Zeroizing;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum ContactState {
    /// This user has asked, and there is no answer. There may never be one: a person who says no
    /// says so to nobody.
    Asked = 1,
    /// This user has said yes and is on the way in.
    Accepting = 2,
    /// Both are inside and verified.
    Connected = 3,
    /// The connection is over: the contact has left, or deleted the account.
    Ended = 4,
    /// This user does not want to hear of that person, who is not told.
    Blocked = 5,
}

/// A person with whom this user is, was or wants to be connected.
#[derive(Clone)]
pub struct Contact {
    /// Who.
    pub user: IdentifierUri,
    /// Of the account key: to be compared with what the person sees.
    pub fingerprint: String,
    /// How far the connection is.
    pub state: ContactState,
    /// The group that both share; usable once the state is [`ContactState::Connected`].
    pub group: Option<Group>,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contact")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The form in which a contact is kept.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct ContactRecord {
    pub(crate) format: u8,
    pub(crate) user: IdentifierUri,
    pub(crate) account_key: SignatureKey,
    /// Account keys that signed for their successors.
    pub(crate) former_keys: Vec<SignatureKey>,
    pub(crate) state: ContactState,
    /// The connection group.
    pub(crate) group: Option<GroupId>,
    /// The request that opened it, whichever side sent it.
    pub(crate) request_id: Option<Digest>,
    /// Which device of this user asks, where one does.
    pub(crate) asker: Option<IdentifierUri>,
    /// `generation_c`.
    pub(crate) generation: u32,
    /// What the contact gave.
    pub(crate) theirs: Option<ContactKeys>,
    /// What the contact was given last.
    pub(crate) given: Option<PoolNumber>,
    /// Pools that the contact must find empty.
    pub(crate) drop: Vec<PoolNumber>,
    /// Pseudonyms that came into the connection group and are not the contact's.
    pub(crate) evict: Vec<IdentifierUri>,
    /// Groups that serve this connection no more.
    pub(crate) over: Vec<GroupId>,
}

/// Which pool of a contact: its keys follow from these numbers and the contact's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct PoolNumber {
    pub(crate) user_secret_number: u32,
    pub(crate) generation: u32,
}

impl ContactRecord {
    pub(crate) fn new(user: IdentifierUri, account_key: SignatureKey, state: ContactState) -> Self {
        Self {
            format: crate::records::FORMAT,
            user,
            account_key,
            former_keys: Vec::new(),
            state,
            group: None,
            request_id: None,
            asker: None,
            generation: 0,
            theirs: None,
            given: None,
            drop: Vec::new(),
            evict: Vec::new(),
            over: Vec::new(),
        }
    }

    /// Goes on from what there was: pools that were given up stay so, groups are left behind.
    pub(crate) fn follow(&mut self, former: &Self) {
        self.generation = former.generation;
        self.drop.extend(&former.drop);
        self.over.extend(&former.over);
        self.over
            .extend(former.group.filter(|group| self.group != Some(*group)));
    }

    /// What this device knows beside what another device of the user has said. A block counts on
    /// whatever device it was given: it is the one thing that moves `generation_c`.
    pub(crate) fn merged(mut self, own: Option<&Self>) -> Result<Self> {
        let Some(own) = own else {
            return Ok(self);
        };
        if own.generation > self.generation {
            return own.duplicate();
        }
        let same_group = self.group == own.group;
        if same_group && self.is_connected() && self.theirs.is_none() {
            self.theirs = own.duplicate()?.theirs;
        }
        // Groups that are left behind, and who is to go, are each device's own affair.
        self.evict.clear();
        self.over.clear();
        self.over.extend(&own.over);
        match same_group {
            true => self.evict.extend(own.evict.iter().cloned()),
            false => self.over.extend(own.group),
        }
        Ok(self)
    }

    /// A second copy, to be changed and kept in place of this one.
    pub(crate) fn duplicate(&self) -> Result<Self> {
        Ok(exact(&Zeroizing::new(encode(self)?))?)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state == ContactState::Connected
    }

    /// Whether an account key is this person's, now or formerly.
    pub(crate) fn has_had(&self, account_key: &SignatureKey) -> bool {
        self.account_key == *account_key || self.former_keys.contains(account_key)
    }

    /// Whether a member is this person, under an account key that is or was its own.
    pub(crate) fn is(&self, person: &Person) -> bool {
        person.identity.as_ref().is_some_and(|identity| {
            identity.user == self.user && self.has_had(&identity.account_key)
        })
    }

    /// What the connection group takes from whom.
    pub(crate) fn kind(&self) -> GroupKind {
        let partner = self.is_connected().then(|| Partner {
            user: self.user.clone(),
            account_keys: std::iter::once(&self.account_key)
                .chain(&self.former_keys)
                .cloned()
                .collect(),
        });
        GroupKind::Connection(partner)
    }

    pub(crate) fn public(&self, core: &Arc<Core>) -> Result<Contact> {
        Ok(Contact {
            user: self.user.clone(),
            fingerprint: account_fingerprint(&self.user, &self.account_key)?,
            state: self.state,
            group: self.group.map(|id| Group::new(Arc::clone(core), id)),
        })
    }
}
