//! Owns `sordino load`: real groups at a running hub, a mix of operations over HTTP, and figures.
//!
//! Invariant: it is bounded in everything that its arguments say; what fails is counted by its
//! reason and never tried again in secret; latencies count from when an operation was due.

mod figures;
mod mix;
mod people;
mod process;
mod work;

use crate::fail;
use figures::{Figures, Report};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mix::Mix;
use sordino_client::{ClientError, Domain, HubAddress};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a hub for development listens.
const DEV_URL: &str = "http://127.0.0.1:8420";

/// What `sordino load` takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The hub, as clients reach it
    #[arg(long, value_name = "URL", default_value = DEV_URL)]
    hub: String,

    /// The hub's domain [default: host and port of the URL]
    #[arg(long)]
    domain: Option<String>,

    /// Codes with which users register, one a line, where the hub asks for them; one more than members
    #[arg(long, value_name = "FILE")]
    invitations: Option<PathBuf>,

    /// How long the load lasts, after everything is made
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,

    /// What is done: sends; chat (sends, a few commits, joins and new groups); churn (many of those)
    #[arg(long, value_enum, default_value_t = Mix::Chat)]
    mix: Mix,

    /// Groups
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    groups: u16,

    /// Members of each group
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=200))]
    members: u16,

    /// Operations under way at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    in_flight: u16,

    /// Operations per second, whatever the hub takes for them [default: as fast as it goes]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,

    /// Readers that wait for news of a group, over all groups
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(0..=20_000))]
    readers: u16,

    /// The size of a message
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    message_bytes: u32,

    /// Write figures of each second and operation to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// The hub's process on this machine: shows its memory and processor time
    #[arg(long)]
    pid: Option<u32>,

    /// Which operation comes when
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Why a load ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The URL is none.
    #[error("--hub: expected a URL like http://127.0.0.1:8420, without a path")]
    Url,
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
    /// The domain is none.
    #[error("--domain: expected a name like hub.example.org")]
    Domain,
    /// Nobody is there.
    #[error("no hub answers at {0}; `sordino serve --dev --unlimited --prices free` starts one")]
    NoHub(String),
    /// The groups could not be made.
    #[error("{what}: {source}")]
    Setup {
        /// What it was doing.
        what: &'static str,
        /// Why it failed.
        source: ClientError,
    },
    /// Nothing works any more.
    #[error("nothing succeeded for {0} s; the last failure was: {1}")]
    Dead(u64, String),
    /// There is no such process, or it is another user's.
    #[error("--pid: cannot read the process's figures: {0}")]
    Process(std::io::Error),
    /// The vaults or the CSV file.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => return fail(&why),
    };
    let outcome = runtime.block_on(load(&arguments));
    // Readers that still wait are not waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

async fn load(arguments: &Arguments) -> Result<(), LoadError> {
    let hub = address(arguments)?;
    let process = arguments.pid.map(process::Process::open).transpose()?;
    let csv = arguments
        .csv
        .as_deref()
        .map(figures::Csv::create)
        .transpose()?;
    let bar = progress(arguments);
    let begin = Instant::now();
    let world = people::World::make(arguments, &hub, &bar).await?;
    println!(
        "{} groups of {} members at {}, made in {:.1} s.",
        arguments.groups,
        arguments.members,
        hub.url,
        begin.elapsed().as_secs_f64()
    );
    let figures = Arc::new(Figures::default());
    let mut report = Report::new(Arc::clone(&figures), process, csv);
    let work = work::Work::start(arguments, &hub, world, figures).await?;
    for second in 1..=arguments.seconds {
        tokio::time::sleep_until(work.begin() + Duration::from_secs(second.into())).await;
        let line = report.second(second)?;
        bar.set_position(second.into());
        bar.set_message(line);
    }
    work.stop().await;
    bar.finish_and_clear();
    report.print();
    Ok(())
}

fn address(arguments: &Arguments) -> Result<HubAddress, LoadError> {
    let url = arguments.hub.trim_end_matches('/');
    let (scheme, authority) = url.split_once("://").ok_or(LoadError::Url)?;
    if !["http", "https"].contains(&scheme) || authority.contains('/') || authority.is_empty() {
        return Err(LoadError::Url);
    }
    let named = arguments.domain.as_deref();
    let domain = match named {
        Some(named) => Domain::new(named).map_err(|_| LoadError::Domain)?,
        None => Domain::new(authority).map_err(|_| LoadError::Url)?,
    };
    Ok(HubAddress {
        url: url.to_owned(),
        domain,
    })
}

fn progress(arguments: &Arguments) -> ProgressBar {
    let bar = ProgressBar::new(arguments.seconds.into());
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} s  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
