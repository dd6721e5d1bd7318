//! Owns Privacy Pass over HTTP: the issuer's directory, issuance to clients without an account,
//! challenges and credentials (RFC 9577, RFC 9578, draft-ietf-privacypass-batched-tokens), and the
//! operator's numbers.
//!
//! Invariant: nobody is issued a token but by a quota; what is wrong with a token shows in no header.

use super::problem::Problem;
use super::{body, client_network};
use crate::app::App;
use crate::engine::Engine;
use crate::mint::Refused;
use crate::random;
use crate::service::Standing;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sordino_effects::TooMuch;
use sordino_store::Store;
use sordino_tokens::{HeaderRefused, IssueError, RequestForm, media, parse_authorization};
use sordino_wire::{Bytes, TokenBytes};
use std::sync::Arc;
use std::time::Duration;

/// How long a directory may be kept. Keys are announced an epoch ahead, and epochs are days.
const DIRECTORY_MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=3600");
/// The largest token request: a generic batch of all types.
const MAX_TOKEN_REQUEST_BYTES: usize = 32 * 1024;
/// Where the operator's numbers are.
const METRICS: &str = "/metrics";
/// The text exposition format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The issuer's directory.
pub(super) async fn directory(State(app): State<Arc<App>>) -> Response {
    let engine = &app.engine;
    let directory = engine.mint().directory(engine.now_s());
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media::DIRECTORY)),
        (CACHE_CONTROL, DIRECTORY_MAX_AGE),
    ];
    (headers, directory).into_response()
}

/// Issues tokens to a client without an account, as far as the operator's quota goes.
pub(super) async fn issue(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    if app.public_tokens.is_none() {
        return Err(Problem::IssuanceClosed);
    }
    let form = form(request.headers())?;
    let network = client_network(&request);
    let _slot = app
        .requests
        .try_acquire()
        .map_err(|_| Problem::Overloaded)?;
    let timeout = Duration::from_secs(app.limits.request_timeout_s);
    let limit_bytes = MAX_TOKEN_REQUEST_BYTES;
    let received = body::receive(request.into_body(), limit_bytes, timeout, &app.bodies).await?;
    let (at_work, engine) = (Arc::clone(&app), Arc::clone(&app.engine));
    let issued = engine.work(move || {
        let mut rng = random::generator().map_err(|_| Problem::Internal)?;
        let quota = at_work.public_tokens.as_ref();
        let quota = quota.ok_or(Problem::IssuanceClosed)?;
        let now_s = at_work.engine.now_s();
        let take = |tokens| {
            quota
                .take(network, tokens, now_s)
                .map_err(|TooMuch { retry_after_s }| Problem::RateLimited(retry_after_s))
        };
        let mint = at_work.engine.mint();
        mint.issue_to_public(form, &received.bytes, now_s, &mut rng, take)
    });
    let issued = issued.await.map_err(Problem::from)??;
    let status = StatusCode::from_u16(issued.status).map_err(|_| Problem::Internal)?;
    let media_type = HeaderValue::from_static(issued.media_type);
    Ok((status, [(CONTENT_TYPE, media_type)], issued.body).into_response())
}

fn form(headers: &HeaderMap) -> Result<RequestForm, Problem> {
    let written = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    RequestForm::from_content_type(written.unwrap_or_default())
        .map_err(|refused| IssueError::from(refused).into())
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Refused(refused) => Self::TokenRequestRefused(refused.status()),
            IssueError::Fault(_) => {
                tracing::error!("issuing tokens failed");
                Self::Internal
            }
        }
    }
}

/// The token in a request's `Authorization` header, if there is one.
pub(super) fn header_token(headers: &HeaderMap) -> Result<Option<TokenBytes>, Problem> {
    let mut written = headers.get_all(AUTHORIZATION).iter();
    let Some(first) = written.next() else {
        return Ok(None);
    };
    let bad = Problem::BadAuthorization;
    if written.next().is_some() {
        return Err(bad);
    }
    let text = first.to_str().map_err(|_| bad)?;
    match parse_authorization(text) {
        Ok(token) => Bytes::new(token.as_slice()).map(Some).map_err(|_| bad),
        // Credentials of another kind are as good as none.
        Err(HeaderRefused::Scheme) => Ok(None),
        Err(HeaderRefused::Malformed | HeaderRefused::Token) => Err(bad),
    }
}

/// Says in status and headers what clients understand that know HTTP alone.
pub(super) fn show_standing(
    app: &App,
    standing: Standing,
    response: &mut Response,
) -> Result<(), Problem> {
    let engine = &app.engine;
    let gauges = &engine.mint().gauges;
    match standing {
        Standing::Answered => {}
        Standing::TokenRequired(class) => {
            gauges.refused(Refused::Missing);
            let mut rng = random::generator().map_err(|_| Problem::Internal)?;
            let mint = engine.mint();
            let challenges = mint.www_authenticate(class, engine.now_s(), &mut rng);
            let challenges = HeaderValue::from_str(&challenges).map_err(|_| Problem::Internal)?;
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            response.headers_mut().insert(WWW_AUTHENTICATE, challenges);
        }
        Standing::TokenRefused(refused) => {
            gauges.refused(refused);
            *response.status_mut() = StatusCode::FORBIDDEN;
        }
        Standing::TooMuch { retry_after_s } => {
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            let header = HeaderValue::from(retry_after_s);
            response.headers_mut().insert(RETRY_AFTER, header);
        }
    }
    Ok(())
}

/// The operator's numbers, on a port of their own.
pub(crate) fn metrics_router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route(METRICS, get(metrics))
        .fallback(|| async { Problem::NotFound })
        .with_state(engine)
}

async fn metrics(State(engine): State<Arc<Engine>>) -> Result<Response, Problem> {
    let snapshot = engine
        .store()
        .snapshot()
        .map_err(|_| Problem::StoreFailed)?;
    let text = engine.mint().exposition(&snapshot, engine.now_s());
    let text = text.map_err(|_| Problem::StoreFailed)?;
    let exposition = HeaderValue::from_static(EXPOSITION);
    Ok(([(CONTENT_TYPE, exposition)], text).into_response())
}
