//! Owns what the system tells of the hub's process.

use super::LoadError;
use std::path::PathBuf;

/// A process on this machine.
pub(crate) struct Process {
    folder: PathBuf,
    cpu_before_s: f64,
}

/// Processor time is told in these parts of a second (`getconf CLK_TCK`), on all Linux systems.
const TICKS_PER_S: f64 = 100.0;

impl Process {
    /// A process that is there.
    pub(crate) fn open(pid: u32) -> Result<Self, LoadError> {
        let mut process = Self {
            folder: PathBuf::from(format!("/proc/{pid}")),
            cpu_before_s: 0.0,
        };
        let stat = std::fs::read_to_string(process.folder.join("stat"));
        stat.map_err(LoadError::Process)?;
        process.cpu_before_s = process.all_cpu_s();
        Ok(process)
    }

    /// Resident memory now and at most, in kB. Zero once the process is gone.
    pub(crate) fn memory_kb(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(self.folder.join("status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// Processor time since it was opened, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        (self.all_cpu_s() - self.cpu_before_s).max(0.0)
    }

    fn all_cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(self.folder.join("stat")).unwrap_or_default();
        // The name, in parentheses, may hold anything.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_S
    }
}
