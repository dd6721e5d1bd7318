//! Owns the contacts: in memory and in the vault.
//!
//! Invariant: a contact changes only inside [`Core::change_contact`]: a copy is changed, made
//! durable together with whatever belongs to it, and then put in the original's place.

use crate::core::Core;
use crate::engine::state::GroupKind;
use crate::error::{ClientError, Result};
use crate::events::{Person, Standing};
use crate::people::connect::user_hash;
use crate::people::contact::{Contact, ContactRecord};
use crate::records::{CONTACTS, contact_name, seen_name};
use crate::vault::{Batch, Vault};
use sordino_crypto::check_account_key_change;
use sordino_wire::{AccountKeyChange, GroupId, IdentifierUri, SignatureKey};
use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// All contacts, by user.
#[derive(Debug, Default)]
pub(crate) struct Book {
    contacts: BTreeMap<IdentifierUri, ContactRecord>,
    /// Others, as far as they were looked for since the start.
    seen: BTreeMap<IdentifierUri, Option<SeenRecord>>,
}

/// Somebody who is no contact, and the account key that this device has seen.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct SeenRecord {
    account_key: SignatureKey,
    /// Account keys that signed for their successors.
    former_keys: Vec<SignatureKey>,
    /// Where it was seen first.
    group: GroupId,
}

impl Book {
    pub(crate) fn load(vault: &Vault) -> Result<Self> {
        let users: Vec<IdentifierUri> = vault.get(CONTACTS)?.unwrap_or_default();
        let mut book = Self::default();
        for user in users {
            let name = contact_name(&user_hash(&user));
            let record: ContactRecord =
                vault.get(&name)?.ok_or(crate::error::VaultError::Format)?;
            book.contacts.insert(user, record);
        }
        Ok(book)
    }

    pub(crate) fn get(&self, user: &IdentifierUri) -> Option<&ContactRecord> {
        self.contacts.get(user)
    }

    /// The contact whose connection group this is.
    pub(crate) fn of_group(&self, id: GroupId) -> Option<&ContactRecord> {
        self.contacts
            .values()
            .find(|contact| contact.group == Some(id))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ContactRecord> {
        self.contacts.values()
    }
}

impl Core {
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a contact in one transaction with the rest of a batch.
    pub(crate) fn change_contact<T>(
        &self,
        batch: &mut Batch,
        user: &IdentifierUri,
        change: impl FnOnce(&mut ContactRecord) -> Result<T>,
    ) -> Result<T> {
        let mut book = self.book();
        let known = book.get(user).ok_or(ClientError::NotConnected)?;
        let mut contact = known.duplicate()?;
        let value = change(&mut contact)?;
        batch.put(contact_name(&user_hash(user)), &contact)?;
        self.share_contact(batch, &contact)?;
        self.vault.commit(batch)?;
        book.contacts.insert(user.clone(), contact);
        Ok(value)
    }

    /// Puts a contact in place of what was known of that user.
    pub(crate) fn put_contact(&self, batch: &mut Batch, contact: ContactRecord) -> Result<()> {
        self.share_contact(batch, &contact)?;
        self.keep_contact(&mut self.book(), batch, contact)
    }

    /// The same for what another device of this user has said.
    pub(crate) fn put_contact_as_heard(
        &self,
        batch: &mut Batch,
        contact: ContactRecord,
    ) -> Result<()> {
        let mut book = self.book();
        let known = book.get(&contact.user);
        let is_behind = known.is_some_and(|known| known.generation > contact.generation);
        let contact = contact.merged(known)?;
        if is_behind {
            self.share_contact(batch, &contact)?;
        }
        self.keep_contact(&mut book, batch, contact)?;
        drop(book);
        self.people_moved();
        Ok(())
    }

    fn keep_contact(
        &self,
        book: &mut Book,
        batch: &mut Batch,
        contact: ContactRecord,
    ) -> Result<()> {
        let user = contact.user.clone();
        batch.put(contact_name(&user_hash(&user)), &contact)?;
        let mut users: Vec<IdentifierUri> = book.contacts.keys().cloned().collect();
        if !book.contacts.contains_key(&user) {
            users.push(user.clone());
            batch.put(CONTACTS, &users)?;
        }
        self.vault.commit(batch)?;
        book.contacts.insert(user, contact);
        Ok(())
    }

    /// What a group is for.
    pub(crate) fn kind_of(&self, id: GroupId) -> GroupKind {
        if self.is_devices_group(id) {
            return GroupKind::Devices;
        }
        self.book()
            .of_group(id)
            .map_or(GroupKind::Room, ContactRecord::kind)
    }

    /// A contact as an application sees it.
    pub(crate) fn contact(self: &Arc<Self>, user: &IdentifierUri) -> Result<Contact> {
        let book = self.book();
        book.get(user)
            .ok_or(ClientError::NotConnected)?
            .public(self)
    }

    /// Says what an identity is worth.
    pub(crate) fn weigh(&self, group: GroupId, person: &mut Person) -> Result<()> {
        let Some(identity) = &person.identity else {
            return Ok(());
        };
        let own = self.device().credential().clone();
        person.standing = if identity.user == own.user {
            match identity.account_key == own.account_key {
                true => Standing::Own,
                false if self.is_sibling(person) => Standing::Own,
                false => Standing::Conflict,
            }
        } else if let Some(contact) = self.book().get(&identity.user) {
            if contact.account_key == identity.account_key {
                match contact.is_connected() {
                    true => Standing::Contact,
                    false => Standing::Known,
                }
            } else if contact.has_had(&identity.account_key) {
                Standing::Outdated
            } else {
                Standing::Conflict
            }
        } else {
            match self.seen(&identity.user)? {
                Some(seen) if seen.former_keys.contains(&identity.account_key) => {
                    Standing::Outdated
                }
                Some(seen) if seen.account_key != identity.account_key => Standing::Conflict,
                Some(seen) if seen.group != group => Standing::Known,
                _ => Standing::Claimed,
            }
        };
        Ok(())
    }

    fn seen(&self, user: &IdentifierUri) -> Result<Option<SeenRecord>> {
        let mut book = self.book();
        if let Some(seen) = book.seen.get(user) {
            return Ok(seen.clone());
        }
        let seen: Option<SeenRecord> = self.vault.get(&seen_name(&user_hash(user)))?;
        book.seen.insert(user.clone(), seen.clone());
        Ok(seen)
    }

    fn put_seen(&self, batch: &mut Batch, user: &IdentifierUri, seen: SeenRecord) -> Result<()> {
        batch.put(seen_name(&user_hash(user)), &seen)?;
        self.book().seen.insert(user.clone(), Some(seen));
        Ok(())
    }

    /// Somebody who is no contact names a successor of its account key: says whether this device
    /// knew the former one.
    pub(crate) fn follow_seen(&self, batch: &mut Batch, change: &AccountKeyChange) -> Result<bool> {
        let Some(mut seen) = self.seen(&change.user)? else {
            return Ok(false);
        };
        if seen.account_key != change.old_key || check_account_key_change(change).is_err() {
            return Ok(false);
        }
        seen.former_keys.push(change.old_key.clone());
        seen.account_key = change.new_key.clone();
        self.put_seen(batch, &change.user, seen)?;
        Ok(true)
    }

    /// Remembers under which account key somebody was seen first.
    pub(crate) fn note_seen(
        &self,
        batch: &mut Batch,
        group: GroupId,
        user: &IdentifierUri,
        account_key: &SignatureKey,
    ) -> Result<()> {
        if self.seen(user)?.is_none() {
            let seen = SeenRecord {
                account_key: account_key.clone(),
                former_keys: Vec::new(),
                group,
            };
            self.put_seen(batch, user, seen)?;
        }
        Ok(())
    }
}
