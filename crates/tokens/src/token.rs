//! Owns the layout of a token (RFC 9577 section 2.2) and the client's copy of one.
//!
//! Invariant: a token is as long as its type says, to the byte. Whoever has its bytes can spend it, so
//! the owned form is wiped on drop and never printed.

use crate::kind::{TOKEN_INPUT_BYTES, TokenType};
use crate::reader::Reader;
use crate::refused::TokenRefused;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// SHA-256 of an encoded public key: its full name. The last byte is the truncated key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 32]);

impl KeyId {
    /// The name of a public key.
    pub fn of(public_key: &[u8]) -> Self {
        Self(Sha256::digest(public_key).into())
    }

    /// What requests name a key by.
    pub fn truncated(&self) -> u8 {
        let [.., last] = self.0;
        last
    }
}

/// What must be stored of a spent token: 16 bytes that depend on what the token says and on nothing
/// else that came with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nullifier(pub [u8; 16]);

/// Names the set in which a key's nullifiers are kept: the first 8 bytes of the key's id. It is
/// destroyed together with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpendSet(pub [u8; 8]);

impl SpendSet {
    /// The set of a key.
    pub fn of(key_id: &KeyId) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = key_id.0;
        Self([a, b, c, d, e, f, g, h])
    }
}

/// The label before what a nullifier hashes.
const NULLIFIER_LABEL: &[u8] = b"Sordino 1.0 token nullifier";

/// The fields of a token, of which nothing is checked but the lengths.
#[derive(Clone, Copy)]
pub struct TokenFields<'a> {
    pub(crate) token_type: TokenType,
    pub(crate) nonce: &'a [u8; 32],
    pub(crate) challenge_digest: &'a [u8; 32],
    pub(crate) key_id: &'a [u8; 32],
    pub(crate) authenticator: &'a [u8],
    /// What the authenticator covers: the first 98 bytes.
    pub(crate) input: &'a [u8; TOKEN_INPUT_BYTES],
}

impl std::fmt::Debug for TokenFields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenFields(..)")
    }
}

impl TokenFields<'_> {
    /// The token's nullifier: the first 16 bytes of SHA-256(label, type, key id, nonce, challenge
    /// digest). All parts have fixed sizes.
    pub fn nullifier(&self) -> Nullifier {
        let mut hash = Sha256::new();
        hash.update(NULLIFIER_LABEL);
        hash.update(self.token_type.code().to_be_bytes());
        hash.update(self.key_id);
        hash.update(self.nonce);
        hash.update(self.challenge_digest);
        let digest: [u8; 32] = hash.finalize().into();
        let mut nullifier = [0; 16];
        for (to, from) in nullifier.iter_mut().zip(digest) {
            *to = from;
        }
        Nullifier(nullifier)
    }
}

/// Reads a whole token: 162 bytes for type 0x0005, 146 for 0x0001, 354 for 0x0002.
pub fn parse_token(bytes: &[u8]) -> Result<TokenFields<'_>, TokenRefused> {
    let mut reader = Reader::new(bytes);
    let code = reader.u16().ok_or(TokenRefused::Malformed)?;
    let token_type = TokenType::from_code(code).ok_or(TokenRefused::Malformed)?;
    if bytes.len() != token_type.token_bytes() {
        return Err(TokenRefused::Malformed);
    }
    read_fields(token_type, bytes, reader).ok_or(TokenRefused::Malformed)
}

fn read_fields<'a>(
    token_type: TokenType,
    bytes: &'a [u8],
    mut reader: Reader<'a>,
) -> Option<TokenFields<'a>> {
    let fields = TokenFields {
        token_type,
        nonce: reader.array()?,
        challenge_digest: reader.array()?,
        key_id: reader.array()?,
        authenticator: reader.take(token_type.authenticator_bytes())?,
        input: Reader::new(bytes).array()?,
    };
    reader.end()?;
    Some(fields)
}

/// The input of an authenticator.
pub(crate) fn token_input(
    token_type: TokenType,
    nonce: &[u8; 32],
    challenge_digest: &[u8; 32],
    key_id: &KeyId,
) -> [u8; TOKEN_INPUT_BYTES] {
    let mut input = [0; TOKEN_INPUT_BYTES];
    let code = token_type.code().to_be_bytes();
    let fields = code
        .iter()
        .chain(nonce)
        .chain(challenge_digest)
        .chain(&key_id.0);
    for (to, from) in input.iter_mut().zip(fields) {
        *to = *from;
    }
    input
}

/// A token that can be spent.
pub struct Token {
    token_type: TokenType,
    key_id: KeyId,
    bytes: Zeroizing<Vec<u8>>,
}

impl Token {
    pub(crate) fn new(input: &[u8; TOKEN_INPUT_BYTES], authenticator: &[u8]) -> Option<Self> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(input.len() + authenticator.len()));
        bytes.extend_from_slice(input);
        bytes.extend_from_slice(authenticator);
        Self::from_bytes(&bytes).ok()
    }

    /// A token that was kept somewhere.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenRefused> {
        let fields = parse_token(bytes)?;
        Ok(Self {
            token_type: fields.token_type,
            key_id: KeyId(*fields.key_id),
            bytes: Zeroizing::new(bytes.to_vec()),
        })
    }

    /// Its bytes, to be spent or sealed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its type.
    pub fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// The key that made it, which says what it buys and until when.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}
