//! Owns tokens on the wire (design page 4): what is paid, what things cost, how a batch is drawn.
//!
//! Invariant: a token stands outside the signed body, so that the same body can be sent with it
//! again; nothing here says who pays. Tokens and batches are opaque bytes of the Privacy Pass RFCs
//! (9577 section 2.2, draft-ietf-privacypass-batched-tokens), checked where their keys are.

use crate::bytes::{Bytes, List};
use crate::limits::{
    MAX_BATCH_REQUEST_BYTES, MAX_BATCH_RESPONSE_BYTES, MAX_PRICE_LIST_BYTES, MAX_TOKEN_BYTES,
    MAX_TOKEN_CHALLENGE_BYTES, MAX_TOKEN_DIRECTORY_BYTES, MAX_TOKEN_DIRECTORY_KEYS,
    MAX_TOKENS_PER_REQUEST,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// A serialised `Token` (RFC 9577 section 2.2): 146, 354 or 162 B for the types 1, 2 and 5.
pub type TokenBytes = Bytes<1, MAX_TOKEN_BYTES>;
/// The tokens that come with a request, each spent by it or none.
pub type Tokens = List<TokenBytes, MAX_TOKENS_PER_REQUEST>;
/// A serialised `TokenChallenge` (RFC 9577 section 2.1).
pub type TokenChallengeBytes = Bytes<1, MAX_TOKEN_CHALLENGE_BYTES>;
/// A serialised `AmortizedBatchTokenRequest`.
pub type BatchRequestBytes = Bytes<1, MAX_BATCH_REQUEST_BYTES>;
/// A serialised `AmortizedBatchTokenResponse`.
pub type BatchResponseBytes = Bytes<1, MAX_BATCH_RESPONSE_BYTES>;

/// What a token is good for. It is bound to the issuer's key, for the challenge is blinded when a
/// token is issued.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    TlsSerialize,
    TlsSize,
    TlsDeserializeBytes,
)]
#[repr(u8)]
pub enum TokenClass {
    /// What makes the hub keep something.
    Write = 1,
    /// What concerns another person.
    Contact = 2,
}

impl TokenClass {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Write, Self::Contact];
}

/// A number of tokens of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct TokenPrice {
    /// Which.
    pub class: TokenClass,
    /// How many; 0 is for nothing.
    pub tokens: u8,
}

/// What can have a price.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, TlsSerialize, TlsSize, TlsDeserializeBytes,
)]
#[repr(u16)]
pub enum PricedOperation {
    /// Creating a group.
    CreateGroup = 1,
    /// Coming into a group by a link: by external commit, or by a proposal to be added.
    Join = 2,
    /// Opening an inbox.
    OpenInbox = 3,
    /// Publishing entries of key-package sets.
    PublishKeyPackages = 4,
    /// Fetching a key-package set.
    FetchKeyPackages = 5,
    /// Sending a message as nobody in particular where the group's budget is used up.
    SendOverBudget = 6,
    /// Looking a handle up.
    LookUp = 32,
    /// Asking a person for a connection.
    ConnectionRequest = 33,
}

/// How many tokens of a class and epoch one draw gives: always so many, never fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct BatchSize {
    /// Which class.
    pub class: TokenClass,
    /// Which epoch.
    pub epoch: u64,
    /// How many.
    pub tokens: u16,
}

/// What a client must know before it draws or spends: the same for everybody, on every way to it.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct TokenTerms {
    /// The issuer's directory (RFC 9578 section 4), as JSON.
    pub directory: Bytes<1, MAX_TOKEN_DIRECTORY_BYTES>,
    /// What things cost, as JSON.
    pub price_list: Bytes<1, MAX_PRICE_LIST_BYTES>,
    /// How many tokens a draw gives.
    pub batches: List<BatchSize, MAX_TOKEN_DIRECTORY_KEYS>,
}

/// Draws a batch of tokens of one class and epoch: once for each account, all of it. The same
/// request again gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct DrawTokens {
    /// Which class.
    pub class: TokenClass,
    /// Which epoch: one that [`TokenTerms::directory`] has a key for.
    pub epoch: u64,
    /// As many blinded elements as [`TokenTerms::batches`] says.
    pub request: BatchRequestBytes,
}
