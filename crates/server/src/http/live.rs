//! Owns streams over a WebSocket.
//!
//! A client sends binary `ReadStreams` messages (`wait_s` means nothing here). Each adds its
//! streams to those of the socket, in order; a stream that is there already keeps its place and
//! gets the new `from` and `max`. The server answers each with one binary `DsResponse` that holds
//! `StreamPages`, padded like any other answer, and sends another whenever there is something new.
//! Pages stand in the order of the streams, one for each, so a client can tell from their number
//! which of its messages the server had seen.
//!
//! Invariant: the store is read only when the socket has taken what was read before, so a slow
//! reader gets larger pages later and never a queue; nothing of a stream is kept here but its
//! place. Never sees what entries hold, nor who reads.

use super::connection::ConnectionSlot;
use super::problem::Problem;
use crate::app::App;
use crate::engine::NoAnswer;
use crate::records::handles;
use axum::body::Bytes;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::response::Response;
use sordino_hub::{Endpoint, Step};
use sordino_store::{Store, Watch};
use sordino_wire::limits::{MAX_STREAM_READS, MAX_STREAM_WAIT_S};
use sordino_wire::{
    Authentication, DsRequest, DsResponse, List, ReadStreams, RequestBody, ResponseBody,
    StreamPage, StreamPages, StreamRead, exact,
};
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, interval_at, sleep, timeout};

/// The largest `ReadStreams`, with room to spare.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// How often the server asks whether the client is there; one that says nothing in between is not.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long a client may take to take a page.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// When to read again where there was too much to do.
const OVERLOAD_PAUSE: Duration = Duration::from_millis(250);
/// How long saying good-bye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// `GET /streams/live`.
pub(super) async fn upgrade(
    State(app): State<Arc<App>>,
    Extension(slot): Extension<ConnectionSlot>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| Problem::WebSocketRequired)?;
    if app.stop.is_stopped() {
        return Err(Problem::Stopping);
    }
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        // What is written goes to the socket at once; a page is the only thing in memory.
        .write_buffer_size(0)
        .read_buffer_size(MAX_MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let in_use = slot.in_use();
        Live::new(app).run(socket).await;
        // Held until here: the socket counts as its connection.
        drop((in_use, slot));
    }))
}

/// Why a socket ends.
#[derive(Clone, Copy)]
enum End {
    /// The client is gone.
    Gone,
    /// The client sent what it should not.
    Refused(u16),
    /// The server stops.
    Stopping,
    /// The server failed.
    Failed,
}

/// What pages showed.
struct Shown {
    /// Whether any place moved.
    moved: bool,
    /// Whether the client learns anything.
    news: bool,
    /// Whether every stream was read to its end.
    to_the_end: bool,
}

/// One socket.
struct Live {
    app: Arc<App>,
    reads: Vec<StreamRead>,
    /// Over all streams of `reads`, or none.
    watch: Option<Watch>,
    /// Whether there may be something to read.
    due: bool,
    /// Whether an answer is owed even if there is nothing.
    owed: bool,
    /// Whether the client was heard since the last ping.
    heard: bool,
}

impl Live {
    fn new(app: Arc<App>) -> Self {
        Self {
            app,
            reads: Vec::new(),
            watch: None,
            due: false,
            owed: false,
            heard: true,
        }
    }

    async fn run(mut self, mut socket: WebSocket) {
        let end = self.talk(&mut socket).await;
        let code = match end {
            End::Gone => return,
            End::Refused(code) => code,
            End::Stopping => close_code::AWAY,
            End::Failed => close_code::ERROR,
        };
        let close = CloseFrame {
            code,
            reason: "".into(),
        };
        let goodbye = async {
            if socket.send(Message::Close(Some(close))).await.is_ok() {
                // The client's own close, so that it surely gets ours.
                while let Some(Ok(_)) = socket.recv().await {}
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
    }

    async fn talk(&mut self, socket: &mut WebSocket) -> End {
        let mut stop = self.app.stop.clone();
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        loop {
            let progress = tokio::select! {
                biased;
                () = stop.stopped() => Err(End::Stopping),
                message = socket.recv() => self.take(message),
                _ = ping.tick() => self.ping(socket).await,
                () = ready(()), if self.due => self.push(socket).await,
                () = changed(&mut self.watch), if !self.due => {
                    self.due = true;
                    Ok(())
                }
            };
            if let Err(end) = progress {
                return end;
            }
        }
    }

    /// Takes what the client sent.
    fn take(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        self.heard = true;
        match message {
            Some(Ok(Message::Binary(bytes))) => {
                let wanted: ReadStreams =
                    exact(&bytes).map_err(|_| End::Refused(close_code::INVALID))?;
                self.subscribe(wanted.reads.as_slice())
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Text(_))) => Err(End::Refused(close_code::UNSUPPORTED)),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
        }
    }

    fn subscribe(&mut self, wanted: &[StreamRead]) -> Result<(), End> {
        for read in wanted {
            let mut read = read.clone();
            // A stream of which nothing is wanted would never be read to its end.
            read.max = read.max.max(1);
            let mut known = self.reads.iter_mut();
            if let Some(known) = known.find(|known| known.stream_id == read.stream_id) {
                *known = read;
                continue;
            }
            if self.reads.len() == MAX_STREAM_READS {
                return Err(End::Refused(close_code::POLICY));
            }
            self.reads.push(read);
            self.watch = None;
        }
        (self.due, self.owed) = (true, true);
        Ok(())
    }

    async fn ping(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        if !std::mem::take(&mut self.heard) {
            return Err(End::Gone);
        }
        // Whatever went unnoticed is noticed now at the latest.
        self.due = !self.reads.is_empty();
        self.send(socket, Message::Ping(Bytes::new())).await
    }

    /// Reads once, and sends what there is.
    async fn push(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let request = self.request().ok_or(End::Failed)?;
        let App {
            engine, services, ..
        } = &*self.app;
        let step = engine.step(&services.hub, &request, Endpoint::Streams);
        let step = match step.await {
            Err(NoAnswer::Overloaded) => return self.wait_a_little().await,
            step => step.map_err(|_| End::Failed)?,
        };
        let (pages, logs) = match step {
            Step::Answer(ResponseBody::Streams(pages)) => (pages, None),
            Step::Wait {
                logs,
                answer: ResponseBody::Streams(pages),
                ..
            } => (pages, Some(logs)),
            _ => return Err(End::Failed),
        };
        if let Some(logs) = logs
            && self.watch.is_none()
        {
            self.watch = Some(self.app.engine.store().watch(&handles(&logs)));
            // What came between the reading and the registration: look once more.
            return Ok(());
        }
        let before = self.reads.clone();
        let shown = self.advance(&pages);
        let owed = std::mem::take(&mut self.owed);
        // Watched since before the reading, and read to the end: the watch tells when to go on.
        // Where a page neither shows nor moves anything, there is nothing to go on with either.
        self.due = !(shown.to_the_end && self.watch.is_some()) && (shown.moved || owed);
        if shown.news || owed {
            let body = ResponseBody::Streams(pages);
            let bytes = DsResponse { body }.encode().map_err(|_| End::Failed)?;
            let size = bytes.len();
            let Ok(bytes) = self.app.answers.hold(bytes) else {
                // Others are slow to take theirs: let go of it, and read again when there is room.
                (self.reads, self.due, self.owed) = (before, true, owed);
                return self.wait_for_room(size).await;
            };
            // The socket makes a copy, which is there until it has been taken.
            let held = bytes.clone();
            let sent = self.send(socket, Message::Binary(bytes)).await;
            drop(held);
            return sent;
        }
        Ok(())
    }

    async fn wait_a_little(&self) -> Result<(), End> {
        let mut stop = self.app.stop.clone();
        tokio::select! {
            () = stop.stopped() => Err(End::Stopping),
            () = sleep(OVERLOAD_PAUSE) => Ok(()),
        }
    }

    async fn wait_for_room(&self, bytes: usize) -> Result<(), End> {
        let mut stop = self.app.stop.clone();
        tokio::select! {
            () = stop.stopped() => Err(End::Stopping),
            () = self.app.answers.room_for(bytes) => Ok(()),
        }
    }

    /// What the hub is asked: all streams from where each is.
    fn request(&self) -> Option<Bytes> {
        let body = RequestBody::ReadStreams(ReadStreams {
            reads: List::new(self.reads.clone()).ok()?,
            wait_s: MAX_STREAM_WAIT_S,
        });
        let auth = Authentication::Possession;
        let bytes = DsRequest { body, auth }.encode().ok()?;
        Some(bytes.into())
    }

    /// Moves each place behind what its page shows.
    fn advance(&mut self, pages: &StreamPages) -> Shown {
        let mut shown = Shown {
            moved: false,
            news: false,
            to_the_end: true,
        };
        for (read, page) in self.reads.iter_mut().zip(pages.pages.iter()) {
            let (next, news) = next_place(read.from, page);
            shown.moved |= next != read.from;
            shown.news |= news;
            shown.to_the_end &= next == page.next;
            read.from = next;
        }
        shown
    }

    async fn send(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), End> {
        let mut stop = self.app.stop.clone();
        tokio::select! {
            () = stop.stopped() => Err(End::Stopping),
            sent = timeout(SEND_TIMEOUT, socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(End::Gone),
            },
        }
    }
}

/// Where to read on after a page, and whether the page tells anything.
fn next_place(from: u64, page: &StreamPage) -> (u64, bool) {
    if let Some(last) = page.entries.as_slice().last() {
        return (last.number.saturating_add(1), true);
    }
    if from == 0 {
        return (page.next, false);
    }
    let gap = page.oldest > from && page.oldest < page.next;
    let next = if gap { page.oldest } else { page.next };
    (next, next != from)
}

/// Resolves when a watched log grew; never where nothing is watched.
async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sordino_wire::NumberedEntry;

    fn page(oldest: u64, next: u64, numbers: &[u64]) -> StreamPage {
        let entry = |number| NumberedEntry {
            number,
            entry: sordino_wire::Bytes::new(vec![1]).unwrap(),
        };
        let entries = numbers.iter().copied().map(entry).collect();
        StreamPage {
            oldest,
            next,
            entries: List::new(entries).unwrap(),
        }
    }

    #[test]
    fn places_move_behind_what_was_shown() {
        assert_eq!(next_place(5, &page(5, 9, &[5, 6])), (7, true));
        assert_eq!(next_place(9, &page(9, 9, &[])), (9, false));
        assert_eq!(next_place(0, &page(9, 9, &[])), (9, false));
        // A gap with entries behind it, and one with none.
        assert_eq!(next_place(3, &page(7, 9, &[])), (7, true));
        assert_eq!(next_place(3, &page(9, 9, &[])), (9, true));
        // A place that this hub has not reached: it lost what it had delivered.
        assert_eq!(next_place(20, &page(9, 9, &[])), (9, true));
    }
}
