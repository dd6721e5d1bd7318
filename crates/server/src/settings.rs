//! Owns what a server is started with, in memory.
//!
//! Invariant: it names places of secrets and holds none.

use crate::clock::{Clock, SystemClock};
use axum::http::HeaderName;
use sordino_accounts::Registration;
use sordino_limiter::{Budgets, PrefixLengths};
use sordino_tokens::{Epoch, Operation, Price, PriceList};
use sordino_wire::limits::{MAX_BODY_BYTES, MAX_TOKEN_BATCH_RISTRETTO255, STREAM_ENTRY_DAYS};
use sordino_wire::{Domain, TokenClass};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a development server listens.
pub const DEV_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8420);
/// For how long [`TokenSettings::write_per_week`] is.
const WEEK_S: u64 = 7 * 86_400;
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

/// Where a client's address is, for limits per network. It is cut and named at once, and neither
/// stored nor logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// The other end of the connection.
    Peer,
    /// Nowhere: a proxy stands in front, and says nothing that is trusted.
    Unknown,
    /// In this header, in which the proxy in front writes what it sees last.
    Header(HeaderName),
}

/// Tokens: what things cost, and how tokens are issued.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// What things cost.
    pub prices: PriceList,
    /// Tokens of the class `write` that an account gets for each week of an epoch, all at once; for
    /// a shorter epoch as many as for a week.
    pub write_per_week: usize,
    /// The same of the class `contact`.
    pub contact_per_week: usize,
    /// How long epochs are. `None`: the fewer accounts draw, the longer (30, 7, 1 days).
    pub epoch_s: Option<u64>,
    /// What clients without an account get. `None`: nothing, and no keys of their types.
    pub public: Option<PublicQuota>,
}

/// Tokens for clients without an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicQuota {
    /// For all of them together.
    pub tokens_per_hour: u32,
    /// For one network, where networks are known.
    pub tokens_per_network_per_hour: u32,
}

impl TokenSettings {
    /// The batch of a class and epoch: what all accounts draw alike.
    pub(crate) fn batch(&self, class: TokenClass, epoch: &Epoch) -> usize {
        let per_week = match class {
            TokenClass::Write => self.write_per_week,
            TokenClass::Contact => self.contact_per_week,
        };
        let length_s = epoch.end_s().saturating_sub(epoch.start_s());
        let weeks = usize::try_from(length_s.div_ceil(WEEK_S).max(1)).unwrap_or(usize::MAX);
        let whole = per_week.saturating_mul(weeks);
        whole.min(MAX_TOKEN_BATCH_RISTRETTO255)
    }
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            prices: PriceList::default(),
            write_per_week: 100,
            contact_per_week: 50,
            epoch_s: None,
            public: None,
        }
    }
}

/// A price list by which everything is free. The machinery is the same: keys, terms, drawing.
pub fn free_prices() -> PriceList {
    Operation::ALL
        .iter()
        .fold(PriceList::default(), |list, operation| {
            // Nothing is refused of a price of nothing.
            list.clone().with(*operation, Price::Free).unwrap_or(list)
        })
}

/// A price list for development: everything that has a price costs one token.
pub fn small_prices() -> PriceList {
    Operation::ALL
        .iter()
        .fold(PriceList::default(), |list, operation| {
            let price = match list.price(*operation) {
                Price::Free => Price::Free,
                Price::Tokens { class, per, .. } => Price::Tokens {
                    class,
                    tokens: 1,
                    per,
                },
            };
            list.clone().with(*operation, price).unwrap_or(list)
        })
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
    /// Prices, batches, epochs.
    pub tokens: TokenSettings,
    /// Where numbers for the operator are served, if anywhere: on loopback.
    pub metrics: Option<SocketAddr>,
    /// How much is too much, of whom.
    pub budgets: Budgets,
    /// Where clients' addresses are.
    pub client_address: ClientAddress,
    /// How much of an address stands for its network.
    pub prefix_lengths: PrefixLengths,
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
            tokens: TokenSettings::default(),
            metrics: None,
            budgets: Budgets::default(),
            client_address: ClientAddress::Peer,
            prefix_lengths: PrefixLengths::default(),
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

    /// A server for tests in one process: a free port on loopback, and nothing costs anything.
    pub fn local(data_dir: impl Into<PathBuf>) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = Self::without_domain(listen, data_dir);
        config.tokens.prices = free_prices();
        config
    }

    /// The address is the domain, anybody may register, and what has a price costs one token.
    fn without_domain(listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            registration: Registration::ProofOfWork {
                difficulty_bits: DEV_DIFFICULTY_BITS,
            },
            tokens: TokenSettings {
                prices: small_prices(),
                ..TokenSettings::default()
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
