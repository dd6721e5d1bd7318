//! What is secret is not printed.

use crate::support::{Hub, NOW_S};
use sordino_tokens::{Due, IssueError, SpendProof, TokenClass, TokenFault, TokenType, parse_token};
use std::collections::HashSet;

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

/// What an issuer sees of a thousand draws and an origin of their tokens.
#[test]
fn issuance_and_redemption_have_no_bytes_in_common() {
    const WINDOW_BYTES: usize = 6;
    let mut hub = Hub::new();
    let mut issued = HashSet::new();
    let mut see = |bytes: &[u8]| issued.extend(bytes.windows(WINDOW_BYTES).map(<[u8]>::to_vec));
    let mut tokens = Vec::new();
    for _ in 0..1_000 {
        let draw = hub.draw(TokenType::VoprfRistretto255, 1);
        let answer = hub.answer(&draw);
        // Behind type and key, which all share.
        see(&draw.request().unwrap()[3..]);
        see(&answer);
        tokens.append(&mut draw.finish(&answer).unwrap());
    }
    let mut nonces = HashSet::new();
    for token in &tokens {
        let verified = hub.verify(token.as_bytes()).unwrap();
        let (bytes, nullifier) = (token.as_bytes(), verified.nullifier.0);
        for redeemed in [bytes, &nullifier, &verified.spend_set.0] {
            let mut windows = redeemed.windows(WINDOW_BYTES);
            assert!(!windows.any(|window| issued.contains(window)));
        }
        // And nothing but challenge and key is in two tokens.
        assert!(nonces.insert(bytes[2..34].to_vec()) && nonces.insert(bytes[98..130].to_vec()));
    }
}

#[test]
fn faults_and_refusals_have_different_statuses() {
    let fault = IssueError::from(TokenFault);
    assert_eq!(fault.status(), 500);
}
