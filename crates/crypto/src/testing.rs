//! Owns what the unit tests share: fixed secrets, a seeded generator, made-up people.

use crate::{ClientSecret, SigningKey, Slot, UserSecret, make_client_credential, make_credential};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sordino_wire::{
    ClientCredential, Digest, Domain, Freshness, GroupId, IdentifierUri, Nonce,
    PseudonymousCredential, RequestTbs, Secret32,
};

pub(crate) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

pub(crate) fn secret(byte: u8) -> Secret32 {
    Secret32::new([byte; 32])
}

pub(crate) fn domain() -> Domain {
    Domain::new("hub.example").unwrap()
}

pub(crate) fn uri(text: &str) -> IdentifierUri {
    IdentifierUri::new(text).unwrap()
}

pub(crate) fn group_id() -> GroupId {
    GroupId([9; 16])
}

pub(crate) fn slot() -> Slot {
    Slot::Group {
        user_secret_number: 1,
        hub_domain: domain(),
        group_id: group_id(),
        rejoin: 0,
    }
}

pub(crate) fn set_slot() -> Slot {
    Slot::KeyPackageSet {
        user_secret_number: 1,
        pool: [3; 16],
        contact: uri("mimi://hub.example/u/bob"),
        contact_generation: 0,
        counter: 5,
    }
}

pub(crate) fn user_secret() -> UserSecret {
    UserSecret::new(secret(1))
}

pub(crate) fn client_secret() -> ClientSecret {
    ClientSecret::new(secret(2))
}

pub(crate) fn credential() -> PseudonymousCredential {
    make_credential(&domain(), &user_secret(), &client_secret(), &slot(), 0).unwrap()
}

pub(crate) fn client_key() -> SigningKey {
    SigningKey::from_seed(&[11; 32])
}

pub(crate) fn client_credential() -> ClientCredential {
    make_client_credential(
        &uri("mimi://hub.example/u/alice"),
        &uri("mimi://hub.example/d/alice-phone"),
        &client_key(),
        &SigningKey::from_seed(&[12; 32]),
    )
    .unwrap()
}

pub(crate) fn request(nonce: u8) -> RequestTbs {
    let freshness = Freshness {
        epoch: 4,
        time_s: 1_800_000_000,
        nonce: Nonce([nonce; 16]),
    };
    RequestTbs::new(domain(), group_id(), freshness, Digest([8; 32]))
}

/// Every value that differs from `bytes` in one bit of one byte.
pub(crate) fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len()).map(|index| {
        let mut flipped = bytes.to_vec();
        flipped[index] ^= 1 << (index % 8);
        flipped
    })
}
