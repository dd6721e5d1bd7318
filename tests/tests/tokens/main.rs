//! A thousand people draw, and a thousand tokens are spent: what the hub keeps and says of the one has
//! nothing in common with what it keeps and says of the other.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../../crates/server/tests/http/client.rs"]
mod client;
#[path = "../exposure/database.rs"]
mod database;
#[path = "../../../crates/server/tests/http/person.rs"]
mod person;
#[path = "../../../crates/server/tests/http/wallet.rs"]
mod wallet;

use client::{Client, Version};
use database::{Database, operator_keys, strip_record};
use person::Person;
use redb::{Database as Redb, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use sordino_crypto::OuterKeys;
use sordino_server::{Server, ServerConfig, TestClock, TokenSettings};
use sordino_tokens::{Token, TokenClass as Class};
use sordino_wire::{AccountRequestBody, AccountResponseBody, ResponseBody, TokenClass, media};
use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use wallet::{answer_of, drawing, inbox, keys_of, paid, raw, rng, terms, tokens};

const PEOPLE: u64 = 1_000;
const NOW_S: u64 = 20_700 * 86_400 + 1_000;
const TODAY: u32 = 20_700;
/// Equal bytes of this length are no chance.
const WINDOW: usize = 8;
/// The salt that a sealed value begins with.
const SALT: usize = 16;
/// What follows it, the same in all rows of a day: the operator's key's id, and the day.
const COMMON: usize = 4 + 4;

/// Lines of the hub's own, at every level.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that is stored: names of rows, and values without the day before each.
#[derive(Default)]
struct Stored {
    rows: BTreeSet<(String, [u8; 16], Vec<u8>)>,
    /// The days and hours before the values.
    times: BTreeSet<(String, u32)>,
}

fn stored(data_dir: &Path) -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    std::fs::copy(data_dir.join("hub.redb"), &copy).unwrap();
    let db = Redb::open(&copy).unwrap();
    let read = db.begin_read().unwrap();
    let mut all = Stored::default();
    let names: Vec<String> = read
        .list_tables()
        .unwrap()
        .map(|table| table.name().to_owned())
        .collect();
    for name in names {
        if name.starts_with("spent-1-") {
            let definition: TableDefinition<&[u8; 16], ()> = TableDefinition::new(&name);
            let table = read.open_table(definition).unwrap();
            for row in table.iter().unwrap() {
                let (key, _) = row.unwrap();
                all.rows.insert((name.clone(), *key.value(), Vec::new()));
            }
        } else if ["records-1", "replay-1", "log-entries-1", "log-heads-1"].contains(&name.as_str())
        {
            let definition: TableDefinition<&[u8; 16], &[u8]> = TableDefinition::new(&name);
            let table = read.open_table(definition).unwrap();
            for row in table.iter().unwrap() {
                let (key, value) = row.unwrap();
                let (time, value) = value.value().split_at(4);
                let time = u32::from_be_bytes(time.try_into().unwrap());
                all.times.insert((name.clone(), time));
                all.rows
                    .insert((name.clone(), *key.value(), value.to_vec()));
            }
        }
    }
    all
}

/// All windows of some bytes.
fn windows(bytes: &[u8]) -> impl Iterator<Item = [u8; WINDOW]> + '_ {
    bytes.windows(WINDOW).map(|w| w.try_into().unwrap())
}

/// What a row says: as it is, and to whoever has the operator's keys.
fn said(outer: &OuterKeys, (table, key, value): &(String, [u8; 16], Vec<u8>)) -> Vec<Vec<u8>> {
    let (salt, rest) = value.split_at(SALT.min(value.len()));
    let own = rest.get(COMMON..).unwrap_or_default();
    let mut said = vec![key.to_vec(), salt.to_vec(), own.to_vec()];
    if table == "records-1" {
        said.extend(strip_record(outer, *key, value).map(|(_, inner)| inner));
    }
    said
}

/// What one person and the hub sent each other to draw.
struct Drawn {
    request: Vec<u8>,
    answer: Vec<u8>,
    token: Token,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_issued_and_what_is_spent_have_nothing_in_common() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new(NOW_S);
    let mut config = ServerConfig::local(folder.path());
    config.clock = Arc::new(clock.clone());
    config.tokens = TokenSettings {
        write_per_week: 2,
        epoch_s: Some(7 * 86_400),
        ..TokenSettings::default()
    };
    let running = Server::start(config).await.unwrap();
    let domain = running.domain().clone();
    let mut client = Client::connect(running.local_addr(), Version::Two).await;
    let key = keys_of(&terms(&mut client).await, TokenClass::Write).remove(0);
    assert_eq!(key.terms.unwrap().class, Class::Write);

    let mut drawn = Vec::new();
    for number in 0..PEOPLE {
        // Nobody asks in the second of another.
        clock.advance(1);
        let seed = u8::try_from(1 + number % 150).unwrap();
        let now_s = sordino_server::Clock::now_s(&clock);
        let person = Person::new(&domain, &format!("person-{number}"), seed, now_s);
        let work = person.work(&mut client).await;
        let registered = person.send(&mut client, person.register(work)).await;
        assert_eq!(registered, AccountResponseBody::Done);
        let (draw, request) = drawing(&domain, TokenClass::Write, &key, 2, &mut rng(number));
        let sent = request.request.as_slice().to_vec();
        let answer = person.send(&mut client, AccountRequestBody::DrawTokens(request));
        let AccountResponseBody::Tokens(answer) = answer.await else {
            panic!();
        };
        let token = draw.finish(answer.as_slice()).unwrap().remove(0);
        drawn.push(Drawn {
            // Without the type, the key and the length, which are everybody's.
            request: sent[5..].to_vec(),
            answer: answer.as_slice()[2..].to_vec(),
            token,
        });
    }
    let issued = stored(folder.path());

    for (number, drawn) in (0..PEOPLE).zip(&drawn) {
        clock.advance(1);
        let bytes = paid(inbox(number, TODAY), tokens(&[drawn.token.as_bytes()]));
        let answer = answer_of(&raw(&mut client, media::INBOXES, bytes, None).await);
        assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
    }
    let both = stored(folder.path());
    let outer = operator_keys(folder.path(), &Database::copy_of(folder.path()));
    running.shutdown().await;

    // Everything that issuing left behind or saw.
    let mut seen: HashSet<[u8; WINDOW]> = HashSet::new();
    for row in &issued.rows {
        for part in said(&outer, row) {
            seen.extend(windows(&part));
        }
    }
    for drawn in &drawn {
        seen.extend(windows(&drawn.request));
        seen.extend(windows(&drawn.answer));
    }
    // Everything that spending left behind or saw, but for the 98 bytes' parts that are everybody's:
    // type, challenge digest, key id.
    let spent: Vec<_> = both.rows.difference(&issued.rows).collect();
    assert!(
        spent.len() >= 3 * usize::try_from(PEOPLE).unwrap(),
        "{}",
        spent.len()
    );
    let zeros = [0; WINDOW];
    let shared = |part: &[u8]| windows(part).any(|w| w != zeros && seen.contains(&w));
    for row in &spent {
        for part in said(&outer, row) {
            assert!(
                !shared(&part),
                "a value of {} is in what issuing saw",
                row.0
            );
        }
    }
    for drawn in &drawn {
        let token = drawn.token.as_bytes();
        assert!(!shared(&token[2..34]), "a nonce");
        assert!(!shared(&token[98..]), "an authenticator");
    }

    // No time that is finer than a day, or for an hour's memory than an hour.
    for (table, most) in [("records-1", 4), ("replay-1", 3)] {
        let times = both.times.iter().filter(|(name, _)| name == table);
        assert!(times.count() <= most, "times in {table}");
    }

    // The hub's own lines are few, and hold no value.
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let own: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(" sordino_"))
        .collect();
    assert!(own.len() < 20, "{} lines", own.len());
    for line in own {
        let message = line.split_once(" sordino_").unwrap().1;
        let digits = message.bytes().filter(u8::is_ascii_hexdigit).count();
        let longest = message
            .split(|c: char| !c.is_ascii_hexdigit())
            .map(str::len)
            .max();
        assert!(longest < Some(8), "{digits} digits: {line}");
    }
}
