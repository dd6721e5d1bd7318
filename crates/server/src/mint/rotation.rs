//! Owns the change of keys: which are made and which end, while requests go on.
//!
//! Invariant: a key and the sets that go with it come and go in one transaction each. A key is used
//! only once that is durable; a request that verified a token of a key that ends meanwhile finds the
//! set closed, so nothing is spent that could be forgotten.

use super::keys_at_rest::{AtRest, ListedKey, delete, put};
use super::{DRAWN_TYPE, Mint, class_on_wire, drawn_set};
use crate::clock::day_of;
use crate::error::MaintenanceError;
use crate::random;
use sordino_effects::Fault;
use sordino_store::{Changes, RedbStore, Snapshot, Store};
use sordino_tokens::{IssuerKeys, KeyPurpose, Rotation, TokenClass, epoch_length_s, plan};
use sordino_wire::limits::TOKEN_GRACE_S;
use std::sync::Arc;

/// Whether keys may change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The time is believed.
    Allowed,
    /// It is not yet: keys are read, and made only where there are none. The next epoch's are made
    /// an epoch ahead, so there is no hurry.
    IfNone,
}

/// What a change of keys came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rotated {
    /// Keys that were made.
    pub(crate) made: usize,
    /// Keys that ended.
    pub(crate) ended: usize,
}

/// Reads the keys, ends those whose time is over, makes those that are missing, and puts them to use.
pub(crate) async fn rotate(
    mint: &Arc<Mint>,
    store: &RedbStore,
    now_s: u64,
    change: Change,
) -> Result<Rotated, MaintenanceError> {
    let (at_work, snapshot) = (Arc::clone(mint), store.snapshot()?);
    // Making keys takes long where there are those of Blind RSA.
    let prepared =
        tokio::task::spawn_blocking(move || prepare(&at_work, &snapshot, now_s, change)).await;
    let prepared = prepared.map_err(|_| MaintenanceError::TokenKeys)?;
    let (changes, keys, rotated) = prepared.map_err(|fault| match fault {
        Fault::Store => MaintenanceError::Store(sordino_store::StoreFault::BadRow),
        _ => MaintenanceError::TokenKeys,
    })?;
    if let Some(changes) = changes {
        let committed = store.commit(changes).await;
        committed.map_err(|_| MaintenanceError::TokenKeys)?;
    }
    mint.use_keys(keys);
    Ok(rotated)
}

type Prepared = (Option<Changes>, IssuerKeys, Rotated);

fn prepare(
    mint: &Mint,
    snapshot: &impl Snapshot,
    now_s: u64,
    change: Change,
) -> Result<Prepared, Fault> {
    let outer = &mint.outer;
    let mut rng = random::generator().map_err(|_| Fault::Crypto)?;
    let at_rest = AtRest::read(outer, snapshot)?;
    let mut keys = at_rest.keys.clone();
    if change == Change::IfNone && keys.iter().next().is_some() {
        return Ok((None, keys, Rotated::default()));
    }
    let rotation = planned(mint, &keys, snapshot, now_s)?;
    for id in &rotation.retire {
        keys.retire(id);
    }
    let lives = |listed: &ListedKey| keys.iter().any(|key| key.id().0 == listed.id);
    let (mut listed, ended): (Vec<_>, Vec<_>) = at_rest.listed.iter().copied().partition(lives);
    let mut changes = Changes::default();
    for key in &ended {
        delete(outer, &key.id, &mut changes)?;
        changes.close_sets.push(key.spend_set());
        changes.close_sets.extend(key.drawn_set);
    }
    for purpose in &rotation.make {
        let key = keys
            .generate(*purpose, &mut rng)
            .map_err(|_| Fault::Crypto)?;
        put(outer, &key, last_day(purpose), &mut changes, &mut rng)?;
        let (class, epoch) = (class_on_wire(purpose.class), purpose.epoch.number());
        let drawn = purpose.token_type == DRAWN_TYPE;
        let drawn_set = drawn.then(|| drawn_set(outer, class, epoch)).transpose()?;
        let new = ListedKey {
            id: key.id().0,
            drawn_set,
        };
        changes.open_sets.push(new.spend_set());
        changes.open_sets.extend(drawn_set);
        listed.push(new);
    }
    let rotated = Rotated {
        made: rotation.make.len(),
        ended: ended.len(),
    };
    if rotated == Rotated::default() {
        return Ok((None, keys, rotated));
    }
    at_rest.replace(outer, listed, &mut changes, &mut rng)?;
    Ok((Some(changes), keys, rotated))
}

/// Epochs are as long as the number of those who drew in the running one makes them.
fn planned(
    mint: &Mint,
    keys: &IssuerKeys,
    snapshot: &impl Snapshot,
    now_s: u64,
) -> Result<Rotation, Fault> {
    let mut drew = 0;
    for key in keys.iter().map(|key| key.purpose()) {
        if key.token_type == DRAWN_TYPE && key.epoch.contains(now_s) {
            let set = drawn_set(&mint.outer, class_on_wire(key.class), key.epoch.number())?;
            let counted = snapshot.count_spent(set).map_err(|_| Fault::Store)?;
            drew = counted.unwrap_or(0).max(drew);
        }
    }
    let length_s = mint.settings.epoch_s.unwrap_or(epoch_length_s(drew));
    let types = mint.token_types().iter();
    let offered: Vec<_> = types
        .flat_map(|token_type| TokenClass::ALL.map(|class| (class, *token_type)))
        .collect();
    Ok(plan(keys, &offered, now_s, length_s))
}

/// The last day on which a key is of use.
fn last_day(purpose: &KeyPurpose) -> u32 {
    day_of(purpose.epoch.end_s().saturating_add(TOKEN_GRACE_S))
}
