//! Owns the bridge between the workspace's random generators and those of the token libraries.

use rand_core::RngCore;
use rand_core_10::{TryCryptoRng, TryRng};
use std::convert::Infallible;

/// A caller's generator (rand_core 0.6) as the libraries want it (0.10).
pub(crate) struct Lent<'a, R: RngCore + ?Sized>(pub(crate) &'a mut R);

impl<R: RngCore + ?Sized> TryRng for Lent<'_, R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(destination);
        Ok(())
    }
}

impl<R: RngCore + ?Sized> TryCryptoRng for Lent<'_, R> {}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    #[test]
    fn a_library_gets_what_the_generator_gives() {
        let mut own = ChaCha20Rng::seed_from_u64(1);
        let mut lent = own.clone();
        let mut lent = Lent(&mut lent);
        assert_eq!(lent.try_next_u32(), Ok(own.next_u32()));
        assert_eq!(lent.try_next_u64(), Ok(own.next_u64()));
        let (mut one, mut other) = ([0; 32], [0; 32]);
        own.fill_bytes(&mut one);
        assert_eq!(lent.try_fill_bytes(&mut other), Ok(()));
        assert_eq!(one, other);
    }
}
