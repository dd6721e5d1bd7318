//! Owns what a client demands of a directory before it draws (design page 4, RFC 9576 section 6.2).
//!
//! Invariant: tokens are drawn only with keys that all others who ask are shown too. N live keys are
//! log2(N) bits by which a hub could tell users apart, so they are few, they come one per epoch, and
//! none comes that was not announced an epoch ahead.

use crate::directory::{Directory, KeyTerms, ListedKey};
use crate::kind::TokenType;
use sordino_wire::limits::MAX_LIVE_TOKEN_KEYS;

/// Why a client does not draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Inconsistent {
    /// The directory fetched through the provider is not the one fetched directly. Fetch both again
    /// once: keys may have changed in between.
    #[error("two ways lead to different directories")]
    Differs,
    /// More than three live keys of one class and type.
    #[error("too many keys are live")]
    TooManyKeys,
    /// Two keys for one time, or epochs out of order.
    #[error("two keys of one class and type are for one time")]
    Overlap,
    /// An epoch shorter than a client accepts: keys that change often are keys of few.
    #[error("an epoch is too short")]
    ShortEpoch,
    /// A key that is still due to live has gone or has been exchanged.
    #[error("a known key was exchanged")]
    Exchanged,
    /// A key for a time of which the other keys were known before.
    #[error("a key was not announced")]
    Unannounced,
}

/// What a client demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsistencyPolicy {
    /// Keys per class and type whose epoch has not ended.
    pub max_live_keys: usize,
    /// The shortest epoch, in seconds.
    pub min_epoch_s: u64,
}

impl Default for ConsistencyPolicy {
    fn default() -> Self {
        Self {
            max_live_keys: MAX_LIVE_TOKEN_KEYS,
            min_epoch_s: 86_400,
        }
    }
}

/// A directory that was compared and checked: the only one to draw with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedDirectory(Directory);

impl CheckedDirectory {
    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.0
    }

    /// The directory to remember for the next check.
    pub fn into_directory(self) -> Directory {
        self.0
    }
}

impl ConsistencyPolicy {
    /// Checks a directory that came on two ways against each other and against the last one that
    /// passed, if there is one.
    pub fn check(
        &self,
        through_provider: &Directory,
        direct: Directory,
        remembered: Option<&Directory>,
        now_s: u64,
    ) -> Result<CheckedDirectory, Inconsistent> {
        if *through_provider != direct {
            return Err(Inconsistent::Differs);
        }
        let keys = hub_keys(&direct);
        for (index, (kind, key, terms)) in keys.iter().enumerate() {
            let epoch = terms.epoch;
            if epoch.end_s().saturating_sub(epoch.start_s()) < self.min_epoch_s {
                return Err(Inconsistent::ShortEpoch);
            }
            let same_kind = |other: &&(Kind, &ListedKey, KeyTerms)| other.0 == *kind;
            let live = |other: &&(Kind, &ListedKey, KeyTerms)| other.2.epoch.is_drawable(now_s);
            if keys.iter().filter(same_kind).filter(live).count() > self.max_live_keys {
                return Err(Inconsistent::TooManyKeys);
            }
            let mut others = keys.iter().skip(index + 1).filter(same_kind);
            if others.any(|(_, other, other_terms)| {
                clash(terms, other_terms) || other.public_key == key.public_key
            }) {
                return Err(Inconsistent::Overlap);
            }
        }
        if let Some(remembered) = remembered {
            compare(&keys, &hub_keys(remembered), now_s)?;
        }
        Ok(CheckedDirectory(direct))
    }
}

type Kind = (crate::kind::TokenClass, TokenType);

/// Keys that say what they are for; others are for other clients.
fn hub_keys(directory: &Directory) -> Vec<(Kind, &ListedKey, KeyTerms)> {
    let keys = directory.keys.iter();
    keys.filter_map(|key| {
        let terms = key.terms?;
        Some(((terms.class, key.token_type()?), key, terms))
    })
    .collect()
}

/// Whether two epochs of one class and type cannot both be.
fn clash(one: &KeyTerms, other: &KeyTerms) -> bool {
    let (one, other) = (one.epoch, other.epoch);
    let numbers = one.number().cmp(&other.number());
    one.overlaps(&other) || numbers != one.start_s().cmp(&other.start_s())
}

fn compare(
    keys: &[(Kind, &ListedKey, KeyTerms)],
    remembered: &[(Kind, &ListedKey, KeyTerms)],
    now_s: u64,
) -> Result<(), Inconsistent> {
    let same = |one: &(Kind, &ListedKey, KeyTerms), other: &(Kind, &ListedKey, KeyTerms)| {
        one.0 == other.0 && one.2 == other.2 && one.1.public_key == other.1.public_key
    };
    let mut due = remembered
        .iter()
        .filter(|(_, _, terms)| terms.epoch.is_drawable(now_s));
    if due.any(|known| !keys.iter().any(|key| same(key, known))) {
        return Err(Inconsistent::Exchanged);
    }
    for key in keys {
        if remembered.iter().any(|known| same(known, key)) {
            continue;
        }
        // A class or type that is new altogether may begin at once.
        let of_kind = remembered.iter().filter(|known| known.0 == key.0);
        let known_until_s = of_kind.map(|(_, _, terms)| terms.epoch.end_s()).max();
        if known_until_s.is_some_and(|until_s| key.2.epoch.start_s() < until_s) {
            return Err(Inconsistent::Unannounced);
        }
    }
    Ok(())
}
