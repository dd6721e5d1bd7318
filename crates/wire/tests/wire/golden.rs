//! Golden bytes of every type, compared both ways; format and regeneration in golden/README.md.

use crate::cases::{
    Reparse, account_requests, account_responses, cases, reparse_account_request,
    reparse_account_response, reparse_request, reparse_response, requests, responses,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vectors.json")
}

/// Whether this run writes vectors rather than comparing them.
pub fn writing() -> bool {
    std::env::var_os("SORDINO_WRITE_VECTORS").is_some_and(|v| v == "1")
}

/// Name, bytes, parser of everything that has a golden vector.
pub fn expected() -> Vec<(String, Vec<u8>, Option<Reparse>)> {
    let values = cases().into_iter().map(|c| (c.name, c.bytes, c.reparse));
    let requests = requests().into_iter().map(|(name, request)| {
        (
            name,
            request.encode().unwrap(),
            Some(reparse_request as Reparse),
        )
    });
    let responses = responses().into_iter().map(|(name, response)| {
        (
            name,
            response.encode().unwrap(),
            Some(reparse_response as Reparse),
        )
    });
    let account_requests = account_requests().into_iter().map(|(name, request)| {
        (
            name,
            request.encode().unwrap(),
            Some(reparse_account_request as Reparse),
        )
    });
    let account_responses = account_responses().into_iter().map(|(name, response)| {
        (
            name,
            response.encode().unwrap(),
            Some(reparse_account_response as Reparse),
        )
    });
    let groups = values.chain(requests).chain(responses);
    groups
        .chain(account_requests)
        .chain(account_responses)
        .collect()
}

#[test]
fn golden_bytes_are_what_the_crate_writes_and_reads() {
    let expected = expected();
    let names: BTreeSet<_> = expected.iter().map(|(name, ..)| name.clone()).collect();
    assert_eq!(names.len(), expected.len(), "a name occurs twice");
    if writing() {
        let map: BTreeMap<_, _> = expected
            .iter()
            .map(|(name, bytes, _)| (name.clone(), hex::encode(bytes)))
            .collect();
        let mut text = serde_json::to_string_pretty(&map).unwrap();
        text.push('\n');
        std::fs::write(file(), text).unwrap();
    }
    let text = std::fs::read_to_string(file()).expect("golden/vectors.json");
    let mut golden: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    for (name, bytes, reparse) in &expected {
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
    for (name, request) in requests() {
        let bytes = sordino_wire::encode(&request.body).unwrap();
        assert_eq!(request.body.tls_serialized_len(), bytes.len(), "{name}");
        let bytes = sordino_wire::encode(&request.auth).unwrap();
        assert_eq!(request.auth.tls_serialized_len(), bytes.len(), "{name}");
    }
    for (name, response) in responses() {
        let bytes = sordino_wire::encode(&response.body).unwrap();
        assert_eq!(response.body.tls_serialized_len(), bytes.len(), "{name}");
    }
    for (name, request) in account_requests() {
        let bytes = sordino_wire::encode(&request.body).unwrap();
        assert_eq!(request.body.tls_serialized_len(), bytes.len(), "{name}");
        let bytes = sordino_wire::encode(&request.auth).unwrap();
        assert_eq!(request.auth.tls_serialized_len(), bytes.len(), "{name}");
    }
}

/// Every public struct and enum of the crate's sources is in the list of cases.
#[test]
fn no_type_is_without_a_vector() {
    let known: String = expected()
        .iter()
        .map(|(name, ..)| format!("{name}\n"))
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
