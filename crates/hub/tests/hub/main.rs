//! The hub and clients of it, the whole protocol as bytes, without network and disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "test code fails loudly, in helpers too"
)]

#[path = "../vectors/load.rs"]
#[allow(dead_code, reason = "the other vectors are read elsewhere")]
mod load;
#[path = "../support/mod.rs"]
mod support;

mod budgets;
mod deposits;
mod ex_member;
mod keeping;
mod key_packages;
mod leaves;
mod life;
mod operations;
mod payments;
mod pool;
mod property;
mod reading;
mod recovery;
mod refusals;
mod refuse;
mod refused_commits;
mod refused_sets;
mod scene;
mod sealings;
mod vectors;
