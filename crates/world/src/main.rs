//! Plays seeded worlds: one, to look at it, or thousands.

use clap::Parser;
use sordino_world::{Failure, Figures, Plan, play};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Worlds between two lines of progress.
const REPORT_EVERY: u64 = 50;

/// The real hub, store and clients in a simulated world, from a seed.
#[derive(Parser)]
struct Arguments {
    /// One world.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Many: FIRST..END, without END.
    #[arg(long, value_parser = range)]
    seeds: Option<(u64, u64)>,
    /// Steps of each.
    #[arg(long, default_value_t = 60)]
    steps: u64,
    /// Worlds at once.
    #[arg(long)]
    threads: Option<usize>,
    /// Print what happens.
    #[arg(long)]
    verbose: bool,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let (first, end) = text.split_once("..").ok_or("expected FIRST..END")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    Ok((number(first)?, number(end)?))
}

/// What all worlds came to so far.
#[derive(Default)]
struct Sum {
    figures: Figures,
    failures: Vec<Failure>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (first, end) = match (arguments.seed, arguments.seeds) {
        (Some(seed), _) => (seed, seed.saturating_add(1)),
        (None, Some(seeds)) => seeds,
        (None, None) => (0, 64),
    };
    let begin = Instant::now();
    let sum = Mutex::new(Sum::default());
    let next = AtomicU64::new(first);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.unwrap_or(cores) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let played = play(Plan {
                        seed,
                        steps: arguments.steps,
                        verbose: arguments.verbose,
                    });
                    note(&sum, played.map(|(figures, _)| figures), end - first, begin);
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{}", sum.figures);
    println!("time:       {} s", begin.elapsed().as_secs());
    println!("violations: {}", sum.failures.len());
    for failure in &sum.failures {
        println!("{failure}");
    }
    match sum.failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn note(sum: &Mutex<Sum>, played: Result<Figures, Failure>, of: u64, begin: Instant) {
    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
    match played {
        Ok(figures) => sum.figures.merge(&figures),
        Err(failure) => {
            println!("{failure}");
            sum.failures.push(failure);
        }
    }
    let failed = u64::try_from(sum.failures.len()).unwrap_or(u64::MAX);
    let done = sum.figures.seeds.saturating_add(failed);
    if done.is_multiple_of(REPORT_EVERY) {
        let seconds = begin.elapsed().as_secs();
        println!("{done} of {of} worlds, {failed} failed, {seconds} s");
    }
}
