//! Owns the vectors of a group's generation and of key objects.

use crate::support::*;
use serde_json::{Value, json};
use sordino_crypto::*;
use sordino_wire::{Digest, Freshness, Nonce, RequestTbs};

pub(crate) fn generation() -> Value {
    let group_secret = GroupSecret::new(secret(0));
    let ear = group_secret.ear_key().unwrap();
    let wrapper = group_secret.wrapper_key().unwrap();
    let sender = SenderKey::new(secret(40));
    let records = ["head", "tree", "delta/7", "previous", ""];
    let locators: Vec<Value> = records
        .iter()
        .map(|record| {
            let locator = ear.locator(record).unwrap();
            json!({ "record": record, "locator": hex::encode(locator) })
        })
        .collect();
    json!({
        "exporter": {
            "group_label": EXPORTER_GROUP,
            "group_context_of_generation_258": hex::encode(exporter_group_context(258)),
            "sender_label": EXPORTER_SENDER,
        },
        "group_secret": hex::encode(group_secret.secret().expose()),
        "ear_key": hex::encode(ear.secret().expose()),
        "wrapper_key": hex::encode(wrapper.secret().expose()),
        "head_key": hex::encode(ear.head_key().unwrap().secret().expose()),
        "tree_key": hex::encode(ear.tree_key().unwrap().secret().expose()),
        "roster_key": hex::encode(ear.roster_key().unwrap().secret().expose()),
        "pending_key": hex::encode(ear.pending_key().unwrap().secret().expose()),
        "previous_key": hex::encode(ear.previous_key().unwrap().secret().expose()),
        "delivery_key": hex::encode(ear.delivery_key().unwrap().secret().expose()),
        "locators": locators,
        "key_check": {
            "group_id": hex::encode(group_id()),
            "epoch": 300,
            "ear_key": hex::encode(ear.secret().expose()),
            "sender_key": hex::encode(sender.secret().expose()),
            "keys_hash": hex::encode(keys_hash(group_id(), 300, &ear, &sender).unwrap()),
        },
        "request_mac": request_mac(&sender),
        "previous_wrapper": previous_wrapper(&wrapper),
    })
}

fn request_mac(sender: &SenderKey) -> Value {
    let freshness = Freshness {
        epoch: 300,
        time_s: 1_800_000_000,
        nonce: Nonce(*b"a nonce 16 bytes"),
    };
    let body_hash = sha256(b"the body");
    let request = RequestTbs::new(domain(), group_id(), freshness, body_hash);
    let mac = sender.mac(&request).unwrap();
    sender.verify_mac(&request, &mac).unwrap();
    json!({
        "sender_key": hex::encode(sender.secret().expose()),
        "request": tls(&request),
        "mac": hex::encode(mac),
    })
}

fn previous_wrapper(previous: &WrapperKey) -> Value {
    let next = WrapperKey::new(secret(80));
    let wrapped = wrap_previous(&next, group_id(), 6, previous).unwrap();
    let unwrapped = unwrap_previous(&next, group_id(), &wrapped).unwrap();
    assert_eq!(&unwrapped, previous);
    json!({
        "next_wrapper_key": hex::encode(next.secret().expose()),
        "group_id": hex::encode(group_id()),
        "generation": 6,
        "wrapper_key": hex::encode(previous.secret().expose()),
        "wrapped": tls(&wrapped),
    })
}

pub(crate) fn key_object() -> Value {
    let (private, public) = hpke_generate(&mut Counted::from(20)).unwrap();
    let group_secret = GroupSecret::new(secret(0));
    let leaf_key = credential_in(&group_slot(), 0).signature_key;
    let object = |welcome_hash: Digest| {
        let object = make_key_object(
            &client_key(),
            &client_credential(),
            &domain(),
            group_id(),
            300,
            6,
            &group_secret,
            &leaf_key,
            welcome_hash,
            public.as_slice(),
        )
        .unwrap();
        check_key_object(&object, welcome_hash, public.as_slice()).unwrap();
        let mut rng = Counted::from(60);
        let sealed = seal_key_object(public.as_slice(), &object, &mut rng).unwrap();
        let opened = open_key_object(private.expose(), &sealed).unwrap();
        assert_eq!(opened, object);
        json!({
            "welcome_hash": hex::encode(welcome_hash),
            "object": tls(&object),
            "random": rng.hex(0),
            "sealed": hex::encode(sealed),
        })
    };
    json!({
        "client_seed": hex::encode(client_key().seed().as_slice()),
        "client_credential": tls(&client_credential()),
        "hub_domain": domain().as_str(),
        "group_id": hex::encode(group_id()),
        "epoch": 300,
        "generation": 6,
        "group_secret": hex::encode(group_secret.secret().expose()),
        "giver_leaf_key": hex::encode(&leaf_key),
        "recipient_private_key": hex::encode(private.expose()),
        "recipient_public_key": hex::encode(&public),
        "plaintext_bytes": KEY_OBJECT_PLAINTEXT_BYTES,
        "objects": [object(sha256(b"a welcome")), object(sha256(b""))],
    })
}
