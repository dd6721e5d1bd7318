//! Owns doing the operations: so many at once, each when it is due.
//!
//! Invariant: an operation is tried once, and counted once.

use super::figures::Figures;
use super::mix::{Mix, Operation};
use super::people::{Folder, Room, World};
use super::{Arguments, LoadError};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use sordino_client::raw::{Line, MessageTemplate};
use sordino_client::{Client, ClientError, GroupSettings, HubAddress};
use sordino_wire::limits::MAX_STREAM_WAIT_S;
use sordino_wire::{Reject, ResponseBody, StreamId, StreamPage};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, RwLock};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The pause of a reader after a failure.
const READER_PAUSE: Duration = Duration::from_millis(500);

/// A group under load.
struct Site {
    room: Room,
    /// One commit, join or new template at a time.
    turn: Mutex<()>,
    template: Mutex<MessageTemplate>,
    stream: RwLock<StreamId>,
    content: Vec<u8>,
}

impl Site {
    async fn new(room: Room, content: Vec<u8>) -> Result<Self, LoadError> {
        let template = template(&room, &content).await;
        let template = template.map_err(|source| LoadError::Setup {
            what: "making a message",
            source,
        })?;
        Ok(Self {
            room,
            turn: Mutex::new(()),
            stream: RwLock::new(template.stream_id()),
            template: Mutex::new(template),
            content,
        })
    }

    /// After the group has moved on.
    async fn renew(&self) -> Result<(), ClientError> {
        let fresh = template(&self.room, &self.content).await?;
        *self.stream.write().await = fresh.stream_id();
        *self.template.lock().await = fresh;
        Ok(())
    }

    async fn commit(&self) -> Result<(), ClientError> {
        let _turn = self.turn.lock().await;
        self.room.driver.1.update().await?;
        self.renew().await
    }

    async fn join(&self) -> Result<(), ClientError> {
        let _turn = self.turn.lock().await;
        self.room.guest.1.resync().await?;
        self.room.driver.1.catch_up().await?;
        self.renew().await
    }
}

async fn template(room: &Room, content: &[u8]) -> Result<MessageTemplate, ClientError> {
    let (client, group) = &room.driver;
    MessageTemplate::of(client, group.id(), content).await
}

/// What all workers share.
struct Shared {
    sites: Vec<Site>,
    founder: Mutex<Client>,
    line: Line,
    figures: Arc<Figures>,
    begin: Instant,
    rate: Option<u32>,
    next: AtomicU64,
    enough: AtomicBool,
}

impl Shared {
    /// The next operation's number, once it is due; and since when it is.
    async fn due(&self) -> Instant {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(rate) = self.rate else {
            return Instant::now();
        };
        let after_us = number.saturating_mul(1_000_000) / u64::from(rate);
        let due = self.begin + Duration::from_micros(after_us);
        tokio::time::sleep_until(due).await;
        due
    }

    fn is_over(&self) -> bool {
        self.enough.load(Ordering::Acquire)
    }

    async fn send(&self, site: &Site) -> Result<(), String> {
        // Not from the seed: the hub remembers those of an earlier run.
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| error.to_string())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_s = now.map_or(0, |now| now.as_secs());
        let request = site.template.lock().await.request(now_s, nonce);
        let request = request.map_err(|error| error.to_string())?;
        verdict(self.line.operation(&request).await, |body| {
            matches!(body, ResponseBody::Done(_))
        })
    }

    async fn read(&self, site: &Site, rng: &mut ChaCha20Rng) -> Result<(), String> {
        let stream = *site.stream.read().await;
        // The newest entries are what a client asks for that was away for a moment.
        let answer = self.line.read(stream, 0, 0).await;
        let next = match &answer {
            Ok(Some(ResponseBody::Streams(pages))) => {
                pages.pages.as_slice().first().map_or(0, |page| page.next)
            }
            _ => 0,
        };
        if next > 0 {
            let from = next.saturating_sub(rng.next_u64() % 64).max(1);
            let answer = self.line.read(stream, from, 0).await;
            return verdict(answer, |body| matches!(body, ResponseBody::Streams(_)));
        }
        verdict(answer, |body| matches!(body, ResponseBody::Streams(_)))
    }

    async fn act(&self, operation: Operation, rng: &mut ChaCha20Rng) -> Result<(), String> {
        let count = u64::try_from(self.sites.len()).unwrap_or(1).max(1);
        let place = usize::try_from(rng.next_u64() % count).unwrap_or_default();
        let Some(site) = self.sites.get(place) else {
            return Err("no group".to_owned());
        };
        let outcome = match operation {
            Operation::Send => return self.send(site).await,
            Operation::Read => return self.read(site, rng).await,
            Operation::Commit => site.commit().await,
            Operation::Join => site.join().await,
            Operation::Create => {
                let founder = self.founder.lock().await;
                founder
                    .create_group(GroupSettings::open())
                    .await
                    .map(|_| ())
            }
        };
        outcome.map_err(|error| error.to_string())
    }
}

/// What an answer to one try means.
fn verdict(
    answer: Result<Option<ResponseBody>, ClientError>,
    good: impl FnOnce(&ResponseBody) -> bool,
) -> Result<(), String> {
    match answer {
        Ok(Some(body)) if good(&body) => Ok(()),
        Ok(Some(ResponseBody::Rejected(reject))) => Err(refusal(&reject)),
        Ok(Some(_)) => Err("an answer of another kind".to_owned()),
        Ok(None) => Err("turned away: too much at once".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The kind of a refusal, without its numbers, so that equal ones are counted together.
fn refusal(reject: &Reject) -> String {
    let text = format!("{reject:?}");
    let end = text.find([' ', '(', '{']).unwrap_or(text.len());
    format!("refused: {}", text.get(..end).unwrap_or("?"))
}

/// A load under way.
pub(crate) struct Work {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
    // Last: the vaults go when nobody uses them any more.
    _folder: Folder,
}

impl Work {
    /// Starts everybody.
    pub(crate) async fn start(
        arguments: &Arguments,
        hub: &HubAddress,
        world: World,
        figures: Arc<Figures>,
    ) -> Result<Self, LoadError> {
        let bytes = usize::try_from(arguments.message_bytes).unwrap_or(1);
        let mut sites = Vec::new();
        for room in world.rooms {
            sites.push(Site::new(room, vec![b'x'; bytes]).await?);
        }
        let line = Line::new(hub).map_err(|source| LoadError::Setup {
            what: "making connections",
            source,
        })?;
        let shared = Arc::new(Shared {
            sites,
            founder: Mutex::new(world.founder),
            line,
            figures,
            begin: Instant::now(),
            rate: arguments.rate,
            next: AtomicU64::new(0),
            enough: AtomicBool::new(false),
        });
        let workers = (0..arguments.in_flight).map(|number| {
            let seed = arguments
                .seed
                .wrapping_mul(65_537)
                .wrapping_add(number.into());
            tokio::spawn(work(Arc::clone(&shared), arguments.mix, seed))
        });
        let workers = workers.collect();
        let readers = (0..usize::from(arguments.readers))
            .map(|number| tokio::spawn(listen(Arc::clone(&shared), number)));
        let readers = readers.collect();
        Ok(Self {
            shared,
            workers,
            readers,
            _folder: world.folder,
        })
    }

    /// When it began.
    pub(crate) fn begin(&self) -> Instant {
        self.shared.begin
    }

    /// Ends it; what is under way is finished.
    pub(crate) async fn stop(self) {
        self.shared.enough.store(true, Ordering::Release);
        for worker in self.workers {
            // One that panicked has ended as well.
            let _ = worker.await;
        }
        for reader in self.readers {
            reader.abort();
        }
    }
}

async fn work(shared: Arc<Shared>, mix: Mix, seed: u64) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    while !shared.is_over() {
        let operation = mix.draw(&mut rng);
        let due = shared.due().await;
        if shared.is_over() {
            return;
        }
        match shared.act(operation, &mut rng).await {
            Ok(()) => shared.figures.done(operation, due.elapsed()),
            Err(reason) => shared.figures.failed(operation, &reason),
        }
    }
}

/// Waits for news of one group.
async fn listen(shared: Arc<Shared>, number: usize) {
    let count = shared.sites.len().max(1);
    let Some(site) = shared.sites.get(number % count) else {
        return;
    };
    let mut place: Option<(StreamId, u64)> = None;
    while !shared.is_over() {
        let stream = *site.stream.read().await;
        let from = place
            .filter(|(known, _)| *known == stream)
            .map_or(0, |(_, from)| from);
        let wait_s = if from == 0 { 0 } else { MAX_STREAM_WAIT_S / 2 };
        let page = match shared.line.read(stream, from, wait_s).await {
            Ok(Some(ResponseBody::Streams(pages))) => pages.pages.into_vec().pop(),
            _ => None,
        };
        let Some(page) = page else {
            tokio::time::sleep(READER_PAUSE).await;
            continue;
        };
        shared.figures.delivered(page.entries.len());
        place = Some((stream, after(&page)));
    }
}

/// Where to read on.
fn after(page: &StreamPage) -> u64 {
    let last = page.entries.as_slice().last();
    last.map_or(page.next, |entry| entry.number.saturating_add(1))
}
