//! The conformance suite on a real file, and what concerns files alone.

use crate::conformance::{Place, append, block_on, has, log, ok, put, value};
use crate::redb_store::FORMAT_VERSION;
use crate::{OpenError, RedbOptions, RedbStore, Snapshot, Store, StoreFault};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

struct File(TempDir);

fn file() -> File {
    File(tempfile::tempdir().unwrap())
}

impl File {
    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("store")
    }
}

impl Place for File {
    type Store = RedbStore;
    fn open(&self) -> RedbStore {
        RedbStore::open(&self.path(), RedbOptions::default()).unwrap()
    }
}

crate::conformance_tests!(file);

#[cfg(unix)]
#[test]
fn a_new_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = file();
    let _store = place.open();
    let mode = std::fs::metadata(place.path())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_creation_that_was_cut_short_is_begun_anew() {
    let place = file();
    let new = place.0.path().join("store.new");
    std::fs::write(&new, b"half a file").unwrap();
    drop(place.open());
    assert!(place.path().exists() && !new.exists());
}

#[test]
fn a_file_is_opened_once() {
    let place = file();
    let _store = place.open();
    let again = RedbStore::open(&place.path(), RedbOptions::default());
    assert_eq!(again.unwrap_err(), OpenError::AlreadyOpen);
}

#[test]
fn a_missing_directory_is_an_error() {
    let place = file();
    let result = RedbStore::open(&place.0.path().join("no/store"), RedbOptions::default());
    let not_found = StoreFault::Io(std::io::ErrorKind::NotFound);
    assert_eq!(result.unwrap_err(), OpenError::Fault(not_found));
}

/// Writes to the file behind the store's back.
fn tamper(place: &File, table: &'static str, row: &'static str, value: &[u8]) {
    let db = Database::create(place.path()).unwrap();
    let txn = db.begin_write().unwrap();
    let table: TableDefinition<'_, &str, &[u8]> = TableDefinition::new(table);
    txn.open_table(table).unwrap().insert(row, value).unwrap();
    txn.commit().unwrap();
}

#[test]
fn another_format_version_is_refused() {
    block_on(async {
        let place = file();
        place.open().shutdown().await;
        tamper(&place, "meta-1", "format", &2_u32.to_be_bytes());
        let refused = RedbStore::open(&place.path(), RedbOptions::default()).unwrap_err();
        assert_eq!(
            refused,
            OpenError::OtherVersion {
                found: Some(2),
                expected: FORMAT_VERSION
            }
        );
    });
    let place = file();
    tamper(&place, "something-else", "a", b"b");
    let refused = RedbStore::open(&place.path(), RedbOptions::default()).unwrap_err();
    assert_eq!(
        refused,
        OpenError::OtherVersion {
            found: None,
            expected: FORMAT_VERSION
        }
    );
}

#[test]
fn the_registry_forgets() {
    let place = file();
    let store = place.open();
    let a = store.watch(&[log(1), log(2)]);
    let b = store.watch(&[log(2), log(2)]);
    assert_eq!(store.watched_logs(), 2);
    drop(a);
    assert_eq!(store.watched_logs(), 1);
    drop(b);
    assert_eq!(store.watched_logs(), 0);
}

#[test]
fn clones_share_and_a_dropped_store_finishes_its_queue() {
    block_on(async {
        let place = file();
        let store = place.open();
        let other = store.clone();
        ok(&store, put(1, 1, None)).await;
        assert_eq!(has(&other, 1), Some(value(1)));
        store.shutdown().await;
        other.shutdown().await;
    });
}

#[test]
fn nothing_stored_shows_in_debug_output() {
    block_on(async {
        let place = file();
        let store = place.open();
        let changes = append(1, 1, 5);
        assert_eq!(
            format!("{changes:?} {:?}", changes.append),
            "Changes(..) [Append(..)]"
        );
        ok(&store, changes).await;
        let snapshot = store.snapshot().unwrap();
        let page = snapshot.read_log(&log(1), log(1).start(), 9, 999).unwrap();
        assert_eq!(format!("{:?}", page.entries), "[LogEntry(..)]");
        assert_eq!(
            format!("{store:?} {snapshot:?} {:?}", log(1)),
            "RedbStore(..) RedbSnapshot(..) LogHandle(..)"
        );
    });
}
