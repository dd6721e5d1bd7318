//! Owns the vectors of key-package sets: what names a pool and its parts, and sealed entries.

use crate::support::*;
use serde_json::{Value, json};
use sordino_crypto::*;
use sordino_wire::{Bytes, InboxAddress, InboxId, KeyPackageEntry, Salt};

const CONTACT: &str = "mimi://other.example/u/bob";

pub(crate) fn key_package_set() -> Value {
    let contact = uri(CONTACT);
    let pool = |generation| {
        let token = user_secret().contact_token(&contact, generation).unwrap();
        let owner = user_secret().pool_owner(&contact, generation).unwrap();
        json!({
            "generation": generation,
            "contact_token": hex::encode(token.secret().expose()),
            "pool_id": hex::encode(token.pool_id().unwrap()),
            "pool_key": hex::encode(token.pool_key().unwrap().secret().expose()),
            "owner_secret": hex::encode(owner.expose()),
        })
    };
    let set_tag = user_secret().tag_of_set(&set_slot()).unwrap();
    let device_tag = client_secret().set_device_tag(set_tag).unwrap();
    json!({
        "user_secret": hex::encode(user_secret().secret().expose()),
        "client_secret": hex::encode(client_secret().secret().expose()),
        "contact": CONTACT,
        "pools": [pool(0), pool(1)],
        "slot": tls(&set_slot()),
        "set_tag": hex::encode(set_tag.0),
        "device_tag": hex::encode(device_tag.0),
        "entry": entry(SetPlace {
            set_tag,
            device_tag,
            devices: 2,
            cipher_suite: 1,
            last_day: 20_000,
        }),
    })
}

fn entry(place: SetPlace) -> Value {
    let credential = credential_in(&set_slot(), 0);
    let entry = KeyPackageEntry {
        key_package: Bytes::new(vec![5; 300]).unwrap(),
        link: make_identity_link(&client_key(), &client_credential(), &credential).unwrap(),
        inbox: InboxAddress {
            domain: domain(),
            inbox_id: InboxId(*b"an inbox id 16 B"),
            hpke_key: Bytes::new(bytes32(140)).unwrap(),
        },
    };
    let key = user_secret().contact_key(&uri(CONTACT), 0).unwrap();
    let salt = Salt(*b"a salt, 16 bytes");
    let sealed = seal_set_entry(&key, place, &entry, salt).unwrap();
    assert_eq!(open_set_entry(&key, &sealed).unwrap(), entry);
    json!({
        "contact_key": hex::encode(key.secret().expose()),
        "salt": hex::encode(salt),
        "devices": place.devices,
        "cipher_suite": place.cipher_suite,
        "last_day": place.last_day,
        "key_package_entry": tls(&entry),
        "plaintext_bytes": sordino_wire::limits::SET_ENTRY_BYTES,
        "sealed": tls(&sealed),
    })
}
