//! Delivery, with entries that are put into the store as the hub would put them.

use super::{Running, Server};
use crate::clock::{TestClock, day_of};
use crate::random;
use crate::settings::{DomainChoice, ServerConfig};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use sordino_crypto::{Address, Space, inbox_id};
use sordino_store::{Append, Changes, LogHandle, Store, StoreFault};
use sordino_wire::{
    Authentication, Domain, DsRequest, DsResponse, HpkeKey, List, OpenInbox, ReadStreams,
    RequestBody, ResponseBody, Secret32, StreamId, StreamPage, StreamRead, encode, media,
};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const NOW_S: u64 = 20_000 * 86_400;
const STREAM: StreamId = StreamId([1; 16]);
const OTHER: StreamId = StreamId([2; 16]);

fn config(folder: &Path) -> ServerConfig {
    let mut config = ServerConfig::local(folder);
    config.domain = DomainChoice::Named(Domain::new("hub.example.org").unwrap());
    config.clock = Arc::new(TestClock::new(NOW_S));
    config
}

async fn start(folder: &Path) -> Running {
    Server::start(config(folder)).await.unwrap()
}

/// Delivers entries to a stream, all in one change.
async fn deliver(running: &Running, stream: StreamId, entries: &[&[u8]]) -> Vec<u64> {
    let outer = running.maintenance.outer();
    let log = outer.index().handle(Space::StreamLog, &stream.0).unwrap();
    let address = Address {
        space: Space::StreamLog,
        store_key: *log.first_chunk().unwrap(),
    };
    let day = day_of(NOW_S) + 30;
    let mut rng = random::generator().unwrap();
    let mut seal = |entry: &&[u8]| Append {
        log: LogHandle(log),
        value: outer.seal_window(&address, day, entry, &mut rng).unwrap(),
        expires_day: day,
    };
    let changes = Changes {
        append: entries.iter().map(&mut seal).collect(),
        ..Changes::default()
    };
    running.store.commit(changes).await.unwrap().numbers
}

fn reads(streams: &[(StreamId, u64)], wait_s: u16) -> ReadStreams {
    let read = |(stream_id, from): &(StreamId, u64)| StreamRead {
        stream_id: *stream_id,
        from: *from,
        max: 512,
    };
    ReadStreams {
        reads: List::new(streams.iter().map(read).collect()).unwrap(),
        wait_s,
    }
}

async fn post(running: &Running, path: &str, body: RequestBody) -> ResponseBody {
    let auth = Authentication::Possession;
    let bytes = DsRequest { body, auth }.encode().unwrap();
    let stream = TcpStream::connect(running.local_addr()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(path)
        .header("host", "h")
        .header("content-type", media::OCTETS)
        .body(Full::new(axum::body::Bytes::from(bytes)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    DsResponse::parse(&bytes).unwrap().body
}

async fn read_one(running: &Running, from: u64, wait_s: u16) -> StreamPage {
    let body = RequestBody::ReadStreams(reads(&[(STREAM, from)], wait_s));
    match post(running, media::STREAMS, body).await {
        ResponseBody::Streams(pages) => pages.pages.into_vec().remove(0),
        other => panic!("unexpected: {other:?}"),
    }
}

type Socket = WebSocketStream<TcpStream>;

async fn connect(running: &Running, streams: &[(StreamId, u64)]) -> Socket {
    let stream = TcpStream::connect(running.local_addr()).await.unwrap();
    let url = format!("ws://{}{}", running.local_addr(), media::STREAMS_LIVE);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    subscribe(&mut socket, streams).await;
    socket
}

async fn subscribe(socket: &mut Socket, streams: &[(StreamId, u64)]) {
    let bytes = encode(&reads(streams, 0)).unwrap();
    socket.send(Message::Binary(bytes.into())).await.unwrap();
}

async fn pages(socket: &mut Socket) -> Vec<StreamPage> {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Binary(bytes) => match DsResponse::parse(&bytes).unwrap().body {
                ResponseBody::Streams(pages) => return pages.pages.into_vec(),
                other => panic!("unexpected: {other:?}"),
            },
            Message::Ping(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

/// Entries of one stream of a socket, until there are `count`.
async fn entries(socket: &mut Socket, place: usize, count: usize) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    while all.len() < count {
        let page = pages(socket).await.remove(place);
        let numbered = page.entries.into_vec().into_iter();
        all.extend(numbered.map(|e| (e.number, e.entry.into_vec())));
    }
    assert_eq!(all.len(), count);
    all
}

#[tokio::test]
async fn a_waiting_reader_is_woken() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let empty = read_one(&running, 0, 0).await;
    assert_eq!((empty.oldest, empty.entries.len()), (empty.next, 0));

    let waiting = read_one(&running, empty.next, 60);
    let delivering = deliver(&running, STREAM, &[b"one"]);
    let (page, numbers) = tokio::join!(waiting, delivering);
    assert_eq!(numbers, [empty.next]);
    assert_eq!(page.entries.as_slice()[0].number, empty.next);
    assert_eq!(page.entries.as_slice()[0].entry.as_slice(), b"one");

    // Who is behind does not wait.
    let page = read_one(&running, empty.next, 60).await;
    assert_eq!(page.entries.len(), 1);
    running.shutdown().await;
}

#[tokio::test]
async fn sockets_get_what_is_new_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let before = deliver(&running, STREAM, &[b"before"]).await[0];
    let mut socket = connect(&running, &[(OTHER, 0), (STREAM, before)]).await;
    let both = pages(&mut socket).await;
    assert_eq!(
        (both.len(), both[0].entries.len(), both[1].entries.len()),
        (2, 0, 1)
    );

    for n in 1..=20u8 {
        assert_eq!(
            deliver(&running, STREAM, &[&[n]]).await,
            [before + u64::from(n)]
        );
    }
    let got = entries(&mut socket, 1, 20).await;
    for (n, (number, entry)) in (1..=20u8).zip(got) {
        assert_eq!((number, entry), (before + u64::from(n), vec![n]));
    }

    // A stream that joins later, and one that is read again from further back.
    let third = StreamId([3; 16]);
    subscribe(&mut socket, &[(third, 0), (STREAM, before)]).await;
    let all = pages(&mut socket).await;
    assert_eq!((all.len(), all[1].entries.len()), (3, 21));
    deliver(&running, third, &[b"third"]).await;
    assert_eq!(entries(&mut socket, 2, 1).await[0].1, b"third");
    deliver(&running, OTHER, &[b"other"]).await;
    assert_eq!(entries(&mut socket, 0, 1).await[0].1, b"other");
    drop(socket);
    running.shutdown().await;
}

#[tokio::test]
async fn a_slow_reader_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let mut socket = connect(&running, &[(STREAM, 0)]).await;
    pages(&mut socket).await;
    // Far more than fits into the buffers between the two, in changes that come while it sleeps.
    let large = vec![7u8; 64 * 1024];
    let batch: Vec<&[u8]> = vec![&large; 32];
    let mut first = None;
    for _ in 0..10 {
        let numbers = deliver(&running, STREAM, &batch).await;
        first.get_or_insert(numbers[0]);
    }
    let got = entries(&mut socket, 0, 320).await;
    let first = first.unwrap();
    assert!(
        (first..)
            .zip(&got)
            .all(|(n, (number, entry))| n == *number && *entry == large)
    );
    drop(socket);
    running.shutdown().await;
}

#[tokio::test]
async fn a_socket_that_was_ahead_or_behind_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let last = *deliver(&running, STREAM, &[b"1", b"2"])
        .await
        .last()
        .unwrap();
    let mut behind = connect(&running, &[(STREAM, last - 100)]).await;
    let gap = pages(&mut behind).await.remove(0);
    assert_eq!((gap.oldest, gap.entries.len()), (last - 1, 0));
    assert_eq!(entries(&mut behind, 0, 2).await[1].0, last);
    let mut ahead = connect(&running, &[(STREAM, last + 100)]).await;
    let told = pages(&mut ahead).await.remove(0);
    assert_eq!((told.next, told.entries.len()), (last + 1, 0));
    deliver(&running, STREAM, &[b"3"]).await;
    assert_eq!(entries(&mut ahead, 0, 1).await, [(last + 1, b"3".to_vec())]);
    assert_eq!(
        entries(&mut behind, 0, 1).await,
        [(last + 1, b"3".to_vec())]
    );
    drop((ahead, behind));
    running.shutdown().await;
}

#[tokio::test]
async fn lost_deliveries_are_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let numbers = deliver(&running, STREAM, &[b"1", b"2"]).await;
    running.shutdown().await;

    std::fs::remove_file(folder.path().join("keys/windows.key")).unwrap();
    let mut config = config(folder.path());
    config.accept_lost_deliveries = true;
    let running = Server::start(config).await.unwrap();
    let page = read_one(&running, numbers[0], 0).await;
    assert_eq!((page.oldest, page.next), (numbers[1] + 1, numbers[1] + 1));
    deliver(&running, STREAM, &[b"3"]).await;
    let page = read_one(&running, numbers[0], 0).await;
    assert_eq!((page.oldest, page.entries.len()), (numbers[1] + 1, 1));
    running.shutdown().await;
}

#[tokio::test]
async fn those_who_lose_a_race_are_answered_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let open = || {
        RequestBody::OpenInbox(OpenInbox {
            inbox_id: inbox_id(&Secret32::new([9; 32])),
            hpke_key: HpkeKey::new(vec![5; 32]).unwrap(),
            last_day: day_of(NOW_S) + 1,
            deposit_hash: None,
        })
    };
    let mut all = Vec::new();
    for _ in 0..16 {
        all.push(post(&running, media::INBOXES, open()));
    }
    for answer in futures_util::future::join_all(all).await {
        assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_broken_store_is_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    let engine = running.maintenance.engine();
    assert!(engine.is_ready());
    engine.note(StoreFault::BadRow);
    assert!(engine.is_ready());
    engine.note(StoreFault::Poisoned);
    assert!(!engine.is_ready());
    let mut stream = TcpStream::connect(running.local_addr()).await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request = b"GET /readyz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("store_failed"));
    running.shutdown().await;
}
