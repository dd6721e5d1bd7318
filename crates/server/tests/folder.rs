//! The data folder and its keys: what is made, what is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use sordino_server::{KeyPlace, Server, ServerConfig, StartError, TestClock};
use sordino_wire::Domain;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const DAY_S: u64 = 86_400;

/// A configuration whose domain does not change with the port.
fn config(folder: &Path) -> ServerConfig {
    let mut config = ServerConfig::local(folder);
    let domain = Domain::new("hub.example.org").unwrap();
    config.domain = sordino_server::DomainChoice::Named(domain);
    config
}

async fn start_and_stop(config: ServerConfig) {
    Server::start(config).await.unwrap().shutdown().await;
}

async fn refused(config: ServerConfig) -> StartError {
    Server::start(config).await.map(|_| ()).unwrap_err()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn the_first_start_makes_everything_for_its_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new/data");
    start_and_stop(config(&folder)).await;
    for (name, expected) in [
        ("", 0o700),
        ("keys", 0o700),
        ("keys/operator.key", 0o600),
        ("keys/windows.key", 0o600),
        ("hub.redb", 0o600),
        ("lock", 0o600),
    ] {
        assert_eq!(mode(&folder.join(name)), expected, "{name}");
    }
    let key = std::fs::read_to_string(folder.join("keys/operator.key")).unwrap();
    assert_eq!(key.trim().len(), 64);
    let mut names: Vec<_> = std::fs::read_dir(folder.join("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["operator.key", "windows.key"]);
}

#[tokio::test]
async fn the_hub_is_the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start(config(folder.path())).await.unwrap();
    let key = first.hub_signature_key().clone();
    first.shutdown().await;
    let second = Server::start(config(folder.path())).await.unwrap();
    assert_eq!(*second.hub_signature_key(), key);
    second.shutdown().await;
}

#[tokio::test]
async fn keys_that_others_can_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    start_and_stop(config(folder.path())).await;
    for (name, good) in [
        ("keys/operator.key", 0o600),
        ("keys/windows.key", 0o600),
        ("keys", 0o700),
    ] {
        let path = folder.path().join(name);
        for bit in [0o040, 0o004, 0o020] {
            set_mode(&path, good | bit);
            let refusal = refused(config(folder.path())).await;
            assert!(
                matches!(refusal, StartError::Exposed { .. }),
                "{name}: {refusal}"
            );
            let command = format!("chmod {good:o} {}", path.display());
            assert!(refusal.to_string().contains(&command), "{refusal}");
        }
        set_mode(&path, good);
    }
    start_and_stop(config(folder.path())).await;
}

#[tokio::test]
async fn a_missing_operator_key_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    start_and_stop(config(folder.path())).await;
    let path = folder.path().join("keys/operator.key");
    let key = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let refusal = refused(config(folder.path())).await;
    assert!(
        matches!(refusal, StartError::OperatorKeyMissing { .. }),
        "{refusal}"
    );
    assert!(!path.exists());

    // Elsewhere is as good, raw as good as hexadecimal.
    let elsewhere = tempfile::tempdir().unwrap();
    let other_path = elsewhere.path().join("key");
    let mut moved = config(folder.path());
    moved.operator_key = KeyPlace::File(other_path.clone());
    let refusal = refused(moved.clone()).await;
    assert!(matches!(refusal, StartError::File { .. }), "{refusal}");
    let raw = hex::decode(key.trim_ascii()).unwrap();
    std::fs::write(&other_path, raw).unwrap();
    set_mode(&other_path, 0o400);
    start_and_stop(moved.clone()).await;

    // Group bits are the mask of an access list where systemd put the file.
    set_mode(&other_path, 0o440);
    let refusal = refused(moved.clone()).await;
    assert!(matches!(refusal, StartError::Exposed { .. }), "{refusal}");
    moved.operator_key = KeyPlace::Credential(other_path);
    start_and_stop(moved).await;
}

#[tokio::test]
async fn another_operator_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    start_and_stop(config(folder.path())).await;
    let operator = folder.path().join("keys/operator.key");
    let windows = folder.path().join("keys/windows.key");
    let (key, image) = (
        std::fs::read(&operator).unwrap(),
        std::fs::read(&windows).unwrap(),
    );
    std::fs::write(&operator, "00".repeat(32)).unwrap();
    let refusal = refused(config(folder.path())).await;
    assert!(
        matches!(refusal, StartError::WrongOperatorKey { .. }),
        "{refusal}"
    );
    // Nothing was touched.
    assert_eq!(std::fs::read(&windows).unwrap(), image);

    // Nor does it help to lose the window keys with it: the database does not open.
    std::fs::remove_file(&windows).unwrap();
    let mut lost = config(folder.path());
    lost.accept_lost_deliveries = true;
    let refusal = refused(lost).await;
    assert!(
        matches!(refusal, StartError::WrongOperatorKey { .. }),
        "{refusal}"
    );

    std::fs::write(&operator, "not a key").unwrap();
    let refusal = refused(config(folder.path())).await;
    assert!(matches!(refusal, StartError::NotAKey { .. }), "{refusal}");

    std::fs::write(&operator, key).unwrap();
    std::fs::write(&windows, image).unwrap();
    start_and_stop(config(folder.path())).await;
}

#[tokio::test]
async fn lost_window_keys_must_be_accepted() {
    let folder = tempfile::tempdir().unwrap();
    start_and_stop(config(folder.path())).await;
    std::fs::remove_file(folder.path().join("keys/windows.key")).unwrap();
    let refusal = refused(config(folder.path())).await;
    assert!(
        matches!(refusal, StartError::WindowKeysMissing { .. }),
        "{refusal}"
    );
    assert!(refusal.to_string().contains("--accept-lost-deliveries"));
    let mut accepted = config(folder.path());
    accepted.accept_lost_deliveries = true;
    let running = Server::start(accepted).await.unwrap();
    assert!(running.lost_deliveries());
    running.shutdown().await;
    let running = Server::start(config(folder.path())).await.unwrap();
    assert!(!running.lost_deliveries());
    running.shutdown().await;
}

#[tokio::test]
async fn a_data_folder_belongs_to_one_domain() {
    let folder = tempfile::tempdir().unwrap();
    start_and_stop(config(folder.path())).await;
    let mut other = config(folder.path());
    let domain = Domain::new("other.example.org").unwrap();
    other.domain = sordino_server::DomainChoice::Named(domain);
    let refusal = refused(other).await;
    let text = refusal.to_string();
    assert!(matches!(refusal, StartError::OtherDomain { .. }), "{text}");
    assert!(text.contains("hub.example.org") && text.contains("other.example.org"));
    start_and_stop(config(folder.path())).await;
}

#[tokio::test]
async fn a_data_folder_serves_one_server_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let running = Server::start(config(folder.path())).await.unwrap();
    let refusal = refused(config(folder.path())).await;
    assert!(matches!(refusal, StartError::Locked { .. }), "{refusal}");
    running.shutdown().await;
    start_and_stop(config(folder.path())).await;
}

#[tokio::test]
async fn window_keys_are_overwritten_in_place() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new(20_000 * DAY_S);
    let mut config = config(folder.path());
    config.clock = Arc::new(clock.clone());
    let running = Server::start(config.clone()).await.unwrap();
    running.run_maintenance().await.unwrap();
    let path = folder.path().join("keys/windows.key");
    let before = std::fs::read(&path).unwrap();
    let inode = path.metadata().unwrap().ino();

    // The same day changes nothing; the next one does, in the same file of the same size.
    clock.advance(60);
    running.run_maintenance().await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    clock.advance(DAY_S);
    running.run_maintenance().await.unwrap();
    let after = std::fs::read(&path).unwrap();
    assert_ne!(after, before);
    assert_eq!(after.len(), before.len());
    assert_eq!(path.metadata().unwrap().ino(), inode);
    assert_eq!(mode(&path), 0o600);
    running.shutdown().await;

    // A server that was away for longer than all windows starts again.
    clock.advance(400 * DAY_S);
    let running = Server::start(config).await.unwrap();
    running.run_maintenance().await.unwrap();
    running.shutdown().await;
}
