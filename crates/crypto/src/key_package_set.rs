//! Owns the sealing of key-package sets for one contact, and what names and opens a pool at the
//! provider (design page 5).
//!
//! Invariant: an entry opens with `contact_key_c` alone, in its own place in its own set; whoever
//! has the contact token names and opens the pool's record, and can neither open an entry nor act as
//! the pool's owner.

use crate::aead::OneTimeKey;
use crate::labels::{encode_secret, expand, sha256};
use crate::padding::{pad_to, unpad};
use crate::seal::LayerKey;
use crate::user::{ClientSecret, ContactKey, ContactToken, UserSecret};
use crate::{CryptoError, Slot};
use sordino_wire::limits::SET_ENTRY_BYTES;
use sordino_wire::{
    Bytes, DeviceTag, Digest, IdentifierUri, KeyPackageEntry, Salt, Secret32, SetEntry,
    SetEntryContext, SetTag, encode, exact,
};
use zeroize::Zeroizing;

const ENTRY_LABEL: &str = "set";

/// What stands beside an entry in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetPlace {
    /// The set.
    pub set_tag: SetTag,
    /// The device within it.
    pub device_tag: DeviceTag,
    /// How many devices the user has.
    pub devices: u8,
    /// The MLS cipher suite.
    pub cipher_suite: u16,
    /// Its last day, in days since 1970.
    pub last_day: u32,
}

impl UserSecret {
    /// What shows the owner of a pool: the contact does not have it.
    pub fn pool_owner(
        &self,
        contact: &IdentifierUri,
        generation: u32,
    ) -> Result<Secret32, CryptoError> {
        let context = crate::user::contact_context(contact, generation)?;
        self.derive("pool owner", &context)
    }

    /// The tag of a set, from its slot.
    pub fn tag_of_set(&self, slot: &Slot) -> Result<SetTag, CryptoError> {
        Ok(SetTag(self.set_tag(slot)?))
    }
}

impl ClientSecret {
    /// What names this device within a set, and in no other.
    pub fn set_device_tag(&self, set_tag: SetTag) -> Result<DeviceTag, CryptoError> {
        Ok(DeviceTag(*expand::<16>(
            self.secret().expose(),
            "set device",
            &encode(&set_tag)?,
        )?))
    }
}

impl ContactToken {
    /// What the provider knows a pool by: `SHA-256(Expand(contact_token, "pool", "", 32))`.
    pub fn pool_id(&self) -> Result<Digest, CryptoError> {
        let name = expand::<32>(self.secret().expose(), "pool", b"")?;
        Ok(sha256(name.as_slice()))
    }

    /// The inner layer of the pool's record.
    pub fn pool_key(&self) -> Result<LayerKey, CryptoError> {
        Ok(LayerKey::new(self.derive("pool at rest", b"")?))
    }
}

/// Seals one device's entry. `salt` is fresh and random.
pub fn seal_set_entry(
    contact_key: &ContactKey,
    place: SetPlace,
    entry: &KeyPackageEntry,
    salt: Salt,
) -> Result<SetEntry, CryptoError> {
    let padded = Zeroizing::new(pad_to(&encode_secret(entry)?, SET_ENTRY_BYTES)?);
    let key = entry_key(contact_key, &place, salt)?;
    Ok(SetEntry {
        set_tag: place.set_tag,
        device_tag: place.device_tag,
        devices: place.devices,
        cipher_suite: place.cipher_suite,
        last_day: place.last_day,
        salt,
        ciphertext: Bytes::new(key.seal(b"", &padded)?)?,
    })
}

/// Opens an entry. KeyPackage and link in it are not checked yet.
pub fn open_set_entry(
    contact_key: &ContactKey,
    entry: &SetEntry,
) -> Result<KeyPackageEntry, CryptoError> {
    let place = SetPlace {
        set_tag: entry.set_tag,
        device_tag: entry.device_tag,
        devices: entry.devices,
        cipher_suite: entry.cipher_suite,
        last_day: entry.last_day,
    };
    let key = entry_key(contact_key, &place, entry.salt)?;
    let padded = Zeroizing::new(key.open(b"", entry.ciphertext.as_slice())?);
    Ok(exact(unpad(&padded)?)?)
}

fn entry_key(
    contact_key: &ContactKey,
    place: &SetPlace,
    salt: Salt,
) -> Result<OneTimeKey, CryptoError> {
    let context = encode(&SetEntryContext {
        salt,
        set_tag: place.set_tag,
        device_tag: place.device_tag,
        cipher_suite: place.cipher_suite,
        last_day: place.last_day,
    })?;
    OneTimeKey::derive(contact_key.secret().expose(), ENTRY_LABEL, &context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        client_credential, client_key, client_secret, credential, secret, set_slot, slot, uri,
        user_secret,
    };
    use sordino_wire::{Domain, HpkeKey, InboxAddress, InboxId};

    fn entry() -> KeyPackageEntry {
        KeyPackageEntry {
            key_package: Bytes::new(vec![5; 900]).unwrap(),
            link: crate::make_identity_link(&client_key(), &client_credential(), &credential())
                .unwrap(),
            inbox: InboxAddress {
                domain: Domain::new("hub.example").unwrap(),
                inbox_id: InboxId([6; 16]),
                hpke_key: HpkeKey::new(vec![7; 32]).unwrap(),
            },
        }
    }

    fn place() -> SetPlace {
        SetPlace {
            set_tag: SetTag([1; 16]),
            device_tag: DeviceTag([2; 16]),
            devices: 3,
            cipher_suite: 1,
            last_day: 20_000,
        }
    }

    fn key() -> ContactKey {
        ContactKey::new(secret(9))
    }

    fn sealed() -> SetEntry {
        seal_set_entry(&key(), place(), &entry(), Salt([4; 16])).unwrap()
    }

    #[test]
    fn an_entry_opens_with_its_contact_key() {
        assert_eq!(open_set_entry(&key(), &sealed()), Ok(entry()));
        let other = ContactKey::new(secret(8));
        let refused = Err(CryptoError::Decrypt);
        assert_eq!(open_set_entry(&other, &sealed()), refused);
    }

    #[test]
    fn an_entry_opens_in_its_own_place_alone() {
        let changes: [fn(&mut SetEntry); 6] = [
            |e| e.set_tag = SetTag([9; 16]),
            |e| e.device_tag = DeviceTag([9; 16]),
            |e| e.cipher_suite = 2,
            |e| e.last_day += 1,
            |e| e.salt = Salt([9; 16]),
            |e| {
                let mut bytes = e.ciphertext.as_slice().to_vec();
                bytes[0] ^= 1;
                e.ciphertext = Bytes::new(bytes).unwrap();
            },
        ];
        for change in changes {
            let mut changed = sealed();
            change(&mut changed);
            assert_eq!(open_set_entry(&key(), &changed), Err(CryptoError::Decrypt));
        }
        // The number of devices grows when one is linked, and the entries of the others stay.
        let mut more = sealed();
        more.devices = 4;
        assert!(open_set_entry(&key(), &more).is_ok());
    }

    #[test]
    fn entries_have_one_size() {
        let mut small = entry();
        small.key_package = Bytes::new(vec![5]).unwrap();
        let small = seal_set_entry(&key(), place(), &small, Salt([4; 16])).unwrap();
        assert_eq!(small.ciphertext.as_slice().len(), SET_ENTRY_BYTES + 16);
        let mut large = entry();
        large.key_package = Bytes::new(vec![5; SET_ENTRY_BYTES]).unwrap();
        let large = seal_set_entry(&key(), place(), &large, Salt([4; 16]));
        assert_eq!(large, Err(CryptoError::Length));
    }

    #[test]
    fn what_names_a_pool_neither_opens_entries_nor_owns_it() {
        let user = user_secret();
        let bob = uri("mimi://a/u/bob");
        let token = user.contact_token(&bob, 0).unwrap();
        let owner = user.pool_owner(&bob, 0).unwrap();
        assert_ne!(*token.secret(), owner);
        assert_ne!(user.pool_owner(&bob, 1).unwrap(), owner);
        assert_ne!(token.pool_id().unwrap().0, *token.secret().expose());
        let other = user.contact_token(&bob, 1).unwrap();
        assert_ne!(token.pool_id(), other.pool_id());
        assert_ne!(token.pool_key().unwrap(), other.pool_key().unwrap());
    }

    #[test]
    fn tags_differ_by_set_and_device() {
        let one = user_secret().tag_of_set(&set_slot()).unwrap();
        let other = user_secret().tag_of_set(&slot()).unwrap();
        assert_ne!(one, other);
        let device = client_secret().set_device_tag(one).unwrap();
        assert_ne!(client_secret().set_device_tag(other).unwrap(), device);
        let sibling = ClientSecret::new(secret(77));
        assert_ne!(sibling.set_device_tag(one).unwrap(), device);
    }
}
