//! Owns what is in the database file, row by row, and the taking off of the operator's layer.

use redb::{Database as Redb, ReadableDatabase, ReadableTable, TableDefinition};
use sordino_crypto::{Address, IndexKey, OperatorKey, OuterKeys, Space, WindowKeys};
use sordino_wire::Secret32;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the wrapped index key is.
const INDEX_KEY: [u8; 16] = *b"index key wrap\0\0";

/// Row keys and values, without the day before each value.
pub type Rows = BTreeMap<[u8; 16], Vec<u8>>;

/// A copy of the file at one moment.
#[derive(Default)]
pub struct Database {
    /// The file itself.
    pub bytes: Vec<u8>,
    pub records: Rows,
    pub entries: Rows,
    pub heads: Rows,
    pub replay: Rows,
}

fn rows(db: &Redb, name: &str) -> Rows {
    let definition: TableDefinition<&[u8; 16], &[u8]> = TableDefinition::new(name);
    let table = db.begin_read().unwrap().open_table(definition).unwrap();
    let rows = table.iter().unwrap().map(|row| {
        let (key, value) = row.unwrap();
        (*key.value(), value.value()[4..].to_vec())
    });
    rows.collect()
}

impl Database {
    /// Copies the file of a hub to which nobody speaks at the moment.
    pub fn copy_of(data_dir: &Path) -> Self {
        let bytes = std::fs::read(data_dir.join("hub.redb")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy");
        std::fs::write(&path, &bytes).unwrap();
        let db = Redb::open(&path).unwrap();
        Self {
            records: rows(&db, "records-1"),
            entries: rows(&db, "log-entries-1"),
            heads: rows(&db, "log-heads-1"),
            replay: rows(&db, "replay-1"),
            bytes,
        }
    }

    /// Rows that are not, or not so, in `before`.
    pub fn since<'d>(
        now: &'d Rows,
        before: &'d Rows,
    ) -> impl Iterator<Item = (&'d [u8; 16], &'d [u8])> {
        now.iter()
            .filter(|(key, value)| before.get(*key) != Some(*value))
            .map(|(key, value)| (key, value.as_slice()))
    }
}

/// All keys of the operator's: its own, the windows', the index key.
pub fn operator_keys(data_dir: &Path, database: &Database) -> OuterKeys {
    let text = std::fs::read_to_string(data_dir.join("keys/operator.key")).unwrap();
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim(), &mut key).unwrap();
    let operator = OperatorKey::new(Secret32::new(key));
    let image = std::fs::read(data_dir.join("keys/windows.key")).unwrap();
    let windows = WindowKeys::load(&operator, &image).unwrap();
    let index = IndexKey::unwrap(&operator, &database.records[&INDEX_KEY]).unwrap();
    OuterKeys::new(operator, Vec::new(), index, windows)
}

/// Takes the operator's layer off a record: under the address at which it opens.
pub fn strip_record(outer: &OuterKeys, key: [u8; 16], value: &[u8]) -> Option<(Address, Vec<u8>)> {
    Space::ALL.iter().find_map(|space| {
        let address = Address {
            space: *space,
            store_key: key,
        };
        let inner = outer.open(&address, value);
        let inner = inner.or_else(|_| outer.open_window(&address, value));
        inner.ok().map(|inner| (address, inner))
    })
}

/// Takes the operator's layer off an entry of one of these logs. Without the log's handle nobody
/// can: an entry does not say which one it is of.
pub fn strip_entry(
    outer: &OuterKeys,
    logs: &[(Space, [u8; 32])],
    value: &[u8],
) -> Option<(Address, Vec<u8>)> {
    logs.iter().find_map(|(space, handle)| {
        let mut store_key = [0; 16];
        store_key.copy_from_slice(&handle[..16]);
        let address = Address {
            space: *space,
            store_key,
        };
        let inner = outer.open_window(&address, value).ok()?;
        Some((address, inner))
    })
}
