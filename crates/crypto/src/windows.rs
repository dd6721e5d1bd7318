//! Owns window keys: one random key per day, with which short-lived records die (design page 2.5).
//!
//! Invariant: a day's key lies in one slot of a file of fixed size, wrapped under the operator key,
//! and is overwritten in place when its window has passed. The file is in no backup. Slots without
//! a key hold random bytes, so neither their number nor their age shows.
//! Never sees: the file. The caller writes [`WindowKeys::image`] in place.

use crate::CryptoError;
use crate::operator::{KEY_ID_BYTES, OperatorKey, random_secret, secret_from, stored_key_id};
use crate::seal::{
    Address, COMMITMENT_BYTES, SALT_BYTES, Space, open_with_header, seal_with_header,
};
use crate::secret::secret;
use rand_core::RngCore;
use sordino_wire::Secret32;
use std::collections::BTreeMap;
use tls_codec::{TlsSerialize, TlsSize};
use zeroize::Zeroizing;

/// Days that a file has room for. The day's slot is the day modulo this.
pub const SLOTS: u32 = 512;
/// Bytes of one slot: salt, key id, commitment, sealed `{day, key}`, tag.
pub const SLOT_BYTES: usize = SALT_BYTES + KEY_ID_BYTES + COMMITMENT_BYTES + CONTENT_BYTES + 16;
const CONTENT_BYTES: usize = 4 + 32;
/// The place of the file's header, which tells a wrong operator key from an empty file.
const HEADER: u32 = 0;

secret! {
    /// The key of one day.
    WindowKey;
}

/// The keys of all days whose windows are open, and their file.
pub struct WindowKeys {
    keys: BTreeMap<u32, WindowKey>,
    image: Vec<u8>,
}

/// What is wrapped: the day keeps a slot from serving another one.
#[derive(TlsSerialize, TlsSize)]
struct SlotContent {
    day: u32,
    key: Secret32,
}

impl WindowKeys {
    /// No keys and an empty image, until [`Self::ensure`].
    pub fn new() -> Self {
        Self {
            keys: BTreeMap::new(),
            image: Vec::new(),
        }
    }

    /// The file: header and slots, always of one size. Keys that stay keep their bytes, so that
    /// writing it in place is safe wherever a write is torn.
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// Reads a file that was wrapped under `operator`.
    pub fn load(operator: &OperatorKey, image: &[u8]) -> Result<Self, CryptoError> {
        Self::load_with_former(operator, &[], image)
    }

    /// Reads a file that was wrapped under `operator` or, in part, under former keys: what a crash
    /// in the middle of a rotation leaves. The next [`Self::ensure`] wraps all of it anew.
    pub fn load_with_former(
        operator: &OperatorKey,
        former: &[OperatorKey],
        image: &[u8],
    ) -> Result<Self, CryptoError> {
        let size = usize::try_from(SLOTS + 1)
            .ok()
            .and_then(|places| places.checked_mul(SLOT_BYTES));
        if Some(image.len()) != size {
            return Err(CryptoError::Length);
        }
        let mut loaded = Self::new();
        let mut places = image.chunks_exact(SLOT_BYTES).zip(0u32..);
        let (header, _) = places.next().ok_or(CryptoError::Length)?;
        let operators = || std::iter::once(operator).chain(former);
        open_place(operators(), HEADER, header)?;
        for (bytes, place) in places {
            // A slot that does not open holds random bytes: no key.
            let Ok((day, key)) = open_place(operators(), place, bytes) else {
                continue;
            };
            if place_of(day) != place {
                return Err(CryptoError::Encoding);
            }
            loaded.keys.insert(day, key);
        }
        loaded.image = image.to_vec();
        Ok(loaded)
    }

    /// Makes the keys from `today` to `today + days_ahead` that are not there yet, and wraps what
    /// is wrapped under another operator key anew. Says how many slots changed: if any, the image
    /// must be on disk before a record is sealed under it.
    ///
    /// Refuses, without a change, to drop a key that is not past: [`CryptoError::Length`].
    pub fn ensure(
        &mut self,
        operator: &OperatorKey,
        today: u32,
        days_ahead: u32,
        rng: &mut dyn RngCore,
    ) -> Result<usize, CryptoError> {
        let last = today
            .checked_add(days_ahead)
            .filter(|_| days_ahead < SLOTS)
            .ok_or(CryptoError::Length)?;
        let in_the_way = |day: u32| !(today..=last).contains(&day) && day >= today;
        let wanted = |place: u32| (today..=last).any(|day| place_of(day) == place);
        let mut days = self.keys.keys();
        if days.any(|day| in_the_way(*day) && wanted(place_of(*day))) {
            return Err(CryptoError::Length);
        }
        let mut changed = self.prepare(operator, rng)?;
        for day in today..=last {
            if self.keys.contains_key(&day) {
                continue;
            }
            self.keys
                .retain(|other, _| place_of(*other) != place_of(day));
            let key = WindowKey::new(random_secret(rng));
            self.write(operator, place_of(day), day, &key, rng)?;
            self.keys.insert(day, key);
            changed += 1;
        }
        Ok(changed)
    }

    /// Overwrites the slots of days before `today` with random bytes and says how many. A file
    /// system that stores zeros as holes would keep the old block, hence random.
    pub fn retire(&mut self, today: u32, rng: &mut dyn RngCore) -> usize {
        let open = self.keys.split_off(&today);
        let past = std::mem::replace(&mut self.keys, open);
        for day in past.keys() {
            if let Some(slot) = self.slot(place_of(*day)) {
                rng.fill_bytes(slot);
            }
        }
        past.len()
    }

    /// Whether there is no gap in the days from `today` on that have keys. They are made without:
    /// where there is one, a slot was damaged, or the clock was far ahead for a while. Where the
    /// first ones are missing, the clock has gone back.
    pub fn is_whole_from(&self, today: u32) -> bool {
        let days = || self.keys.range(today..).map(|(day, _)| *day);
        let first = days().next().unwrap_or(today);
        days().zip(first..).all(|(day, expected)| day == expected)
    }

    /// Whether making the keys of these days leaves every key that is there.
    pub(crate) fn has_room_for(&self, today: u32, days_ahead: u32) -> bool {
        let wanted = today..=today.saturating_add(days_ahead);
        let mut kept = self.keys.keys().filter(|day| !wanted.contains(day));
        kept.all(|kept| wanted.clone().all(|day| place_of(day) != place_of(*kept)))
    }

    /// The key of a day, while its window is open.
    pub fn key(&self, day: u32) -> Option<&WindowKey> {
        self.keys.get(&day)
    }

    /// A second copy, to change while this one is in use.
    pub fn duplicate(&self) -> Self {
        let keys = self.keys.iter();
        Self {
            keys: keys.map(|(day, key)| (*day, key.duplicate())).collect(),
            image: self.image.clone(),
        }
    }

    /// Gives a new file its header and fills it with random bytes; wraps an old one anew where it
    /// is under another operator key.
    fn prepare(
        &mut self,
        operator: &OperatorKey,
        rng: &mut dyn RngCore,
    ) -> Result<usize, CryptoError> {
        if self.image.is_empty() {
            let places = usize::try_from(SLOTS + 1).map_err(|_| CryptoError::Length)?;
            self.image = vec![0; places * SLOT_BYTES];
            rng.fill_bytes(&mut self.image);
        }
        let key_id = operator.key_id()?;
        let mut changed = 0;
        if stored_key_id(&self.image) != Some(key_id) {
            let key = WindowKey::new(Secret32::new([0; 32]));
            self.write(operator, HEADER, 0, &key, rng)?;
            changed += 1;
        }
        let days: Vec<u32> = self.keys.keys().copied().collect();
        for day in days {
            let place = place_of(day);
            let wrapped_under = self.slot(place).and_then(|slot| stored_key_id(slot));
            if wrapped_under == Some(key_id) {
                continue;
            }
            if let Some(key) = self.keys.get(&day).map(WindowKey::duplicate) {
                self.write(operator, place, day, &key, rng)?;
                changed += 1;
            }
        }
        Ok(changed)
    }

    fn write(
        &mut self,
        operator: &OperatorKey,
        place: u32,
        day: u32,
        key: &WindowKey,
        rng: &mut dyn RngCore,
    ) -> Result<(), CryptoError> {
        let content = crate::labels::encode_secret(&SlotContent {
            day,
            key: key.secret().duplicate(),
        })?;
        let sealed = seal_with_header(
            &operator.window_wrap_key()?,
            &place_address(place),
            &operator.key_id()?,
            &content,
            rng,
        )?;
        let slot = self.slot(place).ok_or(CryptoError::Length)?;
        if slot.len() != sealed.len() {
            return Err(CryptoError::Length);
        }
        slot.copy_from_slice(&sealed);
        Ok(())
    }

    fn slot(&mut self, place: u32) -> Option<&mut [u8]> {
        let start = usize::try_from(place).ok()?.checked_mul(SLOT_BYTES)?;
        self.image.get_mut(start..start.checked_add(SLOT_BYTES)?)
    }
}

impl Default for WindowKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for WindowKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WindowKeys(..)")
    }
}

/// Which place of the file a day has; the header has the first.
fn place_of(day: u32) -> u32 {
    day % SLOTS + 1
}

fn place_address(place: u32) -> Address {
    let mut store_key = [0u8; 16];
    for (to, from) in store_key.iter_mut().skip(12).zip(place.to_be_bytes()) {
        *to = from;
    }
    Address {
        space: Space::Meta,
        store_key,
    }
}

fn open_place<'a>(
    operators: impl Iterator<Item = &'a OperatorKey>,
    place: u32,
    bytes: &[u8],
) -> Result<(u32, WindowKey), CryptoError> {
    let mut refused = CryptoError::Decrypt;
    for operator in operators {
        if stored_key_id(bytes) != Some(operator.key_id()?) {
            continue;
        }
        let key = operator.window_wrap_key()?;
        match open_with_header::<KEY_ID_BYTES>(&key, &place_address(place), bytes) {
            Ok(content) => return parse_content(&Zeroizing::new(content)),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn parse_content(content: &[u8]) -> Result<(u32, WindowKey), CryptoError> {
    let (day, key) = content
        .split_first_chunk::<4>()
        .ok_or(CryptoError::Encoding)?;
    let key = WindowKey::new(secret_from(key)?);
    Ok((u32::from_be_bytes(*day), key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{rng, secret};

    const TODAY: u32 = 20_700;

    fn operator() -> OperatorKey {
        OperatorKey::new(secret(1))
    }

    fn windows() -> WindowKeys {
        let mut windows = WindowKeys::new();
        windows.ensure(&operator(), TODAY, 130, &mut rng()).unwrap();
        windows
    }

    fn same_keys(left: &WindowKeys, right: &WindowKeys) -> bool {
        left.keys == right.keys
    }

    #[test]
    fn a_file_has_one_size_and_opens_again() {
        let windows = windows();
        assert_eq!(windows.image().len(), 513 * 104);
        let loaded = WindowKeys::load(&operator(), windows.image()).unwrap();
        assert!(same_keys(&windows, &loaded));
        assert!(loaded.key(TODAY).is_some() && loaded.key(TODAY + 130).is_some());
        assert!(loaded.key(TODAY + 131).is_none() && loaded.key(TODAY - 1).is_none());
    }

    #[test]
    fn a_missing_day_between_others_shows() {
        let mut windows = windows();
        assert!(windows.is_whole_from(TODAY) && windows.is_whole_from(TODAY + 200));
        windows.retire(TODAY + 3, &mut rng());
        assert!(windows.is_whole_from(TODAY + 3) && windows.is_whole_from(TODAY));
        windows.keys.remove(&(TODAY + 50));
        assert!(!windows.is_whole_from(TODAY + 3) && windows.is_whole_from(TODAY + 51));
        assert!(WindowKeys::new().is_whole_from(TODAY));
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let mut windows = windows();
        let before = windows.image().to_vec();
        assert_eq!(windows.ensure(&operator(), TODAY, 130, &mut rng()), Ok(0));
        assert_eq!(windows.image(), before);
        assert_eq!(
            windows.ensure(&operator(), TODAY + 1, 130, &mut rng()),
            Ok(1)
        );
        let differing = before
            .chunks_exact(SLOT_BYTES)
            .zip(windows.image().chunks_exact(SLOT_BYTES))
            .filter(|(old, new)| old != new);
        assert_eq!(differing.count(), 1);
    }

    #[test]
    fn retired_slots_are_overwritten() {
        let mut windows = windows();
        let before = windows.image().to_vec();
        assert_eq!(windows.retire(TODAY + 3, &mut rng()), 3);
        assert!(windows.key(TODAY + 2).is_none() && windows.key(TODAY + 3).is_some());
        for day in TODAY..TODAY + 3 {
            let start = usize::try_from(place_of(day)).unwrap() * SLOT_BYTES;
            let range = start..start + SLOT_BYTES;
            let same = before[range.clone()]
                .iter()
                .zip(&windows.image()[range])
                .filter(|(old, new)| old == new);
            assert!(same.count() < 8, "random bytes hardly repeat");
        }
        let loaded = WindowKeys::load(&operator(), windows.image()).unwrap();
        assert!(same_keys(&windows, &loaded));
        assert_eq!(windows.retire(TODAY + 3, &mut rng()), 0);
    }

    #[test]
    fn a_wrong_operator_key_is_an_error_and_not_an_empty_file() {
        let other = OperatorKey::new(secret(2));
        let loaded = WindowKeys::load(&other, windows().image());
        assert_eq!(loaded.err(), Some(CryptoError::Decrypt));
    }

    #[test]
    fn a_file_of_another_size_or_with_a_damaged_header_is_refused() {
        let image = windows().image().to_vec();
        for length in [0, SLOT_BYTES, image.len() - 1] {
            let loaded = WindowKeys::load(&operator(), &image[..length]);
            assert_eq!(loaded.err(), Some(CryptoError::Length));
        }
        for index in 0..SLOT_BYTES {
            let mut damaged = image.clone();
            damaged[index] ^= 1;
            assert!(WindowKeys::load(&operator(), &damaged).is_err());
        }
    }

    #[test]
    fn a_damaged_or_moved_slot_costs_its_own_key_alone() {
        let windows = windows();
        let mut image = windows.image().to_vec();
        let start = usize::try_from(place_of(TODAY)).unwrap() * SLOT_BYTES;
        image.copy_within(start..start + SLOT_BYTES, start + SLOT_BYTES);
        let loaded = WindowKeys::load(&operator(), &image).unwrap();
        assert!(loaded.key(TODAY + 1).is_none());
        assert_eq!(loaded.key(TODAY), windows.key(TODAY));
        assert_eq!(loaded.keys.len(), windows.keys.len() - 1);
    }

    #[test]
    fn a_rotation_wraps_all_of_it_anew() {
        let next = OperatorKey::new(secret(2));
        let mut moved = WindowKeys::load(&operator(), windows().image()).unwrap();
        assert_eq!(moved.ensure(&next, TODAY, 130, &mut rng()), Ok(132));
        let loaded = WindowKeys::load(&next, moved.image()).unwrap();
        assert!(same_keys(&loaded, &windows()));
        assert!(WindowKeys::load(&operator(), moved.image()).is_err());
    }

    #[test]
    fn a_rotation_that_was_torn_loses_nothing() {
        let next = OperatorKey::new(secret(2));
        let mut moved = windows();
        moved.ensure(&next, TODAY, 130, &mut rng()).unwrap();
        let old = windows();
        for cut in [SLOT_BYTES, 250 * SLOT_BYTES] {
            let torn = [&moved.image()[..cut], &old.image()[cut..]].concat();
            let loaded = WindowKeys::load_with_former(&next, &[operator()], &torn).unwrap();
            assert!(same_keys(&loaded, &old));
        }
    }

    #[test]
    fn no_key_that_is_not_past_is_dropped() {
        let mut windows = windows();
        let refused = Err(CryptoError::Length);
        assert_eq!(
            windows.ensure(&operator(), TODAY, SLOTS, &mut rng()),
            refused
        );
        assert_eq!(
            windows.ensure(&operator(), u32::MAX, 1, &mut rng()),
            refused
        );
        let before = windows.image().to_vec();
        let earlier = TODAY - SLOTS + 10;
        assert_eq!(
            windows.ensure(&operator(), earlier, 130, &mut rng()),
            refused
        );
        assert_eq!(windows.image(), before);
        assert!(
            windows
                .ensure(&operator(), TODAY, SLOTS - 1, &mut rng())
                .is_ok()
        );
        assert!(same_keys(
            &windows,
            &WindowKeys::load(&operator(), windows.image()).unwrap()
        ));
    }

    #[test]
    fn keys_of_days_to_come_are_in_nobodys_way() {
        let mut windows = windows();
        let earlier = TODAY - 5;
        assert_eq!(windows.ensure(&operator(), earlier, 2, &mut rng()), Ok(3));
        assert!(windows.key(earlier).is_some() && windows.key(TODAY + 130).is_some());
    }

    #[test]
    fn a_past_key_gives_way_to_the_same_slot() {
        let mut windows = windows();
        let later = TODAY + SLOTS;
        windows.ensure(&operator(), later, 130, &mut rng()).unwrap();
        assert!(windows.key(TODAY).is_none() && windows.key(later).is_some());
        let loaded = WindowKeys::load(&operator(), windows.image()).unwrap();
        assert!(same_keys(&windows, &loaded));
    }
}
