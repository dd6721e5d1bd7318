//! Owns what stands around every request: a panic becomes an answer, and no cache keeps
//! anything but what is everybody's.
//!
//! Invariant: whatever a handler does, the connection and the process go on.

use super::problem::Problem;
use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, Request};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use tower::ServiceExt;

/// Answers one request.
pub(super) async fn respond(router: Router, request: Request<Incoming>) -> Response {
    let answer = without_panic(router.oneshot(request)).await;
    let mut response = match answer {
        Some(Ok(response)) => response,
        Some(Err(never)) => match never {},
        None => {
            tracing::error!("a handler panicked; the request was refused");
            Problem::Internal.into_response()
        }
    };
    // What may be kept says so itself.
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(no_store);
    response
}

/// What a future comes to; `None` if it panics. It is not polled again then.
async fn without_panic<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    poll_fn(move |cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Some(value)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(without_panic(async { 7 }).await, Some(7));
        let panics = async {
            tokio::task::yield_now().await;
            panic!("as the test wants it");
        };
        assert_eq!(without_panic::<()>(panics).await, None);
    }
}
