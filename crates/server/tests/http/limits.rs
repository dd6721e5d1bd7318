//! Bounds on what a client may send, and how long it may take.

use crate::client::{BOTH, Client, TestServer, Version, read_request};
use sordino_wire::{ResponseBody, media};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT_BYTES: usize = 65_536;

async fn small() -> TestServer {
    TestServer::start_with(|config| config.limits.body_bytes = LIMIT_BYTES).await
}

/// A connection on which a request was begun that goes on with `rest`.
pub(crate) async fn begin(server: &TestServer, rest: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST /streams HTTP/1.1\r\nhost: localhost\r\ncontent-type: {}\r\n{rest}",
        media::OCTETS
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// What the server says until it closes the connection.
pub(crate) async fn read_all(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A reset after the answer is as good an end as another.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let server = small().await;
    for version in BOTH {
        let mut client = Client::connect(server.address(), version).await;
        let at = client.post(media::STREAMS, vec![0; LIMIT_BYTES]).await;
        assert_eq!(at.status, 200);
        let over = client.post(media::STREAMS, vec![0; LIMIT_BYTES + 1]).await;
        over.assert_problem(413, "body_too_large");
    }
}

#[tokio::test]
async fn an_announced_length_over_the_limit_is_refused_before_the_body() {
    let server = small().await;
    let length = LIMIT_BYTES + 1;
    let mut stream = begin(&server, &format!("content-length: {length}\r\n\r\n")).await;
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_at_the_limit() {
    let server = small().await;
    let mut stream = begin(&server, "transfer-encoding: chunked\r\n\r\n").await;
    let chunk = [b"8000\r\n".as_slice(), &[7; 0x8000], b"\r\n"].concat();
    // More than the limit, and no end; the server may close before it took everything.
    for _ in 0..4 {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let answer = read_all(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") || answer.is_empty(),
        "{answer}"
    );
    still_serves(&server).await;
}

#[tokio::test]
async fn a_body_that_ends_early_harms_nobody() {
    let server = TestServer::start().await;
    let mut stream = begin(&server, "content-length: 512\r\n\r\nonly this").await;
    stream.shutdown().await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
    still_serves(&server).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_times_out() {
    let server = TestServer::start_with(|config| config.limits.request_timeout_s = 1).await;
    let mut stream = begin(&server, "content-length: 512\r\n\r\nonly this").await;
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
}

#[tokio::test]
async fn nonsense_is_not_http() {
    let server = TestServer::start().await;
    for nonsense in [
        b"\x16\x03\x01\x02\x00\x01".as_slice(),
        b"HELO\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(nonsense).await.unwrap();
        stream.shutdown().await.unwrap();
        read_all(&mut stream).await;
    }
    still_serves(&server).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let server = TestServer::start_with(|config| config.limits.max_connections = 1).await;
    let mut first = Client::connect(server.address(), Version::One).await;
    assert_eq!(first.get("/healthz").await.status, 200);
    let mut second = Client::connect(server.address(), Version::One).await;
    let waiting = tokio::spawn(async move { second.get("/healthz").await.status });
    // The first is still served, and once it is gone, so is the second.
    assert_eq!(first.get("/healthz").await.status, 200);
    assert!(!waiting.is_finished());
    drop(first);
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test]
async fn too_many_requests_at_once_are_turned_away() {
    // Four requests per connection that may be open.
    let server = TestServer::start_with(|config| config.limits.max_connections = 1).await;
    let Client::Two(sender) = Client::connect(server.address(), Version::Two).await else {
        panic!("not HTTP/2");
    };
    let wait = |wait_s| {
        let mut client = Client::Two(sender.clone());
        let body = read_request(wait_s);
        async move { client.post(media::STREAMS, body).await }
    };
    let waiting: Vec<_> = (0..4).map(|_| tokio::spawn(wait(60))).collect();
    // Until all four are with their handlers, others are answered.
    let turned_away = loop {
        let answer = wait(0).await;
        if answer.status != 200 {
            break answer;
        }
    };
    turned_away.assert_problem(503, "overloaded");
    assert_eq!(turned_away.headers["retry-after"], "1");
    // Being busy is not being dead.
    let mut client = Client::Two(sender.clone());
    assert_eq!(client.get("/healthz").await.status, 200);
    server.running.shutdown().await;
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().status, 200);
    }
}

async fn still_serves(server: &TestServer) {
    let mut client = Client::connect(server.address(), Version::One).await;
    let answer = client.ask(media::STREAMS, &read_request(0)).await;
    assert!(matches!(answer, ResponseBody::Streams(_)));
}
