//! Owns opening and sealing a record in both layers (design page 2.5).
//!
//! Invariant: a record that does not open under the keys of the request is, to everything above,
//! as absent as one that does not exist.

use crate::changes::{Put, RecordVersion, version_of};
use crate::records::{RecordFault, Records};
use crate::step::Fault;
use rand_core::RngCore;
use sordino_crypto::{
    Address, CryptoError, LayerKey, OuterKeys, PadClass, Space, open_layer, pad, seal_layer, unpad,
};

/// An opened record.
pub struct Opened {
    /// Its version when it was read.
    pub version: RecordVersion,
    /// What is inside.
    pub value: Vec<u8>,
}

/// Where a record lies, for sealing and opening.
pub fn address(outer: &OuterKeys, space: Space, id: &[u8]) -> Result<Address, CryptoError> {
    let store_key = outer.index().blind(space, id)?;
    Ok(Address { space, store_key })
}

/// Reads and opens both layers. `None`: absent, or these keys do not open it.
pub fn open_record(
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

pub(crate) fn open_bytes(
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
pub fn seal_record(
    outer: &OuterKeys,
    address: &Address,
    key: &LayerKey,
    value: &[u8],
    class: PadClass,
    rng: &mut dyn RngCore,
) -> Result<(Put, RecordVersion), Fault> {
    let padded = pad(value, class)?;
    let inner = seal_layer(key, address, &padded, rng)?;
    let sealed = outer.seal(address, &inner, rng)?;
    let version = version_of(&sealed).ok_or(Fault::Crypto)?;
    let put = Put {
        key: address.store_key,
        value: sealed,
        expires_day: None,
    };
    Ok((put, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stored, layer_key, outer, rng};

    fn sealed(address: &Address) -> (Put, RecordVersion) {
        let class = PadClass::PowerOfTwo;
        seal_record(
            &outer(),
            address,
            &layer_key(3),
            b"value",
            class,
            &mut rng(),
        )
        .unwrap()
    }

    #[test]
    fn what_is_sealed_opens_and_tells_its_version() {
        let address = address(&outer(), Space::Head, b"place").unwrap();
        let (put, version) = sealed(&address);
        let store = Stored::record(put.key, &put.value);
        let opened = open_record(&outer(), &store, &address, &layer_key(3)).unwrap();
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
            let store = Stored::record(address.store_key, value);
            let opened = open_record(&outer(), &store, address, key).unwrap();
            opened.is_some()
        };
        assert!(open(&here, &layer_key(3), &put.value));
        assert!(!open(&here, &layer_key(4), &put.value));
        assert!(!open(&elsewhere, &layer_key(3), &put.value));
        assert!(!open(&other_space, &layer_key(3), &put.value));
        for length in [0, 15, 16, 100, put.value.len() - 1] {
            assert!(!open(&here, &layer_key(3), &put.value[..length]));
        }
        let store = Stored::record([0; 16], &[]);
        let absent = open_record(&outer(), &store, &here, &layer_key(3)).unwrap();
        assert!(absent.is_none());
    }
}
