//! Owns where log lines go.
//!
//! Invariant: only lines of Sordino's own crates are written. Libraries underneath describe frames,
//! headers and epochs, which are metadata of users; no level and no setting lets them through.

use sordino_server::{LogFormat, LogLevel, LogSection};
use std::panic::PanicHookInfo;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The crates whose lines are written: they log constant texts and counts.
const OWN_TARGETS: [&str; 5] = [
    "sordino",
    "sordino_accounts",
    "sordino_hub",
    "sordino_server",
    "sordino_store",
];

/// Writes log lines to standard error from now on, and panics without what they hold.
pub(crate) fn start(section: LogSection) {
    let level = match section.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let own = Targets::new().with_targets(OWN_TARGETS.map(|target| (target, level)));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(own);
    // An error means that a subscriber is set already, which then goes on.
    let _ = match section.format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    };
    std::panic::set_hook(Box::new(panicked));
}

/// Where, and not what: a panic's message may quote a value.
fn panicked(info: &PanicHookInfo<'_>) {
    let (file, line) = info.location().map_or(("?", 0), |l| (l.file(), l.line()));
    tracing::error!(file, line, "panicked");
}
