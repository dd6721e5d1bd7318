//! A hub with keys of all types, a client's draws, and random generators that say what they are told.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Error, RngCore, SeedableRng as _};
use sordino_tokens::{
    AllowedChallenges, BatchLimits, Draw, Epoch, IssueError, IssueResponse, IssuerKey, IssuerKeys,
    ListedKey, RequestForm, Token, TokenChallenge, TokenClass, TokenType, parse_issue_request,
    parse_stored_key,
};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::OnceLock;

pub const HUB: &str = "hub.example";
/// The running epoch of [`Hub`] is number 7: days 7 and before 8.
pub const DAY_S: u64 = 86_400;
pub const NOW_S: u64 = 7 * DAY_S + 1_000;

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Gives prepared byte strings, each for one request of its length.
pub struct Script(VecDeque<Vec<u8>>);

impl Script {
    pub fn new(parts: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(parts.into_iter().collect())
    }

    pub fn is_used_up(&self) -> bool {
        self.0.is_empty()
    }
}

impl RngCore for Script {
    fn next_u32(&mut self) -> u32 {
        panic!("nothing asks for numbers")
    }

    fn next_u64(&mut self) -> u64 {
        panic!("nothing asks for numbers")
    }

    fn fill_bytes(&mut self, destination: &mut [u8]) {
        let part = self.0.pop_front().expect("another part");
        destination.copy_from_slice(&part);
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(destination);
        Ok(())
    }
}

pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

pub fn vectors(name: &str) -> Vec<serde_json::Value> {
    let path = folder("vectors").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A field of a vector under whichever of its names, as bytes.
pub fn bytes(vector: &serde_json::Value, names: &[&str]) -> Vec<u8> {
    let text = names.iter().find_map(|name| vector[*name].as_str());
    hex::decode(text.unwrap_or_else(|| panic!("{names:?}"))).unwrap()
}

pub fn epoch(day: u64) -> Epoch {
    Epoch::new(day, day * DAY_S, (day + 1) * DAY_S).unwrap()
}

/// The stored form, written out by hand.
pub fn stored(token_type: TokenType, class: TokenClass, epoch: Epoch, private: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&token_type.code().to_be_bytes());
    bytes.push(if class == TokenClass::Write { 1 } else { 2 });
    for number in [epoch.number(), epoch.start_s(), epoch.end_s()] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(private);
    bytes
}

pub fn key(token_type: TokenType, class: TokenClass, day: u64, private: &[u8]) -> IssuerKey {
    parse_stored_key(&stored(token_type, class, epoch(day), private)).unwrap()
}

/// The two primes of a private key in PEM.
pub fn primes_of_pem(pem: &[u8]) -> Vec<u8> {
    use blind_rsa_signatures::{Deterministic, PSS, SecretKey, Sha384};
    let pem = std::str::from_utf8(pem).unwrap();
    let key = SecretKey::<Sha384, PSS, Deterministic>::from_pem(pem).unwrap();
    let primes = key.components().primes();
    assert!(primes.iter().all(|prime| prime.len() == 128));
    primes.concat()
}

/// The primes of RFC 9578's key: making new ones takes long.
pub fn rsa_primes() -> &'static [u8] {
    static PRIMES: OnceLock<Vec<u8>> = OnceLock::new();
    PRIMES.get_or_init(|| primes_of_pem(&bytes(&vectors("rfc9578_type2")[0], &["skS"])))
}

pub fn private_key(token_type: TokenType, seed: u8) -> Vec<u8> {
    match token_type {
        TokenType::VoprfP384 => vec![seed; 48],
        TokenType::BlindRsa => rsa_primes().to_vec(),
        TokenType::VoprfRistretto255 => [vec![seed; 31], vec![0]].concat(),
    }
}

pub fn listed(key: &IssuerKey) -> ListedKey {
    ListedKey {
        type_code: key.purpose().token_type.code(),
        public_key: key.public_key().to_vec(),
        not_before_s: None,
        terms: None,
    }
}

pub fn challenge(token_type: TokenType) -> TokenChallenge {
    TokenChallenge::of_hub(token_type, HUB).unwrap()
}

/// A hub with one key for `write` of each type in the running epoch.
pub struct Hub {
    pub keys: IssuerKeys,
    pub allowed: AllowedChallenges,
    pub rng: ChaCha20Rng,
}

impl Hub {
    pub fn new() -> Self {
        let mut keys = IssuerKeys::new();
        for token_type in TokenType::ALL {
            let private = private_key(token_type, 3);
            keys.insert(key(token_type, TokenClass::Write, 7, &private))
                .unwrap();
        }
        Self {
            keys,
            allowed: AllowedChallenges::of_hub(HUB).unwrap(),
            rng: rng(1),
        }
    }

    pub fn key(&self, token_type: TokenType) -> &IssuerKey {
        let mut keys = self.keys.iter();
        keys.find(|key| key.purpose().token_type == token_type)
            .unwrap()
    }

    pub fn listed(&self, token_type: TokenType) -> ListedKey {
        listed(self.key(token_type))
    }

    pub fn draw(&mut self, token_type: TokenType, count: usize) -> Draw {
        let key = self.listed(token_type);
        let challenge = challenge(token_type);
        if token_type.is_amortised() && count > 1 {
            Draw::amortised(&key, &challenge, count, &mut self.rng).unwrap()
        } else {
            Draw::single(&key, &challenge, &mut self.rng).unwrap()
        }
    }

    pub fn issue(&mut self, form: RequestForm, body: &[u8]) -> Result<IssueResponse, IssueError> {
        let request = parse_issue_request(form, body, &BatchLimits::default())?;
        self.keys.issue(&request, NOW_S, &mut self.rng)
    }

    pub fn answer(&mut self, draw: &Draw) -> Vec<u8> {
        self.issue(draw.form(), &draw.request().unwrap())
            .unwrap()
            .body
    }

    pub fn token(&mut self, token_type: TokenType) -> Token {
        let draw = self.draw(token_type, 1);
        let answer = self.answer(&draw);
        draw.finish(&answer).unwrap().pop().unwrap()
    }

    pub fn verify(
        &self,
        token: &[u8],
    ) -> Result<sordino_tokens::VerifiedToken, sordino_tokens::TokenRefused> {
        self.keys.verify(token, &self.allowed, NOW_S)
    }
}
