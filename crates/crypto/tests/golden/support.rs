//! Owns what the vectors share: counted bytes, hex, and the people and group they are about.

use rand_core::RngCore;
use sordino_crypto::{
    ClientSecret, SigningKey, Slot, UserSecret, make_client_credential, make_credential,
};
use sordino_wire::{
    ClientCredential, Domain, GroupId, IdentifierUri, PseudonymousCredential, Secret32, encode,
};
use tls_codec::Serialize;

/// Gives out 0, 1, 2, … modulo 251 from a start, and remembers what each call got.
pub(crate) struct Counted {
    next: u8,
    pub(crate) given: Vec<Vec<u8>>,
}

impl Counted {
    pub(crate) fn from(start: u8) -> Self {
        Self {
            next: start,
            given: Vec::new(),
        }
    }

    /// What the call of that number got, in hex.
    pub(crate) fn hex(&self, call: usize) -> String {
        hex::encode(&self.given[call])
    }
}

impl RngCore for Counted {
    fn next_u32(&mut self) -> u32 {
        unreachable!("only bytes are asked for")
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("only bytes are asked for")
    }

    fn fill_bytes(&mut self, destination: &mut [u8]) {
        for byte in destination.iter_mut() {
            *byte = self.next;
            self.next = (self.next + 1) % 251;
        }
        self.given.push(destination.to_vec());
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(destination);
        Ok(())
    }
}

/// 32 counted bytes from a start.
pub(crate) fn bytes32(start: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    Counted::from(start).fill_bytes(&mut bytes);
    bytes
}

pub(crate) fn secret(start: u8) -> Secret32 {
    Secret32::new(bytes32(start))
}

/// The TLS encoding, in hex.
pub(crate) fn tls<T: Serialize>(value: &T) -> String {
    hex::encode(encode(value).unwrap())
}

pub(crate) fn domain() -> Domain {
    Domain::new("hub.example").unwrap()
}

pub(crate) fn uri(text: &str) -> IdentifierUri {
    IdentifierUri::new(text).unwrap()
}

pub(crate) fn group_id() -> GroupId {
    GroupId(*b"a group id, 16 B")
}

pub(crate) fn group_slot() -> Slot {
    Slot::Group {
        user_secret_number: 1,
        hub_domain: domain(),
        group_id: group_id(),
        rejoin: 2,
    }
}

pub(crate) fn set_slot() -> Slot {
    Slot::KeyPackageSet {
        user_secret_number: 3,
        pool: *b"a pool's name 16",
        contact: uri("mimi://other.example/u/bob"),
        contact_generation: 4,
        counter: 5,
    }
}

pub(crate) fn user_secret() -> UserSecret {
    UserSecret::new(secret(10))
}

pub(crate) fn client_secret() -> ClientSecret {
    ClientSecret::new(secret(50))
}

pub(crate) fn credential_in(slot: &Slot, rotation: u32) -> PseudonymousCredential {
    make_credential(&domain(), &user_secret(), &client_secret(), slot, rotation).unwrap()
}

pub(crate) fn client_key() -> SigningKey {
    SigningKey::from_seed(&bytes32(90))
}

pub(crate) fn account_key() -> SigningKey {
    SigningKey::from_seed(&bytes32(130))
}

pub(crate) fn client_credential() -> ClientCredential {
    let user = uri("mimi://hub.example/u/alice");
    let client = uri("mimi://hub.example/d/alice-phone");
    make_client_credential(&user, &client, &client_key(), &account_key()).unwrap()
}
