//! Owns a group's state while a request is at work on it.
//!
//! Invariant: it is made of records that one head names by version, so a record that was moved,
//! mixed or rolled back is noticed. It lives as long as the request.

mod head;
mod lazy_roster;
mod mls;
mod pending;
mod roster;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use head::{
    EpochKey, HEAD_FORMAT, Head, KeptSnapshot, Manifest, ParkedQuestion, ParkingPlace, Tombstone,
    Unconfirmed,
};
pub(crate) use lazy_roster::LazyRoster;
pub(crate) use mls::{MlsState, ReadOnlyStorage, to_postcard};
#[cfg(test)]
pub(crate) use mls::{replay, store};
pub(crate) use pending::{Pending, PendingItem, PendingKind};
pub(crate) use roster::{DeltaRecord, JoinerPointer, RosterRecord, TreeRecord, activity_of};
pub(crate) use window::{ChainItem, Previous, Rekeyed, StoreKeys};

use crate::HubShared;
use crate::outcome::{RecordVersion, Refusal};
use crate::unseal::Reader;
use sordino_crypto::EarKey;
use sordino_effects::Records;

/// A head, opened: all that a send needs.
pub(crate) struct OpenedHead {
    /// The head.
    pub(crate) head: Head,
    /// Its place in the store.
    pub(crate) store_key: crate::outcome::StoreKey,
    /// Its version when it was read.
    pub(crate) version: RecordVersion,
    /// The version of its guard row when it was read.
    pub(crate) guard_version: RecordVersion,
}

/// A group, opened whole: what everything but a send needs.
pub(crate) struct GroupState {
    /// The head as it was read.
    pub(crate) opened: OpenedHead,
    /// The key that opened it.
    pub(crate) ear_key: EarKey,
    /// The MLS side.
    pub(crate) mls: MlsState,
    /// Identity entries, wrappers, activity.
    pub(crate) roster: LazyRoster,
    /// Pending proposals.
    pub(crate) pending: Pending,
}

impl GroupState {
    pub(crate) fn head(&self) -> &Head {
        &self.opened.head
    }

    /// Identity entries, wrappers and activity as they are now.
    pub(crate) fn open_roster(
        &mut self,
        shared: &HubShared,
        records: &dyn Records,
    ) -> Result<&mut RosterRecord, Refusal> {
        let reader = Reader {
            shared,
            records,
            ear_key: &self.ear_key,
        };
        self.roster.open(&reader)
    }

    /// Whether all leaves belong to one user.
    pub(crate) fn has_one_user(&self) -> bool {
        let mut users = self
            .mls
            .members
            .iter()
            .map(|m| &m.credential.user_pseudonym);
        let Some(first) = users.next() else {
            return true;
        };
        users.all(|user| user == first)
    }
}
