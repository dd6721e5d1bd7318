//! Owns evaluation: from a request for tokens to the answer.
//!
//! Invariant: keys are found and elements are looked at before the first curve operation, and all of a
//! batch is decoded before any of it is multiplied.

use crate::issuer_key::{IssuerKey, PrivateKey};
use crate::key_set::IssuerKeys;
use crate::kind::TokenType;
use crate::media::RequestForm;
use crate::refused::{IssueError, IssueRefused, TokenFault};
use crate::request::{AmortisedRequest, IssueRequest, TokenRequest};
use crate::response::{write_amortised, write_generic};
use crate::voprf_suite::{self as suite, Suite};
use rand_core::RngCore;
use voprf::{BlindedElement, VoprfServer};

/// An answer with tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueResponse {
    /// 200, or 206 if some of a generic batch are absent.
    pub status: u16,
    /// The media type of the body.
    pub media_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// How many tokens are in it.
    pub issued: usize,
}

impl IssuerKeys {
    /// Evaluates a request. Blocks for the time of the arithmetic: 0.1 ms per token of type 0x0005,
    /// 2 ms of the others.
    pub fn issue(
        &self,
        request: &IssueRequest<'_>,
        now_s: u64,
        rng: &mut impl RngCore,
    ) -> Result<IssueResponse, IssueError> {
        match request {
            IssueRequest::Single(single) => {
                let body = self.issue_single(single, now_s, rng)?;
                Ok(response(RequestForm::Single, 200, body, 1))
            }
            IssueRequest::Amortised(batch) => {
                let body = self.issue_amortised(batch, now_s, rng)?;
                let issued = batch.blinded().len();
                Ok(response(RequestForm::Amortised, 200, body, issued))
            }
            IssueRequest::Generic(requests) => self.issue_generic(requests, now_s, rng),
        }
    }

    fn key(
        &self,
        token_type: TokenType,
        truncated: u8,
        now_s: u64,
    ) -> Result<&IssuerKey, IssueRefused> {
        self.drawable(token_type, truncated, now_s)
            .ok_or(IssueRefused::UnknownKey)
    }

    fn issue_single(
        &self,
        request: &TokenRequest<'_>,
        now_s: u64,
        rng: &mut impl RngCore,
    ) -> Result<Vec<u8>, IssueError> {
        let key = self.key(request.token_type, request.truncated_key_id, now_s)?;
        let blinded = std::iter::once(request.blinded);
        let (mut body, proof) = match &key.private {
            PrivateKey::VoprfP384(server) => evaluate(server, blinded, rng)?,
            PrivateKey::VoprfRistretto255(server) => evaluate(server, blinded, rng)?,
            PrivateKey::BlindRsa(key) => {
                if !key.public().takes(request.blinded) {
                    return Err(IssueRefused::Element.into());
                }
                (key.sign(request.blinded, rng)?, Vec::new())
            }
        };
        body.extend_from_slice(&proof);
        Ok(body)
    }

    fn issue_amortised(
        &self,
        request: &AmortisedRequest<'_>,
        now_s: u64,
        rng: &mut impl RngCore,
    ) -> Result<Vec<u8>, IssueError> {
        let key = self.key(request.token_type, request.truncated_key_id, now_s)?;
        let (messages, proof) = match &key.private {
            PrivateKey::VoprfP384(server) => evaluate(server, request.blinded(), rng)?,
            PrivateKey::VoprfRistretto255(server) => evaluate(server, request.blinded(), rng)?,
            PrivateKey::BlindRsa(_) => return Err(IssueRefused::TokenType.into()),
        };
        Ok(write_amortised(&messages, &proof).ok_or(TokenFault)?)
    }

    /// What is refused of a generic batch is absent from the answer; the rest is issued.
    fn issue_generic(
        &self,
        requests: &[TokenRequest<'_>],
        now_s: u64,
        rng: &mut impl RngCore,
    ) -> Result<IssueResponse, IssueError> {
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(match self.issue_single(request, now_s, rng) {
                Ok(body) => Some((request.token_type, body)),
                Err(IssueError::Refused(_)) => None,
                Err(fault) => return Err(fault),
            });
        }
        let issued = answers.iter().flatten().count();
        if issued == 0 {
            return Err(IssueRefused::None.into());
        }
        let status = if issued == answers.len() { 200 } else { 206 };
        let body = write_generic(&answers).ok_or(TokenFault)?;
        Ok(response(RequestForm::Generic, status, body, issued))
    }
}

fn response(form: RequestForm, status: u16, body: Vec<u8>, issued: usize) -> IssueResponse {
    IssueResponse {
        status,
        media_type: form.response_type(),
        body,
        issued,
    }
}

/// Evaluated messages and their proof.
fn evaluate<'a, S: Suite>(
    server: &VoprfServer<S>,
    blinded: impl Iterator<Item = &'a [u8]> + Clone,
    rng: &mut impl RngCore,
) -> Result<(Vec<u8>, Vec<u8>), IssueError> {
    let elements: Vec<BlindedElement<S>> =
        suite::decode_blinded(blinded).ok_or(IssueRefused::Element)?;
    Ok(suite::evaluate(server, &elements, rng)?)
}
