//! Owns the connections to the hub, one world apart from the other.
//!
//! Invariant: no connection and no TLS session carries two worlds: account, contact, group
//! operations, streams, inboxes, key-package sets. What names a handle, opens an inbox or touches a
//! pool goes over a connection that serves this one request. No cookie, no user agent, no redirect,
//! no proxy of the environment; a request is repeated byte for byte.

use crate::error::{ClientError, Result};
use sordino_wire::limits::{MAX_ANSWER_BYTES, MAX_BODY_BYTES};
use sordino_wire::{
    AccountReject, AccountResponse, AccountResponseBody, Domain, DsResponse, Reject, ResponseBody,
    SignatureKey, media,
};
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

/// An address of the pseudonymous world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Operation,
    WelcomeInformation,
    ExternalCommitInformation,
    Streams,
    /// Reading inboxes.
    Inboxes,
    /// Opening an inbox, or leaving something in one.
    InboxOnce,
    KeyPackages,
    /// What things cost, and the issuer's keys.
    TokenTerms,
}

/// An address of the two worlds that know names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountEndpoint {
    /// As this account.
    Account,
    /// About somebody else's account, as nobody.
    Contact,
}

/// Which connection a request goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Operations,
    Streams,
    Inboxes,
    Account,
    /// A connection, and a TLS session, of its own.
    Once,
}

impl Endpoint {
    fn path(self) -> &'static str {
        match self {
            Self::Operation => media::GROUP_OPERATION,
            Self::WelcomeInformation => media::WELCOME_INFORMATION,
            Self::ExternalCommitInformation => media::EXTERNAL_COMMIT_INFORMATION,
            Self::Streams => media::STREAMS,
            Self::Inboxes | Self::InboxOnce => media::INBOXES,
            Self::KeyPackages => media::GROUP_KEY_PACKAGES,
            Self::TokenTerms => media::TOKEN_TERMS,
        }
    }

    fn line(self) -> Line {
        match self {
            Self::Operation | Self::WelcomeInformation | Self::ExternalCommitInformation => {
                Line::Operations
            }
            Self::Streams => Line::Streams,
            Self::Inboxes => Line::Inboxes,
            Self::InboxOnce | Self::KeyPackages | Self::TokenTerms => Line::Once,
        }
    }
}

impl AccountEndpoint {
    fn path(self) -> &'static str {
        match self {
            Self::Account => media::ACCOUNTS,
            Self::Contact => media::CONNECTION_REQUEST,
        }
    }

    fn line(self) -> Line {
        match self {
            Self::Account => Line::Account,
            Self::Contact => Line::Once,
        }
    }
}

/// The connections.
#[derive(Debug)]
pub(crate) struct Transport {
    url: String,
    extra_roots: Vec<Vec<u8>>,
    operations: reqwest::Client,
    streams: reqwest::Client,
    inboxes: reqwest::Client,
    account: reqwest::Client,
    #[cfg(feature = "simulation")]
    world: Option<std::sync::Arc<dyn crate::simulation::World>>,
}

/// What came of one attempt.
enum Attempt {
    Answered(Vec<u8>),
    /// The hub was reached and did not look at the request.
    Busy,
    TooLarge,
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
            extra_roots: extra_roots.to_vec(),
            operations: connection(extra_roots)?,
            streams: connection(extra_roots)?,
            inboxes: connection(extra_roots)?,
            account: connection(extra_roots)?,
            #[cfg(feature = "simulation")]
            world: None,
        })
    }

    /// Speaks to a simulated network instead, where there is one.
    #[cfg(feature = "simulation")]
    pub(crate) fn within(
        mut self,
        world: Option<std::sync::Arc<dyn crate::simulation::World>>,
    ) -> Self {
        self.world = world;
        self
    }

    /// Sends a request of the pseudonymous world until there is an answer, a bounded number of
    /// times.
    pub(crate) async fn post(
        &self,
        endpoint: Endpoint,
        request: &[u8],
        wait_s: u16,
    ) -> Result<ResponseBody> {
        let answer = self
            .deliver(endpoint.line(), endpoint.path(), request, wait_s)
            .await?;
        match answer {
            Attempt::Answered(bytes) => DsResponse::parse(&bytes)
                .map(|response| response.body)
                .map_err(|_| ClientError::BadAnswer),
            Attempt::Busy => Ok(ResponseBody::Rejected(Reject::Unavailable {
                retry_after_s: 5,
            })),
            Attempt::TooLarge => Ok(ResponseBody::Rejected(Reject::TooLarge {
                limit: u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX),
            })),
        }
    }

    /// One attempt, for load generators; `None` where the hub did not look at the request.
    pub(crate) async fn post_once(
        &self,
        endpoint: Endpoint,
        request: &[u8],
        wait_s: u16,
    ) -> Result<Option<ResponseBody>> {
        let (line, path) = (endpoint.line(), endpoint.path());
        match self.attempt(line, path, request, wait_s).await? {
            Attempt::Answered(bytes) => DsResponse::parse(&bytes)
                .map(|response| Some(response.body))
                .map_err(|_| ClientError::BadAnswer),
            Attempt::Busy => Ok(None),
            Attempt::TooLarge => Err(ClientError::OutOfBounds),
        }
    }

    /// The same for the worlds that know names.
    pub(crate) async fn post_account(
        &self,
        endpoint: AccountEndpoint,
        request: &[u8],
        wait_s: u16,
    ) -> Result<AccountResponseBody> {
        let answer = self
            .deliver(endpoint.line(), endpoint.path(), request, wait_s)
            .await?;
        match answer {
            Attempt::Answered(bytes) => AccountResponse::parse(&bytes)
                .map(|response| response.body)
                .map_err(|_| ClientError::BadAnswer),
            Attempt::Busy => Ok(AccountResponseBody::Rejected(AccountReject::Unavailable {
                retry_after_s: 5,
            })),
            Attempt::TooLarge => Err(ClientError::BadAnswer),
        }
    }

    /// Repeats a request byte for byte until somebody has looked at it.
    async fn deliver(
        &self,
        line: Line,
        path: &'static str,
        request: &[u8],
        wait_s: u16,
    ) -> Result<Attempt> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            match self.attempt(line, path, request, wait_s).await {
                Ok(Attempt::Busy) if attempt == ATTEMPTS => return Ok(Attempt::Busy),
                Err(ClientError::Unreachable) if attempt == ATTEMPTS => break,
                Ok(Attempt::Busy) | Err(ClientError::Unreachable) => {}
                other => return other,
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        Err(ClientError::Unreachable)
    }

    async fn attempt(
        &self,
        line: Line,
        path: &'static str,
        request: &[u8],
        wait_s: u16,
    ) -> Result<Attempt> {
        #[cfg(feature = "simulation")]
        if let Some(world) = &self.world {
            let reply = world.attempt(path, Some(request)).await;
            let reply = reply.ok_or(ClientError::Unreachable)?;
            return match judge(reply.status, reply.octets) {
                Verdict::Answer => Ok(Attempt::Answered(reply.body)),
                Verdict::Busy => Ok(Attempt::Busy),
                Verdict::TooLarge => Ok(Attempt::TooLarge),
                Verdict::Senseless => Err(ClientError::BadAnswer),
            };
        }
        let once;
        let client = match line {
            Line::Operations => &self.operations,
            Line::Streams => &self.streams,
            Line::Inboxes => &self.inboxes,
            Line::Account => &self.account,
            Line::Once => {
                once = connection(&self.extra_roots)?;
                &once
            }
        };
        let answer = client
            .post(format!("{}{path}", self.url))
            .header("content-type", media::OCTETS)
            .timeout(PATIENCE.saturating_add(Duration::from_secs(u64::from(wait_s))))
            .body(request.to_vec())
            .send()
            .await
            .map_err(|_| ClientError::Unreachable)?;
        let octets = answer
            .headers()
            .get("content-type")
            .is_some_and(|media_type| media_type == media::OCTETS);
        match judge(answer.status().as_u16(), octets) {
            Verdict::Answer => read_body(answer).await.map(Attempt::Answered),
            Verdict::Busy => Ok(Attempt::Busy),
            Verdict::TooLarge => Ok(Attempt::TooLarge),
            Verdict::Senseless => Err(ClientError::BadAnswer),
        }
    }
}

/// What a status means.
enum Verdict {
    Answer,
    Busy,
    TooLarge,
    Senseless,
}

/// A typed refusal has a status that says the same to others (decision 0057); without octets it is
/// something below the protocol.
fn judge(status: u16, octets: bool) -> Verdict {
    match status {
        200 => Verdict::Answer,
        401 | 403 | 429 if octets => Verdict::Answer,
        408 | 425 | 429 | 502..=504 => Verdict::Busy,
        413 => Verdict::TooLarge,
        _ => Verdict::Senseless,
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
        let bytes = self.directory().await?;
        let directory: Directory =
            serde_json::from_slice(&bytes).map_err(|_| ClientError::BadAnswer)?;
        if directory.domain != domain.as_str() {
            return Err(ClientError::OtherHub);
        }
        let key = unhex(&directory.hub_signature_key).ok_or(ClientError::BadAnswer)?;
        Ok(SignatureKey::new(key)?)
    }
}

impl Transport {
    async fn directory(&self) -> Result<Vec<u8>> {
        #[cfg(feature = "simulation")]
        if let Some(world) = &self.world {
            let reply = world.attempt(media::DIRECTORY, None).await;
            return Ok(reply.ok_or(ClientError::Unreachable)?.body);
        }
        let answer = self
            .operations
            .get(format!("{}{}", self.url, media::DIRECTORY))
            .timeout(PATIENCE)
            .send()
            .await
            .map_err(|_| ClientError::Unreachable)?;
        let bytes = answer.bytes().await.map_err(|_| ClientError::Unreachable)?;
        Ok(bytes.to_vec())
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

async fn read_body(mut answer: reqwest::Response) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| ClientError::Unreachable)? {
        if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
            return Err(ClientError::BadAnswer);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
