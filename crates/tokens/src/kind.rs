//! Owns token types and classes: the sizes of everything that belongs to a type.
//!
//! Invariant: a value of [`TokenType`] is a type that is spoken here; every other code is refused
//! where bytes come in.

use sordino_wire::limits;

/// A token type of the IANA registry (RFC 9578 section 8.2, draft-ietf-privacypass-batched-tokens).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenType {
    /// 0x0001: VOPRF(P-384, SHA-384). Only the issuer can check a token.
    VoprfP384,
    /// 0x0002: Blind RSA, 2048 bits. Everybody can check a token.
    BlindRsa,
    /// 0x0005: VOPRF(ristretto255, SHA-512). Only the issuer can check a token.
    VoprfRistretto255,
}

impl TokenType {
    /// All of them, by preference: the cheapest first.
    pub const ALL: [Self; 3] = [Self::VoprfRistretto255, Self::VoprfP384, Self::BlindRsa];

    /// The code on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::VoprfP384 => 0x0001,
            Self::BlindRsa => 0x0002,
            Self::VoprfRistretto255 => 0x0005,
        }
    }

    /// The type of a code, if it is spoken here.
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            0x0001 => Some(Self::VoprfP384),
            0x0002 => Some(Self::BlindRsa),
            0x0005 => Some(Self::VoprfRistretto255),
            _ => None,
        }
    }

    /// Bytes of a blinded message and of its evaluation (`Ne`, or `Nk` of type 0x0002).
    pub const fn message_bytes(self) -> usize {
        match self {
            Self::VoprfP384 => 49,
            Self::BlindRsa => 256,
            Self::VoprfRistretto255 => 32,
        }
    }

    /// Bytes of a proof (`2 * Ns`); a blind signature needs none.
    pub const fn proof_bytes(self) -> usize {
        match self {
            Self::VoprfP384 => 96,
            Self::BlindRsa => 0,
            Self::VoprfRistretto255 => 64,
        }
    }

    /// Bytes of an authenticator (`Nk`).
    pub const fn authenticator_bytes(self) -> usize {
        match self {
            Self::VoprfP384 => 48,
            Self::BlindRsa => 256,
            Self::VoprfRistretto255 => 64,
        }
    }

    /// Bytes of an encoded public key: SEC1 compressed, SubjectPublicKeyInfo, or the element.
    pub const fn public_key_bytes(self) -> usize {
        match self {
            Self::VoprfP384 => 49,
            Self::BlindRsa => 342,
            Self::VoprfRistretto255 => 32,
        }
    }

    /// Bytes of a private key as it is stored: a scalar, or the two primes.
    pub(crate) const fn private_key_bytes(self) -> usize {
        match self {
            Self::VoprfP384 => 48,
            Self::BlindRsa => 256,
            Self::VoprfRistretto255 => 32,
        }
    }

    /// Bytes of what a client remembers of one blinding, without its nonce: a scalar and the blinded
    /// element, or the unblinding factor and the blinded message.
    pub(crate) const fn blinding_bytes(self) -> usize {
        match self {
            Self::VoprfP384 => 48 + 49,
            Self::BlindRsa => 256 + 256,
            Self::VoprfRistretto255 => 32 + 32,
        }
    }

    /// Bytes of a token (RFC 9577 section 2.2): 98 and the authenticator.
    pub const fn token_bytes(self) -> usize {
        TOKEN_INPUT_BYTES + self.authenticator_bytes()
    }

    /// Whether one proof can cover a whole batch under one key.
    pub const fn is_amortised(self) -> bool {
        !matches!(self, Self::BlindRsa)
    }
}

/// Bytes of a token before its authenticator: type, nonce, challenge digest, key id.
pub const TOKEN_INPUT_BYTES: usize = 2 + 32 + 32 + 32;

/// What a token pays for: one quota and one anonymity set each (design page 4).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum TokenClass {
    /// Creating groups, joining, opening streams and inboxes, publishing.
    Write,
    /// Reaching people: key packages, handles, connection requests.
    Contact,
}

impl TokenClass {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Write, Self::Contact];

    /// The name in directories and price lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Contact => "contact",
        }
    }

    /// The class of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Write => 1,
            Self::Contact => 2,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }
}

/// The most tokens that one request may draw, by type. One token of type 0x0001 costs twenty times
/// the processor time of one of type 0x0005.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Type 0x0005.
    pub ristretto255: usize,
    /// Type 0x0001.
    pub p384: usize,
    /// Type 0x0002.
    pub blind_rsa: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            ristretto255: limits::MAX_TOKEN_BATCH_RISTRETTO255,
            p384: limits::MAX_TOKEN_BATCH_P384,
            blind_rsa: limits::MAX_TOKEN_BATCH_BLIND_RSA,
        }
    }
}

impl BatchLimits {
    /// The limit of a type.
    pub const fn of(&self, token_type: TokenType) -> usize {
        match token_type {
            TokenType::VoprfP384 => self.p384,
            TokenType::BlindRsa => self.blind_rsa,
            TokenType::VoprfRistretto255 => self.ristretto255,
        }
    }
}
