//! Issuer keys: how they are kept and which of them may live at once.

use crate::support::{DAY_S, epoch, key, private_key, rng, stored};
use sordino_tokens::{
    Epoch, IssuerKey, IssuerKeys, KeyPurpose, KeySetError, StoredKeyRefused, TokenClass, TokenType,
    parse_stored_key,
};
use std::collections::BTreeSet;

fn purpose(token_type: TokenType, class: TokenClass, day: u64) -> KeyPurpose {
    KeyPurpose {
        class,
        token_type,
        epoch: epoch(day),
    }
}

#[test]
fn a_key_is_kept_whole() {
    for token_type in TokenType::ALL {
        let made =
            IssuerKey::generate(purpose(token_type, TokenClass::Contact, 9), &mut rng(4)).unwrap();
        let kept = made.to_stored().unwrap();
        let again = parse_stored_key(kept.expose()).unwrap();
        assert_eq!(again.purpose(), made.purpose());
        assert_eq!(again.public_key(), made.public_key());
        assert_eq!(again.public_key().len(), token_type.public_key_bytes());
        assert_eq!(again.id(), made.id());
        assert_eq!(again.to_stored().unwrap().expose(), kept.expose());
    }
}

#[test]
fn keys_are_random() {
    for token_type in [TokenType::VoprfRistretto255, TokenType::VoprfP384] {
        let purpose = purpose(token_type, TokenClass::Write, 1);
        let make = |seed| *IssuerKey::generate(purpose, &mut rng(seed)).unwrap().id();
        assert_ne!(make(1), make(2));
        let mut one = rng(1);
        let first = *IssuerKey::generate(purpose, &mut one).unwrap().id();
        assert_ne!(first, *IssuerKey::generate(purpose, &mut one).unwrap().id());
    }
}

#[test]
fn damaged_keys_are_refused() {
    for token_type in TokenType::ALL {
        let good = stored(
            token_type,
            TokenClass::Write,
            epoch(1),
            &private_key(token_type, 3),
        );
        assert!(parse_stored_key(&good).is_ok());
        for length in 0..good.len() {
            assert_eq!(
                parse_stored_key(&good[..length]).map(|_| ()),
                Err(StoredKeyRefused)
            );
        }
        let longer = [&good[..], &[0]].concat();
        assert_eq!(parse_stored_key(&longer).map(|_| ()), Err(StoredKeyRefused));
        // Version, type, class.
        for (at, byte) in [(0, 0), (0, 2), (1, 1), (2, 3), (3, 0), (3, 3)] {
            let mut other = good.clone();
            other[at] = byte;
            assert_eq!(
                parse_stored_key(&other).map(|_| ()),
                Err(StoredKeyRefused),
                "{at}"
            );
        }
        // An epoch that ends when it begins.
        let mut other = good.clone();
        other.copy_within(12..20, 20);
        assert_eq!(parse_stored_key(&other).map(|_| ()), Err(StoredKeyRefused));
    }
}

#[test]
fn private_keys_that_are_none_are_refused() {
    let refused = |token_type, private: &[u8]| {
        let bytes = stored(token_type, TokenClass::Write, epoch(1), private);
        assert_eq!(parse_stored_key(&bytes).map(|_| ()), Err(StoredKeyRefused));
    };
    refused(TokenType::VoprfRistretto255, &[0; 32]);
    refused(TokenType::VoprfRistretto255, &[0xff; 32]);
    refused(TokenType::VoprfP384, &[0; 48]);
    refused(TokenType::VoprfP384, &[0xff; 48]);
    let primes = private_key(TokenType::BlindRsa, 0);
    let p = &primes[..128];
    refused(TokenType::BlindRsa, &[0; 256]);
    refused(TokenType::BlindRsa, &[p, p].concat());
    let mut even = primes.clone();
    even[127] &= 0xfe;
    refused(TokenType::BlindRsa, &even);
    for number in [1, 3] {
        let mut short = [0; 128];
        short[127] = number;
        refused(TokenType::BlindRsa, &[p, &short].concat());
        refused(TokenType::BlindRsa, &[&short, p].concat());
    }
}

#[test]
fn a_fourth_key_of_a_kind_does_not_live() {
    let token_type = TokenType::VoprfRistretto255;
    let mut keys = IssuerKeys::new();
    let mut random = rng(1);
    for day in 1..=3 {
        for class in TokenClass::ALL {
            keys.generate(purpose(token_type, class, day), &mut random)
                .unwrap();
        }
    }
    for class in TokenClass::ALL {
        let refused = keys.generate(purpose(token_type, class, 4), &mut random);
        assert_eq!(refused.map(|_| ()), Err(KeySetError::TooMany));
        let key = IssuerKey::generate(purpose(token_type, class, 4), &mut random).unwrap();
        assert_eq!(keys.insert(key), Err(KeySetError::TooMany));
    }
    assert_eq!(keys.iter().count(), 6);
    // Another type has places of its own, and one that goes makes place.
    keys.generate(
        purpose(TokenType::VoprfP384, TokenClass::Write, 4),
        &mut random,
    )
    .unwrap();
    let oldest = *keys.iter().next().unwrap().id();
    assert!(keys.retire(&oldest) && !keys.retire(&oldest));
    keys.generate(purpose(token_type, TokenClass::Write, 4), &mut random)
        .unwrap();
    assert!(keys.by_id(token_type, &oldest.0).is_none());
}

#[test]
fn one_time_has_one_key() {
    let token_type = TokenType::VoprfRistretto255;
    let mut keys = IssuerKeys::new();
    let mut random = rng(1);
    keys.generate(purpose(token_type, TokenClass::Write, 5), &mut random)
        .unwrap();
    let other = |number, start_s, end_s| KeyPurpose {
        epoch: Epoch::new(number, start_s, end_s).unwrap(),
        ..purpose(token_type, TokenClass::Write, 5)
    };
    for taken in [
        other(6, 6 * DAY_S - 1, 7 * DAY_S),
        other(4, 4 * DAY_S, 5 * DAY_S + 1),
        other(9, 0, 100 * DAY_S),
        other(5, 6 * DAY_S, 7 * DAY_S),
    ] {
        let refused = keys.generate(taken, &mut random).map(|_| ());
        assert_eq!(refused, Err(KeySetError::EpochTaken), "{taken:?}");
    }
    keys.generate(purpose(token_type, TokenClass::Contact, 5), &mut random)
        .unwrap();
}

#[test]
fn truncated_ids_are_free_or_refused() {
    let token_type = TokenType::VoprfRistretto255;
    let mut keys = IssuerKeys::new();
    let first = key(
        token_type,
        TokenClass::Write,
        1,
        &private_key(token_type, 1),
    );
    let truncated = first.id().truncated();
    keys.insert(first).unwrap();
    // Somebody else's key with the same last byte, of another class and type even.
    let twin = |token_type, class| {
        let candidates = (2..=255u8).chain(2..=255);
        let made = candidates.enumerate().map(|(i, seed)| {
            let mut private = private_key(token_type, seed);
            private[1] = (i / 254) as u8;
            key(token_type, class, 2, &private)
        });
        made.into_iter()
            .find(|key| key.id().truncated() == truncated)
    };
    for (token_type, class) in [
        (token_type, TokenClass::Write),
        (token_type, TokenClass::Contact),
    ] {
        let twin = twin(token_type, class).expect("one of 508 has the same byte");
        assert_eq!(keys.insert(twin), Err(KeySetError::TruncatedIdTaken));
    }
    assert_eq!(keys.iter().count(), 1);
}

/// 10,000 keys come and go; no two that live at once share a last byte.
#[test]
fn ten_thousand_rotations_without_a_collision() {
    let token_type = TokenType::VoprfRistretto255;
    let mut keys = IssuerKeys::new();
    let mut random = rng(7);
    for day in 1..=5_000 {
        for class in TokenClass::ALL {
            keys.generate(purpose(token_type, class, day), &mut random)
                .unwrap();
        }
        let last_bytes: BTreeSet<u8> = keys.iter().map(|key| key.id().truncated()).collect();
        assert_eq!(last_bytes.len(), keys.iter().count());
        if keys.iter().count() == 6 {
            let oldest: Vec<_> = keys.iter().take(2).map(|key| *key.id()).collect();
            assert!(oldest.iter().all(|id| keys.retire(id)));
        }
    }
}

#[test]
fn a_copy_of_the_set_keeps_what_the_other_retires() {
    let token_type = TokenType::VoprfRistretto255;
    let mut keys = IssuerKeys::new();
    let made = keys
        .generate(purpose(token_type, TokenClass::Write, 1), &mut rng(1))
        .unwrap();
    let in_use = keys.clone();
    assert!(keys.retire(made.id()));
    assert!(keys.by_id(token_type, &made.id().0).is_none());
    assert!(in_use.by_id(token_type, &made.id().0).is_some());
}
