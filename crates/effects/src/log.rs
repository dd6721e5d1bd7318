//! Owns entries of logs: sealed under the window key of their last day, read a page at a time.
//!
//! Invariant: an entry whose window key is gone is gone, whether or not its row is still there, and
//! whoever asks for it sees a gap.

use crate::changes::{Append, LogHandle};
use crate::records::{LogPage, Records};
use crate::step::Fault;
use rand_core::RngCore;
use sordino_crypto::{Address, OuterKeys, Space};
use sordino_wire::{Bytes, List, NumberedEntry, StreamPage};

/// What stands as address in the seal of a log's entries: their own places are not known yet.
pub fn log_address(space: Space, log: &LogHandle) -> Address {
    let mut store_key = [0u8; 16];
    for (to, from) in store_key.iter_mut().zip(log) {
        *to = *from;
    }
    Address { space, store_key }
}

/// An entry that dies with the window of its last day.
pub fn seal_log_entry(
    outer: &OuterKeys,
    space: Space,
    log: LogHandle,
    entry: &[u8],
    last_day: u32,
    rng: &mut dyn RngCore,
) -> Result<Append, Fault> {
    let value = outer.seal_window(&log_address(space, &log), last_day, entry, rng)?;
    Ok(Append {
        log,
        value,
        expires_day: last_day,
    })
}

/// Entries of a log from a number on (0: from the oldest kept), with their outer layer taken off.
pub fn read_page(
    outer: &OuterKeys,
    records: &dyn Records,
    space: Space,
    log: &LogHandle,
    from: u64,
    max_entries: usize,
    max_bytes: usize,
) -> Result<StreamPage, Fault> {
    let mut page = records.read_log(log, from, max_entries, max_bytes)?;
    if from == 0 && page.oldest > 0 && page.entries.is_empty() {
        page = records.read_log(log, page.oldest, max_entries, max_bytes)?;
    }
    let LogPage {
        entries,
        mut oldest,
        next,
    } = page;
    let address = log_address(space, log);
    let mut opened = Vec::with_capacity(entries.len());
    for (number, bytes) in entries {
        let Ok(entry) = outer.open_window(&address, &bytes) else {
            // Those who ask for it must see a gap, or they would ask for ever.
            if opened.is_empty() {
                oldest = number.saturating_add(1);
                continue;
            }
            break;
        };
        let entry = Bytes::new(entry).map_err(|_| Fault::Inconsistent)?;
        opened.push(NumberedEntry { number, entry });
    }
    let entries = List::new(opened).map_err(|_| Fault::Inconsistent)?;
    Ok(StreamPage {
        oldest,
        next,
        entries,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stored, TODAY, outer, rng};

    const LOG: LogHandle = [7; 32];

    fn read(stored: &Stored, from: u64) -> (u64, u64, Vec<u64>) {
        let space = Space::StreamLog;
        let page = read_page(&outer(), stored, space, &LOG, from, 10, 10_000).unwrap();
        let numbers = page.entries.iter().map(|entry| entry.number);
        (page.oldest, page.next, numbers.collect())
    }

    fn sealed(space: Space, day: u32) -> Vec<u8> {
        let append = seal_log_entry(&outer(), space, LOG, b"entry", day, &mut rng()).unwrap();
        assert_eq!((append.log, append.expires_day), (LOG, day));
        append.value
    }

    #[test]
    fn zero_stands_for_the_oldest_entry_kept() {
        let entry = sealed(Space::StreamLog, TODAY);
        let stored = Stored::entries(vec![(5, entry.clone()), (6, entry)]);
        assert_eq!(read(&stored, 0), (5, 7, vec![5, 6]));
        assert_eq!(read(&stored, 6), (6, 7, vec![6]));
        assert_eq!(read(&stored, 7), (7, 7, vec![]));
        assert_eq!(read(&stored, 3), (5, 7, vec![]));
    }

    #[test]
    fn what_no_longer_opens_is_a_gap() {
        let (good, gone) = (
            sealed(Space::StreamLog, TODAY),
            sealed(Space::InboxLog, TODAY),
        );
        let stored = Stored::entries(vec![(5, gone.clone()), (6, good.clone()), (7, gone)]);
        assert_eq!(read(&stored, 5), (6, 8, vec![6]));
        assert_eq!(read(&stored, 7), (8, 8, vec![]));
    }

    #[test]
    fn there_are_days_without_a_key() {
        let late = seal_log_entry(&outer(), Space::StreamLog, LOG, b"", TODAY + 30, &mut rng());
        assert_eq!(late.err(), Some(Fault::Crypto));
    }
}
