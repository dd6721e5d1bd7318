//! Everything that crosses a trust border, as TLS structs (RFC 8446 section 3, lengths as in
//! RFC 9420 section 2.1.2).
//!
//! Owns: envelope, authentications, requests, answers, refusals, credentials, limits.
//! Invariant: one encoding per value; a parser refuses every other byte string.
//! Never sees: a private key; the keys that requests carry are [`Secret32`].

mod account;
mod account_envelope;
mod auth;
mod bytes;
mod commit;
mod connection;
mod content;
mod credential;
mod envelope;
mod ids;
mod key_package_set;
/// Every limit of the protocol.
pub mod limits;
/// Media types and paths.
pub mod media;
mod operation;
/// Padding to sizes that tell little.
pub mod padding;
mod policy;
mod reject;
mod response;
mod secret;
mod stream;

pub use account::*;
pub use account_envelope::*;
pub use auth::*;
pub use bytes::{Bytes, List, OutOfBounds, encode, exact};
pub use commit::*;
pub use connection::*;
pub use content::*;
pub use credential::*;
pub use envelope::*;
pub use ids::*;
pub use key_package_set::*;
pub use operation::*;
pub use policy::*;
pub use reject::*;
pub use response::*;
pub use secret::Secret32;
pub use stream::*;

/// The protocol version spoken here.
pub const PROTOCOL_VERSION: u16 = 1;
