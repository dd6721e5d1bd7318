//! Owns padding before sealing (design page 2.5): `uint32 length || value || zeros`.
//!
//! Invariant: a padded value opens to one value, and what fills it up is zero.

use crate::CryptoError;
use sordino_wire::limits::PADDING_FLOOR_BYTES;
use sordino_wire::padding::padme;

const LENGTH_BYTES: usize = 4;
/// What both seals add, and what a store writes beside a value: with them, a record fits into a
/// page of a power of two.
const SEALS_BYTES: usize = 256;
const RECORD_FLOOR_BYTES: usize = 8 * 1024;
const DELTA_BYTES: usize = 4 * 1024 - SEALS_BYTES;
const POOL_BYTES: usize = 16 * 1024 - SEALS_BYTES;

/// The largest value that is padded as a delta.
pub const MAX_DELTA_BYTES: usize = DELTA_BYTES - LENGTH_BYTES;

/// The sizes that a kind of value is padded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadClass {
    /// Group records: powers of two from 8 KiB, less 256 B for the seals.
    PowerOfTwo,
    /// Commit deltas: 3,840 B. A larger one is an error: it becomes a snapshot.
    Delta,
    /// What names the key-package sets for one contact: 16,128 B. A larger one is an error.
    Pool,
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
            .checked_add(SEALS_BYTES)
            .and_then(usize::checked_next_power_of_two)
            .ok_or(CryptoError::Length)?
            .max(RECORD_FLOOR_BYTES)
            .saturating_sub(SEALS_BYTES),
        PadClass::Delta => DELTA_BYTES,
        PadClass::Pool => POOL_BYTES,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLASSES: [PadClass; 5] = [
        PadClass::PowerOfTwo,
        PadClass::Delta,
        PadClass::Pool,
        PadClass::Padme,
        PadClass::None,
    ];

    #[test]
    fn sizes_are_those_of_the_class() {
        let size = |length, class| pad(&vec![1; length], class).map(|padded| padded.len());
        assert_eq!(size(0, PadClass::PowerOfTwo), Ok(7_936));
        assert_eq!(size(0, PadClass::Pool), Ok(16_128));
        assert_eq!(size(16_124, PadClass::Pool), Ok(16_128));
        assert_eq!(size(16_125, PadClass::Pool), Err(CryptoError::Length));
        assert_eq!(size(7_932, PadClass::PowerOfTwo), Ok(7_936));
        assert_eq!(size(7_933, PadClass::PowerOfTwo), Ok(16_128));
        assert_eq!(size(0, PadClass::Delta), Ok(3_840));
        assert_eq!(size(3_836, PadClass::Delta), Ok(3_840));
        assert_eq!(size(3_837, PadClass::Delta), Err(CryptoError::Length));
        assert_eq!(size(0, PadClass::Padme), Ok(512));
        assert_eq!(size(508, PadClass::Padme), Ok(512));
        assert_eq!(size(509, PadClass::Padme), Ok(padme(513)));
        assert_eq!(size(3, PadClass::None), Ok(7));
    }

    #[test]
    fn padding_that_is_not_zero_is_refused() {
        let padded = pad(b"value", PadClass::Padme).unwrap();
        for index in 9..padded.len() {
            let mut other = padded.clone();
            other[index] = 1;
            assert_eq!(unpad(&other), Err(CryptoError::Padding));
        }
    }

    #[test]
    fn lengths_beyond_the_end_are_refused() {
        for bytes in [&[][..], &[0, 0, 0], &[0, 0, 0, 1], &[255, 255, 255, 255, 0]] {
            assert_eq!(unpad(bytes), Err(CryptoError::Padding));
        }
        assert_eq!(unpad(&[0; 4]), Ok(&[][..]));
    }

    proptest! {
        #[test]
        fn what_is_padded_is_unpadded(value in prop::collection::vec(any::<u8>(), 0..20_000)) {
            for class in CLASSES {
                match pad(&value, class) {
                    Ok(padded) => prop_assert_eq!(unpad(&padded), Ok(value.as_slice())),
                    Err(_) => {
                        let limit = match class {
                            PadClass::Delta => 3_836,
                            PadClass::Pool => 16_124,
                            _ => usize::MAX,
                        };
                        prop_assert!(value.len() > limit);
                    }
                }
            }
        }

        #[test]
        fn anything_may_be_unpadded(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = unpad(&bytes) {
                prop_assert!(value.len() + 4 <= bytes.len());
            }
        }
    }
}
