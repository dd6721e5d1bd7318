//! Owns the border to openmls: provider, storage dumps, configuration, signers, exports.
//!
//! Invariant: handshakes are public messages, trees and keys are never GroupInfo extensions.

use crate::entropy::Entropy;
use crate::error::{ClientError, Result, mls};
use crate::mls_crypto::MlsCrypto;
use crate::records::MlsRecord;
use openmls::prelude::{
    Credential, CredentialType, CredentialWithKey, MlsGroup, MlsGroupJoinConfig, MlsMessageBodyIn,
    MlsMessageIn, OpenMlsProvider, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProtocolMessage,
    StagedCommit,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_memory_storage::MemoryStorage;
use openmls_traits::types::SignatureScheme;
use sordino_crypto::{
    EXPORTER_GROUP, EXPORTER_SENDER, GroupSecret, SenderKey, SigningKey, exporter_group_context,
};
use sordino_wire::limits::PADDING_FLOOR_BYTES;
use sordino_wire::{
    GroupId, PSEUDONYMOUS_CREDENTIAL_TYPE, PseudonymousCredential, Secret32, encode,
};
use std::sync::{PoisonError, RwLock};
use tls_codec::{DeserializeBytes, VLBytes};
use zeroize::Zeroizing;

/// What openmls adds around an application message's content: signature, tag, prefixes.
const MESSAGE_OVERHEAD_BYTES: usize = 96;

/// Cryptography, randomness and one group's storage.
pub(crate) struct Provider {
    crypto: MlsCrypto,
    storage: MemoryStorage,
    entropy: Entropy,
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = MlsCrypto;
    type RandProvider = Entropy;
    type StorageProvider = MemoryStorage;

    fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    fn crypto(&self) -> &MlsCrypto {
        &self.crypto
    }

    fn rand(&self) -> &Entropy {
        &self.entropy
    }
}

impl Provider {
    /// With an empty storage.
    pub(crate) fn new(entropy: Entropy) -> Self {
        Self {
            crypto: MlsCrypto::new(entropy.clone()),
            storage: MemoryStorage::default(),
            entropy,
        }
    }

    /// With a storage dumped before.
    pub(crate) fn load(entropy: Entropy, record: &MlsRecord) -> Self {
        let values = record
            .values
            .iter()
            .map(|(name, value)| (name.as_slice().to_vec(), value.as_slice().to_vec()))
            .collect();
        Self {
            crypto: MlsCrypto::new(entropy.clone()),
            storage: MemoryStorage {
                values: RwLock::new(values),
            },
            entropy,
        }
    }

    /// Another storage, the same randomness.
    pub(crate) fn successor(&self, record: &MlsRecord) -> Self {
        Self::load(self.entropy.clone(), record)
    }

    /// Everything the storage holds, in an order of its own.
    pub(crate) fn dump(&self) -> MlsRecord {
        let values = self
            .storage
            .values
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        MlsRecord {
            values: values
                .iter()
                .map(|(name, value)| (VLBytes::new(name.clone()), VLBytes::new(value.clone())))
                .collect(),
        }
    }
}

/// How groups are joined and kept.
pub(crate) fn join_config(padding_bytes: usize, past_epochs: u8) -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(false)
        .max_past_epochs(usize::from(past_epochs))
        .padding_size(padding_bytes)
        .build()
}

/// The multiple to which openmls pads a message, so that sizes are Padmé's with a floor.
pub(crate) fn padding_for(content_bytes: usize) -> usize {
    let framed = content_bytes.saturating_add(MESSAGE_OVERHEAD_BYTES);
    if framed <= PADDING_FLOOR_BYTES {
        return PADDING_FLOOR_BYTES;
    }
    let exponent = framed.ilog2();
    let significant = exponent.ilog2() + 1;
    1usize << exponent.saturating_sub(significant)
}

/// A leaf's signer.
pub(crate) fn signer(key: &SigningKey) -> SignatureKeyPair {
    SignatureKeyPair::from_raw(
        SignatureScheme::ED25519,
        key.seed().to_vec(),
        key.public().as_slice().to_vec(),
    )
}

/// A leaf's credential as openmls takes it.
pub(crate) fn credential_with_key(
    credential: &PseudonymousCredential,
) -> Result<CredentialWithKey> {
    Ok(CredentialWithKey {
        credential: Credential::new(
            CredentialType::Other(PSEUDONYMOUS_CREDENTIAL_TYPE),
            encode(credential)?,
        ),
        signature_key: credential.signature_key.as_slice().into(),
    })
}

/// A group id as openmls takes it.
pub(crate) fn group_id(id: GroupId) -> openmls::group::GroupId {
    openmls::group::GroupId::from_slice(&id.0)
}

/// Reads an MLSMessage, the whole of the bytes.
pub(crate) fn message(bytes: &[u8]) -> Result<MlsMessageIn> {
    MlsMessageIn::tls_deserialize_exact_bytes(bytes).map_err(mls("not an MLS message"))
}

/// Reads a handshake or application message.
pub(crate) fn protocol_message(bytes: &[u8]) -> Result<ProtocolMessage> {
    match message(bytes)?.extract() {
        MlsMessageBodyIn::PublicMessage(message) => Ok(message.into()),
        MlsMessageBodyIn::PrivateMessage(message) => Ok(message.into()),
        _ => Err(ClientError::Mls("not a group message")),
    }
}

/// Something that has an exporter.
pub(crate) trait Exporter {
    /// The MLS exporter of its epoch.
    fn export(&self, crypto: &MlsCrypto, label: &str, context: &[u8]) -> Result<Secret32>;

    /// `sender_key_e`.
    fn sender_key(&self, crypto: &MlsCrypto) -> Result<SenderKey> {
        self.export(crypto, EXPORTER_SENDER, &[])
            .map(SenderKey::new)
    }

    /// `group_secret_g`, at the epoch that starts `generation`.
    fn group_secret(&self, crypto: &MlsCrypto, generation: u64) -> Result<GroupSecret> {
        self.export(crypto, EXPORTER_GROUP, &exporter_group_context(generation))
            .map(GroupSecret::new)
    }
}

fn secret(bytes: Vec<u8>) -> Result<Secret32> {
    let bytes = Zeroizing::new(bytes);
    let array = <[u8; 32]>::try_from(bytes.as_slice()).map_err(mls("exporter"))?;
    Ok(Secret32::new(array))
}

impl Exporter for MlsGroup {
    fn export(&self, crypto: &MlsCrypto, label: &str, context: &[u8]) -> Result<Secret32> {
        self.export_secret(crypto, label, context, 32)
            .map_err(mls("exporter"))
            .and_then(secret)
    }
}

impl Exporter for StagedCommit {
    fn export(&self, crypto: &MlsCrypto, label: &str, context: &[u8]) -> Result<Secret32> {
        self.export_secret(crypto, label, context, 32)
            .map_err(mls("exporter"))
            .and_then(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_padded_to_few_sizes() {
        assert_eq!(padding_for(0), 512);
        assert_eq!(padding_for(400), 512);
        let sizes: std::collections::BTreeSet<usize> = (417..8_000)
            .map(|length| {
                let step = padding_for(length);
                (length + MESSAGE_OVERHEAD_BYTES).next_multiple_of(step)
            })
            .collect();
        assert!(sizes.len() < 70, "{}", sizes.len());
    }
}
