//! Owns what a pool of key-package sets is: which entries it names, which tags it has served.
//!
//! Invariant: entries of one set agree about suite and last day; a served tag stays known until its
//! last day, and is refused; whatever a pool stops naming is handed out once, for deletion.

use crate::outcome::{Fault, Refusal};
use sordino_wire::limits::{MAX_POOL_SETS, MAX_SERVED_TAGS, MAX_SET_DEVICES};
use sordino_wire::{DeviceTag, Digest, List, PoolState, Reject, SetEntry, SetState, SetTag};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// Where an entry lies, and of which device it is.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct StoredEntry {
    device_tag: DeviceTag,
    pub(crate) place: [u8; 16],
}

/// One set.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct PoolSet {
    tag: SetTag,
    devices: u8,
    cipher_suite: u16,
    last_day: u32,
    pub(crate) entries: Vec<StoredEntry>,
}

impl PoolSet {
    fn is_complete(&self) -> bool {
        self.entries.len() >= usize::from(self.devices)
    }
}

/// A tag that was served.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct ServedTag {
    tag: SetTag,
    last_day: u32,
}

/// A pool as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Pool {
    /// SHA-256 of the owner's secret.
    pub(crate) owner_hash: Option<Digest>,
    sets: Vec<PoolSet>,
    served: Vec<ServedTag>,
    /// Entries that are to be deleted; empty at rest.
    gone: Vec<StoredEntry>,
}

impl Pool {
    /// Forgets what ended before today.
    pub(crate) fn expire(&mut self, today: u32) {
        self.served.retain(|served| served.last_day >= today);
        self.retain_sets(|set| set.last_day >= today);
    }

    fn retain_sets(&mut self, keep: impl Fn(&PoolSet) -> bool) {
        let (kept, gone) = std::mem::take(&mut self.sets).into_iter().partition(keep);
        self.sets = kept;
        let gone: Vec<PoolSet> = gone;
        self.gone
            .extend(gone.into_iter().flat_map(|set| set.entries));
    }

    /// Names an entry that lies at `place`, in place of the same device's former one.
    pub(crate) fn put(&mut self, entry: &SetEntry, place: [u8; 16]) -> Result<(), Refusal> {
        if self.served.iter().any(|served| served.tag == entry.set_tag) {
            return Err(Reject::InvalidSet.into());
        }
        let stored = StoredEntry {
            device_tag: entry.device_tag,
            place,
        };
        let Some(set) = self.sets.iter_mut().find(|set| set.tag == entry.set_tag) else {
            self.sets.push(PoolSet {
                tag: entry.set_tag,
                devices: entry.devices,
                cipher_suite: entry.cipher_suite,
                last_day: entry.last_day,
                entries: vec![stored],
            });
            return Ok(());
        };
        if set.cipher_suite != entry.cipher_suite || set.last_day != entry.last_day {
            return Err(Reject::InvalidSet.into());
        }
        set.devices = set.devices.max(entry.devices);
        let former = set
            .entries
            .iter()
            .position(|known| known.device_tag == entry.device_tag);
        if let Some(index) = former {
            self.gone.push(set.entries.remove(index));
        }
        if set.entries.len() >= MAX_SET_DEVICES {
            return Err(Reject::InvalidSet.into());
        }
        set.entries.push(stored);
        Ok(())
    }

    /// Drops a set that was not served; it does not count as served.
    pub(crate) fn drop_set(&mut self, tag: SetTag) {
        self.retain_sets(|set| set.tag != tag);
    }

    /// Drops all sets. What was served and who owns it stay known: a served set does not come back,
    /// and nobody else takes the pool.
    pub(crate) fn drop_all(&mut self) {
        self.retain_sets(|_| false);
    }

    /// Refuses what is over the bounds. Served tags count with the sets that can become served, so
    /// that a fetch never has to be refused for them.
    pub(crate) fn check_bounds(&self) -> Result<(), Refusal> {
        let limit = |limit: usize| Reject::LimitReached {
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
        };
        if self.sets.len() > MAX_POOL_SETS {
            return Err(limit(MAX_POOL_SETS).into());
        }
        if self.sets.len().saturating_add(self.served.len()) > MAX_SERVED_TAGS {
            return Err(limit(MAX_SERVED_TAGS).into());
        }
        Ok(())
    }

    /// Takes the complete set that ends first.
    pub(crate) fn take(&mut self) -> Option<PoolSet> {
        let complete = self.sets.iter().enumerate();
        let (index, _) = complete
            .filter(|(_, set)| set.is_complete())
            .min_by_key(|(_, set)| (set.last_day, set.tag))?;
        let set = self.sets.remove(index);
        self.served.push(ServedTag {
            tag: set.tag,
            last_day: set.last_day,
        });
        self.gone.extend(set.entries.iter().cloned());
        Some(set)
    }

    /// How many sets can be fetched.
    pub(crate) fn complete(&self) -> u8 {
        let complete = self.sets.iter().filter(|set| set.is_complete());
        u8::try_from(complete.count()).unwrap_or(u8::MAX)
    }

    /// The places that nothing names any more.
    pub(crate) fn take_gone(&mut self) -> Vec<[u8; 16]> {
        let gone = std::mem::take(&mut self.gone);
        gone.into_iter().map(|entry| entry.place).collect()
    }

    /// For its owner.
    pub(crate) fn state(&self) -> Result<PoolState, Fault> {
        let state = |set: &PoolSet| {
            let tags = set.entries.iter().map(|entry| entry.device_tag);
            Ok(SetState {
                set_tag: set.tag,
                device_tags: List::new(tags.collect::<Vec<_>>())
                    .map_err(|_| Fault::Inconsistent)?,
                devices: set.devices,
                last_day: set.last_day,
            })
        };
        let sets: Result<Vec<SetState>, Fault> = self.sets.iter().map(state).collect();
        let served: Vec<SetTag> = self.served.iter().map(|served| served.tag).collect();
        Ok(PoolState {
            sets: List::new(sets?).map_err(|_| Fault::Inconsistent)?,
            served: List::new(served).map_err(|_| Fault::Inconsistent)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sordino_wire::limits::SET_ENTRY_CIPHERTEXT_BYTES;
    use sordino_wire::{Bytes, Salt, encode};
    use std::collections::{BTreeMap, BTreeSet};

    fn entry(tag: u8, device: u8, devices: u8, last_day: u32) -> SetEntry {
        SetEntry {
            set_tag: SetTag([tag; 16]),
            device_tag: DeviceTag([device; 16]),
            devices,
            cipher_suite: 1,
            last_day,
            salt: Salt([0; 16]),
            ciphertext: Bytes::new(vec![0; SET_ENTRY_CIPHERTEXT_BYTES]).unwrap(),
        }
    }

    fn put(pool: &mut Pool, entry: &SetEntry, place: u8) -> bool {
        pool.put(entry, [place; 16]).is_ok()
    }

    #[test]
    fn a_set_is_complete_when_all_devices_are_there() {
        let mut pool = Pool::default();
        assert!(put(&mut pool, &entry(1, 1, 1, 9), 1));
        assert_eq!(pool.complete(), 1);
        // A sibling knows of two devices: the first one's entry alone is no longer enough.
        assert!(put(&mut pool, &entry(1, 2, 3, 9), 2));
        assert_eq!((pool.complete(), pool.take()), (0, None));
        assert!(put(&mut pool, &entry(1, 3, 2, 9), 3));
        let taken = pool.take().unwrap();
        assert_eq!(taken.entries.len(), 3);
        assert_eq!(pool.take_gone().len(), 3);
        assert_eq!(pool.take(), None);
    }

    #[test]
    fn a_served_tag_does_not_come_back_before_its_day_has_passed() {
        let mut pool = Pool::default();
        assert!(put(&mut pool, &entry(1, 1, 1, 9), 1));
        assert!(pool.take().is_some());
        assert!(!put(&mut pool, &entry(1, 1, 1, 9), 2));
        assert!(!put(&mut pool, &entry(1, 2, 1, 30), 2));
        pool.expire(10);
        assert!(put(&mut pool, &entry(1, 1, 1, 30), 2));
    }

    #[test]
    fn the_set_that_ends_first_is_taken_first() {
        let mut pool = Pool::default();
        for (tag, day) in [(1, 30), (2, 10), (3, 20)] {
            assert!(put(&mut pool, &entry(tag, 1, 1, day), tag));
        }
        let order: Vec<u32> = std::iter::from_fn(|| pool.take())
            .map(|s| s.last_day)
            .collect();
        assert_eq!(order, [10, 20, 30]);
    }

    #[test]
    fn entries_of_a_set_agree() {
        let mut pool = Pool::default();
        assert!(put(&mut pool, &entry(1, 1, 2, 9), 1));
        assert!(!put(&mut pool, &entry(1, 2, 2, 10), 2));
        let mut other = entry(1, 2, 2, 9);
        other.cipher_suite = 2;
        assert!(!put(&mut pool, &other, 2));
    }

    #[test]
    fn a_device_replaces_its_own_entry() {
        let mut pool = Pool::default();
        assert!(put(&mut pool, &entry(1, 1, 2, 9), 1));
        assert!(put(&mut pool, &entry(1, 1, 2, 9), 2));
        assert_eq!(pool.take_gone(), [[1; 16]]);
        assert_eq!(pool.complete(), 0);
    }

    #[test]
    fn bounds_hold() {
        let mut pool = Pool::default();
        let sets = u8::try_from(MAX_POOL_SETS).unwrap();
        for tag in 0..sets {
            assert!(put(&mut pool, &entry(tag, 1, 1, 9), tag));
        }
        assert!(pool.check_bounds().is_ok());
        assert!(put(&mut pool, &entry(sets, 1, 1, 9), sets));
        assert!(pool.check_bounds().is_err());
        pool.drop_set(SetTag([0; 16]));
        assert!(pool.check_bounds().is_ok());
        let served = (0..MAX_SERVED_TAGS).map(|n| ServedTag {
            tag: SetTag([u8::try_from(n).unwrap(); 16]),
            last_day: 9,
        });
        let mut full = Pool {
            served: served.collect(),
            ..Pool::default()
        };
        assert!(full.check_bounds().is_ok());
        full.expire(10);
        for n in 0..MAX_SET_DEVICES {
            let device = u8::try_from(n).unwrap();
            assert!(put(&mut full, &entry(1, device, 16, 9), device));
        }
        assert!(!put(&mut full, &entry(1, 99, 16, 9), 99));
    }

    /// The largest pool fits the one class of all pools.
    #[test]
    fn the_largest_pool_fits_its_class() {
        let mut pool = Pool {
            owner_hash: Some(Digest([1; 32])),
            ..Pool::default()
        };
        for set in 0..MAX_POOL_SETS {
            for device in 0..MAX_SET_DEVICES {
                let (tag, device) = (u8::try_from(set).unwrap(), u8::try_from(device).unwrap());
                assert!(put(&mut pool, &entry(tag, device, 16, 9), device));
            }
        }
        pool.served = (MAX_POOL_SETS..MAX_SERVED_TAGS)
            .map(|_| ServedTag {
                tag: SetTag([9; 16]),
                last_day: 9,
            })
            .collect();
        assert!(pool.check_bounds().is_ok());
        let bytes = encode(&pool).unwrap();
        assert!(sordino_crypto::pad(&bytes, sordino_crypto::PadClass::Pool).is_ok());
    }

    proptest! {
        /// Against a model: what is named, what is complete, what was served.
        #[test]
        fn a_pool_is_what_a_model_says(steps in proptest::collection::vec((0u8..5, 0u8..4, 0u8..3, 1u8..4), 1..60)) {
            let mut pool = Pool::default();
            let mut sets: BTreeMap<u8, (u8, BTreeMap<u8, u8>)> = BTreeMap::new();
            let mut served = BTreeSet::new();
            let mut alive: BTreeSet<u8> = BTreeSet::new();
            for (place, (what, tag, device, devices)) in (1u8..).zip(steps) {
                match what {
                    0..=2 => {
                        let taken = put(&mut pool, &entry(tag, device, devices, 9), place);
                        prop_assert_eq!(taken, !served.contains(&tag));
                        if taken {
                            let set = sets.entry(tag).or_insert((0, BTreeMap::new()));
                            set.0 = set.0.max(devices);
                            set.1.insert(device, place);
                        }
                    }
                    3 => {
                        pool.drop_set(SetTag([tag; 16]));
                        sets.remove(&tag);
                    }
                    _ => {
                        let first = sets.iter().find(|(_, s)| s.1.len() >= usize::from(s.0)).map(|(t, _)| *t);
                        let taken = pool.take();
                        prop_assert_eq!(taken.as_ref().map(|set| set.tag.0[0]), first);
                        if let (Some(taken), Some(tag)) = (taken, first) {
                            let (_, entries) = sets.remove(&tag).unwrap();
                            prop_assert_eq!(taken.entries.len(), entries.len());
                            served.insert(tag);
                        }
                    }
                }
                alive.insert(place);
                for gone in pool.take_gone() {
                    prop_assert!(alive.remove(&gone[0]), "named for deletion once");
                }
                let named: BTreeSet<u8> = pool.sets.iter().flat_map(|s| &s.entries).map(|e| e.place[0]).collect();
                let expected: BTreeSet<u8> = sets.values().flat_map(|s| s.1.values().copied()).collect();
                prop_assert_eq!(named, expected);
            }
        }
    }
}
