//! One key-package set is given out once, however many ask at once, and everybody is answered at the
//! first attempt. What is killed meanwhile is under test with real processes.

use crate::client::{Client, TestServer, Version, possession};
use sordino_wire::limits::{MAX_POOL_SETS, SET_ENTRY_CIPHERTEXT_BYTES};
use sordino_wire::{
    Bytes, DeviceTag, FetchKeyPackages, FetchedSet, InspectKeyPackages, List, Nonce,
    PublishKeyPackages, Reject, RequestBody, ResponseBody, Salt, Secret32, SetEntry, SetTag, media,
};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

const FETCHERS: u8 = 64;
const DEVICES: u8 = 2;

fn entry(set: u8, device: u8) -> SetEntry {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    SetEntry {
        set_tag: SetTag([set; 16]),
        device_tag: DeviceTag([device; 16]),
        devices: DEVICES,
        cipher_suite: 1,
        last_day: u32::try_from(now.as_secs() / 86_400).unwrap() + 30,
        salt: Salt([set ^ device; 16]),
        ciphertext: Bytes::new(vec![set ^ device; SET_ENTRY_CIPHERTEXT_BYTES]).unwrap(),
    }
}

/// Publishes as many complete sets as a pool holds, one device after the other.
async fn publish(address: SocketAddr, pool: u8) {
    let mut client = Client::connect(address, Version::One).await;
    for device in 0..DEVICES {
        let sets = 0..u8::try_from(MAX_POOL_SETS).unwrap();
        let entries = sets.map(|set| entry(set, device)).collect();
        let body = RequestBody::PublishKeyPackages(PublishKeyPackages {
            contact_token: Secret32::new([pool; 32]),
            owner_secret: Secret32::new([!pool; 32]),
            entries: List::new(entries).unwrap(),
            drop: List::default(),
        });
        let answer = client
            .ask(media::GROUP_KEY_PACKAGES, &possession(body))
            .await;
        assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
    }
}

/// How many sets the pool's owner sees, and how many were served.
async fn inspect(address: SocketAddr, pool: u8) -> (usize, usize) {
    let mut client = Client::connect(address, Version::One).await;
    let body = RequestBody::InspectKeyPackages(InspectKeyPackages {
        contact_token: Secret32::new([pool; 32]),
        owner_secret: Secret32::new([!pool; 32]),
    });
    match client
        .ask(media::GROUP_KEY_PACKAGES, &possession(body))
        .await
    {
        ResponseBody::Pool(state) => (state.sets.len(), state.served.len()),
        other => panic!("{other:?}"),
    }
}

/// One request on a connection of its own.
async fn fetch(address: SocketAddr, pool: u8, nonce: u8) -> ResponseBody {
    let body = RequestBody::FetchKeyPackages(FetchKeyPackages {
        contact_token: Secret32::new([pool; 32]),
        nonce: Nonce([nonce; 16]),
    });
    let mut client = Client::connect(address, Version::One).await;
    client
        .ask(media::GROUP_KEY_PACKAGES, &possession(body))
        .await
}

/// The set of an answer; nothing where the pool was empty.
fn set_of(answer: ResponseBody) -> Option<FetchedSet> {
    match answer {
        ResponseBody::KeyPackages(set) => Some(set),
        ResponseBody::Rejected(Reject::PoolEmpty) => None,
        other => panic!("{other:?}"),
    }
}

/// All sets went out, each to one nonce, and whole.
#[track_caller]
fn assert_each_once(results: &[Option<FetchedSet>]) {
    assert_eq!(results.len(), usize::from(FETCHERS));
    let mut tags = BTreeSet::new();
    let mut left = BTreeSet::new();
    for set in results.iter().flatten() {
        let tag = set.entries.as_slice()[0].set_tag;
        let expected: Vec<_> = (0..DEVICES).map(|device| entry(tag.0[0], device)).collect();
        assert_eq!(set.entries.as_slice(), expected, "a set is whole");
        assert!(tags.insert(tag), "a set was given out twice");
        assert!(left.insert(set.left), "two were the last but {}", set.left);
    }
    assert_eq!(tags.len(), MAX_POOL_SETS);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_get_a_set_each_or_none() {
    let server = TestServer::start().await;
    let address = server.address();
    publish(address, 1).await;
    let fetchers: Vec<_> = (0..FETCHERS)
        .map(|nonce| tokio::spawn(fetch(address, 1, nonce)))
        .collect();
    let mut results = Vec::new();
    for fetcher in fetchers {
        results.push(set_of(fetcher.await.unwrap()));
    }
    assert_each_once(&results);
    assert_eq!(inspect(address, 1).await, (0, MAX_POOL_SETS));
}
