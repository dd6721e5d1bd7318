//! The HTTP binding over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod binding;
mod client;
mod limits;
mod live;
mod shutdown;
mod tls;
