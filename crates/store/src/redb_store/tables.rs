//! Owns the tables of a redb file and the layout of their rows.
//!
//! Invariant: a row that can expire begins with the number of its last day (or hour), 4 bytes;
//! the expiry table has exactly one row for it, unless it never expires.

use super::spent::SpentSets;
use crate::fault::StoreFault;
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

/// The version of this layout. A file of another one is refused.
pub const FORMAT_VERSION: u32 = 1;

/// A row with this time never expires.
pub(super) const NEVER: u32 = u32::MAX;

pub(super) type Rows<const N: usize> = TableDefinition<'static, &'static [u8; N], &'static [u8]>;
pub(super) type Open<'t, const N: usize> = Table<'t, &'static [u8; N], &'static [u8]>;
pub(super) type Expiry<'t> = Table<'t, &'static [u8], ()>;

/// key -> last day 4, value
pub(super) const RECORDS: Rows<16> = Rows::new("records-1");
/// hash of handle -> last day 4, salt 16, masked next number 8
pub(super) const HEADS: Rows<16> = Rows::new("log-heads-1");
/// hash of handle and number -> last day 4, value
pub(super) const ENTRIES: Rows<16> = Rows::new("log-entries-1");
/// key -> last hour 4, value
pub(super) const REPLAY: Rows<16> = Rows::new("replay-1");
/// set -> nothing; a set that stands here is open, and has a table of its own (see `spent`)
pub(super) const SETS: Rows<8> = Rows::new("spent-sets-1");
/// destination 16, number 8 -> value
pub(super) const OUTBOX: Rows<24> = Rows::new("outbox-1");
/// kind 1, last day or hour 4, row key -> nothing
pub(super) const EXPIRY: TableDefinition<'static, &'static [u8], ()> =
    TableDefinition::new("expiry-1");
/// name -> value
pub(super) const META: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new("meta-1");

/// In `meta-1`: the format version, 4 bytes.
pub(super) const META_FORMAT: &str = "format";
/// In `meta-1`: the day and the hour of the latest sweep, 4 + 4 bytes.
pub(super) const META_SWEPT: &str = "swept";

/// Which table a row of the expiry table speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Record,
    Entry,
    Head,
    Replay,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Record, Self::Entry, Self::Head, Self::Replay];

    /// The byte in the file.
    fn tag(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Entry => 2,
            Self::Head => 3,
            Self::Replay => 5,
        }
    }
}

/// How many bytes of a row of the expiry table precede the row key.
pub(super) const INDEX_PREFIX_BYTES: usize = 1 + 4;

/// A row key of the expiry table.
pub(super) fn index_key(kind: Kind, time: u32, key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(INDEX_PREFIX_BYTES + key.len());
    row.push(kind.tag());
    row.extend_from_slice(&time.to_be_bytes());
    row.extend_from_slice(key);
    row
}

/// Splits an expiring row into its time and the rest.
pub(super) fn split_row(row: &[u8]) -> Result<(u32, &[u8]), StoreFault> {
    let (time, rest) = row.split_first_chunk().ok_or(StoreFault::BadRow)?;
    Ok((u32::from_be_bytes(*time), rest))
}

/// The value of an expiring row, if it is there and its time has not passed at the latest sweep.
pub(super) fn live_row<const N: usize, T>(
    table: &impl ReadableTable<&'static [u8; N], &'static [u8]>,
    key: &[u8; N],
    swept: u32,
    read: impl FnOnce(u32, &[u8]) -> Result<T, StoreFault>,
) -> Result<Option<T>, StoreFault> {
    let Some(row) = table.get(key).map_err(StoreFault::of)? else {
        return Ok(None);
    };
    let (time, value) = split_row(row.value())?;
    if time < swept {
        Ok(None)
    } else {
        read(time, value).map(Some)
    }
}

/// Every table of one write transaction, opened once.
pub(super) struct Tables<'t> {
    pub(super) records: Open<'t, 16>,
    pub(super) heads: Open<'t, 16>,
    pub(super) entries: Open<'t, 16>,
    pub(super) replay: Open<'t, 16>,
    pub(super) spent: SpentSets<'t>,
    pub(super) outbox: Open<'t, 24>,
    pub(super) expiry: Expiry<'t>,
    pub(super) meta: Table<'t, &'static str, &'static [u8]>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self, StoreFault> {
        let of = |e: redb::TableError| StoreFault::of(e);
        Ok(Self {
            records: txn.open_table(RECORDS).map_err(of)?,
            heads: txn.open_table(HEADS).map_err(of)?,
            entries: txn.open_table(ENTRIES).map_err(of)?,
            replay: txn.open_table(REPLAY).map_err(of)?,
            spent: SpentSets::open(txn)?,
            outbox: txn.open_table(OUTBOX).map_err(of)?,
            expiry: txn.open_table(EXPIRY).map_err(of)?,
            meta: txn.open_table(META).map_err(of)?,
        })
    }
}

/// Writes an expiring row and keeps the expiry table in step with it.
pub(super) fn put_row<const N: usize>(
    table: &mut Open<'_, N>,
    expiry: &mut Expiry<'_>,
    kind: Kind,
    key: &[u8; N],
    time: u32,
    value: &[&[u8]],
) -> Result<(), StoreFault> {
    let mut row = time.to_be_bytes().to_vec();
    row.reserve_exact(value.iter().map(|part| part.len()).sum());
    for part in value {
        row.extend_from_slice(part);
    }
    let before = {
        let old = table.insert(key, row.as_slice()).map_err(StoreFault::of)?;
        // A malformed row has no time to look for; a stale index row is harmless to the sweep.
        old.and_then(|old| split_row(old.value()).ok().map(|(time, _)| time))
    };
    if before == Some(time) {
        // A record that is rewritten all day long costs no index row.
        return Ok(());
    }
    if let Some(before) = before {
        remove_index(expiry, kind, before, key)?;
    }
    if time != NEVER {
        let row = index_key(kind, time, key);
        expiry.insert(row.as_slice(), ()).map_err(StoreFault::of)?;
    }
    Ok(())
}

/// Removes an expiring row, if it is there, with its row in the expiry table.
pub(super) fn delete_row<const N: usize>(
    table: &mut Open<'_, N>,
    expiry: &mut Expiry<'_>,
    kind: Kind,
    key: &[u8; N],
) -> Result<(), StoreFault> {
    let before = {
        let old = table.remove(key).map_err(StoreFault::of)?;
        old.and_then(|old| split_row(old.value()).ok().map(|(time, _)| time))
    };
    before.map_or(Ok(()), |time| remove_index(expiry, kind, time, key))
}

/// Removes an expiring row if its time is still the one that its index row says.
pub(super) fn drop_row<const N: usize>(
    table: &mut Open<'_, N>,
    time: u32,
    key: &[u8],
) -> Result<(), StoreFault> {
    let Ok(key) = <&[u8; N]>::try_from(key) else {
        return Ok(());
    };
    let same = {
        let row = table.get(key).map_err(StoreFault::of)?;
        row.is_some_and(|row| split_row(row.value()).is_ok_and(|(t, _)| t == time))
    };
    if same {
        table.remove(key).map_err(StoreFault::of)?;
    }
    Ok(())
}

fn remove_index(
    expiry: &mut Expiry<'_>,
    kind: Kind,
    time: u32,
    key: &[u8],
) -> Result<(), StoreFault> {
    if time != NEVER {
        let row = index_key(kind, time, key);
        expiry.remove(row.as_slice()).map_err(StoreFault::of)?;
    }
    Ok(())
}
