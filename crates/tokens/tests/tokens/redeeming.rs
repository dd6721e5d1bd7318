//! Payments of several tokens, and what is stored of them.

use crate::support::{Hub, NOW_S};
use sordino_tokens::{Due, SpendProof, Token, TokenClass, TokenRefused, TokenType, parse_token};
use std::collections::BTreeSet;

fn tokens(hub: &mut Hub, count: usize) -> Vec<Token> {
    let draw = hub.draw(TokenType::VoprfRistretto255, count);
    let answer = hub.answer(&draw);
    draw.finish(&answer).unwrap()
}

fn due(tokens: usize) -> Due {
    Due {
        class: TokenClass::Write,
        tokens,
    }
}

fn pay(hub: &Hub, tokens: &[&[u8]], count: usize) -> Result<usize, TokenRefused> {
    let proof = SpendProof::Tokens(tokens);
    let payment = hub
        .keys
        .recognise_payment(proof, due(count), &hub.allowed, NOW_S)?;
    Ok(payment.verify()?.len())
}

#[test]
fn all_tokens_of_a_payment_are_checked_together() {
    let mut hub = Hub::new();
    let drawn = tokens(&mut hub, 5);
    let all: Vec<&[u8]> = drawn.iter().map(Token::as_bytes).collect();
    assert_eq!(pay(&hub, &all, 5), Ok(5));
    assert_eq!(pay(&hub, &all[..4], 5), Err(TokenRefused::Count));
    assert_eq!(pay(&hub, &all, 4), Err(TokenRefused::Count));
    assert_eq!(pay(&hub, &[], 1), Err(TokenRefused::Count));
    let mut forged = drawn[4].as_bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let one_forged = [all[0], all[1], all[2], all[3], &forged];
    assert_eq!(pay(&hub, &one_forged, 5), Err(TokenRefused::Forged));
}

#[test]
fn one_token_does_not_pay_twice_in_one_request() {
    let mut hub = Hub::new();
    let drawn = tokens(&mut hub, 2);
    let twice = [
        drawn[0].as_bytes(),
        drawn[1].as_bytes(),
        drawn[0].as_bytes(),
    ];
    assert_eq!(pay(&hub, &twice, 3), Err(TokenRefused::Twice));
    // Not even with another authenticator, before anybody has looked at it.
    let mut other = drawn[0].as_bytes().to_vec();
    *other.last_mut().unwrap() ^= 1;
    let proof = [drawn[0].as_bytes(), &other];
    let proof = SpendProof::Tokens(&proof);
    let refused = hub
        .keys
        .recognise_payment(proof, due(2), &hub.allowed, NOW_S);
    assert_eq!(refused.map(|_| ()), Err(TokenRefused::Twice));
}

#[test]
fn types_may_be_mixed_in_one_payment() {
    let mut hub = Hub::new();
    let drawn: Vec<Token> = TokenType::ALL.into_iter().map(|t| hub.token(t)).collect();
    let all: Vec<&[u8]> = drawn.iter().map(Token::as_bytes).collect();
    assert_eq!(pay(&hub, &all, 3), Ok(3));
}

#[test]
fn what_is_looked_up_before_the_arithmetic_is_what_is_stored_after() {
    let mut hub = Hub::new();
    let drawn = tokens(&mut hub, 3);
    let all: Vec<&[u8]> = drawn.iter().map(Token::as_bytes).collect();
    let proof = SpendProof::Tokens(&all);
    let payment = hub
        .keys
        .recognise_payment(proof, due(3), &hub.allowed, NOW_S)
        .unwrap();
    let before: Vec<_> = payment.nullifiers().collect();
    let after = payment.verify().unwrap();
    let after: Vec<_> = after
        .iter()
        .map(|token| (token.spend_set, token.nullifier))
        .collect();
    assert_eq!(before, after);
    assert_eq!(BTreeSet::from_iter(before).len(), 3);
}

#[test]
fn a_nullifier_depends_on_every_field_but_the_authenticator() {
    let mut hub = Hub::new();
    let token = hub.token(TokenType::VoprfRistretto255);
    let nullifier = |bytes: &[u8]| parse_token(bytes).unwrap().nullifier();
    let known = nullifier(token.as_bytes());
    let mut bytes = token.as_bytes().to_vec();
    for at in 0..bytes.len() {
        bytes[at] ^= 0x10;
        let is_same = parse_token(&bytes).is_ok_and(|fields| fields.nullifier() == known);
        assert_eq!(is_same, at >= 98, "byte {at}");
        bytes[at] ^= 0x10;
    }
}
