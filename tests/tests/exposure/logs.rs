//! Everything that is logged at the finest level, by anybody in the process, while everything
//! happens.
//!
//! The hub's own lines must hold nothing. Libraries underneath may describe what they handle; the
//! binary writes none of their lines (`crates/sordino/src/logging.rs`), and the test prints which
//! of them would have told something.

use crate::play::play;
use crate::search::{Search, without_space};
use crate::traffic::{Recorder, assert_no_identity};
use crate::world::{Known, World, add, exchange, note, of_kind, say};
use futures_util::{SinkExt as _, StreamExt as _};
use sordino_client::{Event, GroupSettings};
use sordino_wire::{List, ReadStreams, StreamId, StreamRead, encode, media};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

const TEST: &str = "logs::no_identity_is_sent_and_nothing_is_logged";
/// Tells the process that it is the one whose lines are captured: there, no other test runs.
const CAPTURE: &str = "SORDINO_TEST_CAPTURE";

/// Targets and lines.
static LINES: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

fn keep(target: &str, line: String) {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push((target.to_owned(), line));
}

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }
}

struct Capture;

impl<S: tracing::Subscriber> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        let mut fields = Fields(attributes.metadata().name().to_owned());
        attributes.record(&mut fields);
        keep(attributes.metadata().target(), fields.0);
    }

    fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        // The span's own target is not at hand; nobody is excused.
        keep("sordino span", fields.0);
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        keep(event.metadata().target(), fields.0);
    }
}

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        keep(record.target(), record.args().to_string());
    }

    fn flush(&self) {}
}

/// Requests that are none, or that carry things where they do not belong.
async fn garbage(hub: SocketAddr, known: &Known) {
    let id = hex::encode(of_kind(known, "group id").next().unwrap());
    let name = of_kind(known, "bare name").next().unwrap();
    let name = String::from_utf8(name.to_vec()).unwrap();
    let noise: Vec<u8> = (0..700_u32).map(|n| ((n * n) >> 3) as u8).collect();
    let keys: Vec<u8> = known
        .iter()
        .flat_map(|(_, bytes)| bytes.clone())
        .take(4_096)
        .collect();
    for path in [
        media::GROUP_OPERATION,
        media::WELCOME_INFORMATION,
        media::EXTERNAL_COMMIT_INFORMATION,
        media::STREAMS,
        media::INBOXES,
    ] {
        for body in [&[], noise.as_slice(), &noise[..512], &keys] {
            let answer = exchange(hub, &format!("POST {path}"), body).await;
            assert!(answer.starts_with(b"HTTP/1.1 "));
        }
        exchange(hub, &format!("GET {path}?group={id}&user={name}"), b"").await;
    }
    for head in [
        format!("GET /{id}/{name}"),
        format!("DELETE /streams/{id}"),
        format!("{name} /streams"),
        "GET /healthz".to_owned(),
        "GET /.well-known/mimi-protocol-directory".to_owned(),
    ] {
        exchange(hub, &head, &keys).await;
    }
    // Not even HTTP.
    let mut stream = TcpStream::connect(hub).await.unwrap();
    stream.write_all(&keys).await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// Reads streams over a WebSocket, then says something that nobody understands.
async fn websocket(hub: SocketAddr, known: &Known) {
    let stream = TcpStream::connect(hub).await.unwrap();
    let url = format!("ws://{hub}{}", media::STREAMS_LIVE);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let read = |id: &[u8]| StreamRead {
        stream_id: StreamId(id.try_into().unwrap()),
        from: 0,
        max: 10,
    };
    let reads = of_kind(known, "stream id").map(read).take(5).collect();
    let wanted = ReadStreams {
        reads: List::new(reads).unwrap(),
        wait_s: 0,
    };
    let bytes = encode(&wanted).unwrap();
    socket.send(Message::Binary(bytes.into())).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_binary());
    let name = of_kind(known, "real name").next().unwrap();
    let _ = socket.send(Message::Binary(name.to_vec().into())).await;
    while socket.next().await.is_some_and(|message| message.is_ok()) {}
}

/// Waits for a message in a long poll, by the background task.
async fn long_poll(world: &World, known: &mut Known) {
    let anna = world.user("anna-who-waits").await;
    let bart = world.user("bart-who-speaks").await;
    let group = bart.create_group(GroupSettings::closed()).await.unwrap();
    add(&group, &anna, known).await;
    let mut events = anna.events();
    let running = anna.run();
    tokio::time::sleep(Duration::from_millis(300)).await;
    say(&group, "what somebody waits for", known).await;
    let heard = async {
        while let Some(event) = events.next().await {
            if matches!(event, Event::Message { .. }) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), heard)
        .await
        .unwrap();
    running.abort();
    note(known, &[&anna, &bart]).await;
}

/// Everything that there is to log. Gives what must not be in it, and what clients and hub said.
async fn happenings() -> (Known, Vec<u8>) {
    let mut world = World::start().await;
    let recorder = Recorder::start(world.address()).await;
    world.via(recorder.address);
    let played = play(&world, "-of-the-log").await;
    let mut known = played.known;
    garbage(world.address(), &known).await;
    websocket(world.address(), &known).await;
    long_poll(&world, &mut known).await;
    // A server that goes away under its clients, and comes back.
    let world = world.restart().await;
    world.hub.run_maintenance().await.unwrap();
    for group in &played.groups {
        say(group, "after the server was away", &mut known).await;
        let _ = group.inspect().await;
    }
    let clients: Vec<_> = played.clients.iter().collect();
    note(&mut known, &clients).await;
    garbage(world.address(), &known).await;
    world.hub.shutdown().await;
    (known, recorder.bytes(|sphere| !sphere.knows_names()))
}

/// The names of targets of which the binary writes lines.
fn written_targets() -> Vec<String> {
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/sordino/src/logging.rs"
    );
    let text = std::fs::read_to_string(source).unwrap();
    let (_, list) = text.split_once("OWN_TARGETS: ").unwrap();
    let (_, list) = list.split_once("= [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let names = list
        .split(',')
        .map(|name| name.trim().trim_matches('"').to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

fn judge(known: &Known, lines: &[(String, String)]) {
    let mut by_target: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for (target, line) in lines {
        let (count, text) = by_target.entry(target).or_default();
        *count += 1;
        text.push_str(line);
        text.push('\n');
    }
    let written = written_targets();
    assert!(!written.is_empty() && written.iter().all(|name| name.starts_with("sordino")));
    let is_own = |target: &str| {
        // As targets are compared by the filter: by their beginning.
        target.starts_with("sordino") || written.iter().any(|name| target.starts_with(name))
    };
    let search = Search::in_texts(known);
    let mut own_lines = 0;
    for (target, (count, text)) in &by_target {
        let found = search.kinds_in(&without_space(text));
        if is_own(target) {
            own_lines += count;
            assert_eq!(found, BTreeSet::new(), "{target} tells:\n{text}");
            assert!(
                !text.contains("127.0.0.1"),
                "{target} tells addresses:\n{text}"
            );
        } else if found.is_empty() {
            println!("{target}: {count} lines, nothing in them");
        } else {
            println!("{target}: {count} lines, which would have told: {found:?}");
        }
    }
    assert!(own_lines > 0, "nothing of the hub's own was captured");
    println!(
        "{own_lines} own lines, {} things looked for",
        search.things()
    );
    // It would have been found.
    let planted: Vec<u8> = of_kind(known, "group id").next().unwrap().to_vec();
    let planted = without_space(&format!("group {planted:?} is unknown"));
    assert_eq!(search.kinds_in(&planted), ["group id"].into());
}

#[test]
fn no_identity_is_sent_and_nothing_is_logged() {
    if std::env::var_os(CAPTURE).is_none() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(CAPTURE, "1")
            .output()
            .unwrap();
        println!("{}", String::from_utf8_lossy(&output.stdout));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        return;
    }
    log::set_boxed_logger(Box::new(Capture)).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    tracing_subscriber::registry().with(Capture).init();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (known, traffic) = runtime.block_on(happenings());
    drop(runtime);
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    judge(&known, &lines);
    assert_no_identity(&known, &traffic);
}
