//! Owns finding a hub by what a person types.
//!
//! Invariant: https, but for this machine's own loopback addresses.

use super::ChatError;
use sordino_client::{Client, ClientConfig, ClientError, Domain, HubAddress};
use std::net::IpAddr;

/// The hub at a domain, or at an address with a scheme.
pub(crate) fn address(text: &str) -> Result<HubAddress, ChatError> {
    let bad = || ChatError::BadHub(text.to_owned());
    let text = text.trim().trim_end_matches('/');
    let (scheme, domain) = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), domain)) => (Some(scheme), domain),
        Some(_) => return Err(bad()),
        None => (None, text),
    };
    let domain = Domain::new(domain.to_ascii_lowercase()).map_err(|_| bad())?;
    let local = is_loopback(&domain);
    // Nobody's traffic goes over a network in the clear, whatever is typed.
    let scheme = match scheme {
        Some("http") if !local => return Err(bad()),
        Some(scheme) => scheme,
        None if local => "http",
        None => "https",
    };
    Ok(HubAddress {
        url: format!("{scheme}://{}", domain.as_str()),
        domain,
    })
}

/// Whether a hub answers there, so that a typing error shows before anything is made.
pub(super) async fn answers(config: &ClientConfig) -> Result<(), ChatError> {
    let hub = config.hub.domain.as_str();
    match Client::probe(config).await {
        Ok(()) => Ok(()),
        Err(ClientError::Unreachable) => Err(ChatError::NoHub(hub.to_owned())),
        Err(ClientError::BadAnswer | ClientError::OtherHub) => {
            Err(ChatError::BadHub(hub.to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

fn is_loopback(domain: &Domain) -> bool {
    let host = domain.as_str().split(':').next().unwrap_or_default();
    let by_number = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    by_number || host == "localhost"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_found_by_its_domain() {
        for (text, url) in [
            ("hub.example", "https://hub.example"),
            ("HUB.example:8443 ", "https://hub.example:8443"),
            ("https://hub.example/", "https://hub.example"),
            ("127.0.0.1:8420", "http://127.0.0.1:8420"),
            ("localhost:8420", "http://localhost:8420"),
            ("http://127.0.0.1:8420/", "http://127.0.0.1:8420"),
            ("https://localhost", "https://localhost"),
        ] {
            assert_eq!(address(text).unwrap().url, url);
        }
    }

    #[test]
    fn what_is_no_hub_is_refused() {
        for text in [
            "",
            "http://hub.example",
            "ftp://hub.example",
            "hub example",
            "a/b",
        ] {
            assert!(matches!(address(text), Err(ChatError::BadHub(_))), "{text}");
        }
    }
}
