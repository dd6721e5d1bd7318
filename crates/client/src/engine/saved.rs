//! Owns how a group's MLS state gets into the vault: value by value, the changed ones alone.
//!
//! Invariant: after a commit of the vault, its values are those of the storage, none more.

use crate::error::VaultError;
use crate::records::{MlsIndexRecord, MlsRecord, mls_name, mls_value_name};
use crate::vault::{Batch, Vault};
use sordino_crypto::sha256;
use sordino_wire::{Digest, GroupId};
use std::collections::BTreeMap;
use tls_codec::VLBytes;

/// What the vault holds of a group's MLS state: hashes of names and values.
#[derive(Debug, Default)]
pub(crate) struct Saved(BTreeMap<Digest, Digest>);

impl Saved {
    /// Reads all values.
    pub(crate) fn load(vault: &Vault, id: GroupId) -> Result<(Self, MlsRecord), VaultError> {
        let index: MlsIndexRecord = vault.get(&mls_name(id))?.unwrap_or_default();
        let mut saved = Self::default();
        let mut record = MlsRecord::default();
        for name_hash in index.values {
            let (name, value): (VLBytes, VLBytes) = vault
                .get(&mls_value_name(id, &name_hash))?
                .ok_or(VaultError::Format)?;
            saved.0.insert(name_hash, sha256(value.as_slice()));
            record.values.push((name, value));
        }
        Ok((saved, record))
    }

    /// Adds what has changed to a transaction.
    pub(crate) fn save(
        &mut self,
        id: GroupId,
        record: MlsRecord,
        batch: &mut Batch,
    ) -> Result<(), VaultError> {
        let mut next = BTreeMap::new();
        for pair in record.values {
            let name_hash = sha256(pair.0.as_slice());
            let value_hash = sha256(pair.1.as_slice());
            if self.0.get(&name_hash) != Some(&value_hash) {
                batch.put(mls_value_name(id, &name_hash), &pair)?;
            }
            next.insert(name_hash, value_hash);
        }
        for gone in self.0.keys().filter(|name| !next.contains_key(*name)) {
            batch.delete(mls_value_name(id, gone));
        }
        if !self.0.keys().eq(next.keys()) {
            let values = next.keys().copied().collect();
            batch.put(mls_name(id), &MlsIndexRecord { values })?;
        }
        self.0 = next;
        Ok(())
    }

    /// Adds the deletion of everything to a transaction.
    pub(crate) fn delete(&self, id: GroupId, batch: &mut Batch) {
        batch.delete(mls_name(id));
        for name in self.0.keys() {
            batch.delete(mls_value_name(id, name));
        }
    }
}
