//! What a configuration may say, and what it is told if it may not.
#![allow(clippy::unwrap_used, clippy::panic)]

use sordino_server::{
    Config, ConfigError, DomainChoice, Environment, KeyPlace, LogFormat, LogLevel, Registration,
    ServerConfig,
};
use std::path::PathBuf;

const MINIMAL: &str = "domain = \"hub.example.org\"\nlisten = \"127.0.0.1:0\"\ndata_dir = \"/d\"\n";
const EXAMPLE: &str = include_str!("../../../deploy/sordino.example.toml");

fn check(text: &str) -> Result<ServerConfig, ConfigError> {
    Config::parse(text)?.check(&Environment::default())
}

fn refusal(text: &str) -> String {
    check(text).unwrap_err().to_string()
}

#[test]
fn the_example_parses_and_shows_the_defaults() {
    let shown = check(EXAMPLE).unwrap();
    assert!(shown.tls.is_some());

    // With its comments removed it says the same, so what it shows as defaults are the defaults.
    let mut all = String::new();
    for line in EXAMPLE.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
        let is_key = bare
            .split_once(" = ")
            .is_some_and(|(key, _)| key.bytes().all(plain));
        if is_key || line.starts_with('[') {
            all.push_str(bare);
            all.push('\n');
        }
    }
    let all = all.replace("operator_key = \"/etc/sordino/operator.key\"\n", "");
    let all = Config::parse(&all).unwrap();
    assert_eq!(all.log.level, LogLevel::default());
    assert_eq!(all.log.format, LogFormat::default());
    let all = all.check(&Environment::default()).unwrap();
    let config = |c: &ServerConfig| {
        let l = c.limits;
        let limits = (
            l.body_bytes,
            l.request_timeout_s,
            l.max_connections,
            l.shutdown_timeout_s,
        );
        let days = (c.stream_entry_days, c.inactive_days);
        (limits, days, c.behind_proxy, c.registration)
    };
    assert_eq!(config(&all), config(&shown));
}

#[test]
fn every_key_is_in_the_example() {
    let keys = [
        "domain",
        "listen",
        "data_dir",
        "operator_key",
        "behind_proxy",
        "cert",
        "key",
        "registration",
        "difficulty_bits",
        "stream_entry_days",
        "inactive_days",
        "body_bytes",
        "request_timeout_s",
        "max_connections",
        "shutdown_timeout_s",
        "level",
        "format",
    ];
    for key in keys {
        let documented = EXAMPLE.lines().any(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            bare.starts_with(&format!("{key} = "))
        });
        assert!(documented, "{key} is not in the example");
    }
}

#[test]
fn unknown_keys_are_refused_with_key_and_line() {
    let text = refusal(&format!("{MINIMAL}colour = \"blue\"\n"));
    assert!(text.contains("colour") && text.contains("line 4"), "{text}");
    let text = refusal(&format!("{MINIMAL}\n[limits]\nbody_byte = 1\n"));
    assert!(
        text.contains("body_byte") && text.contains("line 6"),
        "{text}"
    );
    let text = refusal("listen = \"127.0.0.1:0\"\ndata_dir = \"/d\"\n");
    assert!(text.contains("domain"), "{text}");
}

#[test]
fn values_out_of_range_are_refused() {
    for (section, key, value) in [
        ("limits", "body_bytes", "8388609"),
        ("limits", "body_bytes", "100"),
        ("limits", "request_timeout_s", "0"),
        ("limits", "max_connections", "0"),
        ("limits", "shutdown_timeout_s", "601"),
        ("retention", "stream_entry_days", "91"),
        ("retention", "inactive_days", "1"),
    ] {
        let text = refusal(&format!("{MINIMAL}[{section}]\n{key} = {value}\n"));
        assert!(text.contains(key) && text.contains(value), "{text}");
    }
    for domain in [
        "",
        "Hub.example.org",
        "https://hub.example.org",
        "hub example",
        "hub_x",
    ] {
        let text = refusal(&MINIMAL.replace("hub.example.org", domain));
        assert!(text.starts_with("domain:"), "{text}");
    }
    for level in ["trace", "INFO", "everything"] {
        let text = refusal(&format!("{MINIMAL}[log]\nlevel = \"{level}\"\n"));
        assert!(text.contains(level), "{text}");
    }
}

#[test]
fn the_operator_says_who_may_register() {
    let registration = |text: &str| {
        let checked = check(&format!("{MINIMAL}[accounts]\n{text}"));
        checked.map(|config| config.registration)
    };
    let work = |difficulty_bits| Registration::ProofOfWork { difficulty_bits };
    let good = [
        ("", Registration::Invitation),
        ("registration = \"invitation\"", Registration::Invitation),
        ("registration = \"closed\"", Registration::Closed),
        ("registration = \"proof_of_work\"", work(24)),
        (
            "registration = \"proof_of_work\"\ndifficulty_bits = 40",
            work(40),
        ),
    ];
    for (text, expected) in good {
        assert_eq!(registration(text).unwrap(), expected, "{text}");
    }
    let odd = registration("registration = \"open\"").unwrap_err();
    assert!(odd.to_string().contains("proof_of_work"), "{odd}");
    for bits in ["0", "41"] {
        let text = format!("registration = \"proof_of_work\"\ndifficulty_bits = {bits}");
        let refused = registration(&text).unwrap_err().to_string();
        assert!(refused.contains("difficulty_bits"), "{refused}");
    }
}

#[test]
fn plain_http_stays_on_loopback() {
    let open = MINIMAL.replace("127.0.0.1", "192.0.2.1");
    assert!(matches!(check(&open), Err(ConfigError::PlainHttp { .. })));
    assert!(check(&MINIMAL.replace("127.0.0.1:0", "[::1]:0")).is_ok());
    assert!(check(&format!("{open}behind_proxy = true\n")).is_ok());
    let tls = "[tls]\ncert = \"c\"\nkey = \"k\"\n";
    assert!(check(&format!("{open}{tls}")).is_ok());
    let both = check(&format!("{open}behind_proxy = true\n{tls}"));
    assert!(matches!(both, Err(ConfigError::ProxyAndTls)));
}

#[test]
fn the_operator_key_is_looked_for_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let place = |configured: Option<&str>, variable: Option<&str>, credentials: bool| {
        let environment = Environment {
            operator_key_file: variable.map(PathBuf::from),
            credentials_directory: credentials.then(|| folder.path().to_owned()),
        };
        sordino_server::key_place(configured.map(PathBuf::from), &environment)
    };
    let file = |name: &str| KeyPlace::File(name.into());
    assert_eq!(place(Some("/c"), Some("/v"), true), file("/v"));
    assert_eq!(place(Some("/c"), None, true), file("/c"));
    // A unit may have other credentials and no such one.
    assert_eq!(place(None, None, true), KeyPlace::DataFolder);
    let credential = folder.path().join("operator_key");
    std::fs::write(&credential, "").unwrap();
    assert_eq!(place(None, None, true), KeyPlace::Credential(credential));
    assert_eq!(place(None, None, false), KeyPlace::DataFolder);
}

#[test]
fn development_needs_no_configuration() {
    let config = ServerConfig::dev(None, None);
    assert!(config.check().is_ok());
    assert!(config.listen.ip().is_loopback());
    assert!(matches!(config.domain, DomainChoice::Listening));
}
