//! Below the server, time and randomness are arguments, and nothing reaches out: no clock, no
//! operating system's random numbers, no files, no network, no printing.

use crate::lexer::{Token, paths, tokens, without_tests};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Names that must not occur, whatever path leads to them.
const NAMES: [&str; 19] = [
    "SystemTime",
    "Instant",
    "UNIX_EPOCH",
    "OsRng",
    "SysRng",
    "thread_rng",
    "ThreadRng",
    "from_entropy",
    "from_os_rng",
    "try_from_os_rng",
    "getrandom",
    "tokio",
    "reqwest",
    "hyper",
    "println",
    "eprintln",
    "print",
    "eprint",
    "dbg",
];

/// Paths that must not be used, with everything below them.
const PATHS: [&str; 12] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::time::*",
    "std::*",
    "std as",
];

/// What one crate may do beside that, and in which of its files.
struct Allowed {
    name: &'static str,
    /// The beginning of a path inside `src`; empty stands for all files.
    file: &'static str,
}

struct Rule {
    krate: &'static str,
    allowed: &'static [Allowed],
}

const RULES: [Rule; 8] = [
    Rule {
        krate: "wire",
        allowed: &[],
    },
    Rule {
        krate: "crypto",
        allowed: &[],
    },
    Rule {
        krate: "rules",
        allowed: &[],
    },
    Rule {
        krate: "tokens",
        allowed: &[],
    },
    Rule {
        krate: "effects",
        allowed: &[],
    },
    Rule {
        krate: "hub",
        allowed: &[],
    },
    Rule {
        krate: "accounts",
        allowed: &[],
    },
    Rule {
        krate: "store",
        allowed: &[
            // The writer is a thread, its callers wait for it on channels.
            Allowed {
                name: "std::thread",
                file: "redb_store/",
            },
            Allowed {
                name: "tokio",
                file: "",
            },
            // The one place that opens the file.
            Allowed {
                name: "std::fs",
                file: "redb_store/open.rs",
            },
            Allowed {
                name: "std::os",
                file: "redb_store/open.rs",
            },
        ],
    },
];

fn violations(text: &str, modules: &mut Vec<String>) -> BTreeSet<String> {
    let code = without_tests(&tokens(text), modules);
    let names = code.iter().filter_map(|token| match token {
        Token::Name(name) if NAMES.contains(&name.as_str()) => Some(name.clone()),
        _ => None,
    });
    let written = paths(&code);
    let forbidden = PATHS.iter().filter(|path| {
        let below = format!("{path}::");
        written.iter().any(|w| w == *path || w.starts_with(&below))
    });
    names.chain(forbidden.map(|p| (*p).to_owned())).collect()
}

/// The files of a module that only tests see: `name.rs` and `name/` beside its declaration.
fn module_files(declared_in: &Path, name: &str) -> [PathBuf; 2] {
    let stem = declared_in.file_stem().unwrap().to_string_lossy();
    let folder = declared_in.parent().unwrap();
    let folder = match stem.as_ref() {
        "lib" | "main" | "mod" => folder.to_path_buf(),
        other => folder.join(other),
    };
    [folder.join(format!("{name}.rs")), folder.join(name)]
}

#[test]
fn sources_below_the_server_do_not_touch_the_world() {
    let mut broken = Vec::new();
    for rule in RULES {
        let source = crate::root().join("crates").join(rule.krate).join("src");
        let mut found = Vec::new();
        let mut only_tests = Vec::new();
        for path in crate::files_below(&source, "rs") {
            let mut modules = Vec::new();
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path.clone(), violations(&text, &mut modules)));
            only_tests.extend(modules.iter().flat_map(|name| module_files(&path, name)));
        }
        assert!(!found.is_empty(), "{} has no sources", rule.krate);
        for (path, violations) in found {
            if only_tests.iter().any(|tests| path.starts_with(tests)) {
                continue;
            }
            let inside = path
                .strip_prefix(&source)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            for name in violations {
                let allowed = rule.allowed.iter();
                let mut allowed = allowed.filter(|a| a.name == name);
                if !allowed.any(|a| inside.starts_with(a.file)) {
                    broken.push(format!("{}: {name} in {inside}", rule.krate));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_search_sees_what_it_should() {
    let seen = |text: &str| violations(text, &mut Vec::new());
    for text in [
        "let t = std::time::Instant::now();",
        "use std::time; fn f() { time::SystemTime::now(); }",
        "use std::{io::Write, fs};",
        "use std::fs::File;",
        "use std::time::*;",
        "use std as s;",
        "rand::thread_rng().fill(x)",
        "use rand_core::OsRng as R;",
        "getrandom::fill(&mut x)",
        "let mut g = StdRng::from_os_rng();",
        "std::env::var(name)",
        "println!(\"{}\", x)",
        "std :: net :: TcpStream :: connect(a)",
    ] {
        assert!(!seen(text).is_empty(), "{text}");
    }
    for text in [
        "use std::time::Duration; // not an Instant",
        "/* std::fs */ let text = \"std::fs::File\";",
        "#[cfg(test)] mod tests { use rand_core::OsRng; }",
        "use std::io::Write; fn fs(net: u8) {}",
        "use std::{fmt, collections::BTreeMap};",
    ] {
        assert!(seen(text).is_empty(), "{text}: {:?}", seen(text));
    }
}
