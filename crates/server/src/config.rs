//! Owns the configuration file: its keys, their defaults, their ranges.
//!
//! Invariant: an unknown key, a value out of range and an unsafe combination are refused before
//! anything is opened. Secrets are never in the file, only the places of their files.

use crate::settings::{DomainChoice, KeyPlace, Limits, ServerConfig, TlsFiles};
use serde::Deserialize;
use sordino_accounts::Registration;
use sordino_wire::Domain;
use sordino_wire::limits::{MAX_BODY_BYTES, STREAM_ENTRY_DAYS};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// The environment variable that names the operator key's file.
pub const OPERATOR_KEY_VARIABLE: &str = "SORDINO_OPERATOR_KEY_FILE";
/// The environment variable by which systemd names the folder of a unit's credentials.
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// The name of the credential that is the operator key.
pub const OPERATOR_KEY_CREDENTIAL: &str = "operator_key";

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be. The text names key and line.
    #[error("the configuration is not valid: {0}")]
    Parse(#[from] toml::de::Error),
    /// The domain is not a domain name.
    #[error("domain: expected a name like hub.example.org in lower case, without https://")]
    Domain,
    /// A number is out of range.
    #[error("{key}: {value} is out of range; {from} to {to} are allowed")]
    Range {
        /// Which key.
        key: &'static str,
        /// What it has.
        value: u64,
        /// The least.
        from: u64,
        /// The most.
        to: u64,
    },
    /// TLS and a proxy in front that ends TLS exclude each other.
    #[error("behind_proxy = true and [tls] exclude each other: keep the one that ends TLS")]
    ProxyAndTls,
    /// Plain HTTP where others could listen.
    #[error(
        "plain HTTP on {listen} is refused: add [tls] with cert and key, or listen on a loopback \
         address, or set behind_proxy = true if a proxy in front of it ends TLS"
    )]
    PlainHttp {
        /// Where it would listen.
        listen: SocketAddr,
    },
}

/// What the environment says, taken as an argument so that nothing below reads it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// [`OPERATOR_KEY_VARIABLE`].
    pub operator_key_file: Option<PathBuf>,
    /// [`CREDENTIALS_VARIABLE`].
    pub credentials_directory: Option<PathBuf>,
}

impl Environment {
    /// This process's.
    pub fn of_process() -> Self {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        Self {
            operator_key_file: path(OPERATOR_KEY_VARIABLE),
            credentials_directory: path(CREDENTIALS_VARIABLE),
        }
    }
}

/// The configuration file, key by key. `deploy/sordino.example.toml` documents each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The provider's domain.
    pub domain: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The operator key's file, if not in the data folder.
    #[serde(default)]
    pub operator_key: Option<PathBuf>,
    /// Whether a proxy in front of this server ends TLS.
    #[serde(default)]
    pub behind_proxy: bool,
    /// Certificate and key, to speak TLS here.
    #[serde(default)]
    pub tls: Option<TlsSection>,
    /// Who may have an account.
    #[serde(default)]
    pub accounts: AccountsSection,
    /// How long things are kept.
    #[serde(default)]
    pub retention: RetentionSection,
    /// Bounds on work and memory.
    #[serde(default)]
    pub limits: LimitsSection,
    /// What is logged.
    #[serde(default)]
    pub log: LogSection,
}

/// `[tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The certificate chain, PEM, leaf first.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// `[accounts]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountsSection {
    /// Who may register.
    pub registration: RegistrationChoice,
    /// For `"proof_of_work"`: the zero bits that its hash begins with.
    pub difficulty_bits: u8,
}

impl Default for AccountsSection {
    fn default() -> Self {
        Self {
            registration: RegistrationChoice::Invitation,
            difficulty_bits: 24,
        }
    }
}

/// Who may register.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationChoice {
    /// Who has a code of `sordino invitations`.
    Invitation,
    /// Whoever does some work.
    ProofOfWork,
    /// Nobody.
    Closed,
}

/// `[retention]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSection {
    /// Days that a stream's entries are kept.
    pub stream_entry_days: u32,
    /// Days without a commit after which the hub proposes to remove a device from its groups.
    pub inactive_days: u32,
}

impl Default for RetentionSection {
    fn default() -> Self {
        Self {
            stream_entry_days: STREAM_ENTRY_DAYS,
            inactive_days: 90,
        }
    }
}

/// `[limits]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// The largest request.
    pub body_bytes: usize,
    /// How long a request may take to arrive.
    pub request_timeout_s: u64,
    /// How many connections are open at once.
    pub max_connections: usize,
    /// How long stopping may take.
    pub shutdown_timeout_s: u64,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let Limits {
            body_bytes,
            request_timeout_s,
            max_connections,
            shutdown_timeout_s,
        } = Limits::default();
        Self {
            body_bytes,
            request_timeout_s,
            max_connections,
            shutdown_timeout_s,
        }
    }
}

/// `[log]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// How much.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// How much is logged. No level shows more of users than another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures that need somebody.
    Error,
    /// And what may become one.
    Warn,
    /// And what the server does as a whole.
    #[default]
    Info,
    /// And counts of its work.
    Debug,
}

/// In which form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// Parses a configuration. The error names the key and its line.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Ok(toml::from_str(text)?)
    }

    /// Reads and parses a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Checks every value, and gives what the server needs.
    pub fn check(self, environment: &Environment) -> Result<ServerConfig, ConfigError> {
        let domain = Domain::new(self.domain.as_str()).map_err(|_| ConfigError::Domain)?;
        let mut config = ServerConfig::new(DomainChoice::Named(domain), self.listen, self.data_dir);
        config.operator_key = key_place(self.operator_key, environment);
        config.behind_proxy = self.behind_proxy;
        config.tls = self.tls.map(|tls| TlsFiles {
            cert: tls.cert,
            key: tls.key,
        });
        config.registration = match self.accounts.registration {
            RegistrationChoice::Invitation => Registration::Invitation,
            RegistrationChoice::Closed => Registration::Closed,
            RegistrationChoice::ProofOfWork => Registration::ProofOfWork {
                difficulty_bits: self.accounts.difficulty_bits,
            },
        };
        config.stream_entry_days = self.retention.stream_entry_days;
        config.inactive_days = self.retention.inactive_days;
        config.limits = Limits {
            body_bytes: self.limits.body_bytes,
            request_timeout_s: self.limits.request_timeout_s,
            max_connections: self.limits.max_connections,
            shutdown_timeout_s: self.limits.shutdown_timeout_s,
        };
        config.check()?;
        Ok(config)
    }
}

impl ServerConfig {
    /// Checks ranges, and that nothing private goes over a network in the clear.
    pub fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let body_bytes = u64::try_from(limits.body_bytes).unwrap_or(u64::MAX);
        let body_max = u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX);
        let connections = u64::try_from(limits.max_connections).unwrap_or(u64::MAX);
        let days = u64::from(self.stream_entry_days);
        within("limits.body_bytes", body_bytes, 65_536..=body_max)?;
        within(
            "limits.request_timeout_s",
            limits.request_timeout_s,
            1..=300,
        )?;
        within("limits.max_connections", connections, 1..=100_000)?;
        within(
            "limits.shutdown_timeout_s",
            limits.shutdown_timeout_s,
            1..=600,
        )?;
        within("retention.stream_entry_days", days, 1..=90)?;
        if let Registration::ProofOfWork { difficulty_bits } = self.registration {
            let bits = u64::from(difficulty_bits);
            within("accounts.difficulty_bits", bits, 1..=40)?;
        }
        let inactive = u64::from(self.inactive_days);
        within("retention.inactive_days", inactive, 30..=3_650)?;
        if self.tls.is_some() && self.behind_proxy {
            return Err(ConfigError::ProxyAndTls);
        }
        if self.tls.is_none() && !self.behind_proxy && !self.listen.ip().is_loopback() {
            return Err(ConfigError::PlainHttp {
                listen: self.listen,
            });
        }
        Ok(())
    }
}

fn within(key: &'static str, value: u64, range: RangeInclusive<u64>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (from, to) = range.into_inner();
    Err(ConfigError::Range {
        key,
        value,
        from,
        to,
    })
}

/// The environment first, then the file, then systemd's credential, then the data folder.
pub fn key_place(configured: Option<PathBuf>, environment: &Environment) -> KeyPlace {
    if let Some(file) = environment.operator_key_file.clone().or(configured) {
        return KeyPlace::File(file);
    }
    let credentials = environment.credentials_directory.as_ref();
    match credentials.map(|folder| folder.join(OPERATOR_KEY_CREDENTIAL)) {
        Some(file) if file.exists() => KeyPlace::Credential(file),
        _ => KeyPlace::DataFolder,
    }
}
