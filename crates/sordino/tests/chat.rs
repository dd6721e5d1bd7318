//! Two people at their terminals, by commands alone: the real binary, a real hub.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A hub for development, and the folders of people who use it.
struct World {
    folder: tempfile::TempDir,
    hub: Child,
    address: String,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.hub.kill();
        let _ = self.hub.wait();
    }
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sordino"));
    command
        .env_remove("SORDINO_PASSPHRASE")
        .env_remove("SORDINO_HOME")
        .env_remove("SORDINO_OPERATOR_KEY_FILE")
        .stdin(Stdio::null());
    command
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut hub = binary()
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path().join("hub"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(hub.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.split("http://").nth(1).map(str::to_owned));
        Self {
            folder,
            hub,
            address: address.unwrap(),
        }
    }

    fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn chat(&self, home: &str, arguments: &[&str]) -> Command {
        let mut command = binary();
        command
            .arg("chat")
            .arg("--home")
            .arg(self.home(home))
            .arg("--key-file")
            .arg(self.folder.path().join(format!("{home}.key")))
            .args(arguments);
        command
    }

    /// What a command prints that must succeed.
    #[track_caller]
    fn done(&self, home: &str, arguments: &[&str]) -> String {
        let output = self.chat(home, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command says that must be refused, in one line.
    #[track_caller]
    fn refused(&self, home: &str, arguments: &[&str]) -> String {
        let output = self.chat(home, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let told = told(&output);
        assert!(told.starts_with("sordino: "), "{told}");
        told
    }

    fn register(&self, name: &str) {
        self.done(name, &["register", name, "--hub", &self.address]);
    }

    fn connect(&self, asker: &str, asked: &str) {
        self.done(asker, &["connect", asked]);
        self.done(asked, &["accept", asker]);
        self.done(asker, &["sync"]);
        self.done(asked, &["sync"]);
        self.done(asker, &["sync"]);
    }
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn values(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn two_people_meet_and_talk() {
    let world = World::start();
    world.register("anna");
    world.register("bart");
    let who = world.done("bart", &["whoami"]);
    let looked_up = world.done("anna", &["lookup", "@Bart"]);
    assert_eq!(who, looked_up);

    world.done("anna", &["connect", "bart"]);
    let requests = values(&world.done("bart", &["requests", "--json"]));
    assert_eq!(requests[0]["handle"], "anna");
    world.done("bart", &["accept", "anna"]);
    world.done("anna", &["send", "@bart", "con", "sordino"]);
    let read = values(&world.done("bart", &["read", "@anna", "--json"]));
    assert_eq!(read[0]["text"], "con sordino");
    assert_eq!(read[0]["who"], "anna");
    assert_eq!(read[0]["standing"], "proven");

    // A room with a name that travels, unread counts, lines from standard input.
    world.done("bart", &["sync"]);
    world.done("anna", &["sync"]);
    world.done("anna", &["create", "quartet", "bart"]);
    let mut piped = world
        .chat("anna", &["send", "quartet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = piped.stdin.take().unwrap();
    stdin.write_all(b"one\n\ntwo\n").unwrap();
    drop(stdin);
    assert!(piped.wait().unwrap().success());
    let rooms = values(&world.done("bart", &["rooms", "--json"]));
    let quartet = rooms.iter().find(|room| room["name"] == "quartet").unwrap();
    assert_eq!(quartet["unread"], 2);
    let read = values(&world.done("bart", &["read", "quartet", "--json"]));
    let texts: Vec<_> = read
        .iter()
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts[texts.len() - 2..], ["one", "two"]);
    let rooms = values(&world.done("bart", &["rooms", "--json"]));
    assert!(rooms.iter().all(|room| room["unread"] == 0));

    world.done("anna", &["remove", "quartet", "bart"]);
    let members = values(&world.done("anna", &["members", "quartet", "--json"]));
    assert_eq!(members.len(), 1);
}

#[test]
fn a_second_device_is_linked_by_its_code_and_a_lost_one_removed() {
    let world = World::start();
    world.register("anna");
    world.register("bart");
    world.connect("anna", "bart");
    world.done("anna", &["create", "quartet", "bart"]);
    let mut linking = world
        .chat("phone", &["link", "--hub", &world.address, "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(linking.stdout.take().unwrap()).lines();
    let shown: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let code = shown["code"].as_str().unwrap();
    assert!(
        world
            .refused("anna", &["link-device", &code[..20]])
            .contains("copy the whole")
    );
    world.done("anna", &["link-device", code]);
    assert!(linking.wait().unwrap().success());
    // It knows people before it is in their groups.
    world.done("phone", &["rooms"]);
    for home in ["phone", "anna", "phone", "phone"] {
        world.done(home, &["sync"]);
    }
    world.done("phone", &["send", "quartet", "from my phone"]);
    assert!(
        world
            .done("bart", &["read", "quartet"])
            .contains("from my phone")
    );
    let devices = values(&world.done("anna", &["devices", "--json"]));
    assert_eq!(devices.len(), 2);

    let other = devices
        .iter()
        .find(|device| device["this"] == false)
        .unwrap();
    world.done("anna", &["remove-device", other["name"].as_str().unwrap()]);
    assert_eq!(values(&world.done("anna", &["devices", "--json"])).len(), 1);
    world.refused("phone", &["send", "quartet", "am I still here?"]);
}

#[test]
fn people_are_told_what_to_do() {
    let world = World::start();
    let hub = world.address.as_str();
    for (arguments, hint) in [
        (vec!["whoami"], "sordino chat register"),
        (vec!["register", "x", "--hub", hub], "2 to 32 letters"),
        (
            vec!["register", "anna", "--hub", "http://hub.example"],
            "is not a hub's domain",
        ),
        (
            vec!["register", "anna", "--hub", "127.0.0.1:1"],
            "is it running",
        ),
    ] {
        let told = world.refused("anna", &arguments);
        assert!(told.contains(hint), "{arguments:?}: {told}");
    }
    assert!(
        !world.home("anna").exists(),
        "a refusal leaves nothing behind"
    );

    world.register("anna");
    for (arguments, hint) in [
        (
            vec!["register", "other", "--hub", hub],
            "choose another folder",
        ),
        (vec!["send", "@bart", "hello"], "sordino chat connect bart"),
        (vec!["accept", "bart"], "sordino chat requests"),
        (vec!["read", "nowhere"], "sordino chat rooms"),
        (vec!["remove-device", "nothing"], "sordino chat devices"),
        (vec!["delete-account", "bart"], "handle"),
        (vec!["connect", "anna"], "own handle"),
    ] {
        let told = world.refused("anna", &arguments);
        assert!(told.contains(hint), "{arguments:?}: {told}");
    }
    // A taken handle can be given up for another one, in the same folder.
    let taken = world.refused("bart", &["register", "anna", "--hub", hub]);
    assert!(taken.contains("taken"), "{taken}");
    world.register("bart");
    assert!(world.done("bart", &["whoami"]).starts_with("@bart"));
}

#[test]
fn a_folder_opens_with_its_own_key_alone() {
    let world = World::start();
    world.register("anna");
    let wrong = world.folder.path().join("wrong.key");
    std::fs::write(&wrong, format!("{}\n", "11".repeat(32))).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&wrong, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let output = binary()
        .args(["chat", "whoami", "--home"])
        .arg(world.home("anna"))
        .arg("--key-file")
        .arg(&wrong)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("passphrase or key is wrong"),
        "{}",
        told(&output)
    );
    // Nothing of a conversation can be read in the folder.
    assert_no_trace(&world.home("anna"), "anna");
}

fn assert_no_trace(home: &Path, name: &str) {
    for entry in std::fs::read_dir(home).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let found = bytes
            .windows(name.len())
            .any(|window| window == name.as_bytes());
        // The path of the key file, which a person chose, stands in the settings.
        let text = String::from_utf8_lossy(&bytes);
        assert!(!found || text.contains("key-file"), "{name}");
    }
}
