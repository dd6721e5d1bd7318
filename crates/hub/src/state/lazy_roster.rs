//! Owns a group's roster while a request is at work: opened only by those who need it.
//!
//! Invariant: what it opens to is the roster of the newest epoch: the snapshot with every delta
//! after it applied, those of this request included. At 1,000 members that is half of a commit's
//! time, and a commit that writes a delta does not need it.

use super::{DeltaRecord, RosterRecord};
use crate::outcome::{Fault, Refusal};
use crate::unseal::Reader;
use sordino_wire::{OutOfBounds, Salt};

/// A roster that may not have been opened yet.
pub(crate) struct LazyRoster {
    base_epoch: u64,
    version: Salt,
    deltas: Vec<DeltaRecord>,
    opened: Option<RosterRecord>,
}

impl LazyRoster {
    /// The roster of a snapshot and the deltas after it.
    pub(crate) fn new(base_epoch: u64, version: Salt, deltas: Vec<DeltaRecord>) -> Self {
        Self {
            base_epoch,
            version,
            deltas,
            opened: None,
        }
    }

    /// Opens it, once.
    pub(crate) fn open(&mut self, reader: &Reader<'_>) -> Result<&mut RosterRecord, Refusal> {
        let roster = match self.opened.take() {
            Some(roster) => roster,
            None => {
                let mut roster = reader.roster(self.base_epoch, Some(self.version))?;
                for delta in self.deltas.drain(..) {
                    roster.apply(&delta).map_err(|_| Fault::Inconsistent)?;
                }
                roster
            }
        };
        Ok(self.opened.insert(roster))
    }

    /// The roster, where somebody opened it.
    pub(crate) fn opened(&self) -> Option<&RosterRecord> {
        self.opened.as_ref()
    }

    /// Applies what a commit changed, now or when it is opened.
    pub(crate) fn apply(&mut self, delta: &DeltaRecord) -> Result<(), OutOfBounds> {
        match &mut self.opened {
            Some(roster) => roster.apply(delta),
            None => {
                self.deltas.push(delta.clone());
                Ok(())
            }
        }
    }
}
