//! Owns the issuer's keys at rest: a list of those that live, and a record for each.
//!
//! Invariant: a key's record is sealed under the window key of its last day, so that it is gone with
//! that, whatever remains of the row; the list names public ids alone.

use rand_core::RngCore;
use sordino_crypto::{Address, OuterKeys, Space};
use sordino_effects::{Fault, address};
use sordino_store::{Changes, Expect, Key, Put, Record, Snapshot};
use sordino_tokens::{IssuerKey, IssuerKeys, KeyId, SpendSet, parse_stored_key};
use sordino_wire::{List, encode, exact};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::Zeroizing;

const FORMAT: u16 = 1;
/// What the blinded name of the list is made of.
const LIST: &[u8] = b"issuer keys";
const MAX_KEYS: usize = 64;

/// What the list holds.
#[derive(TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct KeyList {
    format: u16,
    keys: List<ListedKey, MAX_KEYS>,
}

/// A key, and the set that goes with it beside that of its own spent tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(super) struct ListedKey {
    /// SHA-256 of the public key.
    pub(super) id: [u8; 32],
    /// The set of accounts that drew with it, where accounts do.
    pub(super) drawn_set: Option<[u8; 8]>,
}

impl ListedKey {
    /// The set of its spent tokens.
    pub(super) fn spend_set(&self) -> [u8; 8] {
        SpendSet::of(&KeyId(self.id)).0
    }
}

/// What is at rest.
pub(super) struct AtRest {
    /// The list's record, as it was read.
    record: Option<Record>,
    /// Every key that is listed.
    pub(super) listed: Vec<ListedKey>,
    /// Those that can be read; the others' windows are over, or their keys were lost.
    pub(super) keys: IssuerKeys,
}

impl AtRest {
    pub(super) fn read(outer: &OuterKeys, snapshot: &impl Snapshot) -> Result<Self, Fault> {
        let list = address(outer, Space::TokenKey, LIST)?;
        let store = |_| Fault::Store;
        let Some(record) = snapshot.get(&Key(list.store_key)).map_err(store)? else {
            return Ok(Self {
                record: None,
                listed: Vec::new(),
                keys: IssuerKeys::new(),
            });
        };
        let plain = outer.open(&list, &record.value)?;
        let list: KeyList = exact(&plain).map_err(|_| Fault::Inconsistent)?;
        if list.format != FORMAT {
            return Err(Fault::Inconsistent);
        }
        let mut keys = IssuerKeys::new();
        for listed in list.keys.iter() {
            let place = address(outer, Space::TokenKey, &listed.id)?;
            let row = snapshot.get(&Key(place.store_key)).map_err(store)?;
            let Some(key) = row.and_then(|row| open(outer, &place, &row)) else {
                continue;
            };
            keys.insert(key).map_err(|_| Fault::Inconsistent)?;
        }
        Ok(Self {
            record: Some(record),
            listed: list.keys.into_vec(),
            keys,
        })
    }

    /// Adds to a change what replaces the list by another one.
    pub(super) fn replace(
        &self,
        outer: &OuterKeys,
        listed: Vec<ListedKey>,
        changes: &mut Changes,
        rng: &mut dyn RngCore,
    ) -> Result<(), Fault> {
        let place = address(outer, Space::TokenKey, LIST)?;
        let list = KeyList {
            format: FORMAT,
            keys: List::new(listed).map_err(|_| Fault::Inconsistent)?,
        };
        let key = Key(place.store_key);
        let expected = match &self.record {
            Some(record) => Expect::Is(record.version),
            None => Expect::Absent,
        };
        changes.expect.push((key, expected));
        changes.put.push(Put {
            key,
            value: outer.seal(&place, &encode(&list)?, rng)?,
            expires_day: None,
        });
        Ok(())
    }
}

fn open(outer: &OuterKeys, place: &Address, row: &Record) -> Option<IssuerKey> {
    let plain = Zeroizing::new(outer.open_window(place, &row.value).ok()?);
    parse_stored_key(&plain).ok()
}

/// Adds a key to a change.
pub(super) fn put(
    outer: &OuterKeys,
    key: &IssuerKey,
    last_day: u32,
    changes: &mut Changes,
    rng: &mut dyn RngCore,
) -> Result<(), Fault> {
    let place = address(outer, Space::TokenKey, &key.id().0)?;
    let stored = key.to_stored().map_err(|_| Fault::Crypto)?;
    changes.put.push(Put {
        key: Key(place.store_key),
        value: outer.seal_window(&place, last_day, stored.expose(), rng)?,
        expires_day: Some(last_day),
    });
    Ok(())
}

/// Adds a key's end to a change.
pub(super) fn delete(outer: &OuterKeys, id: &[u8; 32], changes: &mut Changes) -> Result<(), Fault> {
    let place = address(outer, Space::TokenKey, id)?;
    changes.delete.push(Key(place.store_key));
    Ok(())
}
