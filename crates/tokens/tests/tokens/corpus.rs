//! Replays the corpus: seeds for fuzzers, and whatever made a parser misbehave.

use crate::golden::writing;
use crate::support::{Hub, NOW_S, challenge, folder};
use proptest::prelude::*;
use sordino_tokens::{
    BatchLimits, Draw, OfferedChallenge, PriceList, RequestForm, TokenType, generic_request,
    parse_amortised_response, parse_authorization, parse_directory, parse_generic_response,
    parse_issue_request, parse_price_list, parse_single_response, parse_stored_draw,
    parse_stored_key, parse_token, parse_token_challenge, parse_www_authenticate,
    write_authorization, write_reserved_challenge, write_www_authenticate,
};

type Parser = (&'static str, fn(&[u8]) -> bool);

fn text(bytes: &[u8], parse: impl Fn(&str) -> bool) -> bool {
    std::str::from_utf8(bytes).is_ok_and(parse)
}

fn issue(form: RequestForm, bytes: &[u8]) -> bool {
    parse_issue_request(form, bytes, &BatchLimits::default()).is_ok_and(|request| {
        assert!(!request.asked().is_empty());
        true
    })
}

/// Every parser, and whether it accepts.
const PARSERS: [Parser; 14] = [
    ("token", |b| parse_token(b).is_ok()),
    ("token_challenge", |b| {
        let parsed = parse_token_challenge(b);
        parsed.is_ok_and(|challenge| {
            assert_eq!(challenge.to_bytes(), b);
            true
        })
    }),
    ("single_request", |b| issue(RequestForm::Single, b)),
    ("amortised_request", |b| issue(RequestForm::Amortised, b)),
    ("generic_request", |b| issue(RequestForm::Generic, b)),
    ("single_response", |b| {
        TokenType::ALL
            .iter()
            .any(|t| parse_single_response(*t, b).is_some())
    }),
    ("amortised_response", |b| {
        TokenType::ALL
            .iter()
            .any(|t| parse_amortised_response(*t, b).is_some())
    }),
    ("generic_response", |b| {
        parse_generic_response(b, 100).is_some()
    }),
    ("www_authenticate", |b| {
        text(b, |t| {
            parse_www_authenticate(t).is_ok_and(|c| !c.is_empty())
        })
    }),
    ("authorization", |b| {
        text(b, |t| parse_authorization(t).is_ok())
    }),
    ("directory", |b| {
        parse_directory(b).is_ok_and(|directory| {
            assert_eq!(
                parse_directory(directory.to_json().as_bytes()),
                Ok(directory)
            );
            true
        })
    }),
    ("price_list", |b| {
        parse_price_list(b).is_ok_and(|list| {
            assert_eq!(parse_price_list(list.to_json().as_bytes()), Ok(list));
            true
        })
    }),
    ("stored_key", |b| {
        parse_stored_key(b).is_ok_and(|key| {
            assert_eq!(key.to_stored().unwrap().expose(), b);
            true
        })
    }),
    ("stored_draw", |b| {
        parse_stored_draw(b).is_ok_and(|draw| {
            assert_eq!(*draw.to_stored().unwrap(), b);
            true
        })
    }),
];

fn valid() -> Vec<(String, Vec<u8>)> {
    let mut hub = Hub::new();
    let mut seeds = Vec::new();
    let mut add =
        |parser: &str, what: &str, bytes: Vec<u8>| seeds.push((format!("{parser}-{what}"), bytes));
    for token_type in TokenType::ALL {
        let name = format!("type{}", token_type.code());
        let draw = hub.draw(token_type, 1);
        let answer = hub.answer(&draw);
        let token = draw.finish(&answer).unwrap().pop().unwrap();
        add("single_request", &name, draw.request().unwrap());
        add("single_response", &name, answer);
        add("token", &name, token.as_bytes().to_vec());
        add(
            "authorization",
            &name,
            write_authorization(token.as_bytes()).as_bytes().to_vec(),
        );
        add("token_challenge", &name, challenge(token_type).to_bytes());
        add("stored_draw", &name, draw.to_stored().unwrap().to_vec());
        add(
            "stored_key",
            &name,
            hub.key(token_type).to_stored().unwrap().expose().to_vec(),
        );
        let offered = OfferedChallenge {
            challenge: challenge(token_type),
            token_key: Some(hub.listed(token_type).public_key),
            max_age_s: Some(60),
        };
        let reserved = write_reserved_challenge(&mut hub.rng);
        let header = format!("{reserved}, {}", write_www_authenticate(&[offered]));
        add("www_authenticate", &name, header.into_bytes());
        if token_type.is_amortised() {
            let batch = hub.draw(token_type, 3);
            add("amortised_response", &name, hub.answer(&batch));
            add("amortised_request", &name, batch.request().unwrap());
            add(
                "stored_draw",
                &format!("batch-{name}"),
                batch.to_stored().unwrap().to_vec(),
            );
        }
    }
    let draws: Vec<Draw> = TokenType::ALL.into_iter().map(|t| hub.draw(t, 1)).collect();
    let body = generic_request(&draws).unwrap();
    add(
        "generic_response",
        "all-types",
        hub.issue(RequestForm::Generic, &body).unwrap().body,
    );
    add("generic_request", "all-types", body);
    add(
        "directory",
        "all-types",
        hub.keys
            .directory("/token-request", NOW_S)
            .to_json()
            .into_bytes(),
    );
    add(
        "price_list",
        "default",
        PriceList::default().to_json().into_bytes(),
    );
    seeds
}

/// Valid inputs, and ones that are wrong in a way each.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (index, (name, bytes)) in valid().into_iter().enumerate() {
        let mut changed = bytes.clone();
        match index % 4 {
            0 => changed.truncate(bytes.len() / 2),
            1 => changed.push(b'"'),
            2 => changed[0] ^= 0xff,
            _ => changed.truncate(bytes.len() - 1),
        }
        seeds.push((format!("{name}-changed.bin"), changed));
        seeds.push((format!("{name}-valid.bin"), bytes));
    }
    seeds
}

#[test]
fn replaying_the_corpus_never_panics() {
    if writing() {
        for (name, bytes) in seeds() {
            std::fs::write(folder("corpus").join(name), bytes).unwrap();
        }
    }
    let mut files = 0;
    for entry in std::fs::read_dir(folder("corpus")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let parser = name.split('-').next().unwrap();
        let own = PARSERS.iter().find(|(known, _)| *known == parser);
        let (_, own) = own.unwrap_or_else(|| panic!("{name} names no parser"));
        if name.ends_with("-valid.bin") {
            assert!(own(&bytes), "{name} is refused");
        }
        if name.ends_with("-changed.bin") {
            assert!(!own(&bytes), "{name} is accepted");
        }
        for (_, parse) in PARSERS {
            for offset in 0..bytes.len().min(4) {
                let _ = parse(&bytes[offset..]);
            }
        }
        files += 1;
    }
    assert!(files >= seeds().len(), "only {files} files in the corpus");
}

#[test]
fn every_parser_has_seeds() {
    let names: Vec<String> = valid().into_iter().map(|(name, _)| name).collect();
    for (parser, _) in PARSERS {
        assert!(
            names
                .iter()
                .any(|name| name.starts_with(&format!("{parser}-"))),
            "{parser}"
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for (_, parse) in PARSERS {
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn changed_seeds_never_panic(
        seed in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        static SEEDS: std::sync::OnceLock<Vec<(String, Vec<u8>)>> = std::sync::OnceLock::new();
        let seeds = SEEDS.get_or_init(valid);
        let mut bytes = seeds[seed.index(seeds.len())].1.clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        for (_, parse) in PARSERS {
            let _ = parse(&bytes);
        }
    }
}
