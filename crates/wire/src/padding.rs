//! Owns padding: sizes by Padmé (Nikitin et al., PETS 2019) with a floor, filled with zero bytes.
//!
//! Invariant: a padded value has exactly one encoding; other padding is refused.

use crate::bytes::{prefix_bytes, read_length};
use crate::limits::PADDING_FLOOR_BYTES;
use std::io::Write;
use tls_codec::{DeserializeBytes, Error, Serialize, Size};

/// The Padmé size for `length` bytes: at most 12 % more, O(log log) bits of leakage.
pub fn padme(length: usize) -> usize {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let significant = exponent.ilog2() + 1;
    let mask = (1usize << exponent.saturating_sub(significant)) - 1;
    (length + mask) & !mask
}

/// The size of a request or answer of `length` bytes after padding.
pub fn padded_size(length: usize) -> usize {
    padme(length).max(PADDING_FLOOR_BYTES)
}

/// `opaque padding<V>` of zero bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    length: usize,
}

impl Padding {
    /// Padding that brings `unpadded` bytes (without this field) to a padded size.
    pub fn for_size(unpadded: usize) -> Self {
        let mut target = padded_size(unpadded + 1);
        loop {
            // A prefix of 1, 2 or 4 bytes can leave a size that no padding hits; then go one up.
            let room = target.saturating_sub(unpadded);
            for prefix in [1usize, 2, 4] {
                if let Some(length) = room.checked_sub(prefix)
                    && prefix_bytes(length) == prefix
                {
                    return Self { length };
                }
            }
            target = padded_size(target + 1);
        }
    }
}

impl Size for Padding {
    fn tls_serialized_len(&self) -> usize {
        prefix_bytes(self.length) + self.length
    }
}

impl Serialize for Padding {
    fn tls_serialize<W: Write>(&self, writer: &mut W) -> Result<usize, Error> {
        let zeros = vec![0u8; self.length];
        tls_codec::VLByteSlice(&zeros).tls_serialize(writer)
    }
}

impl DeserializeBytes for Padding {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (length, after) = read_length(bytes)?;
        let contents = after.get(..length).ok_or(Error::EndOfStream)?;
        let rest = after.get(length..).ok_or(Error::EndOfStream)?;
        if contents.iter().any(|b| *b != 0) {
            return Err(Error::DecodingError("padding is not zero".into()));
        }
        Ok((Self { length }, rest))
    }
}
