//! Owns the contacts: in memory and in the vault.
//!
//! Invariant: a contact changes only inside [`Core::change_contact`]: a copy is changed, made
//! durable together with whatever belongs to it, and then put in the original's place.

use crate::core::Core;
use crate::engine::state::GroupKind;
use crate::error::{ClientError, Result};
use crate::events::{Person, Standing};
use crate::people::contact::{Contact, ContactRecord};
use crate::records::{CONTACTS, contact_name, seen_name};
use crate::vault::{Batch, Vault};
use sordino_crypto::sha256;
use sordino_wire::{GroupId, IdentifierUri, SignatureKey};
use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// All contacts, by user.
#[derive(Debug, Default)]
pub(crate) struct Book {
    contacts: BTreeMap<IdentifierUri, ContactRecord>,
}

/// Whom this device has seen under which account key.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct SeenRecord {
    account_key: SignatureKey,
    /// Where it was seen first.
    group: GroupId,
}

impl Book {
    pub(crate) fn load(vault: &Vault) -> Result<Self> {
        let users: Vec<IdentifierUri> = vault.get(CONTACTS)?.unwrap_or_default();
        let mut book = Self::default();
        for user in users {
            let name = contact_name(&sha256(user.as_str().as_bytes()));
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
        batch.put(contact_name(&sha256(user.as_str().as_bytes())), &contact)?;
        self.share_contact(batch, &contact)?;
        self.vault.commit(batch)?;
        book.contacts.insert(user.clone(), contact);
        Ok(value)
    }

    /// Puts a contact in place of what was known of that user.
    pub(crate) fn put_contact(&self, batch: &mut Batch, contact: ContactRecord) -> Result<()> {
        self.share_contact(batch, &contact)?;
        self.put_contact_as_heard(batch, contact)
    }

    /// The same for what another device of this user has said.
    pub(crate) fn put_contact_as_heard(
        &self,
        batch: &mut Batch,
        contact: ContactRecord,
    ) -> Result<()> {
        let mut book = self.book();
        let user = contact.user.clone();
        batch.put(contact_name(&sha256(user.as_str().as_bytes())), &contact)?;
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
                Some(seen) if seen.account_key != identity.account_key => Standing::Conflict,
                Some(seen) if seen.group != group => Standing::Known,
                _ => Standing::Claimed,
            }
        };
        Ok(())
    }

    fn seen(&self, user: &IdentifierUri) -> Result<Option<SeenRecord>> {
        let name = seen_name(&sha256(user.as_str().as_bytes()));
        Ok(self.vault.get(&name)?)
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
                group,
            };
            batch.put(seen_name(&sha256(user.as_str().as_bytes())), &seen)?;
        }
        Ok(())
    }
}
