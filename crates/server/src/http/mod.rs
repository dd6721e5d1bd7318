//! Owns the HTTP binding: addresses, methods, media types (design page 3.1).
//!
//! Invariant: nothing about a group, stream or user is in a URL or header, and nothing of a
//! request is in a log. Never sees what a body means: it hands bytes to the engine.

mod answer;
mod body;
mod connection;
mod guard;
mod live;
mod problem;

pub(crate) use answer::AnswerMemory;
pub(crate) use body::BodyMemory;
pub(crate) use connection::{Acceptor, accept};
pub(crate) use problem::Problem;

use crate::app::App;
use crate::engine::NoAnswer;
use crate::service::Service;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use sordino_wire::media;
use std::sync::Arc;
use std::time::Duration;

/// Whether the process lives.
const HEALTHZ: &str = "/healthz";
/// Whether it serves.
const READYZ: &str = "/readyz";

/// All addresses.
pub(crate) fn router(app: Arc<App>) -> Router {
    use sordino_accounts::Endpoint as AccountEndpoint;
    use sordino_hub::Endpoint;
    let hub = |endpoint| {
        post(move |State(app): State<Arc<App>>, request| async move {
            operation(&app, &app.services.hub, endpoint, request).await
        })
    };
    let accounts = |endpoint| {
        post(move |State(app): State<Arc<App>>, request| async move {
            operation(&app, &app.services.accounts, endpoint, request).await
        })
    };
    Router::new()
        .route(media::GROUP_OPERATION, hub(Endpoint::GroupOperation))
        .route(
            media::WELCOME_INFORMATION,
            hub(Endpoint::WelcomeInformation),
        )
        .route(
            media::EXTERNAL_COMMIT_INFORMATION,
            hub(Endpoint::ExternalCommitInformation),
        )
        .route(media::STREAMS, hub(Endpoint::Streams))
        .route(media::INBOXES, hub(Endpoint::Inboxes))
        .route(media::ACCOUNTS, accounts(AccountEndpoint::Accounts))
        .route(
            media::CONNECTION_REQUEST,
            accounts(AccountEndpoint::ConnectionRequest),
        )
        .route(media::GROUP_KEY_PACKAGES, hub(Endpoint::GroupKeyPackages))
        // Any: over HTTP/2 a WebSocket begins with CONNECT (RFC 8441).
        .route(media::STREAMS_LIVE, any(live::upgrade))
        .route(media::DS_DOMAIN, get(ds_domain))
        .route(media::DIRECTORY, get(directory))
        .route(HEALTHZ, get(|| async { "alive\n" }))
        .route(READYZ, get(readiness))
        .fallback(|| async { Problem::NotFound })
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
        .with_state(app)
}

/// One padded request, one padded answer.
async fn operation<S: Service>(
    app: &App,
    service: &Arc<S>,
    endpoint: S::Endpoint,
    request: Request,
) -> Result<Response, Problem> {
    if !is_octets(request.headers()) {
        return Err(Problem::UnsupportedMediaType);
    }
    let _slot = app
        .requests
        .try_acquire()
        .map_err(|_| Problem::Overloaded)?;
    let limits = &app.limits;
    let timeout = Duration::from_secs(limits.request_timeout_s);
    let limit_bytes = limits.body_bytes.min(S::MAX_BODY_BYTES);
    let received = body::receive(request.into_body(), limit_bytes, timeout, &app.bodies).await?;
    let mut stop = app.stop.clone();
    let bytes = received.bytes.clone();
    let answer = app.engine.answer(service, bytes, endpoint, &mut stop);
    let bytes = S::encode(answer.await.map_err(Problem::from)?)?;
    let bytes = app.answers.hold(bytes)?;
    let octets = HeaderValue::from_static(media::OCTETS);
    Ok(([(CONTENT_TYPE, octets)], bytes).into_response())
}

/// Exactly the one media type, without parameters that would mean anything, not encoded.
fn is_octets(headers: &HeaderMap) -> bool {
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    let fits = essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media::OCTETS));
    fits && !headers.contains_key(CONTENT_ENCODING)
}

/// The delivery service's domain.
async fn ds_domain(State(app): State<Arc<App>>) -> String {
    app.domain.as_str().to_owned()
}

/// Where everything is, and the hub's signature key.
async fn directory(State(app): State<Arc<App>>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], app.directory.clone()).into_response()
}

/// Whether requests are worth sending here.
async fn readiness(State(app): State<Arc<App>>) -> Response {
    if app.stop.is_stopped() {
        return Problem::Stopping.into_response();
    }
    if !app.engine.is_ready() {
        return Problem::StoreFailed.into_response();
    }
    "ready\n".into_response()
}

impl From<NoAnswer> for Problem {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Overloaded => Self::Overloaded,
            NoAnswer::Failed => Self::Internal,
        }
    }
}
