//! Owns the sets of spent nullifiers: one table each, so that a set goes at once, whatever its size.
//!
//! Invariant: nothing is spent in a set that is not open, so a set that was closed together with the
//! key that made it never takes a nullifier again that it had forgotten.

use super::tables::{Open, SETS, Tables};
use crate::fault::{CommitError, StoreFault};
use crate::types::{Changes, SetName, Spend};
use redb::{
    ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction,
};
use std::collections::{HashMap, HashSet};

type Nullifiers<'a> = TableDefinition<'a, &'static [u8; 16], ()>;

/// The sets that one transaction touches, opened when they are first touched.
pub(super) struct SpentSets<'t> {
    txn: &'t WriteTransaction,
    sets: Open<'t, 8>,
    open: HashMap<SetName, Table<'t, &'static [u8; 16], ()>>,
}

impl<'t> SpentSets<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self, StoreFault> {
        Ok(Self {
            txn,
            sets: txn.open_table(SETS).map_err(StoreFault::of)?,
            open: HashMap::new(),
        })
    }

    /// The table of a set; `None` if the set is not open.
    fn table(
        &mut self,
        set: SetName,
    ) -> Result<Option<&mut Table<'t, &'static [u8; 16], ()>>, StoreFault> {
        if self.sets.get(&set).map_err(StoreFault::of)?.is_none() {
            return Ok(None);
        }
        match self.open.entry(set) {
            std::collections::hash_map::Entry::Occupied(table) => Ok(Some(table.into_mut())),
            std::collections::hash_map::Entry::Vacant(place) => {
                let name = table_name(set);
                let table = self.txn.open_table(Nullifiers::new(&name));
                Ok(Some(place.insert(table.map_err(StoreFault::of)?)))
            }
        }
    }

    fn begin(&mut self, set: SetName) -> Result<(), StoreFault> {
        let none: &[u8] = &[];
        self.sets.insert(&set, none).map_err(StoreFault::of)?;
        // A set that is open has its table, so that readers need not tell two cases apart.
        self.table(set).map(|_| ())
    }

    fn end(&mut self, set: SetName) -> Result<(), StoreFault> {
        self.open.remove(&set);
        self.sets.remove(&set).map_err(StoreFault::of)?;
        let name = table_name(set);
        self.txn
            .delete_table(Nullifiers::new(&name))
            .map_err(StoreFault::of)?;
        Ok(())
    }
}

/// What would refuse the spends of a change. Sets that it opens are open to it.
pub(super) fn check(tables: &mut Tables<'_>, changes: &Changes) -> Result<(), CommitError> {
    let mut seen = HashSet::new();
    for Spend { set, nullifier } in &changes.spend {
        let first = seen.insert((*set, *nullifier));
        let known = match tables.spent.table(*set)? {
            Some(table) => table.get(nullifier).map_err(StoreFault::of)?.is_some(),
            None if changes.open_sets.contains(set) => false,
            None => return Err(CommitError::SetClosed),
        };
        if known || !first {
            return Err(CommitError::Spent);
        }
    }
    Ok(())
}

/// Opens sets, spends, closes sets, in this order.
pub(super) fn write(tables: &mut Tables<'_>, changes: &Changes) -> Result<(), StoreFault> {
    for set in &changes.open_sets {
        tables.spent.begin(*set)?;
    }
    for Spend { set, nullifier } in &changes.spend {
        if let Some(table) = tables.spent.table(*set)? {
            table.insert(nullifier, ()).map_err(StoreFault::of)?;
        }
    }
    for set in &changes.close_sets {
        tables.spent.end(*set)?;
    }
    Ok(())
}

/// Whether a nullifier is in a set.
pub(super) fn has(
    txn: &ReadTransaction,
    set: SetName,
    nullifier: [u8; 16],
) -> Result<bool, StoreFault> {
    let name = table_name(set);
    match txn.open_table(Nullifiers::new(&name)) {
        Ok(table) => Ok(table.get(&nullifier).map_err(StoreFault::of)?.is_some()),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(false),
        Err(other) => Err(StoreFault::of(other)),
    }
}

/// How many nullifiers are in a set; `None` if it is not open.
pub(super) fn count(txn: &ReadTransaction, set: SetName) -> Result<Option<u64>, StoreFault> {
    let name = table_name(set);
    match txn.open_table(Nullifiers::new(&name)) {
        Ok(table) => Ok(Some(table.len().map_err(StoreFault::of)?)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(other) => Err(StoreFault::of(other)),
    }
}

fn table_name(set: SetName) -> String {
    format!("spent-1-{:016x}", u64::from_be_bytes(set))
}
