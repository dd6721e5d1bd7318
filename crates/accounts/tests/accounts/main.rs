//! Accounts in memory: everything goes as bytes through `Accounts::handle`, and a write set is
//! applied as a store does it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails loudly"
)]

mod at_rest;
mod devices;
mod keys;
mod property;
mod refusals;
mod registering;
mod requests;
mod strangers;
mod world;
