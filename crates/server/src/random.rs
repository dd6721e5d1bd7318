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
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| NoRandomness)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}
