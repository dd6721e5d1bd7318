//! The real binary: what it prints, how it refuses, how it stops.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn sordino() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sordino"));
    command.env_remove("SORDINO_OPERATOR_KEY_FILE");
    command.env_remove("CREDENTIALS_DIRECTORY");
    command
}

fn run(arguments: &[&str]) -> Output {
    sordino().args(arguments).output().unwrap()
}

/// A server for development, once it tells its address.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(folder: &Path) -> Self {
        let mut child = sordino()
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.split("http://").nth(1).map(str::to_owned));
        Self {
            child,
            address: address.unwrap(),
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A request that is with its handler and waits for a body that does not come.
    fn request_under_way(&self) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = "POST /streams HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\n\
             content-type: application/octet-stream\r\ncontent-length: 512\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).unwrap();
        stream
    }

    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut errors = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut errors).unwrap();
        (status.code(), errors)
    }
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let serving = Serving::start(folder.path().join(signal).as_path());
        assert!(serving.get("/readyz").starts_with("HTTP/1.1 200 "));
        serving.signal(signal);
        let (code, errors) = serving.end();
        assert_eq!(code, Some(0), "{errors}");
    }
}

#[test]
fn no_image_of_its_memory_is_left_on_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path());
    let path = format!("/proc/{}/limits", serving.child.id());
    let limits = std::fs::read_to_string(path).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let numbers: Vec<&str> = core.unwrap().split_whitespace().skip(4).collect();
    assert_eq!(numbers, ["0", "0", "bytes"]);
    serving.signal("-TERM");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn a_second_signal_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path());
    let _under_way = serving.request_under_way();
    serving.signal("-TERM");
    while TcpStream::connect(&serving.address).is_ok() {
        std::thread::yield_now();
    }
    serving.signal("-TERM");
    let (code, errors) = serving.end();
    assert_eq!(code, Some(130), "{errors}");
}

#[test]
fn a_killed_server_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(folder.path());
    let before = serving.get("/.well-known/mimi-protocol-directory");
    let listen = serving.address.clone();
    serving.child.kill().unwrap();
    serving.end();
    // The domain of a server for development is its address.
    let refused = sordino()
        .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(errors.contains("belongs to the domain"), "{errors}");

    let mut child = sordino()
        .args(["serve", "--dev", "--listen", &listen, "--data-dir"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(&listen)));
    let serving = Serving {
        child,
        address: listen,
    };
    let key = |directory: &str| {
        directory
            .split("hub_signature_key")
            .nth(1)
            .map(str::to_owned)
    };
    let after = serving.get("/.well-known/mimi-protocol-directory");
    assert!(key(&before).is_some());
    assert_eq!(key(&after), key(&before));
    serving.signal("-TERM");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn the_configuration_can_be_checked() {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/sordino.example.toml"
    );
    let output = run(&["serve", "--check", "--config", example]);
    assert_eq!(output.status.code(), Some(0));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(&file, "domain = \"a.example\"\ncolour = \"blue\"\n").unwrap();
    let output = run(&["serve", "--check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors.contains("colour") && errors.contains("line 2"),
        "{errors}"
    );
}

#[test]
fn the_command_line_is_checked() {
    for arguments in [
        ["serve", "--colour"].as_slice(),
        &["serve"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["serve", "--dev", "--config", "file.toml"],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    // Development is no way around TLS.
    let output = run(&["serve", "--check", "--dev", "--listen", "192.0.2.1:80"]);
    assert_eq!(output.status.code(), Some(1));
    let help = run(&["serve", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("--accept-lost-deliveries"));
}
