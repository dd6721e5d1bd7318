//! Owns connections: accepting them, TLS, HTTP/1.1 or HTTP/2, and their end.
//!
//! Invariant: their number is bounded; one that brings nothing is closed; at the end each finishes
//! what it has begun. A peer's address is named at once (see `network`) and not kept.

use super::guard;
use super::network::Networks;
use super::problem::Problem;
use crate::settings::Limits;
use crate::stop::Stop;
use axum::Router;
use axum::http::Request;
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use sordino_limiter::NetworkName;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

/// For a request's head to arrive, and for TLS to be agreed on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection without a request for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How often HTTP/2 asks whether the peer is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Pause after an error of accepting, which is mostly a lack of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What HTTP/1.1 reads at once, a request's head being the largest that must fit.
const BUFFER_BYTES: usize = 64 * 1024;
/// A request's head in HTTP/2.
const HEAD_BYTES: u32 = 16 * 1024;
/// How long a peer may take nothing of an answer that waits for it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// What a peer may send before it is read, per request and per connection.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// What new connections are made from.
pub(crate) struct Acceptor {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    pub(crate) networks: Arc<Networks>,
    pub(crate) stop: Stop,
}

/// One of the connections that may be open. A WebSocket takes it over from its connection.
#[derive(Clone)]
pub(super) struct ConnectionSlot {
    _permit: Arc<OwnedSemaphorePermit>,
    usage: Arc<Use>,
    networks: Arc<Networks>,
    network: Option<NetworkName>,
}

impl ConnectionSlot {
    /// Marks the connection as in use while the mark lives.
    pub(super) fn in_use(&self) -> UnderWay {
        UnderWay::new(&self.usage)
    }
}

/// From where a request comes, where that is known.
#[derive(Clone, Copy)]
pub(super) struct ClientNetwork(pub(super) Option<NetworkName>);

/// Accepts until the server stops, then waits for what has begun, as long as that may take.
pub(crate) async fn accept(acceptor: Acceptor) {
    let Acceptor {
        listener,
        tls,
        router,
        limits,
        networks,
        mut stop,
    } = acceptor;
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let mut connections = JoinSet::new();
    loop {
        // A slot first: who finds none waits in the system's queue.
        let next = async {
            let permit = Arc::clone(&slots).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = stop.stopped() => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match (permit, accepted) {
            (Ok(permit), Ok((stream, peer))) => {
                let slot = ConnectionSlot {
                    _permit: Arc::new(permit),
                    usage: Arc::default(),
                    network: networks.of_peer(peer.ip()),
                    networks: Arc::clone(&networks),
                };
                let begun = begin(stream, tls.clone(), router.clone(), slot, stop.clone());
                connections.spawn(begun);
            }
            (_, Err(_)) => {
                tracing::warn!("accepting a connection failed");
                sleep(ACCEPT_PAUSE).await;
            }
            (Err(_), _) => break,
        }
    }
    drop(listener);
    drain(connections, slots, limits).await;
}

/// Waits for connections and for the WebSockets that came from them.
async fn drain(mut connections: JoinSet<()>, slots: Arc<Semaphore>, limits: Limits) {
    let all = u32::try_from(limits.max_connections).unwrap_or(u32::MAX);
    let finished = async {
        while connections.join_next().await.is_some() {}
        // Every slot is back: nothing is open any more.
        slots.acquire_many(all).await.is_ok()
    };
    let deadline = Duration::from_secs(limits.shutdown_timeout_s);
    if timeout(deadline, finished).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut");
        connections.shutdown().await;
    }
}

/// Agrees on TLS where there is TLS, then serves.
async fn begin(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    slot: ConnectionSlot,
    stop: Stop,
) {
    // Answers are written whole; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return serve(stream, router, slot, stop).await;
    };
    let mut stopped = stop.clone();
    tokio::select! {
        () = stopped.stopped() => {}
        agreed = timeout(HEAD_TIMEOUT, tls.accept(stream)) => {
            if let Ok(Ok(stream)) = agreed {
                serve(stream, router, slot, stop).await;
            }
        }
    }
}

/// How much a connection is used.
#[derive(Default)]
struct Use {
    under_way: AtomicUsize,
    begun: AtomicU64,
}

/// A request under way.
pub(super) struct UnderWay(Arc<Use>);

impl UnderWay {
    fn new(usage: &Arc<Use>) -> Self {
        usage.under_way.fetch_add(1, Ordering::AcqRel);
        usage.begun.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(usage))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves HTTP on one connection until it ends, idles or the server stops.
async fn serve<I>(io: I, router: Router, slot: ConnectionSlot, mut stop: Stop)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut io = TimeoutStream::new(io);
    io.set_write_timeout(Some(WRITE_TIMEOUT));
    let io = Box::pin(io);
    let usage = Arc::clone(&slot.usage);
    let service = service_fn(|mut request: Request<Incoming>| {
        let under_way = slot.in_use();
        let network = slot.networks.of_request(slot.network, request.headers());
        let admitted = slot.networks.admit(network);
        let extensions = request.extensions_mut();
        extensions.insert(slot.clone());
        extensions.insert(ClientNetwork(network));
        let router = router.clone();
        async move {
            let response = match admitted {
                Ok(()) => guard::respond(router, request).await,
                Err(too_much) => Problem::RateLimited(too_much.retry_after_s).into_response(),
            };
            drop(under_way);
            Ok::<_, Infallible>(response)
        }
    });
    let builder = builder();
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
    // The first look comes early: until a first request there is no other timeout for a peer that
    // connects and says nothing, or sends a part of HTTP/2's preface.
    let mut look = interval_at(Instant::now() + HEAD_TIMEOUT, IDLE_TIMEOUT);
    let (mut seen, mut closing) = (0, false);
    loop {
        tokio::select! {
            // An error is the peer's doing, or its absence; neither is worth a line.
            _ = connection.as_mut() => return,
            () = stop.stopped(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = look.tick() => {
                let begun = usage.begun.load(Ordering::Acquire);
                let idle = begun == seen && usage.under_way.load(Ordering::Acquire) == 0;
                if begun == 0 || (idle && closing) {
                    return;
                }
                if idle {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                seen = begun;
            }
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        // No pipeline_flush: with it, answers are copied into a buffer without a bound, which whoever
        // asks and does not read fills.
        .max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(HEAD_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .enable_connect_protocol();
    builder
}
