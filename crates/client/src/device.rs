//! Owns the secrets of this device and its user, and what is derived from them.
//!
//! Invariant: a leaf key, a pseudonym or a user key exists only for a slot; the secrets themselves
//! leave the device in a handover to one of the user's own devices and in no other way.

use crate::entropy::Entropy;
use crate::error::{ClientError, Result, VaultError};
use crate::records::{DeviceRecord, FORMAT, UserSecretRecord};
use sordino_crypto::{
    ClientSecret, HpkePrivateKey, SigningKey, Slot, UserSecret, hpke_generate,
    make_client_credential, make_connection_key, make_credential, make_identity_link, sha256,
};
use sordino_wire::{
    ClientCredential, DeviceTag, Digest, Domain, HpkeKey, IdentifierUri, IdentityLink,
    PseudonymousCredential, Secret32, SetTag, SignedConnectionKey, encode,
};

/// One device of a user.
pub(crate) struct Device {
    user_secrets: Vec<(u32, UserSecret)>,
    client_secret: ClientSecret,
    client_key: SigningKey,
    credential: ClientCredential,
    account_key: Option<SigningKey>,
    connection_key: HpkePrivateKey,
}

/// Everything that a slot gives this device at one rotation.
pub(crate) struct Leaf {
    pub(crate) key: SigningKey,
    pub(crate) user_key: SigningKey,
    pub(crate) credential: PseudonymousCredential,
}

impl Device {
    /// The first device of a new user: makes the account key too.
    pub(crate) fn first(user: &IdentifierUri, entropy: &Entropy) -> Result<Self> {
        let account_key = SigningKey::from_seed(&entropy.array());
        let client_key = SigningKey::from_seed(&entropy.array());
        let client = client_uri(user, entropy)?;
        let credential = make_client_credential(user, &client, &client_key, &account_key)?;
        Ok(Self {
            user_secrets: vec![(0, UserSecret::new(Secret32::new(entropy.array())))],
            client_secret: ClientSecret::new(Secret32::new(entropy.array())),
            client_key,
            credential,
            account_key: Some(account_key),
            connection_key: hpke_generate(&mut entropy.clone())?.0,
        })
    }

    /// As it was kept.
    pub(crate) fn load(record: DeviceRecord) -> Result<Self> {
        if record.format != FORMAT {
            return Err(VaultError::Format.into());
        }
        Ok(Self {
            user_secrets: record
                .user_secrets
                .into_iter()
                .map(|record| (record.number, UserSecret::new(record.secret)))
                .collect(),
            client_secret: ClientSecret::new(record.client_secret),
            client_key: SigningKey::from_seed(record.client_key_seed.expose()),
            credential: record.credential,
            account_key: record
                .account_key_seed
                .map(|seed| SigningKey::from_seed(seed.expose())),
            connection_key: HpkePrivateKey::from_bytes(record.connection_key.expose())?,
        })
    }

    /// As it is to be kept.
    pub(crate) fn record(&self) -> DeviceRecord {
        DeviceRecord {
            format: FORMAT,
            user_secrets: self.user_secret_records(),
            client_secret: self.client_secret.secret().duplicate(),
            client_key_seed: Secret32::new(*self.client_key.seed()),
            credential: self.credential.clone(),
            account_key_seed: self
                .account_key
                .as_ref()
                .map(|key| Secret32::new(*key.seed())),
            connection_key: Secret32::new(*self.connection_key.expose()),
        }
    }

    /// What a further device of the user gets.
    pub(crate) fn user_secret_records(&self) -> Vec<UserSecretRecord> {
        self.user_secrets
            .iter()
            .map(|(number, secret)| UserSecretRecord {
                number: *number,
                secret: secret.secret().duplicate(),
            })
            .collect()
    }

    /// Who this is, really.
    pub(crate) fn credential(&self) -> &ClientCredential {
        &self.credential
    }

    /// The key of the real credential.
    pub(crate) fn client_key(&self) -> &SigningKey {
        &self.client_key
    }

    /// The key that certifies the devices of this account.
    pub(crate) fn account_key(&self) -> Result<&SigningKey> {
        self.account_key.as_ref().ok_or(ClientError::NoAccountKey)
    }

    /// What opens connection requests, and what they are sealed to.
    pub(crate) fn connection_key(&self) -> Result<(&HpkePrivateKey, HpkeKey)> {
        Ok((&self.connection_key, self.connection_key.public()?))
    }

    /// What others look up.
    pub(crate) fn signed_connection_key(&self) -> Result<SignedConnectionKey> {
        Ok(make_connection_key(
            &self.credential.user,
            self.account_key()?,
            &self.connection_key.public()?,
        )?)
    }

    /// One of the user secrets.
    pub(crate) fn user_secret_of(&self, number: u32) -> Result<&UserSecret> {
        self.user_secrets
            .iter()
            .find(|(known, _)| *known == number)
            .map(|(_, secret)| secret)
            .ok_or(ClientError::BadHandover)
    }

    /// What names this device within a key-package set.
    pub(crate) fn set_device_tag(&self, set_tag: SetTag) -> Result<DeviceTag> {
        Ok(self.client_secret.set_device_tag(set_tag)?)
    }

    /// The number of the newest user secret.
    pub(crate) fn user_secret_number(&self) -> Result<u32> {
        self.user_secrets
            .iter()
            .map(|(number, _)| *number)
            .max()
            .ok_or_else(|| VaultError::Format.into())
    }

    fn user_secret(&self, slot: &Slot) -> Result<&UserSecret> {
        self.user_secret_of(slot.user_secret_number())
    }

    /// The leaf of a slot at a rotation.
    pub(crate) fn leaf(&self, domain: &Domain, slot: &Slot, rotation: u32) -> Result<Leaf> {
        let user_secret = self.user_secret(slot)?;
        Ok(Leaf {
            key: self.client_secret.leaf_key(slot, rotation)?,
            user_key: user_secret.user_auth_key(slot)?,
            credential: make_credential(domain, user_secret, &self.client_secret, slot, rotation)?,
        })
    }

    /// The identity link of one of this device's own credentials.
    pub(crate) fn link(&self, credential: &PseudonymousCredential) -> Result<IdentityLink> {
        Ok(make_identity_link(
            &self.client_key,
            &self.credential,
            credential,
        )?)
    }
}

/// A device's name: random, so that it says nothing.
pub(crate) fn client_uri(user: &IdentifierUri, entropy: &Entropy) -> Result<IdentifierUri> {
    let domain = domain_of(user)?;
    let id: String = entropy
        .array::<16>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(IdentifierUri::new(format!(
        "mimi://{}/d/{id}",
        domain.as_str()
    ))?)
}

/// The provider in a `mimi://<domain>/…` URI.
pub(crate) fn domain_of(uri: &IdentifierUri) -> Result<Domain> {
    let rest = uri
        .as_str()
        .strip_prefix("mimi://")
        .ok_or(ClientError::OutOfBounds)?;
    let (domain, _) = rest.split_once('/').ok_or(ClientError::OutOfBounds)?;
    Ok(Domain::new(domain)?)
}

/// What marks a slot as used.
pub(crate) fn slot_hash(slot: &Slot) -> Result<Digest> {
    Ok(sha256(&encode(slot)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_one_user_share_pseudonyms_and_nothing_else() {
        let entropy = Entropy::new(Some([1; 32])).unwrap();
        let user = IdentifierUri::new("mimi://a.example/u/alice").unwrap();
        let first = Device::first(&user, &entropy).unwrap();
        let mut record = first.record();
        record.client_secret = Secret32::new(entropy.array());
        let second = Device::load(record).unwrap();
        let domain = Domain::new("hub.example").unwrap();
        let slot = Slot::Group {
            user_secret_number: 0,
            hub_domain: domain.clone(),
            group_id: sordino_wire::GroupId([7; 16]),
            rejoin: 0,
        };
        let one = first.leaf(&domain, &slot, 0).unwrap().credential;
        let two = second.leaf(&domain, &slot, 0).unwrap().credential;
        assert_eq!(one.user_pseudonym, two.user_pseudonym);
        assert_eq!(one.user_auth_key, two.user_auth_key);
        assert_ne!(one.client_pseudonym, two.client_pseudonym);
        assert_ne!(one.signature_key, two.signature_key);
        let rotated = first.leaf(&domain, &slot, 1).unwrap().credential;
        assert_eq!(rotated.client_pseudonym, one.client_pseudonym);
        assert_ne!(rotated.signature_key, one.signature_key);
        let again = Device::load(first.record()).unwrap();
        assert_eq!(again.leaf(&domain, &slot, 0).unwrap().credential, one);
    }
}
