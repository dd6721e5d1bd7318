//! Owns counting, and telling what was counted.

use super::LoadError;
use super::mix::Operation;
use super::process::Process;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Seconds without any success after which the load gives up.
const DEAD_S: u64 = 15;
/// Latencies are told apart to three digits.
const DIGITS: u8 = 3;

/// What one operation came to, in one second or in all.
#[derive(Clone)]
struct Tally {
    latencies_us: Histogram<u64>,
    failed: u64,
}

impl Default for Tally {
    fn default() -> Self {
        // Three digits are within what the library takes.
        let latencies_us = Histogram::new(DIGITS).unwrap_or_else(|_| unreachable!());
        Self {
            latencies_us,
            failed: 0,
        }
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        // An auto-sized histogram takes any value of another.
        let _ = self.latencies_us.add(&other.latencies_us);
        self.failed = self.failed.saturating_add(other.failed);
    }

    fn ms(&self, quantile: f64) -> String {
        let us = self.latencies_us.value_at_quantile(quantile);
        format!("{}.{:02}", us / 1_000, us % 1_000 / 10)
    }
}

#[derive(Default)]
struct Counts {
    tallies: BTreeMap<Operation, Tally>,
    reasons: BTreeMap<String, u64>,
    deliveries: u64,
}

/// What is counted while the load runs.
#[derive(Default)]
pub(crate) struct Figures(Mutex<Counts>);

impl Figures {
    fn with<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An operation that was done.
    pub(crate) fn done(&self, operation: Operation, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.with(|counts| {
            let tally = counts.tallies.entry(operation).or_default();
            // An auto-sized histogram takes any value.
            let _ = tally.latencies_us.record(us.max(1));
        });
    }

    /// An operation that was not done.
    pub(crate) fn failed(&self, operation: Operation, reason: &str) {
        self.with(|counts| {
            counts.tallies.entry(operation).or_default().failed += 1;
            let reason = format!("{}: {reason}", operation.name());
            *counts.reasons.entry(reason).or_default() += 1;
        });
    }

    /// Entries that reached readers.
    pub(crate) fn delivered(&self, entries: usize) {
        let entries = u64::try_from(entries).unwrap_or(u64::MAX);
        self.with(|counts| counts.deliveries = counts.deliveries.saturating_add(entries));
    }
}

/// Figures of each second, for other programs.
pub(crate) struct Csv {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Csv {
    /// A new file, or an old one begun anew.
    pub(crate) fn create(path: &Path) -> Result<Self, LoadError> {
        let file = File::create(path).map_err(|e| LoadError::File(path.to_owned(), e))?;
        let mut csv = Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
        };
        csv.line("second,operation,done,failed,p50_ms,p99_ms,resident_kb")?;
        Ok(csv)
    }

    fn line(&mut self, line: &str) -> Result<(), LoadError> {
        let written = writeln!(self.file, "{line}").and_then(|()| self.file.flush());
        written.map_err(|e| LoadError::File(self.path.clone(), e))
    }
}

/// Tells what was counted: each second, and in the end.
pub(crate) struct Report {
    figures: Arc<Figures>,
    process: Option<Process>,
    csv: Option<Csv>,
    all: Counts,
    seconds: u32,
    barren_s: u64,
}

impl Report {
    pub(crate) fn new(figures: Arc<Figures>, process: Option<Process>, csv: Option<Csv>) -> Self {
        Self {
            figures,
            process,
            csv,
            all: Counts::default(),
            seconds: 0,
            barren_s: 0,
        }
    }

    /// Takes what was counted since the last time. Returns a line for the progress bar.
    pub(crate) fn second(&mut self, second: u32) -> Result<String, LoadError> {
        let counts = self.figures.with(std::mem::take);
        let resident_kb = self.process.as_ref().map(|process| process.memory_kb().0);
        let (mut done, mut failed) = (0, 0);
        for (operation, tally) in &counts.tallies {
            done += tally.latencies_us.len();
            failed += tally.failed;
            self.row(second, operation.name(), tally, resident_kb)?;
        }
        if let Some(csv) = &mut self.csv
            && counts.deliveries > 0
        {
            csv.line(&format!("{second},delivery,{},0,,,", counts.deliveries))?;
        }
        self.seconds = second;
        self.barren_s = if done > 0 { 0 } else { self.barren_s + 1 };
        let line = format!(
            "{done} done, {failed} failed, {} delivered in this second",
            counts.deliveries
        );
        self.add(counts);
        if self.barren_s >= DEAD_S {
            let last = self.all.reasons.keys().next_back();
            let last = last.map_or("none", String::as_str).to_owned();
            return Err(LoadError::Dead(self.barren_s, last));
        }
        Ok(line)
    }

    fn row(
        &mut self,
        second: u32,
        operation: &str,
        tally: &Tally,
        resident_kb: Option<u64>,
    ) -> Result<(), LoadError> {
        let Some(csv) = &mut self.csv else {
            return Ok(());
        };
        csv.line(&format!(
            "{second},{operation},{},{},{},{},{}",
            tally.latencies_us.len(),
            tally.failed,
            tally.ms(0.5),
            tally.ms(0.99),
            resident_kb.map_or(String::new(), |kb| kb.to_string()),
        ))
    }

    fn add(&mut self, counts: Counts) {
        for (operation, tally) in &counts.tallies {
            self.all.tallies.entry(*operation).or_default().add(tally);
        }
        for (reason, count) in counts.reasons {
            *self.all.reasons.entry(reason).or_default() += count;
        }
        self.all.deliveries = self.all.deliveries.saturating_add(counts.deliveries);
    }

    /// The whole run.
    pub(crate) fn print(&self) {
        let seconds = f64::from(self.seconds.max(1));
        println!(
            "{:<14} {:>9} {:>7} {:>11} {:>9} {:>9} {:>9}",
            "operation", "done", "failed", "per second", "p50 ms", "p99 ms", "most ms"
        );
        let (mut done, mut failed) = (0, 0);
        for (operation, tally) in &self.all.tallies {
            let count = tally.latencies_us.len();
            done += count;
            failed += tally.failed;
            println!(
                "{:<14} {:>9} {:>7} {:>11.1} {:>9} {:>9} {:>9}",
                operation.name(),
                count,
                tally.failed,
                per_second(count, seconds),
                tally.ms(0.5),
                tally.ms(0.99),
                tally.ms(1.0),
            );
        }
        for (reason, count) in &self.all.reasons {
            println!("failed {count} times, {reason}");
        }
        let deliveries = per_second(self.all.deliveries, seconds);
        println!(
            "{done} operations in {} s ({:.1} per second), {failed} failed; {} entries delivered to \
             waiting readers ({deliveries:.1} per second)",
            self.seconds,
            per_second(done, seconds),
            self.all.deliveries,
        );
        if let Some(process) = &self.process {
            let (now_kb, most_kb) = process.memory_kb();
            println!(
                "hub: {} MB resident, {} MB at most; {:.1} s of processor time",
                now_kb / 1_024,
                most_kb / 1_024,
                process.cpu_s()
            );
        }
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    // Counts of one run are far below where this loses digits.
    u32::try_from(count).map_or(f64::INFINITY, f64::from) / seconds
}
