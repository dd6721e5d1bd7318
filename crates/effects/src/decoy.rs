//! Owns a sealed record that belongs to nobody, to be opened where there is none, so that unknown
//! takes as long as known.
//!
//! Invariant: it is made once, never stored, and no request can name its key.

use crate::record::{open_bytes, seal_record};
use crate::step::Fault;
use rand_core::RngCore;
use sordino_crypto::{Address, LayerKey, OuterKeys, PadClass, Space};
use sordino_wire::Secret32;

/// A sealed record of nobody's.
pub struct Decoy {
    address: Address,
    key: LayerKey,
    sealed: Vec<u8>,
}

impl Decoy {
    /// Seals `value` as a record of a space would be, padded to the class of group records.
    pub fn new(outer: &OuterKeys, space: Space, value: &[u8]) -> Result<Self, Fault> {
        let address = Address {
            space,
            store_key: [0; 16],
        };
        let key = LayerKey::new(Secret32::new(outer.index().handle(space, b"decoy")?));
        // It is never stored, so its salts may be the same each time.
        let class = PadClass::PowerOfTwo;
        let (put, _) = seal_record(outer, &address, &key, value, class, &mut NoRandomness)?;
        Ok(Self {
            address,
            key,
            sealed: put.value,
        })
    }

    /// Opens it: what a request for an absent record does instead.
    pub fn open(&self, outer: &OuterKeys) -> Option<Vec<u8>> {
        open_bytes(outer, &self.address, &self.key, &self.sealed).map(|opened| opened.value)
    }

    /// Opens the outer layer and fails at the inner one: what a wrong key does.
    pub fn open_in_vain(&self, outer: &OuterKeys, key: &LayerKey) {
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
    use crate::testing::{layer_key, outer};

    #[test]
    fn a_decoy_opens_with_its_own_key_alone() {
        let outer = outer();
        let decoy = Decoy::new(&outer, Space::Head, b"nobody").unwrap();
        assert_eq!(decoy.open(&outer), Some(b"nobody".to_vec()));
        decoy.open_in_vain(&outer, &layer_key(3));
    }
}
