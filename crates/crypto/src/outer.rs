//! Owns the outer layer of every record: what only the operator's key opens (design page 2.5).
//!
//! Invariant: a sealed record begins with its 16-byte random salt, which is also its version; then
//! the id of the operator key, so that records under former keys still open; then, for short-lived
//! ones, the day whose window key is needed as well.

use crate::CryptoError;
use crate::labels::extract;
use crate::operator::{IndexKey, KEY_ID_BYTES, OperatorKey, stored_key_id};
use crate::seal::{
    Address, LayerKey, SALT_BYTES, open_with_header, seal_with_header, seal_with_salt,
};
use crate::windows::WindowKeys;
use rand_core::RngCore;
use sordino_wire::Secret32;
use std::sync::{Arc, PoisonError, RwLock};

const WINDOW_HEADER_BYTES: usize = KEY_ID_BYTES + 4;

/// Everything that opens the outer layer. Shared by all requests; only the windows move on.
pub struct OuterKeys {
    current: OperatorKey,
    former: Vec<OperatorKey>,
    index: IndexKey,
    windows: RwLock<Arc<WindowKeys>>,
}

impl std::fmt::Debug for OuterKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OuterKeys(..)")
    }
}

impl OuterKeys {
    /// Seals under `current`; opens under it and `former`.
    pub fn new(
        current: OperatorKey,
        former: Vec<OperatorKey>,
        index: IndexKey,
        windows: WindowKeys,
    ) -> Self {
        Self {
            current,
            former,
            index,
            windows: RwLock::new(Arc::new(windows)),
        }
    }

    /// The key that blinds names.
    pub fn index(&self) -> &IndexKey {
        &self.index
    }

    /// Seals a long-lived record: `salt[16] || key_id[4] || commitment[32] || ciphertext`.
    pub fn seal(
        &self,
        address: &Address,
        inner: &[u8],
        rng: &mut dyn RngCore,
    ) -> Result<Vec<u8>, CryptoError> {
        let key = operator_layer(&self.current);
        seal_with_header(&key, address, &self.current.key_id()?, inner, rng)
    }

    /// Opens a long-lived record.
    pub fn open(&self, address: &Address, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.try_operators(sealed, |operator| {
            let key = operator_layer(operator);
            open_with_header::<KEY_ID_BYTES>(&key, address, sealed)
        })
    }

    /// Seals a record that dies with its day:
    /// `salt[16] || key_id[4] || day u32 || commitment[32] || ciphertext`.
    ///
    /// [`CryptoError::Length`] where there is no key of that day.
    pub fn seal_window(
        &self,
        address: &Address,
        day: u32,
        inner: &[u8],
        rng: &mut dyn RngCore,
    ) -> Result<Vec<u8>, CryptoError> {
        let key = self
            .window_layer(&self.current, day)
            .ok_or(CryptoError::Length)?;
        let mut header = Vec::with_capacity(WINDOW_HEADER_BYTES);
        header.extend_from_slice(&self.current.key_id()?);
        header.extend_from_slice(&day.to_be_bytes());
        seal_with_header(&key, address, &header, inner, rng)
    }

    /// Opens a record that dies with its day, while that day's key is there.
    pub fn open_window(&self, address: &Address, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let day = sealed
            .get(SALT_BYTES + KEY_ID_BYTES..)
            .and_then(|rest| rest.first_chunk::<4>())
            .ok_or(CryptoError::Length)?;
        let day = u32::from_be_bytes(*day);
        self.try_operators(sealed, |operator| {
            let key = self
                .window_layer(operator, day)
                .ok_or(CryptoError::Decrypt)?;
            open_with_header::<WINDOW_HEADER_BYTES>(&key, address, sealed)
        })
    }

    /// A long-lived record under the current operator key, or `None` where it is already.
    ///
    /// Keeps the salt, since other records name this one by it. That is sound: salt and new key
    /// have not met before, and the plaintext is the one that the salt was made for.
    pub fn rewrap(&self, address: &Address, sealed: &[u8]) -> Result<Option<Vec<u8>>, CryptoError> {
        let key_id = self.current.key_id()?;
        let inner = self.open(address, sealed)?;
        let salt = sealed
            .first_chunk::<SALT_BYTES>()
            .ok_or(CryptoError::Length)?;
        let key = operator_layer(&self.current);
        let rewrapped = seal_with_salt(&key, address, salt, &key_id, &inner)?;
        Ok((rewrapped != sealed).then_some(rewrapped))
    }

    /// Moves the windows on: overwrites the keys of past days, makes those of days to come, and
    /// lets `persist` write the image in place before anything is sealed under a new key. Where
    /// `persist` fails, nothing has changed. Does nothing where nothing is due.
    pub fn roll_windows<E: From<CryptoError>>(
        &self,
        today: u32,
        days_ahead: u32,
        rng: &mut dyn RngCore,
        persist: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = self.windows().duplicate();
        let retired = next.retire(today, rng);
        let made = next.ensure(&self.current, today, days_ahead, rng)?;
        if retired + made > 0 {
            persist(next.image())?;
            let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
            *windows = Arc::new(next);
        }
        Ok(())
    }

    fn windows(&self) -> Arc<WindowKeys> {
        // The value is replaced whole, so a poisoned lock holds a good one.
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&windows)
    }

    /// `Extract(window_key, operator_key)`.
    fn window_layer(&self, operator: &OperatorKey, day: u32) -> Option<LayerKey> {
        let windows = self.windows();
        let window = windows.key(day)?;
        let secret = extract(window.secret().expose(), operator.secret().expose());
        Some(LayerKey::new(Secret32::new(*secret)))
    }

    /// Opens with each operator key whose id the record names; ids are short and may collide.
    fn try_operators(
        &self,
        sealed: &[u8],
        open: impl Fn(&OperatorKey) -> Result<Vec<u8>, CryptoError>,
    ) -> Result<Vec<u8>, CryptoError> {
        let key_id = stored_key_id(sealed).ok_or(CryptoError::Length)?;
        let mut refused = CryptoError::Decrypt;
        for operator in std::iter::once(&self.current).chain(&self.former) {
            if operator.key_id()? != key_id {
                continue;
            }
            match open(operator) {
                Ok(inner) => return Ok(inner),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

fn operator_layer(operator: &OperatorKey) -> LayerKey {
    LayerKey::new(operator.secret().duplicate())
}
