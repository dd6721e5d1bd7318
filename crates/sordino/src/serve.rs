//! Owns `sordino serve`.
//!
//! Invariant: a server for development runs through the same code as any other; only where its
//! settings come from differs.

use crate::{fail, logging};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sordino_server::{
    Budgets, Config, ConfigError, Ended, Environment, LogLevel, LogSection, PriceListChoice,
    Running, Server, ServerConfig, Signals, StartError, key_place,
};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Open files beside connections: the database, the lock, what the runtime needs.
const OWN_FILES: usize = 64;
/// Exit code after a second signal, as a shell would report the first one's.
const INTERRUPTED: u8 = 130;

/// What `sordino serve` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file; deploy/sordino.example.toml documents it
    #[arg(long, value_name = "FILE", required_unless_present = "dev")]
    config: Option<PathBuf>,

    /// Serve for development: no configuration, plain HTTP on loopback
    #[arg(long, conflicts_with = "config")]
    dev: bool,

    /// With --dev: where to keep data [default: ./sordino-data]
    #[arg(long, value_name = "FOLDER", requires = "dev")]
    data_dir: Option<PathBuf>,

    /// With --dev: where to listen [default: 127.0.0.1:8420]
    #[arg(long, value_name = "ADDRESS", requires = "dev")]
    listen: Option<SocketAddr>,

    /// With --dev: what things cost in tokens
    #[arg(long, requires = "dev", default_value = "small", value_parser = price_list_parser())]
    prices: PriceListChoice,

    /// With --dev: nothing is too much, for measuring with `sordino load`
    #[arg(long, requires = "dev")]
    unlimited: bool,

    /// Start although the window keys are missing: everything not yet delivered is lost
    #[arg(long)]
    accept_lost_deliveries: bool,

    /// Check the configuration and end
    #[arg(long)]
    check: bool,
}

/// Price lists by their names.
fn price_list_parser() -> impl TypedValueParser<Value = PriceListChoice> {
    let names = PriceListChoice::ALL.map(PriceListChoice::name);
    PossibleValuesParser::new(names).map(|name| {
        let mut all = PriceListChoice::ALL.into_iter();
        let chosen = all.find(|choice| choice.name() == name);
        chosen.unwrap_or(PriceListChoice::Small)
    })
}

/// Why serving failed.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    match serve(arguments) {
        Ok(Ended::Gracefully) => ExitCode::SUCCESS,
        Ok(Ended::AtOnce) => ExitCode::from(INTERRUPTED),
        Err(why) => fail(&why),
    }
}

fn serve(arguments: Arguments) -> Result<Ended, ServeError> {
    let (dev, check) = (arguments.dev, arguments.check);
    let (config, log) = settings(arguments)?;
    config.check()?;
    if check {
        println!("The configuration is good.");
        return Ok(Ended::Gracefully);
    }
    logging::start(log);
    raise_open_files(config.limits.max_connections);
    leave_no_core();
    let runtime = sordino_server::runtime()?;
    let ended = runtime.block_on(async {
        // Before anything is told: whoever waits for the address may send a signal at once.
        let mut signals = Signals::new()?;
        let running = tokio::select! {
            started = Server::start(config) => started?,
            () = signals.next() => return Ok(Ended::AtOnce),
        };
        // Nobody may be listening any more, which is no reason to end.
        let _ = announce(&running, dev);
        Ok(running.run_until_signal(signals).await)
    });
    // Whatever a second signal left behind is not waited for.
    runtime.shutdown_background();
    ended
}

/// As many open files as the system allows: each connection is one, and the usual 1,024 would be used
/// up by few people.
fn raise_open_files(max_connections: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if setrlimit(Resource::Nofile, limit).is_err() {
        tracing::debug!("the limit of open files stays as it is");
    }
    let needed = u64::try_from(max_connections.saturating_add(OWN_FILES)).unwrap_or(u64::MAX);
    let allowed = getrlimit(Resource::Nofile).current;
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "the system allows fewer open files than limits.max_connections needs"
        );
    }
}

/// No image of the memory is written to a disk if the process ends badly.
fn leave_no_core() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if setrlimit(Resource::Core, none).is_err() {
        tracing::warn!("an image of the memory may be written if the process ends badly");
    }
}

fn settings(arguments: Arguments) -> Result<(ServerConfig, LogSection), ServeError> {
    let environment = Environment::of_process();
    let (mut config, log) = match arguments.config {
        Some(path) => {
            let config = Config::read(&path)?;
            let log = config.log;
            (config.check(&environment)?, log)
        }
        None => {
            let mut config = ServerConfig::dev(arguments.listen, arguments.data_dir);
            config.operator_key = key_place(None, &environment);
            config.tokens.prices = arguments.prices.list();
            if arguments.unlimited {
                config.budgets = Budgets::unlimited();
            }
            let log = LogSection {
                level: LogLevel::Warn,
                ..LogSection::default()
            };
            (config, log)
        }
    };
    config.accept_lost_deliveries = arguments.accept_lost_deliveries;
    Ok((config, log))
}

/// Tells where everything is. Development tools wait for the line with the address.
fn announce(running: &Running, dev: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if dev {
        writeln!(
            out,
            "Sordino for development: plain HTTP, not private. Stop with Ctrl-C."
        )?;
    }
    writeln!(out, "  address   {}", running.url())?;
    writeln!(out, "  domain    {}", running.domain().as_str())?;
    writeln!(out, "  listening {}", running.local_addr())?;
    writeln!(out, "  data      {}", running.data_dir().display())?;
    if running.lost_deliveries() {
        writeln!(
            out,
            "The window keys are new: everything not yet delivered is lost."
        )?;
    }
    out.flush()
}
