//! Bounds of types, and that the limits fit each other.

use crate::model::prefix;
use sordino_wire::limits::*;
use sordino_wire::{Bytes, Domain, Handle, IdentifierUri, List, OutOfBounds, Outcome, exact};
use tls_codec::{DeserializeBytes, Error};

fn out_of_bounds<T: DeserializeBytes>(bytes: &[u8]) -> bool {
    matches!(
        T::tls_deserialize_bytes(bytes),
        Err(Error::DecodingError(_))
    )
}

#[test]
fn byte_strings_keep_their_bounds() {
    type Bounded = Bytes<2, 70>;
    assert_eq!(Bounded::new([1]).unwrap_err(), OutOfBounds);
    assert_eq!(Bounded::new([1; 71]).unwrap_err(), OutOfBounds);
    for length in [2, 63, 64, 70] {
        let width = if length < 64 { 1 } else { 2 };
        let bytes = [prefix(length, width), vec![9; length]].concat();
        assert_eq!(
            exact::<Bounded>(&bytes).unwrap().as_slice(),
            vec![9; length]
        );
    }
    for length in [0, 1, 71, 100] {
        let width = if length < 64 { 1 } else { 2 };
        let bytes = [prefix(length, width), vec![9; length]].concat();
        assert!(out_of_bounds::<Bounded>(&bytes), "{length}");
    }
}

#[test]
fn an_announced_length_over_the_bound_is_refused_without_the_contents() {
    // The contents are not there: the bound is looked at before them, so nothing is allocated.
    let announced = prefix((1 << 30) - 1, 4);
    assert!(out_of_bounds::<Bytes<0, 100>>(&announced));
    assert!(out_of_bounds::<IdentifierUri>(&announced));
    assert!(out_of_bounds::<Domain>(&announced));
    // Within the bound, but not there.
    let truncated = exact::<Bytes<0, { 1 << 30 }>>(&announced);
    assert!(matches!(truncated, Err(Error::EndOfStream)));
    let truncated = exact::<List<u64, 4>>(&announced);
    assert!(matches!(truncated, Err(Error::EndOfStream)));
}

#[test]
fn lists_keep_their_bounds() {
    type Bounded = List<u16, 3>;
    assert_eq!(Bounded::new(vec![1; 4]).unwrap_err(), OutOfBounds);
    let three = [6, 0, 1, 0, 2, 0, 3];
    assert_eq!(exact::<Bounded>(&three).unwrap().as_slice(), [1, 2, 3]);
    assert!(out_of_bounds::<Bounded>(&[8, 0, 1, 0, 2, 0, 3, 0, 4]));
    // An element that ends beyond the list's length.
    assert!(exact::<Bounded>(&[3, 0, 1, 0, 2]).is_err());
}

#[test]
fn a_list_whose_elements_have_no_size_is_refused() {
    assert!(exact::<List<[u8; 0], 3>>(&[1, 0]).is_err());
    assert!(exact::<List<[u8; 0], 3>>(&[0]).unwrap().is_empty());
}

#[test]
fn one_place_has_one_spelling() {
    for good in [
        "a",
        "hub.example",
        "127.0.0.1:8080",
        "xn--bcher-kva.example",
        "h:0",
        "h:65535",
    ] {
        assert_eq!(Domain::new(good).unwrap().as_str(), good);
    }
    let bad = [
        "",
        "Hub.example",
        "hub.example.",
        ".hub",
        "a..b",
        "a:",
        "a:b",
        "a:080",
        "a:+80",
        "a:65536",
        "a:1:2",
        "a b",
        "a/b",
        "a\n",
        "ä.example",
        "a@b",
        "[::1]",
    ];
    for bad in bad {
        assert_eq!(Domain::new(bad), Err(OutOfBounds), "{bad:?}");
        let bytes = [prefix(bad.len(), 1), bad.as_bytes().to_vec()].concat();
        assert!(exact::<Domain>(&bytes).is_err(), "{bad:?}");
    }
    let longest = vec!["a"; 127].join(".");
    assert_eq!(longest.len(), MAX_DOMAIN_BYTES);
    assert!(Domain::new(longest.clone()).is_ok());
    assert!(Domain::new(longest + "b").is_err());
}

#[test]
fn uris_are_text_of_bounded_length() {
    assert!(IdentifierUri::new("").is_err());
    assert!(IdentifierUri::new("u".repeat(MAX_URI_BYTES)).is_ok());
    assert!(IdentifierUri::new("u".repeat(MAX_URI_BYTES + 1)).is_err());
    assert!(
        exact::<IdentifierUri>(&[2, 0xc3, 0x28]).is_err(),
        "not UTF-8"
    );
}

#[test]
fn a_handle_has_one_spelling() {
    let longest = "h".repeat(MAX_HANDLE_BYTES);
    for good in ["al", "alice", "a1", "a-b_c", "z99", &longest] {
        assert_eq!(Handle::new(good).unwrap().as_str(), good);
    }
    let over = "h".repeat(MAX_HANDLE_BYTES + 1);
    let uuid = "a1234567-89ab-4cde-8f01-23456789abcd"; // as a pseudonym's path would be
    let bad = [
        "",
        "a",
        "Alice",
        "1a",
        "-a",
        "_a",
        "a.b",
        "a b",
        "a/b",
        "a:b",
        "a@b",
        "a\n",
        "\u{e4}a",
        "a\u{e4}",
        "\u{430}lice",
        &over,
        uuid,
    ];
    for bad in bad {
        assert_eq!(Handle::new(bad), Err(OutOfBounds), "{bad:?}");
        let bytes = [prefix(bad.len(), 1), bad.as_bytes().to_vec()].concat();
        assert!(exact::<Handle>(&bytes).is_err(), "{bad:?}");
    }
    assert!(exact::<Handle>(&[2, 0xc3, 0x28]).is_err(), "not UTF-8");
    assert!(out_of_bounds::<Handle>(&prefix((1 << 30) - 1, 4)));
}

#[test]
fn what_a_person_types_is_folded() {
    for typed in ["alice", " Alice", "ALICE\n", "\taLiCe  "] {
        assert_eq!(Handle::from_input(typed).unwrap().as_str(), "alice");
    }
    assert!(Handle::from_input("al ice").is_err());
    assert!(
        Handle::from_input("\u{212a}im").is_err(),
        "no Kelvin sign for a k"
    );
    let domain = Domain::new("hub.example:443").unwrap();
    let uri = Handle::new("alice").unwrap().uri(&domain).unwrap();
    assert_eq!(uri.as_str(), "mimi://hub.example:443/u/alice");
    // The longest domain and the longest handle may make no URI; that is an error, not a cut.
    let domain = Domain::new(vec!["a"; 127].join(".")).unwrap();
    assert_eq!(Handle::new("alice").unwrap().uri(&domain), Err(OutOfBounds));
}

#[test]
fn an_outcome_fits_a_replay_record() {
    let largest = Outcome {
        epoch: u64::MAX,
        counter: u64::MAX,
        detail: Bytes::new(vec![0; MAX_OUTCOME_DETAIL_BYTES]).unwrap(),
    };
    let bytes = sordino_wire::encode(&largest).unwrap();
    assert_eq!(bytes.len(), MAX_OUTCOME_BYTES);
}

/// What one limit admits fits into what another one leaves room for.
#[test]
fn limits_fit_each_other() {
    const ENTRY: usize = 4 + 8 + 16 + 2 + IDENTITY_LINK_CIPHERTEXT_BYTES;
    const WRAPPER: usize = 8 + 1 + 48;
    const JOINER: usize = MAX_DOMAIN_BYTES + MAX_PUBLIC_KEY_BYTES + MAX_KEY_OBJECT_BYTES + 32;
    let commit = MAX_HANDSHAKE_BYTES + MAX_GROUP_INFO_BYTES + MAX_ADDS * ENTRY;
    let commit = commit + MAX_WELCOME_BYTES + MAX_ADDS * JOINER + 8_192;
    assert!(sordino_wire::padding::padded_size(commit) <= MAX_BODY_BYTES);

    let roster = MAX_MEMBERS * ENTRY + MAX_WRAPPERS * WRAPPER;
    let information = MAX_TREE_BYTES + MAX_GROUP_INFO_BYTES + roster + 8_192;
    assert!(sordino_wire::padding::padded_size(information) <= MAX_ANSWER_BYTES);

    let page = MAX_STREAM_PAGE_BYTES + MAX_STREAM_READS * MAX_STREAM_ENTRIES * 12;
    assert!(page <= MAX_ANSWER_BYTES);
    let delivery = MAX_WELCOME_BYTES + MAX_KEY_OBJECT_BYTES + 64;
    assert!(delivery <= MAX_INBOX_DELIVERY_BYTES);
    const {
        assert!(MAX_DEPOSIT_BYTES + 64 <= MAX_INBOX_DELIVERY_BYTES);
        assert!(MAX_MEMBER_CONTENT_BYTES < MAX_MESSAGE_BYTES);
        assert!(CONNECTION_REQUEST_CIPHERTEXT_BYTES + 64 <= MAX_STREAM_PAGE_BYTES);
        // The devices of one account are one set; what clients keep leaves room for as many new.
        assert!(MAX_SET_DEVICES == MAX_ACCOUNT_CLIENTS && 2 * POOL_SETS <= MAX_POOL_SETS);
        // A tag that was served is remembered as long as its set could have been fetched.
        assert!(MAX_SET_DAYS <= POOL_IDLE_DAYS && MAX_SET_DAYS <= MAX_INBOX_DAYS);
    }
    let (skew, memory) = (MAX_TIME_SKEW_S, REPLAY_MEMORY_S);
    assert!(
        2 * skew < memory,
        "a repeated request is recognised as long as it is accepted"
    );
}
