//! The tests of the redb backend.

mod faults;
mod file;
mod golden;
mod model;
mod writer;
