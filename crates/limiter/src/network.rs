//! Owns what stands for a client's network: the front of its address, under a name.
//!
//! Invariant: an address is cut and named at once, and is kept nowhere. An IPv4 address inside an
//! IPv6 one is that IPv4 address.

use crate::name::{Name, Naming};
use core::net::{IpAddr, Ipv6Addr};

/// How much of an address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLengths {
    /// Bits of an IPv4 address: 24 to 32.
    pub ipv4_bits: u8,
    /// Bits of an IPv6 address: 48 to 64.
    pub ipv6_bits: u8,
}

impl Default for PrefixLengths {
    fn default() -> Self {
        Self {
            ipv4_bits: 32,
            ipv6_bits: 56,
        }
    }
}

/// Stands for a network as long as this process lives.
#[derive(Clone, Copy)]
pub struct NetworkName(pub(crate) Name);

impl NetworkName {
    /// The name of an address' network.
    pub fn new(address: IpAddr, lengths: PrefixLengths, naming: &Naming) -> Self {
        const KIND: u8 = 0;
        let name = match address.to_canonical() {
            IpAddr::V4(v4) => {
                let mask = u32::MAX
                    .checked_shl(32u32.saturating_sub(lengths.ipv4_bits.into()))
                    .unwrap_or(0);
                let front = u32::from(v4) & mask;
                naming.name(KIND, &[&[4], &front.to_be_bytes()])
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX
                    .checked_shl(128u32.saturating_sub(lengths.ipv6_bits.into()))
                    .unwrap_or(0);
                let front = Ipv6Addr::from(u128::from(v6) & mask);
                naming.name(KIND, &[&[6], &front.octets()])
            }
        };
        Self(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str, ipv4_bits: u8, ipv6_bits: u8) -> bool {
        let naming = Naming::new([7; 32]);
        let lengths = PrefixLengths {
            ipv4_bits,
            ipv6_bits,
        };
        let name = |text: &str| NetworkName::new(text.parse().unwrap(), lengths, &naming).0;
        name(a) == name(b)
    }

    #[test]
    fn the_front_of_an_address_counts() {
        assert!(same("192.0.2.1", "192.0.2.255", 24, 56));
        assert!(!same("192.0.2.1", "192.0.3.1", 24, 56));
        assert!(!same("192.0.2.1", "192.0.2.2", 32, 56));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::1", 32, 64));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1", 32, 64));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:3::1", 32, 48));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1", 32, 64));
    }

    #[test]
    fn another_process_has_other_names() {
        let name = |key| {
            let naming = Naming::new([key; 32]);
            let address = "192.0.2.1".parse().unwrap();
            NetworkName::new(address, PrefixLengths::default(), &naming).0
        };
        assert!(name(1) == name(1));
        assert!(name(1) != name(2));
    }
}
