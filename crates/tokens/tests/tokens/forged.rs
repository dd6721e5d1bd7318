//! Tokens that are nearly right.

use crate::support::{DAY_S, HUB, Hub, NOW_S, challenge, key, listed, private_key};
use sordino_tokens::{
    AllowedChallenges, Draw, Due, KeyId, SpendProof, Token, TokenChallenge, TokenClass,
    TokenRefused, TokenType,
};
use voprf::{Ristretto255, VoprfServer};

const CURVE_FREE: [TokenRefused; 3] = [
    TokenRefused::Malformed,
    TokenRefused::UnknownKey,
    TokenRefused::Challenge,
];

#[test]
fn every_length_but_the_right_one_is_refused() {
    let mut hub = Hub::new();
    for token_type in TokenType::ALL {
        let token = hub.token(token_type);
        let bytes = token.as_bytes();
        assert_eq!(bytes.len(), token_type.token_bytes());
        for length in 0..bytes.len() {
            assert_eq!(
                hub.verify(&bytes[..length]),
                Err(TokenRefused::Malformed),
                "{length}"
            );
        }
        let longer = [bytes, &[0]].concat();
        assert_eq!(hub.verify(&longer), Err(TokenRefused::Malformed));
        assert_eq!(
            hub.verify(&[bytes, bytes].concat()),
            Err(TokenRefused::Malformed)
        );
    }
}

#[test]
fn every_bit_counts() {
    let mut hub = Hub::new();
    for token_type in TokenType::ALL {
        let token = hub.token(token_type);
        let mut bytes = token.as_bytes().to_vec();
        // A curve operation of type 0x0001 takes a millisecond and more: every seventh bit of what
        // leads to one.
        let step = if token_type == TokenType::VoprfP384 {
            7
        } else {
            1
        };
        for bit in 0..bytes.len() * 8 {
            let is_cheap = (0..2).contains(&(bit / 8)) || (34..98).contains(&(bit / 8));
            if !is_cheap && bit % step != 0 {
                continue;
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
            let refused = hub.verify(&bytes).unwrap_err();
            assert_eq!(refused.status(), 401);
            if is_cheap {
                assert!(CURVE_FREE.contains(&refused), "bit {bit}: {refused:?}");
            } else {
                assert_eq!(refused, TokenRefused::Forged, "bit {bit}");
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(hub.verify(&bytes).is_ok());
    }
}

/// What the key makes of any input, as a client could get it that blinds other things than tokens.
fn made_by_the_key(input: &[u8; 98]) -> Vec<u8> {
    let private = private_key(TokenType::VoprfRistretto255, 3);
    let server = VoprfServer::<Ristretto255>::new_with_key(&private).unwrap();
    [&input[..], &server.evaluate(input).unwrap()].concat()
}

fn input_of(token: &Token) -> [u8; 98] {
    token.as_bytes()[..98].try_into().unwrap()
}

#[test]
fn a_key_is_meant_by_its_whole_id() {
    let mut hub = Hub::new();
    let mut input = input_of(&hub.token(TokenType::VoprfRistretto255));
    assert!(hub.verify(&made_by_the_key(&input)).is_ok());
    for byte in &mut input[66..97] {
        *byte ^= 0xff;
    }
    assert_eq!(
        hub.verify(&made_by_the_key(&input)),
        Err(TokenRefused::UnknownKey)
    );
}

#[test]
fn a_challenge_belongs_to_its_type() {
    let mut hub = Hub::new();
    let mut input = input_of(&hub.token(TokenType::VoprfRistretto255));
    input[34..66].copy_from_slice(&challenge(TokenType::VoprfP384).digest().0);
    assert_eq!(
        hub.verify(&made_by_the_key(&input)),
        Err(TokenRefused::Challenge)
    );
}

#[test]
fn other_challenges_are_refused() {
    let mut hub = Hub::new();
    let token_type = TokenType::VoprfRistretto255;
    let of =
        |issuer, context, origin| TokenChallenge::new(token_type, issuer, context, origin).unwrap();
    for other in [
        of("other.example", None, HUB),
        of(HUB, None, "other.example"),
        of(HUB, None, ""),
        of(HUB, Some([0; 32]), HUB),
        of("hub.exampl", None, "hub.example,hub.example"),
    ] {
        let draw = Draw::single(&hub.listed(token_type), &other, &mut hub.rng).unwrap();
        let answer = hub.answer(&draw);
        let token = draw.finish(&answer).unwrap().pop().unwrap();
        assert_eq!(
            hub.verify(token.as_bytes()),
            Err(TokenRefused::Challenge),
            "{other:?}"
        );
        let mut allowed = AllowedChallenges::default();
        allowed.allow(&other);
        assert!(hub.keys.verify(token.as_bytes(), &allowed, NOW_S).is_ok());
    }
}

#[test]
fn tokens_of_another_hubs_key_are_refused() {
    let mut hub = Hub::new();
    for token_type in TokenType::ALL {
        let other = match token_type {
            // There is one RSA key here.
            TokenType::BlindRsa => continue,
            _ => key(
                token_type,
                TokenClass::Write,
                7,
                &private_key(token_type, 5),
            ),
        };
        let draw = Draw::single(&listed(&other), &challenge(token_type), &mut hub.rng).unwrap();
        let mut others = Hub::new();
        others.keys = sordino_tokens::IssuerKeys::new();
        others.keys.insert(other).unwrap();
        let answer = others.answer(&draw);
        let token = draw.finish(&answer).unwrap().pop().unwrap();
        assert!(others.verify(token.as_bytes()).is_ok());
        assert_eq!(hub.verify(token.as_bytes()), Err(TokenRefused::UnknownKey));
        // Its authenticator under this hub's key id.
        let mut forged = token.as_bytes().to_vec();
        forged[66..98].copy_from_slice(&hub.key(token_type).id().0);
        assert_eq!(hub.verify(&forged), Err(TokenRefused::Forged));
    }
}

#[test]
fn a_token_counts_from_its_epoch_to_two_hours_after() {
    let mut hub = Hub::new();
    let token = hub.token(TokenType::VoprfRistretto255);
    let at = |now_s| hub.keys.verify(token.as_bytes(), &hub.allowed, now_s);
    let (start_s, end_s) = (7 * DAY_S, 8 * DAY_S);
    assert_eq!(at(start_s - 1), Err(TokenRefused::Early));
    assert!(at(start_s).is_ok() && at(end_s - 1).is_ok());
    assert!(at(end_s).is_ok() && at(end_s + 7_199).is_ok());
    assert_eq!(at(end_s + 7_200), Err(TokenRefused::Late));
    assert_eq!(at(u64::MAX), Err(TokenRefused::Late));
}

#[test]
fn tokens_of_another_class_do_not_pay() {
    let mut hub = Hub::new();
    let token = hub.token(TokenType::VoprfRistretto255);
    let tokens = [token.as_bytes()];
    let pay = |class| {
        let due = Due { class, tokens: 1 };
        let proof = SpendProof::Tokens(&tokens);
        hub.keys
            .recognise_payment(proof, due, &hub.allowed, NOW_S)
            .map(|_| ())
    };
    assert_eq!(pay(TokenClass::Write), Ok(()));
    assert_eq!(pay(TokenClass::Contact), Err(TokenRefused::Class));
}

#[test]
fn a_token_of_one_type_is_none_of_another() {
    let mut hub = Hub::new();
    for token_type in TokenType::ALL {
        let bytes = hub.token(token_type).as_bytes().to_vec();
        for other in TokenType::ALL
            .into_iter()
            .filter(|other| *other != token_type)
        {
            let mut changed = bytes.clone();
            changed[..2].copy_from_slice(&other.code().to_be_bytes());
            assert_eq!(hub.verify(&changed), Err(TokenRefused::Malformed));
            changed.resize(other.token_bytes(), 0);
            assert_eq!(hub.verify(&changed), Err(TokenRefused::UnknownKey));
            changed[66..98].copy_from_slice(&hub.key(other).id().0);
            assert_eq!(hub.verify(&changed), Err(TokenRefused::Challenge));
            changed[34..66].copy_from_slice(&challenge(other).digest().0);
            assert_eq!(hub.verify(&changed), Err(TokenRefused::Forged));
        }
    }
}

#[test]
fn rsa_signatures_are_below_the_modulus() {
    let mut hub = Hub::new();
    let token = hub.token(TokenType::BlindRsa);
    let spki = hub.listed(TokenType::BlindRsa).public_key;
    let modulus: [u8; 256] = spki[81..337].try_into().unwrap();
    let mut below = modulus;
    below[255] -= 1;
    let mut one = [0; 256];
    one[255] = 1;
    for signature in [[0; 256], one, below, modulus, [0xff; 256]] {
        let forged = [&token.as_bytes()[..98], &signature].concat();
        assert_eq!(hub.verify(&forged), Err(TokenRefused::Forged));
    }
    // A signature and the modulus, where the sum has room: the same residue, another token.
    let sum = |signature: &[u8]| -> Option<Vec<u8>> {
        let mut carry = 0;
        let digits = signature.iter().zip(&modulus).rev().map(|(a, b)| {
            let sum = u16::from(*a) + u16::from(*b) + carry;
            carry = sum >> 8;
            (sum & 0xff) as u8
        });
        let mut digits: Vec<u8> = digits.collect();
        digits.reverse();
        (carry == 0).then_some(digits)
    };
    let mut found = false;
    for _ in 0..64 {
        let token = hub.token(TokenType::BlindRsa);
        if let Some(sum) = sum(&token.as_bytes()[98..]) {
            let forged = [&token.as_bytes()[..98], &sum].concat();
            assert_eq!(hub.verify(&forged), Err(TokenRefused::Forged));
            found = true;
            break;
        }
    }
    assert!(found, "a quarter of all signatures have room");
}

#[test]
fn unknown_types_are_refused_at_any_length() {
    let hub = Hub::new();
    for code in [
        0x0000u16, 0x0003, 0x0004, 0x0006, 0x02aa, 0xda7a, 0xf91a, 0xffff,
    ] {
        for token_type in TokenType::ALL {
            let mut bytes = vec![0; token_type.token_bytes()];
            bytes[..2].copy_from_slice(&code.to_be_bytes());
            assert_eq!(
                hub.verify(&bytes),
                Err(TokenRefused::Malformed),
                "{code:04x}"
            );
        }
    }
}

#[test]
fn the_set_of_a_key_is_named_by_its_id() {
    let mut hub = Hub::new();
    let token = hub.token(TokenType::VoprfRistretto255);
    let verified = hub.verify(token.as_bytes()).unwrap();
    let id = KeyId(token.as_bytes()[66..98].try_into().unwrap());
    assert_eq!(verified.key_id, id);
    assert_eq!(verified.spend_set.0, id.0[..8]);
    assert_eq!((verified.class, verified.epoch), (TokenClass::Write, 7));
}
