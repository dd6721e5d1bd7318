//! Owns what a client may see of a refusal, as HTTP statuses, and apart from it what it may not.
//!
//! Invariant: a text names the kind of trouble and nothing of the values. Everything that is wrong with
//! a token looks the same from outside.

/// Why a request for tokens is refused (RFC 9578 sections 5.2 and 6.2; batch draft).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueRefused {
    /// The media type is none of the three requests.
    #[error("not a media type of a token request")]
    MediaType,
    /// The body is too short, too long, or a length is not in its shortest form.
    #[error("the token request is malformed")]
    Malformed,
    /// The token type is not issued here, or not in this form.
    #[error("the token type is not issued here")]
    TokenType,
    /// No key of that type and truncated id issues now.
    #[error("no such key")]
    UnknownKey,
    /// A blinded message is not one.
    #[error("a blinded message is invalid")]
    Element,
    /// A batch of nothing.
    #[error("the batch is empty")]
    Empty,
    /// A batch of more than is issued at once.
    #[error("the batch is too large")]
    TooMany,
    /// Not one token of a generic batch could be issued.
    #[error("none of the tokens was issued")]
    None,
}

impl IssueRefused {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::MediaType => 415,
            Self::None => 400,
            Self::Malformed
            | Self::TokenType
            | Self::UnknownKey
            | Self::Element
            | Self::Empty
            | Self::TooMany => 422,
        }
    }
}

/// A library refused what cannot fail: a damaged key or a fault of the machine. Status 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cryptographic operation failed")]
pub struct TokenFault;

/// Why nothing was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The request is at fault.
    #[error(transparent)]
    Refused(#[from] IssueRefused),
    /// The issuer is.
    #[error(transparent)]
    Fault(#[from] TokenFault),
}

impl IssueError {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::Refused(refused) => refused.status(),
            Self::Fault(_) => 500,
        }
    }
}

/// Why a token is not taken. For metrics and tests: the holder sees one status, one body, and a fresh
/// challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenRefused {
    /// Type or length are wrong.
    #[error("the token is malformed")]
    Malformed,
    /// No live key has this full id and type.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The epoch of the key has not begun.
    #[error("the token is not valid yet")]
    Early,
    /// The epoch and the two hours after it are over.
    #[error("the token is no longer valid")]
    Late,
    /// The challenge is none of this origin's.
    #[error("the token answers another challenge")]
    Challenge,
    /// The class is not the one that the operation costs.
    #[error("the token is of another class")]
    Class,
    /// Fewer or more tokens than the operation costs.
    #[error("not the number of tokens that the operation costs")]
    Count,
    /// One token twice in one request.
    #[error("a token occurs twice")]
    Twice,
    /// The key did not make it.
    #[error("the token is forged")]
    Forged,
}

impl TokenRefused {
    /// The HTTP status, always the same.
    pub const fn status(self) -> u16 {
        401
    }
}
