//! What comes as text: names, links, the configuration.

use sordino_client::{link_from_text, link_to_text};
use sordino_server::{Config, Environment, LimitsSection};
use sordino_wire::{Domain, Handle, IdentifierUri};

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(domain) = Domain::new(text) {
        assert_eq!(domain.as_str(), text);
    }
    if let Ok(uri) = IdentifierUri::new(text) {
        assert_eq!(uri.as_str(), text);
    }
    if let Ok(handle) = Handle::new(text) {
        // Folding has an end.
        assert_eq!(Handle::new(handle.as_str()).unwrap(), handle);
    }
    if let Ok(link) = link_from_text(text) {
        let again = link_to_text(&link).unwrap();
        assert_eq!(link_from_text(&again).unwrap(), link);
    }
}

pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    let texts = [
        ("domain", "hub.example.org"),
        ("address", "127.0.0.1:8420"),
        ("uri", "mimi://hub.example.org/u/alice"),
        ("device", "mimi://hub.example.org/d/alice-phone"),
        ("handle", "Alice_2"),
        ("link", "sordino-invite:000f6875622e6578616d706c652e6f7267"),
    ];
    let seed = |(name, text): (&str, &str)| (name.to_owned(), text.as_bytes().to_vec());
    texts.into_iter().map(seed).collect()
}

/// A configuration that passes its checks is within every range.
pub(crate) fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(config) = Config::parse(text) else {
        return;
    };
    let limits: LimitsSection = config.limits;
    let plain = config.tls.is_none() && !config.behind_proxy;
    let listen = config.listen;
    if config.check(&Environment::default()).is_ok() {
        assert!((1..=300).contains(&limits.request_timeout_s));
        assert!((1..=100_000).contains(&limits.max_connections));
        assert!((1..=600).contains(&limits.shutdown_timeout_s));
        assert!(!plain || listen.ip().is_loopback());
    }
}

pub(crate) fn configuration_seeds() -> Vec<(String, Vec<u8>)> {
    let example = include_bytes!("../../deploy/sordino.example.toml");
    let least = b"domain = \"a.example\"\nlisten = \"127.0.0.1:1\"\ndata_dir = \"d\"\n";
    let seed = |name: &str, text: &[u8]| (name.to_owned(), text.to_vec());
    vec![seed("example", example), seed("least", least)]
}
