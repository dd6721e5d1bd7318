//! Whole conversations: real clients against a real hub over HTTP, with everybody who may cheat.
//!
//! Requests that are refused in isolation are the hub's own tests; here is what users see of it.

// Helpers outside of test functions may fail loudly as well.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod absence;
mod forge;
mod hostile;
mod lying_hub;
mod people;
mod race;
mod refused;
mod restart;
mod same_answer;
mod support;
