//! A database with damage in it, at many places. Either the hub does not start and says so, or the
//! damage is where nothing lies, and every answer is what it was.
//!
//! `SORDINO_DAMAGES` says at how many places (24 unless told otherwise).

use crate::hub::{Bounds, Hub, any_port, assert_refused};
use crate::wire_group::WireGroup;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use sordino_wire::ResponseBody;
use std::path::Path;

const PAGE_BYTES: usize = 4_096;

fn places() -> usize {
    std::env::var("SORDINO_DAMAGES").map_or(24, |text| text.parse().unwrap())
}

/// Spoils a copy of a database, in a way and place that a seed chooses.
fn spoil(bytes: &mut Vec<u8>, seed: u64) -> &'static str {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let length = bytes.len();
    let mut below = |bound: usize| usize::try_from(rng.next_u64()).unwrap() % bound;
    // Most of a fresh file is empty; damage there shows nothing.
    let used: Vec<usize> = (0..length / PAGE_BYTES)
        .filter(|page| {
            let page = &bytes[page * PAGE_BYTES..(page + 1) * PAGE_BYTES];
            page.iter().any(|byte| *byte != 0)
        })
        .collect();
    let page = used[below(used.len())] * PAGE_BYTES;
    match seed % 6 {
        0 => {
            bytes.truncate(page.max(512));
            "cut off"
        }
        1 => {
            bytes[page..page + PAGE_BYTES].fill(0);
            "a page of zeros"
        }
        2 => {
            let other = used[below(used.len())] * PAGE_BYTES;
            let moved = bytes[other..other + PAGE_BYTES].to_vec();
            bytes[page..page + PAGE_BYTES].copy_from_slice(&moved);
            "a page in another's place"
        }
        3 => {
            let from = page + below(PAGE_BYTES / 512) * 512;
            let random: Vec<u8> = (0..512).map(|_| below(256).to_le_bytes()[0]).collect();
            bytes[from..from + 512].copy_from_slice(&random);
            "a sector of something else"
        }
        _ => {
            bytes[page + below(PAGE_BYTES)] ^= 1 << below(8);
            "a flipped bit"
        }
    }
}

/// Starts on the damaged database; tells whether the start was refused.
fn try_one(
    data: &Path,
    hub_address: std::net::SocketAddr,
    group: &WireGroup,
) -> Option<Vec<ResponseBody>> {
    match Hub::try_free(data, hub_address, Bounds::None, &[]) {
        Ok(hub) => {
            let answers = group.look(hub.address);
            let log = hub.kill();
            assert!(!log.contains("panicked"), "{log}");
            Some(answers)
        }
        refused => {
            assert_refused(refused, &["hub.redb"]);
            // Nor does trying again help: nothing was mended into something else.
            let again = Hub::try_free(data, hub_address, Bounds::None, &[]);
            assert_refused(again, &["hub.redb"]);
            None
        }
    }
}

fn damaged_everywhere(after_kill: bool) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hub");
    let hub = Hub::free(&data, any_port());
    let address = hub.address;
    let group = WireGroup::make(address, 5);
    let expected = group.look(address);
    if after_kill {
        hub.kill();
    } else {
        hub.stop();
    }
    let database = data.join("hub.redb");
    let whole = std::fs::read(&database).unwrap();
    let (mut refused, mut wrong) = (0, Vec::new());
    for seed in 0..u64::try_from(places()).unwrap() {
        let mut bytes = whole.clone();
        let how = spoil(&mut bytes, seed);
        std::fs::write(&database, bytes).unwrap();
        match try_one(&data, address, &group) {
            None => refused += 1,
            Some(answers) if answers == expected => {}
            Some(answers) => wrong.push(format!("{seed} ({how}): {answers:?}")),
        }
    }
    std::fs::write(&database, whole).unwrap();
    assert_eq!(try_one(&data, address, &group), Some(expected));
    println!(
        "{} places: {refused} refused, the others harmless",
        places()
    );
    assert!(wrong.is_empty(), "served from damage: {wrong:#?}");
}

#[test]
fn damage_after_a_stop_is_refused_or_harmless() {
    damaged_everywhere(false);
}

#[test]
fn damage_after_a_kill_is_refused_or_harmless() {
    damaged_everywhere(true);
}
