//! Replays the corpus: seeds for fuzzers, and everything that ever made a parser misbehave.

use crate::cases::cases;
use crate::envelopes::{ENVELOPES, messages};
use crate::golden::writing;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn file_name(name: &str, suffix: &str) -> String {
    let name = name.replace("::", "-").to_lowercase();
    format!("{name}-{suffix}.bin")
}

/// Valid messages, and ones that are wrong in a way each.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (index, message) in messages().into_iter().enumerate() {
        let (name, bytes) = (message.name, message.bytes);
        let mut changed = bytes.clone();
        match index % 6 {
            0 => changed.truncate(bytes.len() / 2),
            1 => changed[3] ^= 0xff,
            2 => changed.extend_from_slice(&[0; 32]),
            3 => changed
                .splice(40.., [0xbf, 0xff, 0xff, 0xff])
                .for_each(drop),
            4 => changed[2..].reverse(),
            _ => *changed.last_mut().unwrap() = 1,
        }
        seeds.push((file_name(&name, "changed"), changed));
        seeds.push((file_name(&name, "valid"), bytes));
    }
    seeds
}

#[test]
fn replaying_the_corpus_never_panics() {
    if writing() {
        for (name, bytes) in seeds() {
            std::fs::write(folder().join(name), bytes).unwrap();
        }
    }
    let parsers: Vec<_> = cases().into_iter().filter_map(|c| c.reparse).collect();
    let mut files = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "bin") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let accepted = ENVELOPES.map(|envelope| envelope.reparse(&bytes));
        for again in accepted.iter().flatten() {
            assert_eq!(again, &bytes, "{}", path.display());
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let any = accepted.iter().any(Option::is_some);
        if name.ends_with("-valid.bin") {
            assert!(any, "{name} is not accepted");
        }
        if name.ends_with("-changed.bin") {
            assert!(!any, "{name} is accepted");
        }
        // The same bytes as any other type, from every offset of the first few.
        for parse in &parsers {
            for offset in 0..bytes.len().min(8) {
                let _ = parse(&bytes[offset..]);
            }
        }
        files += 1;
    }
    assert!(files >= seeds().len(), "only {files} files in the corpus");
}
