//! Owns from which network a request comes, where that is known.
//!
//! Invariant: an address becomes a name at once (see `sordino_limiter`), and only where it is a
//! client's: loopback is a proxy's or a developer's, and behind a proxy nothing but the header that
//! the operator named is looked at.

use crate::clock::Clock;
use crate::settings::ClientAddress;
use axum::http::HeaderMap;
use sordino_effects::TooMuch;
use sordino_limiter::{Limits, NetworkName, PrefixLengths};
use std::net::IpAddr;
use std::sync::Arc;

/// Tells networks apart, and when one of them asks too much.
pub(crate) struct Networks {
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    source: ClientAddress,
    lengths: PrefixLengths,
}

impl Networks {
    pub(crate) fn new(
        limits: Arc<Limits>,
        clock: Arc<dyn Clock>,
        source: ClientAddress,
        lengths: PrefixLengths,
    ) -> Self {
        Self {
            limits,
            clock,
            source,
            lengths,
        }
    }

    /// The network of a connection's other end.
    pub(super) fn of_peer(&self, address: IpAddr) -> Option<NetworkName> {
        match self.source {
            ClientAddress::Peer => self.name(address),
            ClientAddress::Unknown | ClientAddress::Header(_) => None,
        }
    }

    /// The network of a request: its connection's, or what the proxy says.
    pub(super) fn of_request(
        &self,
        peer: Option<NetworkName>,
        headers: &HeaderMap,
    ) -> Option<NetworkName> {
        match &self.source {
            ClientAddress::Peer => peer,
            ClientAddress::Unknown => None,
            ClientAddress::Header(name) => {
                // The last one is what the proxy itself has seen; those before are hearsay.
                let last = headers.get_all(name).iter().next_back()?.to_str().ok()?;
                let address = last.rsplit(',').next()?.trim();
                self.name(address.parse().ok()?)
            }
        }
    }

    /// Counts a request of a network, where one is known.
    pub(super) fn admit(&self, network: Option<NetworkName>) -> Result<(), TooMuch> {
        match network {
            Some(network) => self.limits.take_network(network, self.clock.now_s()),
            None => Ok(()),
        }
    }

    fn name(&self, address: IpAddr) -> Option<NetworkName> {
        if address.to_canonical().is_loopback() {
            return None;
        }
        let naming = self.limits.naming();
        Some(NetworkName::new(address, self.lengths, naming))
    }
}
