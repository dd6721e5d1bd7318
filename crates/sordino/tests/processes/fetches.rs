//! Sets of KeyPackages, fetched by many at once from a hub that is killed meanwhile.
//!
//! `SORDINO_FETCH_KILLS` says how often (5 unless told otherwise).

use crate::hub::{Hub, any_port};
use sordino_benches::try_post;
use sordino_wire::limits::{MAX_POOL_SETS, SET_ENTRY_CIPHERTEXT_BYTES};
use sordino_wire::{
    Authentication, Bytes, DeviceTag, DsRequest, DsResponse, FetchKeyPackages, FetchedSet, List,
    Nonce, PublishKeyPackages, Reject, RequestBody, ResponseBody, Salt, Secret32, SetEntry, SetTag,
    media,
};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const FETCHERS: usize = 64;
const DEVICES: u8 = 3;
const TOKEN: [u8; 32] = [1; 32];
/// How long one fetcher may go without an answer.
const PATIENCE: Duration = Duration::from_secs(120);

fn today() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u32::try_from(now.as_secs() / 86_400).unwrap()
}

fn entry(tag: u8, device: u8) -> SetEntry {
    SetEntry {
        set_tag: SetTag([tag; 16]),
        device_tag: DeviceTag([device; 16]),
        devices: DEVICES,
        cipher_suite: 1,
        last_day: today() + 30,
        salt: Salt([tag; 16]),
        ciphertext: Bytes::new(vec![device; SET_ENTRY_CIPHERTEXT_BYTES]).unwrap(),
    }
}

fn encoded(body: RequestBody) -> Vec<u8> {
    let auth = Authentication::Possession;
    DsRequest::free(body, auth).encode().unwrap()
}

/// An answer, or nothing when the hub is not there or says that it cannot.
fn ask(address: SocketAddr, request: &[u8]) -> Option<ResponseBody> {
    let answer = try_post(address, media::GROUP_KEY_PACKAGES, request).ok()?;
    match DsResponse::parse(&answer).unwrap().body {
        ResponseBody::Rejected(Reject::Unavailable { .. }) => None,
        body => Some(body),
    }
}

/// Asks until there is an answer.
fn insist(address: SocketAddr, request: &[u8]) -> ResponseBody {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask(address, request) {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "no answer");
        std::thread::yield_now();
    }
}

/// As many complete sets as a pool may hold, one device at a time as devices do.
fn fill(address: SocketAddr) {
    for device in 0..DEVICES {
        let tags = 0..u8::try_from(MAX_POOL_SETS).unwrap();
        let publish = RequestBody::PublishKeyPackages(PublishKeyPackages {
            contact_token: Secret32::new(TOKEN),
            owner_secret: Secret32::new([2; 32]),
            entries: List::new(tags.map(|tag| entry(tag, device)).collect()).unwrap(),
            drop: List::new(Vec::new()).unwrap(),
        });
        let answer = insist(address, &encoded(publish));
        assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
    }
}

fn fetch_request(fetcher: usize) -> Vec<u8> {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&u64::try_from(fetcher).unwrap().to_be_bytes());
    encoded(RequestBody::FetchKeyPackages(FetchKeyPackages {
        contact_token: Secret32::new(TOKEN),
        nonce: Nonce(nonce),
    }))
}

fn set_of(answer: &ResponseBody) -> Option<&FetchedSet> {
    match answer {
        ResponseBody::KeyPackages(set) => Some(set),
        ResponseBody::Rejected(Reject::PoolEmpty) => None,
        other => panic!("unexpected: {other:?}"),
    }
}

/// Every entry of one set, and nothing else.
fn tag_of(set: &FetchedSet) -> [u8; 16] {
    let tag = set.entries.as_slice()[0].set_tag;
    let mut devices: Vec<u8> = Vec::new();
    for entry in set.entries.iter() {
        assert_eq!(entry.set_tag, tag, "parts of two sets");
        devices.push(entry.device_tag.0[0]);
    }
    devices.sort_unstable();
    assert_eq!(devices, (0..DEVICES).collect::<Vec<u8>>(), "half a set");
    tag.0
}

#[test]
fn of_sixty_four_fetches_no_two_get_the_same_set_whatever_is_killed() {
    let kills = std::env::var("SORDINO_FETCH_KILLS").map_or(5, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hub");
    let mut hub = Hub::free(&data, any_port());
    let address = hub.address;
    fill(address);

    let answered = Arc::new(AtomicUsize::new(0));
    let fetchers: Vec<_> = (0..FETCHERS)
        .map(|fetcher| {
            let answered = Arc::clone(&answered);
            std::thread::spawn(move || {
                let request = fetch_request(fetcher);
                let answer = insist(address, &request);
                answered.fetch_add(1, Ordering::SeqCst);
                answer
            })
        })
        .collect();
    // Killed after some answers, more each time, so that kills fall between fetches.
    for kill in 0..kills {
        let begin = Instant::now();
        let enough = FETCHERS * kill / (kills + 1);
        while answered.load(Ordering::SeqCst) < enough && begin.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        let log = hub.kill();
        assert!(!log.contains("ERROR"), "{log}");
        hub = Hub::free(&data, address);
    }
    let answers: Vec<ResponseBody> = fetchers
        .into_iter()
        .map(|fetcher| fetcher.join().unwrap())
        .collect();

    let tags: Vec<[u8; 16]> = answers.iter().filter_map(set_of).map(tag_of).collect();
    let distinct: BTreeSet<_> = tags.iter().collect();
    assert_eq!(distinct.len(), tags.len(), "a set was given twice");
    assert_eq!(tags.len(), MAX_POOL_SETS, "a set was given to nobody");
    // Who asks again with the same nonce gets the same set, over one more kill.
    drop(hub);
    let hub = Hub::free(&data, address);
    for (fetcher, answer) in answers.iter().enumerate() {
        assert_eq!(&insist(address, &fetch_request(fetcher)), answer);
    }
    println!(
        "{FETCHERS} fetches, {} kills: {} sets, each to one of them",
        kills + 1,
        tags.len()
    );
    let (status, log) = hub.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}
