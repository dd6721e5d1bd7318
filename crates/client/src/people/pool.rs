//! Owns the pools of this user: a few key-package sets for each contact, at the provider.
//!
//! Invariant: an entry is durable, with its private parts, before it is uploaded, and uploaded as
//! the same bytes until it is there. All devices of a user find the same sets without talking to
//! each other: a set is a last day and a place, and each device takes the first free places of the
//! same days. Sets that run out go in the request that brings their successors, never before.

use crate::core::Core;
use crate::error::{ClientError, Result};
use crate::people::connect::user_hash;
use crate::people::contact::PoolNumber;
use crate::records::{FORMAT, Purpose, pool_name};
use crate::slots;
use crate::transport::Endpoint;
use crate::vault::Batch;
use sordino_crypto::{SetPlace, Slot, UserSecret, seal_set_entry};
use sordino_rules::{CIPHERSUITE, set_lifetime};
use sordino_wire::limits::{MAX_SET_ENTRIES_PER_REQUEST, POOL_SETS};
use sordino_wire::{
    DropKeyPackages, IdentifierUri, InspectKeyPackages, List, PoolState, PublishKeyPackages,
    Reject, RequestBody, ResponseBody, Salt, SetEntry, SetTag,
};
use std::collections::BTreeSet;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

const DAY_S: u64 = 86_400;
/// Sets end on the same day of the week for everybody: a finer day would tell them apart.
const WEEK_DAYS: u64 = 7;
/// The last day of a new set lies at most so far ahead.
const SET_DAYS: u64 = 82;
/// A set that ends within so many days has a successor.
const RENEW_DAYS: u64 = 21;
/// Places that are looked at for the sets of one day.
const MAX_PLACES: u64 = 512;

/// This device's entries in the pool of one contact.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct PoolRecord {
    format: u8,
    number: PoolNumber,
    entries: Vec<SetEntry>,
}

/// A set of a pool: all devices derive its name from its place.
#[derive(Clone, Copy)]
struct Place {
    last_day: u32,
    counter: u64,
    tag: SetTag,
}

/// What a pool lacks.
#[derive(Default)]
struct Lack {
    places: Vec<Place>,
    drop: Vec<SetTag>,
}

impl Core {
    /// The pool that a contact is to have now.
    pub(crate) fn pool_number(&self, generation: u32) -> Result<PoolNumber> {
        Ok(PoolNumber {
            user_secret_number: self.device().user_secret_number()?,
            generation,
        })
    }

    /// Brings the pool of a contact up to what it should hold, over a connection of its own.
    pub(crate) async fn fill_pool(&self, user: &IdentifierUri) -> Result<()> {
        let generation = {
            let book = self.book();
            let contact = book.get(user).filter(|contact| contact.is_connected());
            contact.ok_or(ClientError::NotConnected)?.generation
        };
        let number = self.pool_number(generation)?;
        let state = self.inspect_pool(user, number).await?;
        let lack = self.lack(user, number, &state)?;
        if lack.places.is_empty() && lack.drop.is_empty() {
            return Ok(());
        }
        let mut entries = Vec::new();
        for place in lack.places.iter().take(MAX_SET_ENTRIES_PER_REQUEST) {
            entries.push(self.own_entry(user, number, place, &state).await?);
        }
        let keys = self.pool_keys(user, number)?;
        let body = RequestBody::PublishKeyPackages(PublishKeyPackages {
            contact_token: keys.token,
            owner_secret: keys.owner,
            entries: List::new(entries)?,
            drop: List::new(lack.drop)?,
        });
        match self.ask(Endpoint::KeyPackages, body, 0).await? {
            ResponseBody::Done(_) => Ok(()),
            ResponseBody::Rejected(Reject::Unavailable { .. }) => Err(ClientError::Unreachable),
            ResponseBody::Rejected(reject) => Err(ClientError::Refused(reject)),
            _ => Err(ClientError::BadAnswer),
        }
    }

    /// Empties the pools that a contact must not find any more.
    pub(crate) async fn drop_pools(&self, user: &IdentifierUri) -> Result<()> {
        let numbers = {
            let book = self.book();
            book.get(user).map(|contact| contact.drop.clone())
        };
        for number in numbers.unwrap_or_default() {
            let keys = self.pool_keys(user, number)?;
            let body = RequestBody::DropKeyPackages(DropKeyPackages {
                contact_token: keys.token,
                owner_secret: keys.owner,
            });
            match self.ask(Endpoint::KeyPackages, body, 0).await? {
                // There is none: nothing is left to be done.
                ResponseBody::Done(_) | ResponseBody::Rejected(Reject::PoolEmpty) => {}
                ResponseBody::Rejected(Reject::Unavailable { .. }) => {
                    return Err(ClientError::Unreachable);
                }
                ResponseBody::Rejected(reject) => return Err(ClientError::Refused(reject)),
                _ => return Err(ClientError::BadAnswer),
            }
            self.change_contact(&mut Batch::default(), user, |contact| {
                contact.drop.retain(|other| *other != number);
                Ok(())
            })?;
        }
        Ok(())
    }

    async fn inspect_pool(&self, user: &IdentifierUri, number: PoolNumber) -> Result<PoolState> {
        let keys = self.pool_keys(user, number)?;
        let body = RequestBody::InspectKeyPackages(InspectKeyPackages {
            contact_token: keys.token,
            owner_secret: keys.owner,
        });
        match self.ask(Endpoint::KeyPackages, body, 0).await? {
            ResponseBody::Pool(state) => Ok(state),
            ResponseBody::Rejected(Reject::PoolEmpty) => Ok(PoolState {
                sets: List::default(),
                served: List::default(),
            }),
            ResponseBody::Rejected(Reject::Unavailable { .. }) => Err(ClientError::Unreachable),
            ResponseBody::Rejected(reject) => Err(ClientError::Refused(reject)),
            _ => Err(ClientError::BadAnswer),
        }
    }

    fn pool_keys(&self, user: &IdentifierUri, number: PoolNumber) -> Result<PoolKeys> {
        let device = self.device();
        let secret = device.user_secret_of(number.user_secret_number)?;
        let token = secret.contact_token(user, number.generation)?;
        let owner = secret.pool_owner(user, number.generation)?;
        Ok(PoolKeys {
            token: token.secret().duplicate(),
            owner,
        })
    }

    /// Compares a pool with what it should hold.
    fn lack(&self, user: &IdentifierUri, number: PoolNumber, state: &PoolState) -> Result<Lack> {
        let device = self.device();
        let secret = device.user_secret_of(number.user_secret_number)?;
        let today = self.now_s() / DAY_S;
        let fresh_from = today.saturating_add(RENEW_DAYS);
        let mut lack = Lack::default();
        let mut fresh = 0usize;
        for set in state.sets.iter() {
            let own = device.set_device_tag(set.set_tag)?;
            let has_own = set.device_tags.iter().any(|tag| *tag == own);
            let place = match has_own {
                true => None,
                false => find_place(secret, user, number, set.last_day, &set.set_tag)?,
            };
            let spent = match &place {
                Some(place) => self.is_spent(user, number, place)?,
                None => !has_own,
            };
            if u64::from(set.last_day) < fresh_from || spent {
                lack.drop.push(set.set_tag);
            } else {
                fresh += 1;
                lack.places.extend(place);
            }
        }
        let taken: BTreeSet<SetTag> = state
            .sets
            .iter()
            .map(|set| set.set_tag)
            .chain(state.served.iter().copied())
            .collect();
        let last_day = new_last_day(today)?;
        let mut counter = 0;
        while fresh < POOL_SETS && counter < MAX_PLACES {
            let place = place(secret, user, number, last_day, counter)?;
            if !taken.contains(&place.tag) && !self.is_spent(user, number, &place)? {
                lack.places.push(place);
                fresh += 1;
            }
            counter += 1;
        }
        Ok(lack)
    }

    /// Whether this device cannot take a place any more: its slot was used for an entry that is
    /// gone.
    fn is_spent(&self, user: &IdentifierUri, number: PoolNumber, place: &Place) -> Result<bool> {
        let slot = place.slot(user, number)?;
        let kept = self.pool_record(user, number)?.entries;
        let kept = kept.iter().any(|entry| entry.set_tag == place.tag);
        Ok(!kept && slots::is_reserved(&self.vault, &slot)?)
    }

    fn pool_record(&self, user: &IdentifierUri, number: PoolNumber) -> Result<PoolRecord> {
        let kept = self.vault.get::<PoolRecord>(&pool_name(&user_hash(user)))?;
        Ok(kept
            .filter(|record| record.number == number)
            .unwrap_or(PoolRecord {
                format: FORMAT,
                number,
                entries: Vec::new(),
            }))
    }

    /// This device's entry of a set: the one that was made, or a new one.
    async fn own_entry(
        &self,
        user: &IdentifierUri,
        number: PoolNumber,
        place: &Place,
        state: &PoolState,
    ) -> Result<SetEntry> {
        let mut record = self.pool_record(user, number)?;
        let known = record.entries.iter().find(|e| e.set_tag == place.tag);
        if let Some(entry) = known {
            return Ok(entry.clone());
        }
        let slot = place.slot(user, number)?;
        slots::reserve(&self.vault, &slot)?;
        let lifetime = set_lifetime(place.last_day);
        let made = self
            .make_key_package(slot, Purpose::Contact(user.clone()), lifetime)
            .await?;
        let device = self.device();
        let secret = device.user_secret_of(number.user_secret_number)?;
        let set_place = SetPlace {
            set_tag: place.tag,
            device_tag: device.set_device_tag(place.tag)?,
            devices: self.device_count(),
            cipher_suite: u16::from(CIPHERSUITE),
            last_day: place.last_day,
        };
        let entry = seal_set_entry(
            &secret.contact_key(user, number.generation)?,
            set_place,
            &made.entry,
            Salt(self.entropy.array()),
        )?;
        // What was served or has ended is of no use any more.
        let today = self.now_s() / DAY_S;
        record.entries.retain(|entry| {
            u64::from(entry.last_day) >= today && !state.served.as_slice().contains(&entry.set_tag)
        });
        record.entries.push(entry.clone());
        let mut batch = Batch::default();
        batch.put(pool_name(&user_hash(user)), &record)?;
        self.vault.commit(&batch)?;
        Ok(entry)
    }
}

struct PoolKeys {
    token: sordino_wire::Secret32,
    owner: sordino_wire::Secret32,
}

impl Place {
    fn slot(&self, user: &IdentifierUri, number: PoolNumber) -> Result<Slot> {
        slot(user, number, self.counter)
    }
}

/// The last day of sets that are made today.
fn new_last_day(today: u64) -> Result<u32> {
    let ahead = today.saturating_add(SET_DAYS);
    u32::try_from(ahead - ahead % WEEK_DAYS).map_err(|_| ClientError::OutOfBounds)
}

fn slot(user: &IdentifierUri, number: PoolNumber, counter: u64) -> Result<Slot> {
    Ok(Slot::KeyPackageSet {
        user_secret_number: number.user_secret_number,
        pool: [0; 16],
        contact: user.clone(),
        contact_generation: number.generation,
        counter,
    })
}

/// Place `index` among the sets that end on a day.
fn place(
    secret: &UserSecret,
    user: &IdentifierUri,
    number: PoolNumber,
    last_day: u32,
    index: u64,
) -> Result<Place> {
    let counter = (u64::from(last_day) << 32) | index;
    let tag = secret.tag_of_set(&slot(user, number, counter)?)?;
    Ok(Place {
        last_day,
        counter,
        tag,
    })
}

/// Where a set that another device has begun stands.
fn find_place(
    secret: &UserSecret,
    user: &IdentifierUri,
    number: PoolNumber,
    last_day: u32,
    tag: &SetTag,
) -> Result<Option<Place>> {
    for index in 0..MAX_PLACES {
        let place = place(secret, user, number, last_day, index)?;
        if place.tag == *tag {
            return Ok(Some(place));
        }
    }
    Ok(None)
}
