//! The real hub, store and clients in a simulated world: time, network and disks are made up, and
//! all that happens at random comes from one seed.
//!
//! ```text
//! users -> client library -> network -> hub -> store -> disk
//!                 |          (late, lost,          (dies at any write,
//!               vault         twice, cut off)       torn when the power goes)
//! ```
//! Owns: the world, what users do in it, and the book in which its rules are kept.
//! Invariant: one seed, one history; a rule that is broken names the command that breaks it again.
//!
//! After every step of a world, when nobody is in the middle of anything, these hold:
//!
//! - every epoch of a group was started by one commit, and no epoch comes back;
//! - a message that the hub acknowledged is in the group's stream exactly once, in the place that the
//!   acknowledgement named; so is every commit;
//! - the numbers of a stream's entries have no gaps, and no entry that was read changes;
//! - what was refused wrote nothing, not a byte;
//! - a token that bought something buys nothing else;
//! - no name, key, id, pseudonym or message stands in the stored bytes;
//! - members in one epoch have the same secrets, no device is ahead of the hub or goes back.
//!
//! In the end the faults stop, and all members come together: the same epoch, the same secrets, the
//! same messages in the same order.

mod act;
mod chance;
mod clock;
mod device;
mod figures;
mod hub;
mod ledger;
mod network;
#[cfg(test)]
mod scenes;
mod search;
mod shown;
mod tell;
mod till;
mod violation;
mod wait;
mod world;

pub use figures::{Counts, Figures};
pub use violation::Violation;
pub use world::{Failure, History, Plan, play};
