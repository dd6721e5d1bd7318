//! Owns solving a proof of work, away from the threads that do everything else.
//!
//! Invariant: what is looked for is bound to handle and account key, so that nobody else can use
//! it; whoever stops waiting stops the work.

use crate::error::{ClientError, Result};
use sordino_crypto::sha256;
use sordino_wire::{Bytes, Digest, Handle, ProofOfWorkContent, SignatureKey, encode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Between two reports of progress.
const REPORT_EVERY: u64 = 4_096;
/// More than this many bits nobody could mean.
const MAX_DIFFICULTY_BITS: u8 = 40;

/// How far a proof of work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkProgress {
    /// Numbers tried so far.
    pub tried: u64,
    /// Numbers that it takes on average: it may be done sooner or later than that.
    pub expected: u64,
}

/// Is told how a proof of work comes on, from another thread.
pub type OnWork = Arc<dyn Fn(WorkProgress) + Send + Sync>;

/// Stops the work when whoever waits for it goes away.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Looks for a solution on a thread of its own.
pub(crate) async fn solve(
    challenge: Bytes<1, 128>,
    handle: Handle,
    account_key: SignatureKey,
    difficulty_bits: u8,
    on_work: Option<OnWork>,
) -> Result<u64> {
    if difficulty_bits > MAX_DIFFICULTY_BITS {
        return Err(ClientError::BadAnswer);
    }
    let stop = Stop(Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop.0);
    let content = ProofOfWorkContent {
        challenge,
        handle,
        account_key,
        solution: 0,
    };
    let work = move || search(content, difficulty_bits, on_work.as_ref(), &stopped);
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ClientError::Unreachable)?
}

fn search(
    mut content: ProofOfWorkContent,
    difficulty_bits: u8,
    on_work: Option<&OnWork>,
    stopped: &AtomicBool,
) -> Result<u64> {
    let expected = 1u64 << difficulty_bits;
    // The number stands last, in eight bytes.
    let mut bytes = encode(&content)?;
    let place = bytes.len().saturating_sub(8);
    for solution in 0..=u64::MAX {
        content.solution = solution;
        let (_, number) = bytes
            .split_at_mut_checked(place)
            .ok_or(ClientError::OutOfBounds)?;
        number.copy_from_slice(&solution.to_be_bytes());
        if leading_zero_bits(&sha256(&bytes)) >= u32::from(difficulty_bits) {
            return Ok(solution);
        }
        if solution.is_multiple_of(REPORT_EVERY) {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            if let Some(on_work) = on_work {
                on_work(WorkProgress {
                    tried: solution,
                    expected,
                });
            }
        }
    }
    Err(ClientError::Unreachable)
}

fn leading_zero_bits(hash: &Digest) -> u32 {
    let mut bits = 0;
    for byte in hash.0 {
        bits += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn content(solution: u64) -> ProofOfWorkContent {
        ProofOfWorkContent {
            challenge: Bytes::new(vec![7; 40]).unwrap(),
            handle: Handle::new("alice").unwrap(),
            account_key: SignatureKey::new(vec![3; 32]).unwrap(),
            solution,
        }
    }

    #[tokio::test]
    async fn a_solution_is_found_and_progress_is_told() {
        let told = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&told);
        let on_work: OnWork = Arc::new(move |progress| {
            assert_eq!(progress.expected, 1 << 12);
            count.fetch_add(1, Ordering::Relaxed);
        });
        let asked = content(0);
        let (challenge, handle, key) = (asked.challenge, asked.handle, asked.account_key);
        let solution = solve(challenge, handle, key, 12, Some(on_work))
            .await
            .unwrap();
        let hash = sha256(&encode(&content(solution)).unwrap());
        assert!(leading_zero_bits(&hash) >= 12);
        assert!(told.load(Ordering::Relaxed) > 0);
    }

    #[tokio::test]
    async fn nobody_works_for_ever() {
        let asked = content(0);
        let (challenge, handle, key) = (asked.challenge, asked.handle, asked.account_key);
        let outcome = solve(challenge, handle, key, 41, None).await;
        assert!(matches!(outcome, Err(ClientError::BadAnswer)));
        let stopped = AtomicBool::new(true);
        let outcome = search(content(0), 40, None, &stopped);
        assert!(matches!(outcome, Err(ClientError::Unreachable)));
    }

    #[test]
    fn bits_are_counted_from_the_front() {
        let mut hash = Digest([0; 32]);
        assert_eq!(leading_zero_bits(&hash), 256);
        hash.0[2] = 0x10;
        assert_eq!(leading_zero_bits(&hash), 19);
        hash.0[0] = 0x80;
        assert_eq!(leading_zero_bits(&hash), 0);
    }
}
