//! Everything that is not the one encoding of a value is refused.

use crate::cases::{
    account_requests, cases, enums, reparse_request, reparse_response, requests, responses,
};
use crate::golden::expected;
use crate::model::Model;
use crate::sample::{Sample, Source};
use sordino_wire::limits::{MAX_ANSWER_BYTES, MAX_BODY_BYTES};
use sordino_wire::padding::{Padding, padded_size};
use sordino_wire::{Authentication, DsRequest, DsResponse, Reject, RequestBody, encode};
use tls_codec::{Serialize, Size};

#[test]
fn every_strict_prefix_is_refused() {
    for (name, bytes, reparse) in expected() {
        let Some(reparse) = reparse else { continue };
        for length in 0..bytes.len() {
            assert!(
                reparse(&bytes[..length]).is_none(),
                "{name} cut at {length}"
            );
        }
    }
}

#[test]
fn every_trailing_byte_is_refused() {
    for (name, mut bytes, reparse) in expected() {
        let Some(reparse) = reparse else { continue };
        bytes.push(0);
        for trailing in 0..=u8::MAX {
            *bytes.last_mut().unwrap() = trailing;
            assert!(reparse(&bytes).is_none(), "{name} and {trailing:#04x}");
        }
    }
}

#[test]
fn lengths_in_a_longer_form_than_needed_are_refused() {
    let mut tried = 0;
    for case in cases() {
        let Some(reparse) = case.reparse else {
            continue;
        };
        for which in 0..case.node.prefixes() {
            for width in [2, 4] {
                let Some(bytes) = case.node.encode_with_prefix_width(which, width) else {
                    continue;
                };
                assert!(reparse(&bytes).is_none(), "{} prefix {which}", case.name);
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "only {tried} forms were tried");
}

#[test]
fn lengths_of_eight_bytes_are_refused() {
    // RFC 9420 section 2.1.2 has no form that begins with the bits 11.
    let mut bytes = 0xc000_0000_0000_0001u64.to_be_bytes().to_vec();
    bytes.push(7);
    assert!(sordino_wire::exact::<sordino_wire::SignatureKey>(&bytes).is_err());
    assert!(sordino_wire::exact::<Padding>(&bytes).is_err());
}

#[test]
fn unknown_discriminants_are_refused() {
    for case in enums() {
        let values = match case.width {
            1 => 0..=u64::from(u8::MAX),
            _ => 0..=u64::from(u16::MAX),
        };
        for unknown in values.filter(|v| !case.discriminants.contains(v)) {
            let tag = &unknown.to_be_bytes()[8 - case.width..];
            for value in &case.values {
                let bytes = [tag, &value[case.width..]].concat();
                let read = (case.reparse)(&bytes);
                assert!(read.is_none(), "{} {unknown}", case.name);
            }
        }
    }
}

#[test]
fn optional_values_have_presence_zero_or_one() {
    for presence in 2..=u8::MAX {
        let bytes = [vec![presence], vec![0; 32]].concat();
        assert!(sordino_wire::exact::<Option<sordino_wire::Digest>>(&bytes).is_err());
    }
}

#[test]
fn whatever_is_accepted_is_the_one_encoding() {
    for (name, bytes, reparse) in expected() {
        let Some(reparse) = reparse else { continue };
        for position in 0..bytes.len() {
            for change in [0x01, 0x40, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[position] ^= change;
                if let Some(again) = reparse(&changed) {
                    assert_eq!(again, changed, "{name} changed at {position}");
                }
            }
        }
    }
}

#[test]
fn bytes_over_the_limit_are_refused_before_the_body_is_read() {
    let request = vec![0xff; MAX_BODY_BYTES + 1];
    let limit = u64::try_from(MAX_BODY_BYTES).unwrap();
    assert_eq!(
        DsRequest::parse(&request).unwrap_err(),
        Reject::TooLarge { limit }
    );
    let response = vec![0xff; MAX_ANSWER_BYTES + 1];
    let limit = u64::try_from(MAX_ANSWER_BYTES).unwrap();
    assert_eq!(
        DsResponse::parse(&response).unwrap_err(),
        Reject::TooLarge { limit }
    );
}

#[test]
fn other_versions_are_refused_as_such() {
    for (name, request) in requests() {
        let mut bytes = request.encode().unwrap();
        for version in [0u16, 2, 0x0100, u16::MAX] {
            bytes[..2].copy_from_slice(&version.to_be_bytes());
            let refusal = DsRequest::parse(&bytes).unwrap_err();
            assert_eq!(
                refusal,
                Reject::UnsupportedVersion { supported: 1 },
                "{name}"
            );
        }
    }
    for (name, response) in responses() {
        let mut bytes = response.encode().unwrap();
        bytes[..2].copy_from_slice(&2u16.to_be_bytes());
        let refusal = DsResponse::parse(&bytes).unwrap_err();
        assert_eq!(
            refusal,
            Reject::UnsupportedVersion { supported: 1 },
            "{name}"
        );
    }
    assert_eq!(DsRequest::parse(&[]).unwrap_err(), Reject::Malformed);
    assert_eq!(DsRequest::parse(&[0]).unwrap_err(), Reject::Malformed);
}

/// Version, body, authentication, without the padding.
fn unpadded(request: &DsRequest) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    request.body.tls_serialize(&mut bytes).unwrap();
    request.auth.tls_serialize(&mut bytes).unwrap();
    bytes
}

#[test]
fn padding_that_is_not_zero_is_refused() {
    for (name, request) in requests() {
        let start = unpadded(&request).len();
        let bytes = request.encode().unwrap();
        let prefix = Padding::for_size(start).tls_serialized_len();
        let contents_start = bytes.len() - prefix + if prefix <= 64 { 1 } else { 2 };
        for position in contents_start..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] = 1;
            assert_eq!(
                DsRequest::parse(&changed).unwrap_err(),
                Reject::Malformed,
                "{name}"
            );
        }
    }
}

#[test]
fn padding_of_another_size_is_refused() {
    for (name, request) in requests() {
        let start = unpadded(&request);
        let right = Padding::for_size(start.len()).tls_serialized_len();
        let mut accepted = 0;
        for length in 0..1_200usize {
            let width = crate::model::prefix(length, if length < 64 { 1 } else { 2 });
            let padding = [width, vec![0; length]].concat();
            let bytes = [start.as_slice(), &padding].concat();
            let read = reparse_request(&bytes);
            assert_eq!(
                read.is_some(),
                padding.len() == right,
                "{name}, {length} B of padding"
            );
            accepted += usize::from(read.is_some());
        }
        assert_eq!(accepted, 1, "{name}");
    }
    let (name, response) = responses().swap_remove(1);
    let mut bytes = response.encode().unwrap();
    bytes.push(0);
    assert!(reparse_response(&bytes).is_none(), "{name}");
}

#[test]
fn the_body_that_signatures_cover_is_the_body_that_came() {
    for (name, request) in requests() {
        let bytes = request.encode().unwrap();
        let parsed = DsRequest::parse(&bytes).unwrap();
        assert_eq!(parsed.body_bytes, encode(&request.body).unwrap(), "{name}");
        assert_eq!(parsed.request, request, "{name}");
        assert_eq!(bytes.len(), padded_size(bytes.len()), "{name}");
    }
}

#[test]
fn a_request_that_cannot_be_parsed_again_is_not_encoded() {
    use sordino_wire::{Bytes, CreateGroup, GroupAccess, HpkeCiphertext};
    // The largest ciphertext alone is as long as a whole request may be.
    let big = HpkeCiphertext {
        kem_output: Bytes::new([1]).unwrap(),
        ciphertext: Bytes::new(vec![0; MAX_BODY_BYTES]).unwrap(),
    };
    assert!(encode(&big).unwrap().len() > MAX_BODY_BYTES);
    let create = CreateGroup {
        ratchet_tree: Bytes::new(vec![1; sordino_wire::limits::MAX_TREE_BYTES]).unwrap(),
        access: GroupAccess::sample(&mut Source::Least),
        ..CreateGroup::sample(&mut Source::Least)
    };
    let request = DsRequest {
        body: RequestBody::CreateGroup(create),
        auth: Authentication::Possession,
    };
    let bytes = request.encode().unwrap();
    assert_eq!(DsRequest::parse(&bytes).unwrap().request.body, request.body);
    assert!(request.body.node().prefixes() > 0);
}

#[test]
fn the_two_worlds_have_envelopes_of_their_own() {
    use sordino_wire::limits::MAX_ACCOUNT_BODY_BYTES;
    use sordino_wire::{AccountReject, AccountRequest};
    for (name, request) in account_requests() {
        let bytes = request.encode().unwrap();
        let parsed = AccountRequest::parse(&bytes).unwrap();
        assert_eq!(parsed.body_bytes, encode(&request.body).unwrap(), "{name}");
        assert_eq!(parsed.request, request, "{name}");
        assert_eq!(bytes.len(), padded_size(bytes.len()), "{name}");
        // What one world signs means nothing in the other.
        if let Ok(other) = DsRequest::parse(&bytes) {
            assert_eq!(other.request.auth, Authentication::Possession, "{name}");
        }
        let mut other_version = bytes.clone();
        other_version[1] = 2;
        let refusal = AccountRequest::parse(&other_version).unwrap_err();
        let expected = AccountReject::UnsupportedVersion { supported: 1 };
        assert_eq!(refusal, expected, "{name}");
    }
    let limit = u64::try_from(MAX_ACCOUNT_BODY_BYTES).unwrap();
    let refusal = AccountRequest::parse(&vec![0xff; MAX_ACCOUNT_BODY_BYTES + 1]).unwrap_err();
    assert_eq!(refusal, AccountReject::TooLarge { limit });
}

#[test]
fn a_handle_has_one_form() {
    use sordino_wire::Handle;
    for good in ["ab", "a1", "anna-maria_2", &"a".repeat(32)] {
        assert!(Handle::new(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "a",
        "1a",
        "-a",
        "_a",
        "Anna",
        "an na",
        "\u{e4}nna",
        "a.b",
        "a/b",
        &"a".repeat(33),
    ] {
        assert!(Handle::new(bad).is_err(), "{bad}");
    }
    assert_eq!(Handle::from_input("  AnnA ").unwrap().as_str(), "anna");
    // A pseudonym's UUID is too long to be one.
    assert!(Handle::new("a0000000-0000-8000-8000-000000000000").is_err());
    assert_eq!(format!("{:?}", Handle::new("anna").unwrap()), "Handle(..)");
}
