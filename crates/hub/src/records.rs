//! Owns reading: what the hub asks of a store snapshot, and opening what it gets.
//!
//! Invariant: a record that does not open under the keys of the request is, to everything above,
//! as absent as one that does not exist. Never sees where the bytes lie.

use crate::outcome::{Fault, LogHandle, Put, RecordVersion, StoreKey};
use rand_core::RngCore;
use sordino_crypto::{
    Address, LayerKey, OuterKeys, PadClass, Space, open_layer, pad, seal_layer, unpad,
};
use sordino_wire::Secret32;

/// A page of a log.
pub struct LogPage {
    /// Entries with their numbers.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// The oldest number kept.
    pub oldest: u64,
    /// The number that the next entry gets.
    pub next: u64,
}

/// The store did not answer.
#[derive(Debug, Clone, Copy)]
pub struct RecordFault;

impl From<RecordFault> for Fault {
    fn from(_: RecordFault) -> Self {
        Self::Store
    }
}

impl From<RecordFault> for crate::outcome::Refusal {
    fn from(_: RecordFault) -> Self {
        Self::Fault(Fault::Store)
    }
}

/// One consistent snapshot of a store.
pub trait Records {
    /// A record's value.
    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault>;
    /// A remembered outcome.
    fn replay(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault>;
    /// Entries of a log.
    fn read_log(
        &self,
        log: &LogHandle,
        from: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<LogPage, RecordFault>;
}

/// An opened record.
pub(crate) struct Opened {
    pub(crate) version: RecordVersion,
    pub(crate) value: Vec<u8>,
}

/// Where a record lies, for sealing and opening.
pub(crate) fn address(
    outer: &OuterKeys,
    space: Space,
    id: &[u8],
) -> Result<Address, sordino_crypto::CryptoError> {
    let store_key = outer.index().blind(space, id)?;
    Ok(Address { space, store_key })
}

/// The first 16 bytes of a value.
pub(crate) fn version_of(value: &[u8]) -> Option<RecordVersion> {
    value.get(..16).and_then(|v| v.try_into().ok())
}

/// Reads and opens both layers. `None`: absent, or these keys do not open it.
pub(crate) fn open_record(
    outer: &OuterKeys,
    records: &dyn Records,
    address: &Address,
    key: &LayerKey,
) -> Result<Option<Opened>, RecordFault> {
    let Some(bytes) = records.get(&address.store_key)? else {
        return Ok(None);
    };
    Ok(open_bytes(outer, address, key, &bytes))
}

fn open_bytes(
    outer: &OuterKeys,
    address: &Address,
    key: &LayerKey,
    bytes: &[u8],
) -> Option<Opened> {
    let version = version_of(bytes)?;
    let inner = outer.open(address, bytes).ok()?;
    let padded = open_layer(key, address, &inner).ok()?;
    let value = unpad(&padded).ok()?.to_vec();
    Some(Opened { version, value })
}

/// Seals both layers. Returns the write and the version it will have.
pub(crate) fn seal_record(
    outer: &OuterKeys,
    address: &Address,
    key: &LayerKey,
    value: &[u8],
    class: PadClass,
    rng: &mut dyn RngCore,
) -> Result<(Put, RecordVersion), Fault> {
    let padded = pad(value, class).map_err(|_| Fault::Crypto)?;
    let inner = seal_layer(key, address, &padded, rng).map_err(|_| Fault::Crypto)?;
    let sealed = outer
        .seal(address, &inner, rng)
        .map_err(|_| Fault::Crypto)?;
    let version = version_of(&sealed).ok_or(Fault::Crypto)?;
    Ok((
        Put {
            key: address.store_key,
            value: sealed,
            expires_day: None,
        },
        version,
    ))
}

/// A sealed head that belongs to nobody: opening it in vain takes as long as a wrong key does.
pub(crate) struct Decoy {
    address: Address,
    sealed: Vec<u8>,
}

impl Decoy {
    pub(crate) fn new(outer: &OuterKeys) -> Result<Self, Fault> {
        let address = Address {
            space: Space::Head,
            store_key: [0; 16],
        };
        let key = LayerKey::new(Secret32::new([0; 32]));
        // It is never stored, so its salts may be the same each time.
        let value = vec![0u8; 8_000];
        let (put, _) = seal_record(
            outer,
            &address,
            &key,
            &value,
            PadClass::PowerOfTwo,
            &mut NoRandomness,
        )?;
        Ok(Self {
            address,
            sealed: put.value,
        })
    }

    /// Opens the outer layer and fails at the inner one.
    pub(crate) fn open_in_vain(&self, outer: &OuterKeys, key: &LayerKey) {
        let opened = open_bytes(outer, &self.address, key, &self.sealed);
        debug_assert!(opened.is_none());
    }
}

/// For values that are sealed and thrown away.
struct NoRandomness;

impl RngCore for NoRandomness {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.fill(0);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}
