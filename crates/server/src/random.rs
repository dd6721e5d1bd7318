//! Owns randomness: one generator per piece of work, seeded by the system.
//!
//! Invariant: no generator is shared or outlives its work, so none can be read out of memory.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

/// The system gives no randomness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRandomness;

/// A fresh generator.
pub(crate) fn generator() -> Result<ChaCha20Rng, NoRandomness> {
    #[cfg(feature = "simulation")]
    if let Some(seed) = simulated::seed() {
        return Ok(ChaCha20Rng::from_seed(seed));
    }
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| NoRandomness)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

/// Seeds for worlds that are to be played again, in the threads that say so alone.
#[cfg(feature = "simulation")]
pub(crate) mod simulated {
    use rand_chacha::ChaCha20Rng;
    use rand_core::{RngCore, SeedableRng};
    use std::cell::RefCell;
    use std::sync::{Arc, Mutex, PoisonError};

    /// A source of seeds that threads share.
    #[derive(Clone)]
    pub struct Seeds(Arc<Mutex<ChaCha20Rng>>);

    thread_local! {
        static SEEDS: RefCell<Option<Seeds>> = const { RefCell::new(None) };
    }

    impl Seeds {
        /// The source of one world.
        #[must_use]
        pub fn new(seed: u64) -> Self {
            Self(Arc::new(Mutex::new(ChaCha20Rng::seed_from_u64(seed))))
        }

        /// Lets this thread draw from it from now on, as often as no other one does at the same
        /// time.
        pub fn install(&self) {
            SEEDS.set(Some(self.clone()));
        }
    }

    impl std::fmt::Debug for Seeds {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Seeds(..)")
        }
    }

    pub(super) fn seed() -> Option<[u8; 32]> {
        SEEDS.with_borrow(|seeds| {
            let source = &seeds.as_ref()?.0;
            let mut seed = [0; 32];
            source
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .fill_bytes(&mut seed);
            Some(seed)
        })
    }
}
