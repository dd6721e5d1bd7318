//! Everything that is not the one encoding of a value is refused.

use crate::cases::{cases, enums};
use crate::envelopes::{ENVELOPES, Refused, messages};
use crate::golden::{Vector, expected};
use crate::sample::{Sample, Source};
use sordino_wire::limits::{
    MAX_ACCOUNT_BODY_BYTES, MAX_ACCOUNT_CLIENTS, MAX_BODY_BYTES, MAX_SIGNATURE_BYTES,
};
use sordino_wire::padding::{Padding, padded_size};
use sordino_wire::{Authentication, DsRequest, RequestBody, encode};
use tls_codec::Size;

/// What is read as well as written.
fn read_and_written() -> impl Iterator<Item = Vector> {
    expected().into_iter().filter(|v| v.reparse.is_some())
}

impl Vector {
    fn read(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.reparse.as_ref().and_then(|reparse| reparse(bytes))
    }
}

#[test]
fn every_strict_prefix_is_refused() {
    for vector in read_and_written() {
        for length in 0..vector.bytes.len() {
            let read = vector.read(&vector.bytes[..length]);
            assert!(read.is_none(), "{} cut at {length}", vector.name);
        }
    }
}

#[test]
fn every_trailing_byte_is_refused() {
    for vector in read_and_written() {
        let mut bytes = vector.bytes.clone();
        bytes.push(0);
        for trailing in 0..=u8::MAX {
            *bytes.last_mut().unwrap() = trailing;
            let read = vector.read(&bytes);
            assert!(read.is_none(), "{} and {trailing:#04x}", vector.name);
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
    for vector in read_and_written() {
        for position in 0..vector.bytes.len() {
            for change in [0x01, 0x40, 0x80, 0xff] {
                let mut changed = vector.bytes.clone();
                changed[position] ^= change;
                if let Some(again) = vector.read(&changed) {
                    assert_eq!(again, changed, "{} changed at {position}", vector.name);
                }
            }
        }
    }
}

#[test]
fn bytes_over_the_limit_are_refused_before_the_body_is_read() {
    for envelope in ENVELOPES {
        let bytes = vec![0xff; envelope.limit + 1];
        let limit = u64::try_from(envelope.limit).unwrap();
        let refusal = (envelope.parse)(&bytes).unwrap_err();
        assert_eq!(refusal, Refused::TooLarge { limit }, "{}", envelope.name);
    }
}

#[test]
fn other_versions_are_refused_as_such() {
    for message in messages() {
        let mut bytes = message.bytes.clone();
        for version in [0u16, 2, 0x0100, u16::MAX] {
            bytes[..2].copy_from_slice(&version.to_be_bytes());
            let refusal = (message.envelope.parse)(&bytes).unwrap_err();
            assert_eq!(
                refusal,
                Refused::Version { supported: 1 },
                "{}",
                message.name
            );
        }
    }
    for envelope in ENVELOPES {
        for short in [&[] as &[u8], &[0]] {
            assert_eq!((envelope.parse)(short).unwrap_err(), Refused::Malformed);
        }
    }
}

#[test]
fn the_body_that_signatures_cover_is_the_body_that_came() {
    for message in messages() {
        let read = (message.envelope.parse)(&message.bytes).unwrap();
        assert_eq!(read.body, message.body, "{}", message.name);
        assert_eq!(read.again, message.bytes, "{}", message.name);
    }
}

/// The worlds of accounts and of pseudonyms have addresses of their own and bodies of their own.
#[test]
fn a_request_of_one_world_is_none_of_the_other() {
    let requests = ENVELOPES.iter().filter(|e| e.name.ends_with("Request"));
    for message in messages() {
        for other in requests.clone().filter(|e| e.name != message.envelope.name) {
            if message.envelope.name.ends_with("Request") {
                let read = other.reparse(&message.bytes);
                assert!(read.is_none(), "{} as {}", message.name, other.name);
            }
        }
    }
}

#[test]
fn padding_that_is_not_zero_is_refused() {
    for message in messages() {
        let field = Padding::for_size(message.unpadded).tls_serialized_len();
        let contents_start = message.unpadded + if field <= 64 { 1 } else { 2 };
        for position in contents_start..message.bytes.len() {
            let mut changed = message.bytes.clone();
            changed[position] = 1;
            let refusal = (message.envelope.parse)(&changed).unwrap_err();
            assert_eq!(refusal, Refused::Malformed, "{}", message.name);
        }
    }
}

#[test]
fn padding_of_another_size_is_refused() {
    for message in messages() {
        let start = &message.bytes[..message.unpadded];
        let right = Padding::for_size(start.len()).tls_serialized_len();
        let mut accepted = 0;
        for length in 0..1_200usize {
            let width = crate::model::prefix(length, if length < 64 { 1 } else { 2 });
            let padding = [width, vec![0; length]].concat();
            let read = message.envelope.reparse(&[start, &padding].concat());
            let is_right = padding.len() == right;
            assert_eq!(read.is_some(), is_right, "{}, {length} B", message.name);
            accepted += usize::from(read.is_some());
        }
        assert_eq!(accepted, 1, "{}", message.name);
    }
}

#[test]
fn messages_have_padded_sizes() {
    for message in messages() {
        let size = message.bytes.len();
        assert_eq!(size, padded_size(size), "{}", message.name);
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
    let request = DsRequest::free(RequestBody::CreateGroup(create), Authentication::Possession);
    let bytes = request.encode().unwrap();
    assert_eq!(DsRequest::parse(&bytes).unwrap().request.body, request.body);
}

#[test]
fn the_largest_account_request_can_be_parsed_again() {
    use sordino_wire::limits::{MAX_PUBLIC_KEY_BYTES, MAX_URI_BYTES};
    use sordino_wire::*;
    let uri = || IdentifierUri::new("u".repeat(MAX_URI_BYTES)).unwrap();
    let key = || Bytes::new([1; MAX_PUBLIC_KEY_BYTES]).unwrap();
    let signature = || Bytes::new([1; MAX_SIGNATURE_BYTES]).unwrap();
    let credential = || ClientCredential {
        user: uri(),
        client: uri(),
        signature_key: key(),
        account_key: key(),
        account_signature: signature(),
    };
    let change = AccountKeyChange {
        user: uri(),
        old_key: key(),
        new_key: key(),
        old_signature: signature(),
        new_signature: signature(),
    };
    let clients = (0..MAX_ACCOUNT_CLIENTS).map(|_| credential()).collect();
    let body = AccountRequestBody::ReplaceAccountKey(ReplaceAccountKey {
        change,
        clients: List::new(clients).unwrap(),
        connection_key: SignedConnectionKey {
            hpke_key: key(),
            signature: signature(),
        },
    });
    let auth = AccountAuthentication::Client {
        handle: Handle::new("h".repeat(limits::MAX_HANDLE_BYTES)).unwrap(),
        client_key: key(),
        time_s: u64::MAX,
        nonce: Nonce([1; 16]),
        signature: signature(),
    };
    let request = AccountRequest::free(body, auth);
    let bytes = request.encode().unwrap();
    assert!(bytes.len() <= MAX_ACCOUNT_BODY_BYTES);
    assert_eq!(AccountRequest::parse(&bytes).unwrap().request, request);
}
