//! A door for fuzzers: bytes read as each of the records that a hub keeps.
//!
//! Nothing in the library uses it. Records are sealed, so nobody but a hub writes what is read here;
//! a damaged or foreign one must be refused all the same, not panic.

use crate::outcome::Fault;
use crate::state::{
    DeltaRecord, Head, JoinerPointer, MlsState, Pending, Previous, RosterRecord, Tombstone,
    TreeRecord,
};
use sordino_wire::{GroupId, Outcome, encode, exact};
use tls_codec::{DeserializeBytes, Serialize};

/// Reads bytes as the record with this number, from 0 on, and loads what it holds. `None`: there is
/// no such record. `Some(Err(()))`: it was read and does not encode to the same bytes.
pub fn read_record(which: u8, bytes: &[u8]) -> Option<Result<(), ()>> {
    Some(match which {
        0 => same::<Head>(bytes),
        1 => same::<Tombstone>(bytes),
        2 => same::<RosterRecord>(bytes),
        3 => same::<JoinerPointer>(bytes),
        4 => same::<Previous>(bytes),
        5 => same::<Outcome>(bytes),
        6 => same::<Pending>(bytes),
        7 => same::<DeltaRecord>(bytes),
        8 => same::<TreeRecord>(bytes).map(|()| load(bytes)),
        9 => {
            // Both sides of a replay: the newest snapshot, and a delta as openmls keeps it.
            let _: Result<openmls::group::StagedCommit, _> = postcard::from_bytes(bytes);
            let _ = crate::apply::read_queued(bytes);
            Ok(())
        }
        _ => return None,
    })
}

fn same<T: DeserializeBytes + Serialize>(bytes: &[u8]) -> Result<(), ()> {
    match exact::<T>(bytes) {
        Ok(value) if encode(&value).is_ok_and(|again| again == bytes) => Ok(()),
        Ok(_) => Err(()),
        Err(_) => Ok(()),
    }
}

fn load(bytes: &[u8]) {
    if let Ok(tree) = exact::<TreeRecord>(bytes) {
        let loaded: Result<MlsState, Fault> =
            MlsState::load(GroupId([0; 16]), tree, &[], &Pending::default());
        drop(loaded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_its_number() {
        let outcome = crate::reseal::outcome(1, 2);
        let outcome = encode(&outcome).unwrap();
        let records: [&[u8]; 9] = [
            include_bytes!("../tests/golden/head.bin"),
            include_bytes!("../tests/golden/tombstone.bin"),
            include_bytes!("../tests/golden/roster.bin"),
            include_bytes!("../tests/golden/joiner-pointer.bin"),
            include_bytes!("../tests/golden/previous.bin"),
            &outcome,
            include_bytes!("../tests/golden/pending.bin"),
            include_bytes!("../tests/golden/delta.bin"),
            include_bytes!("../tests/golden/tree.bin"),
        ];
        for (which, bytes) in (0..).zip(records) {
            assert_eq!(read_record(which, bytes), Some(Ok(())), "{which}");
            assert_eq!(read_record(which, &[]), Some(Ok(())), "{which}");
        }
        assert_eq!(read_record(9, &[]), Some(Ok(())));
        assert_eq!(read_record(10, &[]), None);
    }
}
