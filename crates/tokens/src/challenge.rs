//! Owns the challenge that a token answers (RFC 9577 section 2.1).
//!
//! Invariant: a parsed challenge encodes to the bytes it came from, and its type is spoken here.
//!
//! Clients draw before they know what they will spend a token on, so a hub has one challenge per type:
//! its own name as issuer and origin, no context. What a token buys is bound to its key.

use crate::kind::TokenType;
use crate::reader::Reader;
use sha2::{Digest as _, Sha256};

/// SHA-256 of an encoded challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChallengeDigest(pub [u8; 32]);

/// A TokenChallenge: who issues, who takes, and in which context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenChallenge {
    token_type: TokenType,
    issuer_name: String,
    redemption_context: Option<[u8; 32]>,
    origin_info: String,
}

/// Why bytes are no challenge that can be answered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeRefused {
    /// The type is unknown or reserved: such challenges are skipped.
    #[error("the token type is not spoken here")]
    TokenType,
    /// A length, a name or a context is not as RFC 9577 has it.
    #[error("the challenge is malformed")]
    Malformed,
}

impl TokenChallenge {
    /// A challenge. Names are 1 to 65,535 printable ASCII characters; `origin_info` may be empty and
    /// otherwise is a list of names with commas between them.
    pub fn new(
        token_type: TokenType,
        issuer_name: &str,
        redemption_context: Option<[u8; 32]>,
        origin_info: &str,
    ) -> Result<Self, ChallengeRefused> {
        let origins_are_names =
            origin_info.is_empty() || origin_info.split(',').all(|name| !name.is_empty());
        let is_well_formed = is_text(issuer_name)
            && is_text(origin_info)
            && !issuer_name.is_empty()
            && origins_are_names;
        if !is_well_formed {
            return Err(ChallengeRefused::Malformed);
        }
        Ok(Self {
            token_type,
            issuer_name: issuer_name.into(),
            redemption_context,
            origin_info: origin_info.into(),
        })
    }

    /// The challenge of a hub that issues and takes its tokens itself.
    pub fn of_hub(token_type: TokenType, domain: &str) -> Result<Self, ChallengeRefused> {
        Self::new(token_type, domain, None, domain)
    }

    /// Its type.
    pub fn token_type(&self) -> TokenType {
        self.token_type
    }

    /// The issuer's host name.
    pub fn issuer_name(&self) -> &str {
        &self.issuer_name
    }

    /// The context that a token is bound to, if any.
    pub fn redemption_context(&self) -> Option<&[u8; 32]> {
        self.redemption_context.as_ref()
    }

    /// The origins at which a token may be spent; none means any.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.origin_info.split(',').filter(|name| !name.is_empty())
    }

    /// The encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.token_type.code().to_be_bytes().to_vec();
        write16(self.issuer_name.as_bytes(), &mut bytes);
        match &self.redemption_context {
            Some(context) => {
                bytes.push(32);
                bytes.extend_from_slice(context);
            }
            None => bytes.push(0),
        }
        write16(self.origin_info.as_bytes(), &mut bytes);
        bytes
    }

    /// What tokens carry of it.
    pub fn digest(&self) -> ChallengeDigest {
        ChallengeDigest(Sha256::digest(self.to_bytes()).into())
    }
}

/// Reads a whole challenge.
pub fn parse_token_challenge(bytes: &[u8]) -> Result<TokenChallenge, ChallengeRefused> {
    let mut reader = Reader::new(bytes);
    let code = reader.u16().ok_or(ChallengeRefused::Malformed)?;
    let token_type = TokenType::from_code(code).ok_or(ChallengeRefused::TokenType)?;
    read_fields(token_type, reader).ok_or(ChallengeRefused::Malformed)
}

fn read_fields(token_type: TokenType, mut reader: Reader<'_>) -> Option<TokenChallenge> {
    let issuer_name = std::str::from_utf8(reader.vector16()?).ok()?;
    let redemption_context = match reader.vector8()? {
        [] => None,
        context => Some(context.try_into().ok()?),
    };
    let origin_info = std::str::from_utf8(reader.vector16()?).ok()?;
    reader.end()?;
    TokenChallenge::new(token_type, issuer_name, redemption_context, origin_info).ok()
}

fn is_text(text: &str) -> bool {
    let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    u16::try_from(text.len()).is_ok() && text.bytes().all(printable)
}

/// Writes text that [`is_text`]: the length fits.
fn write16(text: &[u8], bytes: &mut Vec<u8>) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text);
}

/// The challenges whose tokens an origin takes, each with its type.
#[derive(Debug, Clone, Default)]
pub struct AllowedChallenges(Vec<(TokenType, ChallengeDigest)>);

impl AllowedChallenges {
    /// Those of a hub that issues and takes its tokens itself, of all types.
    pub fn of_hub(domain: &str) -> Result<Self, ChallengeRefused> {
        let mut allowed = Self::default();
        for token_type in TokenType::ALL {
            allowed.allow(&TokenChallenge::of_hub(token_type, domain)?);
        }
        Ok(allowed)
    }

    /// One more.
    pub fn allow(&mut self, challenge: &TokenChallenge) {
        self.0.push((challenge.token_type(), challenge.digest()));
    }

    pub(crate) fn contains(&self, token_type: TokenType, digest: &[u8; 32]) -> bool {
        let mut allowed = self.0.iter();
        allowed.any(|(allowed, known)| *allowed == token_type && known.0 == *digest)
    }
}
