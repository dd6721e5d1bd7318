//! Owns the server's own keys: where each is, how it comes into being, and that all of them and the
//! database belong together.
//!
//! | key | where | made |
//! | --- | --- | --- |
//! | operator key | a file outside the database, or a credential | on the first start, in the data folder only |
//! | window keys | `keys/windows.key`, wrapped under the operator key, in no backup | on the first start |
//! | index key, hub's signature key | records of the database, wrapped under the operator key | on the first start |
//!
//! Invariant: keys are made for a data folder without a database and never beside one that is
//! there; a key that does not fit stops the start before anything is written.

use crate::clock::day_of;
use crate::error::{MaintenanceError, StartError};
use crate::folder::{DataFolder, Readers, create_secret, overwrite_secret, read_secret};
use crate::random;
use crate::settings::KeyPlace;
use rand_core::RngCore;
use sordino_crypto::{
    Address, CryptoError, IndexKey, OperatorKey, OuterKeys, SigningKey, Space, WindowKeys,
};
use sordino_store::{Changes, Expect, Key, Put, RedbStore, Snapshot, Store};
use sordino_wire::limits::MAX_INBOX_DAYS;
use sordino_wire::{Domain, Secret32, encode, exact};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};
use zeroize::Zeroizing;

/// Where the wrapped index key is. It is the one name that cannot be blinded.
const INDEX_KEY: Key = Key(*b"index key wrap\0\0");
/// What the blinded name of the hub's own record is made of.
const IDENTITY: &[u8] = b"hub identity";
const IDENTITY_FORMAT: u16 = 1;
const OPERATOR_KEY_BYTES: usize = 32;
/// Window keys made beyond the longest life of anything: a day for the turn of the day, and one
/// for a round of upkeep that came late.
const SPARE_DAYS: u32 = 2;

/// What the hub is, as it is stored.
#[derive(TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct Identity {
    format: u16,
    domain: Domain,
    signing_seed: Secret32,
}

/// The keys that are in files.
pub(crate) struct FileKeys {
    operator: OperatorKey,
    windows: WindowKeys,
    /// Where the operator key came from, for what may be wrong with it later.
    operator_path: PathBuf,
    /// Whether everything not yet delivered was lost with the old window keys.
    pub(crate) lost_deliveries: bool,
}

/// All keys, in use.
pub(crate) struct Keys {
    pub(crate) outer: Arc<OuterKeys>,
    pub(crate) signing: SigningKey,
}

impl FileKeys {
    /// Reads the key files, or makes them for a new data folder.
    pub(crate) fn open(
        folder: &DataFolder,
        place: &KeyPlace,
        now_s: u64,
        days_ahead: u32,
        accept_lost_deliveries: bool,
    ) -> Result<Self, StartError> {
        let (operator, operator_path) = operator_key(folder, place)?;
        let path = folder.window_keys();
        let found = match read_secret(&path, Readers::Owner)? {
            None => None,
            Some(image) => match WindowKeys::load(&operator, &image) {
                Ok(windows) => Some(windows),
                Err(CryptoError::Length | CryptoError::Encoding) if accept_lost_deliveries => {
                    std::fs::remove_file(&path).map_err(StartError::file(&path))?;
                    None
                }
                Err(CryptoError::Length | CryptoError::Encoding) => {
                    return Err(StartError::WindowKeysDamaged { path });
                }
                Err(error) => return Err(wrong_key(error, &operator_path)),
            },
        };
        if let Some(windows) = found {
            // What is missing is made by the first round of upkeep.
            let lost_deliveries = !windows.is_whole_from(day_of(now_s));
            if lost_deliveries && !accept_lost_deliveries {
                return Err(StartError::WindowKeysDamaged { path });
            }
            return Ok(Self {
                operator,
                windows,
                operator_path,
                lost_deliveries,
            });
        }
        let lost_deliveries = folder.has_database()?;
        if lost_deliveries && !accept_lost_deliveries {
            return Err(StartError::WindowKeysMissing { path });
        }
        let mut rng = random::generator().map_err(|_| StartError::Randomness)?;
        let mut windows = WindowKeys::new();
        windows.ensure(&operator, day_of(now_s), days_ahead, &mut rng)?;
        create_secret(&path, windows.image())?;
        Ok(Self {
            operator,
            windows,
            operator_path,
            lost_deliveries,
        })
    }

    /// Reads the keys that are in the database, or makes them for a new one.
    pub(crate) async fn complete(
        self,
        store: &RedbStore,
        domain: &Domain,
    ) -> Result<Keys, StartError> {
        let Some(wrapped) = store.snapshot()?.get(&INDEX_KEY)? else {
            return self.create(store, domain).await;
        };
        let index = IndexKey::unwrap(&self.operator, &wrapped.value)
            .map_err(|e| wrong_key(e, &self.operator_path))?;
        let outer = OuterKeys::new(self.operator, Vec::new(), index, self.windows);
        let address = identity_address(&outer)?;
        let record = store.snapshot()?.get(&Key(address.store_key))?;
        let record = record.ok_or(StartError::Damaged)?;
        let plain = Zeroizing::new(outer.open(&address, &record.value)?);
        let identity: Identity = exact(&plain).map_err(|_| StartError::Damaged)?;
        if identity.format != IDENTITY_FORMAT {
            return Err(StartError::Damaged);
        }
        if identity.domain != *domain {
            return Err(StartError::OtherDomain {
                stored: identity.domain.as_str().to_owned(),
                configured: domain.as_str().to_owned(),
            });
        }
        Ok(Keys {
            outer: Arc::new(outer),
            signing: SigningKey::from_seed(identity.signing_seed.expose()),
        })
    }

    async fn create(self, store: &RedbStore, domain: &Domain) -> Result<Keys, StartError> {
        let mut rng = random::generator().map_err(|_| StartError::Randomness)?;
        let index = IndexKey::generate(&mut rng);
        let wrapped = index.wrap(&self.operator, &mut rng)?;
        let outer = OuterKeys::new(self.operator, Vec::new(), index, self.windows);
        let mut seed = Zeroizing::new([0u8; 32]);
        rng.fill_bytes(seed.as_mut_slice());
        let identity = Identity {
            format: IDENTITY_FORMAT,
            domain: domain.clone(),
            signing_seed: Secret32::new(*seed),
        };
        let plain = Zeroizing::new(encode(&identity).map_err(|_| StartError::Damaged)?);
        let address = identity_address(&outer)?;
        let sealed = outer.seal(&address, &plain, &mut rng)?;
        let records = [(INDEX_KEY, wrapped), (Key(address.store_key), sealed)];
        let mut changes = Changes::default();
        for (key, value) in records {
            changes.expect.push((key, Expect::Absent));
            changes.put.push(Put {
                key,
                value,
                expires_day: None,
            });
        }
        store.commit(changes).await?;
        Ok(Keys {
            outer: Arc::new(outer),
            signing: SigningKey::from_seed(&seed),
        })
    }
}

/// As [`roll_windows`], but retires no key: the day may be wrong.
pub(crate) fn extend_windows(
    outer: &OuterKeys,
    path: &Path,
    now_s: u64,
    days_ahead: u32,
) -> Result<(), MaintenanceError> {
    let mut rng = random::generator().map_err(|_| MaintenanceError::Randomness)?;
    outer.extend_windows(day_of(now_s), days_ahead, &mut rng, |image| {
        overwrite_secret(path, image).map_err(|e: io::Error| MaintenanceError::WindowKeys(e.kind()))
    })
}

/// How many days ahead window keys are needed.
pub(crate) fn days_ahead(stream_entry_days: u32) -> u32 {
    stream_entry_days
        .max(MAX_INBOX_DAYS)
        .saturating_add(SPARE_DAYS)
}

/// Retires the keys of past days and makes those of days to come; on the disk when it returns.
pub(crate) fn roll_windows(
    outer: &OuterKeys,
    path: &Path,
    now_s: u64,
    days_ahead: u32,
) -> Result<(), MaintenanceError> {
    let mut rng = random::generator().map_err(|_| MaintenanceError::Randomness)?;
    outer.roll_windows(day_of(now_s), days_ahead, &mut rng, |image| {
        overwrite_secret(path, image).map_err(|e: io::Error| MaintenanceError::WindowKeys(e.kind()))
    })
}

fn operator_key(
    folder: &DataFolder,
    place: &KeyPlace,
) -> Result<(OperatorKey, PathBuf), StartError> {
    let path = match place {
        KeyPlace::DataFolder => folder.operator_key(),
        KeyPlace::File(path) | KeyPlace::Credential(path) => path.clone(),
    };
    if let Some(key) = read_operator_key(&path, place)? {
        return Ok((key, path));
    }
    if *place != KeyPlace::DataFolder {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        return Err(StartError::file(path)(missing));
    }
    if folder.has_database()? {
        return Err(StartError::OperatorKeyMissing {
            key: path,
            database: folder.database(),
        });
    }
    let mut key = Zeroizing::new([0u8; OPERATOR_KEY_BYTES]);
    getrandom::fill(key.as_mut_slice()).map_err(|_| StartError::Randomness)?;
    let mut text = Zeroizing::new(hex::encode(key.as_slice()));
    text.push('\n');
    create_secret(&path, text.as_bytes())?;
    Ok((OperatorKey::new(Secret32::new(*key)), path))
}

/// Whether a file with these bytes would serve as the operator key.
pub fn holds_operator_key(bytes: &[u8]) -> bool {
    parse_key(bytes).is_some()
}

/// The operator key in a file of that kind of place; `None` where there is no file.
pub(crate) fn read_operator_key(
    path: &Path,
    place: &KeyPlace,
) -> Result<Option<OperatorKey>, StartError> {
    let readers = match place {
        KeyPlace::DataFolder | KeyPlace::File(_) => Readers::Owner,
        KeyPlace::Credential(_) => Readers::OwnerAndList,
    };
    let Some(bytes) = read_secret(path, readers)? else {
        return Ok(None);
    };
    let not_a_key = || StartError::NotAKey { path: path.into() };
    parse_key(&bytes).ok_or_else(not_a_key).map(Some)
}

/// 64 hexadecimal digits, with white space around them, or 32 bytes.
fn parse_key(bytes: &[u8]) -> Option<OperatorKey> {
    let mut key = Zeroizing::new([0u8; OPERATOR_KEY_BYTES]);
    if bytes.len() == OPERATOR_KEY_BYTES {
        key.copy_from_slice(bytes);
    } else {
        hex::decode_to_slice(bytes.trim_ascii(), key.as_mut_slice()).ok()?;
    }
    Some(OperatorKey::new(Secret32::new(*key)))
}

fn identity_address(outer: &OuterKeys) -> Result<Address, CryptoError> {
    let store_key = outer.index().blind(Space::Meta, IDENTITY)?;
    Ok(Address {
        space: Space::Meta,
        store_key,
    })
}

/// What it means when own data does not open.
fn wrong_key(error: CryptoError, key: &Path) -> StartError {
    match error {
        CryptoError::Decrypt | CryptoError::Commitment => StartError::WrongOperatorKey {
            key: key.to_owned(),
        },
        _ => StartError::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hexadecimal_or_raw() {
        let raw = [7u8; 32];
        let id = |bytes: &[u8]| parse_key(bytes).map(|key| key.key_id().unwrap());
        let expected = id(&raw);
        assert!(expected.is_some());
        assert_eq!(id(hex::encode(raw).as_bytes()), expected);
        assert_eq!(id(format!("  {}\n", hex::encode(raw)).as_bytes()), expected);
        assert_eq!(id(&raw[1..]), None);
        assert_eq!(id(b""), None);
        assert_eq!(id(&[b'g'; 64]), None);
    }
}
