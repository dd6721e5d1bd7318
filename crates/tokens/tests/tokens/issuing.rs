//! Requests for tokens that are refused, and what is refused of a batch.

use crate::support::{DAY_S, Hub, NOW_S, Script, challenge, key, listed, private_key};
use sordino_tokens::{
    Asked, BatchLimits, Draw, IssueError, IssueRefused, IssuerKeys, RequestForm, TokenClass,
    TokenType, finish_generic, generic_request, parse_issue_request,
};

const P384_FIELD_PRIME: &str = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff";

/// Refuses without having asked for randomness, which every curve operation of an issuer needs.
fn refused(hub: &Hub, form: RequestForm, body: &[u8]) -> IssueRefused {
    let result = parse_issue_request(form, body, &BatchLimits::default())
        .map_err(IssueError::from)
        .and_then(|request| hub.keys.issue(&request, NOW_S, &mut Script::new([])));
    match result {
        Err(IssueError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

fn with_element(hub: &Hub, token_type: TokenType, element: &[u8]) -> Vec<u8> {
    let mut body = token_type.code().to_be_bytes().to_vec();
    body.push(hub.key(token_type).id().truncated());
    body.extend_from_slice(element);
    body
}

#[test]
fn every_length_but_the_right_one_is_refused() {
    let mut hub = Hub::new();
    for token_type in TokenType::ALL {
        let mut forms = vec![(
            RequestForm::Single,
            hub.draw(token_type, 1).request().unwrap(),
        )];
        if token_type.is_amortised() {
            forms.push((
                RequestForm::Amortised,
                hub.draw(token_type, 3).request().unwrap(),
            ));
        }
        let draws = [
            hub.draw(token_type, 1),
            hub.draw(TokenType::VoprfRistretto255, 1),
        ];
        forms.push((RequestForm::Generic, generic_request(&draws).unwrap()));
        for (form, body) in forms {
            for length in 0..body.len() {
                let refused = refused(&hub, form, &body[..length]);
                assert_eq!(
                    (refused, refused.status()),
                    (IssueRefused::Malformed, 422),
                    "{form:?} {length}"
                );
            }
            let longer = [&body[..], &[0]].concat();
            assert_eq!(refused(&hub, form, &longer), IssueRefused::Malformed);
            if form == RequestForm::Amortised {
                // An element and a part of one: both lengths take two bytes.
                let mut parts = body.clone();
                parts[4] += 1;
                parts.push(0);
                assert_eq!(refused(&hub, form, &parts), IssueRefused::Malformed);
            }
            assert!(hub.issue(form, &body).is_ok());
        }
    }
}

#[test]
fn a_body_of_one_form_is_none_of_another() {
    let mut hub = Hub::new();
    let single = hub.draw(TokenType::VoprfRistretto255, 1).request().unwrap();
    let batch = hub.draw(TokenType::VoprfRistretto255, 3).request().unwrap();
    for (form, body) in [
        (RequestForm::Amortised, &single),
        (RequestForm::Generic, &single),
        (RequestForm::Single, &batch),
        (RequestForm::Generic, &batch),
    ] {
        assert_eq!(refused(&hub, form, body).status(), 422);
    }
}

#[test]
fn batches_of_nothing_and_of_too_many_are_refused() {
    let hub = Hub::new();
    let batch = |token_type: TokenType, count: usize| {
        let bytes = count * token_type.message_bytes();
        let mut body = with_element(&hub, token_type, &[]);
        match bytes {
            0..=0x3f => body.push(bytes as u8),
            0x40..=0x3fff => body.extend_from_slice(&(bytes as u16 | 0x4000).to_be_bytes()),
            _ => body.extend_from_slice(&(bytes as u32 | 0x8000_0000).to_be_bytes()),
        }
        body.resize(body.len() + bytes, 1);
        body
    };
    let limits = BatchLimits::default();
    for token_type in [TokenType::VoprfRistretto255, TokenType::VoprfP384] {
        let most = limits.of(token_type);
        let refusal = |count| refused(&hub, RequestForm::Amortised, &batch(token_type, count));
        assert_eq!(refusal(0), IssueRefused::Empty);
        assert_eq!(refusal(most + 1), IssueRefused::TooMany);
        assert_eq!(refusal(most), IssueRefused::Element);
        assert_eq!(IssueRefused::Empty.status(), 422);
        assert_eq!(IssueRefused::TooMany.status(), 422);
    }
    assert_eq!(
        refused(&hub, RequestForm::Generic, &[0]),
        IssueRefused::Empty
    );
    let one = with_element(&hub, TokenType::VoprfRistretto255, &[2; 32]);
    let many = one.repeat(limits.ristretto255 + 1);
    let body = [&(many.len() as u32 | 0x8000_0000).to_be_bytes()[..], &many].concat();
    assert_eq!(
        refused(&hub, RequestForm::Generic, &body),
        IssueRefused::TooMany
    );
}

#[test]
fn limits_are_the_issuers_own() {
    let mut hub = Hub::new();
    let body = hub.draw(TokenType::VoprfRistretto255, 3).request().unwrap();
    let limits = |ristretto255| BatchLimits {
        ristretto255,
        ..BatchLimits::default()
    };
    assert!(parse_issue_request(RequestForm::Amortised, &body, &limits(3)).is_ok());
    let refused = parse_issue_request(RequestForm::Amortised, &body, &limits(2)).map(|_| ());
    assert_eq!(refused, Err(IssueRefused::TooMany));
}

#[test]
fn lengths_have_one_form() {
    let mut hub = Hub::new();
    let body = hub.draw(TokenType::VoprfRistretto255, 3).request().unwrap();
    assert_eq!(body[3..5], [0x40, 96]);
    for longer in [&[0x80, 0, 0, 96][..], &[0xc0, 0, 0, 0, 0, 0, 0, 96]] {
        let body = [&body[..3], longer, &body[5..]].concat();
        assert_eq!(
            refused(&hub, RequestForm::Amortised, &body),
            IssueRefused::Malformed
        );
    }
    let one = with_element(&hub, TokenType::VoprfRistretto255, &[2; 32]);
    let body = [&[0x40, 35][..], &one].concat();
    assert_eq!(
        refused(&hub, RequestForm::Generic, &body),
        IssueRefused::Malformed
    );
}

#[test]
fn unknown_keys_and_types_are_refused() {
    let mut hub = Hub::new();
    for token_type in TokenType::ALL {
        let body = hub.draw(token_type, 1).request().unwrap();
        for truncated in 0..=255 {
            let mut body = body.clone();
            if body[2] == truncated {
                continue;
            }
            body[2] = truncated;
            assert_eq!(
                refused(&hub, RequestForm::Single, &body),
                IssueRefused::UnknownKey
            );
        }
        for code in [0u16, 3, 4, 6, 0x02aa, 0xda7a, 0xf91a] {
            let mut body = body.clone();
            body[..2].copy_from_slice(&code.to_be_bytes());
            assert_eq!(
                refused(&hub, RequestForm::Single, &body),
                IssueRefused::TokenType
            );
            let whole = with_length(&body);
            assert_eq!(
                refused(&hub, RequestForm::Generic, &whole),
                IssueRefused::TokenType
            );
        }
    }
    // One proof over many signatures does not exist.
    let body = with_element(&hub, TokenType::BlindRsa, &[0; 257]);
    assert_eq!(
        refused(&hub, RequestForm::Amortised, &body),
        IssueRefused::TokenType
    );
}

fn with_length(contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let prefix = if length < 64 {
        vec![length as u8]
    } else {
        (length as u16 | 0x4000).to_be_bytes().to_vec()
    };
    [&prefix[..], contents].concat()
}

#[test]
fn keys_of_another_type_with_the_same_last_byte_are_not_meant() {
    let mut hub = Hub::new();
    let truncated = hub.key(TokenType::VoprfP384).id().truncated();
    let mut body = hub.draw(TokenType::VoprfRistretto255, 1).request().unwrap();
    body[2] = truncated;
    assert_eq!(
        refused(&hub, RequestForm::Single, &body),
        IssueRefused::UnknownKey
    );
}

#[test]
fn tokens_are_issued_until_the_epoch_ends() {
    let mut hub = Hub::new();
    let draw = hub.draw(TokenType::VoprfRistretto255, 1);
    let body = draw.request().unwrap();
    let limits = BatchLimits::default();
    let request = parse_issue_request(RequestForm::Single, &body, &limits).unwrap();
    for now_s in [0, 7 * DAY_S - 1, 7 * DAY_S, 8 * DAY_S - 1] {
        assert!(
            hub.keys.issue(&request, now_s, &mut hub.rng).is_ok(),
            "{now_s}"
        );
    }
    for now_s in [8 * DAY_S, 8 * DAY_S + 1, u64::MAX] {
        let refused = hub.keys.issue(&request, now_s, &mut hub.rng);
        assert_eq!(refused, Err(IssueRefused::UnknownKey.into()), "{now_s}");
    }
}

fn bad_elements(hub: &Hub, token_type: TokenType) -> Vec<Vec<u8>> {
    match token_type {
        TokenType::VoprfRistretto255 => {
            let good = hub.key(token_type).public_key().to_vec();
            let mut negative = good.clone();
            negative[0] |= 1;
            // 2^255 - 19, which is 0 written otherwise; and 1, which is no square root of anything.
            let mut prime = vec![0xff; 32];
            (prime[0], prime[31]) = (0xed, 0x7f);
            let mut high_bit = good;
            high_bit[31] |= 0x80;
            let not_a_point = [vec![2], vec![0; 31]].concat();
            vec![
                vec![0; 32],
                negative,
                prime,
                high_bit,
                not_a_point,
                vec![0xff; 32],
            ]
        }
        TokenType::VoprfP384 => {
            let good = hub.key(token_type).public_key().to_vec();
            let mut bad: Vec<Vec<u8>> = [0x00, 0x01, 0x04, 0x05, 0x06, 0x07, 0xff]
                .into_iter()
                .map(|tag| [&[tag], &good[1..]].concat())
                .collect();
            let prime = hex::decode(P384_FIELD_PRIME).unwrap();
            bad.push([&[0x02], &prime[..]].concat());
            bad.push([&[0x03], &[0xff; 48][..]].concat());
            // x = 1 is on no point of the curve.
            bad.push([vec![0x02], vec![0; 47], vec![1]].concat());
            bad.push(vec![0; 49]);
            bad
        }
        TokenType::BlindRsa => {
            let spki = hub.key(token_type).public_key();
            let modulus = &spki[81..337];
            let with_last = |last: u8| [&modulus[..255], &[last]].concat();
            let one = [vec![0; 255], vec![1]].concat();
            let last = modulus[255];
            vec![
                vec![0; 256],
                one,
                with_last(last - 1),
                with_last(last),
                with_last(last + 1),
                vec![0xff; 256],
            ]
        }
    }
}

#[test]
fn what_is_no_blinded_message_is_refused() {
    let mut hub = Hub::new();
    for token_type in TokenType::ALL {
        for element in bad_elements(&hub, token_type) {
            let body = with_element(&hub, token_type, &element);
            let refusal = refused(&hub, RequestForm::Single, &body);
            assert_eq!(
                (refusal, refusal.status()),
                (IssueRefused::Element, 422),
                "{}",
                hex::encode(&element)
            );
            if !token_type.is_amortised() {
                continue;
            }
            // One bad element spoils an amortised batch, wherever it is.
            let good = hub.draw(token_type, 3).request().unwrap();
            for place in 0..3 {
                let mut body = good.clone();
                let at = body.len() - (3 - place) * element.len();
                body[at..at + element.len()].copy_from_slice(&element);
                assert_eq!(
                    refused(&hub, RequestForm::Amortised, &body),
                    IssueRefused::Element
                );
            }
        }
    }
}

#[test]
fn the_edges_of_what_rsa_signs() {
    let mut hub = Hub::new();
    let spki = hub.key(TokenType::BlindRsa).public_key().to_vec();
    let two = [vec![0; 255], vec![2]].concat();
    let mut before = spki[81..337].to_vec();
    before[255] -= 2;
    for element in [two, before] {
        let body = with_element(&hub, TokenType::BlindRsa, &element);
        assert!(hub.issue(RequestForm::Single, &body).is_ok());
    }
}

#[test]
fn what_is_refused_of_a_generic_batch_is_absent() {
    let mut hub = Hub::new();
    let draws: Vec<Draw> = TokenType::ALL.into_iter().map(|t| hub.draw(t, 1)).collect();
    let good = generic_request(&draws).unwrap();
    let issued = hub.issue(RequestForm::Generic, &good).unwrap();
    assert_eq!((issued.status, issued.issued), (200, 3));
    assert_eq!(
        issued.media_type,
        "application/private-token-generic-batch-response"
    );
    assert_eq!(
        finish_generic(&draws, &issued.body)
            .unwrap()
            .iter()
            .flatten()
            .count(),
        3
    );

    // The first request's key does not exist.
    let mut partly = good.clone();
    partly[2 + 2] ^= 0xff;
    let issued = hub.issue(RequestForm::Generic, &partly).unwrap();
    assert_eq!((issued.status, issued.issued), (206, 2));
    let tokens = finish_generic(&draws, &issued.body).unwrap();
    assert_eq!(
        tokens.iter().map(Option::is_some).collect::<Vec<_>>(),
        [false, true, true]
    );

    let none = with_length(&with_element(&hub, TokenType::VoprfRistretto255, &[0; 32]));
    let refusal = refused(&hub, RequestForm::Generic, &none);
    assert_eq!((refusal, refusal.status()), (IssueRefused::None, 400));
}

#[test]
fn equal_elements_are_evaluated_alike() {
    let mut hub = Hub::new();
    let draw = hub.draw(TokenType::VoprfRistretto255, 2);
    let mut body = draw.request().unwrap();
    let start = body.len() - 64;
    let element = body[start..start + 32].to_vec();
    body[start + 32..].copy_from_slice(&element);
    let answer = hub.issue(RequestForm::Amortised, &body).unwrap().body;
    assert_eq!(answer[2..34], answer[34..66]);
    // But they make one token at most, and not this draw's second one.
    assert!(draw.finish(&answer).is_err());
}

#[test]
fn an_attester_sees_types_keys_and_counts() {
    let mut hub = Hub::new();
    let limits = BatchLimits::default();
    let asked = |hub: &Hub, token_type, tokens| Asked {
        token_type,
        truncated_key_id: hub.key(token_type).id().truncated(),
        tokens,
    };
    let batch = hub.draw(TokenType::VoprfP384, 4).request().unwrap();
    let request = parse_issue_request(RequestForm::Amortised, &batch, &limits).unwrap();
    assert_eq!(request.asked(), [asked(&hub, TokenType::VoprfP384, 4)]);
    let draws = [
        hub.draw(TokenType::BlindRsa, 1),
        hub.draw(TokenType::VoprfP384, 1),
        hub.draw(TokenType::BlindRsa, 1),
    ];
    let body = generic_request(&draws).unwrap();
    let request = parse_issue_request(RequestForm::Generic, &body, &limits).unwrap();
    let expected = [
        asked(&hub, TokenType::BlindRsa, 2),
        asked(&hub, TokenType::VoprfP384, 1),
    ];
    assert_eq!(request.asked(), expected);
    assert_eq!(request.form(), RequestForm::Generic);
    // Two keys of a type, and one last byte under two types.
    let request = |code: u8, bytes: usize, truncated: u8| {
        [&[0, code, truncated][..], &vec![2; bytes]].concat()
    };
    let requests = [request(5, 32, 1), request(5, 32, 2), request(1, 49, 1)];
    let body = with_length(&requests.concat());
    let request = parse_issue_request(RequestForm::Generic, &body, &limits).unwrap();
    let expected = [
        (TokenType::VoprfRistretto255, 1),
        (TokenType::VoprfRistretto255, 2),
        (TokenType::VoprfP384, 1),
    ];
    let expected = expected.map(|(token_type, truncated_key_id)| Asked {
        token_type,
        truncated_key_id,
        tokens: 1,
    });
    assert_eq!(request.asked(), expected);
}

#[test]
fn keys_of_one_type_are_told_apart_by_their_last_byte() {
    let mut hub = Hub::new();
    let mut keys = IssuerKeys::new();
    let token_type = TokenType::VoprfRistretto255;
    let mut tokens = Vec::new();
    for (class, day, seed) in [
        (TokenClass::Write, 7, 1),
        (TokenClass::Write, 8, 2),
        (TokenClass::Contact, 7, 4),
        (TokenClass::Contact, 8, 6),
    ] {
        let key = key(token_type, class, day, &private_key(token_type, seed));
        let draw = Draw::single(&listed(&key), &challenge(token_type), &mut hub.rng).unwrap();
        keys.insert(key).unwrap();
        tokens.push((class, day, draw));
    }
    hub.keys = keys;
    for (class, day, draw) in tokens {
        let answer = hub.answer(&draw);
        let token = draw.finish(&answer).unwrap().pop().unwrap();
        let verified = hub
            .keys
            .verify(token.as_bytes(), &hub.allowed, day * DAY_S)
            .unwrap();
        assert_eq!((verified.class, verified.epoch), (class, day));
    }
}
