//! The state of one group on this device, and every step that changes it.
//!
//! Invariant: a step is a plain function on [`LoadedGroup`] without I/O; what it changed becomes
//! durable in one vault transaction, or is forgotten. Nothing here waits, sends or listens.

pub(crate) mod answer;
pub(crate) mod commit_build;
pub(crate) mod commit_request;
pub(crate) mod create;
pub(crate) mod external;
pub(crate) mod look;
pub(crate) mod merge;
pub(crate) mod outgoing;
pub(crate) mod own_commit;
pub(crate) mod plan;
pub(crate) mod process;
pub(crate) mod roster;
pub(crate) mod saved;
pub(crate) mod send;
pub(crate) mod state;
pub(crate) mod tools;
pub(crate) mod tree;
pub(crate) mod welcome;
