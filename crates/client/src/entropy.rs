//! Owns randomness.
//!
//! Invariant: unless a seed is given, every byte depends on the operating system's generator at
//! the time it is drawn, so that a copied process does not repeat its twin.

use openmls_traits::random::OpenMlsRand;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use std::sync::{Arc, Mutex, PoisonError};

/// A source of random bytes that clones share.
#[derive(Clone)]
pub(crate) struct Entropy(Arc<Mutex<Source>>);

struct Source {
    stream: ChaCha20Rng,
    mix_system: bool,
}

impl Entropy {
    /// The operating system's, or a stream from a seed where a test wants the same bytes again.
    pub(crate) fn new(seed: Option<[u8; 32]>) -> Result<Self, getrandom::Error> {
        let mix_system = seed.is_none();
        let seed = match seed {
            Some(seed) => seed,
            None => {
                let mut fresh = [0u8; 32];
                getrandom::fill(&mut fresh)?;
                fresh
            }
        };
        Ok(Self(Arc::new(Mutex::new(Source {
            stream: ChaCha20Rng::from_seed(seed),
            mix_system,
        }))))
    }

    fn draw(&self, into: &mut [u8]) {
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        source.stream.fill_bytes(into);
        if !source.mix_system {
            return;
        }
        let mut fresh = vec![0u8; into.len()];
        // Without the system's part, the stream, itself seeded by the system, still stands.
        if getrandom::fill(&mut fresh).is_ok() {
            for (byte, more) in into.iter_mut().zip(fresh) {
                *byte ^= more;
            }
        }
    }

    /// An array of random bytes.
    pub(crate) fn array<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0u8; N];
        self.draw(&mut bytes);
        bytes
    }

    /// A number below `bound`, for delays: slightly biased, which does not matter there.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        u64::from_be_bytes(self.array()) % bound
    }
}

impl RngCore for Entropy {
    fn next_u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    fn next_u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.draw(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.draw(dest);
        Ok(())
    }
}

impl OpenMlsRand for Entropy {
    type Error = std::convert::Infallible;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Self::Error> {
        Ok(self.array())
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Self::Error> {
        let mut bytes = vec![0u8; len];
        self.draw(&mut bytes);
        Ok(bytes)
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy(..)")
    }
}
