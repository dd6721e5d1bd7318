//! Documents say what is there: links lead to files, and the README's test command is the one that
//! the continuous integration runs.

use std::path::Path;

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let after_text = text.split("](").skip(1);
    let targets = after_text.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.map(str::to_owned).collect()
}

#[test]
fn links_lead_to_files() {
    let root = crate::root();
    for file in crate::files_below(&root, "md") {
        let text = std::fs::read_to_string(&file).unwrap();
        for link in links(&text) {
            if link.contains("://") || link.starts_with('#') || link.starts_with("mailto:") {
                continue;
            }
            let path = link.split('#').next().unwrap();
            let target = file.parent().unwrap().join(path);
            assert!(target.exists(), "{}: {link}", file.display());
        }
    }
}

#[test]
fn the_readme_names_one_test_command() {
    let text = std::fs::read_to_string(crate::root().join("README.md")).unwrap();
    let commands: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("cargo test"))
        .collect();
    assert_eq!(commands, ["cargo test --workspace"]);
    let script = std::fs::read_to_string(crate::root().join(".ci/run")).unwrap();
    assert!(
        script.contains("README.md"),
        "the script reads the command from the README"
    );
}

#[test]
fn licences_are_there_in_full() {
    for (name, sentence) in [
        ("LICENSE-MIT", "THE SOFTWARE IS PROVIDED \"AS IS\""),
        ("LICENSE-APACHE", "END OF TERMS AND CONDITIONS"),
    ] {
        let text = std::fs::read_to_string(crate::root().join(name)).unwrap();
        assert!(text.contains(sentence), "{name}");
    }
}

#[test]
fn links_are_found() {
    assert_eq!(
        links("see [a](b.md) and [c](d/e.md#f), [g] (h)"),
        ["b.md", "d/e.md#f"]
    );
    assert!(Path::new(&crate::root()).join("Cargo.toml").exists());
}
