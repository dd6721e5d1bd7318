//! The real binary as an operator meets it: killed at any moment, on a full or read-only disk, with
//! wrong keys, with a damaged database, on a folder of an earlier version, under a clock that jumps.
//!
//! One rule over all of it: what was acknowledged is there, once and in order, or the hub does not
//! start and says why.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod clock;
mod damage;
mod fetches;
mod full_disk;
mod history;
mod hub;
mod keys;
mod kills;
mod load;
mod memory;
mod old_folder;
mod people;
mod read_only;
mod wire_group;
