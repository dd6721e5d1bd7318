//! Which crate may link which. Three rules make claims checkable: what stores cannot link what
//! seals, what decides cannot do I/O, and what knows groups and what knows people do not know each other.
//!
//! Normal dependencies count, transitively; those of tests and build scripts do not.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// A crate, and what it must not link. `*` at the end stands for any rest.
const RULES: [(&str, &[&str]); 11] = [
    (
        "sordino-wire",
        &[
            "sordino-*",
            "openmls*",
            "tokio",
            "mio",
            "axum",
            "hyper",
            "redb",
        ],
    ),
    (
        "sordino-crypto",
        &[
            "sordino-store",
            "sordino-rules",
            "sordino-effects",
            "sordino-hub",
            "sordino-accounts",
            "sordino-server",
            "sordino-client",
            "openmls",
            "tokio",
            "mio",
            "axum",
            "hyper",
            "redb",
        ],
    ),
    (
        "sordino-rules",
        &[
            "sordino-store",
            "sordino-effects",
            "sordino-hub",
            "sordino-accounts",
            "sordino-server",
            "sordino-client",
            "tokio",
            "mio",
            "axum",
            "hyper",
            "redb",
        ],
    ),
    (
        "sordino-effects",
        &[
            "sordino-store",
            "sordino-rules",
            "sordino-tokens",
            "sordino-limiter",
            "sordino-hub",
            "sordino-accounts",
            "sordino-server",
            "sordino-client",
            "openmls",
            "tokio",
            "mio",
            "axum",
            "hyper",
            "redb",
        ],
    ),
    (
        "sordino-limiter",
        &[
            "sordino-store",
            "sordino-rules",
            "sordino-tokens",
            "sordino-hub",
            "sordino-accounts",
            "sordino-server",
            "sordino-client",
            "openmls",
            "tokio",
            "mio",
            "axum",
            "hyper",
            "redb",
        ],
    ),
    (
        "sordino-tokens",
        &[
            "sordino-crypto",
            "sordino-rules",
            "sordino-store",
            "sordino-effects",
            "sordino-limiter",
            "sordino-hub",
            "sordino-accounts",
            "sordino-server",
            "sordino-client",
            "openmls*",
            "privacypass",
            "tokio",
            "mio",
            "axum",
            "hyper",
            "redb",
        ],
    ),
    (
        "sordino-accounts",
        &[
            "sordino-store",
            "sordino-tokens",
            "sordino-limiter",
            "sordino-hub",
            "sordino-rules",
            "sordino-server",
            "sordino-client",
            "openmls",
            "tokio",
            "mio",
            "socket2",
            "axum",
            "hyper",
            "reqwest",
            "redb",
        ],
    ),
    (
        "sordino-hub",
        &[
            "sordino-store",
            "sordino-tokens",
            "sordino-limiter",
            "sordino-accounts",
            "sordino-server",
            "sordino-client",
            "tokio",
            "mio",
            "socket2",
            "axum",
            "hyper",
            "hyper-util",
            "h2",
            "reqwest",
            "ureq",
            "tungstenite",
            "rustls",
            "redb",
            "tempfile",
        ],
    ),
    (
        "sordino-store",
        &[
            "sordino-crypto",
            "sordino-rules",
            "sordino-effects",
            "sordino-tokens",
            "sordino-limiter",
            "sordino-hub",
            "sordino-accounts",
            "sordino-server",
            "sordino-client",
            "openmls*",
            "axum",
            "hyper",
            "reqwest",
        ],
    ),
    ("sordino-server", &["sordino-client"]),
    (
        "sordino-client",
        &[
            "sordino-effects",
            "sordino-hub",
            "sordino-accounts",
            "sordino-store",
            "sordino-server",
            "axum",
        ],
    ),
];

/// Members without a rule of their own: the binary and what only tests and measures.
const FREE: [&str; 7] = [
    "sordino",
    "sordino-tests",
    "sordino-oracle",
    "sordino-benches",
    "sordino-fuzz",
    "sordino-lab",
    "sordino-world",
];

/// The second MLS stack judges the first, in tests alone.
const TESTS_ALONE: &str = "mls-rs*";

struct Graph {
    members: BTreeSet<String>,
    /// Package name to the names of its normal dependencies.
    edges: BTreeMap<String, BTreeSet<String>>,
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let version = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc runs");
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    // What only other platforms need may not have been downloaded.
    let base = [
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        host,
    ];
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&cargo);
        command
            .current_dir(crate::root())
            .args(base)
            .args(arguments);
        command.output().expect("cargo runs")
    };
    let mut output = run(&["--offline"]);
    if !output.status.success() {
        output = run(&[]);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} is a string"))
}

fn array<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("{key} is an array"))
}

fn graph() -> Graph {
    let metadata = metadata();
    let names: BTreeMap<&str, &str> = array(&metadata, "packages")
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let members = array(&metadata, "workspace_members")
        .iter()
        .map(|id| names[id.as_str().unwrap()].to_owned())
        .collect();
    // Two versions of one package share a name; their edges are joined, which errs towards refusal.
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in array(&metadata["resolve"], "nodes") {
        let from = edges.entry(names[text(node, "id")].to_owned()).or_default();
        for dependency in array(node, "deps") {
            let kinds = array(dependency, "dep_kinds");
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                from.insert(names[text(dependency, "pkg")].to_owned());
            }
        }
    }
    Graph { members, edges }
}

/// Every package that `from` links, each with the way to it.
fn reachable(graph: &Graph, from: &str) -> BTreeMap<String, Vec<String>> {
    let mut ways = BTreeMap::new();
    let mut open = vec![vec![from.to_owned()]];
    while let Some(way) = open.pop() {
        for next in graph.edges.get(way.last().unwrap()).into_iter().flatten() {
            if !ways.contains_key(next) && next != from {
                let longer = [way.as_slice(), std::slice::from_ref(next)].concat();
                ways.insert(next.clone(), longer.clone());
                open.push(longer);
            }
        }
    }
    ways
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[test]
fn no_crate_links_what_it_must_not() {
    let graph = graph();
    let mut broken = Vec::new();
    for (name, forbidden) in RULES {
        assert!(graph.members.contains(name), "{name} is not a member");
        for (linked, way) in reachable(&graph, name) {
            if forbidden.iter().any(|pattern| matches(pattern, &linked)) {
                broken.push(way.join(" -> "));
            }
        }
    }
    assert!(broken.is_empty(), "forbidden edges:\n{}", broken.join("\n"));
}

#[test]
fn no_member_links_the_second_mls_stack() {
    let graph = graph();
    for name in &graph.members {
        for (linked, way) in reachable(&graph, name) {
            let way = way.join(" -> ");
            assert!(!matches(TESTS_ALONE, &linked), "{way}");
        }
    }
    assert!(graph.edges.contains_key("mls-rs"), "it is not even there");
}

#[test]
fn every_member_has_a_rule() {
    let graph = graph();
    for name in &graph.members {
        let ruled = RULES.iter().any(|(ruled, _)| ruled == name);
        assert!(ruled || FREE.contains(&name.as_str()), "{name} has no rule");
    }
    for name in ["sordino-tests", "sordino-benches"] {
        assert!(graph.members.contains(name), "{name} is not a member");
    }
}

/// The search sees what it should: a rule that can never fail is no rule.
#[test]
fn the_search_finds_indirect_edges() {
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("x", "c")];
    let mut graph = Graph {
        members: BTreeSet::new(),
        edges: BTreeMap::new(),
    };
    for (from, to) in edges {
        graph
            .edges
            .entry(from.into())
            .or_default()
            .insert(to.into());
    }
    assert_eq!(reachable(&graph, "a")["c"], ["a", "b", "c"]);
    assert!(!reachable(&graph, "a").contains_key("x"));
    assert!(matches("openmls*", "openmls_traits") && !matches("openmls", "openmls_traits"));
}
