//! Owns the answers.
//!
//! Invariant: an answer to a mutating request fits the 48 bytes that a replay record keeps.

use crate::bytes::List;
use crate::credential::{IdentityEntry, PreviousWrapper};
use crate::key_package_set::{FetchedSet, PoolState};
use crate::limits::{MAX_PENDING_PROPOSALS, MAX_ROSTER_ENTRIES, MAX_WRAPPERS};
use crate::operation::{GroupInfoBytes, TreeBytes};
use crate::reject::{OutcomeDetail, Reject};
use crate::stream::{DeliveredProposal, StreamPage, StreamPages};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// What a mutating request achieved: at most 48 B.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct Outcome {
    /// The group's epoch after it (0 for inboxes).
    pub epoch: u64,
    /// The head's counter after it.
    pub counter: u64,
    /// Reserved for what an operation must answer; empty so far.
    pub detail: OutcomeDetail,
}

/// The identity entry of one leaf.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct RosterEntry {
    /// The leaf.
    pub leaf_index: u32,
    /// Its entry.
    pub entry: IdentityEntry,
}

/// The identity entries of a group, and the wrapper keys to walk back.
#[derive(Clone, Debug, Default, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct Roster {
    /// By leaf index, ascending; unidentified leaves have none.
    pub entries: List<RosterEntry, MAX_ROSTER_ENTRIES>,
    /// By generation, ascending.
    pub wrappers: List<PreviousWrapper, MAX_WRAPPERS>,
}

/// Where the hub's own stream of a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct Position {
    /// The epoch of the answer's tree.
    pub epoch: u64,
    /// The generation.
    pub generation: u64,
    /// The head's counter.
    pub counter: u64,
    /// The number of the first entry that is later than the answer's tree.
    pub cursor: u64,
}

/// The members as the hub sees them.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct Membership {
    /// Where the group stands.
    pub position: Position,
    /// The tree.
    pub ratchet_tree: TreeBytes,
    /// The entries.
    pub roster: Roster,
}

/// What somebody needs who joins by external commit.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct ExternalCommitInformation {
    /// Where the group stands.
    pub position: Position,
    /// The GroupInfo, without MLSMessage framing and without tree.
    pub group_info: GroupInfoBytes,
    /// The tree.
    pub ratchet_tree: TreeBytes,
    /// The entries.
    pub roster: Roster,
    /// Pending proposals.
    pub pending: List<DeliveredProposal, MAX_PENDING_PROPOSALS>,
}

/// All answers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u16)]
pub enum ResponseBody {
    /// Refused.
    #[tls_codec(discriminant = 0)]
    Rejected(Reject),
    /// Done, durably.
    #[tls_codec(discriminant = 1)]
    Done(Outcome),
    /// To inspect membership and welcome information.
    #[tls_codec(discriminant = 2)]
    Membership(Membership),
    /// To external commit information.
    #[tls_codec(discriminant = 3)]
    ExternalCommitInformation(ExternalCommitInformation),
    /// To reading streams.
    #[tls_codec(discriminant = 4)]
    Streams(StreamPages),
    /// To reading an inbox.
    #[tls_codec(discriminant = 5)]
    Inbox(StreamPage),
    /// To fetching key packages.
    #[tls_codec(discriminant = 6)]
    KeyPackages(FetchedSet),
    /// To inspecting key packages.
    #[tls_codec(discriminant = 7)]
    Pool(PoolState),
}
