//! What the benches share: groups of any size made through a hub's whole protocol, a hub in memory,
//! a server in a process of its own, clients that cost little, clocks and tables.
//!
//! Invariant: a group is made by requests alone, as clients make it, so that what is measured is
//! what a hub really holds. Nothing here runs as part of `cargo test`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a measurement that goes wrong must end loudly, and figures are rounded anyway"
)]

mod big_group;
mod device;
mod http;
mod local_hub;
mod measure;
mod request;
mod server_process;
mod socket;
mod transport;

pub use big_group::{BigGroup, Change};
pub use device::Device;
pub use http::{Http, Lane, try_post};
pub use local_hub::{LocalHub, Saved, Written};
pub use measure::{Table, median, percentile, process_cpu, spread, thousands, thread_cpu};
pub use request::SendTemplate;
pub use server_process::{ServerProcess, serve_if_asked};
pub use socket::Socket;
pub use transport::{Transport, ask, done, now_s};
