//! mls-rs beside openmls: trees, objects and a history that both must judge alike, groups of a hub
//! that it watches, and a member that runs on it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "test code fails loudly, in helpers too"
)]

#[path = "../../../../crates/hub/tests/hub/life.rs"]
mod life;
#[path = "../../../../crates/hub/tests/vectors/load.rs"]
#[allow(dead_code, reason = "hub tests use all of it")]
mod load;
#[path = "../../../../crates/hub/tests/hub/scene.rs"]
#[allow(dead_code, reason = "hub tests use all of it")]
mod scene;
#[path = "../../../../crates/hub/tests/support/mod.rs"]
mod support;

mod alike;
mod attacks;
mod history;
mod joins;
mod member;
mod objects;
mod repeats;
mod rules;
mod stack;
mod surgery;
mod trees;
mod unreadable;
mod verdicts;
mod watch;
