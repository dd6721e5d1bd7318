//! A hub in memory and clients that speak its whole protocol, honest ones and others.
//!
//! Everything goes as bytes through `Hub::handle`, and a write set is applied as a store does it.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "test code fails loudly"
)]

mod actor;
mod commit;
mod external;
mod join;
mod recover;
mod request;
mod sync;
mod till;
mod world;

pub(crate) use actor::{Actor, Inbox, Known, config, credential_with_key};
pub(crate) use commit::{Draft, Plan};
pub(crate) use external::{External, Way};
pub(crate) use recover::{Asked, bad_tag};
pub(crate) use request::{Kind, Signing};
pub(crate) use sordino_effects::memory::{MemoryStore, Refused};
pub(crate) use sync::Seen;
pub(crate) use till::Till;
pub(crate) use world::{World, done, policy, possession_bytes, rejected};
