//! Keys that are missing, wrong, damaged or open to others.

use crate::hub::{Bounds, Hub, any_port, assert_refused, contents};
use crate::wire_group::WireGroup;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// One byte of a live window key: the slot of a day to come.
fn damage_window_keys(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let day = usize::try_from(since.as_secs() / 86_400).unwrap() + 3;
    let slots = usize::try_from(sordino_crypto::SLOTS).unwrap();
    // A header comes first.
    let place = 1 + day % slots;
    bytes[place * sordino_crypto::SLOT_BYTES + 60] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// What is done to a data folder, and the words that the refusal must have.
type Case = (&'static str, fn(&Path), &'static [&'static str]);

const CASES: [Case; 10] = [
    (
        "no operator key",
        |data| std::fs::remove_file(data.join("keys/operator.key")).unwrap(),
        &["operator.key", "missing", "put the key back"],
    ),
    (
        "another operator key",
        |data| std::fs::write(data.join("keys/operator.key"), "ab".repeat(32)).unwrap(),
        &["operator.key", "not the one of this data folder"],
    ),
    (
        "a part of an operator key",
        |data| std::fs::write(data.join("keys/operator.key"), "ab".repeat(20)).unwrap(),
        &["operator.key", "64 hexadecimal digits or 32 bytes"],
    ),
    (
        "an operator key for all to read",
        |data| set_mode(&data.join("keys/operator.key"), 0o644),
        &["operator.key", "chmod 600"],
    ),
    (
        "window keys for the group to read",
        |data| set_mode(&data.join("keys/windows.key"), 0o640),
        &["windows.key", "chmod 600"],
    ),
    (
        "a key folder for all to enter",
        |data| set_mode(&data.join("keys"), 0o755),
        &["keys", "chmod 700"],
    ),
    (
        "no window keys",
        |data| std::fs::remove_file(data.join("keys/windows.key")).unwrap(),
        &["windows.key", "--accept-lost-deliveries"],
    ),
    (
        "half of the window keys",
        |data| {
            let path = data.join("keys/windows.key");
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        },
        &["windows.key", "damaged"],
    ),
    (
        "a damaged window key",
        |data| damage_window_keys(&data.join("keys/windows.key")),
        &["windows.key", "damaged"],
    ),
    (
        "no keys at all",
        |data| std::fs::remove_dir_all(data.join("keys")).unwrap(),
        &["operator.key", "missing"],
    ),
];

#[test]
fn wrong_keys_are_refused_and_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hub");
    let hub = Hub::free(&data, any_port());
    let address = hub.address;
    let group = WireGroup::make(address, 2);
    let expected = group.look(address);
    hub.stop();
    let whole = folder.path().join("whole");
    std::fs::rename(&data, &whole).unwrap();

    for (what, spoil, words) in CASES {
        println!("{what}");
        crate::hub::copy_folder(&whole, &data);
        spoil(&data);
        let before = contents(&data);
        assert_refused(Hub::try_free(&data, address, Bounds::None, &[]), words);
        assert_eq!(contents(&data), before, "something was changed");
        std::fs::remove_dir_all(&data).unwrap();
    }

    // What was refused is whole again once the keys are back.
    crate::hub::copy_folder(&whole, &data);
    let hub = Hub::free(&data, address);
    assert_eq!(group.look(hub.address), expected);
}

#[test]
fn damaged_window_keys_are_given_up_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hub");
    let hub = Hub::free(&data, any_port());
    let address = hub.address;
    let mut group = WireGroup::make(address, 2);
    hub.stop();
    damage_window_keys(&data.join("keys/windows.key"));
    let accept = ["--accept-lost-deliveries"];
    let hub = Hub::try_free(&data, address, Bounds::None, &accept).unwrap();
    assert_eq!(group.send_until_refused(address, 2), 2);
    hub.stop();
    // From then on it starts as before.
    drop(Hub::free(&data, address));
}
