//! Owns the secrets of a user and of a device, and what they derive per slot (design pages 2.1, 2.2).
//!
//! Invariant: a slot serves one group, never two; what is derived for two slots has nothing in
//! common for anybody who has neither secret. Init and leaf encryption keys are never derived here.

use crate::labels::{expand, sha256, truncate};
use crate::secret::secret;
use crate::{CryptoError, SigningKey};
use sordino_wire::{Domain, GroupId, IdentifierUri, SignatureKey, encode};
use std::fmt::Write as _;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::Zeroizing;

/// Stands in front of the key of which a user pseudonym is the hash.
const USER_PSEUDONYM_PREFIX: &[u8] = b"Sordino 1.0 user pseudonym";

secret! {
    /// `user_secret_n`: shared by the devices of one user.
    UserSecret;
    /// `client_secret`: one device's own.
    ClientSecret;
    /// `contact_key_c`: opens the key-package sets meant for one contact.
    ContactKey;
    /// `contact_token_c`: fetches the key-package sets meant for one contact.
    ContactToken;
}

/// What a pseudonym is derived for.
#[derive(Clone, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum Slot {
    /// A key-package set, for the one group that it will be used in.
    #[tls_codec(discriminant = 1)]
    KeyPackageSet {
        /// Which user secret.
        user_secret_number: u32,
        /// The pool.
        pool: [u8; 16],
        /// The contact that the pool is for.
        contact: IdentifierUri,
        /// Grows when the contact is blocked.
        contact_generation: u32,
        /// The set within its pool.
        counter: u64,
    },
    /// A group created, or joined by external commit.
    #[tls_codec(discriminant = 2)]
    Group {
        /// Which user secret.
        user_secret_number: u32,
        /// The hub.
        hub_domain: Domain,
        /// The group.
        group_id: GroupId,
        /// Grows when the user joins again after leaving.
        rejoin: u32,
    },
}

impl Slot {
    /// Which user secret it is derived from.
    pub fn user_secret_number(&self) -> u32 {
        match self {
            Self::KeyPackageSet {
                user_secret_number, ..
            }
            | Self::Group {
                user_secret_number, ..
            } => *user_secret_number,
        }
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot(..)")
    }
}

/// Context of the keys per contact.
#[derive(TlsSerialize, TlsSize)]
struct ContactContext {
    contact: IdentifierUri,
    generation: u32,
}

/// Context of a leaf key.
#[derive(TlsSerialize, TlsSize)]
struct LeafKeyContext {
    slot: Slot,
    rotation: u32,
}

impl UserSecret {
    /// `usk_s`, equal on all devices of the user.
    pub fn user_auth_key(&self, slot: &Slot) -> Result<SigningKey, CryptoError> {
        let seed = expand::<32>(self.secret().expose(), "user auth key", &encode(slot)?)?;
        Ok(SigningKey::from_seed(&seed))
    }

    /// `contact_key_c`.
    pub fn contact_key(
        &self,
        contact: &IdentifierUri,
        generation: u32,
    ) -> Result<ContactKey, CryptoError> {
        let context = contact_context(contact, generation)?;
        Ok(ContactKey::new(self.derive("contact key", &context)?))
    }

    /// `contact_token_c`.
    pub fn contact_token(
        &self,
        contact: &IdentifierUri,
        generation: u32,
    ) -> Result<ContactToken, CryptoError> {
        let context = contact_context(contact, generation)?;
        Ok(ContactToken::new(self.derive("contact token", &context)?))
    }

    /// What a batch of tokens is drawn from, by the issuer's key: the same on all devices of the user.
    pub fn token_seed(&self, key_id: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        expand::<32>(self.secret().expose(), "token seed", key_id)
    }

    /// `set_tag`: what the entries of one key-package set have in common.
    pub fn set_tag(&self, slot: &Slot) -> Result<[u8; 16], CryptoError> {
        Ok(*expand::<16>(
            self.secret().expose(),
            "set tag",
            &encode(slot)?,
        )?)
    }
}

pub(crate) fn contact_context(
    contact: &IdentifierUri,
    generation: u32,
) -> Result<Vec<u8>, CryptoError> {
    Ok(encode(&ContactContext {
        contact: contact.clone(),
        generation,
    })?)
}

impl ClientSecret {
    /// The leaf's signature key, after `rotation` rotations.
    pub fn leaf_key(&self, slot: &Slot, rotation: u32) -> Result<SigningKey, CryptoError> {
        let context = encode(&LeafKeyContext {
            slot: slot.clone(),
            rotation,
        })?;
        let seed = expand::<32>(self.secret().expose(), "leaf signature key", &context)?;
        Ok(SigningKey::from_seed(&seed))
    }

    /// `mimi://<domain>/d/<uuid>`.
    pub fn client_pseudonym(
        &self,
        domain: &Domain,
        slot: &Slot,
    ) -> Result<IdentifierUri, CryptoError> {
        let bytes = expand::<16>(self.secret().expose(), "client pseudonym", &encode(slot)?)?;
        pseudonym_uri(domain, 'd', *bytes)
    }
}

/// `mimi://<domain>/u/<uuid>`: the hash of the user's authentication key in this slot.
pub fn user_pseudonym(
    domain: &Domain,
    user_auth_key: &SignatureKey,
) -> Result<IdentifierUri, CryptoError> {
    let hash = sha256(&[USER_PSEUDONYM_PREFIX, user_auth_key.as_slice()].concat());
    pseudonym_uri(domain, 'u', truncate(&hash.0)?)
}

fn pseudonym_uri(
    domain: &Domain,
    kind: char,
    bytes: [u8; 16],
) -> Result<IdentifierUri, CryptoError> {
    let uuid = uuid_v8(bytes);
    Ok(IdentifierUri::new(format!(
        "mimi://{}/{kind}/{uuid}",
        domain.as_str()
    ))?)
}

/// UUID version 8 of RFC 9562: version and variant bits are set, the other 122 are given.
fn uuid_v8(mut bytes: [u8; 16]) -> String {
    if let Some(byte) = bytes.get_mut(6) {
        *byte = (*byte & 0x0f) | 0x80;
    }
    if let Some(byte) = bytes.get_mut(8) {
        *byte = (*byte & 0x3f) | 0x80;
    }
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        client_secret, domain, group_id, secret, set_slot, slot, uri, user_secret,
    };
    use sordino_wire::exact;

    #[test]
    fn slots_have_one_encoding() {
        for slot in [slot(), set_slot()] {
            let bytes = encode(&slot).unwrap();
            assert!(exact::<Slot>(&bytes).unwrap() == slot);
            assert!(exact::<Slot>(&[bytes.as_slice(), &[0]].concat()).is_err());
            assert!(exact::<Slot>(&bytes[..bytes.len() - 1]).is_err());
        }
    }

    #[test]
    fn all_devices_of_a_user_have_one_user_pseudonym() {
        let key = user_secret().user_auth_key(&slot()).unwrap().public();
        let again = user_secret().user_auth_key(&slot()).unwrap().public();
        assert_eq!(
            user_pseudonym(&domain(), &key),
            user_pseudonym(&domain(), &again)
        );
        let other = ClientSecret::new(secret(3));
        assert_ne!(
            client_secret().client_pseudonym(&domain(), &slot()),
            other.client_pseudonym(&domain(), &slot()),
        );
    }

    #[test]
    fn every_part_of_a_slot_changes_the_pseudonym() {
        let group = |number, name: &str, id, rejoin| Slot::Group {
            user_secret_number: number,
            hub_domain: Domain::new(name).unwrap(),
            group_id: GroupId([id; 16]),
            rejoin,
        };
        let slots = [
            slot(),
            set_slot(),
            group(2, "hub.example", 9, 0),
            group(1, "hub.example2", 9, 0),
            group(1, "hub.example", 8, 0),
            group(1, "hub.example", 9, 1),
        ];
        let numbers = slots.each_ref().map(Slot::user_secret_number);
        assert_eq!(numbers, [1, 1, 2, 1, 1, 1]);
        let mut names = std::collections::HashSet::new();
        for slot in &slots {
            let key = user_secret().user_auth_key(slot).unwrap().public();
            assert!(names.insert(user_pseudonym(&domain(), &key).unwrap()));
            assert!(names.insert(client_secret().client_pseudonym(&domain(), slot).unwrap()));
        }
    }

    #[test]
    fn a_rotation_changes_the_leaf_key_and_no_pseudonym() {
        let first = client_secret().leaf_key(&slot(), 0).unwrap().public();
        let second = client_secret().leaf_key(&slot(), 1).unwrap().public();
        assert_ne!(first, second);
    }

    #[test]
    fn keys_per_contact_differ_by_contact_and_generation() {
        let user = user_secret();
        let (bob, carol) = (uri("mimi://a/u/bob"), uri("mimi://a/u/carol"));
        let base = user.contact_key(&bob, 0).unwrap();
        assert_ne!(user.contact_key(&bob, 1).unwrap(), base);
        assert_ne!(user.contact_key(&carol, 0).unwrap(), base);
        let token = user.contact_token(&bob, 0).unwrap();
        assert_ne!(token.secret(), base.secret());
        assert_ne!(user.set_tag(&slot()), user.set_tag(&set_slot()));
    }

    #[test]
    fn uuids_have_version_8() {
        assert_eq!(uuid_v8([0xff; 16]), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(uuid_v8([0; 16]), "00000000-0000-8000-8000-000000000000");
    }

    #[test]
    fn a_domain_that_leaves_no_room_is_refused() {
        let long = Domain::new("a".repeat(250)).unwrap();
        let key = user_secret().user_auth_key(&slot()).unwrap().public();
        assert_eq!(user_pseudonym(&long, &key), Err(CryptoError::Length));
    }

    #[test]
    fn debug_shows_no_part_of_a_slot() {
        assert_eq!(format!("{:?}", slot()), "Slot(..)");
        assert_eq!(group_id(), GroupId([9; 16]));
    }
}
