//! A few dozen worlds, and the proof that a seed is a history. `cargo run --release -p sordino-world`
//! plays thousands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sordino_world::{Failure, Figures, Plan, play};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS: u64 = 64;
const STEPS: u64 = 16;

fn plan(seed: u64, steps: u64) -> Plan {
    Plan {
        seed,
        steps,
        verbose: false,
    }
}

#[test]
fn sixty_four_worlds() {
    let sum = Mutex::new((Figures::default(), Vec::<Failure>::new()));
    let next = AtomicU64::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let seed @ 0..SEEDS = next.fetch_add(1, Ordering::Relaxed) {
                    let played = play(plan(seed, STEPS));
                    let mut sum = sum.lock().unwrap();
                    match played {
                        Ok((figures, _)) => sum.0.merge(&figures),
                        Err(failure) => sum.1.push(failure),
                    }
                }
            });
        }
    });
    let (figures, failures) = sum.into_inner().unwrap();
    println!("{figures}");
    let failures: Vec<String> = failures.iter().map(Failure::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // Worlds in which nothing happens prove nothing.
    for kind in [
        "hub crashes",
        "disk failures",
        "device crashes",
        "vault failures",
    ] {
        assert!(figures.faults.of(kind) > 0, "no {kind}");
    }
    for kind in [
        "answers lost",
        "requests lost",
        "requests twice",
        "partitions",
    ] {
        assert!(figures.faults.of(kind) > 0, "no {kind}");
    }
    assert!(figures.checks.of("refused") > 0);
    assert!(figures.checks.of("commits") > SEEDS && figures.checks.of("messages") > SEEDS);
}

#[test]
fn one_seed_one_history() {
    for seed in [3, 1_000_003] {
        let once = play(plan(seed, 40)).map(|(figures, history)| (figures, history.digest));
        let again = play(plan(seed, 40)).map(|(figures, history)| (figures, history.digest));
        assert_eq!(once, again);
    }
    let other = play(plan(4, 1)).map(|(_, history)| history.digest);
    assert_ne!(play(plan(3, 1)).map(|(_, history)| history.digest), other);
}
