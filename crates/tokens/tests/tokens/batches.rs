//! The batches of draft-ietf-privacypass-batched-tokens, as two other implementations made them.

use crate::public_vectors::random;
use crate::support::{Script, bytes, key, listed, primes_of_pem, rng, vectors};
use sordino_tokens::{
    AllowedChallenges, BatchLimits, Draw, IssuerKeys, RequestForm, TokenChallenge, TokenClass,
    TokenType, finish_generic, generic_request, parse_issue_request, parse_token_challenge,
};

fn list(vector: &serde_json::Value, name: &str) -> Vec<Vec<u8>> {
    let texts = vector[name].as_array().unwrap().iter();
    texts
        .map(|text| hex::decode(text.as_str().unwrap()).unwrap())
        .collect()
}

fn check_amortised(token_type: TokenType, vector: &serde_json::Value) {
    let challenge = parse_token_challenge(&bytes(vector, &["token_challenge"])).unwrap();
    let key = key(
        token_type,
        TokenClass::Write,
        0,
        &bytes(vector, &["skS", "sk_s"]),
    );
    assert_eq!(key.public_key(), bytes(vector, &["pkS", "pk_s"]));
    let (nonces, blinds, tokens) = (
        list(vector, "nonces"),
        list(vector, "blinds"),
        list(vector, "tokens"),
    );
    let mut script = Script::new(
        nonces
            .iter()
            .zip(&blinds)
            .flat_map(|(n, b)| [n.clone(), b.clone()]),
    );
    let draw = Draw::amortised(&listed(&key), &challenge, nonces.len(), &mut script).unwrap();
    let request = bytes(vector, &["token_request"]);
    let response = bytes(vector, &["token_response"]);
    assert_eq!(draw.request().unwrap(), request);
    let as_bytes = |drawn: Vec<sordino_tokens::Token>| -> Vec<Vec<u8>> {
        drawn
            .iter()
            .map(|token| token.as_bytes().to_vec())
            .collect()
    };
    assert_eq!(as_bytes(draw.finish(&response).unwrap()), tokens);

    let mut keys = IssuerKeys::new();
    keys.insert(key).unwrap();
    let limits = BatchLimits::default();
    let request = parse_issue_request(RequestForm::Amortised, &request, &limits).unwrap();
    let issued = keys.issue(&request, 10, &mut rng(1)).unwrap();
    assert_eq!(
        issued.media_type,
        "application/private-token-amortized-batch-response"
    );
    let evaluated = response.len() - token_type.proof_bytes();
    assert_eq!(issued.body[..evaluated], response[..evaluated]);
    assert_eq!(as_bytes(draw.finish(&issued.body).unwrap()), tokens);

    let mut allowed = AllowedChallenges::default();
    allowed.allow(&challenge);
    for token in &tokens {
        keys.verify(token, &allowed, 10).unwrap();
    }
}

#[test]
fn amortised_batches_of_type_5() {
    for file in [
        "batched_amortized_ristretto255_go",
        "batched_amortized_ristretto255_rs",
    ] {
        for vector in vectors(file) {
            check_amortised(TokenType::VoprfRistretto255, &vector);
        }
    }
}

#[test]
fn amortised_batches_of_type_1() {
    for file in ["batched_amortized_p384_go", "batched_amortized_p384_rs"] {
        for vector in vectors(file) {
            check_amortised(TokenType::VoprfP384, &vector);
        }
    }
}

fn type_of(issuance: &serde_json::Value) -> TokenType {
    let code = bytes(issuance, &["type", "token_type"]);
    TokenType::from_code(u16::from_be_bytes(code.try_into().unwrap())).unwrap()
}

fn check_generic(vector: &serde_json::Value) {
    let mut keys = IssuerKeys::new();
    let mut allowed = AllowedChallenges::default();
    let mut draws = Vec::new();
    let mut tokens = Vec::new();
    for (day, issuance) in (0..).zip(vector["issuance"].as_array().unwrap()) {
        let token_type = type_of(issuance);
        let secret = bytes(issuance, &["skS", "sk_s"]);
        let is_rsa = token_type == TokenType::BlindRsa;
        let private = if is_rsa {
            primes_of_pem(&secret)
        } else {
            secret
        };
        let key = key(token_type, TokenClass::Write, day, &private);
        let challenge: TokenChallenge =
            parse_token_challenge(&bytes(issuance, &["token_challenge"])).unwrap();
        let mut script = Script::new(random(token_type, issuance));
        draws.push(Draw::single(&listed(&key), &challenge, &mut script).unwrap());
        tokens.push(bytes(issuance, &["token"]));
        allowed.allow(&challenge);
        if keys.by_id(token_type, &key.id().0).is_none() {
            keys.insert(key).unwrap();
        }
    }
    let request = bytes(vector, &["token_request"]);
    assert_eq!(generic_request(&draws).unwrap(), request);
    let check_tokens = |answer: &[u8]| {
        let drawn = finish_generic(&draws, answer).unwrap();
        let drawn: Vec<_> = drawn
            .iter()
            .map(|t| t.as_ref().unwrap().as_bytes())
            .collect();
        assert_eq!(drawn, tokens);
    };
    check_tokens(&bytes(vector, &["token_response"]));
    let request = parse_issue_request(RequestForm::Generic, &request, &BatchLimits::default());
    let issued = keys.issue(&request.unwrap(), 10, &mut rng(1)).unwrap();
    assert_eq!((issued.status, issued.issued), (200, tokens.len()));
    check_tokens(&issued.body);
    for token in &tokens {
        // Each is of its own day here; all of them live that long.
        let key_id: [u8; 32] = token[66..98].try_into().unwrap();
        let day = keys
            .iter()
            .find(|key| key.id().0 == key_id)
            .unwrap()
            .purpose()
            .epoch;
        keys.verify(token, &allowed, day.start_s()).unwrap();
    }
}

#[test]
fn generic_batches() {
    for file in ["batched_generic_go", "batched_generic_rs"] {
        for vector in vectors(file) {
            check_generic(&vector);
        }
    }
}
