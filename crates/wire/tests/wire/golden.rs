//! Golden bytes of every type, compared both ways; format and regeneration in golden/README.md.

use crate::cases::cases;
use crate::envelopes::messages;
use sordino_wire::padding::Padding;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vectors.json")
}

/// Whether this run writes vectors rather than comparing them.
pub fn writing() -> bool {
    std::env::var_os("SORDINO_WRITE_VECTORS").is_some_and(|v| v == "1")
}

/// Bytes to value to bytes; `None` where they are refused.
type Read = Box<dyn Fn(&[u8]) -> Option<Vec<u8>>>;

/// A golden vector: name, bytes, and how to read them (absent for what is only ever written).
pub struct Vector {
    pub name: String,
    pub bytes: Vec<u8>,
    pub reparse: Option<Read>,
}

/// Everything that has a golden vector.
pub fn expected() -> Vec<Vector> {
    let values = cases().into_iter().map(|case| Vector {
        name: case.name,
        bytes: case.bytes,
        reparse: case.reparse.map(|reparse| Box::new(reparse) as Read),
    });
    let messages = messages().into_iter().map(|message| Vector {
        name: message.name,
        bytes: message.bytes,
        reparse: Some(Box::new(move |bytes| message.envelope.reparse(bytes))),
    });
    values.chain(messages).collect()
}

#[test]
fn golden_bytes_are_what_the_crate_writes_and_reads() {
    let expected = expected();
    let names: BTreeSet<_> = expected.iter().map(|v| v.name.clone()).collect();
    assert_eq!(names.len(), expected.len(), "a name occurs twice");
    if writing() {
        let map: BTreeMap<_, _> = expected
            .iter()
            .map(|v| (v.name.clone(), hex::encode(&v.bytes)))
            .collect();
        let mut text = serde_json::to_string_pretty(&map).unwrap();
        text.push('\n');
        std::fs::write(file(), text).unwrap();
    }
    let text = std::fs::read_to_string(file()).expect("golden/vectors.json");
    let mut golden: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    for vector in &expected {
        let Vector {
            name,
            bytes,
            reparse,
        } = vector;
        let hex = golden
            .remove(name)
            .unwrap_or_else(|| panic!("{name} has no golden vector; see golden/README.md"));
        let golden_bytes = hex::decode(&hex).unwrap();
        assert_eq!(hex::encode(bytes), hex, "{name}: written bytes differ");
        if let Some(reparse) = reparse {
            let again = reparse(&golden_bytes).unwrap_or_else(|| panic!("{name}: not read"));
            assert_eq!(hex::encode(again), hex, "{name}: read and written again");
        }
    }
    assert!(golden.is_empty(), "vectors of nothing: {:?}", golden.keys());
}

#[test]
fn a_second_encoder_writes_the_same_bytes() {
    for case in cases() {
        assert_eq!(case.node.encode(), case.bytes, "{}", case.name);
    }
}

#[test]
fn reported_sizes_are_the_real_ones() {
    use tls_codec::Size;
    for message in messages() {
        let padding = Padding::for_size(message.unpadded).tls_serialized_len();
        let whole = message.unpadded + padding;
        assert_eq!(whole, message.bytes.len(), "{}", message.name);
    }
}

/// Every public struct and enum of the crate's sources is in the list of cases.
#[test]
fn no_type_is_without_a_vector() {
    let known: String = expected()
        .iter()
        .map(|vector| format!("{}\n", vector.name))
        .collect();
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    // Not wire formats: containers, the envelope's parsed form, an error.
    let exempt = [
        "Bytes",
        "List",
        "OutOfBounds",
        "ParsedRequest",
        "ParsedAccountRequest",
        "$name",
    ];
    for entry in std::fs::read_dir(source).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines() {
            let declared = line
                .strip_prefix("pub struct ")
                .or_else(|| line.strip_prefix("pub enum "));
            let Some(declared) = declared else { continue };
            let end = |c: char| !c.is_alphanumeric() && c != '_';
            let name = declared.split(end).next().unwrap();
            let has = |separator: &str| known.contains(&format!("{name}{separator}"));
            assert!(
                exempt.contains(&name) || has("/") || has("::"),
                "{name} has no golden vector"
            );
        }
    }
}
