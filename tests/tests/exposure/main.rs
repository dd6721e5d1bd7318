//! What a real hub exposes: a server, clients over HTTP, and then somebody who takes the disk, the
//! keys of the operator, those of a former member, or the log.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "whatever goes wrong in a test must end it, helpers included"
)]

mod accounts;
mod burglar;
mod database;
mod disk;
mod ended;
mod idle;
mod link;
mod logs;
mod operator;
mod play;
mod search;
mod traffic;
mod unlinked;
mod world;
