//! What holds secrets or names does not print them.

use crate::sample::{Sample, Source};
use sordino_wire::*;

/// Nothing of 32 bytes 0xA7 (167) or 16 bytes 0xB3 (179) shows.
fn assert_silent(text: &str) {
    let lower = text.to_lowercase();
    for trace in ["a7", "167", "b3", "179", "hub.example", "mimi://"] {
        assert!(!lower.contains(trace), "{trace} is in {text}");
    }
}

fn access() -> GroupAccess {
    GroupAccess {
        group_id: GroupId([0xb3; 16]),
        ear_key: Secret32::new([0xa7; 32]),
    }
}

#[test]
fn secrets_print_nothing() {
    let secret = Secret32::new([0xa7; 32]);
    assert_eq!(format!("{secret:?}"), "Secret32(..)");
    assert_eq!(format!("{secret:#?}"), "Secret32(..)");
}

#[test]
fn requests_print_neither_keys_nor_names() {
    let head = HeadAccess {
        group_id: GroupId([0xb3; 16]),
        locator: Locator([0xb3; 16]),
        head_key: Secret32::new([0xa7; 32]),
    };
    let send = SendMessage {
        head,
        message: Bytes::new([0xa7; 40]).unwrap(),
    };
    let rekey = RekeyRequest {
        access: access(),
        ear_key: Secret32::new([0xa7; 32]),
        sender_key: Secret32::new([0xa7; 32]),
    };
    let inbox = ReadInbox {
        inbox_secret: Secret32::new([0xa7; 32]),
        from: 0,
        wait_s: 0,
    };
    let link = InviteLink {
        hub_domain: Domain::new("hub.example").unwrap(),
        group_id: GroupId([0xb3; 16]),
        generation: 1,
        ear_key: Secret32::new([0xa7; 32]),
        code: Some(Digest([0xa7; 32])),
    };
    let address = InboxAddress {
        domain: Domain::new("hub.example").unwrap(),
        inbox_id: InboxId([0xb3; 16]),
        hpke_key: Bytes::new([0xa7; 32]).unwrap(),
    };
    for text in [
        format!("{:?}", RequestBody::InspectMembership(access())),
        format!("{:?}", RequestBody::Send(send)),
        format!("{rekey:?}"),
        format!("{inbox:?}"),
        format!("{link:?}"),
        format!("{address:?}"),
        format!("{:?}", StreamId([0xb3; 16])),
        format!("{:?}", Nonce([0xb3; 16])),
        format!("{:?}", Salt([0xb3; 16])),
        format!("{:?}", PolicySummary::sample(&mut Source::full()).admins),
        format!("{:?}", PseudonymousCredential::sample(&mut Source::full())),
    ] {
        assert_silent(&text);
    }
}

#[test]
fn comparing_secrets_compares_all_of_them() {
    let one = Secret32::new([1; 32]);
    assert_eq!(one, one.duplicate());
    for position in 0..32 {
        let mut other = [1; 32];
        other[position] = 0;
        assert_ne!(one, Secret32::new(other), "{position}");
    }
}

#[test]
fn people_and_pools_print_neither_keys_nor_names() {
    let secret = || Secret32::new([0xa7; 32]);
    let publish = PublishKeyPackages {
        contact_token: secret(),
        owner_secret: secret(),
        entries: List::default(),
        drop: List::new(vec![SetTag([0xb3; 16])]).unwrap(),
    };
    let fetch = FetchKeyPackages {
        contact_token: secret(),
        nonce: Nonce([0xb3; 16]),
    };
    let deposit = Deposit {
        inbox: InboxAddress {
            domain: Domain::new("hub.example").unwrap(),
            inbox_id: InboxId([0xb3; 16]),
            hpke_key: Bytes::new([0xa7; 32]).unwrap(),
        },
        deposit_secret: secret(),
        contents: Bytes::new([0xa7; 40]).unwrap(),
    };
    let inspect = InspectKeyPackages {
        contact_token: secret(),
        owner_secret: secret(),
    };
    let keys = ContactKeys {
        contact_key: secret(),
        contact_token: secret(),
    };
    let handle = Handle::new("mimi-hub").unwrap();
    let register = Register::sample(&mut Source::full());
    for text in [
        format!("{publish:?}"),
        format!("{fetch:?}"),
        format!("{deposit:?}"),
        format!("{inspect:?}"),
        format!("{:?}", MemberContent::ContactKeys(keys)),
        format!("{:?}", SetTag([0xb3; 16])),
        format!("{:?}", DeviceTag([0xb3; 16])),
        format!("{:?}", AccountRequestBody::Register(register)),
        format!("{:?}", ConnectionRequest::sample(&mut Source::full())),
    ] {
        assert_silent(&text);
    }
    assert_eq!(
        format!("{:?}", AccountRequestBody::LookUp(handle)),
        "LookUp(Handle(..))"
    );
}
