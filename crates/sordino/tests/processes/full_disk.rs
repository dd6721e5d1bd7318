//! A disk without room. A limit on the size of files stands in for it: writes fail as they do there,
//! with another error number.

use crate::hub::{Bounds, Hub, any_port, assert_refused};
use crate::wire_group::WireGroup;
use std::path::Path;

/// Room beyond what the database has when the disk becomes full.
const ROOM_BYTES: u64 = 192 * 1024;
/// More messages than fit.
const MESSAGES: usize = 20_000;

fn database_bytes(data: &Path) -> u64 {
    data.join("hub.redb").metadata().unwrap().len()
}

#[test]
fn a_disk_that_fills_up_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hub");
    let hub = Hub::free(&data, any_port());
    let address = hub.address;
    let mut group = WireGroup::make(address, 3);
    let before = group.entries(address);
    hub.stop();

    let bounds = Bounds::FileBytes(database_bytes(&data) + ROOM_BYTES);
    let hub = Hub::try_free(&data, address, bounds, &[]).unwrap();
    let acknowledged = group.send_until_refused(address, MESSAGES);
    assert!(acknowledged < MESSAGES, "the disk never filled up");
    assert_eq!(
        group.send_until_refused(address, 3),
        0,
        "acknowledged after a failure"
    );
    let (status, _) = hub.get("/readyz");
    assert_eq!(status, 503, "it still says that it is ready");
    let (status, log) = hub.stop();
    assert_eq!(status.code(), Some(0), "it stops in order: {log}");
    assert!(log.contains("must be started again"), "{log}");
    assert!(!log.contains("panicked"), "{log}");

    // Still full: it serves what there is, or says why not; either way nothing is lost by it.
    match Hub::try_free(&data, address, bounds, &[]) {
        Ok(hub) => drop(hub),
        refused => assert_refused(refused, &["hub.redb"]),
    }

    let hub = Hub::free(&data, address);
    let there = group.entries(hub.address);
    let expected = before + acknowledged..=before + acknowledged + 1;
    assert!(
        expected.contains(&there),
        "{there} entries after {before} and {acknowledged} acknowledged"
    );
    assert_eq!(group.send_until_refused(address, 3), 3);
    println!("{acknowledged} messages acknowledged before the disk was full, all there");
}

#[test]
fn a_first_start_on_a_full_disk_says_so_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, word) in [
        (0, "operator.key"),
        (4_096, "windows.key"),
        (256 * 1024, "hub.redb"),
    ] {
        let data = folder.path().join(format!("{bytes}"));
        let refused = Hub::try_free(&data, any_port(), Bounds::FileBytes(bytes), &[]);
        assert_refused(refused, &[word]);
        // With room again, it begins as if nothing had been.
        drop(Hub::free(&data, any_port()));
    }
}
