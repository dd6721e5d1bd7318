//! Owns the bounded byte strings and lists of the wire.
//!
//! Invariant: length is minimal (RFC 9420 section 2.1.2) and within the type's bounds, checked
//! before anything is allocated for the contents.

use std::io::Write;
use tls_codec::{DeserializeBytes, Error, Serialize, Size};

/// `opaque bytes<MIN..MAX>` with RFC 9420's variable-length prefix.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Bytes<const MIN: usize, const MAX: usize>(Vec<u8>);

impl<const MIN: usize, const MAX: usize> Bytes<MIN, MAX> {
    /// Takes bytes whose length is within the bounds.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, OutOfBounds> {
        let bytes = bytes.into();
        if bytes.len() < MIN || bytes.len() > MAX {
            return Err(OutOfBounds);
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, given away.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl<const MIN: usize, const MAX: usize> AsRef<[u8]> for Bytes<MIN, MAX> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> std::fmt::Debug for Bytes<MIN, MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({} B)", self.0.len())
    }
}

/// A value was outside the bounds of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a length is outside the bounds of its type")]
pub struct OutOfBounds;

impl<const MIN: usize, const MAX: usize> Size for Bytes<MIN, MAX> {
    fn tls_serialized_len(&self) -> usize {
        tls_codec::VLByteSlice(&self.0).tls_serialized_len()
    }
}

impl<const MIN: usize, const MAX: usize> Serialize for Bytes<MIN, MAX> {
    fn tls_serialize<W: Write>(&self, writer: &mut W) -> Result<usize, Error> {
        tls_codec::VLByteSlice(&self.0).tls_serialize(writer)
    }
}

impl<const MIN: usize, const MAX: usize> DeserializeBytes for Bytes<MIN, MAX> {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (length, after) = read_length(bytes)?;
        if length < MIN || length > MAX {
            return Err(Error::DecodingError("length out of bounds".into()));
        }
        let contents = after.get(..length).ok_or(Error::EndOfStream)?;
        let rest = after.get(length..).ok_or(Error::EndOfStream)?;
        Ok((Self(contents.to_vec()), rest))
    }
}

/// A list of at most `MAX` elements, its length prefix counting bytes (RFC 9420 `T list<V>`).
#[derive(Clone, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> List<T, MAX> {
    /// Takes at most `MAX` elements.
    pub fn new(elements: Vec<T>) -> Result<Self, OutOfBounds> {
        if elements.len() > MAX {
            return Err(OutOfBounds);
        }
        Ok(Self(elements))
    }

    /// The elements.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// The elements, given away.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The elements in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T: std::fmt::Debug, const MAX: usize> std::fmt::Debug for List<T, MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "List({} elements)", self.0.len())
    }
}

impl<T: Size, const MAX: usize> Size for List<T, MAX> {
    fn tls_serialized_len(&self) -> usize {
        self.0.tls_serialized_len()
    }
}

impl<T: Serialize + std::fmt::Debug, const MAX: usize> Serialize for List<T, MAX> {
    fn tls_serialize<W: Write>(&self, writer: &mut W) -> Result<usize, Error> {
        self.0.tls_serialize(writer)
    }
}

impl<T: DeserializeBytes + Size, const MAX: usize> DeserializeBytes for List<T, MAX> {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (length, after) = read_length(bytes)?;
        let mut contents = after.get(..length).ok_or(Error::EndOfStream)?;
        let rest = after.get(length..).ok_or(Error::EndOfStream)?;
        let mut elements = Vec::new();
        while !contents.is_empty() {
            if elements.len() == MAX {
                return Err(Error::DecodingError("too many elements".into()));
            }
            let (element, remaining) = T::tls_deserialize_bytes(contents)?;
            if remaining.len() == contents.len() {
                return Err(Error::DecodingError("an element of no size".into()));
            }
            elements.push(element);
            contents = remaining;
        }
        Ok((Self(elements), rest))
    }
}

/// Reads a variable-length prefix: `(length, what follows)`. Non-minimal forms are refused.
///
/// Not `tls_codec::VLBytes`: debug builds of it panic on truncated input.
pub(crate) fn read_length(bytes: &[u8]) -> Result<(usize, &[u8]), Error> {
    let (first, rest) = bytes.split_first().ok_or(Error::EndOfStream)?;
    let extra = match first >> 6 {
        0 => 0usize,
        1 => 1,
        2 => 3,
        _ => return Err(Error::InvalidVectorLength),
    };
    let more = rest.get(..extra).ok_or(Error::EndOfStream)?;
    let mut length = usize::from(first & 0x3f);
    for byte in more {
        length = (length << 8) | usize::from(*byte);
    }
    let minimal = match extra {
        0 => true,
        1 => length >= 0x40,
        _ => length >= 0x4000,
    };
    if !minimal {
        return Err(Error::InvalidVectorLength);
    }
    Ok((length, rest.get(extra..).ok_or(Error::EndOfStream)?))
}

/// The number of bytes a length prefix takes for a vector of `length` bytes.
pub(crate) fn prefix_bytes(length: usize) -> usize {
    match length {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        _ => 4,
    }
}

/// Reads a whole value; trailing bytes are refused.
pub fn exact<T: DeserializeBytes>(bytes: &[u8]) -> Result<T, Error> {
    T::tls_deserialize_exact_bytes(bytes)
}

/// Serialises a value whose size is bounded by its type.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    value.tls_serialize_detached()
}
