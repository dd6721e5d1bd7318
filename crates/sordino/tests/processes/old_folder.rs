//! Data folders of earlier versions, kept in `folders/`: they open, and every answer is what it was.
//!
//! `folders/README.md` says how one is made: `SORDINO_WRITE_FOLDER=<name>` with this test.

use crate::hub::{Hub, any_port, copy_folder};
use crate::wire_group::{WireGroup, look};
use sordino_hub::Endpoint;
use sordino_server::{Clock as _, DomainChoice, Server, ServerConfig, TestClock, free_prices};
use sordino_wire::{Domain, DsResponse, ResponseBody};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const DOMAIN: &str = "hub.example";
const ENDPOINTS: [(&str, Endpoint); 2] = [
    ("streams", Endpoint::Streams),
    ("external", Endpoint::ExternalCommitInformation),
];

fn folders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processes/folders")
}

/// What is asked, and what was answered.
struct Expected {
    time_s: u64,
    exchanges: Vec<(Endpoint, Vec<u8>, ResponseBody)>,
}

fn read_expected(folder: &Path) -> Expected {
    let text = std::fs::read_to_string(folder.join("answers.txt")).unwrap();
    let mut lines = text.lines();
    let time_s = lines.next().unwrap().parse().unwrap();
    let exchanges = lines.map(|line| {
        let [name, request, answer] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let endpoint = ENDPOINTS
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1;
        let answer = DsResponse::parse(&hex::decode(answer).unwrap()).unwrap();
        (endpoint, hex::decode(request).unwrap(), answer.body)
    });
    Expected {
        time_s,
        exchanges: exchanges.collect(),
    }
}

fn server(data: &Path, now_s: u64) -> (ServerConfig, TestClock) {
    let clock = TestClock::new(now_s);
    let domain = DomainChoice::Named(Domain::new(DOMAIN).unwrap());
    let mut config = ServerConfig::new(domain, any_port(), data);
    config.clock = Arc::new(clock.clone());
    // What is kept was made without tokens.
    config.tokens.prices = free_prices();
    (config, clock)
}

async fn write_folder(name: &str) {
    let folder = folders().join(name);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (config, clock) = server(&folder.join("data"), now.as_secs());
    let hub = Server::start(config).await.unwrap();
    let address = hub.local_addr();
    let made = tokio::task::spawn_blocking(move || {
        let group = WireGroup::make(address, 5);
        let answers = group.look(address);
        (group, answers)
    });
    let (group, answers) = made.await.unwrap();
    hub.shutdown().await;
    let mut text = format!("{}\n", clock.now_s());
    for ((endpoint, request), body) in group.reads().iter().zip(answers) {
        let name = ENDPOINTS.iter().find(|(_, e)| e == endpoint).unwrap().0;
        let answer = hex::encode(DsResponse { body }.encode().unwrap());
        text.push_str(&format!("{name} {} {answer}\n", hex::encode(request)));
    }
    std::fs::write(folder.join("answers.txt"), text).unwrap();
}

fn kept() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folders()).unwrap();
    let mut kept: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("answers.txt").exists())
        .collect();
    kept.sort();
    kept
}

/// A copy with the modes that a checkout does not keep.
fn copy(folder: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    copy_folder(&folder.join("data"), to);
    for (name, mode) in [
        ("", 0o700),
        ("keys", 0o700),
        ("keys/operator.key", 0o600),
        ("keys/windows.key", 0o600),
        ("hub.redb", 0o600),
    ] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(to.join(name), mode).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_of_earlier_versions_open_and_answer_as_they_did() {
    if let Ok(name) = std::env::var("SORDINO_WRITE_FOLDER") {
        write_folder(&name).await;
    }
    let place = tempfile::tempdir().unwrap();
    let kept = kept();
    assert!(!kept.is_empty());
    for folder in kept {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let data = place.path().join(name);
        copy(&folder, &data);
        let expected = read_expected(&folder);
        let (config, _) = server(&data, expected.time_s);
        let hub = Server::start(config).await.unwrap();
        let address = hub.local_addr();
        let (reads, answers): (Vec<_>, Vec<_>) = expected
            .exchanges
            .into_iter()
            .map(|(endpoint, request, answer)| ((endpoint, request), answer))
            .unzip();
        let looked = tokio::task::spawn_blocking(move || look(address, &reads));
        assert_eq!(looked.await.unwrap(), answers, "{name}");
        hub.shutdown().await;
    }
}

/// Long after, with this version's program and the time as it is: what has expired is gone, and the
/// hub is the one that it was.
#[test]
fn the_program_starts_on_them() {
    let place = tempfile::tempdir().unwrap();
    for folder in kept() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let data = place.path().join(name);
        copy(&folder, &data);
        let config = place.path().join("sordino.toml");
        let text = format!(
            "domain = \"{DOMAIN}\"\nlisten = \"127.0.0.1:0\"\ndata_dir = \"{}\"\n",
            data.display()
        );
        std::fs::write(&config, text).unwrap();
        let hub = Hub::configured(&config).unwrap();
        let (status, _) = hub.get("/readyz");
        assert_eq!(status, 200, "{name}");
        let (status, log) = hub.stop();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("ERROR"), "{log}");
    }
}
