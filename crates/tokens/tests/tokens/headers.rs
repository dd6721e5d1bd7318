//! RFC 9577's headers: its vectors, what others send, and what nobody should.

use crate::support::{HUB, Hub, challenge, folder, rng};
use proptest::prelude::*;
use sordino_tokens::{
    HeaderRefused, OfferedChallenge, TokenChallenge, TokenType, parse_authorization,
    parse_token_challenge, parse_www_authenticate, write_authorization, write_reserved_challenge,
    write_www_authenticate,
};
use std::collections::BTreeSet;

fn rfc_headers() -> Vec<String> {
    let path = folder("vectors").join("rfc9577_headers.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What appendix A.2 says the headers hold: type, and the context that all of them share.
fn expected(token_type: TokenType) -> TokenChallenge {
    let context = "8a3e83a33d98005d2f30bef419fa6bf4cd5c6005e36b1285bbb4ccd40fa4b383";
    let context: [u8; 32] = hex::decode(context).unwrap().try_into().unwrap();
    TokenChallenge::new(
        token_type,
        "issuer.example",
        Some(context),
        "origin.example",
    )
    .unwrap()
}

#[test]
fn rfc_9577_headers() {
    let types = [
        vec![TokenType::BlindRsa],
        vec![TokenType::BlindRsa, TokenType::VoprfP384],
        vec![TokenType::VoprfP384],
    ];
    let headers = rfc_headers();
    assert_eq!(headers.len(), types.len());
    for (header, types) in headers.iter().zip(types) {
        let offered = parse_www_authenticate(header).unwrap();
        assert_eq!(offered.len(), types.len());
        for (offered, token_type) in offered.iter().zip(types) {
            assert_eq!(offered.challenge, expected(token_type));
            assert_eq!(offered.max_age_s, Some(10));
            let key = offered.token_key.as_ref().unwrap();
            let is_rsa = token_type == TokenType::BlindRsa;
            // The second key of the vectors is 48 random bytes, not a P-384 point.
            assert_eq!(key.len(), if is_rsa { 342 } else { 48 });
        }
    }
}

#[test]
fn rfc_9577_headers_are_written_byte_for_byte() {
    // But for the parameter that is there to be ignored, and its comma.
    let written =
        |header: &String| write_www_authenticate(&parse_www_authenticate(header).unwrap());
    let headers = rfc_headers();
    for header in &headers[..2] {
        let known = header.replace(",unknownChallengeAttribute=\"ignore-me\"", "");
        assert_eq!(written(header), known);
    }
    // The third begins with another scheme and a reserved type, and is terser.
    let ours = headers[2].rsplit("PrivateToken").next().unwrap();
    let known = ours.replace(",unknownChallengeAttribute=\"ignore-me\"", "");
    assert_eq!(written(&headers[2]), format!("PrivateToken{known}"));
}

fn one() -> OfferedChallenge {
    OfferedChallenge {
        challenge: challenge(TokenType::VoprfRistretto255),
        token_key: Some(vec![0xfb; 32]),
        max_age_s: Some(3_600),
    }
}

#[test]
fn quotes_padding_and_company_do_not_matter() {
    let written = write_www_authenticate(&[one()]);
    assert!(written.starts_with("PrivateToken challenge=\"") && written.contains("=\", "));
    let challenge = written.split('"').nth(1).unwrap();
    let key = written.split('"').nth(3).unwrap();
    let (bare_challenge, bare_key) = (challenge.trim_end_matches('='), key.trim_end_matches('='));
    assert_ne!(bare_challenge, challenge);
    for header in [
        written.clone(),
        format!("PrivateToken challenge={challenge}, token-key={key}, max-age=3600"),
        format!("PrivateToken challenge={bare_challenge},token-key={bare_key},max-age=\"3600\""),
        format!(
            "privatetoken CHALLENGE=\"{bare_challenge}\",\tToken-Key = \"{key}\" , max-age=3600"
        ),
        format!(
            ",, PrivateToken  realm=\"a, PrivateToken \\\" b\", challenge=\"{challenge}\", token-key={key},max-age=3600 ,"
        ),
        format!("Negotiate YWJj==, {written}, Bearer"),
        // One that ends as a parameter without a value would, and one that is no word.
        format!("Negotiate YWI=, {written}, Negotiate a/b="),
        format!("Basic realm=\"x\", {written}, Digest nonce=abc, qop=\"auth,auth-int\""),
    ] {
        assert_eq!(parse_www_authenticate(&header), Ok(vec![one()]), "{header}");
    }
}

#[test]
fn what_cannot_be_answered_is_skipped() {
    let good = write_www_authenticate(&[one()]);
    for other in [
        "PrivateToken",
        "PrivateToken max-age=10",
        // This is credentials in one piece, as Basic has them.
        "PrivateToken challenge=",
        "PrivateToken challenge=\"\"",
        "PrivateToken challenge=\"AAU\"",
        "PrivateToken challenge=\"!!!!\"",
        // A context of 31 bytes; the type is right.
        "PrivateToken challenge=\"AAUAAWEfAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\"",
    ] {
        assert_eq!(parse_www_authenticate(other), Ok(Vec::new()), "{other}");
        assert_eq!(
            parse_www_authenticate(&format!("{other}, {good}")),
            Ok(vec![one()]),
            "{other}"
        );
    }
    let twice = good.replace("PrivateToken ", "PrivateToken challenge=\"AAAA\", ");
    assert_eq!(parse_www_authenticate(&twice), Ok(Vec::new()));
    let bad_key = good.replace("-_v7", "*");
    assert_ne!(bad_key, good);
    assert_eq!(parse_www_authenticate(&bad_key), Ok(Vec::new()));
    let without_age = good.replace("\"3600\"", "\"soon\"");
    assert_eq!(
        parse_www_authenticate(&without_age).unwrap()[0].max_age_s,
        None
    );
}

#[test]
fn a_reserved_challenge_is_one_but_for_its_type() {
    use base64::Engine as _;
    let engine = &base64::engine::general_purpose::URL_SAFE;
    let mut random = rng(1);
    let mut codes = BTreeSet::new();
    let mut letters = BTreeSet::new();
    for _ in 0..100 {
        let header = write_reserved_challenge(&mut random);
        let parts: Vec<&str> = header.split('"').collect();
        let mut bytes = engine.decode(parts[1]).unwrap();
        assert_eq!(engine.decode(parts[3]).unwrap().len(), 32);
        codes.insert(u16::from_be_bytes([bytes[0], bytes[1]]));
        bytes[..2].copy_from_slice(&TokenType::VoprfRistretto255.code().to_be_bytes());
        let name: String = bytes[4..20].iter().copied().map(char::from).collect();
        letters.extend(name.chars());
        let known = TokenChallenge::new(TokenType::VoprfRistretto255, &name, None, "").unwrap();
        assert_eq!(parse_token_challenge(&bytes), Ok(known));
    }
    assert_eq!(letters, BTreeSet::from_iter('a'..='z'));
    // All that IANA has reserved (RFC 9578 section 8.2.1).
    let reserved = [
        0x0000, 0x02aa, 0x1132, 0x2e96, 0x3cd3, 0x4473, 0x5a63, 0x6d32, 0x7f3f,
    ];
    assert_eq!(codes, BTreeSet::from(reserved));
}

#[test]
fn reserved_types_are_skipped() {
    let mut random = rng(1);
    for _ in 0..40 {
        let header = format!(
            "{}, {}",
            write_reserved_challenge(&mut random),
            write_www_authenticate(&[one()])
        );
        assert_eq!(parse_www_authenticate(&header), Ok(vec![one()]), "{header}");
    }
}

#[test]
fn broken_headers_are_refused() {
    for header in [
        "=",
        "\"PrivateToken\"",
        "challenge=\"AA==\"",
        "PrivateToken challenge=\"AA==",
        "PrivateToken challenge=\"AA\" token-key=\"AA\"",
        "PrivateToken challenge=\"A\nA\"",
        "PrivateToken challenge=\"AA\\",
        "PrivateToken challenge=é",
        "PrivateToken a=1; b=2",
        "()",
    ] {
        assert_eq!(
            parse_www_authenticate(header),
            Err(HeaderRefused::Malformed),
            "{header}"
        );
        assert_eq!(
            parse_authorization(header),
            Err(HeaderRefused::Malformed),
            "{header}"
        );
    }
}

#[test]
fn headers_of_the_largest_size_are_read_and_larger_ones_are_not() {
    let parameters = |count| -> String { (0..count).map(|i| format!("a{i}=1,")).collect() };
    for (most, more) in [
        (
            format!("Private {}", parameters(16)),
            format!("Private {}", parameters(17)),
        ),
        ("A, ".repeat(16), "A, ".repeat(17)),
        ("a".repeat(16_384), "a".repeat(16_385)),
    ] {
        assert_eq!(parse_www_authenticate(&most), Ok(Vec::new()));
        assert_eq!(parse_www_authenticate(&more), Err(HeaderRefused::Malformed));
    }
    assert_eq!(
        parse_authorization(&"a".repeat(2_048)),
        Err(HeaderRefused::Scheme)
    );
    assert_eq!(
        parse_authorization(&"a".repeat(2_049)),
        Err(HeaderRefused::Malformed)
    );
}

#[test]
fn a_token_stands_there_once() {
    let mut hub = Hub::new();
    for token_type in TokenType::ALL {
        let token = hub.token(token_type);
        let written = write_authorization(token.as_bytes());
        assert!(written.starts_with("PrivateToken token=\"") && written.ends_with('"'));
        let text = written.split('"').nth(1).unwrap();
        let bare = text.trim_end_matches('=');
        for header in [
            written.to_string(),
            format!("PrivateToken token={text}"),
            format!("privatetoken   Token = {bare}"),
            format!("PrivateToken a=b, token=\"{bare}\", c=\"d, e\""),
        ] {
            let read = parse_authorization(&header).unwrap();
            assert_eq!(*read, token.as_bytes(), "{header}");
        }
        for (header, refused) in [
            (
                format!("PrivateToken token={text}, token={text}"),
                HeaderRefused::Token,
            ),
            (
                format!("PrivateToken token=\"{text}\", TOKEN=\"{text}\""),
                HeaderRefused::Token,
            ),
            (
                format!("PrivateToken token=\"{text}\", PrivateToken token=\"{text}\""),
                HeaderRefused::Malformed,
            ),
            (
                format!("PrivateToken token=\"{text}\", Basic YWJj"),
                HeaderRefused::Malformed,
            ),
            (format!("Bearer {text}"), HeaderRefused::Scheme),
            (format!("PrivateToken {text}"), HeaderRefused::Token),
            ("PrivateToken".into(), HeaderRefused::Token),
            (String::new(), HeaderRefused::Malformed),
            (
                format!("PrivateToken token=\"{text}=\""),
                HeaderRefused::Token,
            ),
            (
                format!("PrivateToken token=\" {text}\""),
                HeaderRefused::Token,
            ),
            (
                format!("PrivateToken token=\"\\A{}\"", &text[1..]),
                HeaderRefused::Token,
            ),
            (
                format!("PrivateToken token=\"{}\"", text.replace(['-', '_'], "+")),
                HeaderRefused::Token,
            ),
        ] {
            assert_eq!(parse_authorization(&header), Err(refused), "{header}");
        }
        // Bits that the last character leaves over: 162 and 354 bytes leave none, 146 leave 4.
        if token_type == TokenType::VoprfP384 {
            let mut other = bare.to_owned();
            let last = other.pop().unwrap();
            other.push(char::from(last as u8 + 1));
            let header = format!("PrivateToken token={other}");
            assert_eq!(parse_authorization(&header), Err(HeaderRefused::Token));
        }
    }
}

#[test]
fn challenges_are_as_the_rfc_has_them() {
    use sordino_tokens::ChallengeRefused;
    let make =
        |issuer: &str, origin: &str| TokenChallenge::new(TokenType::BlindRsa, issuer, None, origin);
    for (issuer, origin) in [
        ("", HUB),
        ("é", HUB),
        (HUB, "é"),
        (HUB, "a,,b"),
        (HUB, ","),
        (HUB, "a\n"),
    ] {
        assert_eq!(
            make(issuer, origin),
            Err(ChallengeRefused::Malformed),
            "{issuer} {origin}"
        );
    }
    let long = "a".repeat(65_536);
    assert_eq!(make(&long, HUB), Err(ChallengeRefused::Malformed));
    assert!(make(&long[1..], HUB).is_ok());
    let with_port = make("hub.example:8443", "a.example,b.example:1").unwrap();
    assert_eq!(
        with_port.origins().collect::<Vec<_>>(),
        ["a.example", "b.example:1"]
    );
    assert_eq!(make(HUB, "").unwrap().origins().count(), 0);
    let bytes = expected(TokenType::BlindRsa).to_bytes();
    for length in 0..bytes.len() {
        assert_eq!(
            parse_token_challenge(&bytes[..length]),
            Err(ChallengeRefused::Malformed)
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(
        parse_token_challenge(&longer),
        Err(ChallengeRefused::Malformed)
    );
    for context in [1, 31, 33] {
        let other = [
            &bytes[..18],
            &[context],
            &vec![0; usize::from(context)],
            &[0, 0],
        ]
        .concat();
        assert_eq!(
            parse_token_challenge(&other),
            Err(ChallengeRefused::Malformed)
        );
    }
    let mut other_type = bytes;
    other_type[1] = 3;
    assert_eq!(
        parse_token_challenge(&other_type),
        Err(ChallengeRefused::TokenType)
    );
}

fn offered() -> impl Strategy<Value = OfferedChallenge> {
    let challenge = (
        prop::sample::select(TokenType::ALL.to_vec()),
        "[a-z.:0-9]{1,40}",
        prop::option::of(any::<[u8; 32]>()),
        "([a-z.]{1,20}(,[a-z.]{1,20}){0,2})?",
    );
    let key = prop::option::of(prop::collection::vec(any::<u8>(), 0..400));
    (challenge, key, prop::option::of(any::<u64>())).prop_map(
        |((token_type, issuer, context, origin), token_key, max_age_s)| OfferedChallenge {
            challenge: TokenChallenge::new(token_type, &issuer, context, &origin).unwrap(),
            token_key,
            max_age_s,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(offered in prop::collection::vec(offered(), 0..4)) {
        let written = write_www_authenticate(&offered);
        prop_assert_eq!(parse_www_authenticate(&written), Ok(offered));
    }

    #[test]
    fn tokens_pass_through_the_header(bytes in prop::collection::vec(any::<u8>(), 1..400)) {
        let read = parse_authorization(&write_authorization(&bytes)).unwrap();
        prop_assert_eq!(&*read, &bytes);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[ -~\\t\"=,\\\\é]{0,200}") {
        let _ = parse_www_authenticate(&text);
        let _ = parse_authorization(&text);
        let _ = parse_www_authenticate(&format!("PrivateToken {text}"));
        let _ = parse_authorization(&format!("PrivateToken token={text}"));
    }
}
