//! The envelopes: whatever is accepted is the one encoding of what was read.

use crate::types;
use sordino_wire::{
    AccountAuthentication, AccountRequest, AccountRequestBody, AccountResponse, DsRequest,
    DsResponse, exact,
};
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

/// Those, and an envelope around each body that has a golden vector.
pub(crate) fn account_seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = messages(&["accountrequest-", "accountresponse-"]);
    let request = AccountRequest {
        body: AccountRequestBody::AdmissionTerms,
        auth: AccountAuthentication::Nobody,
    };
    seeds.push(("terms".into(), request.encode().unwrap()));
    for (name, bytes) in types::seeds() {
        if let Ok(body) = exact(&bytes[1..]) {
            let response = AccountResponse { body };
            seeds.push((format!("response-{name}"), response.encode().unwrap()));
        }
        if let Ok(body) = exact(&bytes[1..]) {
            let auth = AccountAuthentication::Nobody;
            let request = AccountRequest { body, auth };
            seeds.push((format!("request-{name}"), request.encode().unwrap()));
        }
    }
    seeds
}
