//! Entry functions for fuzzers: one per target, from bytes to nothing.
//!
//! Owns what is checked of arbitrary bytes. Invariant: a target returns, or panics because a rule is
//! broken; it never reads a clock, a file or the network (groups are made once per process, by the
//! wall clock that openmls reads). The engine (`fuzz/engine`) and the replay test
//! (`tests/replay.rs`) call the same functions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a broken rule must end a fuzzer loudly"
)]

mod accounts;
mod pipeline;
mod records;
mod script;
mod store;
mod texts;
mod tokens;
mod types;
mod wire;

/// One target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// What is done with bytes.
    pub run: fn(&[u8]),
    /// Where a fuzzer may start from, with names.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
    /// The longest input worth making, in bytes.
    pub max_bytes: usize,
}

/// All targets.
pub const TARGETS: [Target; 15] = [
    Target {
        name: "wire_request",
        run: wire::request,
        seeds: wire::request_seeds,
        max_bytes: 4_096,
    },
    Target {
        name: "wire_response",
        run: wire::response,
        seeds: wire::request_seeds,
        max_bytes: 4_096,
    },
    Target {
        name: "wire_account_request",
        run: wire::account_request,
        seeds: wire::account_seeds,
        max_bytes: 4_096,
    },
    Target {
        name: "wire_account_response",
        run: wire::account_response,
        seeds: wire::account_seeds,
        max_bytes: 4_096,
    },
    Target {
        name: "wire_types",
        run: types::run,
        seeds: types::seeds,
        max_bytes: 1_024,
    },
    Target {
        name: "texts",
        run: texts::run,
        seeds: texts::seeds,
        max_bytes: 512,
    },
    Target {
        name: "configuration",
        run: texts::configuration,
        seeds: texts::configuration_seeds,
        max_bytes: 2_048,
    },
    Target {
        name: "key_files",
        run: records::key_files,
        seeds: records::key_file_seeds,
        max_bytes: 16_384,
    },
    Target {
        name: "hub_records",
        run: records::hub,
        seeds: records::hub_seeds,
        max_bytes: 8_192,
    },
    Target {
        name: "vault_records",
        run: records::vault,
        seeds: records::vault_seeds,
        max_bytes: 4_096,
    },
    Target {
        name: "token_bodies",
        run: tokens::bodies,
        seeds: tokens::body_seeds,
        max_bytes: 4_096,
    },
    Target {
        name: "token_texts",
        run: tokens::texts,
        seeds: tokens::text_seeds,
        max_bytes: 2_048,
    },
    Target {
        name: "pipeline",
        run: pipeline::run,
        seeds: pipeline::seeds,
        max_bytes: 8_192,
    },
    Target {
        name: "accounts",
        run: accounts::run,
        seeds: accounts::seeds,
        max_bytes: 4_096,
    },
    Target {
        name: "store",
        run: store::run,
        seeds: store::seeds,
        max_bytes: 512,
    },
];

/// One target by its name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
