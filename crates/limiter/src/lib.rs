//! Token buckets of nobody in particular (design page 4): how much is too much, counted per group,
//! pseudonym, inbox, network and provider.
//!
//! Owns: rates, buckets, the names under which they are kept.
//! Invariant: everything is in memory, bounded, and gone with the process; a bucket's name is a MAC
//! under a key of this process alone, so a memory image tells nobody's from the next process's. No
//! bucket is forgotten before it is full again: forgetting gives nobody anything.
//! Never sees the clock: time is an argument. Never logs, never stores.

mod bucket;
mod limiter;
mod name;
mod network;
mod quota;
mod rate;
mod table;

pub use limiter::{Attempt, Budgets, Limits};
pub use name::Naming;
pub use network::{NetworkName, PrefixLengths};
pub use quota::Quota;
pub use rate::{Budget, Rate};
