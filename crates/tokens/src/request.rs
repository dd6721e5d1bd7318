//! Owns the bodies of requests for tokens (RFC 9578 sections 5.1 and 6.1, batch draft).
//!
//! Invariant: a parsed request has exact lengths, at least one token and at most as many as are
//! issued at once. Nothing in it has been computed with: an attester passes the same bytes on.

use crate::kind::{BatchLimits, TokenType};
use crate::media::RequestForm;
use crate::reader::{Reader, write_length};
use crate::refused::IssueRefused;

/// A request for one token: `{uint16 type; uint8 truncated_key_id; uint8 blinded_msg[N]}`.
#[derive(Clone, Copy)]
pub struct TokenRequest<'a> {
    pub(crate) token_type: TokenType,
    pub(crate) truncated_key_id: u8,
    pub(crate) blinded: &'a [u8],
}

/// A request for tokens under one key:
/// `{uint16 type; uint8 truncated_key_id; BlindedMessage blinded_msgs<V>}`.
#[derive(Clone, Copy)]
pub struct AmortisedRequest<'a> {
    pub(crate) token_type: TokenType,
    pub(crate) truncated_key_id: u8,
    /// Blinded messages, end to end.
    blinded: &'a [u8],
}

impl<'a> AmortisedRequest<'a> {
    pub(crate) fn blinded(&self) -> std::slice::ChunksExact<'a, u8> {
        self.blinded.chunks_exact(self.token_type.message_bytes())
    }
}

/// A request for tokens, of whatever form.
#[derive(Clone)]
pub enum IssueRequest<'a> {
    /// One token.
    Single(TokenRequest<'a>),
    /// Tokens under one key.
    Amortised(AmortisedRequest<'a>),
    /// `{TokenRequest token_requests<V>}`.
    Generic(Vec<TokenRequest<'a>>),
}

/// What a request asks of one key: all that an attester has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The key's type.
    pub token_type: TokenType,
    /// The last byte of its id.
    pub truncated_key_id: u8,
    /// How many tokens.
    pub tokens: usize,
}

impl IssueRequest<'_> {
    /// The form it came in.
    pub fn form(&self) -> RequestForm {
        match self {
            Self::Single(_) => RequestForm::Single,
            Self::Amortised(_) => RequestForm::Amortised,
            Self::Generic(_) => RequestForm::Generic,
        }
    }

    /// What it asks, key by key.
    pub fn asked(&self) -> Vec<Asked> {
        match self {
            Self::Single(request) => vec![request.asked()],
            Self::Amortised(request) => vec![Asked {
                token_type: request.token_type,
                truncated_key_id: request.truncated_key_id,
                tokens: request.blinded().len(),
            }],
            Self::Generic(requests) => sum(requests),
        }
    }
}

impl TokenRequest<'_> {
    fn asked(&self) -> Asked {
        Asked {
            token_type: self.token_type,
            truncated_key_id: self.truncated_key_id,
            tokens: 1,
        }
    }
}

fn sum(requests: &[TokenRequest<'_>]) -> Vec<Asked> {
    let mut sums: Vec<Asked> = Vec::new();
    for one in requests.iter().map(TokenRequest::asked) {
        let mut known = sums.iter_mut();
        let same = known.find(|sum| {
            sum.token_type == one.token_type && sum.truncated_key_id == one.truncated_key_id
        });
        match same {
            Some(sum) => sum.tokens += 1,
            None => sums.push(one),
        }
    }
    sums
}

/// Reads a whole request body of the form that its media type names.
pub fn parse_issue_request<'a>(
    form: RequestForm,
    body: &'a [u8],
    limits: &BatchLimits,
) -> Result<IssueRequest<'a>, IssueRefused> {
    let mut reader = Reader::new(body);
    let request = match form {
        RequestForm::Single => IssueRequest::Single(read_single(&mut reader)?),
        RequestForm::Amortised => IssueRequest::Amortised(read_amortised(&mut reader, limits)?),
        RequestForm::Generic => IssueRequest::Generic(read_generic(&mut reader, limits)?),
    };
    reader.end().ok_or(IssueRefused::Malformed)?;
    Ok(request)
}

fn read_type(reader: &mut Reader<'_>) -> Result<TokenType, IssueRefused> {
    let code = reader.u16().ok_or(IssueRefused::Malformed)?;
    TokenType::from_code(code).ok_or(IssueRefused::TokenType)
}

fn read_single<'a>(reader: &mut Reader<'a>) -> Result<TokenRequest<'a>, IssueRefused> {
    let token_type = read_type(reader)?;
    let truncated_key_id = reader.u8().ok_or(IssueRefused::Malformed)?;
    let blinded = reader.take(token_type.message_bytes());
    Ok(TokenRequest {
        token_type,
        truncated_key_id,
        blinded: blinded.ok_or(IssueRefused::Malformed)?,
    })
}

fn read_amortised<'a>(
    reader: &mut Reader<'a>,
    limits: &BatchLimits,
) -> Result<AmortisedRequest<'a>, IssueRefused> {
    let token_type = read_type(reader)?;
    if !token_type.is_amortised() {
        return Err(IssueRefused::TokenType);
    }
    let truncated_key_id = reader.u8().ok_or(IssueRefused::Malformed)?;
    let blinded = reader.vector().ok_or(IssueRefused::Malformed)?;
    let request = AmortisedRequest {
        token_type,
        truncated_key_id,
        blinded,
    };
    match request.blinded() {
        elements if !elements.remainder().is_empty() => Err(IssueRefused::Malformed),
        elements if elements.len() == 0 => Err(IssueRefused::Empty),
        elements if elements.len() > limits.of(token_type) => Err(IssueRefused::TooMany),
        _ => Ok(request),
    }
}

fn read_generic<'a>(
    reader: &mut Reader<'a>,
    limits: &BatchLimits,
) -> Result<Vec<TokenRequest<'a>>, IssueRefused> {
    let mut contents = Reader::new(reader.vector().ok_or(IssueRefused::Malformed)?);
    let mut requests: Vec<TokenRequest<'a>> = Vec::new();
    while !contents.is_empty() {
        let request = read_single(&mut contents)?;
        let same_type = |other: &&TokenRequest<'_>| other.token_type == request.token_type;
        if requests.iter().filter(same_type).count() >= limits.of(request.token_type) {
            return Err(IssueRefused::TooMany);
        }
        requests.push(request);
    }
    if requests.is_empty() {
        return Err(IssueRefused::Empty);
    }
    Ok(requests)
}

/// Writes a TokenRequest.
pub(crate) fn write_single(token_type: TokenType, truncated_key_id: u8, blinded: &[u8]) -> Vec<u8> {
    let mut bytes = token_type.code().to_be_bytes().to_vec();
    bytes.push(truncated_key_id);
    bytes.extend_from_slice(blinded);
    bytes
}

/// Writes an AmortizedBatchTokenRequest; `None` if the elements are too long for a length.
pub(crate) fn write_amortised(
    token_type: TokenType,
    truncated_key_id: u8,
    blinded: &[u8],
) -> Option<Vec<u8>> {
    let mut bytes = token_type.code().to_be_bytes().to_vec();
    bytes.push(truncated_key_id);
    write_length(blinded.len(), &mut bytes)?;
    bytes.extend_from_slice(blinded);
    Some(bytes)
}
