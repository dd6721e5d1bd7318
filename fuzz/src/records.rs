//! What the server and the client keep in files of their own.

use crate::types;
use sordino_client::raw::read_record as read_vault_record;
use sordino_crypto::{OperatorKey, WindowKeys};
use sordino_hub::raw::read_record as read_hub_record;
use sordino_server::holds_operator_key;
use sordino_wire::Secret32;

fn operator() -> OperatorKey {
    OperatorKey::new(Secret32::new([1; 32]))
}

/// An operator key, or the file of window keys.
pub(crate) fn key_files(bytes: &[u8]) {
    let raw = bytes.len() == 32;
    let text = bytes.trim_ascii();
    let hexadecimal = text.len() == 64 && text.iter().all(u8::is_ascii_hexdigit);
    assert_eq!(holds_operator_key(bytes), raw || hexadecimal);
    if let Ok(windows) = WindowKeys::load(&operator(), bytes) {
        assert_eq!(windows.image(), bytes);
    }
}

pub(crate) fn key_file_seeds() -> Vec<(String, Vec<u8>)> {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut windows = WindowKeys::new();
    windows.ensure(&operator(), 20_000, 40, &mut rng).unwrap();
    let image = windows.image().to_vec();
    let mut damaged = image.clone();
    damaged[200] ^= 1;
    vec![
        ("operator-hexadecimal".into(), vec![b'a'; 64]),
        ("operator-raw".into(), vec![7; 32]),
        ("windows".into(), image),
        ("windows-damaged".into(), damaged),
    ]
}

/// Reads bytes as the record with a number.
type Read = fn(u8, &[u8]) -> Option<Result<(), ()>>;

fn read(bytes: &[u8], read: Read) {
    if let Some((which, rest)) = bytes.split_first()
        && let Some(outcome) = read(*which, rest)
    {
        outcome.expect("one encoding");
    }
}

pub(crate) fn hub(bytes: &[u8]) {
    read(bytes, read_hub_record);
}

pub(crate) fn vault(bytes: &[u8]) {
    read(bytes, read_vault_record);
}

/// Bytes of the wire's types after each record's number: parts of them are parts of records.
fn numbered(records: u8) -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let samples = types::seeds();
    for which in 0..records {
        let few = samples.iter().skip(usize::from(which)).step_by(16);
        for (name, bytes) in few {
            let bytes = [&[which], &bytes[1..]].concat();
            seeds.push((format!("{which}-{name}"), bytes));
        }
    }
    seeds
}

pub(crate) fn hub_seeds() -> Vec<(String, Vec<u8>)> {
    numbered(10)
}

pub(crate) fn vault_seeds() -> Vec<(String, Vec<u8>)> {
    numbered(10)
}
