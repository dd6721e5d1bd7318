//! The real binary: codes come out one a line, or a sentence that says what to do.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn sordino() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sordino"));
    command.env_remove("SORDINO_OPERATOR_KEY_FILE");
    command.env_remove("CREDENTIALS_DIRECTORY");
    command
}

fn invitations(config: &Path, arguments: &[&str]) -> Output {
    let mut command = sordino();
    command.args(["invitations", "--config"]).arg(config);
    command.args(arguments).output().unwrap()
}

fn write_config(folder: &Path, more: &str) -> std::path::PathBuf {
    let file = folder.join("sordino.toml");
    let data = folder.join("data");
    let data = data.display();
    let text = format!(
        "domain = \"hub.example.org\"\nlisten = \"127.0.0.1:0\"\ndata_dir = \"{data}\"\n{more}"
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty(), "what is no code is no output");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn codes_are_printed_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "");
    let early = refusal(&invitations(&config, &[]));
    assert!(
        early.contains("operator.key") && early.contains("first time"),
        "{early}"
    );
    let mut child = sordino()
        .args(["serve", "--config"])
        .arg(&config)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines
            .map_while(Result::ok)
            .any(|line| line.contains("listening"))
    );
    let output = invitations(&config, &["--count", "20", "--days", "7"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let codes: BTreeSet<&str> = text.lines().collect();
    assert_eq!(codes.len(), 20);
    assert!(
        codes
            .iter()
            .all(|code| code.len() == 53 && !code.contains(' '))
    );
}

#[test]
fn where_codes_serve_nobody_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "[accounts]\nregistration = \"closed\"\n");
    let refused = refusal(&invitations(&config, &[]));
    assert!(refused.contains("[accounts] registration"), "{refused}");
    let config = write_config(folder.path(), "");
    let refused = refusal(&invitations(&config, &["--days", "400"]));
    assert!(refused.contains("days: 400"), "{refused}");
    let refused = refusal(&invitations(&config, &["--count", "0"]));
    assert!(refused.contains("count: 0"), "{refused}");
}
