//! Owns what all requests share.
//!
//! Invariant: nothing in here is of one user, group or stream.

use crate::engine::Engine;
use crate::http::{AnswerMemory, BodyMemory};
use crate::settings::Limits;
use crate::stop::Stop;
use sordino_accounts::Accounts;
use sordino_hub::Hub;
use sordino_wire::{Domain, PROTOCOL_VERSION, SignatureKey, media};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Requests at once, per connection allowed: HTTP/2 carries several on one.
const REQUESTS_PER_CONNECTION: usize = 4;

/// The services, side by side.
pub(crate) struct Services {
    /// The pseudonymous world.
    pub(crate) hub: Arc<Hub>,
    /// The account world.
    pub(crate) accounts: Arc<Accounts>,
}

/// What all requests share.
pub(crate) struct App {
    pub(crate) services: Services,
    pub(crate) engine: Arc<Engine>,
    pub(crate) limits: Limits,
    pub(crate) bodies: BodyMemory,
    pub(crate) answers: AnswerMemory,
    /// One permit per request under way, those that wait included.
    pub(crate) requests: Semaphore,
    pub(crate) stop: Stop,
    pub(crate) domain: Domain,
    /// The directory of addresses, as it is served.
    pub(crate) directory: String,
}

impl App {
    pub(crate) fn new(
        services: Services,
        engine: Arc<Engine>,
        limits: Limits,
        stop: Stop,
        encrypted: bool,
    ) -> Self {
        let hub = &services.hub;
        let domain = hub.domain().clone();
        let directory = directory(&domain, hub.signature_key(), encrypted);
        let requests = limits
            .max_connections
            .saturating_mul(REQUESTS_PER_CONNECTION);
        Self {
            services,
            engine,
            limits,
            bodies: BodyMemory::new(),
            answers: AnswerMemory::new(),
            requests: Semaphore::new(requests),
            stop,
            domain,
            directory,
        }
    }
}

/// The directory. Domains and hexadecimal digits need no escaping in JSON.
fn directory(domain: &Domain, hub_signature_key: &SignatureKey, encrypted: bool) -> String {
    let key = hex::encode(hub_signature_key.as_slice());
    let domain = domain.as_str();
    let (http, ws) = if encrypted {
        ("https", "wss")
    } else {
        ("http", "ws")
    };
    let endpoints = [
        ("group_operation", http, media::GROUP_OPERATION),
        ("welcome_information", http, media::WELCOME_INFORMATION),
        (
            "external_commit_information",
            http,
            media::EXTERNAL_COMMIT_INFORMATION,
        ),
        ("streams", http, media::STREAMS),
        ("streams_live", ws, media::STREAMS_LIVE),
        ("inboxes", http, media::INBOXES),
        ("accounts", http, media::ACCOUNTS),
        ("connection_request", http, media::CONNECTION_REQUEST),
        ("group_key_packages", http, media::GROUP_KEY_PACKAGES),
    ];
    let endpoints: Vec<String> = endpoints
        .iter()
        .map(|(name, scheme, path)| format!(r#""{name}":"{scheme}://{domain}{path}""#))
        .collect();
    let endpoints = endpoints.join(",");
    format!(
        r#"{{"domain":"{domain}","protocol_version":{PROTOCOL_VERSION},"hub_signature_key":"{key}","endpoints":{{{endpoints}}}}}"#
    )
}
