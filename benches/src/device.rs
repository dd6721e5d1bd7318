//! Owns one device of one user in one group: its keys and its credential.

use openmls::credentials::{Credential, CredentialType, CredentialWithKey};
use openmls::prelude::{KeyPackage, MlsMessageOut};
use openmls_rust_crypto::OpenMlsRustCrypto;
use sordino_crypto::{
    ClientSecret, SigningKey, Slot, UserSecret, make_client_credential, make_credential,
    make_identity_link, seal_identity_entry, sha256,
};
use sordino_rules::{
    CIPHERSUITE, LEAF_PROOF_LABEL, ProofContext, capabilities, key_package_lifetime, leaf_proof_tbs,
};
use sordino_wire::{
    ClientCredential, Domain, GroupId, IdentifierUri, IdentityEntry, IdentityLink, LeafOperation,
    LeafProof, PseudonymousCredential, Salt, Secret32,
};
use tls_codec::Serialize as _;

/// One device.
pub struct Device {
    pub(crate) client_key: SigningKey,
    pub(crate) client_credential: ClientCredential,
    pub(crate) user_key: SigningKey,
    pub(crate) leaf_key: SigningKey,
    pub(crate) credential: PseudonymousCredential,
    pub(crate) link: IdentityLink,
    pub(crate) group_id: GroupId,
}

fn seed(kind: &str, group_id: GroupId, user: u32, device: u32) -> [u8; 32] {
    sha256(format!("{kind} {} {user} {device}", hex::encode(group_id.0)).as_bytes()).0
}

impl Device {
    /// A device of a user, by their numbers.
    pub fn new(hub: &Domain, group_id: GroupId, user: u32, device: u32) -> Self {
        let home = Domain::new("home.example").unwrap();
        let slot = Slot::Group {
            user_secret_number: 0,
            hub_domain: hub.clone(),
            group_id,
            rejoin: 0,
        };
        let user_secret = UserSecret::new(Secret32::new(seed("user", group_id, user, 0)));
        let client_secret =
            ClientSecret::new(Secret32::new(seed("client", group_id, user, device)));
        let client_key = SigningKey::from_seed(&seed("identity", group_id, user, device));
        let account = SigningKey::from_seed(&seed("account", group_id, user, 0));
        let uri = |text: String| IdentifierUri::new(text).unwrap();
        let client_credential = make_client_credential(
            &uri(format!("mimi://home.example/u/user{user}")),
            &uri(format!("mimi://home.example/d/user{user}-{device}")),
            &client_key,
            &account,
        )
        .unwrap();
        let credential = make_credential(&home, &user_secret, &client_secret, &slot, 0).unwrap();
        let link = make_identity_link(&client_key, &client_credential, &credential).unwrap();
        Self {
            user_key: user_secret.user_auth_key(&slot).unwrap(),
            leaf_key: client_secret.leaf_key(&slot, 0).unwrap(),
            client_key,
            client_credential,
            credential,
            link,
            group_id,
        }
    }

    pub(crate) fn with_key(&self) -> CredentialWithKey {
        let kind = CredentialType::Other(sordino_wire::PSEUDONYMOUS_CREDENTIAL_TYPE);
        let bytes = sordino_wire::encode(&self.credential).unwrap();
        CredentialWithKey {
            credential: Credential::new(kind, bytes),
            signature_key: self.credential.signature_key.as_slice().into(),
        }
    }

    /// A KeyPackage whose private keys nobody keeps: its leaf never acts.
    pub(crate) fn key_package(&self, now_s: u64) -> KeyPackage {
        KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .key_package_lifetime(key_package_lifetime(now_s))
            .build(
                CIPHERSUITE,
                &OpenMlsRustCrypto::default(),
                &self.leaf_key,
                self.with_key(),
            )
            .unwrap()
            .key_package()
            .clone()
    }

    /// Its identity entry.
    pub(crate) fn entry(
        &self,
        wrapper: &sordino_crypto::WrapperKey,
        generation: u64,
        salt: [u8; 16],
    ) -> IdentityEntry {
        let (credential, link) = (&self.credential, &self.link);
        seal_identity_entry(
            wrapper,
            generation,
            self.group_id,
            credential,
            link,
            Salt(salt),
        )
        .unwrap()
    }

    /// Both signatures with which this device lets in another one of its user's.
    pub(crate) fn proof(&self, context: &ProofContext<'_>, leaf: u32, new: &Device) -> LeafProof {
        let key = new.leaf_key.public();
        let tbs = leaf_proof_tbs(context, LeafOperation::ExternalJoin, &key);
        let sign = |key: &SigningKey| key.sign_struct(LEAF_PROOF_LABEL, &tbs).unwrap();
        LeafProof {
            user_signature: sign(&self.user_key),
            sibling_leaf: leaf,
            sibling_signature: sign(&self.leaf_key),
        }
    }
}

pub(crate) fn message_bytes(message: &MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().unwrap()
}
