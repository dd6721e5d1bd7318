//! A data folder that cannot be written.

use crate::hub::{Bounds, Hub, any_port, assert_refused, contents};
use crate::wire_group::WireGroup;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hub");
    let hub = Hub::free(&data, any_port());
    let address = hub.address;
    let group = WireGroup::make(address, 2);
    let expected = group.look(address);
    hub.stop();

    for (name, modes) in [
        ("", [0o500, 0o700]),
        ("hub.redb", [0o400, 0o600]),
        ("lock", [0o400, 0o600]),
    ] {
        let path = data.join(name);
        set_mode(&path, modes[0]);
        let before = contents(&data);
        let refused = Hub::try_free(&data, address, Bounds::NoPrivileges, &[]);
        // A folder may serve as long as nothing has to be made in it.
        if name.is_empty() && refused.is_ok() {
            drop(refused);
        } else {
            assert_refused(refused, &[path.to_str().unwrap(), "denied"]);
            assert_eq!(contents(&data), before, "something was changed");
        }
        set_mode(&path, modes[1]);
    }
    let hub = Hub::free(&data, address);
    assert_eq!(group.look(hub.address), expected);
}

#[test]
fn a_folder_is_not_made_where_it_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o500);
    let data = folder.path().join("hub");
    let refused = Hub::try_free(&data, any_port(), Bounds::NoPrivileges, &[]);
    assert_refused(refused, &[data.to_str().unwrap(), "denied"]);
    set_mode(folder.path(), 0o700);
}
