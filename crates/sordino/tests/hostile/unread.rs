//! A stream that nobody reads.

use crate::crowd::{BASE_KB, Siege};
use crate::sized;
use crate::wire_group::WireGroup;

const ENTRY_BYTES: usize = 20_000;

#[test]
fn a_stream_that_nobody_reads_takes_no_memory() {
    let (siege, group) = Siege::begin();
    let mut unread = WireGroup::with_messages(siege.hub.address, 2, 0, ENTRY_BYTES);
    siege.withstand(group, BASE_KB, |address| {
        let entries = sized(300, 20_000);
        assert_eq!(unread.send_until_refused(address, entries), entries);
        format!("{entries} entries of {ENTRY_BYTES} bytes that nobody reads")
    });
}
