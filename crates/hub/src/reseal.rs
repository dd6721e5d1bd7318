//! Stage 7, reseal: turns what an operation changed into sealed records and entries.
//!
//! Owns: the write set of one request. Invariant: whatever replaces a head expects the head and the
//! guard that were read, so that of two commits of one epoch one is refused.
//! Never sees a request's authentication.

use crate::admit::floor_time;
use crate::outcome::{Changes, Effects, Expectation, Fault, Put, Step, StoreKey};
use crate::state::{
    DeltaRecord, Head, OpenedHead, Pending, Previous, RosterRecord, Tombstone, TreeRecord,
};
use crate::unseal::guard_key;
use crate::{Env, HubShared};
use sordino_crypto::{
    Address, DeliveryKey, EarKey, HeadKey, LayerKey, MAX_DELTA_BYTES, PadClass, PreviousKey, Space,
    pad, seal_entry, seal_layer, stream_id,
};
use sordino_effects::{Settlement, address, seal_log_entry, seal_record};
use sordino_wire::limits::TOMBSTONE_DAYS;
use sordino_wire::{DeliveryEvent, Locator, Outcome, ResponseBody, Salt, Secret32, encode};

/// The write set of one request.
pub(crate) struct Writer<'s, 'e, 'r> {
    pub(crate) shared: &'s HubShared,
    pub(crate) env: &'e mut Env<'r>,
    pub(crate) changes: Changes,
}

impl<'s, 'e, 'r> Writer<'s, 'e, 'r> {
    pub(crate) fn new(shared: &'s HubShared, env: &'e mut Env<'r>) -> Self {
        Self {
            shared,
            env,
            changes: Changes::default(),
        }
    }

    /// Today, in days since 1970.
    pub(crate) fn today(&self) -> u32 {
        self.env.today()
    }

    /// 16 random bytes.
    pub(crate) fn random(&mut self) -> [u8; 16] {
        let mut bytes = [0u8; 16];
        self.env.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Nothing may have changed since the head was read.
    pub(crate) fn expect(&mut self, opened: &OpenedHead) -> Result<(), Fault> {
        let guard = guard_key(self.shared, opened.head.guard)?;
        self.changes
            .expect
            .push((opened.store_key, Expectation::Is(opened.version)));
        self.changes
            .expect
            .push((guard, Expectation::Is(opened.guard_version)));
        Ok(())
    }

    /// Makes every other sealing of the state stale.
    pub(crate) fn replace_guard(&mut self, old: Option<Salt>) -> Result<Salt, Fault> {
        if let Some(old) = old {
            let key = guard_key(self.shared, old)?;
            self.changes.delete.push(key);
        }
        let guard = Salt(self.random());
        let key = guard_key(self.shared, guard)?;
        // A guard holds nothing; random bytes look like any other record.
        let mut value = vec![0u8; 64];
        self.env.rng.fill_bytes(&mut value);
        self.changes.put.push(Put {
            key,
            value,
            expires_day: None,
        });
        Ok(guard)
    }

    fn put(
        &mut self,
        space: Space,
        locator: Locator,
        key: &LayerKey,
        value: &[u8],
        class: PadClass,
    ) -> Result<Salt, Fault> {
        let address = address(&self.shared.outer, space, &locator.0).map_err(|_| Fault::Crypto)?;
        let (put, version) = seal_record(
            &self.shared.outer,
            &address,
            key,
            value,
            class,
            self.env.rng,
        )?;
        self.changes.put.push(put);
        Ok(Salt(version))
    }

    /// Writes a head at the place of a generation. Answers where.
    pub(crate) fn put_head(&mut self, ear_key: &EarKey, head: &Head) -> Result<StoreKey, Fault> {
        let locator = ear_key.locator("head").map_err(|_| Fault::Crypto)?;
        let address =
            address(&self.shared.outer, Space::Head, &locator.0).map_err(|_| Fault::Crypto)?;
        let key = ear_key.head_key().map_err(|_| Fault::Crypto)?;
        self.put_head_at(address.store_key, &key, head)?;
        Ok(address.store_key)
    }

    /// Writes a head where it was read.
    pub(crate) fn put_head_at(
        &mut self,
        store_key: StoreKey,
        key: &HeadKey,
        head: &Head,
    ) -> Result<(), Fault> {
        let value = encode(head).map_err(|_| Fault::Encoding)?;
        let address = Address {
            space: Space::Head,
            store_key,
        };
        let (put, _) = seal_record(
            &self.shared.outer,
            &address,
            &LayerKey::from(key),
            &value,
            PadClass::PowerOfTwo,
            self.env.rng,
        )?;
        self.changes.put.push(put);
        Ok(())
    }

    /// Writes a tombstone. Answers its version.
    pub(crate) fn put_tombstone(
        &mut self,
        store_key: StoreKey,
        key: &HeadKey,
        tombstone: &Tombstone,
    ) -> Result<Salt, Fault> {
        let value = encode(tombstone).map_err(|_| Fault::Encoding)?;
        let address = Address {
            space: Space::Head,
            store_key,
        };
        let (mut put, version) = seal_record(
            &self.shared.outer,
            &address,
            &LayerKey::from(key),
            &value,
            PadClass::PowerOfTwo,
            self.env.rng,
        )?;
        put.expires_day = Some(self.today().saturating_add(TOMBSTONE_DAYS));
        self.changes.put.push(put);
        Ok(Salt(version))
    }

    pub(crate) fn put_tree(&mut self, ear: &EarKey, tree: &TreeRecord) -> Result<Salt, Fault> {
        let value = encode(tree).map_err(|_| Fault::Encoding)?;
        let locator = ear
            .locator(&format!("tree/{}", tree.epoch))
            .map_err(|_| Fault::Crypto)?;
        let key = LayerKey::from(&ear.tree_key().map_err(|_| Fault::Crypto)?);
        self.put(Space::Tree, locator, &key, &value, PadClass::PowerOfTwo)
    }

    pub(crate) fn put_roster(
        &mut self,
        ear: &EarKey,
        roster: &RosterRecord,
    ) -> Result<Salt, Fault> {
        let value = encode(roster).map_err(|_| Fault::Encoding)?;
        let locator = ear
            .locator(&format!("roster/{}", roster.epoch))
            .map_err(|_| Fault::Crypto)?;
        let key = LayerKey::from(&ear.roster_key().map_err(|_| Fault::Crypto)?);
        self.put(Space::Roster, locator, &key, &value, PadClass::PowerOfTwo)
    }

    /// Writes a delta, unless it is larger than the one class of deltas.
    pub(crate) fn put_delta(
        &mut self,
        ear: &EarKey,
        delta: &DeltaRecord,
    ) -> Result<Option<Salt>, Fault> {
        let value = encode(delta).map_err(|_| Fault::Encoding)?;
        if value.len() > MAX_DELTA_BYTES {
            return Ok(None);
        }
        let locator = ear
            .locator(&format!("delta/{}", delta.epoch))
            .map_err(|_| Fault::Crypto)?;
        let key = LayerKey::from(&ear.tree_key().map_err(|_| Fault::Crypto)?);
        self.put(Space::Delta, locator, &key, &value, PadClass::Delta)
            .map(Some)
    }

    pub(crate) fn put_pending(
        &mut self,
        ear: &EarKey,
        pending: &Pending,
    ) -> Result<Option<Salt>, Fault> {
        let locator = ear.locator("pending").map_err(|_| Fault::Crypto)?;
        if pending.items.is_empty() {
            let address = address(&self.shared.outer, Space::Pending, &locator.0)
                .map_err(|_| Fault::Crypto)?;
            self.changes.delete.push(address.store_key);
            return Ok(None);
        }
        let value = encode(pending).map_err(|_| Fault::Encoding)?;
        let key = LayerKey::from(&ear.pending_key().map_err(|_| Fault::Crypto)?);
        self.put(Space::Pending, locator, &key, &value, PadClass::PowerOfTwo)
            .map(Some)
    }

    /// Writes what is kept in case the keys are wrong; it dies with its window.
    pub(crate) fn put_previous(
        &mut self,
        store_key: StoreKey,
        key: &PreviousKey,
        previous: &Previous,
    ) -> Result<(), Fault> {
        let value = encode(previous).map_err(|_| Fault::Encoding)?;
        let address = Address {
            space: Space::Previous,
            store_key,
        };
        let padded = pad(&value, PadClass::PowerOfTwo).map_err(|_| Fault::Crypto)?;
        let inner = seal_layer(&LayerKey::from(key), &address, &padded, self.env.rng)
            .map_err(|_| Fault::Crypto)?;
        let day = previous.last_day;
        let value = self
            .shared
            .outer
            .seal_window(&address, day, &inner, self.env.rng)
            .map_err(|_| Fault::Crypto)?;
        self.changes.put.push(Put {
            key: store_key,
            value,
            expires_day: Some(day),
        });
        Ok(())
    }

    /// Seals an event for the members and appends it to the hub's own stream of the generation.
    pub(crate) fn deliver(
        &mut self,
        delivery_key: &Secret32,
        counter: u64,
        event: DeliveryEvent,
    ) -> Result<(), Fault> {
        let key = DeliveryKey::new(delivery_key.duplicate());
        let time_s = floor_time(self.env.now_s);
        let entry =
            seal_entry(&key, time_s, counter, event, self.env.rng).map_err(|_| Fault::Crypto)?;
        let value = encode(&entry).map_err(|_| Fault::Encoding)?;
        let id = stream_id(&key, &self.shared.config.domain).map_err(|_| Fault::Crypto)?;
        let log = self
            .shared
            .outer
            .index()
            .handle(Space::StreamLog, &id.0)
            .map_err(|_| Fault::Crypto)?;
        self.append(
            Space::StreamLog,
            log,
            &value,
            self.shared.config.stream_entry_days,
        )
    }

    /// Appends an entry that dies with its window.
    pub(crate) fn append(
        &mut self,
        space: Space,
        log: [u8; 32],
        entry: &[u8],
        days: u32,
    ) -> Result<(), Fault> {
        let last_day = self.today().saturating_add(days);
        let outer = &self.shared.outer;
        let append = seal_log_entry(outer, space, log, entry, last_day, self.env.rng)?;
        self.changes.append.push(append);
        Ok(())
    }

    /// Ends the request: effects with their answer, paid for and remembered for a repetition.
    pub(crate) fn finish(
        mut self,
        settlement: &Settlement,
        outcome: Outcome,
    ) -> Result<Step, Fault> {
        settlement.settle(&outcome, &mut self.changes, self.env)?;
        let reply = ResponseBody::Done(outcome);
        Ok(Step::Commit(Box::new(Effects {
            changes: self.changes,
            reply,
        })))
    }
}

/// An outcome without detail.
pub(crate) fn outcome(epoch: u64, counter: u64) -> Outcome {
    Outcome {
        epoch,
        counter,
        detail: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hub, HubConfig};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use sordino_crypto::{IndexKey, OperatorKey, OuterKeys, SigningKey, WindowKeys};
    use sordino_wire::{Bytes, Domain, List, PartialGroupInfo};
    use std::sync::Arc;

    fn delta(staged_bytes: usize) -> DeltaRecord {
        DeltaRecord {
            format: 1,
            epoch: 1,
            group_info: PartialGroupInfo {
                extensions: Bytes::new([1; 37]).unwrap(),
                signature: Bytes::new([2; 64]).unwrap(),
            },
            signer: 0,
            day: 1,
            removed: List::default(),
            added: List::default(),
            entries: List::default(),
            staged: Bytes::new(vec![3; staged_bytes]).unwrap(),
        }
    }

    #[test]
    fn a_delta_fills_its_class_to_the_last_byte() {
        let outer = OuterKeys::new(
            OperatorKey::new(Secret32::new([1; 32])),
            Vec::new(),
            IndexKey::new(Secret32::new([2; 32])),
            WindowKeys::new(),
        );
        let config = HubConfig::new(Domain::new("hub.example").unwrap());
        let key = SigningKey::from_seed(&[3; 32]);
        let hub = Hub::new(config, &key, Arc::new(outer)).unwrap();
        let ear = EarKey::new(Secret32::new([4; 32]));
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let mut env = Env::new(1_700_000_000, &mut rng);
        let mut writer = Writer::new(&hub.shared, &mut env);
        let other_bytes = encode(&delta(3_000)).unwrap().len() - 3_000;
        let most = MAX_DELTA_BYTES - other_bytes;
        let mut is_written = |bytes| writer.put_delta(&ear, &delta(bytes)).unwrap().is_some();
        assert!(is_written(most) && !is_written(most + 1));
    }
}
