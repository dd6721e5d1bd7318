//! Tests of the crate through its public functions.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions
)]

mod batches;
mod corpus;
mod directories;
mod draws;
mod forged;
mod golden;
mod headers;
mod issuing;
mod keys;
mod prices;
mod public_vectors;
mod redeeming;
mod rotation;
mod secrecy;
mod support;
