//! RFC 9577 (challenges) and RFC 9578 (types 1 and 2, and type 5 of the batch draft): client, issuer and
//! origin, byte for byte.

use crate::support::{Script, bytes, key, listed, primes_of_pem, rng, vectors};
use sordino_tokens::{
    AllowedChallenges, BatchLimits, Draw, IssuerKey, IssuerKeys, RequestForm, TokenChallenge,
    TokenClass, TokenType, parse_issue_request, parse_token_challenge,
};

/// What every vector of a single token has.
pub struct Vector {
    pub token_type: TokenType,
    pub private: Vec<u8>,
    pub public: Vec<u8>,
    pub challenge: Vec<u8>,
    /// The bytes that the client's generator gives: nonce, salt where there is one, blind.
    pub random: Vec<Vec<u8>>,
    pub request: Vec<u8>,
    pub response: Vec<u8>,
    pub token: Vec<u8>,
}

impl Vector {
    fn of(token_type: TokenType, vector: &serde_json::Value) -> Self {
        let secret = bytes(vector, &["skS", "sk_s"]);
        let is_rsa = token_type == TokenType::BlindRsa;
        Self {
            token_type,
            private: if is_rsa {
                primes_of_pem(&secret)
            } else {
                secret
            },
            public: bytes(vector, &["pkS", "pk_s"]),
            challenge: bytes(vector, &["token_challenge"]),
            random: random(token_type, vector),
            request: bytes(vector, &["token_request"]),
            response: bytes(vector, &["token_response"]),
            token: bytes(vector, &["token"]),
        }
    }

    pub fn challenge(&self) -> TokenChallenge {
        parse_token_challenge(&self.challenge).unwrap()
    }

    pub fn key(&self) -> IssuerKey {
        key(self.token_type, TokenClass::Write, 0, &self.private)
    }
}

/// What a client's generator has to give for the nonce and the blind of a vector.
pub fn random(token_type: TokenType, vector: &serde_json::Value) -> Vec<Vec<u8>> {
    let nonce = bytes(vector, &["nonce"]);
    let mut blind = bytes(vector, &["blind"]);
    if token_type == TokenType::BlindRsa {
        // The library reads random numbers with the least byte first.
        blind.reverse();
        return vec![nonce, bytes(vector, &["salt"]), blind];
    }
    vec![nonce, blind]
}

fn check(vector: &Vector) {
    let challenge = vector.challenge();
    assert_eq!(challenge.to_bytes(), vector.challenge);
    assert_eq!(challenge.token_type(), vector.token_type);
    assert_eq!(vector.key().public_key(), vector.public);

    let mut script = Script::new(vector.random.clone());
    let draw = Draw::single(&listed(&vector.key()), &challenge, &mut script).unwrap();
    assert!(script.is_used_up());
    assert_eq!(draw.request().unwrap(), vector.request);
    let tokens = draw.finish(&vector.response).unwrap();
    assert_eq!(tokens[0].as_bytes(), vector.token);

    let mut keys = IssuerKeys::new();
    keys.insert(vector.key()).unwrap();
    let limits = BatchLimits::default();
    let request = parse_issue_request(RequestForm::Single, &vector.request, &limits).unwrap();
    let issued = keys.issue(&request, 10, &mut rng(1)).unwrap();
    assert_eq!((issued.status, issued.issued), (200, 1));
    assert_eq!(issued.body.len(), vector.response.len());
    // Proofs are random; that this one is right, the client says.
    let message = vector.token_type.message_bytes();
    assert_eq!(issued.body[..message], vector.response[..message]);
    assert_eq!(
        draw.finish(&issued.body).unwrap()[0].as_bytes(),
        vector.token
    );

    let mut allowed = AllowedChallenges::default();
    allowed.allow(&challenge);
    let verified = keys.verify(&vector.token, &allowed, 10).unwrap();
    assert_eq!(verified.token_type, vector.token_type);
    assert_eq!(verified.key_id, *vector.key().id());
}

fn check_all(token_type: TokenType, files: &[&str]) {
    for file in files {
        let vectors = vectors(file);
        assert_eq!(vectors.len(), 5, "{file}");
        for vector in &vectors {
            check(&Vector::of(token_type, vector));
        }
    }
}

#[test]
fn rfc_9578_type_1() {
    check_all(TokenType::VoprfP384, &["rfc9578_type1"]);
}

#[test]
fn rfc_9578_type_2() {
    check_all(TokenType::BlindRsa, &["rfc9578_type2"]);
}

#[test]
fn type_5_as_two_other_implementations_have_it() {
    let files = [
        "batched_private_ristretto255_go",
        "batched_private_ristretto255_rs",
    ];
    check_all(TokenType::VoprfRistretto255, &files);
}

#[test]
fn rfc_9577_challenges() {
    let vectors = vectors("rfc9577_challenges");
    assert_eq!(vectors.len(), 5);
    for vector in &vectors {
        let text = |name| String::from_utf8(bytes(vector, &[name])).unwrap();
        let context = bytes(vector, &["redemption_context"]);
        let context = (!context.is_empty()).then(|| context.try_into().unwrap());
        let challenge = TokenChallenge::new(
            TokenType::BlindRsa,
            &text("issuer_name"),
            context,
            &text("origin_info"),
        )
        .unwrap();
        assert_eq!(challenge.issuer_name(), text("issuer_name"));
        assert_eq!(challenge.redemption_context(), context.as_ref());
        let input = bytes(vector, &["token_authenticator_input"]);
        assert_eq!(challenge.digest().0, input[34..66]);
        assert_eq!(parse_token_challenge(&challenge.to_bytes()), Ok(challenge));
    }
}
