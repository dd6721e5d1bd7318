//! S0: somebody takes the disk, and has no key.

use crate::burglar::lengths;
use crate::database::Database;
use crate::play::{Played, play};
use crate::search::Search;
use crate::world::{Known, World, add, say};
use sordino_wire::limits::{CONNECTION_REQUEST_CIPHERTEXT_BYTES, SET_ENTRY_CIPHERTEXT_BYTES};
use sordino_wire::padding::padded_size;
use std::collections::BTreeSet;

/// Salt, commitment and tag of an inner layer.
const INNER: usize = 16 + 32 + 16;
/// The same with the id of the operator's key.
const OUTER: usize = INNER + 4;
/// The same with the day.
const WINDOW: usize = OUTER + 4;
/// What the classes of records leave for their seals.
const SEALS: usize = 256;
/// Records of one size each.
const GUARD: usize = 64;
const MARKER: usize = 32;
const INDEX_KEY: usize = OUTER + 32;
/// A key with its length, a day, a count, and whose deposits may come.
const INBOX: usize = WINDOW + 1 + 32 + 4 + 1 + 32;
/// Set, device, number of devices, suite, day, salt, ciphertext.
const SET_ENTRY: usize = WINDOW + 16 + 16 + 1 + 2 + 4 + 16 + 2 + SET_ENTRY_CIPHERTEXT_BYTES;
/// What waits at an account, in one class.
const WAITING: usize = WINDOW + 4_096 - SEALS;
/// Format, type, class, number and bounds of the epoch, the private key.
const ISSUER_KEY: usize = WINDOW + 1 + 2 + 1 + 3 * 8 + 32;
/// Format; of each class the keys of the running and of the next epoch: id, and the set of who drew.
const ISSUER_KEYS: usize = OUTER + 2 + 2 + 4 * (32 + 1 + 8);
/// The hash of a batch.
const DRAW: usize = WINDOW + 32;
/// The encapsulated key and the ciphertext.
const CONNECTION_REQUEST: usize = WINDOW + 1 + 32 + 2 + CONNECTION_REQUEST_CIPHERTEXT_BYTES;
/// Epoch, counter, an empty detail.
const OUTCOME: usize = INNER + 8 + 8 + 1;
/// A set of one device, and how many are left.
const FETCHED: usize = INNER + 2 + (SET_ENTRY - WINDOW) + 1;
const LOG_HEAD: usize = 16 + 8;

/// Bytes of the length before `length` bytes.
fn prefix(length: usize) -> usize {
    match length {
        0..64 => 1,
        64..16_384 => 2,
        _ => 4,
    }
}

/// All sizes of padded values up to 16 MiB, with what `wrap` adds.
fn padded(wrap: impl Fn(usize) -> usize) -> BTreeSet<usize> {
    let mut sizes = BTreeSet::new();
    let mut size = padded_size(0);
    while size <= 16 << 20 {
        sizes.insert(wrap(size));
        size = padded_size(size + 1);
    }
    sizes
}

fn record_sizes() -> BTreeSet<usize> {
    let mut sizes = BTreeSet::from([
        GUARD,
        MARKER,
        INDEX_KEY,
        INBOX,
        SET_ENTRY,
        WAITING,
        ISSUER_KEY,
        ISSUER_KEYS,
        DRAW,
        4_096 - SEALS + INNER + OUTER,
    ]);
    for power in 13..=24 {
        // Those that die with a window have its header.
        let padded = (1 << power) - SEALS;
        sizes.extend([padded + INNER + OUTER, padded + INNER + WINDOW]);
    }
    sizes
}

fn entry_sizes() -> BTreeSet<usize> {
    // Of a stream: salt, and the ciphertext with its tag.
    let streams = padded(|size| WINDOW + 16 + prefix(size + 16) + size + 16);
    // Of an inbox: the encapsulated key, and the ciphertext with its tag.
    let inboxes = padded(|size| WINDOW + 1 + 32 + prefix(size + 16) + size + 16);
    let mut sizes = &streams | &inboxes;
    sizes.insert(CONNECTION_REQUEST);
    sizes
}

fn with_domain(mut known: Known, world: &World) -> Known {
    let domain = world.hub.domain().as_str().as_bytes();
    known.insert(("domain", domain.to_vec()));
    known
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_shows_nothing_of_a_conversation() {
    let world = World::start().await;
    let played = play(&world, "-of-the-north").await;
    let known = with_domain(played.known, &world);
    let kinds: BTreeSet<_> = known.iter().map(|(kind, _)| *kind).collect();
    for kind in [
        "real name",
        "client key",
        "group id",
        "group key",
        "group secret",
        "locator",
        "stream id",
        "inbox id",
        "sender key",
        "pseudonym",
        "leaf key",
        "message",
        "invite code",
    ] {
        assert!(kinds.contains(kind), "{kind} is not looked for");
    }
    let search = Search::in_files(&known);
    assert!(search.things() > 150, "{}", search.things());

    let data = world.data_dir();
    let running = Database::copy_of(&data);
    world.hub.shutdown().await;
    let stopped = Database::copy_of(&data);
    assert!(running.records.len() > 20 && running.entries.len() > 30);
    let windows = std::fs::read(data.join("keys/windows.key")).unwrap();
    for (what, bytes) in [
        ("running", &running.bytes),
        ("stopped", &stopped.bytes),
        ("windows", &windows),
    ] {
        assert_eq!(search.kinds_in(bytes), BTreeSet::new(), "{what}");
    }
    println!(
        "{} things are in none of {} bytes",
        search.things(),
        running.bytes.len()
    );

    // It would have been found, wherever it stood.
    for (kind, thing) in known.iter().filter(|(_, bytes)| bytes.len() > 5) {
        let mut planted = running.bytes[..10_000].to_vec();
        planted[5_000..5_000 + thing.len()].copy_from_slice(thing);
        assert!(search.kinds_in(&planted).contains(kind), "{kind}");
    }
}

/// Makes a group whose records are in larger classes.
async fn crowd(world: &World, played: &mut Played) {
    for number in 0..16 {
        let member = world.user(&format!("member-{number}")).await;
        add(&played.groups[0], &member, &mut played.known).await;
    }
    // Everything is written anew.
    played.groups[0].move_generation().await.unwrap();
    say(
        &played.groups[0],
        &"many words ".repeat(999),
        &mut played.known,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_have_sizes_of_padded_classes() {
    // Names of different lengths would show in sizes that follow contents.
    let mut seen = Vec::new();
    for suffix in ["", "-has-quite-a-long-one"] {
        let world = World::start().await;
        let mut played = play(&world, suffix).await;
        if !suffix.is_empty() {
            crowd(&world, &mut played).await;
        }
        let database = Database::copy_of(&world.data_dir());
        let domain = world.hub.domain().as_str().len();
        world.hub.shutdown().await;

        let mut allowed = record_sizes();
        // The hub's own record: format, domain, seed.
        allowed.insert(OUTER + 2 + 1 + domain + 32);
        let records = lengths(&database.records);
        assert!(records.is_subset(&allowed), "{records:?}");
        let entries = lengths(&database.entries);
        assert!(entries.is_subset(&entry_sizes()), "{entries:?}");
        let outcomes = lengths(&database.replay);
        assert!(
            outcomes.is_subset(&[OUTCOME, FETCHED].into()),
            "{outcomes:?}"
        );
        assert_eq!(lengths(&database.heads), [LOG_HEAD].into());
        println!("records {records:?}, entries {entries:?}");
        seen.push(records);
    }
    assert!(seen[0] != seen[1], "a larger group is in a larger class");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_rows_have_nothing_in_common() {
    let world = World::start().await;
    let played = play(&world, "").await;
    let database = Database::copy_of(&world.data_dir());
    drop(played);
    world.hub.shutdown().await;
    let tables = [
        &database.records,
        &database.entries,
        &database.heads,
        &database.replay,
    ];
    let names: BTreeSet<[u8; 16]> = tables
        .iter()
        .flat_map(|rows| rows.keys().copied())
        .collect();
    assert!(names.len() > 100, "{}", names.len());
    // Five bytes at the same place in two of some hundred random names: one chance in a million.
    for begin in 0..=11 {
        let mut parts = BTreeSet::new();
        for name in &names {
            assert!(
                parts.insert(&name[begin..begin + 5]),
                "two names share bytes from {begin} on"
            );
        }
    }
}
