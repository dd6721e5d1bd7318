//! Owns the records beside the head: tree snapshot, roster, delta.
//!
//! Invariant: snapshot and the deltas after it, applied in order, are the current state. What
//! openmls serialises stands behind our own format number, since its encoding has changed before.

use sordino_wire::limits::{MAX_ADDS, MAX_BODY_BYTES, MAX_MEMBERS, MAX_WRAPPERS};
use sordino_wire::{Bytes, List, PartialGroupInfo, Position, PreviousWrapper, Roster, RosterEntry};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The public group at one epoch.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct TreeRecord {
    pub(crate) format: u16,
    pub(crate) epoch: u64,
    /// What the hub needs to serve a GroupInfo.
    pub(crate) group_info: PartialGroupInfo,
    /// The leaf that signed it.
    pub(crate) signer: u32,
    /// Tree, context, interim transcript hash and confirmation tag, in postcard.
    pub(crate) mls: Bytes<1, { MAX_BODY_BYTES * 2 }>,
}

/// What one commit changed.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct DeltaRecord {
    pub(crate) format: u16,
    /// The epoch that the commit started.
    pub(crate) epoch: u64,
    pub(crate) group_info: PartialGroupInfo,
    pub(crate) signer: u32,
    /// The day of the commit: the committer's last activity.
    pub(crate) day: u32,
    /// Leaves that went.
    pub(crate) removed: List<u32, MAX_MEMBERS>,
    /// Leaves that came; the signer's need not be among them.
    pub(crate) added: List<u32, MAX_ADDS>,
    /// Entries that came.
    pub(crate) entries: List<RosterEntry, MAX_ADDS>,
    /// openmls' staged commit, in postcard.
    pub(crate) staged: Bytes<1, { MAX_BODY_BYTES }>,
}

/// When a leaf last committed.
#[derive(Clone, Copy, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Activity {
    pub(crate) leaf_index: u32,
    pub(crate) day: u32,
}

/// Identity entries, wrappers and activity at one epoch.
#[derive(Clone, Debug, Default, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct RosterRecord {
    pub(crate) format: u16,
    pub(crate) epoch: u64,
    pub(crate) roster: Roster,
    /// By leaf index, ascending.
    pub(crate) activity: List<Activity, MAX_MEMBERS>,
}

/// Where the epoch of a Welcome is, for its joiners.
#[derive(Clone, Copy, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct JoinerPointer {
    pub(crate) format: u16,
    pub(crate) base_epoch: u64,
    pub(crate) position: Position,
}

impl RosterRecord {
    /// Applies what a commit changed.
    pub(crate) fn apply(&mut self, delta: &DeltaRecord) -> Result<(), sordino_wire::OutOfBounds> {
        let gone = |leaf: u32| delta.removed.iter().any(|r| *r == leaf);
        let renewed = |leaf: u32| delta.entries.iter().any(|e| e.leaf_index == leaf);
        let mut entries: Vec<RosterEntry> = self
            .roster
            .entries
            .iter()
            .filter(|e| !gone(e.leaf_index) && !renewed(e.leaf_index))
            .cloned()
            .collect();
        entries.extend(delta.entries.iter().cloned());
        entries.sort_by_key(|e| e.leaf_index);

        let came = |leaf: u32| leaf == delta.signer || delta.added.iter().any(|a| *a == leaf);
        let mut activity: Vec<Activity> = self
            .activity
            .iter()
            .filter(|a| !gone(a.leaf_index) && !came(a.leaf_index))
            .copied()
            .collect();
        let active = delta.added.iter().copied().filter(|a| *a != delta.signer);
        activity.extend(active.chain([delta.signer]).map(|leaf_index| Activity {
            leaf_index,
            day: delta.day,
        }));
        activity.sort_by_key(|a| a.leaf_index);

        self.roster.entries = List::new(entries)?;
        self.activity = List::new(activity)?;
        self.epoch = delta.epoch;
        Ok(())
    }

    /// Adds the wrapper of a generation that ended; drops wrappers that no entry needs.
    pub(crate) fn end_generation(
        &mut self,
        wrapper: Option<PreviousWrapper>,
    ) -> Result<(), sordino_wire::OutOfBounds> {
        let oldest = self.roster.entries.iter().map(|e| e.entry.generation).min();
        let mut wrappers: Vec<PreviousWrapper> = self.roster.wrappers.iter().cloned().collect();
        wrappers.extend(wrapper);
        wrappers.retain(|w| oldest.is_some_and(|g| w.generation >= g));
        let excess = wrappers.len().saturating_sub(MAX_WRAPPERS);
        wrappers.drain(..excess);
        self.roster.wrappers = List::new(wrappers)?;
        Ok(())
    }
}

/// The activity of a new group's one leaf.
pub(crate) fn activity_of(leaf_index: u32, day: u32) -> List<Activity, MAX_MEMBERS> {
    List::new(vec![Activity { leaf_index, day }]).unwrap_or_default()
}
