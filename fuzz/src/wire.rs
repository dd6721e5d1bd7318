//! The envelopes: whatever is accepted is the one encoding of what was read.

use sordino_wire::{AccountRequest, AccountResponse, DsRequest, DsResponse};
use std::path::Path;

pub(crate) fn request(bytes: &[u8]) {
    if let Ok(parsed) = DsRequest::parse(bytes) {
        assert_eq!(parsed.request.encode().unwrap(), bytes);
        let body = sordino_wire::encode(&parsed.request.body).unwrap();
        assert_eq!(body, parsed.body_bytes, "what a signature covers");
    }
}

pub(crate) fn response(bytes: &[u8]) {
    if let Ok(response) = DsResponse::parse(bytes) {
        assert_eq!(response.encode().unwrap(), bytes);
    }
}

pub(crate) fn account_request(bytes: &[u8]) {
    if let Ok(parsed) = AccountRequest::parse(bytes) {
        assert_eq!(parsed.request.encode().unwrap(), bytes);
        let body = sordino_wire::encode(&parsed.request.body).unwrap();
        assert_eq!(body, parsed.body_bytes, "what a signature covers");
    }
}

pub(crate) fn account_response(bytes: &[u8]) {
    if let Ok(response) = AccountResponse::parse(bytes) {
        assert_eq!(response.encode().unwrap(), bytes);
    }
}

/// The messages that the wire crate's own tests replay.
fn messages(beginnings: &[&str]) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wire/tests/corpus");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if beginnings.iter().any(|b| name.starts_with(b)) {
            found.push((name, std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

pub(crate) fn request_seeds() -> Vec<(String, Vec<u8>)> {
    messages(&["dsrequest-", "dsresponse-"])
}

pub(crate) fn account_seeds() -> Vec<(String, Vec<u8>)> {
    messages(&["accountrequest-", "accountresponse-"])
}
