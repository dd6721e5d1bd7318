//! Owns the envelope of requests and answers (design page 3.1).
//!
//! Invariant: a value encodes to one byte string of a padded size, and only that one decodes.

use crate::PROTOCOL_VERSION;
use crate::account::AccountReject;
use crate::auth::Authentication;
use crate::limits::{MAX_ANSWER_BYTES, MAX_BODY_BYTES};
use crate::operation::RequestBody;
use crate::padding::Padding;
use crate::reject::Reject;
use crate::response::ResponseBody;
use tls_codec::{DeserializeBytes, Serialize, Size};

/// A request: version, body, authentication, padding.
#[derive(Debug, PartialEq, Eq)]
pub struct DsRequest {
    /// What is asked.
    pub body: RequestBody,
    /// Who asks.
    pub auth: Authentication,
}

/// An answer: version, body, padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsResponse {
    /// What is answered.
    pub body: ResponseBody,
}

/// A request with the exact bytes of its body, which signatures cover.
#[derive(Debug)]
pub struct ParsedRequest<'a> {
    /// The request.
    pub request: DsRequest,
    /// The serialised [`RequestBody`].
    pub body_bytes: &'a [u8],
}

impl DsRequest {
    /// The padded bytes. An error if they are more than the other side would parse.
    pub fn encode(&self) -> Result<Vec<u8>, tls_codec::Error> {
        let size = 2 + self.body.tls_serialized_len() + self.auth.tls_serialized_len();
        let padding = Padding::for_size(size);
        let mut out = Vec::with_capacity(size + padding.tls_serialized_len());
        PROTOCOL_VERSION.tls_serialize(&mut out)?;
        self.body.tls_serialize(&mut out)?;
        self.auth.tls_serialize(&mut out)?;
        padding.tls_serialize(&mut out)?;
        within(out, MAX_BODY_BYTES)
    }

    /// Parses the whole of `bytes`. Refuses over-long, truncated, trailing and non-minimal input,
    /// other versions, padding that is not zero.
    pub fn parse(bytes: &[u8]) -> Result<ParsedRequest<'_>, Reject> {
        let rest = open_version(bytes, MAX_BODY_BYTES)?;
        let (body, after_body) =
            RequestBody::tls_deserialize_bytes(rest).map_err(|_| Reject::Malformed)?;
        let body_length = rest.len().saturating_sub(after_body.len());
        let body_bytes = rest.get(..body_length).ok_or(Reject::Malformed)?;
        let (auth, after_auth) =
            Authentication::tls_deserialize_bytes(after_body).map_err(|_| Reject::Malformed)?;
        close_padding(bytes, after_auth)?;
        Ok(ParsedRequest {
            request: Self { body, auth },
            body_bytes,
        })
    }
}

impl DsResponse {
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

    /// Parses the whole of `bytes`; the same refusals as [`DsRequest::parse`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let rest = open_version(bytes, MAX_ANSWER_BYTES)?;
        let (body, after_body) =
            ResponseBody::tls_deserialize_bytes(rest).map_err(|_| Reject::Malformed)?;
        close_padding(bytes, after_body)?;
        Ok(Self { body })
    }
}

/// Why an envelope does not open, in whichever world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnvelopeError {
    /// Over the limit.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Another version.
    Version,
    /// Anything else.
    Malformed,
}

impl From<EnvelopeError> for Reject {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::TooLarge { limit } => Self::TooLarge { limit },
            EnvelopeError::Version => Self::UnsupportedVersion {
                supported: PROTOCOL_VERSION,
            },
            EnvelopeError::Malformed => Self::Malformed,
        }
    }
}

impl From<EnvelopeError> for AccountReject {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::TooLarge { limit } => Self::TooLarge { limit },
            EnvelopeError::Version => Self::UnsupportedVersion {
                supported: PROTOCOL_VERSION,
            },
            EnvelopeError::Malformed => Self::Malformed,
        }
    }
}

/// The bytes, if the other side would parse as many.
pub(crate) fn within(encoded: Vec<u8>, limit: usize) -> Result<Vec<u8>, tls_codec::Error> {
    if encoded.len() > limit {
        return Err(tls_codec::Error::EncodingError("too large".into()));
    }
    Ok(encoded)
}

/// What follows the version.
pub(crate) fn open_version(bytes: &[u8], limit: usize) -> Result<&[u8], EnvelopeError> {
    if bytes.len() > limit {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        return Err(EnvelopeError::TooLarge { limit });
    }
    let (version, rest) =
        u16::tls_deserialize_bytes(bytes).map_err(|_| EnvelopeError::Malformed)?;
    if version != PROTOCOL_VERSION {
        return Err(EnvelopeError::Version);
    }
    Ok(rest)
}

/// What follows must be exactly the padding that the encoder would have made.
pub(crate) fn close_padding(whole: &[u8], rest: &[u8]) -> Result<(), EnvelopeError> {
    let padding =
        Padding::tls_deserialize_exact_bytes(rest).map_err(|_| EnvelopeError::Malformed)?;
    let unpadded = whole.len().saturating_sub(rest.len());
    if padding != Padding::for_size(unpadded) {
        return Err(EnvelopeError::Malformed);
    }
    Ok(())
}
