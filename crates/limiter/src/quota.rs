//! Owns the quota of what is given to anybody who asks, without an account: in all, and per network.
//!
//! Invariant: both are bounded, and what is refused counts against neither.

use crate::bucket::Bucket;
use crate::network::NetworkName;
use crate::rate::{Budget, Rate};
use crate::table::Table;
use sordino_effects::TooMuch;
use std::sync::{Mutex, PoisonError};

const SECOND_NS: u64 = 1_000_000_000;
/// Networks that have a bucket of their own.
const CAPACITY: usize = 16_384;

/// How much anybody gets.
pub struct Quota {
    all: Budget,
    state: Mutex<State>,
}

struct State {
    all: Bucket,
    networks: Table,
}

impl Quota {
    /// So much in all, and so much for one network.
    pub fn new(all: Rate, network: Rate) -> Self {
        let budget = |amount| Budget {
            requests: Rate::fixed(u64::MAX, u64::MAX),
            bytes: Some(amount),
        };
        Self {
            all: budget(all),
            state: Mutex::new(State {
                all: Bucket::default(),
                networks: Table::new(budget(network), CAPACITY),
            }),
        }
    }

    /// Takes an amount. Where the network is not known, what all have together counts alone.
    pub fn take(
        &self,
        network: Option<NetworkName>,
        amount: u64,
        now_s: u64,
    ) -> Result<(), TooMuch> {
        let now_ns = now_s.saturating_mul(SECOND_NS);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = state.all;
        all.take(self.all, amount, now_ns)?;
        if let Some(network) = network {
            state.networks.take(network.0, amount, now_ns)?;
        }
        state.all = all;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Naming;
    use crate::network::PrefixLengths;

    #[test]
    fn a_network_gets_its_part_and_all_get_no_more_than_all() {
        const NOW_S: u64 = 1_800_000_000;
        let quota = Quota::new(Rate::fixed(5, 60), Rate::fixed(2, 60));
        let naming = Naming::new([7; 32]);
        let network = |last: u8| {
            let address = [192, 0, 2, last].into();
            Some(NetworkName::new(address, PrefixLengths::default(), &naming))
        };
        quota.take(network(1), 2, NOW_S).unwrap();
        let refused = Err(TooMuch { retry_after_s: 1 });
        assert_eq!(quota.take(network(1), 1, NOW_S), refused);
        quota.take(network(2), 2, NOW_S).unwrap();
        assert_eq!(quota.take(network(3), 2, NOW_S), refused);
        // What was refused took nothing.
        quota.take(None, 1, NOW_S).unwrap();
        assert_eq!(quota.take(None, 1, NOW_S), refused);
        quota.take(network(3), 1, NOW_S + 1).unwrap();
    }
}
