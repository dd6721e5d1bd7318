//! Golden vectors: everything that other implementations must derive alike, compared byte for byte
//! with `tests/vectors/*.json`. The folder's README says what the fields mean.
//!
//! `SORDINO_WRITE_VECTORS=1 cargo test -p sordino-crypto --test golden` writes the files anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod accounts;
mod at_rest;
mod connection;
mod delivery;
mod group;
mod key_package_set;
mod link;
mod people;
mod support;

use serde_json::Value;
use std::path::PathBuf;

type Topic = (&'static str, fn() -> Value);

const TOPICS: [Topic; 16] = [
    ("account", accounts::account),
    ("account_row", accounts::account_row),
    ("admission", accounts::admission),
    ("connection", connection::connection),
    ("key_package_set", key_package_set::key_package_set),
    ("link", link::link),
    ("labels", people::labels),
    ("pseudonyms", people::pseudonyms),
    ("credential", people::credential),
    ("identity", people::identity),
    ("generation", group::generation),
    ("key_object", group::key_object),
    ("sealing", at_rest::sealing),
    ("operator", at_rest::operator),
    ("stream", delivery::stream),
    ("hpke", delivery::hpke),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

#[test]
fn every_vector_is_as_it_was_written() {
    let write = std::env::var_os("SORDINO_WRITE_VECTORS").is_some_and(|value| value == "1");
    for (name, compute) in TOPICS {
        let path = folder().join(format!("{name}.json"));
        let computed = compute();
        if write {
            let text = serde_json::to_string_pretty(&computed).unwrap();
            std::fs::write(&path, text + "\n").unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no file for {name}"));
        let written: Value = serde_json::from_str(&text).unwrap();
        compare(name, &written, &computed);
    }
}

#[test]
fn every_file_has_a_topic() {
    let files = std::fs::read_dir(folder()).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".json") else {
            continue;
        };
        assert!(TOPICS.iter().any(|(topic, _)| *topic == stem), "{name}");
    }
}

/// Says where two trees of values differ.
fn compare(place: &str, written: &Value, computed: &Value) {
    match (written, computed) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = |map: &serde_json::Map<String, Value>| {
                let mut keys: Vec<String> = map.keys().cloned().collect();
                keys.sort();
                keys
            };
            assert_eq!(keys(left), keys(right), "fields of {place}");
            for (key, value) in left {
                compare(&format!("{place}.{key}"), value, &right[key]);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            assert_eq!(left.len(), right.len(), "length of {place}");
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{place}[{index}]"), left, right);
            }
        }
        _ => assert_eq!(written, computed, "{place}"),
    }
}
