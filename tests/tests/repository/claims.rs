//! Every claim of the threat model names a test that exists, or says why there is none yet.

use crate::lexer::{Token, tokens};
use serde::Deserialize;
use std::collections::BTreeSet;

const ADVERSARIES: [&str; 11] = ["S0", "S1", "S2", "S3", "M", "H", "A", "F", "I", "C", "X"];
/// A network observer is no adversary of the stored state, but has claims too.
const NETWORK: &str = "N";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    claim: Vec<Claim>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    id: String,
    adversary: String,
    claim: String,
    test: Option<String>,
    open: Option<String>,
}

fn claims() -> Vec<Claim> {
    let text = std::fs::read_to_string(crate::root().join("spec-notes/claims.toml")).unwrap();
    toml::from_str::<Claims>(&text)
        .expect("spec-notes/claims.toml")
        .claim
}

/// The README's table stands between these lines.
const TABLE_BEGINS: &str = "<!-- claims: from spec-notes/claims.toml -->";
const TABLE_ENDS: &str = "<!-- end of claims -->";
/// With this variable set, the test writes the table instead of comparing it.
const WRITE: &str = "SORDINO_WRITE_README";

/// What the README says of all claims: one row each.
fn table() -> String {
    let claims = claims();
    let tested = claims.iter().filter(|claim| claim.test.is_some()).count();
    let mut table = format!(
        "{tested} of {} claims have a test.\n\n| | claim | test |\n| --- | --- | --- |\n",
        claims.len()
    );
    for claim in claims {
        let test = match (claim.test, claim.open) {
            (Some(test), _) => {
                let (path, name) = test.rsplit_once("::").expect("path::name");
                format!("[`{name}`]({path})")
            }
            (None, open) => format!("open: {}", open.unwrap_or_default()),
        };
        table.push_str(&format!("| {} | {} | {test} |\n", claim.id, claim.claim));
    }
    table
}

#[test]
fn the_readmes_table_is_that_of_the_claims() {
    let path = crate::root().join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(TABLE_BEGINS).expect("the table begins");
    let (_, after) = rest.split_once(TABLE_ENDS).expect("the table ends");
    let expected = format!("{before}{TABLE_BEGINS}\n{}{TABLE_ENDS}{after}", table());
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, expected).unwrap();
    } else {
        assert!(
            text == expected,
            "the README's table of claims is not that of claims.toml; {WRITE}=1 writes it"
        );
    }
}

/// Whether a source text has a function of this name under a test attribute, or in `proptest!`.
fn has_test(text: &str, name: &str) -> bool {
    let tokens = tokens(text);
    let word = |text: &str| Token::Name(text.into());
    let declared = tokens
        .windows(2)
        .position(|pair| pair == [word("fn"), word(name)]);
    let Some(declared) = declared else {
        return false;
    };
    // The attributes stand between the end of the item before and the function.
    let begins = tokens[..declared]
        .iter()
        .rposition(|t| matches!(t, Token::Mark('}' | ';')))
        .unwrap_or(0);
    tokens[begins..declared].contains(&word("test"))
}

#[test]
fn claims_are_complete_and_honest() {
    let claims = claims();
    let mut ids = BTreeSet::new();
    for claim in &claims {
        let id = &claim.id;
        assert!(ids.insert(id.clone()), "{id} occurs twice");
        let adversary = claim.adversary.as_str();
        assert!(
            ADVERSARIES.contains(&adversary) || adversary == NETWORK,
            "{id}: {adversary}"
        );
        assert!(
            id.starts_with(&format!("{adversary}-")),
            "{id} belongs to {adversary}"
        );
        assert!(claim.claim.len() > 10, "{id} claims nothing");
        let said = claim.open.as_ref().is_none_or(|reason| reason.len() > 10);
        assert!(said, "{id}: a reason is missing");
        let one = claim.test.is_some() != claim.open.is_some();
        assert!(one, "{id}: either a test or the reason why it is open");
    }
    for adversary in ADVERSARIES.iter().chain(&[NETWORK]) {
        let known = claims.iter().any(|claim| claim.adversary == *adversary);
        assert!(known, "nothing is claimed about {adversary}");
    }
}

#[test]
fn tests_that_claims_name_exist() {
    for claim in claims() {
        let Some(test) = claim.test else { continue };
        let (path, name) = test.rsplit_once("::").expect("path::name");
        let text = std::fs::read_to_string(crate::root().join(path))
            .unwrap_or_else(|error| panic!("{}: {path}: {error}", claim.id));
        assert!(
            has_test(&text, name),
            "{}: {path} has no test {name}",
            claim.id
        );
    }
}

#[test]
fn the_search_tells_tests_from_other_functions() {
    let text = "fn helper() {} #[test] fn real() {} #[tokio::test] async fn waiting() {}
        // #[test] fn dreamt() {}
        proptest! { #[test] fn random(x: u8) {} }";
    for name in ["real", "waiting", "random"] {
        assert!(has_test(text, name), "{name}");
    }
    for name in ["helper", "dreamt", "absent"] {
        assert!(!has_test(text, name), "{name}");
    }
}
