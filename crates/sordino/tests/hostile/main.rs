//! Floods of garbage, expensive requests, slow readers, thousands of connections, streams that nobody
//! reads: memory stays bounded, honest users are served, and the hub recovers by itself.
//!
//! Small unless `SORDINO_HOSTILE=large`, which takes minutes. Each test prints what it measured.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod connections;
mod crowd;
mod expensive;
mod garbage;
#[path = "../processes/hub.rs"]
mod hub;
mod slow_readers;
mod unread;
#[path = "../processes/wire_group.rs"]
mod wire_group;

/// A number of a usual run, or of a large one.
pub fn sized<T>(usual: T, large: T) -> T {
    match std::env::var("SORDINO_HOSTILE").as_deref() {
        Ok("large") => large,
        Ok(other) => panic!("SORDINO_HOSTILE is large or unset, not {other}"),
        Err(_) => usual,
    }
}
