//! Owns what a KeyPackage must look like before its leaf may enter a group.
//!
//! Invariant: the clock is an argument; openmls has verified the signatures of every [`KeyPackage`]
//! value. That a KeyPackage enters a hub only once is the hub's to remember.

use crate::capabilities::CIPHERSUITE;
use crate::credential::{LeafView, refuse};
use openmls::key_packages::{KeyPackage, Lifetime};
use sordino_wire::{CredentialRule, PseudonymousCredential, Reject};

const DAY_S: u64 = 86_400;
/// The longest lifetime: 84 days, the most that openmls accepts in whole days.
const MAX_LIFETIME_S: u64 = 84 * DAY_S;

/// The lifetime that all clients give to KeyPackages (and creators to their leaf) made on one day:
/// a finer time would tell KeyPackages apart.
pub fn key_package_lifetime(now_s: u64) -> Lifetime {
    let today = now_s.saturating_sub(now_s % DAY_S);
    let not_before = today.saturating_sub(DAY_S);
    Lifetime::init(not_before, not_before.saturating_add(MAX_LIFETIME_S))
}

/// The lifetime of all KeyPackages of a set that ends with a day, whenever its devices make them.
pub fn set_lifetime(last_day: u32) -> Lifetime {
    let not_after = u64::from(last_day).saturating_add(1).saturating_mul(DAY_S);
    Lifetime::init(not_after.saturating_sub(MAX_LIFETIME_S), not_after)
}

/// Checks a KeyPackage at a time and reads its credential.
pub fn check_key_package(
    key_package: &KeyPackage,
    now_s: u64,
) -> Result<PseudonymousCredential, Reject> {
    let leaf = read_key_package(key_package)?;
    check_lifetime(key_package.life_time(), now_s)?;
    Ok(leaf.credential)
}

/// Whether a lifetime holds at a time.
pub fn check_lifetime(lifetime: &Lifetime, now_s: u64) -> Result<(), Reject> {
    if lifetime.not_before() <= now_s && now_s < lifetime.not_after() {
        Ok(())
    } else {
        Err(refuse(CredentialRule::KeyPackage))
    }
}

/// All rules for a KeyPackage but the one that needs a clock.
pub(crate) fn read_key_package(key_package: &KeyPackage) -> Result<LeafView, Reject> {
    let canonical = key_package.ciphersuite() == CIPHERSUITE
        && key_package.extensions().iter().next().is_none()
        && !key_package.last_resort();
    if !canonical {
        return Err(refuse(CredentialRule::NotCanonical));
    }
    LeafView::checked(key_package.leaf_node())
}

/// Whether a lifetime is in whole days and not too long.
pub(crate) fn is_canonical(lifetime: &Lifetime) -> bool {
    let length_s = lifetime.not_after().checked_sub(lifetime.not_before());
    lifetime.not_before().is_multiple_of(DAY_S)
        && length_s
            .is_some_and(|length_s| length_s.is_multiple_of(DAY_S) && length_s <= MAX_LIFETIME_S)
}
