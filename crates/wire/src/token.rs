//! Owns tokens on the wire (design page 4): what is paid, what things cost, how a batch is drawn.
//!
//! Invariant: a token stands outside the signed body, so that the same body can be sent with it
//! again; nothing here says who pays. Tokens and batches are opaque bytes of the Privacy Pass RFCs
//! (9577 section 2.2, draft-ietf-privacypass-batched-tokens), checked where their keys are.

use crate::bytes::{Bytes, List};
use crate::limits::{
    MAX_BATCH_REQUEST_BYTES, MAX_BATCH_RESPONSE_BYTES, MAX_PRICES, MAX_TOKEN_BYTES,
    MAX_TOKEN_CHALLENGE_BYTES, MAX_TOKEN_CLASSES, MAX_TOKEN_KEY_BYTES, MAX_TOKEN_KEYS,
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

/// What one thing costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct OperationPrice {
    /// Which thing.
    pub operation: PricedOperation,
    /// Its price.
    pub price: TokenPrice,
    /// The price is for so many entries of the request, or a part of so many; 0: for the request,
    /// whatever is in it.
    pub entries: u8,
}

/// How many tokens of a class one draw gives: always so many, never fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct BatchSize {
    /// Which class.
    pub class: TokenClass,
    /// How many.
    pub tokens: u16,
}

/// One key of the issuer.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct TokenKey {
    /// What its tokens are good for.
    pub class: TokenClass,
    /// When they are: epochs of a class are numbered one by one.
    pub epoch: u32,
    /// `token_type` of RFC 9577.
    pub token_type: u16,
    /// Tokens are taken from then on, in seconds since 1970. They are issued before.
    pub not_before_s: u64,
    /// No token is taken from then on, in seconds since 1970.
    pub not_after_s: u64,
    /// The public key, as RFC 9578 encodes it.
    pub public_key: Bytes<1, MAX_TOKEN_KEY_BYTES>,
}

/// What a client must know before it draws or spends: the same for everybody.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct TokenTerms {
    /// What things cost; what is not listed costs nothing.
    pub prices: List<OperationPrice, MAX_PRICES>,
    /// How many tokens a draw gives.
    pub batches: List<BatchSize, MAX_TOKEN_CLASSES>,
    /// The issuer's keys, the current one of each class and type before its successor.
    pub keys: List<TokenKey, MAX_TOKEN_KEYS>,
}

impl TokenTerms {
    /// The price of an operation on `entries` entries, unless it costs nothing.
    pub fn price(&self, operation: PricedOperation, entries: usize) -> Option<TokenPrice> {
        let listed = self.prices.iter().find(|p| p.operation == operation)?;
        listed.price_of(entries)
    }
}

impl OperationPrice {
    /// The price of so many entries, unless it is nothing. More than a request can carry is as
    /// much as it can carry.
    pub fn price_of(&self, entries: usize) -> Option<TokenPrice> {
        let times = match usize::from(self.entries) {
            0 => 1,
            per => entries.div_ceil(per),
        };
        let tokens = usize::from(self.price.tokens).saturating_mul(times);
        let tokens = u8::try_from(tokens.min(MAX_TOKENS_PER_REQUEST)).ok()?;
        (tokens > 0).then_some(TokenPrice {
            class: self.price.class,
            tokens,
        })
    }
}

/// Draws a batch of tokens of one class and epoch: once for each account, all of it. The same
/// request again gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct DrawTokens {
    /// Which class.
    pub class: TokenClass,
    /// Which epoch: one of those in [`TokenTerms::keys`].
    pub epoch: u32,
    /// As many blinded elements as [`TokenTerms::batches`] says.
    pub request: BatchRequestBytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_for_requests_or_for_entries() {
        let price = |tokens, entries| OperationPrice {
            operation: PricedOperation::PublishKeyPackages,
            price: TokenPrice {
                class: TokenClass::Write,
                tokens,
            },
            entries,
        };
        let tokens = |p: OperationPrice, entries| p.price_of(entries).map(|p| p.tokens);
        assert_eq!(tokens(price(5, 0), 0), Some(5));
        assert_eq!(tokens(price(5, 0), 100), Some(5));
        assert_eq!(tokens(price(0, 0), 100), None);
        assert_eq!(tokens(price(1, 4), 0), None);
        assert_eq!(tokens(price(1, 4), 1), Some(1));
        assert_eq!(tokens(price(1, 4), 4), Some(1));
        assert_eq!(tokens(price(1, 4), 5), Some(2));
        let most = u8::try_from(MAX_TOKENS_PER_REQUEST).unwrap();
        assert_eq!(tokens(price(255, 1), 1_000), Some(most));
    }
}
