//! The client's side: interrupted draws, and answers that are not to be believed.

use crate::support::{Hub, challenge, key, private_key, rng};
use sordino_tokens::{
    Draw, DrawRefused, IssuerKeys, RequestForm, Token, TokenClass, TokenType, finish_generic,
    generic_request, parse_amortised_response, parse_stored_draw,
};

const BATCHED: [TokenType; 2] = [TokenType::VoprfRistretto255, TokenType::VoprfP384];

fn as_bytes(tokens: &[Token]) -> Vec<Vec<u8>> {
    tokens
        .iter()
        .map(|token| token.as_bytes().to_vec())
        .collect()
}

fn draws(hub: &mut Hub) -> Vec<Draw> {
    let mut draws: Vec<Draw> = TokenType::ALL.into_iter().map(|t| hub.draw(t, 1)).collect();
    draws.extend(BATCHED.map(|token_type| hub.draw(token_type, 3)));
    draws
}

#[test]
fn a_stored_draw_asks_with_the_same_bytes_and_brings_the_same_tokens() {
    let mut hub = Hub::new();
    for draw in draws(&mut hub) {
        let request = draw.request().unwrap();
        assert_eq!(draw.request().unwrap(), request);
        let stored = draw.to_stored().unwrap();
        // It was written into a buffer of its size: growing leaves copies of secrets behind.
        assert!(stored.capacity() - stored.len() < 8);
        let again = parse_stored_draw(&stored).unwrap();
        assert_eq!(again.request().unwrap(), request);
        assert_eq!((again.form(), again.count()), (draw.form(), draw.count()));
        assert_eq!(again.key_id(), draw.key_id());
        assert_eq!(*again.to_stored().unwrap(), *stored);
        let answer = hub.answer(&draw);
        let tokens = as_bytes(&draw.finish(&answer).unwrap());
        assert_eq!(tokens.len(), draw.count());
        assert_eq!(as_bytes(&again.finish(&answer).unwrap()), tokens);
        // Proofs are random; the tokens of a repeated answer are not.
        let other_answer = hub.answer(&again);
        assert_eq!(as_bytes(&draw.finish(&other_answer).unwrap()), tokens);
        for token in tokens {
            hub.verify(&token).unwrap();
        }
    }
}

#[test]
fn damaged_stored_draws_are_refused() {
    let mut hub = Hub::new();
    for draw in draws(&mut hub) {
        let stored = draw.to_stored().unwrap();
        for length in 0..stored.len() {
            let refused = parse_stored_draw(&stored[..length]).map(|_| ());
            assert_eq!(refused, Err(DrawRefused::Stored), "{length}");
        }
        let longer = [&stored[..], &[0]].concat();
        assert_eq!(
            parse_stored_draw(&longer).map(|_| ()),
            Err(DrawRefused::Stored)
        );
        // Version, form and type.
        for at in 0..4 {
            let mut other = stored.to_vec();
            other[at] ^= 0x40;
            assert_eq!(
                parse_stored_draw(&other).map(|_| ()),
                Err(DrawRefused::Stored),
                "{at}"
            );
        }
        // Three draws in the form of one.
        if draw.count() == 3 {
            let mut other = stored.to_vec();
            other[1] = 1;
            assert_eq!(
                parse_stored_draw(&other).map(|_| ()),
                Err(DrawRefused::Stored)
            );
        }
        // A public key that is none.
        let mut other = stored.to_vec();
        other[4..36].fill(0xff);
        assert_eq!(
            parse_stored_draw(&other).map(|_| ()),
            Err(DrawRefused::Stored)
        );
    }
}

#[test]
fn a_stored_draw_is_of_whole_items() {
    let mut hub = Hub::new();
    let stored = hub.draw(TokenType::VoprfRistretto255, 1).to_stored();
    let stored = stored.unwrap();
    let (before, item) = stored.split_at(4 + 32 + 32);
    assert_eq!(item[..2], [0x40, 96]);
    let longer = [before, &[0x40, 97], &item[2..], &[0]].concat();
    let refused = parse_stored_draw(&longer).map(|_| ());
    assert_eq!(refused, Err(DrawRefused::Stored));
}

#[test]
fn an_answer_to_a_batch_is_of_whole_elements() {
    let token_type = TokenType::VoprfRistretto255;
    let body = |bytes: u8| [&[0x40, bytes][..], &vec![2; usize::from(bytes) + 64]].concat();
    assert!(parse_amortised_response(token_type, &body(64)).is_some());
    assert!(parse_amortised_response(token_type, &body(65)).is_none());
    // No proof covers a batch of blind signatures.
    let signature = [&[0x41, 0x00][..], &[2; 256]].concat();
    assert!(parse_amortised_response(TokenType::BlindRsa, &signature).is_none());
}

#[test]
fn answers_that_were_changed_anywhere_bring_nothing() {
    let mut hub = Hub::new();
    for draw in draws(&mut hub) {
        let answer = hub.answer(&draw);
        for length in 0..answer.len() {
            let refused = draw.finish(&answer[..length]).map(|_| ());
            assert_eq!(refused, Err(DrawRefused::Answer), "{length}");
        }
        let longer = [&answer[..], &[0]].concat();
        assert_eq!(draw.finish(&longer).map(|_| ()), Err(DrawRefused::Answer));
        for at in (0..answer.len()).step_by(23) {
            let mut other = answer.clone();
            other[at] ^= 1;
            let refused = draw.finish(&other).map(|_| ()).unwrap_err();
            assert!(
                matches!(refused, DrawRefused::Proof | DrawRefused::Answer),
                "{refused:?}"
            );
        }
        assert!(draw.finish(&answer).is_ok());
    }
}

#[test]
fn an_answer_belongs_to_its_request() {
    let mut hub = Hub::new();
    for token_type in TokenType::ALL {
        let (one, other) = (hub.draw(token_type, 1), hub.draw(token_type, 1));
        let answer = hub.answer(&other);
        assert_eq!(one.finish(&answer).map(|_| ()), Err(DrawRefused::Proof));
    }
    for token_type in BATCHED {
        let (one, other) = (hub.draw(token_type, 3), hub.draw(token_type, 3));
        let (own, others) = (hub.answer(&one), hub.answer(&other));
        assert_eq!(one.finish(&others).map(|_| ()), Err(DrawRefused::Proof));
        let proof = own.len() - token_type.proof_bytes();
        // The proof of another batch.
        let mixed = [&own[..proof], &others[proof..]].concat();
        assert_eq!(one.finish(&mixed).map(|_| ()), Err(DrawRefused::Proof));
        // Two elements changed places.
        let element = token_type.message_bytes();
        let first = proof - 3 * element;
        let swapped = [
            &own[..first],
            &own[first + element..first + 2 * element],
            &own[first..first + element],
            &own[first + 2 * element..],
        ]
        .concat();
        assert_eq!(swapped.len(), own.len());
        assert_eq!(one.finish(&swapped).map(|_| ()), Err(DrawRefused::Proof));
        // Fewer and more tokens than were asked for.
        let fewer = hub.draw(token_type, 2);
        let fewer = hub.answer(&fewer);
        assert_eq!(one.finish(&fewer).map(|_| ()), Err(DrawRefused::Answer));
        let more = hub.draw(token_type, 4);
        let more = hub.answer(&more);
        assert_eq!(one.finish(&more).map(|_| ()), Err(DrawRefused::Answer));
    }
}

/// A hub that has a key for this one user, and would know it again by its tokens.
#[test]
fn an_answer_made_with_another_key_brings_nothing() {
    let mut hub = Hub::new();
    for token_type in BATCHED {
        for count in [1, 3] {
            let draw = hub.draw(token_type, count);
            let mut request = draw.request().unwrap();
            let other = key(
                token_type,
                TokenClass::Write,
                7,
                &private_key(token_type, 9),
            );
            request[2] = other.id().truncated();
            let mut lying = Hub::new();
            lying.keys = IssuerKeys::new();
            lying.keys.insert(other).unwrap();
            let answer = lying.issue(draw.form(), &request).unwrap().body;
            assert_eq!(draw.finish(&answer).map(|_| ()), Err(DrawRefused::Proof));
        }
    }
}

#[test]
fn challenge_and_key_are_of_one_type() {
    let hub = Hub::new();
    for token_type in TokenType::ALL {
        for other in TokenType::ALL
            .into_iter()
            .filter(|other| *other != token_type)
        {
            let refused = Draw::single(&hub.listed(token_type), &challenge(other), &mut rng(1));
            assert_eq!(refused.map(|_| ()), Err(DrawRefused::Challenge));
        }
    }
}

#[test]
fn only_so_many_are_drawn_at_once() {
    let hub = Hub::new();
    let draw = |token_type, count| {
        let key = hub.listed(token_type);
        Draw::amortised(&key, &challenge(token_type), count, &mut rng(1)).map(|draw| draw.count())
    };
    for token_type in BATCHED {
        assert_eq!(draw(token_type, 0), Err(DrawRefused::Count));
        assert_eq!(draw(token_type, 513), Err(DrawRefused::Count));
        assert_eq!(draw(token_type, 1), Ok(1));
    }
    assert_eq!(draw(TokenType::BlindRsa, 2), Err(DrawRefused::Count));
    assert_eq!(draw(TokenType::VoprfRistretto255, 512), Ok(512));
}

#[test]
fn what_is_no_key_is_not_drawn_with() {
    let hub = Hub::new();
    for token_type in TokenType::ALL {
        let good = hub.listed(token_type);
        let mut bad = Vec::new();
        let mut shorter = good.clone();
        shorter.public_key.pop();
        bad.push(shorter);
        let mut zero = good.clone();
        zero.public_key.fill(0);
        bad.push(zero);
        let mut other_type = good.clone();
        other_type.type_code = 0x02aa;
        bad.push(other_type);
        if token_type == TokenType::BlindRsa {
            // rsaEncryption in the place of id-RSASSA-PSS; another salt; an even modulus; a short one;
            // one of 2049 bits, which is as long when it is encoded.
            for (at, byte) in [(16, 0x01), (66, 32), (336, 0), (81, 0x00), (80, 0x01)] {
                let mut other = good.clone();
                other.public_key[at] = byte;
                bad.push(other);
            }
            // Exponent 3, padded to the right length.
            let mut exponent = good.clone();
            exponent.public_key[339..342].copy_from_slice(&[0, 0, 3]);
            bad.push(exponent);
        } else {
            // What looks like an element and is none: larger than the field.
            let mut large = good.clone();
            large.public_key.fill(0xff);
            large.public_key[0] = 0x02;
            bad.push(large);
        }
        for key in bad {
            let refused = Draw::single(&key, &challenge(token_type), &mut rng(1)).map(|_| ());
            assert_eq!(
                refused,
                Err(DrawRefused::Key),
                "{}",
                hex::encode(&key.public_key)
            );
        }
    }
}

#[test]
fn generic_batches_are_of_single_draws() {
    let mut hub = Hub::new();
    assert_eq!(generic_request(&[]), Err(DrawRefused::Count));
    let batch = hub.draw(TokenType::VoprfRistretto255, 2);
    assert_eq!(generic_request(&[batch]), Err(DrawRefused::Count));
    let pair = [
        hub.draw(TokenType::VoprfRistretto255, 1),
        hub.draw(TokenType::VoprfP384, 1),
    ];
    let answer = hub
        .issue(RequestForm::Generic, &generic_request(&pair).unwrap())
        .unwrap()
        .body;
    let refused =
        |draws: &[Draw], answer: &[u8]| finish_generic(draws, answer).map(|_| ()).unwrap_err();
    assert!(finish_generic(&pair, &answer).is_ok());
    // In the other order, fewer, more, and changed.
    let [one, two] = pair;
    let reversed = [two, one];
    assert_eq!(refused(&reversed, &answer), DrawRefused::Answer);
    assert_eq!(refused(&reversed[..1], &answer), DrawRefused::Answer);
    let [two, one] = reversed;
    let three = [one, two, hub.draw(TokenType::BlindRsa, 1)];
    assert_eq!(refused(&three, &answer), DrawRefused::Answer);
    let mut changed = answer.clone();
    changed[2] = 2;
    assert_eq!(refused(&three[..2], &changed), DrawRefused::Answer);
    *changed.last_mut().unwrap() ^= 1;
    changed[2] = 1;
    assert_eq!(refused(&three[..2], &changed), DrawRefused::Proof);
    for length in 0..answer.len() {
        assert_eq!(refused(&three[..2], &answer[..length]), DrawRefused::Answer);
    }
}

#[test]
fn tokens_can_be_kept_as_bytes() {
    let mut hub = Hub::new();
    for token_type in TokenType::ALL {
        let token = hub.token(token_type);
        let again = Token::from_bytes(token.as_bytes()).unwrap();
        assert_eq!(again.as_bytes(), token.as_bytes());
        assert_eq!(
            (again.token_type(), again.key_id()),
            (token_type, hub.key(token_type).id())
        );
        assert!(Token::from_bytes(&token.as_bytes()[1..]).is_err());
    }
}
