//! Owns what was done and what happened, in numbers.

use std::collections::BTreeMap;
use std::fmt;

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub(crate) fn add(&mut self, name: &'static str) {
        self.add_many(name, 1);
    }

    pub(crate) fn add_many(&mut self, name: &'static str, count: u64) {
        let place = self.0.entry(name).or_default();
        *place = place.saturating_add(count);
    }

    fn merge(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            self.add_many(name, *count);
        }
    }

    /// How often.
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, count)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {count}")?;
        }
        Ok(())
    }
}

/// What one world came to, or many together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Worlds.
    pub seeds: u64,
    /// Steps.
    pub steps: u64,
    /// What devices did, by kind.
    pub operations: Counts,
    /// How that ended for them.
    pub outcomes: Counts,
    /// What went wrong around them.
    pub faults: Counts,
    /// What was checked, and what came about.
    pub checks: Counts,
}

impl Figures {
    /// Adds those of other worlds.
    pub fn merge(&mut self, other: &Self) {
        self.seeds = self.seeds.saturating_add(other.seeds);
        self.steps = self.steps.saturating_add(other.steps);
        self.operations.merge(&other.operations);
        self.outcomes.merge(&other.outcomes);
        self.faults.merge(&other.faults);
        self.checks.merge(&other.checks);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "worlds:     {} with {} steps", self.seeds, self.steps)?;
        writeln!(f, "operations: {}", self.operations)?;
        writeln!(f, "outcomes:   {}", self.outcomes)?;
        writeln!(f, "faults:     {}", self.faults)?;
        write!(f, "seen:       {}", self.checks)
    }
}
