//! Whatever issuer, origin and client of tokens read: bodies of issuance, tokens, headers, directories,
//! price lists, keys and draws at rest.

use sordino_tokens::{
    BatchLimits, OfferedChallenge, RequestForm, TokenType, parse_amortised_response,
    parse_authorization, parse_directory, parse_generic_response, parse_issue_request,
    parse_price_list, parse_single_response, parse_stored_draw, parse_stored_key, parse_token,
    parse_token_challenge, parse_www_authenticate, write_authorization, write_www_authenticate,
};

/// The first byte says what the rest is.
pub(crate) fn bodies(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else {
        return;
    };
    match which % 9 {
        0 => {
            let _ = parse_token(rest);
        }
        1 => {
            if let Ok(challenge) = parse_token_challenge(rest) {
                assert_eq!(challenge.to_bytes(), rest);
            }
        }
        2 => issuance(RequestForm::Single, rest),
        3 => issuance(RequestForm::Amortised, rest),
        4 => issuance(RequestForm::Generic, rest),
        5 => {
            for token_type in TokenType::ALL {
                let _ = parse_single_response(token_type, rest);
                let _ = parse_amortised_response(token_type, rest);
            }
        }
        6 => {
            let _ = parse_generic_response(rest, 100);
        }
        7 => {
            if let Ok(key) = parse_stored_key(rest) {
                assert_eq!(key.to_stored().unwrap().expose(), rest);
            }
        }
        _ => {
            if let Ok(draw) = parse_stored_draw(rest) {
                assert_eq!(draw.to_stored().unwrap().as_slice(), rest);
                draw.request().unwrap();
            }
        }
    }
}

fn issuance(form: RequestForm, bytes: &[u8]) {
    let limits = BatchLimits::default();
    if let Ok(request) = parse_issue_request(form, bytes, &limits) {
        let asked = request.asked();
        assert!(!asked.is_empty());
        for asked in asked {
            assert!((1..=limits.of(asked.token_type)).contains(&asked.tokens));
        }
    }
}

/// What is text: headers and JSON. What is read is written so that it reads the same.
pub(crate) fn texts(bytes: &[u8]) {
    if let Ok(directory) = parse_directory(bytes) {
        let again = parse_directory(directory.to_json().as_bytes());
        assert_eq!(again.as_ref(), Ok(&directory));
    }
    if let Ok(list) = parse_price_list(bytes) {
        assert_eq!(parse_price_list(list.to_json().as_bytes()), Ok(list));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(challenges) = parse_www_authenticate(text) {
        let known: Vec<OfferedChallenge> = challenges;
        let written = write_www_authenticate(&known);
        if !known.is_empty() {
            assert_eq!(parse_www_authenticate(&written).unwrap(), known);
        }
    }
    if let Ok(token) = parse_authorization(text) {
        let written = write_authorization(&token);
        assert_eq!(*parse_authorization(&written).unwrap(), *token);
    }
}

/// The corpus of the crate's own tests, by the names of its parsers.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/tokens/tests/corpus");

fn seeds(of: impl Fn(&str) -> Option<Option<u8>>) -> Vec<(String, Vec<u8>)> {
    let Ok(files) = std::fs::read_dir(CORPUS) else {
        return Vec::new();
    };
    let mut seeds = Vec::new();
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let parser = name.split('-').next().unwrap_or_default();
        if let Some(first) = of(parser) {
            let mut bytes: Vec<u8> = first.into_iter().collect();
            bytes.extend(std::fs::read(&path).unwrap());
            seeds.push((name, bytes));
        }
    }
    seeds.sort();
    seeds
}

pub(crate) fn body_seeds() -> Vec<(String, Vec<u8>)> {
    seeds(|parser| {
        let first = match parser {
            "token" => 0,
            "token_challenge" => 1,
            "single_request" => 2,
            "amortised_request" => 3,
            "generic_request" => 4,
            "single_response" | "amortised_response" => 5,
            "generic_response" => 6,
            "stored_key" => 7,
            "stored_draw" => 8,
            _ => return None,
        };
        Some(Some(first))
    })
}

pub(crate) fn text_seeds() -> Vec<(String, Vec<u8>)> {
    let texts = [
        "directory",
        "price_list",
        "www_authenticate",
        "authorization",
    ];
    seeds(|parser| texts.contains(&parser).then_some(None))
}
