//! Owns the vectors of streams, inboxes and HPKE.

use crate::support::*;
use serde_json::{Value, json};
use sordino_crypto::*;
use sordino_wire::{Bytes, DeliveryEvent, Digest, Domain, InboxDelivery};

pub(crate) fn stream() -> Value {
    let key = DeliveryKey::new(secret(0));
    let named = |provider: &str| {
        let provider = Domain::new(provider).unwrap();
        json!({
            "provider": provider.as_str(),
            "stream_id": hex::encode(stream_id(&key, &provider).unwrap()),
        })
    };
    let entry = |event: DeliveryEvent| {
        let mut rng = Counted::from(40);
        let encoded = tls(&event);
        let sealed = seal_entry(&key, 1_800_000_000, 9, event, &mut rng).unwrap();
        let delivery = open_entry(&key, &sealed).unwrap();
        json!({
            "time_s": 1_800_000_000u64,
            "counter": 9,
            "event": encoded,
            "random": rng.hex(0),
            "delivery": tls(&delivery),
            "entry": tls(&sealed),
        })
    };
    json!({
        "delivery_key": hex::encode(key.secret().expose()),
        "streams": [named("hub.example"), named("other.example:8443")],
        "entries": [
            entry(DeliveryEvent::Message(Bytes::new(b"a message".as_slice()).unwrap())),
            entry(DeliveryEvent::Message(Bytes::new(vec![3; 700]).unwrap())),
            entry(DeliveryEvent::KeysConfirmed(6)),
            entry(DeliveryEvent::Deleted),
        ],
    })
}

pub(crate) fn hpke() -> Value {
    let mut rng = Counted::from(20);
    let (private, public) = hpke_generate(&mut rng).unwrap();
    assert_eq!(hex::encode(private.expose()), rng.hex(0));
    let base = |info: &[u8], aad: &[u8], plaintext: &[u8]| {
        let mut rng = Counted::from(60);
        let sealed = hpke_seal(public.as_slice(), info, aad, plaintext, &mut rng).unwrap();
        let opened = hpke_open(private.expose(), info, aad, &sealed).unwrap();
        assert_eq!(opened.as_slice(), plaintext);
        json!({
            "info": hex::encode(info),
            "aad": hex::encode(aad),
            "plaintext": hex::encode(plaintext),
            "random": rng.hex(0),
            "kem_output": hex::encode(&sealed.kem_output),
            "ciphertext": hex::encode(&sealed.ciphertext),
            "sealed": tls(&sealed),
        })
    };
    let inbox_secret = secret(100);
    let id = inbox_id(&inbox_secret);
    let delivery = InboxDelivery::KeyAnswer {
        question: Digest(bytes32(140)),
        key_object: Bytes::new(vec![4; 50]).unwrap(),
    };
    let mut rng = Counted::from(180);
    let sealed = seal_inbox_delivery(&public, id, &delivery, &mut rng).unwrap();
    let opened = open_inbox_delivery(private.expose(), id, &sealed).unwrap();
    assert_eq!(opened, delivery);
    json!({
        "private_key": hex::encode(private.expose()),
        "public_key": hex::encode(&public),
        "base": [base(b"info", b"aad", b"plaintext"), base(b"", b"", b"")],
        "inbox": {
            "inbox_secret": hex::encode(inbox_secret.expose()),
            "inbox_id": hex::encode(id),
            "delivery": tls(&delivery),
            "random": rng.hex(0),
            "sealed": tls(&sealed),
        },
    })
}
