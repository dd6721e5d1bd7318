//! Owns the derivations by which a log's rows are found and its numbers hidden.
//!
//! Invariant: without the 32-byte handle no two rows of one log can be told to belong together.
//! Changing anything here makes existing files unreadable; a golden test holds it still.

use crate::types::LogHandle;
use sha2::{Digest, Sha256};

const START: &[u8] = b"Sordino 1.0 log start";
const ENTRY: &[u8] = b"Sordino 1.0 log entry";
const HEAD: &[u8] = b"Sordino 1.0 log head";
const MASK: &[u8] = b"Sordino 1.0 log mask";
const SALT: &[u8] = b"Sordino 1.0 log salt";
const OUTBOX: &[u8] = b"Sordino 1.0 outbox start";

impl LogHandle {
    /// The number of the first entry: below 2^32, derived from the handle, so that the number
    /// of the latest entry does not tell how many there were.
    pub fn start(&self) -> u64 {
        u64::from(u32::from_be_bytes(hash(START, &[&self.0])))
    }
}

/// The row key of an entry: 16 B.
pub(crate) fn entry_key(log: &LogHandle, number: u64) -> [u8; 16] {
    hash(ENTRY, &[&log.0, &number.to_be_bytes()])
}

/// The row key of a log's head: 16 B.
pub(crate) fn head_key(log: &LogHandle) -> [u8; 16] {
    hash(HEAD, &[&log.0])
}

/// What the next number is XORed with in the head row: 8 B.
pub(crate) fn head_mask(log: &LogHandle, salt: &[u8; 16]) -> u64 {
    u64::from_be_bytes(hash(MASK, &[&log.0, salt]))
}

/// The salt of the mask. Unpredictable because an appended value begins with random bytes, and
/// not equal to them: otherwise the head row would point at the log's latest entry.
pub(crate) fn head_salt(log: &LogHandle, next: u64, value: &[u8]) -> [u8; 16] {
    let fresh = value.first_chunk::<16>().copied().unwrap_or_default();
    hash(SALT, &[&log.0, &next.to_be_bytes(), &fresh])
}

/// Where an empty outbox queue begins: 56 bits from the first value. A queue that ran empty thus
/// begins elsewhere, and a late acknowledgement of its former entries hits nothing.
pub(crate) fn outbox_start(value: &[u8]) -> u64 {
    let digest: [u8; 8] = hash(OUTBOX, &[value]);
    u64::from_be_bytes(digest) >> 8
}

fn hash<const N: usize>(label: &[u8], parts: &[&[u8]]) -> [u8; N] {
    let mut sha = Sha256::new();
    sha.update(label);
    for part in parts {
        sha.update(part);
    }
    let mut out = [0; N];
    for (o, b) in out.iter_mut().zip(sha.finalize()) {
        *o = b;
    }
    out
}
