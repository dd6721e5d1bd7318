//! Owns the rules of the world, as what breaks them.

use std::fmt;

/// A rule that was broken. Groups are named by the first bytes of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are what their names say")]
pub enum Violation {
    /// Two commits started one epoch.
    TwoCommits { group: String, epoch: u64 },
    /// The stream's commits do not follow each other.
    EpochSkipped {
        group: String,
        expected: u64,
        found: u64,
    },
    /// The hub named an earlier epoch than before.
    EpochWentBack { group: String, from: u64, to: u64 },
    /// The counter of the head did not grow from entry to entry.
    CounterWentBack { group: String, from: u64, to: u64 },
    /// A number was left out.
    NumberMissing {
        group: String,
        expected: u64,
        found: u64,
    },
    /// A stream's end lies before what was read.
    StreamShrank { group: String, from: u64, to: u64 },
    /// An entry is another one than before.
    EntryChanged { group: String, number: u64 },
    /// An entry does not open.
    EntryUnreadable { group: String, number: u64 },
    /// A message is in the stream twice.
    MessageTwice { group: String },
    /// A message that was acknowledged is not in the stream.
    MessageLost { group: String, counter: u64 },
    /// A message is in another place than the acknowledgement said.
    MessageMoved {
        group: String,
        said: u64,
        found: u64,
    },
    /// A message of an epoch that is over for too long, or has not begun.
    MessageOutOfEpoch {
        group: String,
        epoch: u64,
        message: u64,
    },
    /// A commit that was acknowledged is not in the stream.
    CommitLost { group: String, epoch: u64 },
    /// What was refused left a trace.
    RefusedAndWrote { what: String },
    /// One token was taken for two requests.
    TokenBoughtTwice,
    /// Something was acknowledged while the disk had failed.
    AcknowledgedOnDeadDisk { what: String },
    /// Something that names or opens something stands in the stored bytes.
    StoredInClear { kind: &'static str },
    /// The hub does not start on what a crash left.
    DoesNotStart { why: String },
    /// A device does not open on what a crash left.
    VaultDoesNotOpen { device: usize, why: String },
    /// Members of one epoch have different secrets.
    Separated { group: String, epoch: u64 },
    /// A device is ahead of the hub.
    AheadOfTheHub {
        group: String,
        device: usize,
        epoch: u64,
    },
    /// A device went back.
    DeviceWentBack {
        group: String,
        device: usize,
        from: u64,
        to: u64,
    },
    /// A device was told of something that no honest hub or member does.
    Alarm { device: usize, event: String },
    /// A device has an error that nothing in this world explains.
    Unexplained {
        device: usize,
        operation: &'static str,
        error: String,
    },
    /// An operation did not end.
    Stuck {
        device: usize,
        operation: &'static str,
    },
    /// A device shows one message twice.
    ShownTwice { group: String, device: usize },
    /// Two devices show messages in different orders.
    OrdersDiffer { group: String, devices: [usize; 2] },
    /// A device does not show what it sent, or what members before and after it show.
    NotShown {
        group: String,
        device: usize,
        text: String,
    },
    /// Without faults, the members did not come together.
    NotConverged { group: String, how: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
