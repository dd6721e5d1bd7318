//! The server: HTTP, TLS, configuration, key files, the live side of streams, expiry, stopping.
//!
//! ```text
//! connection -> guard -> router -> body -> engine -> answer
//!                                            |
//!                        snapshot -> hub or accounts -> commit    (again on a conflict; later, when waiting)
//! ```
//! Owns everything that does I/O around the services, which are pure functions.
//! Invariant: an answer that depends on a change leaves only when the change is durable; log lines
//! are constant texts with counts at most.
//! Never sees: what requests mean, who sends them, from where.
//!
//! ```no_run
//! use sordino_server::{Server, ServerConfig};
//!
//! # async fn example() -> Result<(), sordino_server::StartError> {
//! let running = Server::start(ServerConfig::local("/tmp/sordino-test")).await?;
//! println!("{} at {}", running.domain().as_str(), running.local_addr());
//! running.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod app;
mod clock;
mod config;
mod config_tokens;
mod doubt;
mod engine;
mod error;
mod folder;
mod http;
mod invitations;
mod keys;
mod maintenance;
mod mint;
mod occasion;
mod random;
mod records;
mod server;
mod service;
mod settings;
mod signals;
mod stop;
mod tls;
mod wipe;

pub use clock::{Clock, SystemClock, TestClock};
pub use config::{
    AccountsSection, BudgetSection, CREDENTIALS_VARIABLE, Config, ConfigError, Environment,
    LimitsSection, LogFormat, LogLevel, LogSection, OPERATOR_KEY_CREDENTIAL, OPERATOR_KEY_VARIABLE,
    RegistrationChoice, RetentionSection, TlsSection, key_place,
};
pub use config_tokens::{MetricsSection, PriceListChoice, PriceSection, TokensSection};
pub use error::{MaintenanceError, StartError};
pub use invitations::{InvitationError, MAX_INVITATION_DAYS, MAX_INVITATIONS, invitations};
#[doc(hidden)]
pub use keys::holds_operator_key;
pub use maintenance::MaintenanceReport;
#[cfg(feature = "simulation")]
pub use random::simulated::Seeds;
#[cfg(feature = "simulation")]
pub use server::in_process::{HttpAnswer, InProcess};
pub use server::{Ended, Running, Server};
pub use settings::{
    ClientAddress, DEV_DATA_DIR, DEV_LISTEN, DomainChoice, KeyPlace, Limits, PublicQuota,
    ServerConfig, TlsFiles, TokenSettings, free_prices, small_prices,
};
pub use signals::Signals;
pub use sordino_accounts::Registration;
pub use sordino_limiter::{Budget, Budgets, PrefixLengths, Rate};
pub use wipe::runtime;
