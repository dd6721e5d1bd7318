//! `sordino load` against a hub in another process.

use crate::hub::{Hub, any_port};
use std::process::{Command, Output};

fn load(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sordino"));
    command.arg("load").args(arguments).output().unwrap()
}

#[test]
fn a_short_load_ends_with_figures() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(&folder.path().join("hub"), any_port());
    let (url, csv) = (format!("http://{}", hub.address), folder.path().join("csv"));
    let pid = hub.id().to_string();
    let output = load(&[
        "--hub",
        &url,
        "--mix",
        "churn",
        "--seconds",
        "3",
        "--groups",
        "2",
        "--members",
        "3",
        "--in-flight",
        "6",
        "--readers",
        "4",
        "--pid",
        &pid,
        "--csv",
        csv.to_str().unwrap(),
    ]);
    let told = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}{errors}");
    for word in ["p99 ms", "send", "commit", "MB resident", " 0 failed;"] {
        assert!(told.contains(word), "{word} is not in: {told}");
    }
    let csv = std::fs::read_to_string(csv).unwrap();
    let columns = csv.lines().next().unwrap().split(',').count();
    assert!(csv.lines().count() > 3, "{csv}");
    assert!(csv.lines().all(|line| line.split(',').count() == columns));
}

#[test]
fn what_cannot_be_is_said() {
    for (arguments, words) in [
        (&["--hub", "127.0.0.1:1"][..], "expected a URL"),
        (&["--hub", "http://127.0.0.1:1"], "sordino serve --dev"),
        (&["--domain", "not a domain"], "--domain"),
        (&["--pid", "4194305"], "--pid"),
        (&["--csv", "/no/such/folder/file"], "/no/such/folder/file"),
    ] {
        let output = load(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}
