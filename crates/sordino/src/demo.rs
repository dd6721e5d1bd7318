//! Owns `sordino demo`: a hub on a fresh data folder, real clients over HTTP on loopback, the main
//! job from the first group to the last message, a kill in the middle, and a verdict.
//!
//! Invariant: the exit status is zero only if every member of every group has the same roster,
//! epoch authenticator and messages, and a disk thief finds none of it.

mod cast;
mod check;
mod hub_process;
mod play;
mod room;
mod scenes;
mod table;
mod thief;

use crate::fail;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// What `sordino demo` takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Users; every second one has two devices
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    users: u16,

    /// Groups
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    groups: u16,

    /// Messages, over all groups
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    messages: u32,

    /// Who does what, when
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Keep everything in this folder, which must not exist yet [default: a temporary one]
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

/// Why a demo ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The hub process.
    #[error(transparent)]
    Hub(#[from] hub_process::HubProcessError),
    /// A client.
    #[error("{what}: {source}")]
    Client {
        /// What it was doing.
        what: &'static str,
        /// Why it failed.
        source: sordino_client::ClientError,
    },
    /// Something did not come to rest in time.
    #[error("{0} did not come to rest in time")]
    Restless(String),
    /// A file.
    #[error("the demo's folder: {0}")]
    File(#[from] std::io::Error),
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => return fail(&why),
    };
    let verdict = runtime.block_on(demo(&arguments));
    // Clients that still wait for the hub are not waited for.
    runtime.shutdown_background();
    match verdict {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => fail(&why),
    }
}

async fn demo(arguments: &Arguments) -> Result<bool, DemoError> {
    let start = Instant::now();
    let folder = Folder::make(arguments.keep.clone())?;
    let bar = progress(u64::from(arguments.messages));
    let mut hub = hub_process::HubProcess::start(&folder.path.join("hub"))?;
    println!(
        "A hub at {}, {} users, {} groups, {} messages, seed {}.",
        hub.address(),
        arguments.users,
        arguments.groups,
        arguments.messages,
        arguments.seed
    );
    let played = play::play(arguments, &folder.path, &mut hub, &bar).await?;
    bar.finish_and_clear();
    hub.kill()?;

    let mut verdict = played.verdict;
    println!();
    for line in played.times.lines() {
        println!("{line}");
    }
    println!();
    let findings = thief::search(&folder.path.join("hub").join("hub.redb"), &played.needles)?;
    verdict.extend(findings.report());
    for line in &verdict.held {
        println!("holds    {line}");
    }
    for line in &verdict.broken {
        println!("BROKEN   {line}");
    }
    println!(
        "\n{:.1} s, data {}",
        start.elapsed().as_secs_f64(),
        folder.told()
    );
    Ok(verdict.broken.is_empty())
}

fn progress(messages: u64) -> ProgressBar {
    let bar = ProgressBar::new(messages);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} messages  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Where the demo keeps everything; a temporary one goes at the end.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn make(keep: Option<PathBuf>) -> Result<Self, DemoError> {
        let temporary = keep.is_none();
        let path = keep.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("sordino-demo-{}", std::process::id()))
        });
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        std::fs::create_dir(&path)?;
        Ok(Self { path, temporary })
    }

    fn told(&self) -> String {
        if self.temporary {
            "removed (--keep FOLDER keeps it)".to_owned()
        } else {
            format!("in {}", self.path.display())
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed stays in the system's folder for temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// What was found to hold, and what not.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Sentences that hold.
    pub(crate) held: Vec<String>,
    /// Sentences that do not.
    pub(crate) broken: Vec<String>,
}

impl Verdict {
    /// Adds a sentence.
    pub(crate) fn judge(&mut self, holds: bool, sentence: String) {
        if holds {
            self.held.push(sentence);
        } else {
            self.broken.push(sentence);
        }
    }

    fn extend(&mut self, other: Self) {
        self.held.extend(other.held);
        self.broken.extend(other.broken);
    }
}
