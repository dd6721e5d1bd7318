//! Owns the test suite that every backend must pass.
//!
//! Use [`crate::conformance_tests!`] in the backend's tests with a function that makes a fresh
//! [`Place`]; it expands to one test per property. Nothing here sleeps, reads a clock or needs
//! more than one process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code that other crates' tests call; the names say what each one checks"
)]

pub mod expiry;
pub mod logs;
pub mod model;
pub mod once;
pub mod records;
pub mod volatile;
pub mod waking;

use crate::{Append, Changes, Committed, Expect, Key, LogHandle, Put, Snapshot, Store, Version};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Where a store keeps its data.
pub trait Place {
    /// The backend under test.
    type Store: Store;
    /// Opens the store here; after a shutdown, again, with what was committed before.
    fn open(&self) -> Self::Store;
}

/// Expands to one `#[test]` per property of the suite; the argument is a function that makes a
/// fresh [`Place`](crate::conformance::Place).
#[macro_export]
macro_rules! conformance_tests {
    ($new:path) => {
        $crate::conformance_tests! { @list $new;
            records::cas_conflicts records::refused_changes_leave_nothing
            records::queued_changes_see_their_predecessors records::puts_survive_reopening
            records::deletes_and_repeated_keys records::values_without_version_are_refused
            records::snapshots_do_not_move records::nothing_after_shutdown
            records::an_empty_change_is_fine
            logs::numbers_are_contiguous_across_reopening logs::an_unknown_log_is_empty
            logs::pages_are_bounded logs::many_logs_in_one_change
            logs::reading_past_the_end logs::before_the_start_is_a_gap
            once::a_replay_is_refused once::a_nullifier_is_spent_once
            once::replay_comes_before_spent_before_conflict once::outbox_keeps_its_order
            once::late_acknowledgements_hit_nothing once::destinations_are_listed
            expiry::records_live_through_their_last_day expiry::a_put_moves_the_expiry
            expiry::a_deleted_record_comes_back_with_its_own_expiry
            expiry::a_gap_shows_in_oldest expiry::an_empty_log_goes_on_counting
            expiry::the_head_dies_after_its_grace expiry::a_window_dies_at_once
            expiry::entries_never_expire_out_of_order expiry::spent_and_replay_expire
            expiry::a_clock_that_goes_back_revives_nothing
            waking::before_the_append waking::after_the_append waking::many_watchers
            waking::other_logs_and_refusals_wake_nobody waking::a_cancelled_wait_loses_nothing
            waking::a_dropped_watch_is_gone
        }
    };
    (@list $new:path; $($module:ident :: $name:ident)+) => {$(
        #[test]
        fn $name() {
            $crate::conformance::block_on($crate::conformance::$module::$name(&$new()));
        }
    )+};
}

/// Runs one property.
///
/// # Panics
/// If no runtime can be made.
pub fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(test);
}

/// Shuts the store down and opens it again.
pub(crate) async fn reopen<P: Place>(place: &P, store: P::Store) -> P::Store {
    store.shutdown().await;
    drop(store);
    place.open()
}

/// A value whose first 16 bytes no other `n` has.
pub(crate) fn value(n: u64) -> Vec<u8> {
    let mut value = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec();
    value.extend_from_slice(&n.to_be_bytes());
    value.extend_from_slice(b"value");
    value
}

pub(crate) fn version(n: u64) -> Version {
    Version::of(&value(n)).unwrap()
}

pub(crate) fn key(n: u8) -> Key {
    Key([n; 16])
}

pub(crate) fn log(n: u8) -> LogHandle {
    LogHandle([n; 32])
}

pub(crate) fn put(k: u8, n: u64, expires_day: Option<u32>) -> Changes {
    let put = vec![Put {
        key: key(k),
        value: value(n),
        expires_day,
    }];
    Changes {
        put,
        ..Changes::default()
    }
}

pub(crate) fn append(l: u8, n: u64, expires_day: u32) -> Changes {
    let append = vec![Append {
        log: log(l),
        value: value(n),
        expires_day,
    }];
    Changes {
        append,
        ..Changes::default()
    }
}

/// The change, if the record is as expected.
pub(crate) fn expecting(k: u8, expect: Expect, changes: Changes) -> Changes {
    Changes {
        expect: vec![(key(k), expect)],
        ..changes
    }
}

pub(crate) async fn ok(store: &impl Store, changes: Changes) -> Committed {
    store.commit(changes).await.unwrap()
}

/// The value number `n` of [`value`] that a record has.
pub(crate) fn has(store: &impl Store, k: u8) -> Option<Vec<u8>> {
    store
        .snapshot()
        .unwrap()
        .get(&key(k))
        .unwrap()
        .map(|record| record.value)
}

/// Polls once.
pub(crate) fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
