//! Owns what somebody can try who has keys of a group, all of the operator's, and the database.

use crate::database::{Database, Rows, strip_entry, strip_record};
use crate::world::{Known, of_kind};
use sordino_crypto::{
    Address, DeliveryKey, EarKey, GroupSecret, LayerKey, OuterKeys, Space, open_entry, open_layer,
    stream_id, unpad,
};
use sordino_wire::{Domain, SealedEntry, Secret32, encode, exact};
use std::collections::BTreeSet;

/// Epochs whose records are looked for by name.
const EPOCHS: u64 = 64;

/// Everything that somebody outside can try.
pub struct Burglar<'o> {
    outer: &'o OuterKeys,
    keys: Vec<Secret32>,
    places: BTreeSet<[u8; 16]>,
    /// The logs whose names it knows.
    own_logs: BTreeSet<[u8; 16]>,
    /// All logs. It is told their names, so that the operator's layer protects nothing.
    logs: Vec<(Space, [u8; 32])>,
}

fn secret(bytes: &[u8]) -> Secret32 {
    Secret32::new(bytes.try_into().unwrap())
}

/// The handles of all logs that these traces name.
fn handles(outer: &OuterKeys, domain: &Domain, known: &Known) -> Vec<(Space, [u8; 32])> {
    let spaces = [
        ("stream id", Space::StreamLog),
        ("inbox id", Space::InboxLog),
        ("bare name", Space::RequestLog),
    ];
    let mut handles = Vec::new();
    for (kind, space) in spaces {
        let of_space =
            of_kind(known, kind).map(|id| (space, outer.index().handle(space, id).unwrap()));
        handles.extend(of_space);
    }
    // A device may have been told of a generation and never have read its stream.
    for ear in of_kind(known, "group key") {
        let delivery = EarKey::new(secret(ear)).delivery_key().unwrap();
        let id = stream_id(&delivery, domain).unwrap();
        let handle = outer.index().handle(Space::StreamLog, &id.0).unwrap();
        handles.push((Space::StreamLog, handle));
    }
    handles
}

impl<'o> Burglar<'o> {
    /// With everything in `own`; `all` names the logs of everybody.
    pub fn new(outer: &'o OuterKeys, domain: &Domain, own: &Known, all: &Known) -> Self {
        let own_logs = handles(outer, domain, own)
            .into_iter()
            .map(|(_, handle)| place_of(&handle));
        let mut burglar = Self {
            outer,
            keys: Vec::new(),
            places: BTreeSet::new(),
            own_logs: own_logs.collect(),
            logs: handles(outer, domain, all),
        };
        for kind in ["sender key", "group secret", "record key", "delivery key"] {
            burglar.keys.extend(of_kind(own, kind).map(secret));
        }
        for bytes in of_kind(own, "group secret") {
            let group = GroupSecret::new(secret(bytes));
            let wrapper = group.wrapper_key().unwrap();
            burglar.keys.push(wrapper.secret().duplicate());
            burglar.take_generation(domain, &group.ear_key().unwrap());
        }
        for bytes in of_kind(own, "group key") {
            burglar.take_generation(domain, &EarKey::new(secret(bytes)));
        }
        burglar
    }

    /// Its keys.
    pub fn keys(&self) -> &[Secret32] {
        &self.keys
    }

    /// Derives all keys and names of one generation.
    fn take_generation(&mut self, domain: &Domain, ear: &EarKey) {
        let delivery = ear.delivery_key().unwrap();
        self.keys.extend(
            [
                ear.secret(),
                ear.head_key().unwrap().secret(),
                ear.tree_key().unwrap().secret(),
                ear.roster_key().unwrap().secret(),
                ear.pending_key().unwrap().secret(),
                ear.previous_key().unwrap().secret(),
                delivery.secret(),
            ]
            .map(Secret32::duplicate),
        );
        let mut names = ["head", "pending", "previous", "guard", "queue"]
            .map(String::from)
            .to_vec();
        for epoch in 0..EPOCHS {
            names.extend(
                ["tree", "roster", "delta", "snapshot"].map(|kind| format!("{kind}/{epoch}")),
            );
        }
        for name in names {
            let locator = ear.locator(&name).unwrap();
            let places =
                Space::ALL.map(|space| self.outer.index().blind(space, &locator.0).unwrap());
            self.places.extend(places);
        }
        let id = stream_id(&delivery, domain).unwrap();
        let log = self.outer.index().handle(Space::StreamLog, &id.0).unwrap();
        self.own_logs.insert(place_of(&log));
    }

    /// Opens the inner layer with whatever key does.
    fn open(&self, address: &Address, inner: &[u8]) -> Option<Vec<u8>> {
        let entry = exact::<SealedEntry>(inner).ok();
        self.keys.iter().find_map(|key| {
            let layer = LayerKey::new(key.duplicate());
            if let Ok(padded) = open_layer(&layer, address, inner) {
                return Some(unpad(&padded).map_or(padded.clone(), <[u8]>::to_vec));
            }
            let delivery = DeliveryKey::new(key.duplicate());
            let opened = open_entry(&delivery, entry.as_ref()?).ok()?;
            Some(encode(&opened).unwrap())
        })
    }

    /// The records since `before` that it opens, or whose place it knows; with what they say.
    pub fn loot(&self, now: &Database, before: &Database) -> Vec<([u8; 16], Vec<u8>)> {
        let mut loot = Vec::new();
        for (key, value) in Database::since(&now.records, &before.records) {
            let stripped = strip_record(self.outer, *key, value);
            let opened = stripped.and_then(|(address, inner)| self.open(&address, &inner));
            if opened.is_some() || self.places.contains(key) {
                loot.push((*key, opened.unwrap_or_default()));
            }
        }
        // Outcomes have no layer of the operator's.
        for (key, value) in Database::since(&now.replay, &before.replay) {
            let address = Address {
                space: Space::Replay,
                store_key: *key,
            };
            loot.extend(self.open(&address, value).map(|opened| (*key, opened)));
        }
        loot
    }

    /// The entries since `before` that it opens, or whose log it knows.
    pub fn heard(&self, now: &Database, before: &Database) -> Vec<Vec<u8>> {
        let mut heard = Vec::new();
        let mut unknown = 0;
        for (_, value) in Database::since(&now.entries, &before.entries) {
            let Some((address, inner)) = strip_entry(self.outer, &self.logs, value) else {
                unknown += 1;
                continue;
            };
            let opened = self.open(&address, &inner);
            if opened.is_some() || self.own_logs.contains(&address.store_key) {
                heard.push(opened.unwrap_or_default());
            }
        }
        assert!(
            unknown <= LINK_DEPOSITS,
            "it is told the names of all other logs"
        );
        heard
    }
}

fn place_of(handle: &[u8; 32]) -> [u8; 16] {
    let mut place = [0; 16];
    place.copy_from_slice(&handle[..16]);
    place
}

/// What linking one device leaves in inboxes: the offer, the answer, the Welcome among devices.
const LINK_DEPOSITS: usize = 3;

/// What stands under the operator's layer in all rows that have one.
pub fn all_stripped(
    outer: &OuterKeys,
    domain: &Domain,
    database: &Database,
    known: &Known,
) -> (Vec<u8>, usize) {
    let logs = handles(outer, domain, known);
    let records = database
        .records
        .iter()
        .filter_map(|(key, value)| strip_record(outer, *key, value));
    let entries = database
        .entries
        .values()
        .map(|value| strip_entry(outer, &logs, value));
    let entries: Vec<_> = entries.collect();
    // They lie in inboxes that nobody has any more.
    let unknown = entries.iter().filter(|entry| entry.is_none()).count();
    assert!(
        unknown <= LINK_DEPOSITS,
        "{unknown} entries of unknown logs"
    );
    let entries = entries.into_iter().flatten();
    let mut all = Vec::new();
    let mut count = 0;
    for (address, inner) in records.chain(entries) {
        // What the hub keeps about itself names its domain.
        if address.space != Space::Meta {
            all.extend(inner);
            count += 1;
        }
    }
    (all, count)
}

/// The lengths of values.
pub fn lengths(rows: &Rows) -> BTreeSet<usize> {
    rows.values().map(Vec::len).collect()
}
