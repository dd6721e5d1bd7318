//! Owns the data folder: its lock, its layout, and how secret files are read and written.
//!
//! Invariant: one process at a time; what is secret is readable by its owner alone, or the server
//! does not start. Never sees what the files hold.

use crate::error::StartError;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const LOCK: &str = "lock";
const DATABASE: &str = "hub.redb";
const KEYS: &str = "keys";
const OPERATOR_KEY: &str = "operator.key";
const WINDOW_KEYS: &str = "windows.key";
const SECRET_FILE_MODE: u32 = 0o600;
const SECRET_FOLDER_MODE: u32 = 0o700;
/// No secret file is larger: a bound before reading.
const SECRET_FILE_BYTES: u64 = 1 << 20;

/// An open data folder, locked against other processes while this lives.
pub(crate) struct DataFolder {
    path: PathBuf,
    lock: File,
}

impl Drop for DataFolder {
    /// Closing the file alone would not do: a process that is being started just now has it open
    /// until its program runs.
    fn drop(&mut self) {
        // Where it fails, closing is what is left.
        let _ = self.lock.unlock();
    }
}

impl DataFolder {
    /// Opens the folder, making what is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, StartError> {
        make_folder(path)?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(SECRET_FILE_MODE)
            .open(&lock_path)
            .map_err(StartError::file(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StartError::Locked { path: path.into() });
            }
            Err(TryLockError::Error(source)) => return Err(StartError::file(lock_path)(source)),
        }
        let keys = path.join(KEYS);
        make_folder(&keys)?;
        refuse_exposed(
            &keys,
            &keys.metadata().map_err(StartError::file(&keys))?,
            0o077,
        )?;
        Ok(Self {
            path: path.into(),
            lock,
        })
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Whether there is a database. An empty file is what a first start leaves that was cut short.
    pub(crate) fn has_database(&self) -> Result<bool, StartError> {
        match self.database().metadata() {
            Ok(metadata) => Ok(metadata.len() > 0),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(StartError::file(self.database())(source)),
        }
    }

    /// Where the operator key is unless configured otherwise.
    pub(crate) fn operator_key(&self) -> PathBuf {
        operator_key_in(&self.path)
    }

    /// Where the window keys are.
    pub(crate) fn window_keys(&self) -> PathBuf {
        self.path.join(KEYS).join(WINDOW_KEYS)
    }
}

/// Where the operator key of a data folder is.
pub(crate) fn operator_key_in(data_dir: &Path) -> PathBuf {
    data_dir.join(KEYS).join(OPERATOR_KEY)
}

/// Who else may read a secret file.
#[derive(Clone, Copy)]
pub(crate) enum Readers {
    /// Nobody.
    Owner,
    /// The file is systemd's, which admits a unit's user by an access list; the list's mask shows
    /// as the group's bits.
    OwnerAndList,
}

/// Reads a secret file. `None` if there is none.
pub(crate) fn read_secret(
    path: &Path,
    readers: Readers,
) -> Result<Option<Zeroizing<Vec<u8>>>, StartError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StartError::file(path)(source)),
    };
    // Of the open file, so that nobody can exchange it in between.
    let metadata = file.metadata().map_err(StartError::file(path))?;
    let refused = match readers {
        Readers::Owner => 0o077,
        Readers::OwnerAndList => 0o007,
    };
    refuse_exposed(path, &metadata, refused)?;
    // Whole capacity at once: a growing vector would leave copies behind.
    let capacity = usize::try_from(metadata.len().min(SECRET_FILE_BYTES)).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity.saturating_add(1)));
    file.take(SECRET_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(StartError::file(path))?;
    Ok(Some(bytes))
}

/// Makes a secret file that must not exist yet; durable when it returns.
pub(crate) fn create_secret(path: &Path, bytes: &[u8]) -> Result<(), StartError> {
    let written = || -> io::Result<()> {
        // The folder's lock makes this check hold until the end.
        if path.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // Beside its place first: a start that is cut short leaves the whole file or none.
        let partial = path.with_extension("new");
        match std::fs::remove_file(&partial) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(SECRET_FILE_MODE)
            .open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        sync_parent(path)
    };
    written().map_err(StartError::file(path))
}

/// Overwrites a secret file in its place, so that what it held is gone from the disk as far as
/// the file system lets one say so; durable when it returns.
pub(crate) fn overwrite_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()
}

fn make_folder(path: &Path) -> Result<(), StartError> {
    DirBuilder::new()
        .recursive(true)
        .mode(SECRET_FOLDER_MODE)
        .create(path)
        .map_err(StartError::file(path))
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn refuse_exposed(
    path: &Path,
    metadata: &std::fs::Metadata,
    refused: u32,
) -> Result<(), StartError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & refused == 0 {
        return Ok(());
    }
    let wanted = if metadata.is_dir() {
        SECRET_FOLDER_MODE
    } else {
        SECRET_FILE_MODE
    };
    Err(StartError::Exposed {
        path: path.into(),
        mode,
        wanted,
    })
}

/// Whether the private key of the certificate is for its owner alone.
pub(crate) fn refuse_exposed_file(path: &Path) -> Result<(), StartError> {
    let metadata = path.metadata().map_err(StartError::file(path))?;
    refuse_exposed(path, &metadata, 0o077)
}
