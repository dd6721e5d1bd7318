//! Owns what requests leave on the stacks of threads: nothing, once a thread has nothing to do.
//!
//! Invariant: values that are moved leave copies behind, which no destructor reaches. What is freed
//! on the heap is wiped by the allocator of the binary.

use std::hint::black_box;
use std::io;
use tokio::runtime::{Builder, Runtime};

/// Deeper than requests reach. Without optimisation, frames are several times as large.
const DEPTH_BYTES: usize = if cfg!(debug_assertions) {
    1024 * 1024
} else {
    256 * 1024
};
/// With room for what lies above.
const STACK_BYTES: usize = 2 * DEPTH_BYTES + 1024 * 1024;

/// A runtime for servers: its threads wipe their stacks before they sleep.
///
/// # Errors
/// Those of starting threads.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .on_thread_park(wipe_stack)
        .build()
}

/// Overwrites the stack below its caller.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut area = [0_u8; DEPTH_BYTES];
    black_box(&mut area);
}
