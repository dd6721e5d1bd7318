//! Owns what the unit tests share.

use crate::{LogHandle, LogPage, RecordFault, Records, StoreKey};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sordino_crypto::{IndexKey, LayerKey, OperatorKey, OuterKeys, WindowKeys};
use sordino_wire::Secret32;

pub(crate) const TODAY: u32 = 20_700;

pub(crate) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

pub(crate) fn outer() -> OuterKeys {
    let operator = OperatorKey::new(Secret32::new([1; 32]));
    let index = IndexKey::new(Secret32::new([2; 32]));
    let mut windows = WindowKeys::new();
    windows.ensure(&operator, TODAY, 9, &mut rng()).unwrap();
    OuterKeys::new(operator, Vec::new(), index, windows)
}

pub(crate) fn layer_key(byte: u8) -> LayerKey {
    LayerKey::new(Secret32::new([byte; 32]))
}

/// A store with at most one row of each kind.
#[derive(Default)]
pub(crate) struct Stored {
    record: Option<(StoreKey, Vec<u8>)>,
    outcome: Option<(StoreKey, Vec<u8>)>,
    entries: Vec<(u64, Vec<u8>)>,
}

impl Stored {
    pub(crate) fn record(key: StoreKey, value: &[u8]) -> Self {
        Self {
            record: Some((key, value.to_vec())),
            ..Self::default()
        }
    }

    pub(crate) fn outcome(key: StoreKey, value: &[u8]) -> Self {
        Self {
            outcome: Some((key, value.to_vec())),
            ..Self::default()
        }
    }

    pub(crate) fn entries(entries: Vec<(u64, Vec<u8>)>) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }
}

fn find(row: &Option<(StoreKey, Vec<u8>)>, key: &StoreKey) -> Option<Vec<u8>> {
    let row = row.as_ref().filter(|(at, _)| at == key);
    row.map(|(_, value)| value.clone())
}

impl Records for Stored {
    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault> {
        Ok(find(&self.record, key))
    }

    fn replay(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, RecordFault> {
        Ok(find(&self.outcome, key))
    }

    fn read_log(
        &self,
        _: &LogHandle,
        from: u64,
        max_entries: usize,
        _: usize,
    ) -> Result<LogPage, RecordFault> {
        let next = self.entries.last().map_or(0, |(number, _)| number + 1);
        let kept: Vec<_> = self.entries.iter().filter(|(n, _)| *n >= from).collect();
        let oldest = kept.first().map_or(next, |(number, _)| *number);
        let shown = if oldest == from { kept } else { Vec::new() };
        Ok(LogPage {
            entries: shown.into_iter().take(max_entries).cloned().collect(),
            oldest,
            next,
        })
    }
}
