//! SIGKILL at random moments under concurrent clients.
//!
//! `SORDINO_KILLS` says how often (10 unless told otherwise), `SORDINO_SEED` when: a failure prints
//! the seed that it had.

use crate::history::{Ledger, Observer, text};
use crate::hub::{Hub, any_port};
use crate::people::{config, room, settle, user};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use sordino_client::{Advice, Client, ClientError, Event, EventStream, Group};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const TALKERS: usize = 3;
const ROOMS: usize = 2;
/// Talkers commit after so many messages each.
const MESSAGES_PER_COMMIT: u64 = 4;
/// Every so many commits start a generation.
const COMMITS_PER_MOVE: u64 = 5;
/// How long the hub serves before it is killed, at most.
const LONGEST_LIFE_MS: u64 = 400;
/// A start that is cut short takes at most so long.
const LONGEST_START_MS: u64 = 40;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Whether the client goes on by itself.
fn passes(error: &ClientError) -> bool {
    matches!(error.advice(), Advice::Wait | Advice::RetryAfter(_))
}

/// Talks and commits until told to stop.
async fn talk(group: Group, sender: usize, room: usize, ledger: Ledger, enough: Arc<AtomicBool>) {
    let mut said = 0;
    while !enough.load(Ordering::SeqCst) {
        match group.send(text(sender, room, said).as_bytes()).await {
            Ok(()) => ledger.message(sender, room, said),
            // Kept, and sent by a later sync.
            Err(error) if passes(&error) => {}
            Err(error) => panic!("a message: {error}"),
        }
        said += 1;
        if said % MESSAGES_PER_COMMIT == 0 {
            let moves = (said / MESSAGES_PER_COMMIT).is_multiple_of(COMMITS_PER_MOVE);
            let done = if moves {
                group.move_generation().await
            } else {
                group.update().await
            };
            match done {
                Ok(()) => ledger.commit(room, group.epoch().await.unwrap()),
                Err(error) if passes(&error) => {}
                Err(error) => panic!("a commit: {error}"),
            }
        }
    }
}

/// What no honest hub makes happen, until the client is gone.
async fn odd_events(mut events: EventStream) -> Vec<Event> {
    let mut odd = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Event::Message { .. } | Event::Committed { .. } | Event::RosterChanged { .. } => {}
            other => odd.push(other),
        }
    }
    odd
}

/// Everybody, each in all rooms; the last one only reads.
struct Company {
    clients: Vec<Client>,
    /// By room, then by client.
    rooms: Vec<Vec<Group>>,
}

impl Company {
    async fn gather(folder: &std::path::Path, hub: &Hub) -> Self {
        let mut clients = Vec::new();
        for index in 0..=TALKERS {
            let name = format!("person-{index}");
            clients.push(user(config(folder, hub.address, &name), &name).await);
        }
        let mut rooms = Vec::new();
        for _ in 0..ROOMS {
            rooms.push(room(&clients).await);
        }
        Self { clients, rooms }
    }

    async fn observers(&self) -> Vec<Observer> {
        let mut observers = Vec::new();
        for (room, groups) in self.rooms.iter().enumerate() {
            let events = self.clients[TALKERS].events();
            observers.push(Observer::new(room, groups[TALKERS].clone(), events).await);
        }
        observers
    }
}

fn report(ledger: &Ledger, kills: u64, cut_starts: u64, mut starts: Vec<Duration>) {
    let (messages, commits) = ledger.counts();
    starts.sort_unstable();
    let median = starts[starts.len() / 2].as_secs_f64() * 1e3;
    let longest = starts.last().unwrap().as_secs_f64() * 1e3;
    println!(
        "{kills} kills and {cut_starts} starts cut short; {messages} messages and {commits} commits \
         acknowledged, none lost, none twice, all in order; start: median {median:.0} ms, longest \
         {longest:.0} ms"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_keeps_what_it_acknowledged() {
    let kills = number("SORDINO_KILLS", 10);
    let seed = number("SORDINO_SEED", u64::from(std::process::id()));
    println!("SORDINO_KILLS={kills} SORDINO_SEED={seed}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut below = |bound: u64| Duration::from_millis(rng.next_u64() % bound);

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hub");
    let mut hub = Hub::start(&data, any_port());
    let company = Company::gather(folder.path(), &hub).await;
    let mut observers = company.observers().await;
    let ledger = Ledger::default();
    let enough = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    let clients = company.clients.iter();
    let odd: Vec<_> = clients
        .map(|client| tokio::spawn(odd_events(client.events())))
        .collect();
    for client in &company.clients[..TALKERS] {
        tasks.push(client.run());
    }
    let mut talks = Vec::new();
    for (room, groups) in company.rooms.iter().enumerate() {
        for (sender, group) in groups[..TALKERS].iter().enumerate() {
            let (group, ledger, enough) = (group.clone(), ledger.clone(), Arc::clone(&enough));
            talks.push(tokio::spawn(talk(group, sender, room, ledger, enough)));
        }
    }

    let (mut starts, mut cut_starts) = (Vec::new(), 0);
    for kill in 0..kills {
        tokio::time::sleep(below(LONGEST_LIFE_MS)).await;
        let address = hub.address;
        let log = hub.kill();
        assert!(!log.contains("ERROR"), "{log}");
        if kill % 3 == 2 {
            Hub::start_and_kill(&data, address, below(LONGEST_START_MS));
            cut_starts += 1;
        }
        hub = Hub::start(&data, address);
        starts.push(hub.started_in);
        for observer in &mut observers {
            observer.check(&ledger).await;
        }
        assert!(
            talks.iter().all(|talk| !talk.is_finished()),
            "a talker fell"
        );
    }

    enough.store(true, Ordering::SeqCst);
    for talk in talks {
        talk.await.unwrap();
    }
    for task in tasks {
        task.abort();
    }
    for (room, groups) in company.rooms.iter().enumerate() {
        settle(&company.clients, groups).await;
        for group in groups {
            group.catch_up().await.unwrap();
        }
        observers[room].check(&ledger).await;
        let heard = observers[room].heard();
        for group in groups {
            let messages = group.messages(0, usize::MAX).await.unwrap();
            let texts: Vec<String> = messages
                .into_iter()
                .map(|message| String::from_utf8(message.content).unwrap())
                .collect();
            let missing = |all: &[String], some: &[String]| -> Vec<String> {
                all.iter().filter(|t| !some.contains(t)).cloned().collect()
            };
            let (here, there) = (missing(&texts, &heard), missing(&heard, &texts));
            assert_eq!(
                (here, there),
                (vec![], vec![]),
                "two members heard different things"
            );
            assert_eq!(texts, heard, "two members heard things in another order");
        }
    }
    drop((company, observers));
    for odd in odd {
        assert_eq!(odd.await.unwrap(), vec![], "a member met what must not be");
    }
    let (status, log) = hub.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    let (messages, commits) = ledger.counts();
    assert!(messages > 0 && commits > 0, "nothing was tried");
    report(&ledger, kills, cut_starts, starts);
}

#[tokio::test]
async fn a_first_start_may_be_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let whole = Hub::start(&folder.path().join("whole"), any_port());
    let longest = begin.elapsed();
    drop(whole);
    for step in 0..12 {
        let data = folder.path().join(format!("{step}"));
        Hub::start_and_kill(&data, any_port(), longest * step / 10);
        // The domain is the port of the first start, if that came so far: its own folder's.
        let database = data.join("hub.redb");
        let started = Hub::try_start(&data, any_port());
        match started {
            Ok(hub) => drop(hub),
            Err(refusal) => {
                assert!(database.exists());
                assert!(
                    refusal.errors.contains("belongs to the domain"),
                    "{}",
                    refusal.errors
                );
            }
        }
    }
}
