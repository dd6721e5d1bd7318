//! Owns the outer layer of every record: what only the operator's key opens (design page 2.5).
//!
//! Invariant: a sealed record begins with its 16-byte random salt, which is also its version; then
//! the id of the operator key, so that records under former keys still open; then, for short-lived
//! ones, the day whose window key is needed as well.

use crate::CryptoError;
use crate::admission::AdmissionKey;
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

    /// What admits to registering: the current key makes codes and challenges, the former ones
    /// still know theirs.
    pub fn admission_keys(&self) -> Result<Vec<AdmissionKey>, CryptoError> {
        std::iter::once(&self.current)
            .chain(&self.former)
            .map(OperatorKey::admission_key)
            .collect()
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

    /// Makes window keys as [`Self::roll_windows`] does, and retires none: for a time that may turn
    /// out to be wrong. [`CryptoError::Length`] where that would need the place of a key.
    pub fn extend_windows<E: From<CryptoError>>(
        &self,
        today: u32,
        days_ahead: u32,
        rng: &mut dyn RngCore,
        persist: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = self.windows().duplicate();
        if !next.has_room_for(today, days_ahead) {
            return Err(CryptoError::Length.into());
        }
        if next.ensure(&self.current, today, days_ahead, rng)? > 0 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Space;
    use crate::testing::{flips, rng, secret};

    const TODAY: u32 = 20_700;
    const ADDRESS: Address = Address {
        space: Space::StreamLog,
        store_key: [1; 16],
    };

    fn keys(current: u8, former: &[u8]) -> OuterKeys {
        let operator = |byte: u8| OperatorKey::new(secret(byte));
        let mut windows = WindowKeys::new();
        windows.ensure(&operator(1), TODAY, 9, &mut rng()).unwrap();
        OuterKeys::new(
            operator(current),
            former.iter().copied().map(operator).collect(),
            IndexKey::new(secret(50)),
            windows,
        )
    }

    #[test]
    fn a_record_begins_with_salt_and_key_id() {
        let sealed = keys(1, &[]).seal(&ADDRESS, b"inner", &mut rng()).unwrap();
        assert_eq!(sealed.len(), 16 + 4 + 32 + 5 + 16);
        let key_id = OperatorKey::new(secret(1)).key_id().unwrap();
        assert_eq!(sealed[16..20], key_id);
        assert_eq!(keys(1, &[]).open(&ADDRESS, &sealed), Ok(b"inner".to_vec()));
    }

    #[test]
    fn former_keys_still_open_and_unknown_ones_do_not() {
        let sealed = keys(1, &[]).seal(&ADDRESS, b"inner", &mut rng()).unwrap();
        assert_eq!(
            keys(2, &[3, 1]).open(&ADDRESS, &sealed),
            Ok(b"inner".to_vec())
        );
        let refused = Err(CryptoError::Decrypt);
        assert_eq!(keys(2, &[3]).open(&ADDRESS, &sealed), refused);
        let window = keys(1, &[])
            .seal_window(&ADDRESS, TODAY, b"inner", &mut rng())
            .unwrap();
        assert_eq!(
            keys(2, &[1]).open_window(&ADDRESS, &window),
            Ok(b"inner".to_vec())
        );
        assert_eq!(keys(2, &[]).open_window(&ADDRESS, &window), refused);
    }

    #[test]
    fn the_current_key_admits_first() {
        let of = |byte| OperatorKey::new(secret(byte)).admission_key().unwrap();
        assert!(keys(2, &[3, 1]).admission_keys().unwrap() == [of(2), of(3), of(1)]);
    }

    #[test]
    fn every_flipped_byte_and_truncation_is_refused() {
        let keys = keys(1, &[]);
        let sealed = keys.seal(&ADDRESS, b"inner", &mut rng()).unwrap();
        assert!(flips(&sealed).all(|bytes| keys.open(&ADDRESS, &bytes).is_err()));
        assert!((0..sealed.len()).all(|n| keys.open(&ADDRESS, &sealed[..n]).is_err()));
        let sealed = keys
            .seal_window(&ADDRESS, TODAY, b"inner", &mut rng())
            .unwrap();
        assert!(flips(&sealed).all(|bytes| keys.open_window(&ADDRESS, &bytes).is_err()));
        assert!((0..sealed.len()).all(|n| keys.open_window(&ADDRESS, &sealed[..n]).is_err()));
    }

    #[test]
    fn a_moved_record_is_refused() {
        let keys = keys(1, &[]);
        let elsewhere = Address {
            store_key: [2; 16],
            ..ADDRESS
        };
        let refused = Err(CryptoError::Commitment);
        let sealed = keys.seal(&ADDRESS, b"inner", &mut rng()).unwrap();
        assert_eq!(keys.open(&elsewhere, &sealed), refused);
        let sealed = keys
            .seal_window(&ADDRESS, TODAY, b"inner", &mut rng())
            .unwrap();
        assert_eq!(keys.open_window(&elsewhere, &sealed), refused);
    }

    #[test]
    fn long_lived_and_short_lived_records_are_not_taken_for_each_other() {
        let keys = keys(1, &[]);
        let long = keys.seal(&ADDRESS, &[0; 64], &mut rng()).unwrap();
        let short = keys
            .seal_window(&ADDRESS, TODAY, &[0; 64], &mut rng())
            .unwrap();
        assert!(keys.open_window(&ADDRESS, &long).is_err());
        assert_eq!(keys.open(&ADDRESS, &short), Err(CryptoError::Commitment));
    }

    #[test]
    fn what_is_sealed_for_a_day_dies_with_it() {
        let keys = keys(1, &[]);
        let sealed = keys
            .seal_window(&ADDRESS, TODAY, b"inner", &mut rng())
            .unwrap();
        assert_eq!(sealed[20..24], TODAY.to_be_bytes());
        let mut image = Vec::new();
        let persist = |bytes: &[u8]| -> Result<(), CryptoError> {
            image = bytes.to_vec();
            Ok(())
        };
        keys.roll_windows(TODAY + 1, 9, &mut rng(), persist)
            .unwrap();
        let refused = Err(CryptoError::Decrypt);
        assert_eq!(keys.open_window(&ADDRESS, &sealed), refused);
        let loaded = WindowKeys::load(&OperatorKey::new(secret(1)), &image).unwrap();
        assert!(loaded.key(TODAY).is_none() && loaded.key(TODAY + 10).is_some());
        assert!(
            keys.seal_window(&ADDRESS, TODAY + 10, b"", &mut rng())
                .is_ok()
        );
    }

    #[test]
    fn a_doubtful_day_gets_keys_and_costs_none() {
        let keys = keys(1, &[]);
        let sealed = keys
            .seal_window(&ADDRESS, TODAY, b"inner", &mut rng())
            .unwrap();
        let persist = |_: &[u8]| Ok::<(), CryptoError>(());
        keys.extend_windows(TODAY + 40, 9, &mut rng(), persist)
            .unwrap();
        assert!(keys.open_window(&ADDRESS, &sealed).is_ok());
        assert!(
            keys.seal_window(&ADDRESS, TODAY + 49, b"", &mut rng())
                .is_ok()
        );
        // The slot of a day is the day modulo the slots: here it would be that of a live key.
        let refused = keys.extend_windows(TODAY + crate::SLOTS, 9, &mut rng(), persist);
        assert_eq!(refused, Err(CryptoError::Length));
        assert!(keys.open_window(&ADDRESS, &sealed).is_ok());
    }

    #[test]
    fn there_is_no_key_for_days_out_of_reach() {
        let keys = keys(1, &[]);
        for day in [TODAY - 1, TODAY + 10] {
            let sealed = keys.seal_window(&ADDRESS, day, b"inner", &mut rng());
            assert_eq!(sealed, Err(CryptoError::Length));
        }
    }

    #[test]
    fn windows_stay_where_the_file_cannot_be_written() {
        let keys = keys(1, &[]);
        let sealed = keys
            .seal_window(&ADDRESS, TODAY, b"inner", &mut rng())
            .unwrap();
        let rolled = keys.roll_windows(TODAY + 1, 9, &mut rng(), |_| Err(CryptoError::Encoding));
        assert_eq!(rolled, Err(CryptoError::Encoding));
        assert_eq!(keys.open_window(&ADDRESS, &sealed), Ok(b"inner".to_vec()));
        let untouched = keys.roll_windows(TODAY, 9, &mut rng(), |_| Err(CryptoError::Encoding));
        assert_eq!(untouched, Ok(()), "nothing is due, so nothing is written");
        let extended = keys.extend_windows(TODAY, 9, &mut rng(), |_| Err(CryptoError::Encoding));
        assert_eq!(extended, Ok(()), "nor where no key may be lost");
        // A day more or a day less is due by itself.
        for (today, days_ahead) in [(TODAY, 10), (TODAY + 1, 8)] {
            let due = keys.roll_windows(today, days_ahead, &mut rng(), |_| {
                Err(CryptoError::Encoding)
            });
            assert_eq!(due, Err(CryptoError::Encoding));
        }
    }

    #[test]
    fn rewrapping_keeps_the_version() {
        let sealed = keys(1, &[]).seal(&ADDRESS, b"inner", &mut rng()).unwrap();
        assert_eq!(keys(1, &[]).rewrap(&ADDRESS, &sealed), Ok(None));
        let rewrapped = keys(2, &[1]).rewrap(&ADDRESS, &sealed).unwrap().unwrap();
        assert_eq!(rewrapped[..16], sealed[..16]);
        assert_eq!(rewrapped.len(), sealed.len());
        assert_eq!(
            keys(2, &[]).open(&ADDRESS, &rewrapped),
            Ok(b"inner".to_vec())
        );
        assert!(keys(1, &[]).open(&ADDRESS, &rewrapped).is_err());
        assert_eq!(keys(2, &[1]).rewrap(&ADDRESS, &rewrapped), Ok(None));
        let refused = Err(CryptoError::Decrypt);
        assert_eq!(keys(2, &[]).rewrap(&ADDRESS, &sealed), refused);
    }
}
