//! What is secret is not printed.

use crate::support::{Hub, NOW_S};
use sordino_tokens::{Due, IssueError, SpendProof, TokenClass, TokenFault, TokenType, parse_token};

#[test]
fn debug_of_what_holds_secrets_prints_its_type_alone() {
    let mut hub = Hub::new();
    let draw = hub.draw(TokenType::VoprfRistretto255, 2);
    assert_eq!(format!("{draw:?}"), "Draw(..)");
    let token = hub.token(TokenType::VoprfRistretto255);
    assert_eq!(format!("{token:?}"), "Token(..)");
    let fields = parse_token(token.as_bytes()).unwrap();
    assert_eq!(format!("{fields:?}"), "TokenFields(..)");
    let key = hub.key(TokenType::BlindRsa);
    assert_eq!(format!("{key:?}"), "IssuerKey(..)");
    assert_eq!(
        format!("{:?}", key.to_stored().unwrap()),
        "StoredIssuerKey(..)"
    );
    assert_eq!(format!("{:?}", hub.keys), "IssuerKeys(3 keys)");
    let recognised = hub
        .keys
        .recognise(token.as_bytes(), &hub.allowed, NOW_S)
        .unwrap();
    assert_eq!(format!("{recognised:?}"), "RecognisedToken(..)");
    let due = Due {
        class: TokenClass::Write,
        tokens: 1,
    };
    let tokens = [token.as_bytes()];
    assert!(
        hub.keys
            .recognise_payment(SpendProof::Tokens(&tokens), due, &hub.allowed, NOW_S)
            .is_ok()
    );
}

#[test]
fn faults_and_refusals_have_different_statuses() {
    let fault = IssueError::from(TokenFault);
    assert_eq!(fault.status(), 500);
}
