//! A small client, and a small server to talk to.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sordino_server::{Running, Server, ServerConfig, free_prices};
use sordino_wire::{
    AccountAuthentication, AccountRequest, AccountRequestBody, AccountResponse,
    AccountResponseBody, Authentication, DsRequest, DsResponse, List, ReadStreams, RequestBody,
    ResponseBody, StreamId, StreamRead, media,
};
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A server with a folder of its own.
pub(crate) struct TestServer {
    pub(crate) running: Running,
    _folder: TempDir,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::local(folder.path().join("data"));
        // What costs tokens is for the tests of that.
        config.tokens.prices = free_prices();
        change(&mut config);
        Self {
            running: Server::start(config).await.unwrap(),
            _folder: folder,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.local_addr()
    }

    /// The time, for requests that must be on time.
    pub(crate) fn now_s(&self) -> u64 {
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    }
}

/// Which HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    One,
    Two,
}

pub(crate) const BOTH: [Version; 2] = [Version::One, Version::Two];

/// One connection.
pub(crate) enum Client {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, version: Version) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        // Or each of many small requests waits for an acknowledgement.
        stream.set_nodelay(true).unwrap();
        Self::over(stream, version).await
    }

    pub(crate) async fn over<I>(stream: I, version: Version) -> Self
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        match version {
            Version::One => {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                Self::One(sender)
            }
            Version::Two => {
                let executor = TokioExecutor::new();
                let (sender, connection) = http2::handshake(executor, io).await.unwrap();
                tokio::spawn(connection);
                Self::Two(sender)
            }
        }
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        // A connection is ready again only after its task has seen the end of the last answer.
        let response = match self {
            Self::One(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await
            }
            Self::Two(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await
            }
        };
        let (parts, body) = response.unwrap().into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(request(Method::GET, path, None, "")).await
    }

    /// A request of octets.
    pub(crate) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(request(Method::POST, path, Some(media::OCTETS), body))
            .await
    }

    /// A request of the protocol.
    pub(crate) async fn ask(&mut self, path: &str, body: &[u8]) -> ResponseBody {
        let answer = self.post(path, body.to_vec()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], media::OCTETS);
        DsResponse::parse(&answer.body).unwrap().body
    }

    /// A request of the account world.
    pub(crate) async fn ask_account_bytes(
        &mut self,
        path: &str,
        body: &[u8],
    ) -> AccountResponseBody {
        let answer = self.post(path, body.to_vec()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], media::OCTETS);
        AccountResponse::parse(&answer.body).unwrap().body
    }

    /// One that nobody signs.
    pub(crate) async fn ask_account(
        &mut self,
        path: &str,
        body: AccountRequestBody,
    ) -> AccountResponseBody {
        self.ask_account_bytes(path, &account_bytes(body)).await
    }
}

/// A request of the account world that nobody signs.
pub(crate) fn account_bytes(body: AccountRequestBody) -> Vec<u8> {
    let auth = AccountAuthentication::Nobody;
    AccountRequest::free(body, auth).encode().unwrap()
}

pub(crate) fn request(
    method: Method,
    path: &str,
    content_type: Option<&str>,
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    // The absolute form is what HTTP/2 needs; HTTP/1.1 servers take it as well.
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://localhost{path}"))
        .header("host", "localhost");
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    request.body(Full::new(body.into())).unwrap()
}

impl Answer {
    /// Asserts that this is a problem of a status and code.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let body = std::str::from_utf8(&self.body).unwrap();
        assert!(
            body.contains(&format!(r#""status":{status},"code":"{code}""#)),
            "{body}"
        );
    }
}

/// What reads one stream.
pub(crate) fn reads(stream: u8) -> ReadStreams {
    let read = StreamRead {
        stream_id: StreamId([stream; 16]),
        from: 0,
        max: 10,
    };
    ReadStreams {
        reads: List::new(vec![read]).unwrap(),
        wait_s: 0,
    }
}

/// The request for that.
pub(crate) fn read_request(wait_s: u16) -> Vec<u8> {
    possession(RequestBody::ReadStreams(ReadStreams { wait_s, ..reads(1) }))
}

/// A request that proves possession alone.
pub(crate) fn possession(body: RequestBody) -> Vec<u8> {
    let auth = Authentication::Possession;
    DsRequest::free(body, auth).encode().unwrap()
}
