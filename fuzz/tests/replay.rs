//! Replays the corpora: what fuzzers start from, and what they found.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use sordino_fuzz::{TARGETS, Target};
use std::path::{Path, PathBuf};

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name)
}

fn files(target: &Target) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder(target)) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs a target on a thread of its own, so that all targets share the cores.
fn replay(target: Target) -> usize {
    let mut inputs = 0;
    for (_, seed) in (target.seeds)() {
        (target.run)(&seed);
        inputs += 1;
    }
    for file in files(&target) {
        println!("{}", file.display());
        (target.run)(&std::fs::read(&file).unwrap());
        inputs += 1;
    }
    inputs
}

#[test]
fn every_corpus_is_replayed() {
    let replays = TARGETS.map(|target| (target.name, std::thread::spawn(move || replay(target))));
    for (name, inputs) in replays {
        let inputs = inputs
            .join()
            .unwrap_or_else(|_| panic!("{name} broke a rule"));
        println!("{name}: {inputs} inputs");
        assert!(inputs > 0, "{name} has no input");
    }
}

#[test]
fn every_corpus_has_a_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    // There is none before a fuzzer has found something worth keeping.
    let entries = std::fs::read_dir(corpora).into_iter().flatten();
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(sordino_fuzz::target(&name).is_some(), "{name}");
    }
}
