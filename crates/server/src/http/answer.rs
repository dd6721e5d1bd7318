//! Owns the memory of answers on their way to their readers.
//!
//! Invariant: large answers together stay within one bound, whoever is slow to take them; small ones
//! are never refused for it, for the number of connections bounds them.

use super::problem::Problem;
use axum::body::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers up to this size are not counted: all usual ones.
const SMALL_BYTES: usize = 64 * 1024;
/// Answers are counted in steps of this size.
const STEP_BYTES: usize = 1024;
/// All large answers together: 64 of the largest pages of streams.
const ALL_LARGE_BYTES: usize = 256 * 1024 * 1024;

/// The memory for all large answers together.
#[derive(Clone)]
pub(crate) struct AnswerMemory(Arc<Semaphore>);

/// An answer with its share, which is given back when the last byte has gone to the system.
struct Held {
    bytes: Vec<u8>,
    _memory: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AnswerMemory {
    pub(crate) fn new() -> Self {
        Self::of(ALL_LARGE_BYTES)
    }

    fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / STEP_BYTES)))
    }

    /// Takes an answer's share, or refuses: whoever asked may ask again.
    pub(crate) fn hold(&self, bytes: Vec<u8>) -> Result<Bytes, Problem> {
        if bytes.len() <= SMALL_BYTES {
            return Ok(bytes.into());
        }
        let steps = u32::try_from(bytes.len().div_ceil(STEP_BYTES));
        let steps = steps.map_err(|_| Problem::Overloaded)?;
        let memory = Arc::clone(&self.0).try_acquire_many_owned(steps);
        let memory = memory.map_err(|_| Problem::Overloaded)?;
        let held = Held {
            bytes,
            _memory: memory,
        };
        Ok(Bytes::from_owner(held))
    }

    /// Resolves once an answer of this size would have found its share.
    pub(crate) async fn room_for(&self, bytes: usize) {
        let steps = u32::try_from(bytes.div_ceil(STEP_BYTES)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.0.acquire_many(steps).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_answers_are_bounded_and_give_back() {
        let memory = AnswerMemory::of(3 * SMALL_BYTES);
        let large = || vec![7; 2 * SMALL_BYTES];
        let first = memory.hold(large()).unwrap();
        assert_eq!(memory.hold(large()).err(), Some(Problem::Overloaded));
        // A part that is still on its way holds all of it.
        let part = first.slice(10..20);
        drop(first);
        assert_eq!(memory.hold(large()).err(), Some(Problem::Overloaded));
        drop(part);
        assert!(memory.hold(large()).is_ok());
        assert_eq!(memory.0.available_permits(), 3 * SMALL_BYTES / STEP_BYTES);
    }

    #[test]
    fn small_answers_are_always_served() {
        let memory = AnswerMemory::of(0);
        assert!(memory.hold(vec![7; SMALL_BYTES]).is_ok());
        let over = memory.hold(vec![7; SMALL_BYTES + 1]);
        assert_eq!(over.err(), Some(Problem::Overloaded));
    }

    #[tokio::test]
    async fn who_waits_is_told() {
        let memory = AnswerMemory::of(3 * SMALL_BYTES);
        let held = memory.hold(vec![7; 2 * SMALL_BYTES]).unwrap();
        let waiting = memory.clone();
        let waits = tokio::spawn(async move { waiting.room_for(2 * SMALL_BYTES).await });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(held);
        waits.await.unwrap();
    }
}
