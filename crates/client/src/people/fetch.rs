//! Owns sets of contacts: one is fetched ahead of time, since fetch-then-add links by time.
//!
//! Invariant: the nonce of a fetch is durable before it goes out, so that a set whose answer was
//! lost is not lost; a set is used for one group, and used only after every KeyPackage in it was
//! found to be the contact's.

use crate::core::Core;
use crate::devices::facts::{Fact, FactKey};
use crate::engine::plan::check_entry;
use crate::error::{ClientError, GroupStatus, Result};
use crate::key_packages::pseudonym_of;
use crate::people::connect::user_hash;
use crate::records::{FORMAT, fetched_name, fetching_name};
use crate::transport::Endpoint;
use crate::vault::Batch;
use sordino_crypto::{ContactKey, open_set_entry};
use sordino_rules::CIPHERSUITE;
use sordino_wire::{
    FetchKeyPackages, FetchedSet, GroupId, IdentifierUri, KeyPackageEntry, Nonce, Reject,
    RequestBody, ResponseBody, Secret32, SetEntry,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

const DAY_S: u64 = 86_400;
/// For how long the hub remembers which set it gave to which nonce; after that a nonce is a new one.
const NONCE_S: u64 = 3_000;

/// What there is of a contact's sets.
pub(crate) enum Taken {
    /// Every entry is checked, and the set serves this group.
    Usable(Vec<KeyPackageEntry>),
    /// There was one that is of no use; there may be another.
    Unusable,
    /// There is none.
    Empty,
}

/// A fetch on its way.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct FetchingRecord {
    format: u8,
    nonce: Nonce,
    since_s: u64,
}

/// A set that waits to be used, by whichever device of the user is first.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct FetchedRecord {
    format: u8,
    entries: Vec<SetEntry>,
    /// The one group that it may serve.
    used: Option<GroupId>,
}

impl FetchedRecord {
    fn is_alive(&self, now_s: u64) -> bool {
        let today = now_s / DAY_S;
        self.entries
            .iter()
            .all(|entry| u64::from(entry.last_day) > today)
    }
}

impl Core {
    /// Fetches a set ahead of time, if there is none; says whether there is one now.
    pub(crate) async fn prefetch(&self, user: &IdentifierUri) -> Result<bool> {
        let turn = self.fetch_turn(user);
        let _turn = turn.lock().await;
        let name = fetched_name(&user_hash(user));
        if let Some(fetched) = self.vault.get::<FetchedRecord>(&name)? {
            if fetched.is_alive(self.now_s()) {
                return Ok(true);
            }
            self.forget_set(user)?;
        }
        self.fetch(user).await
    }

    /// Takes a set for a group, the one fetched ahead if there is one.
    pub(crate) async fn take_set(&self, user: &IdentifierUri, group: GroupId) -> Result<Taken> {
        let turn = self.fetch_turn(user);
        let _turn = turn.lock().await;
        let name = fetched_name(&user_hash(user));
        for _ in 0..2 {
            if let Some(mut fetched) = self.vault.get::<FetchedRecord>(&name)? {
                let free = fetched.used.is_none_or(|used| used == group);
                if free && fetched.is_alive(self.now_s()) {
                    let mut checked = self.check_set(user, &fetched.entries);
                    if checked.is_err() {
                        // There may be another account key, of which the connection tells.
                        self.hear_contact(user).await?;
                        checked = self.check_set(user, &fetched.entries);
                    }
                    let Ok(entries) = checked else {
                        self.forget_set(user)?;
                        self.tell_unusable(user);
                        return Ok(Taken::Unusable);
                    };
                    fetched.used = Some(group);
                    self.put_fetched(&mut Batch::default(), user, Some(fetched))?;
                    return Ok(Taken::Usable(entries));
                }
                self.forget_set(user)?;
            }
            if !self.fetch(user).await? {
                break;
            }
        }
        Ok(Taken::Empty)
    }

    /// Reads what a contact has said in the group that both share.
    pub(crate) async fn hear_contact(&self, user: &IdentifierUri) -> Result<()> {
        let group = self.book().get(user).and_then(|contact| contact.group);
        match group {
            Some(group) if matches!(self.status(group).await, Ok(GroupStatus::Active)) => {
                self.catch_up(group).await
            }
            _ => Ok(()),
        }
    }

    /// Drops the set that was fetched; another one is fetched at a random moment.
    pub(crate) fn forget_set(&self, user: &IdentifierUri) -> Result<()> {
        self.put_fetched(&mut Batch::default(), user, None)?;
        self.fetch_again(user);
        Ok(())
    }

    /// Keeps what there is of a contact's sets, and tells the other devices.
    fn put_fetched(
        &self,
        batch: &mut Batch,
        user: &IdentifierUri,
        fetched: Option<FetchedRecord>,
    ) -> Result<()> {
        let name = fetched_name(&user_hash(user));
        match &fetched {
            Some(fetched) => batch.put(name, fetched)?,
            None => batch.delete(name),
        }
        self.share(
            batch,
            FactKey::Fetched(user.clone()),
            &Fact::Fetched(fetched),
        )?;
        Ok(self.vault.commit(batch)?)
    }

    /// What another device has fetched or used.
    pub(crate) fn hear_fetched(
        &self,
        batch: &mut Batch,
        user: &IdentifierUri,
        fetched: Option<&FetchedRecord>,
    ) -> Result<()> {
        let name = fetched_name(&user_hash(user));
        match fetched {
            Some(fetched) => batch.put(name, fetched)?,
            None => {
                batch.delete(name);
                // Whoever has used it fetches the next one; this device sees to it if it does not.
                self.fetch_later(user);
            }
        }
        Ok(self.vault.commit(batch)?)
    }

    async fn fetch(&self, user: &IdentifierUri) -> Result<bool> {
        let Some(contact_token) = self.token_of(user) else {
            return Ok(false);
        };
        let name = fetching_name(&user_hash(user));
        let now_s = self.now_s();
        let under_way = self
            .vault
            .get::<FetchingRecord>(&name)?
            .filter(|fetching| now_s.saturating_sub(fetching.since_s) < NONCE_S);
        let nonce = match under_way {
            Some(fetching) => fetching.nonce,
            None => {
                let nonce = Nonce(self.entropy.array());
                let fetching = FetchingRecord {
                    format: FORMAT,
                    nonce,
                    since_s: now_s,
                };
                let mut batch = Batch::default();
                batch.put(name.clone(), &fetching)?;
                self.vault.commit(&batch)?;
                nonce
            }
        };
        let body = RequestBody::FetchKeyPackages(FetchKeyPackages {
            contact_token,
            nonce,
        });
        match self.ask(Endpoint::KeyPackages, body, 0).await? {
            ResponseBody::KeyPackages(set) => self.keep_set(user, set).map(|()| true),
            ResponseBody::Rejected(Reject::PoolEmpty) => {
                let mut batch = Batch::default();
                batch.delete(name);
                self.vault.commit(&batch)?;
                Ok(false)
            }
            ResponseBody::Rejected(Reject::Unavailable { .. }) => Err(ClientError::Unreachable),
            ResponseBody::Rejected(reject) => Err(ClientError::Refused(reject)),
            _ => Err(ClientError::BadAnswer),
        }
    }

    fn keep_set(&self, user: &IdentifierUri, set: FetchedSet) -> Result<()> {
        let fetched = FetchedRecord {
            format: FORMAT,
            entries: set.entries.into_vec(),
            used: None,
        };
        let mut batch = Batch::default();
        batch.delete(fetching_name(&user_hash(user)));
        self.put_fetched(&mut batch, user, Some(fetched))
    }

    /// Opens a set and finds that it is the contact's, whole, and usable here.
    fn check_set(
        &self,
        user: &IdentifierUri,
        entries: &[SetEntry],
    ) -> Result<Vec<KeyPackageEntry>> {
        let (key, account_keys) = {
            let book = self.book();
            let contact = book.get(user).ok_or(ClientError::NotConnected)?;
            let theirs = contact.theirs.as_ref().ok_or(ClientError::NotConnected)?;
            let key = ContactKey::new(theirs.contact_key.duplicate());
            (key, contact.account_key.clone())
        };
        let crypto = openmls_rust_crypto::RustCrypto::default();
        let now_s = self.now_s();
        let suite = u16::from(CIPHERSUITE);
        let mut opened = Vec::new();
        let mut pseudonym = None;
        for entry in entries {
            let first = entries.first().ok_or(ClientError::UnusableKeyPackages)?;
            if entry.cipher_suite != suite || entry.set_tag != first.set_tag {
                return Err(ClientError::UnusableKeyPackages);
            }
            let entry = open_set_entry(&key, entry)?;
            let asker = &entry.link.client_credential;
            if asker.user != *user || asker.account_key != account_keys {
                return Err(ClientError::UnusableKeyPackages);
            }
            check_entry(&entry, &crypto, now_s)?;
            let of_entry = pseudonym_of(&entry)?;
            if *pseudonym.get_or_insert_with(|| of_entry.clone()) != of_entry {
                return Err(ClientError::UnusableKeyPackages);
            }
            opened.push(entry);
        }
        if opened.is_empty() {
            return Err(ClientError::UnusableKeyPackages);
        }
        Ok(opened)
    }

    fn token_of(&self, user: &IdentifierUri) -> Option<Secret32> {
        let book = self.book();
        let contact = book.get(user).filter(|contact| contact.is_connected())?;
        let theirs = contact.theirs.as_ref()?;
        Some(theirs.contact_token.duplicate())
    }
}
