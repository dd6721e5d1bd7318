//! Owns padding before sealing (design page 2.5): `uint32 length || value || zeros`.
//!
//! Invariant: a padded value opens to one value, and what fills it up is zero.

use crate::CryptoError;
use sordino_wire::limits::PADDING_FLOOR_BYTES;
use sordino_wire::padding::padme;

const LENGTH_BYTES: usize = 4;
const RECORD_FLOOR_BYTES: usize = 8 * 1024;
const DELTA_BYTES: usize = 4 * 1024;

/// The sizes that a kind of value is padded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadClass {
    /// Group records: powers of two from 8 KiB.
    PowerOfTwo,
    /// Commit deltas: 4 KiB. A larger one is an error: it becomes a snapshot.
    Delta,
    /// Messages: Padmé sizes from 512 B.
    Padme,
    /// No padding.
    None,
}

/// Pads a value to a size of its class; the length prefix counts.
pub fn pad(value: &[u8], class: PadClass) -> Result<Vec<u8>, CryptoError> {
    let size = value
        .len()
        .checked_add(LENGTH_BYTES)
        .ok_or(CryptoError::Length)?;
    let padded = match class {
        PadClass::PowerOfTwo => size
            .checked_next_power_of_two()
            .ok_or(CryptoError::Length)?
            .max(RECORD_FLOOR_BYTES),
        PadClass::Delta => DELTA_BYTES,
        PadClass::Padme => padme(size).max(PADDING_FLOOR_BYTES),
        PadClass::None => size,
    };
    pad_to(value, padded)
}

/// Pads a value to one size.
pub(crate) fn pad_to(value: &[u8], size: usize) -> Result<Vec<u8>, CryptoError> {
    let length = u32::try_from(value.len()).map_err(|_| CryptoError::Length)?;
    if value
        .len()
        .checked_add(LENGTH_BYTES)
        .is_none_or(|l| l > size)
    {
        return Err(CryptoError::Length);
    }
    let mut padded = Vec::with_capacity(size);
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(value);
    padded.resize(size, 0);
    Ok(padded)
}

/// The value inside; padding that is not zero is refused.
pub fn unpad(padded: &[u8]) -> Result<&[u8], CryptoError> {
    let (length, rest) = padded
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or(CryptoError::Padding)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| CryptoError::Padding)?;
    let (value, zeros) = rest.split_at_checked(length).ok_or(CryptoError::Padding)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(CryptoError::Padding);
    }
    Ok(value)
}
