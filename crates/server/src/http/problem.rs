//! Owns what goes wrong below the protocol, as `application/problem+json` (RFC 9457).
//!
//! Invariant: a problem is one of a closed list of constant texts, so it can tell nothing about a
//! request.

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// The media type.
const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The `Authorization` header is not one.
    BadAuthorization,
    /// The body ended early or broke.
    BodyIncomplete,
    /// The body is over the limit.
    BodyTooLarge,
    /// The server failed.
    Internal,
    /// No tokens are issued to clients without an account.
    IssuanceClosed,
    /// A token request is refused, with the status of its RFC.
    TokenRequestRefused(u16),
    /// There is no such method at this address.
    MethodNotAllowed,
    /// There is no such address.
    NotFound,
    /// Too much at once.
    Overloaded,
    /// Too much from one network; in so many seconds it is not.
    RateLimited(u32),
    /// The request took too long to arrive.
    RequestTimeout,
    /// The server stops.
    Stopping,
    /// The store failed, and only a new start can mend it.
    StoreFailed,
    /// The body is not of the type that this address takes.
    UnsupportedMediaType,
    /// This address speaks WebSocket.
    WebSocketRequired,
}

impl Problem {
    /// Status, code, detail.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadAuthorization => (
                StatusCode::BAD_REQUEST,
                "bad_authorization",
                "The Authorization header is not one with a private token.",
            ),
            Self::BodyIncomplete => (
                StatusCode::BAD_REQUEST,
                "body_incomplete",
                "The body ended before it was complete.",
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "The body is larger than this server takes.",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The server failed. Repeating the same request is safe.",
            ),
            Self::IssuanceClosed => (
                StatusCode::FORBIDDEN,
                "issuance_closed",
                "This hub issues tokens through accounts alone.",
            ),
            Self::TokenRequestRefused(status) => (
                token_request_status(status),
                "token_request_refused",
                "The token request is refused.",
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This address does not take this method.",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is nothing at this address.",
            ),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "The server has too much to do. Repeating the same request is safe.",
            ),
            Self::RateLimited(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "There are too many requests from where this one comes.",
            ),
            Self::RequestTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The request took too long to arrive.",
            ),
            Self::Stopping => (
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "The server stops. Repeating the same request is safe.",
            ),
            Self::StoreFailed => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store_failed",
                "The store failed; the server must be started again.",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "This address takes application/octet-stream without content encoding.",
            ),
            Self::WebSocketRequired => (
                StatusCode::UPGRADE_REQUIRED,
                "websocket_required",
                "This address speaks WebSocket, version 13.",
            ),
        }
    }

    /// A header that goes with it.
    fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Overloaded | Self::Stopping => Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::RateLimited(retry_after_s) => {
                Some((RETRY_AFTER, HeaderValue::from(retry_after_s)))
            }
            // What is left of the body is not read.
            Self::BodyTooLarge | Self::RequestTimeout => {
                Some((CONNECTION, HeaderValue::from_static("close")))
            }
            _ => None,
        }
    }
}

/// RFC 9578 section 5.2, and the batch draft.
fn token_request_status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, detail) = self.parts();
        let title = status.canonical_reason().unwrap_or_default();
        let number = status.as_u16();
        let body = format!(
            r#"{{"type":"about:blank","title":"{title}","status":{number},"code":"{code}","detail":"{detail}"}}"#
        );
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
