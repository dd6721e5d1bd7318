//! Stopping: what has begun is finished, what waits is ended, nothing is left.

use crate::client::{BOTH, Client, TestServer, read_request};
use crate::limits::{begin, read_all};
use sordino_wire::{DsResponse, ResponseBody, media};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_request_under_way_is_finished() {
    let server = TestServer::start().await;
    let address = server.address();
    let body = read_request(0);
    let head = format!(
        "content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = begin(&server, &head).await;
    // The server says this once the request is with its handler, which waits for the body.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let (half, rest) = body.split_at(body.len() / 2);
    stream.write_all(half).await.unwrap();

    let stopping = tokio::spawn(server.running.shutdown());
    // It has begun to stop when nothing is accepted any more.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished());
    stream.write_all(rest).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    let body = &answer[answer.len() - 512..];
    let answer = DsResponse::parse(body).unwrap();
    assert!(matches!(answer.body, ResponseBody::Streams(_)));
    stopping.await.unwrap();
}

#[tokio::test]
async fn waiting_readers_are_answered() {
    for version in BOTH {
        let server = TestServer::start().await;
        let mut client = Client::connect(server.address(), version).await;
        // The connection is there, so the request on it is accepted before the stop or refused;
        // in neither case does anybody wait for a minute.
        assert_eq!(client.get("/readyz").await.status, 200);
        let waiting =
            tokio::spawn(async move { client.ask(media::STREAMS, &read_request(60)).await });
        let mut other = Client::connect(server.address(), version).await;
        while !waiting.is_finished() && other.get("/healthz").await.status != 200 {}
        let before = std::time::Instant::now();
        server.running.shutdown().await;
        assert!(before.elapsed().as_secs() < 10);
        let _ = waiting.await;
    }
}

#[tokio::test]
async fn a_connection_without_a_request_holds_nothing_up() {
    let server = TestServer::start().await;
    let mut idle = TcpStream::connect(server.address()).await.unwrap();
    let mut begun = begin(&server, "").await;
    let before = std::time::Instant::now();
    server.running.shutdown().await;
    assert!(before.elapsed().as_secs() < 10);
    assert_eq!(read_all(&mut idle).await, "");
    read_all(&mut begun).await;
}
