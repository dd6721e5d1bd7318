//! Privacy Pass (RFC 9576-9578, draft-ietf-privacypass-batched-tokens-07, design page 4): issuer,
//! origin and client sides, as pure functions.
//!
//! Owns: token types and classes, issuer keys and their rotation, bodies, headers, directory and price
//! list, drawing, issuing, redeeming.
//! Invariant: a key belongs to one class, epoch and type; full key id, challenge and exact lengths are
//! checked before any curve operation; what is secret is wiped, never printed and compared in constant
//! time.
//! Never sees: an account, a connection, a clock, the system's randomness, what has been spent.

mod auth_params;
mod base64url;
mod blind_rsa;
mod challenge;
mod consistency;
mod directory;
mod draw;
mod epoch;
mod header;
mod issue;
mod issuer_key;
mod key_set;
mod kind;
/// Media types and paths of issuance.
pub mod media;
mod price;
mod random;
mod reader;
mod redeem;
mod refused;
mod request;
mod response;
mod rotation;
mod spend;
mod token;
mod voprf_suite;

pub use challenge::{
    AllowedChallenges, ChallengeDigest, ChallengeRefused, TokenChallenge, parse_token_challenge,
};
pub use consistency::{CheckedDirectory, ConsistencyPolicy, Inconsistent};
pub use directory::{Directory, DirectoryRefused, KeyTerms, ListedKey, parse_directory};
pub use draw::{Draw, DrawRefused, finish_generic, generic_request, parse_stored_draw};
pub use epoch::{Epoch, epoch_length_s};
pub use header::{
    HeaderRefused, OfferedChallenge, SCHEME, parse_authorization, parse_www_authenticate,
    write_authorization, write_reserved_challenge, write_www_authenticate,
};
pub use issue::IssueResponse;
pub use issuer_key::{IssuerKey, KeyPurpose, StoredIssuerKey, StoredKeyRefused, parse_stored_key};
pub use key_set::{IssuerKeys, KeySetError};
pub use kind::{BatchLimits, TOKEN_INPUT_BYTES, TokenClass, TokenType};
pub use media::RequestForm;
pub use price::{Due, Operation, PRICE_LIST, Price, PriceList, PriceListRefused, parse_price_list};
pub use redeem::{RecognisedToken, VerifiedToken};
pub use refused::{IssueError, IssueRefused, TokenFault, TokenRefused};
pub use request::{AmortisedRequest, Asked, IssueRequest, TokenRequest, parse_issue_request};
pub use response::{
    Evaluated, parse_amortised_response, parse_generic_response, parse_single_response,
};
pub use rotation::{Rotation, plan};
pub use spend::{Payment, SpendProof};
pub use token::{KeyId, Nullifier, SpendSet, Token, TokenFields, parse_token};
