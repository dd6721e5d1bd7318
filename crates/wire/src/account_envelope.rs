//! Owns the envelope of the account world.
//!
//! Invariant: as in [`crate::DsRequest`]: a value encodes to one byte string of a padded size, and
//! only that one decodes. The two envelopes never hold each other's bodies.

use crate::PROTOCOL_VERSION;
use crate::account::{
    AccountAuthentication, AccountReject, AccountRequestBody, AccountResponseBody,
};
use crate::envelope::{close_padding, open_version, within};
use crate::limits::{MAX_ACCOUNT_BODY_BYTES, MAX_ANSWER_BYTES};
use crate::padding::Padding;
use tls_codec::{DeserializeBytes, Serialize, Size};

/// A request of the account world: version, body, authentication, padding.
#[derive(Debug, PartialEq, Eq)]
pub struct AccountRequest {
    /// What is asked.
    pub body: AccountRequestBody,
    /// Who asks.
    pub auth: AccountAuthentication,
}

/// An answer of the account world: version, body, padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountResponse {
    /// What is answered.
    pub body: AccountResponseBody,
}

/// A request with the exact bytes of its body, which the signature covers.
#[derive(Debug)]
pub struct ParsedAccountRequest<'a> {
    /// The request.
    pub request: AccountRequest,
    /// The serialised [`AccountRequestBody`].
    pub body_bytes: &'a [u8],
}

impl AccountRequest {
    /// The padded bytes. An error if they are more than the other side would parse.
    pub fn encode(&self) -> Result<Vec<u8>, tls_codec::Error> {
        let size = 2 + self.body.tls_serialized_len() + self.auth.tls_serialized_len();
        let padding = Padding::for_size(size);
        let mut out = Vec::with_capacity(size + padding.tls_serialized_len());
        PROTOCOL_VERSION.tls_serialize(&mut out)?;
        self.body.tls_serialize(&mut out)?;
        self.auth.tls_serialize(&mut out)?;
        padding.tls_serialize(&mut out)?;
        within(out, MAX_ACCOUNT_BODY_BYTES)
    }

    /// Parses the whole of `bytes`; the same refusals as [`crate::DsRequest::parse`].
    pub fn parse(bytes: &[u8]) -> Result<ParsedAccountRequest<'_>, AccountReject> {
        let malformed = AccountReject::Malformed;
        let rest = open_version(bytes, MAX_ACCOUNT_BODY_BYTES)?;
        let (body, after_body) =
            AccountRequestBody::tls_deserialize_bytes(rest).map_err(|_| malformed.clone())?;
        let body_length = rest.len().saturating_sub(after_body.len());
        let body_bytes = rest.get(..body_length).ok_or(malformed.clone())?;
        let (auth, after_auth) =
            AccountAuthentication::tls_deserialize_bytes(after_body).map_err(|_| malformed)?;
        close_padding(bytes, after_auth)?;
        Ok(ParsedAccountRequest {
            request: Self { body, auth },
            body_bytes,
        })
    }
}

impl AccountResponse {
    /// The padded bytes. An error if they are more than the other side would parse.
    pub fn encode(&self) -> Result<Vec<u8>, tls_codec::Error> {
        let size = 2 + self.body.tls_serialized_len();
        let padding = Padding::for_size(size);
        let mut out = Vec::with_capacity(size + padding.tls_serialized_len());
        PROTOCOL_VERSION.tls_serialize(&mut out)?;
        self.body.tls_serialize(&mut out)?;
        padding.tls_serialize(&mut out)?;
        within(out, MAX_ANSWER_BYTES)
    }

    /// Parses the whole of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, AccountReject> {
        let rest = open_version(bytes, MAX_ANSWER_BYTES)?;
        let (body, after_body) = AccountResponseBody::tls_deserialize_bytes(rest)
            .map_err(|_| AccountReject::Malformed)?;
        close_padding(bytes, after_body)?;
        Ok(Self { body })
    }
}
