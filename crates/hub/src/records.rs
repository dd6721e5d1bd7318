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
        // Nobody can name this key in a request.
        let key = outer.index().handle(Space::Head, b"decoy");
        let key = LayerKey::new(Secret32::new(key.map_err(|_| Fault::Crypto)?));
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use sordino_crypto::{IndexKey, OperatorKey, WindowKeys};
    use sordino_wire::Secret32;

    struct One(StoreKey, Vec<u8>);

    impl Records for One {
        fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault> {
            Ok((*key == self.0).then(|| self.1.clone()))
        }

        fn replay(&self, _: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault> {
            Ok(None)
        }

        fn read_log(
            &self,
            _: &LogHandle,
            _: u64,
            _: usize,
            _: usize,
        ) -> Result<LogPage, RecordFault> {
            Err(RecordFault)
        }
    }

    fn outer() -> OuterKeys {
        let operator = OperatorKey::new(Secret32::new([1; 32]));
        let index = IndexKey::new(Secret32::new([2; 32]));
        OuterKeys::new(operator, Vec::new(), index, WindowKeys::new())
    }

    fn key(byte: u8) -> LayerKey {
        LayerKey::new(Secret32::new([byte; 32]))
    }

    fn sealed(address: &Address) -> (Put, RecordVersion) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let class = PadClass::PowerOfTwo;
        seal_record(&outer(), address, &key(3), b"value", class, &mut rng).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_and_tells_its_version() {
        let address = address(&outer(), Space::Head, b"place").unwrap();
        let (put, version) = sealed(&address);
        let store = One(put.key, put.value.clone());
        let opened = open_record(&outer(), &store, &address, &key(3)).unwrap();
        let opened = opened.unwrap();
        assert_eq!(opened.value, b"value");
        assert_eq!(opened.version, version);
        assert_eq!(version_of(&put.value), Some(version));
    }

    #[test]
    fn absent_wrong_key_moved_and_damaged_are_the_same() {
        let here = address(&outer(), Space::Head, b"place").unwrap();
        let elsewhere = address(&outer(), Space::Head, b"other").unwrap();
        let other_space = Address {
            space: Space::Tree,
            ..here
        };
        let (put, _) = sealed(&here);
        let open = |address: &Address, key: &LayerKey, value: &[u8]| {
            let store = One(address.store_key, value.to_vec());
            let opened = open_record(&outer(), &store, address, key).unwrap();
            opened.is_some()
        };
        assert!(open(&here, &key(3), &put.value));
        assert!(!open(&here, &key(4), &put.value));
        assert!(!open(&elsewhere, &key(3), &put.value));
        assert!(!open(&other_space, &key(3), &put.value));
        for length in [0, 15, 16, 100, put.value.len() - 1] {
            assert!(!open(&here, &key(3), &put.value[..length]));
        }
        let store = One([0; 16], Vec::new());
        let absent = open_record(&outer(), &store, &here, &key(3)).unwrap();
        assert!(absent.is_none());
        let decoy = Decoy::new(&outer()).unwrap();
        decoy.open_in_vain(&outer(), &key(3));
    }
}
