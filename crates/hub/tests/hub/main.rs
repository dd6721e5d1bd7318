//! The hub and clients of it, the whole protocol as bytes, without network and disk.

#[path = "../support/mod.rs"]
mod support;

mod keeping;
mod operations;
mod recovery;
mod refusals;
mod refused_commits;
mod scene;
