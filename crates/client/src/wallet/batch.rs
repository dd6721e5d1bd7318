//! Owns how a batch is made: from a secret that all devices of the user have, so that each of them
//! draws the same tokens (decision 0059), and which of them are whose.
//!
//! Invariant: the same secret and the same key give the same request, byte for byte.

use crate::error::{ClientError, Result};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sordino_crypto::{UserSecret, sha256};
use sordino_tokens::{Draw, DrawRefused, ListedKey, TokenChallenge, TokenType};
use sordino_wire::{Domain, IdentifierUri, TokenClass};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::Zeroizing;

/// The type of tokens that accounts draw.
pub(crate) const DRAWN_TYPE: TokenType = TokenType::VoprfRistretto255;

/// Names a batch: one per account.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, TlsSerialize, TlsSize, TlsDeserializeBytes,
)]
pub(crate) struct BatchId {
    pub(crate) class: TokenClass,
    pub(crate) epoch: u64,
}

/// A class, as the crate of tokens names it.
pub(crate) fn listed_class(class: TokenClass) -> sordino_tokens::TokenClass {
    match class {
        TokenClass::Write => sordino_tokens::TokenClass::Write,
        TokenClass::Contact => sordino_tokens::TokenClass::Contact,
    }
}

/// What a batch is made from.
pub(crate) type Seed = Zeroizing<[u8; 32]>;

/// The seed of the batch that this user draws with a key.
pub(crate) fn seed(secret: &UserSecret, key: &ListedKey) -> Result<Seed> {
    Ok(secret.token_seed(&key.id().0)?)
}

/// The draw of a batch.
pub(crate) fn draw(seed: &Seed, domain: &Domain, key: &ListedKey, count: usize) -> Result<Draw> {
    let mut rng = ChaCha20Rng::from_seed(**seed);
    let challenge = TokenChallenge::of_hub(DRAWN_TYPE, domain.as_str())
        .map_err(|_| ClientError::OutOfBounds)?;
    Draw::amortised(key, &challenge, count, &mut rng).map_err(refused)
}

/// What an issuer's answer, or its key, is not.
pub(crate) fn refused(_: DrawRefused) -> ClientError {
    ClientError::BadTokens
}

/// Which tokens of a batch are this device's: each has one owner among the devices, and a further
/// device changes the owner of those alone that become its own.
pub(crate) fn own_part(
    key: &ListedKey,
    count: usize,
    own: &IdentifierUri,
    devices: &[IdentifierUri],
) -> Vec<u16> {
    let key_id = key.id().0;
    let weight = |index: u16, device: &IdentifierUri| {
        let name = device.as_str().as_bytes();
        sha256(&[key_id.as_slice(), &index.to_be_bytes(), name].concat()).0
    };
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    let is_own = |index: &u16| {
        let mine = weight(*index, own);
        let mut others = devices.iter().filter(|device| *device != own);
        others.all(|device| weight(*index, device) < mine)
    };
    (0..count).filter(is_own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sordino_wire::Secret32;

    fn key(byte: u8) -> ListedKey {
        // A point of the curve: the base point's multiples are none by chance.
        let point = match byte {
            1 => "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
            _ => "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
        };
        ListedKey {
            type_code: DRAWN_TYPE.code(),
            public_key: data_encoding::HEXLOWER.decode(point.as_bytes()).unwrap(),
            not_before_s: None,
            terms: None,
        }
    }

    fn device(number: u8) -> IdentifierUri {
        IdentifierUri::new(format!("mimi://hub.example/d/{number}")).unwrap()
    }

    #[test]
    fn all_devices_ask_with_the_same_bytes_and_nobody_else_does() {
        let domain = Domain::new("hub.example").unwrap();
        let secret = |byte| UserSecret::new(Secret32::new([byte; 32]));
        let ask = |byte, key: &ListedKey| {
            let seed = seed(&secret(byte), key).unwrap();
            let draw = draw(&seed, &domain, key, 3).unwrap();
            draw.request().unwrap()
        };
        assert_eq!(ask(1, &key(1)), ask(1, &key(1)));
        assert_ne!(ask(1, &key(1)), ask(2, &key(1)));
        assert_ne!(ask(1, &key(1)), ask(1, &key(2)));
    }

    #[test]
    fn every_token_is_of_one_device_and_a_further_one_takes_its_own_alone() {
        let two = [device(1), device(2)];
        let three = [device(1), device(2), device(3)];
        let part =
            |own: u8, devices: &[IdentifierUri]| own_part(&key(1), 100, &device(own), devices);
        let mut all: Vec<u16> = three
            .iter()
            .zip(1u8..)
            .flat_map(|(_, own)| part(own, &three))
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<u16>>());
        for own in [1, 2] {
            let (before, after) = (part(own, &two), part(own, &three));
            assert!(after.len() < before.len() && after.len() > 15);
            assert!(after.iter().all(|index| before.contains(index)));
        }
        // One that is not listed counts itself in.
        assert_eq!(part(3, &two), part(3, &three));
        assert_eq!(part(1, &[]).len(), 100);
    }
}
