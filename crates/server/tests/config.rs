//! What a configuration may say, and what it is told if it may not.
#![allow(clippy::unwrap_used, clippy::panic)]

use sordino_server::{
    Budgets, ClientAddress, Config, ConfigError, DomainChoice, Environment, KeyPlace, LogFormat,
    LogLevel, Registration, ServerConfig,
};
use sordino_tokens::{Operation, Price, PriceList, TokenClass};
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
    // What is no default but an example.
    let examples = ["operator_key", "client_address_header", "epoch_hours"];
    let lines = all.lines().filter(|line| {
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        !examples.contains(&key)
    });
    let all = lines.collect::<Vec<_>>().join("\n");
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
        let tokens = (
            c.tokens.prices.clone(),
            c.tokens.write_per_week,
            c.tokens.contact_per_week,
            c.tokens.epoch_s,
            c.tokens.public,
        );
        let networks = (c.client_address.clone(), c.prefix_lengths, c.budgets);
        (
            limits,
            days,
            c.behind_proxy,
            c.registration,
            tokens,
            networks,
        )
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
        "client_address_header",
        "ipv4_prefix_bits",
        "ipv6_prefix_bits",
        "budgets",
        "price_list",
        "prices",
        "write_per_week",
        "contact_per_week",
        "epoch_hours",
        "public_per_hour",
        "public_per_network_per_hour",
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
        ("limits", "ipv4_prefix_bits", "23"),
        ("limits", "ipv6_prefix_bits", "65"),
        ("tokens", "write_per_week", "0"),
        ("tokens", "contact_per_week", "513"),
        ("tokens", "epoch_hours", "23"),
        ("tokens", "epoch_hours", "721"),
        ("tokens", "public_per_hour", "1000001"),
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
fn budgets_and_prices_are_changed_by_name() {
    let config = check(&format!(
        "{MINIMAL}[limits.budgets.messages]\nburst = 7\nburst_bytes = 9\n\
         [tokens.prices]\ncreate-group = {{ class = \"contact\", tokens = 2 }}\n\
         join = {{ class = \"write\", tokens = 0 }}\n"
    ))
    .unwrap();
    let (before, messages) = (Budgets::default().messages, config.budgets.messages);
    assert_eq!(messages.requests.burst(), 7);
    assert_eq!(messages.requests.per_minute(), before.requests.per_minute());
    assert_eq!(messages.bytes.unwrap().burst(), 9);
    assert_eq!(config.budgets.network, Budgets::default().network);
    let price = |operation| config.tokens.prices.price(operation);
    let contact = Price::Tokens {
        class: TokenClass::Contact,
        tokens: 2,
        per: 1,
    };
    assert_eq!(price(Operation::CreateGroup), contact);
    assert_eq!(price(Operation::Join), Price::Free);
    let standard = PriceList::default();
    let look_up = Operation::LookUpHandle;
    assert_eq!(price(look_up), standard.price(look_up));

    for (text, part) in [
        ("[limits.budgets.colours]\nburst = 7\n", "colours"),
        ("[limits.budgets.inbox]\nburst = 0\n", "limits.budgets"),
        (
            "[limits.budgets.inbox]\nburst_bytes = 1\n",
            "inbox.burst_bytes",
        ),
        (
            "[tokens.prices.paint]\nclass = \"write\"\ntokens = 1\n",
            "paint",
        ),
        (
            "[tokens.prices.join]\nclass = \"write\"\ntokens = 9\n",
            "tokens.prices",
        ),
        (
            "[tokens.prices.join]\nclass = \"gold\"\ntokens = 1\n",
            "gold",
        ),
        ("[tokens]\nprice_list = \"cheap\"\n", "cheap"),
        (
            "[tokens]\npublic_per_hour = 5\npublic_per_network_per_hour = 0\n",
            "public_per_network_per_hour",
        ),
    ] {
        let text = refusal(&format!("{MINIMAL}{text}"));
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn price_lists_to_begin_with() {
    let prices = |text: &str| {
        let config = check(&format!("{MINIMAL}[tokens]\n{text}\n")).unwrap();
        config.tokens.prices
    };
    assert_eq!(prices(""), PriceList::default());
    assert_eq!(prices("price_list = \"standard\""), PriceList::default());
    for operation in Operation::ALL {
        let free = prices("price_list = \"free\"").price(*operation);
        assert_eq!(free, Price::Free);
        let small = prices("price_list = \"small\"").price(*operation);
        match (PriceList::default().price(*operation), small) {
            (Price::Free, Price::Free) => {}
            (Price::Tokens { class, per, .. }, small) => {
                let one = Price::Tokens {
                    class,
                    tokens: 1,
                    per,
                };
                assert_eq!(small, one);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn addresses_are_looked_for_where_they_can_be() {
    let header = "[limits]\nclient_address_header = \"x-forwarded-for\"\n";
    let proxy = "behind_proxy = true\n";
    let source = |text: &str| check(&format!("{MINIMAL}{text}")).map(|c| c.client_address);
    assert_eq!(source("").unwrap(), ClientAddress::Peer);
    assert_eq!(source(proxy).unwrap(), ClientAddress::Unknown);
    let named = ClientAddress::Header("x-forwarded-for".parse().unwrap());
    assert_eq!(source(&format!("{proxy}{header}")).unwrap(), named);
    assert!(matches!(
        source(header),
        Err(ConfigError::ClientAddressHeader)
    ));
    let bad = format!("{proxy}[limits]\nclient_address_header = \"no header\"\n");
    assert!(matches!(
        source(&bad),
        Err(ConfigError::ClientAddressHeader)
    ));
}

#[test]
fn numbers_are_shown_on_loopback_alone() {
    let metrics = |listen: &str| check(&format!("{MINIMAL}[metrics]\nlisten = \"{listen}\"\n"));
    assert!(metrics("127.0.0.1:8421").unwrap().metrics.is_some());
    assert!(matches!(
        metrics("192.0.2.1:8421"),
        Err(ConfigError::PublicMetrics { .. })
    ));
    assert_eq!(check(MINIMAL).unwrap().metrics, None);
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
