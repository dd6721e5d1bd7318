//! Owns how a redb file comes into being and is recognised.
//!
//! Invariant: a file of another format version is refused before anything is written to it, and
//! a new one has all its tables and its version in one durable transaction.

use super::expiry::Swept;
use super::tables::{FORMAT_VERSION, META, META_FORMAT, META_SWEPT, Tables};
use crate::fault::{OpenError, StoreFault};
use redb::{Builder, Database, ReadTransaction, ReadableDatabase, TableError, WriteTransaction};
use std::fs::{File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// A file that is being created has this at the end of its name.
const NEW_SUFFIX: &str = ".new";

/// The whole file goes through it once.
pub(super) const VERIFY_CACHE_BYTES: usize = 1024 * 1024;

pub(super) fn builder(cache_bytes: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder
}

/// Opens the file, or creates it, readable and writable for its owner alone.
pub(super) fn open_file(path: &Path, cache_bytes: usize) -> Result<Database, OpenError> {
    let fault = |e: io::Error| OpenError::Fault(StoreFault::Io(e.kind()));
    let builder = builder(cache_bytes);
    let mut new = path.as_os_str().to_owned();
    new.push(NEW_SUFFIX);
    let new = Path::new(&new);
    if !path.try_exists().map_err(fault)? {
        create(path, new, &builder)?;
    }
    remove_if_there(new).map_err(fault)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(fault)?;
    builder.create_file(file).map_err(OpenError::of)
}

/// Opens; where the engine panics on what it finds, the file is damaged.
pub(super) fn guarded<T>(open: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    // Nothing that the closure touched is used after a panic.
    catch_unwind(AssertUnwindSafe(open)).unwrap_or(Err(OpenError::Fault(StoreFault::Damaged)))
}

/// Checks every page that is in use against its checksum. redb does so by itself only where the
/// file was not closed in order.
pub(super) fn verify(db: &mut Database) -> Result<(), OpenError> {
    match db.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) => {
            // The pages are whole: what did not fit was redb's own account of them.
            tracing::warn!("the store's list of free pages was made anew");
            Ok(())
        }
        Err(error) => Err(OpenError::of(error)),
    }
}

/// Makes a complete file beside the place, then names it: redb cannot open a file whose creation
/// a crash cut short.
fn create(path: &Path, new: &Path, builder: &Builder) -> Result<(), OpenError> {
    let fault = |e: io::Error| OpenError::Fault(StoreFault::Io(e.kind()));
    remove_if_there(new).map_err(fault)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(new).map_err(fault)?;
    let db = builder.create_file(file).map_err(OpenError::of)?;
    prepare(&db)?;
    drop(db);
    // Unlike a rename this never replaces a file that another process made meanwhile.
    std::fs::hard_link(new, path).map_err(fault)?;
    sync_directory(path).map_err(fault)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Otherwise a crash could take the file's name with it, and all acknowledged commits.
fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// A write transaction that is on the disk when its commit returns.
///
/// Two-phase, because the one-phase commit trusts a checksum that whoever chooses the stored
/// bytes can forge.
pub(super) fn begin_write(db: &Database) -> Result<WriteTransaction, StoreFault> {
    let mut txn = db.begin_write().map_err(StoreFault::of)?;
    txn.set_durability(redb::Durability::Immediate)
        .map_err(StoreFault::of)?;
    txn.set_two_phase_commit(true);
    Ok(txn)
}

/// Checks the version, creating the tables in a new file. Gives the time of the latest sweep.
pub(super) fn prepare(db: &Database) -> Result<Swept, OpenError> {
    let txn = db.begin_read().map_err(StoreFault::of)?;
    if let Some(swept) = read_meta(&txn)? {
        return Ok(swept);
    }
    if txn.list_tables().map_err(StoreFault::of)?.next().is_some() {
        return Err(OpenError::OtherVersion {
            found: None,
            expected: FORMAT_VERSION,
        });
    }
    txn.close().map_err(StoreFault::of)?;
    initialise(db)?;
    Ok(Swept::new(0, 0))
}

/// `None` if the file has no meta table.
fn read_meta(txn: &ReadTransaction) -> Result<Option<Swept>, OpenError> {
    let meta = match txn.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(e) => return Err(StoreFault::of(e).into()),
    };
    let format = meta.get(META_FORMAT).map_err(StoreFault::of)?;
    let found = format.and_then(|row| row.value().try_into().ok().map(u32::from_be_bytes));
    if found != Some(FORMAT_VERSION) {
        return Err(OpenError::OtherVersion {
            found,
            expected: FORMAT_VERSION,
        });
    }
    let swept = meta.get(META_SWEPT).map_err(StoreFault::of)?;
    let swept = swept.map(|row| Swept::decode(row.value())).transpose()?;
    Ok(Some(swept.unwrap_or(Swept::new(0, 0))))
}

fn initialise(db: &Database) -> Result<(), StoreFault> {
    let txn = begin_write(db)?;
    {
        let mut tables = Tables::open(&txn)?;
        let version = FORMAT_VERSION.to_be_bytes();
        tables
            .meta
            .insert(META_FORMAT, version.as_slice())
            .map_err(StoreFault::of)?;
    }
    txn.commit().map_err(StoreFault::of)
}
