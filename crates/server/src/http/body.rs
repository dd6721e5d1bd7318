//! Owns taking a request's body off the network.
//!
//! Invariant: memory is taken as bytes arrive and never beyond the limit of one body or of all
//! bodies together; whoever announces much and sends nothing holds nothing.

use super::problem::Problem;
use axum::body::{Body, Bytes, HttpBody};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies are accounted for in steps of this size: small, for readers that wait keep theirs.
const STEP_BYTES: usize = 1024;
/// All bodies together: 32 of the largest, or very many usual ones.
const ALL_BODIES_BYTES: usize = 256 * 1024 * 1024;

/// The memory for all bodies together.
#[derive(Clone)]
pub(crate) struct BodyMemory(Arc<Semaphore>);

impl BodyMemory {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BODIES_BYTES / STEP_BYTES)))
    }

    fn grow(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Problem> {
        let steps = bytes.div_ceil(STEP_BYTES);
        let have = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = u32::try_from(steps.saturating_sub(have)).map_err(|_| Problem::Overloaded)?;
        if missing == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.0)
            .try_acquire_many_owned(missing)
            .map_err(|_| Problem::Overloaded)?;
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}

/// A whole body, and its share of the memory.
pub(crate) struct Received {
    /// The body.
    pub(crate) bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

/// Reads a body of at most `limit_bytes` within `timeout`.
pub(crate) async fn receive(
    body: Body,
    limit_bytes: usize,
    timeout: Duration,
    memory: &BodyMemory,
) -> Result<Received, Problem> {
    let announced = body.size_hint().lower();
    if announced > u64::try_from(limit_bytes).unwrap_or(u64::MAX) {
        return Err(Problem::BodyTooLarge);
    }
    tokio::time::timeout(timeout, collect(body, limit_bytes, memory))
        .await
        .unwrap_or(Err(Problem::RequestTimeout))
}

async fn collect(
    mut body: Body,
    limit_bytes: usize,
    memory: &BodyMemory,
) -> Result<Received, Problem> {
    let mut held = None;
    let mut whole = Vec::new();
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let frame = match frame {
            None => break,
            Some(frame) => frame.map_err(|_| Problem::BodyIncomplete)?,
        };
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = whole.len().saturating_add(data.len());
        if length > limit_bytes {
            return Err(Problem::BodyTooLarge);
        }
        memory.grow(&mut held, length)?;
        if whole.is_empty() && body.is_end_stream() {
            // One frame is the usual case, and needs no copy.
            return Ok(Received {
                bytes: data,
                _memory: held,
            });
        }
        whole.extend_from_slice(&data);
    }
    Ok(Received {
        bytes: whole.into(),
        _memory: held,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_returned_and_bounded() {
        let memory = BodyMemory(Arc::new(Semaphore::new(2)));
        let timeout = Duration::from_secs(10);
        let body = || Body::from(vec![7; 2 * STEP_BYTES]);
        let first = receive(body(), usize::MAX, timeout, &memory).await;
        assert_eq!(first.as_ref().map(|r| r.bytes.len()), Ok(2 * STEP_BYTES));
        let second = receive(body(), usize::MAX, timeout, &memory).await;
        assert_eq!(second.err(), Some(Problem::Overloaded));
        drop(first);
        assert!(receive(body(), usize::MAX, timeout, &memory).await.is_ok());
        assert_eq!(memory.0.available_permits(), 2);
    }

    #[tokio::test]
    async fn the_limit_is_inclusive() {
        let memory = BodyMemory::new();
        let timeout = Duration::from_secs(10);
        let at = receive(Body::from(vec![0; 100]), 100, timeout, &memory).await;
        assert!(at.is_ok());
        let over = receive(Body::from(vec![0; 101]), 100, timeout, &memory).await;
        assert_eq!(over.err(), Some(Problem::BodyTooLarge));
    }
}
