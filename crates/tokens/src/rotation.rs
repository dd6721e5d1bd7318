//! Owns when keys are made and destroyed.
//!
//! Invariant: with a clock that does not go back, every class and type has a key for the running epoch
//! and one, announced ahead, for the next; a key goes two hours after its epoch ends. So three live at
//! most, and clients can draw for the next epoch during all of this one.

use crate::epoch::Epoch;
use crate::issuer_key::KeyPurpose;
use crate::key_set::IssuerKeys;
use crate::kind::{TokenClass, TokenType};
use crate::token::KeyId;
use sordino_wire::limits::TOKEN_GRACE_S;

const DAY_S: u64 = 86_400;

/// What has to be done. Retire first: only then is there a place for what is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rotation {
    /// Keys to destroy, each together with its spent set.
    pub retire: Vec<KeyId>,
    /// Keys to make.
    pub make: Vec<KeyPurpose>,
}

impl Rotation {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.retire.is_empty() && self.make.is_empty()
    }
}

/// Says which keys to destroy and which to make.
///
/// `epoch_length_s` (see [`crate::epoch_length_s`]) is the length of epochs that do not exist yet, and
/// is never shorter than the two hours in which a key outlives its epoch. When the clock has gone back
/// behind all epochs, no new ones are made until it has caught up.
pub fn plan(
    keys: &IssuerKeys,
    offered: &[(TokenClass, TokenType)],
    now_s: u64,
    epoch_length_s: u64,
) -> Rotation {
    let live: Vec<(KeyPurpose, KeyId)> = keys.iter().map(|k| (*k.purpose(), *k.id())).collect();
    plan_for(&live, offered, now_s, epoch_length_s)
}

pub(crate) fn plan_for(
    live: &[(KeyPurpose, KeyId)],
    offered: &[(TokenClass, TokenType)],
    now_s: u64,
    epoch_length_s: u64,
) -> Rotation {
    let is_over = |purpose: &KeyPurpose| purpose.epoch.is_over(now_s);
    let over = live.iter().filter(|(purpose, _)| is_over(purpose));
    let mut rotation = Rotation {
        retire: over.map(|(_, id)| *id).collect(),
        make: Vec::new(),
    };
    let epochs: Vec<Epoch> = live.iter().map(|(purpose, _)| purpose.epoch).collect();
    let length_s = epoch_length_s.max(TOKEN_GRACE_S);
    let Some(current) = current_epoch(&epochs, now_s, length_s) else {
        return rotation;
    };
    let wanted = [Some(current), next_epoch(&epochs, current, length_s)];
    for epoch in wanted.into_iter().flatten() {
        for (class, token_type) in offered {
            let purpose = KeyPurpose {
                class: *class,
                token_type: *token_type,
                epoch,
            };
            let exists = live.iter().any(|(known, _)| *known == purpose);
            if !exists && !rotation.make.contains(&purpose) {
                rotation.make.push(purpose);
            }
        }
    }
    rotation
}

/// The running epoch: a known one, or a new one behind all that are known.
fn current_epoch(epochs: &[Epoch], now_s: u64, length_s: u64) -> Option<Epoch> {
    if let Some(running) = epochs.iter().find(|epoch| epoch.contains(now_s)) {
        return Some(*running);
    }
    if epochs.iter().any(|epoch| epoch.start_s() > now_s) {
        return None;
    }
    // Begins where days, weeks or months of 30 days do, so that it does not show when a hub started.
    let aligned_s = now_s - now_s.checked_rem(length_s).unwrap_or(0);
    let last = epochs.iter().max();
    let start_s = last.map_or(aligned_s, |last| last.end_s().max(aligned_s));
    new_epoch(last, start_s, length_s)
}

fn next_epoch(epochs: &[Epoch], current: Epoch, length_s: u64) -> Option<Epoch> {
    let mut later = epochs
        .iter()
        .filter(|epoch| epoch.start_s() >= current.end_s());
    match later.next() {
        Some(known) => Some(*later.fold(known, |first, epoch| first.min(epoch))),
        None => new_epoch(Some(&current), current.end_s(), length_s),
    }
}

/// Numbers count days of Unix time where they can, so that they go on growing when a hub has lost all
/// of its keys.
fn new_epoch(last: Option<&Epoch>, start_s: u64, length_s: u64) -> Option<Epoch> {
    let day = start_s.checked_div(DAY_S)?;
    let number = match last {
        Some(last) => day.max(last.number().checked_add(1)?),
        None => day,
    };
    Epoch::new(number, start_s, start_s.checked_add(length_s)?)
}
