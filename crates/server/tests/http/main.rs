//! The HTTP binding over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod accounts;
mod binding;
mod client;
mod key_packages;
mod limits;
mod live;
mod networks;
mod person;
mod shutdown;
mod tls;
mod token_borders;
mod tokens;
mod wallet;
