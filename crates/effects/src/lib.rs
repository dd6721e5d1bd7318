//! The seam between the services, which are pure functions, and whoever carries out what they ask
//! for: what a service reads ([`Records`]), what it is given ([`Env`]), and what it comes to
//! ([`Step`]).
//!
//! Owns also what services do alike at this seam: opening and sealing what lies in a store, and
//! remembering outcomes for repeated requests.
//! Invariant: no I/O, no clock, no global. Never sees what a request means.

mod changes;
mod decoy;
mod env;
mod log;
#[cfg(feature = "memory")]
pub mod memory;
mod record;
mod records;
mod replay;
mod step;

pub use changes::{
    Append, Changes, Expectation, LogHandle, Put, RecordVersion, Replay, StoreKey, version_of,
};
pub use decoy::Decoy;
pub use env::{Env, check_time, floor_time};
pub use log::{log_address, read_page, seal_log_entry};
pub use record::{Opened, address, open_record, seal_record};
pub use records::{LogPage, RecordFault, Records};
pub use replay::{Remembered, ReplaySlot};
pub use step::{Effects, Fault, Step};

#[cfg(test)]
mod testing;
