//! Golden vectors of Sordino's own forms: see `../golden/README.md`.

use crate::support::{HUB, Hub, challenge, folder, key, private_key};
use serde_json::{Value, json};
use sordino_tokens::{
    IssuerKeys, PriceList, TokenClass, TokenType, parse_directory, parse_price_list,
    parse_stored_draw, parse_stored_key, parse_token,
};

/// With this variable set, files are written instead of compared.
pub fn writing() -> bool {
    std::env::var_os("SORDINO_WRITE_VECTORS").is_some()
}

const COUNTS: [(TokenType, usize); 5] = [
    (TokenType::VoprfRistretto255, 1),
    (TokenType::VoprfP384, 1),
    (TokenType::BlindRsa, 1),
    (TokenType::VoprfRistretto255, 2),
    (TokenType::VoprfP384, 2),
];

fn challenges() -> Value {
    let all = TokenType::ALL.map(|token_type| {
        let challenge = challenge(token_type);
        json!({
            "domain": HUB,
            "challenge": hex::encode(challenge.to_bytes()),
            "digest": hex::encode(challenge.digest().0),
        })
    });
    json!(all)
}

fn nullifiers() -> Value {
    let all = TokenType::ALL.map(|token_type| {
        let mut token = token_type.code().to_be_bytes().to_vec();
        token.extend(
            (0..)
                .take(token_type.token_bytes() - 2)
                .map(|i: usize| (i % 251) as u8),
        );
        let fields = parse_token(&token).unwrap();
        let key_id = sordino_tokens::KeyId(token[66..98].try_into().unwrap());
        json!({
            "token": hex::encode(&token),
            "nullifier": hex::encode(fields.nullifier().0),
            "spend_set": hex::encode(sordino_tokens::SpendSet::of(&key_id).0),
        })
    });
    json!(all)
}

fn issuer_keys() -> IssuerKeys {
    let mut keys = IssuerKeys::new();
    for (seed, token_type) in (1..).zip(TokenType::ALL) {
        let class = if token_type == TokenType::VoprfP384 {
            TokenClass::Contact
        } else {
            TokenClass::Write
        };
        keys.insert(key(
            token_type,
            class,
            20_000,
            &private_key(token_type, seed),
        ))
        .unwrap();
    }
    keys
}

fn keys() -> Value {
    let keys = issuer_keys();
    let all: Vec<Value> = keys
        .iter()
        .map(|key| {
            json!({
                "stored": hex::encode(key.to_stored().unwrap().expose()),
                "public_key": hex::encode(key.public_key()),
                "key_id": hex::encode(key.id().0),
            })
        })
        .collect();
    json!(all)
}

fn draws() -> Value {
    let mut hub = Hub::new();
    let all: Vec<Value> = COUNTS
        .into_iter()
        .map(|(token_type, count)| {
            let draw = hub.draw(token_type, count);
            json!({
                "stored": hex::encode(draw.to_stored().unwrap()),
                "request": hex::encode(draw.request().unwrap()),
            })
        })
        .collect();
    json!(all)
}

#[test]
fn golden_vectors() {
    let made = json!({
        "challenges": challenges(),
        "nullifiers": nullifiers(),
        "keys": keys(),
        "draws": draws(),
        "directory": issuer_keys().directory("/token-request", 20_000 * 86_400).to_json(),
        "price_list": PriceList::default().to_json(),
    });
    let path = folder("golden").join("vectors.json");
    if writing() {
        std::fs::write(
            &path,
            format!("{}\n", serde_json::to_string_pretty(&made).unwrap()),
        )
        .unwrap();
    }
    let known: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(made, known);

    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let unhex = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    for key in known["keys"].as_array().unwrap() {
        let parsed = parse_stored_key(&unhex(&key["stored"])).unwrap();
        assert_eq!(parsed.public_key(), unhex(&key["public_key"]));
        assert_eq!(parsed.id().0, unhex(&key["key_id"])[..]);
    }
    for draw in known["draws"].as_array().unwrap() {
        let parsed = parse_stored_draw(&unhex(&draw["stored"])).unwrap();
        assert_eq!(parsed.request().unwrap(), unhex(&draw["request"]));
    }
    let directory = parse_directory(text(&known["directory"]).as_bytes()).unwrap();
    assert_eq!(directory.to_json(), text(&known["directory"]));
    let prices = parse_price_list(text(&known["price_list"]).as_bytes()).unwrap();
    assert_eq!(prices, PriceList::default());
}
