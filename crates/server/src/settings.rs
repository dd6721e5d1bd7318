//! Owns what a server is started with, in memory.
//!
//! Invariant: it names places of secrets and holds none.

use crate::clock::{Clock, SystemClock};
use sordino_accounts::Registration;
use sordino_wire::Domain;
use sordino_wire::limits::{MAX_BODY_BYTES, STREAM_ENTRY_DAYS};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a development server listens.
pub const DEV_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8420);
/// Where a development server keeps its data.
pub const DEV_DATA_DIR: &str = "sordino-data";

/// The work that a development server asks of who registers: what takes no time.
const DEV_DIFFICULTY_BITS: u8 = 8;

/// Under which domain the server serves. It cannot be changed later: streams, pseudonyms and
/// signatures name it.
#[derive(Clone, Debug)]
pub enum DomainChoice {
    /// This one.
    Named(Domain),
    /// Host and port of the address on which it listens, for development and tests.
    Listening,
}

/// Where the operator key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In the data folder; made on the first start.
    DataFolder,
    /// In this file, which must exist.
    File(PathBuf),
    /// In this file of systemd's, which must exist.
    Credential(PathBuf),
}

/// Certificate and key.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, PEM, leaf first.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Bounds on work and memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest request.
    pub body_bytes: usize,
    /// How long a request may take to arrive.
    pub request_timeout_s: u64,
    /// How many connections are open at once.
    pub max_connections: usize,
    /// How long stopping may take before what is unfinished is dropped.
    pub shutdown_timeout_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: MAX_BODY_BYTES,
            request_timeout_s: 30,
            max_connections: 4_096,
            shutdown_timeout_s: 20,
        }
    }
}

/// Everything a server is started with.
#[derive(Clone)]
pub struct ServerConfig {
    /// The provider's domain.
    pub domain: DomainChoice,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The data folder.
    pub data_dir: PathBuf,
    /// Where the operator key is.
    pub operator_key: KeyPlace,
    /// Certificate and key, to speak TLS here.
    pub tls: Option<TlsFiles>,
    /// Whether a proxy in front of this server ends TLS.
    pub behind_proxy: bool,
    /// Bounds on work and memory.
    pub limits: Limits,
    /// Days that a stream's entries are kept.
    pub stream_entry_days: u32,
    /// Days without a commit after which the hub proposes to remove a device from its groups.
    pub inactive_days: u32,
    /// Who may register an account.
    pub registration: Registration,
    /// Start although the window keys are gone, and with them everything not yet delivered.
    pub accept_lost_deliveries: bool,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
}

impl ServerConfig {
    /// A configuration with defaults for everything else.
    pub fn new(domain: DomainChoice, listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            domain,
            listen,
            data_dir: data_dir.into(),
            operator_key: KeyPlace::DataFolder,
            tls: None,
            behind_proxy: false,
            limits: Limits::default(),
            stream_entry_days: STREAM_ENTRY_DAYS,
            inactive_days: 90,
            registration: Registration::Invitation,
            accept_lost_deliveries: false,
            clock: Arc::new(SystemClock),
        }
    }

    /// A server for development: loopback, plain HTTP, the address as its domain.
    pub fn dev(listen: Option<SocketAddr>, data_dir: Option<PathBuf>) -> Self {
        Self::without_domain(
            listen.unwrap_or(DEV_LISTEN),
            data_dir.unwrap_or_else(|| DEV_DATA_DIR.into()),
        )
    }

    /// A server for tests in one process: a free port on loopback.
    pub fn local(data_dir: impl Into<PathBuf>) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::without_domain(listen, data_dir)
    }

    /// The address is the domain, and anybody may register.
    fn without_domain(listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            registration: Registration::ProofOfWork {
                difficulty_bits: DEV_DIFFICULTY_BITS,
            },
            ..Self::new(DomainChoice::Listening, listen, data_dir)
        }
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerConfig(..)")
    }
}
