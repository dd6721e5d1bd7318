//! Owns the connections to the hub.
//!
//! Invariant: group operations, streams and inboxes never share a connection; no cookie, no user
//! agent, no redirect, no proxy of the environment; a request is repeated byte for byte.

use crate::error::{ClientError, Result};
use sordino_wire::limits::{MAX_ANSWER_BYTES, MAX_BODY_BYTES};
use sordino_wire::{Domain, DsResponse, Reject, ResponseBody, SignatureKey, media};
use std::time::Duration;

/// Attempts at a request before the caller is told that the hub does not answer.
const ATTEMPTS: u32 = 5;
/// The first pause between two attempts; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long an answer may take beyond the wait that was asked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a hub is and what it is called in signatures.
#[derive(Clone, Debug)]
pub struct HubAddress {
    /// `http://127.0.0.1:8080` or `https://hub.example`, without a path.
    pub url: String,
    /// Its domain.
    pub domain: Domain,
}

/// An address of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Operation,
    WelcomeInformation,
    ExternalCommitInformation,
    Streams,
    Inboxes,
}

impl Endpoint {
    fn path(self) -> &'static str {
        match self {
            Self::Operation => media::GROUP_OPERATION,
            Self::WelcomeInformation => media::WELCOME_INFORMATION,
            Self::ExternalCommitInformation => media::EXTERNAL_COMMIT_INFORMATION,
            Self::Streams => media::STREAMS,
            Self::Inboxes => media::INBOXES,
        }
    }
}

/// The connections.
#[derive(Debug)]
pub(crate) struct Transport {
    url: String,
    operations: reqwest::Client,
    streams: reqwest::Client,
    inboxes: reqwest::Client,
}

fn connection(extra_roots: &[Vec<u8>]) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(Duration::from_secs(10));
    secured(builder, extra_roots)?
        .build()
        .map_err(|_| ClientError::Unreachable)
}

/// The platform's certificates and those that the application adds.
#[cfg(feature = "rustls")]
fn secured(
    builder: reqwest::ClientBuilder,
    extra_roots: &[Vec<u8>],
) -> Result<reqwest::ClientBuilder> {
    // Where the application has chosen a provider, it stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let roots = extra_roots
        .iter()
        .map(|der| reqwest::Certificate::from_der(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| ClientError::OutOfBounds)?;
    let builder = builder.tls_version_min(reqwest::tls::Version::TLS_1_3);
    Ok(if roots.is_empty() {
        builder
    } else {
        builder.tls_certs_merge(roots)
    })
}

/// Without the feature `rustls`, hubs are reached over loopback or a tunnel.
#[cfg(not(feature = "rustls"))]
fn secured(
    builder: reqwest::ClientBuilder,
    _extra_roots: &[Vec<u8>],
) -> Result<reqwest::ClientBuilder> {
    Ok(builder)
}

impl Transport {
    pub(crate) fn new(hub: &HubAddress, extra_roots: &[Vec<u8>]) -> Result<Self> {
        Ok(Self {
            url: hub.url.trim_end_matches('/').to_owned(),
            operations: connection(extra_roots)?,
            streams: connection(extra_roots)?,
            inboxes: connection(extra_roots)?,
        })
    }

    /// Sends a request until there is an answer, a bounded number of times.
    pub(crate) async fn post(
        &self,
        endpoint: Endpoint,
        request: &[u8],
        wait_s: u16,
    ) -> Result<ResponseBody> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            match self.post_once(endpoint, request, wait_s).await {
                Ok(Some(body)) => return Ok(body),
                Ok(None) if attempt == ATTEMPTS => {
                    return Ok(ResponseBody::Rejected(Reject::Unavailable {
                        retry_after_s: 5,
                    }));
                }
                Err(ClientError::Unreachable) if attempt == ATTEMPTS => break,
                Ok(None) | Err(ClientError::Unreachable) => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        Err(ClientError::Unreachable)
    }

    /// One attempt; `None` where the hub was reached and did not look at the request.
    pub(crate) async fn post_once(
        &self,
        endpoint: Endpoint,
        request: &[u8],
        wait_s: u16,
    ) -> Result<Option<ResponseBody>> {
        let client = match endpoint {
            Endpoint::Streams => &self.streams,
            Endpoint::Inboxes => &self.inboxes,
            _ => &self.operations,
        };
        let answer = client
            .post(format!("{}{}", self.url, endpoint.path()))
            .header("content-type", media::OCTETS)
            .timeout(PATIENCE.saturating_add(Duration::from_secs(u64::from(wait_s))))
            .body(request.to_vec())
            .send()
            .await
            .map_err(|_| ClientError::Unreachable)?;
        match answer.status().as_u16() {
            200 => read_body(answer).await.map(Some),
            408 | 425 | 429 | 502..=504 => Ok(None),
            413 => Ok(Some(ResponseBody::Rejected(Reject::TooLarge {
                limit: u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX),
            }))),
            _ => Err(ClientError::BadAnswer),
        }
    }
}

/// The part of the hub's directory that a client needs.
#[derive(serde::Deserialize)]
struct Directory {
    domain: String,
    hub_signature_key: String,
}

impl Transport {
    /// The hub's signature key, from its directory.
    pub(crate) async fn hub_key(&self, domain: &Domain) -> Result<SignatureKey> {
        let answer = self
            .operations
            .get(format!("{}{}", self.url, media::DIRECTORY))
            .timeout(PATIENCE)
            .send()
            .await
            .map_err(|_| ClientError::Unreachable)?;
        let bytes = answer.bytes().await.map_err(|_| ClientError::Unreachable)?;
        let directory: Directory =
            serde_json::from_slice(&bytes).map_err(|_| ClientError::BadAnswer)?;
        if directory.domain != domain.as_str() {
            return Err(ClientError::OtherHub);
        }
        let key = unhex(&directory.hub_signature_key).ok_or(ClientError::BadAnswer)?;
        Ok(SignatureKey::new(key)?)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect()
}

async fn read_body(mut answer: reqwest::Response) -> Result<ResponseBody> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| ClientError::Unreachable)? {
        if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
            return Err(ClientError::BadAnswer);
        }
        bytes.extend_from_slice(&chunk);
    }
    DsResponse::parse(&bytes)
        .map(|response| response.body)
        .map_err(|_| ClientError::BadAnswer)
}
