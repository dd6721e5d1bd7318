//! Streams over a WebSocket: what a client may say, and how it ends.

use crate::client::{Client, TestServer, Version, reads};
use futures_util::{SinkExt, StreamExt};
use sordino_wire::{
    DsResponse, List, ReadStreams, ResponseBody, StreamId, StreamPages, StreamRead, encode, media,
    padding,
};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

type Socket = WebSocketStream<TcpStream>;

async fn connect(server: &TestServer) -> Socket {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let url = format!("ws://{}{}", server.address(), media::STREAMS_LIVE);
    tokio_tungstenite::client_async(url, stream)
        .await
        .unwrap()
        .0
}

async fn subscribe(socket: &mut Socket, wanted: &ReadStreams) {
    let bytes = encode(wanted).unwrap();
    socket.send(Message::Binary(bytes.into())).await.unwrap();
}

async fn pages(socket: &mut Socket) -> StreamPages {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Binary(bytes) => {
                assert_eq!(bytes.len(), padding::padded_size(bytes.len()));
                match DsResponse::parse(&bytes).unwrap().body {
                    ResponseBody::Streams(pages) => return pages,
                    other => panic!("unexpected: {other:?}"),
                }
            }
            Message::Ping(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

/// The code with which the server closes.
async fn close_code(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(frame) = socket.next().await.unwrap().unwrap() {
            return frame.unwrap().code.into();
        }
    }
}

fn many(from: u8, count: u8) -> ReadStreams {
    let read = |n| StreamRead {
        stream_id: StreamId([n; 16]),
        from: 0,
        max: 10,
    };
    ReadStreams {
        reads: List::new((from..from + count).map(read).collect()).unwrap(),
        wait_s: 0,
    }
}

#[tokio::test]
async fn each_subscription_is_answered_at_once() {
    let server = TestServer::start().await;
    let mut socket = connect(&server).await;
    subscribe(&mut socket, &reads(1)).await;
    assert_eq!(pages(&mut socket).await.pages.len(), 1);
    // More streams stand behind those that were there; one that was there keeps its place.
    subscribe(&mut socket, &many(1, 3)).await;
    assert_eq!(pages(&mut socket).await.pages.len(), 3);
    socket.close(None).await.unwrap();
    while socket.next().await.is_some_and(|m| m.is_ok()) {}
    server.running.shutdown().await;
}

#[tokio::test]
async fn too_many_streams_are_refused() {
    let server = TestServer::start().await;
    let mut socket = connect(&server).await;
    subscribe(&mut socket, &many(0, 64)).await;
    assert_eq!(pages(&mut socket).await.pages.len(), 64);
    subscribe(&mut socket, &many(63, 1)).await;
    assert_eq!(pages(&mut socket).await.pages.len(), 64);
    subscribe(&mut socket, &many(64, 1)).await;
    assert_eq!(close_code(&mut socket).await, 1008);
}

#[tokio::test]
async fn what_is_no_subscription_is_refused() {
    let server = TestServer::start().await;
    for (message, code) in [
        (Message::Binary(vec![1, 2, 3].into()), 1007),
        (Message::Text("hello".into()), 1003),
    ] {
        let mut socket = connect(&server).await;
        socket.send(message).await.unwrap();
        assert_eq!(close_code(&mut socket).await, code);
    }
    // A message beyond all bounds ends the connection one way or another.
    let mut socket = connect(&server).await;
    let _ = socket.send(Message::Binary(vec![0; 100_000].into())).await;
    while socket.next().await.is_some_and(|m| m.is_ok()) {}
}

#[tokio::test]
async fn sockets_are_told_that_the_server_stops() {
    let server = TestServer::start().await;
    let mut socket = connect(&server).await;
    subscribe(&mut socket, &reads(1)).await;
    pages(&mut socket).await;
    let stopping = tokio::spawn(server.running.shutdown());
    assert_eq!(close_code(&mut socket).await, 1001);
    while socket.next().await.is_some_and(|m| m.is_ok()) {}
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_socket_holds_its_connections_place() {
    let server = TestServer::start_with(|config| config.limits.max_connections = 1).await;
    let mut socket = connect(&server).await;
    subscribe(&mut socket, &reads(1)).await;
    pages(&mut socket).await;
    let mut client = Client::connect(server.address(), Version::One).await;
    let waiting = tokio::spawn(async move { client.get("/healthz").await.status });
    subscribe(&mut socket, &reads(2)).await;
    pages(&mut socket).await;
    assert!(!waiting.is_finished());
    drop(socket);
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test]
async fn the_address_speaks_nothing_else() {
    let server = TestServer::start().await;
    let mut client = Client::connect(server.address(), Version::One).await;
    client
        .get(media::STREAMS_LIVE)
        .await
        .assert_problem(426, "websocket_required");
    let mut client = Client::connect(server.address(), Version::Two).await;
    client
        .get(media::STREAMS_LIVE)
        .await
        .assert_problem(426, "websocket_required");
}
