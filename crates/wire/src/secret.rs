//! Owns the newtype for secret bytes that travel in requests.
//!
//! Invariant: wiped on drop, compared in constant time, never printed, never cloned by accident.

use std::io::Write;
use subtle::ConstantTimeEq;
use tls_codec::{DeserializeBytes, Error, Serialize, Size};
use zeroize::Zeroizing;

/// 32 secret bytes: a key on its way between a client and its hub.
pub struct Secret32(Zeroizing<[u8; 32]>);

impl Secret32 {
    /// Takes the bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for a key derivation.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second copy, where one request legitimately carries a key twice or keeps it.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl PartialEq for Secret32 {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for Secret32 {}

impl std::fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret32(..)")
    }
}

impl Size for Secret32 {
    fn tls_serialized_len(&self) -> usize {
        32
    }
}

impl Serialize for Secret32 {
    fn tls_serialize<W: Write>(&self, writer: &mut W) -> Result<usize, Error> {
        writer.write_all(&*self.0)?;
        Ok(32)
    }
}

impl DeserializeBytes for Secret32 {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (contents, rest) = <[u8; 32]>::tls_deserialize_bytes(bytes)?;
        Ok((Self::new(contents), rest))
    }
}
