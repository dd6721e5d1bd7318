//! Owns the vectors of padding, sealing, blinding and window keys.

use crate::support::*;
use serde_json::{Value, json};
use sordino_crypto::*;

const TODAY: u32 = 20_700;
const SPACES: [(Space, u8); 19] = [
    (Space::Head, 1),
    (Space::Tree, 2),
    (Space::Delta, 3),
    (Space::Roster, 4),
    (Space::Pending, 5),
    (Space::Snapshot, 6),
    (Space::Previous, 7),
    (Space::Guard, 8),
    (Space::Marker, 9),
    (Space::KeyPackage, 10),
    (Space::Replay, 11),
    (Space::StreamLog, 12),
    (Space::InboxLog, 13),
    (Space::Inbox, 14),
    (Space::Meta, 15),
    (Space::Account, 16),
    (Space::Waiting, 17),
    (Space::RequestLog, 18),
    (Space::Invitation, 19),
];

fn address(space: Space) -> Address {
    Address {
        space,
        store_key: *b"a store key 16 B",
    }
}

fn operator_key() -> OperatorKey {
    OperatorKey::new(secret(0))
}

fn index_key() -> IndexKey {
    IndexKey::new(secret(40))
}

pub(crate) fn sealing() -> Value {
    let padding = |class: PadClass, length: usize| {
        let value = vec![0xa5; length];
        let padded = pad(&value, class).unwrap();
        assert_eq!(unpad(&padded).unwrap(), value);
        json!({
            "class": format!("{class:?}"),
            "value_bytes": length,
            "padded_bytes": padded.len(),
            "padded_sha256": hex::encode(sha256(&padded)),
        })
    };
    let key = LayerKey::new(secret(0));
    let layer = |(space, number): (Space, u8), plaintext: &[u8]| {
        let mut rng = Counted::from(number);
        let sealed = seal_layer(&key, &address(space), plaintext, &mut rng).unwrap();
        assert_eq!(
            open_layer(&key, &address(space), &sealed).unwrap(),
            plaintext
        );
        json!({
            "space": number,
            "plaintext": hex::encode(plaintext),
            "random": rng.hex(0),
            "sealed": hex::encode(sealed),
        })
    };
    let layers: Vec<Value> = SPACES
        .iter()
        .map(|space| layer(*space, b"plaintext"))
        .collect();
    json!({
        "padding": [
            padding(PadClass::PowerOfTwo, 0),
            padding(PadClass::PowerOfTwo, 7_932),
            padding(PadClass::PowerOfTwo, 7_933),
            padding(PadClass::Delta, 3_836),
            padding(PadClass::Padme, 1),
            padding(PadClass::Padme, 509),
            padding(PadClass::Padme, 9_000),
            padding(PadClass::None, 3),
        ],
        "format": RECORD_FORMAT,
        "layer_key": hex::encode(key.secret().expose()),
        "store_key": hex::encode(address(Space::Head).store_key),
        "layers": layers,
        "empty": layer((Space::Head, 1), b""),
    })
}

pub(crate) fn operator() -> Value {
    let blinded: Vec<Value> = SPACES
        .iter()
        .map(|(space, number)| {
            json!({
                "space": number,
                "id": hex::encode(b"an id"),
                "store_key": hex::encode(index_key().blind(*space, b"an id").unwrap()),
                "log_handle": hex::encode(index_key().handle(*space, b"an id").unwrap()),
            })
        })
        .collect();
    let mut rng = Counted::from(70);
    let wrapped = index_key().wrap(&operator_key(), &mut rng).unwrap();
    assert_eq!(
        IndexKey::unwrap(&operator_key(), &wrapped).unwrap(),
        index_key()
    );
    json!({
        "operator_key": hex::encode(operator_key().secret().expose()),
        "key_id": hex::encode(operator_key().key_id().unwrap()),
        "index_key": hex::encode(index_key().secret().expose()),
        "index_key_wrap": { "random": rng.hex(0), "wrapped": hex::encode(wrapped) },
        "blinded": blinded,
        "long_lived": long_lived(),
        "windows": windows(),
    })
}

fn long_lived() -> Value {
    let keys = OuterKeys::new(operator_key(), Vec::new(), index_key(), WindowKeys::new());
    let mut rng = Counted::from(90);
    let sealed = keys
        .seal(&address(Space::Head), b"inner", &mut rng)
        .unwrap();
    assert_eq!(keys.open(&address(Space::Head), &sealed).unwrap(), b"inner");
    let next = OperatorKey::new(secret(200));
    let next_key = hex::encode(next.secret().expose());
    let rotated = OuterKeys::new(next, vec![operator_key()], index_key(), WindowKeys::new());
    let rewrapped = rotated
        .rewrap(&address(Space::Head), &sealed)
        .unwrap()
        .unwrap();
    json!({
        "space": 1,
        "store_key": hex::encode(address(Space::Head).store_key),
        "inner": hex::encode(b"inner"),
        "random": rng.hex(0),
        "sealed": hex::encode(sealed),
        "next_operator_key": next_key,
        "rewrapped": hex::encode(rewrapped),
    })
}

fn windows() -> Value {
    let mut rng = Counted::from(0);
    let mut windows = WindowKeys::new();
    assert_eq!(
        windows.ensure(&operator_key(), TODAY, 1, &mut rng).unwrap(),
        3
    );
    let image = windows.image().to_vec();
    let place = |number: usize| hex::encode(&image[number * SLOT_BYTES..][..SLOT_BYTES]);
    let first_place = usize::try_from(TODAY % SLOTS).unwrap() + 1;
    let window_key = windows.key(TODAY).unwrap();
    assert_eq!(hex::encode(window_key.secret().expose()), rng.hex(2));
    assert_eq!(rng.given[0].len(), image.len());
    let file = json!({
        "slots": SLOTS,
        "slot_bytes": SLOT_BYTES,
        "image_bytes": image.len(),
        "image_sha256": hex::encode(sha256(&image)),
        "header_random": rng.hex(1),
        "header": place(0),
        "day": TODAY,
        "window_key": rng.hex(2),
        "place": first_place,
        "slot_random": rng.hex(3),
        "slot": place(first_place),
    });
    let keys = OuterKeys::new(operator_key(), Vec::new(), index_key(), windows);
    let mut rng = Counted::from(110);
    let stream_log = address(Space::StreamLog);
    let sealed = keys
        .seal_window(&stream_log, TODAY, b"inner", &mut rng)
        .unwrap();
    assert_eq!(keys.open_window(&stream_log, &sealed).unwrap(), b"inner");
    json!({
        "file": file,
        "space": 12,
        "store_key": hex::encode(stream_log.store_key),
        "inner": hex::encode(b"inner"),
        "random": rng.hex(0),
        "sealed": hex::encode(sealed),
    })
}
