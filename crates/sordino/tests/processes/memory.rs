//! What the memory of a hub shows of groups that ask for nothing any more.

use crate::hub::{Hub, any_port};
use crate::people::{config, room, settle, user};
use aho_corasick::AhoCorasick;
use sordino_client::{Client, raw};
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

/// How long connections that nobody uses may stay, and what they hold with them.
const PATIENCE: Duration = Duration::from_secs(60);
/// Shorter things could be there by chance.
const MIN_BYTES: usize = 8;

/// All that the process can write to: its heap, its stacks, its data.
fn image(process: u32) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{process}/mem")).unwrap();
    let mut image = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, mode) = (words.next().unwrap(), words.next().unwrap());
        if !mode.starts_with("rw") {
            continue;
        }
        let (begin, end) = range.split_once('-').unwrap();
        let begin = u64::from_str_radix(begin, 16).unwrap();
        let end = u64::from_str_radix(end, 16).unwrap();
        let mut part = vec![0; usize::try_from(end - begin).unwrap()];
        // What was given back meanwhile is not there any more.
        if memory.read_exact_at(&mut part, begin).is_ok() {
            image.extend(part);
        }
    }
    image
}

/// What names somebody or something, or opens it, by kind; but not what everybody knows.
async fn known(clients: &[Client]) -> BTreeMap<Vec<u8>, &'static str> {
    let mut known = BTreeMap::new();
    for client in clients {
        for trace in raw::traces(client).await.unwrap() {
            if trace.bytes.len() >= MIN_BYTES {
                known.insert(trace.bytes, trace.kind);
            }
        }
    }
    known
}

fn found(known: &BTreeMap<Vec<u8>, &'static str>, image: &[u8]) -> Vec<&'static str> {
    let kinds: Vec<&'static str> = known.values().copied().collect();
    let automaton = AhoCorasick::new(known.keys()).unwrap();
    let found = automaton.find_iter(image);
    let mut found: Vec<_> = found.map(|m| kinds[m.pattern().as_usize()]).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_requests_is_not_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hub");
    let hub = Hub::start(&data, any_port());
    let address = hub.address;
    let mut clients = Vec::new();
    for name in ["annabella-of-the-hills", "bartholomew-the-quiet"] {
        clients.push(user(config(folder.path(), address, name), name).await);
    }
    let groups = room(&clients).await;
    for group in &groups {
        group.send(b"somewhere over the hills").await.unwrap();
    }
    settle(&clients, &groups).await;
    let quiet = known(&clients).await;
    for kind in [
        "group id",
        "group key",
        "pseudonym",
        "stream id",
        "real name",
    ] {
        assert!(quiet.values().any(|known| *known == kind), "{kind}");
    }
    // They go; somebody else is there meanwhile.
    drop((clients, groups));
    let name = "cassandra-from-the-sea";
    let other = [user(config(folder.path(), address, name), name).await];
    let group = room(&other).await;
    let begin = Instant::now();
    let image = loop {
        group[0].send(b"nothing but the sea").await.unwrap();
        let image = image(hub.id());
        let left = found(&quiet, &image);
        if left.is_empty() {
            break image;
        }
        assert!(begin.elapsed() < PATIENCE, "{left:?}");
    };
    // It looks at the right memory.
    let there = BTreeMap::from([(address.to_string().into_bytes(), "domain")]);
    assert_eq!(found(&there, &image), ["domain"]);
    assert!(!found(&known(&other).await, &image).is_empty());
    assert!(hub.stop().0.success());
}
