//! Owns the device's own store: one redb file, every value sealed, every name blinded.
//!
//! Invariant: a [`Batch`] is applied as a whole or not at all; without the caller's key the file
//! tells its size and the number and size classes of its records, nothing else.
//! Never sees what a record means.

use crate::entropy::Entropy;
use crate::error::VaultError;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use sordino_crypto::{
    Address, LayerKey, PadClass, Space, expand, open_layer, pad, seal_layer, unpad,
};
use sordino_wire::{Secret32, encode, exact};
use std::path::Path;
use std::sync::Arc;
use tls_codec::{DeserializeBytes, Serialize};
use tokio::runtime::RuntimeFlavor;
use zeroize::Zeroizing;

const RECORDS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("records");

/// The vault. Clones share one file.
#[derive(Clone)]
pub(crate) struct Vault(Arc<Inner>);

struct Inner {
    database: Database,
    names: Zeroizing<[u8; 32]>,
    values: LayerKey,
    entropy: Entropy,
}

/// Writes that belong together.
#[derive(Default)]
pub(crate) struct Batch {
    puts: Vec<(String, Zeroizing<Vec<u8>>)>,
    deletes: Vec<String>,
}

impl Batch {
    /// Puts a record in place of the former one of that name.
    pub(crate) fn put<T: Serialize>(
        &mut self,
        name: impl Into<String>,
        value: &T,
    ) -> Result<(), VaultError> {
        let bytes = encode(value).map_err(|_| VaultError::Format)?;
        self.puts.push((name.into(), Zeroizing::new(bytes)));
        Ok(())
    }

    /// Drops a record.
    pub(crate) fn delete(&mut self, name: impl Into<String>) {
        self.deletes.push(name.into());
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty()
    }
}

/// Opens or creates a file that its owner alone can read.
fn open_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

impl Vault {
    /// Opens or creates the file.
    pub(crate) fn open(path: &Path, key: &Secret32, entropy: Entropy) -> Result<Self, VaultError> {
        let database = open_file(path)
            .ok()
            .and_then(|file| Database::builder().create_file(file).ok())
            .ok_or(VaultError::File)?;
        Self::in_database(database, key, entropy)
    }

    /// The same in a database that is open.
    pub(crate) fn in_database(
        database: Database,
        key: &Secret32,
        entropy: Entropy,
    ) -> Result<Self, VaultError> {
        let names =
            expand::<32>(key.expose(), "vault names", &[]).map_err(|_| VaultError::Sealed)?;
        let values =
            expand::<32>(key.expose(), "vault values", &[]).map_err(|_| VaultError::Sealed)?;
        let vault = Self(Arc::new(Inner {
            database,
            names,
            values: LayerKey::new(Secret32::new(*values)),
            entropy,
        }));
        vault.create_table()?;
        Ok(vault)
    }

    fn create_table(&self) -> Result<(), VaultError> {
        let write = self.0.database.begin_write().map_err(file)?;
        write.open_table(RECORDS).map_err(file)?;
        write.commit().map_err(file)
    }

    /// Reads a record.
    pub(crate) fn get<T: DeserializeBytes>(&self, name: &str) -> Result<Option<T>, VaultError> {
        let address = self.0.address(name)?;
        let read = self.0.database.begin_read().map_err(file)?;
        let table = read.open_table(RECORDS).map_err(file)?;
        let Some(sealed) = table.get(&address.store_key).map_err(file)? else {
            return Ok(None);
        };
        let padded = Zeroizing::new(
            open_layer(&self.0.values, &address, sealed.value()).map_err(|_| VaultError::Sealed)?,
        );
        let value = unpad(&padded).map_err(|_| VaultError::Format)?;
        exact(value).map(Some).map_err(|_| VaultError::Format)
    }

    /// Whether a record is there.
    pub(crate) fn contains(&self, name: &str) -> Result<bool, VaultError> {
        let address = self.0.address(name)?;
        let read = self.0.database.begin_read().map_err(file)?;
        let table = read.open_table(RECORDS).map_err(file)?;
        Ok(table.get(&address.store_key).map_err(file)?.is_some())
    }

    /// Applies a batch durably. It never yields, so that a caller that is dropped has either not
    /// begun or is done; where the runtime has other threads, their tasks move away meanwhile.
    pub(crate) fn commit(&self, batch: &Batch) -> Result<(), VaultError> {
        if batch.is_empty() {
            return Ok(());
        }
        let threads = tokio::runtime::Handle::try_current()
            .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
        if threads {
            tokio::task::block_in_place(|| self.0.apply(batch))
        } else {
            self.0.apply(batch)
        }
    }
}

impl Inner {
    fn address(&self, name: &str) -> Result<Address, VaultError> {
        let store_key = expand::<16>(&*self.names, "vault record", name.as_bytes())
            .map_err(|_| VaultError::Sealed)?;
        Ok(Address {
            space: Space::Meta,
            store_key: *store_key,
        })
    }

    fn apply(&self, batch: &Batch) -> Result<(), VaultError> {
        let mut write = self.database.begin_write().map_err(file)?;
        write
            .set_durability(Durability::Immediate)
            .map_err(|_| VaultError::File)?;
        {
            let mut table = write.open_table(RECORDS).map_err(file)?;
            for name in &batch.deletes {
                let address = self.address(name)?;
                table.remove(&address.store_key).map_err(file)?;
            }
            for (name, value) in &batch.puts {
                let address = self.address(name)?;
                let padded =
                    Zeroizing::new(pad(value, PadClass::Padme).map_err(|_| VaultError::Format)?);
                let mut rng = self.entropy.clone();
                let sealed = seal_layer(&self.values, &address, &padded, &mut rng)
                    .map_err(|_| VaultError::Sealed)?;
                table
                    .insert(&address.store_key, sealed.as_slice())
                    .map_err(file)?;
            }
        }
        write.commit().map_err(file)
    }
}

fn file<E>(_: E) -> VaultError {
    VaultError::File
}

#[cfg(test)]
mod tests {
    use super::*;
    use sordino_wire::Bytes;

    type Text = Bytes<0, 4096>;

    fn open(path: &Path, key: u8) -> Result<Vault, VaultError> {
        let entropy = Entropy::new(None).map_err(|_| VaultError::File)?;
        Vault::open(path, &Secret32::new([key; 32]), entropy)
    }

    #[test]
    fn records_survive_and_the_file_tells_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault");
        let text = Text::new(b"the quick brown fox of the vault".to_vec()).unwrap();
        {
            let vault = open(&path, 1).unwrap();
            let mut batch = Batch::default();
            batch.put("a telling name", &text).unwrap();
            vault.commit(&batch).unwrap();
        }
        let vault = open(&path, 1).unwrap();
        assert_eq!(vault.get::<Text>("a telling name").unwrap(), Some(text));
        assert_eq!(vault.get::<Text>("another name").unwrap(), None);
        drop(vault);
        let file = std::fs::read(&path).unwrap();
        for needle in [&b"quick brown"[..], b"telling name", b"another name"] {
            assert!(!file.windows(needle.len()).any(|w| w == needle));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault");
        drop(open(&path, 1).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn another_key_finds_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault");
        {
            let vault = open(&path, 1).unwrap();
            let mut batch = Batch::default();
            batch.put("name", &7u64).unwrap();
            vault.commit(&batch).unwrap();
        }
        let vault = open(&path, 2).unwrap();
        assert_eq!(vault.get::<u64>("name").unwrap(), None);
    }

    #[test]
    fn a_batch_is_one_transaction() {
        let directory = tempfile::tempdir().unwrap();
        let vault = open(&directory.path().join("vault"), 1).unwrap();
        let mut batch = Batch::default();
        batch.put("one", &1u64).unwrap();
        batch.put("two", &2u64).unwrap();
        vault.commit(&batch).unwrap();
        let mut batch = Batch::default();
        batch.delete("one");
        batch.put("two", &3u64).unwrap();
        vault.commit(&batch).unwrap();
        assert!(!vault.contains("one").unwrap());
        assert_eq!(vault.get::<u64>("two").unwrap(), Some(3));
    }
}
