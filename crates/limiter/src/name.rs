//! Owns the names under which buckets are kept.
//!
//! Invariant: a name is 16 bytes of HMAC-SHA-256 under a key that this process made and nobody else
//! has. It finds a bucket and tells nothing of whose it is.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Finds a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name([u8; 16]);

impl Name {
    /// A place among so many.
    pub(crate) fn place(self, places: usize) -> usize {
        let [a, b, c, d, ..] = self.0;
        usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(0) % places.max(1)
    }

    #[cfg(test)]
    pub(crate) fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// The key of this process.
pub struct Naming(Zeroizing<[u8; 32]>);

impl Naming {
    /// Takes 32 random bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// The name of a subject: its kind, and what it is made of. Each part but the last has a fixed
    /// size.
    pub(crate) fn name(&self, kind: u8, parts: &[&[u8]]) -> Name {
        let mut name = [0; 16];
        // HMAC takes a key of any length.
        if let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(self.0.as_slice()) {
            mac.update(&[kind]);
            parts.iter().for_each(|part| mac.update(part));
            for (to, from) in name.iter_mut().zip(mac.finalize().into_bytes()) {
                *to = from;
            }
        }
        Name(name)
    }
}
