//! Tests of the wire format: golden bytes, refusals, limits, padding, round trips, corpus replay.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions
)]

mod cases;
mod corpus;
mod envelopes;
mod golden;
mod limits;
mod model;
mod padding;
mod refusals;
mod round_trips;
#[macro_use]
mod sample;
mod sample_people;
mod secrecy;
