//! Owns what is due between this user and others, apart from any one group: requests to be read
//! and confirmed, connections that are half made, keys to be given, pools to be filled, sets to be
//! fetched.
//!
//! Invariant: what is due follows from durable state, so that a crash forgets nothing; when it is
//! done is random, so that uploads and fetches do not show what caused them.

use crate::core::Core;
use crate::error::{ClientError, GroupStatus, Result};
use crate::people::contact::{ContactRecord, ContactState};
use crate::vault::Batch;
use sordino_wire::{ContactKeys, GroupId, IdentifierUri, MemberContent};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// When something of one contact is due: in memory, drawn anew after a start.
#[derive(Default)]
pub(crate) struct Schedule {
    times: Mutex<HashMap<IdentifierUri, Times>>,
    fetch_turns: Turns,
    connection_turns: Turns,
    /// When it is looked again for requests that were answered elsewhere.
    prune_s: AtomicU64,
}

/// Whose turn it is to do something about one person.
#[derive(Default)]
struct Turns(Mutex<HashMap<IdentifierUri, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn of(&self, user: &IdentifierUri) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(user.clone()).or_default())
    }
}

#[derive(Clone, Copy, Default)]
struct Times {
    pool_s: Option<u64>,
    fetch_s: Option<u64>,
}

impl Schedule {
    /// Says yes once per pause.
    pub(crate) fn prune_is_due(&self, now_s: u64, pause_s: u64) -> bool {
        let due = self.prune_s.load(Ordering::Relaxed) <= now_s;
        if due {
            let next_s = now_s.saturating_add(pause_s);
            self.prune_s.store(next_s, Ordering::Relaxed);
        }
        due
    }

    fn with<T>(&self, user: &IdentifierUri, change: impl FnOnce(&mut Times) -> T) -> T {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        change(times.entry(user.clone()).or_default())
    }
}

/// What there is to do about a contact, without its secrets.
struct Due {
    user: IdentifierUri,
    state: ContactState,
    group: Option<GroupId>,
    evict: Vec<IdentifierUri>,
    over: Vec<GroupId>,
    drop: bool,
    give: bool,
    can_fetch: bool,
}

impl Core {
    /// Something about people changed: what is due is looked for at once.
    pub(crate) fn people_moved(&self) {
        self.stir.notify_one();
    }

    /// One round of everything. The first error is returned after all had their turn.
    pub(crate) async fn tend_people(&self) -> Result<()> {
        let Ok(_turn) = self.people_turn.try_lock() else {
            return Ok(());
        };
        let mut first_error = None;
        let mut note = |result: Result<()>| {
            if let Err(error) = result {
                first_error.get_or_insert(error);
            }
        };
        note(self.settle_requests().await);
        note(self.prune_requests().await);
        note(self.confirm_requests().await);
        note(self.tend_devices().await);
        note(self.tend_tokens().await);
        for due in self.due()? {
            note(self.tend_contact(&due).await);
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn due(&self) -> Result<Vec<Due>> {
        let book = self.book();
        book.iter().map(|contact| self.due_for(contact)).collect()
    }

    fn due_for(&self, contact: &ContactRecord) -> Result<Due> {
        let current = self.pool_number(contact.generation)?;
        Ok(Due {
            user: contact.user.clone(),
            state: contact.state,
            group: contact.group,
            evict: contact.evict.clone(),
            over: contact.over.clone(),
            drop: !contact.drop.is_empty(),
            give: contact.is_connected() && contact.given != Some(current),
            can_fetch: contact.is_connected() && contact.theirs.is_some(),
        })
    }

    async fn tend_contact(&self, due: &Due) -> Result<()> {
        for group in &due.over {
            self.abandon(&due.user, *group).await?;
        }
        if due.drop {
            self.drop_pools(&due.user).await?;
        }
        if let (Some(group), false) = (due.group, due.evict.is_empty()) {
            self.evict(&due.user, group, &due.evict).await?;
        }
        match due.state {
            ContactState::Asked => return self.keep_asking(&due.user).await,
            ContactState::Accepting => {
                return match self.keep_accepting(&due.user).await {
                    // It was not good any more; the contact says so.
                    Err(ClientError::NoSuchRequest | ClientError::IdentityMismatch) => Ok(()),
                    other => other,
                };
            }
            ContactState::Connected => {}
            ContactState::Ended | ContactState::Blocked => return Ok(()),
        }
        if let (Some(group), true) = (due.group, due.give) {
            self.give_keys(&due.user, group).await?;
        }
        self.tend_pool(&due.user).await?;
        if due.can_fetch {
            self.tend_fetch(&due.user).await?;
        }
        Ok(())
    }

    /// Removes whoever came into a connection group without being asked.
    async fn evict(
        &self,
        user: &IdentifierUri,
        group: GroupId,
        pseudonyms: &[IdentifierUri],
    ) -> Result<()> {
        let there: Vec<IdentifierUri> = match self.status(group).await {
            Ok(GroupStatus::Active) => {
                self.view(group, |group, _| {
                    let people = group.people()?.into_iter();
                    let users = people.map(|person| person.user_pseudonym);
                    Ok(users.filter(|user| pseudonyms.contains(user)).collect())
                })
                .await?
            }
            Ok(GroupStatus::Joining | GroupStatus::Recovering) => return Ok(()),
            _ => Vec::new(),
        };
        if !there.is_empty() {
            let plan = crate::engine::plan::Plan::RemoveUsers(there);
            match self.commit(group, &plan).await {
                Ok(()) | Err(ClientError::NoSuchMember) => {}
                Err(error) => return Err(error),
            }
        }
        self.change_contact(&mut Batch::default(), user, |contact| {
            contact.evict.retain(|other| !pseudonyms.contains(other));
            Ok(())
        })
    }

    /// Gives a contact the keys of the pool that is for it, inside the group that both share.
    async fn give_keys(&self, user: &IdentifierUri, group: GroupId) -> Result<()> {
        if !matches!(self.status(group).await, Ok(GroupStatus::Active)) {
            return Ok(());
        }
        let generation = {
            let book = self.book();
            let contact = book.get(user).ok_or(ClientError::NotConnected)?;
            contact.generation
        };
        let number = self.pool_number(generation)?;
        let keys = {
            let device = self.device();
            let secret = device.user_secret_of(number.user_secret_number)?;
            let key = secret.contact_key(user, generation)?;
            let token = secret.contact_token(user, generation)?;
            ContactKeys {
                contact_key: key.secret().duplicate(),
                contact_token: token.secret().duplicate(),
            }
        };
        self.send(group, &MemberContent::ContactKeys(keys)).await?;
        self.change_contact(&mut Batch::default(), user, |contact| {
            contact.given = Some(number);
            Ok(())
        })?;
        self.fill_soon(user);
        Ok(())
    }

    /// The pool of a contact is looked after before long.
    pub(crate) fn fill_soon(&self, user: &IdentifierUri) {
        let due_s = self.later_s(self.delays.publish_s);
        self.schedule.with(user, |times| {
            times.pool_s = Some(times.pool_s.map_or(due_s, |other| other.min(due_s)));
        });
    }

    /// A set of a contact is fetched before long.
    pub(crate) fn fetch_again(&self, user: &IdentifierUri) {
        let due_s = self.later_s(self.delays.fetch_s);
        self.schedule
            .with(user, |times| times.fetch_s = Some(due_s));
    }

    /// A set of a contact is fetched, unless another device of this user is quicker.
    pub(crate) fn fetch_later(&self, user: &IdentifierUri) {
        let longest_s = self.delays.fetch_s;
        let due_s = self
            .later_s(longest_s.saturating_mul(4))
            .saturating_add(longest_s);
        self.schedule
            .with(user, |times| times.fetch_s = Some(due_s));
    }

    /// Whose turn it is to fetch from a contact's pool.
    pub(crate) fn fetch_turn(&self, user: &IdentifierUri) -> Arc<tokio::sync::Mutex<()>> {
        self.schedule.fetch_turns.of(user)
    }

    /// Whose turn it is to ask a person, or to come into the person's group.
    pub(crate) fn connection_turn(&self, user: &IdentifierUri) -> Arc<tokio::sync::Mutex<()>> {
        self.schedule.connection_turns.of(user)
    }

    /// All pools are looked after before long: there is a device more, or one less.
    pub(crate) fn fill_all_soon(&self) {
        let users: Vec<IdentifierUri> = {
            let book = self.book();
            let connected = book.iter().filter(|contact| contact.is_connected());
            connected.map(|contact| contact.user.clone()).collect()
        };
        for user in users {
            self.fill_soon(&user);
        }
    }

    /// A random time from now on.
    pub(crate) fn later_s(&self, longest_s: u64) -> u64 {
        let delay_s = self.entropy.below(longest_s.saturating_add(1));
        self.now_s().saturating_add(delay_s)
    }

    async fn tend_pool(&self, user: &IdentifierUri) -> Result<()> {
        let now_s = self.now_s();
        let first_s = self.later_s(self.delays.publish_s);
        let due_s = self
            .schedule
            .with(user, |times| *times.pool_s.get_or_insert(first_s));
        if due_s > now_s {
            return Ok(());
        }
        // Looked at again in the second half of the time that may pass.
        let inspect_s = self.delays.inspect_s;
        let next_s = self.later_s(inspect_s / 2).saturating_add(inspect_s / 2);
        self.schedule
            .with(user, |times| times.pool_s = Some(next_s));
        self.fill_pool(user).await.inspect_err(|_| {
            self.fill_soon(user);
        })
    }

    async fn tend_fetch(&self, user: &IdentifierUri) -> Result<()> {
        let now_s = self.now_s();
        let first_s = self.later_s(self.delays.fetch_s);
        let due_s = self
            .schedule
            .with(user, |times| *times.fetch_s.get_or_insert(first_s));
        if due_s > now_s {
            return Ok(());
        }
        let inspect_s = self.delays.inspect_s;
        let next_s = match self.prefetch(user).await? {
            true => self.later_s(inspect_s / 2).saturating_add(inspect_s / 2),
            false => self.later_s(self.delays.fetch_s.saturating_mul(4)),
        };
        self.schedule
            .with(user, |times| times.fetch_s = Some(next_s));
        Ok(())
    }
}
