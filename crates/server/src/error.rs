//! Owns why a server does not start, and why its upkeep fails.
//!
//! Invariant: texts name the operator's own files and settings, with what to do about them;
//! nothing of any user.

use crate::config::ConfigError;
use sordino_store::{CommitError, OpenError, StoreFault};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The address is none that a domain can be made of.
    #[error("listening on an IPv4 address is needed where no domain is configured")]
    NoDomain,
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses the data folder.
    #[error("the data folder {path} is in use by another process")]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// Others can read a secret.
    #[error(
        "{path} is open to other users of this machine (mode {mode:04o}); \
         run: chmod {wanted:o} {path}"
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it should be.
        wanted: u32,
    },
    /// A file does not hold a key.
    #[error("{path} holds no key: expected 64 hexadecimal digits or 32 bytes")]
    NotAKey {
        /// Which.
        path: PathBuf,
    },
    /// There is a database and no operator key.
    #[error(
        "the operator key {key} is missing, but the database {database} exists and opens with no \
         other: put the key back (a new one is made for a new data folder only)"
    )]
    OperatorKeyMissing {
        /// Where it was looked for.
        key: PathBuf,
        /// What needs it.
        database: PathBuf,
    },
    /// The operator key opens nothing here.
    #[error("the operator key {key} is not the one of this data folder")]
    WrongOperatorKey {
        /// Where it was found.
        key: PathBuf,
    },
    /// There is a database and no window keys.
    #[error(
        "the window keys {path} are missing (they are never part of a backup): everything not yet \
         delivered is lost; to go on without it, start once with --accept-lost-deliveries"
    )]
    WindowKeysMissing {
        /// Where they were looked for.
        path: PathBuf,
    },
    /// A slot of the window keys that must hold one does not open.
    #[error(
        "the window keys {path} are damaged, or were made while the clock was ahead: what was sealed \
         under the missing ones and is not yet delivered is lost; to go on without it, start once \
         with --accept-lost-deliveries"
    )]
    WindowKeysDamaged {
        /// Where they are.
        path: PathBuf,
    },
    /// The data folder was made for another domain.
    #[error(
        "the data folder belongs to the domain {stored}, the configuration says {configured}; the \
         domain of a data folder cannot be changed"
    )]
    OtherDomain {
        /// Whose data it is.
        stored: String,
        /// What is configured.
        configured: String,
    },
    /// Certificate or key cannot be used.
    #[error("tls: {0}")]
    Tls(String),
    /// The database cannot be opened.
    #[error("the database {path} cannot be opened: {source}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// The database cannot be read.
    #[error("the database cannot be read: {0}")]
    Store(#[from] StoreFault),
    /// The database cannot be written.
    #[error("the database cannot be written: {0}")]
    Commit(#[from] CommitError),
    /// A record of the server's own is damaged.
    #[error("the database's own records are damaged")]
    Damaged,
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
    /// Cryptography failed on our own data.
    #[error("cryptography failed on own data")]
    Crypto(#[from] sordino_crypto::CryptoError),
    /// A service does not come up on its keys.
    #[error("a service cannot start on these keys")]
    Service,
}

impl StartError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// Why a round of upkeep failed. The next one tries again.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The window keys could not be written.
    #[error("the window keys could not be written: {0}")]
    WindowKeys(io::ErrorKind),
    /// Making window keys failed.
    #[error("window keys could not be made")]
    Crypto(#[from] sordino_crypto::CryptoError),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}
