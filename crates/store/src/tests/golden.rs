//! The derivations, held still: another result would lose every log of an existing file.
//! The numbers were computed with Python's hashlib.

use crate::LogHandle;
use crate::names::{entry_key, head_key, head_mask, head_salt, outbox_start};

const START: u64 = 1459668661;

fn handle() -> LogHandle {
    let mut handle = [0; 32];
    handle.iter_mut().zip(0..).for_each(|(to, n)| *to = n);
    LogHandle(handle)
}

#[test]
fn derivations() {
    let log = handle();
    assert_eq!(log.start(), START);
    let entries = [START, START + 1].map(|n| hex::encode(entry_key(&log, n)));
    assert_eq!(entries[0], "0be097053a49dcf7400a9d81224ec102");
    assert_eq!(entries[1], "50da5b80023a620204c510d7d57b8c6b");
    assert_eq!(
        hex::encode(head_key(&log)),
        "701454b224ffbfa7930309bdd57cce9c"
    );
}

#[test]
fn masks_and_salts() {
    let log = handle();
    let value: Vec<u8> = (0..16).chain(*b"rest").collect();
    assert_eq!(head_mask(&log, &[0xa5; 16]), 0x8319d816b5fc9ccd);
    let salt = hex::encode(head_salt(&log, START + 1, &value));
    assert_eq!(salt, "8a69bf2d9dc2bbe24f7706463707245a");
    assert_eq!(outbox_start(&value), 7827501011713097);
}
