//! Tokens and what they buy, over SIGKILL at random moments: spent tokens equal effects, always.
//!
//! `SORDINO_SPEND_KILLS` says how often (5 unless told otherwise), `SORDINO_SEED` when: a failure
//! prints the seed that it had.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../../server/tests/http/client.rs"]
mod client;
#[path = "../processes/hub.rs"]
mod hub;
#[path = "../../../server/tests/http/person.rs"]
mod person;
#[path = "../../../server/tests/http/wallet.rs"]
mod wallet;

use client::{Client, Version};
use hub::Hub;
use hyper::body::Bytes as Body;
use person::Person;
use rand_core::RngCore as _;
use sordino_tokens::Token;
use sordino_wire::{
    AccountResponseBody, Bytes, Deposit, Domain, InboxAddress, Reject, RequestBody, ResponseBody,
    Secret32, TokenClass, media,
};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wallet::{DEPOSIT_SECRET, answer_of, drawn, inbox, paid, raw, rng, tokens};

const DOMAIN: &str = "hub.example";
/// Clients that spend at once.
const SPENDERS: usize = 6;
/// Tokens that they may spend between two kills.
const TOKENS_PER_LIFE: usize = 24;
/// How long the hub lives under load, at most.
const LONGEST_LIFE_MS: u64 = 40;
/// Inboxes of a second try with the same token.
const OTHER: u64 = 1 << 40;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

fn write_config(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("sordino.toml");
    let data = folder.join("data");
    let text = format!(
        "domain = \"{DOMAIN}\"\nlisten = \"127.0.0.1:0\"\ndata_dir = \"{}\"\n\
         [accounts]\nregistration = \"proof_of_work\"\ndifficulty_bits = 1\n\
         [tokens]\nprice_list = \"small\"\n",
        data.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn today() -> u32 {
    u32::try_from(now_s() / 86_400).unwrap()
}

/// Whether an inbox is there: who has the secret may leave something in it, up to four times.
async fn is_open(client: &mut Client, number: u64) -> bool {
    let RequestBody::OpenInbox(open) = inbox(number, today()) else {
        panic!();
    };
    let deposit = RequestBody::Deposit(Deposit {
        inbox: InboxAddress {
            domain: Domain::new(DOMAIN).unwrap(),
            inbox_id: open.inbox_id,
            hpke_key: open.hpke_key,
        },
        deposit_secret: Secret32::new(DEPOSIT_SECRET),
        contents: Bytes::new([1]).unwrap(),
    });
    match client
        .ask(media::INBOXES, &paid(deposit, tokens(&[])))
        .await
    {
        ResponseBody::Done(_) => true,
        ResponseBody::Rejected(Reject::InboxUnavailable { .. }) => false,
        other => panic!("{other:?}"),
    }
}

async fn open(client: &mut Client, number: u64, token: &Token) -> ResponseBody {
    let bytes = paid(inbox(number, today()), tokens(&[token.as_bytes()]));
    answer_of(&raw(client, media::INBOXES, bytes, None).await)
}

/// Spends until the hub is gone; says which were acknowledged.
async fn spend(
    address: SocketAddr,
    mut work: Vec<(u64, Body)>,
    acknowledged: Arc<Mutex<Vec<u64>>>,
) {
    let Ok(stream) = tokio::net::TcpStream::connect(address).await else {
        return;
    };
    let _ = stream.set_nodelay(true);
    let io = hyper_util::rt::TokioIo::new(stream);
    let Ok((mut sender, connection)) = hyper::client::conn::http1::handshake(io).await else {
        return;
    };
    tokio::spawn(connection);
    while let Some((number, bytes)) = work.pop() {
        let sent = client::request(
            hyper::Method::POST,
            media::INBOXES,
            Some(media::OCTETS),
            bytes,
        );
        let Ok(response) = sender.send_request(sent).await else {
            return;
        };
        assert_eq!(response.status(), 200);
        acknowledged.lock().unwrap().push(number);
    }
}

/// Registers somebody, and draws.
async fn more_tokens(address: SocketAddr, who: u64) -> Vec<Token> {
    let mut client = Client::connect(address, Version::One).await;
    let domain = Domain::new(DOMAIN).unwrap();
    let seed = u8::try_from(1 + who % 150).unwrap();
    let person = Person::new(&domain, &format!("person-{who}"), seed, now_s());
    let work = person.work(&mut client).await;
    let registered = person.send(&mut client, person.register(work)).await;
    assert_eq!(registered, AccountResponseBody::Done);
    drawn(&mut client, &person, &domain, TokenClass::Write, who).await
}

#[tokio::test(flavor = "multi_thread")]
async fn spent_tokens_equal_effects_wherever_the_hub_is_killed() {
    let kills = number("SORDINO_SPEND_KILLS", 5);
    let seed = number("SORDINO_SEED", now_s());
    println!("SORDINO_SEED={seed}");
    let mut random = rng(seed);
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path());
    let mut purse: Vec<Token> = Vec::new();
    let (mut people, mut next_inbox) = (0, 0u64);
    let (mut spent, mut kept, mut unacknowledged) = (0u64, 0u64, 0u64);
    let mut hub = Hub::configured(&config).unwrap();
    for _ in 0..kills {
        while purse.len() < TOKENS_PER_LIFE {
            purse.extend(more_tokens(hub.address, people).await);
            people += 1;
        }
        let lot: Vec<(u64, Token)> = (next_inbox..).zip(purse.drain(..TOKENS_PER_LIFE)).collect();
        next_inbox += u64::try_from(TOKENS_PER_LIFE).unwrap();
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let mut work: Vec<Vec<(u64, Body)>> = vec![Vec::new(); SPENDERS];
        for (index, (number, token)) in lot.iter().enumerate() {
            let bytes = paid(inbox(*number, today()), tokens(&[token.as_bytes()]));
            work[index % SPENDERS].push((*number, bytes.into()));
        }
        let spenders: Vec<_> = work
            .into_iter()
            .map(|work| tokio::spawn(spend(hub.address, work, Arc::clone(&acknowledged))))
            .collect();
        let life_us = random.next_u64() % (LONGEST_LIFE_MS * 1_000);
        tokio::time::sleep(Duration::from_micros(life_us)).await;
        hub.kill();
        for spender in spenders {
            spender.await.unwrap();
        }
        hub = Hub::configured(&config).unwrap();

        let acknowledged = acknowledged.lock().unwrap().clone();
        let mut client = Client::connect(hub.address, Version::One).await;
        for (number, token) in &lot {
            let effect = is_open(&mut client, *number).await;
            if acknowledged.contains(number) {
                assert!(effect, "an acknowledged inbox is gone");
            } else {
                unacknowledged += u64::from(effect);
            }
            // The same request again: done, whether for the first time or not.
            // Before that, another one with the same token tells whether it is spent.
            let answer = open(&mut client, OTHER + number, token).await;
            let is_spent = answer == ResponseBody::Rejected(Reject::DoubleSpent { index: 0 });
            assert_eq!(is_spent, effect, "inbox {number}: {answer:?}");
            if is_spent {
                let again = open(&mut client, *number, token).await;
                assert!(matches!(again, ResponseBody::Done(_)), "{again:?}");
                assert!(!is_open(&mut client, OTHER + number).await);
                spent += 1;
            } else {
                assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
                assert!(is_open(&mut client, OTHER + number).await);
                let again = open(&mut client, *number, token).await;
                let refused = ResponseBody::Rejected(Reject::DoubleSpent { index: 0 });
                assert_eq!(again, refused);
                assert!(!is_open(&mut client, *number).await);
                kept += 1;
            }
        }
    }
    println!(
        "{kills} kills: {spent} tokens were spent and {kept} kept, {unacknowledged} of the spent ones \
         without an answer that arrived; each spent token has its effect, and no other has"
    );
    hub.stop();
}
