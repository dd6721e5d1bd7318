//! Stage 2, unseal: opens the records that the request's keys open.
//!
//! Owns: head, guard, tree, deltas, roster, pending, and that they belong together.
//! Invariant: absent, wrong key and tombstone of somebody else look the same, and a state whose
//! guard is gone is answered as an old epoch.

use crate::HubShared;
use crate::outcome::{Fault, Refusal};
use crate::state::{
    DeltaRecord, GroupState, HEAD_FORMAT, Head, LazyRoster, Manifest, MlsState, OpenedHead,
    Pending, RosterRecord, Tombstone, TreeRecord,
};
use sordino_crypto::{Address, EarKey, HeadKey, LayerKey, Space};
use sordino_effects::{Opened, Records, address, open_record};
use sordino_wire::{GroupAccess, GroupId, HeadAccess, Locator, Reject, Salt, exact};

/// What stands at a head's place.
pub(crate) enum AtHead {
    /// The head.
    Head(Box<OpenedHead>),
    /// A tombstone with the version it was read at.
    Tombstone(Box<Tombstone>, Address, [u8; 16]),
}

/// Opens whatever stands at a place.
pub(crate) fn open_place(
    shared: &HubShared,
    records: &dyn Records,
    locator: Locator,
    head_key: &HeadKey,
    group_id: GroupId,
) -> Result<AtHead, Refusal> {
    let address = address(&shared.outer, Space::Head, &locator.0)?;
    let key = LayerKey::from(head_key);
    let Some(opened) = open_record(&shared.outer, records, &address, &key)? else {
        shared.decoy.open_in_vain(&shared.outer, &key);
        return Err(Reject::UnknownGroup.into());
    };
    if opened.value.starts_with(&Tombstone::FORMAT.to_be_bytes()) {
        let tombstone: Tombstone = exact(&opened.value).map_err(|_| Fault::Inconsistent)?;
        if tombstone.group_id != group_id {
            return Err(Reject::UnknownGroup.into());
        }
        return Ok(AtHead::Tombstone(
            Box::new(tombstone),
            address,
            opened.version,
        ));
    }
    let head: Head = exact(&opened.value).map_err(|_| Fault::Inconsistent)?;
    if head.format != HEAD_FORMAT {
        return Err(Fault::Inconsistent.into());
    }
    if head.group_id != group_id {
        return Err(Reject::UnknownGroup.into());
    }
    let guard_version = guard_version(shared, records, &head)?;
    Ok(AtHead::Head(Box::new(OpenedHead {
        store_key: address.store_key,
        version: opened.version,
        guard_version,
        head,
    })))
}

/// The guard is one row that all sealings of a state share; whoever commits replaces it.
fn guard_version(
    shared: &HubShared,
    records: &dyn Records,
    head: &Head,
) -> Result<[u8; 16], Refusal> {
    let key = guard_key(shared, head.guard)?;
    let Some(value) = records.get(&key)? else {
        // Another sealing of this state went on; its epoch is the next at least.
        return Err(Reject::WrongEpoch {
            current: head.epoch.saturating_add(1),
        }
        .into());
    };
    sordino_effects::version_of(&value).ok_or_else(|| Fault::Inconsistent.into())
}

/// Where a guard lies.
pub(crate) fn guard_key(shared: &HubShared, guard: Salt) -> Result<[u8; 16], Fault> {
    shared
        .outer
        .index()
        .blind(Space::Guard, &guard.0)
        .map_err(|_| Fault::Crypto)
}

/// Opens the head alone: what a send needs.
pub(crate) fn open_head(
    shared: &HubShared,
    records: &dyn Records,
    access: &HeadAccess,
) -> Result<OpenedHead, Refusal> {
    let head_key = HeadKey::new(access.head_key.duplicate());
    match open_place(shared, records, access.locator, &head_key, access.group_id)? {
        AtHead::Head(opened) => Ok(*opened),
        AtHead::Tombstone(tombstone, ..) => Err(Reject::WrongEpoch {
            current: tombstone.epoch,
        }
        .into()),
    }
}

/// Opens a group whole.
pub(crate) fn open_group(
    shared: &HubShared,
    records: &dyn Records,
    access: &GroupAccess,
) -> Result<GroupState, Refusal> {
    let ear_key = EarKey::new(access.ear_key.duplicate());
    let head_access = HeadAccess {
        group_id: access.group_id,
        locator: ear_key.locator("head")?,
        head_key: ear_key.head_key()?.secret().duplicate(),
    };
    let opened = open_head(shared, records, &head_access)?;
    open_rest(shared, records, ear_key, opened)
}

/// Opens what a head names.
pub(crate) fn open_rest(
    shared: &HubShared,
    records: &dyn Records,
    ear_key: EarKey,
    opened: OpenedHead,
) -> Result<GroupState, Refusal> {
    let reader = Reader {
        shared,
        records,
        ear_key: &ear_key,
    };
    let head = &opened.head;
    let manifest = &head.manifest;
    let tree = reader.tree(manifest.base_epoch, Some(manifest.tree))?;
    let deltas = reader.deltas(manifest)?;
    let pending = match manifest.pending {
        Some(version) => reader.pending(version)?,
        None => Pending::default(),
    };
    let mls = MlsState::load(head.group_id, tree, &deltas, &pending)?;
    if mls.epoch() != head.epoch || mls.context_hash()? != head.context_hash {
        return Err(Fault::Inconsistent.into());
    }
    let roster = LazyRoster::new(manifest.base_epoch, manifest.roster, deltas);
    Ok(GroupState {
        opened,
        ear_key,
        mls,
        roster,
        pending,
    })
}

/// Reads a group's records of one generation.
pub(crate) struct Reader<'a> {
    pub(crate) shared: &'a HubShared,
    pub(crate) records: &'a dyn Records,
    pub(crate) ear_key: &'a EarKey,
}

impl Reader<'_> {
    /// The tree snapshot of an epoch, of the given version where one is given.
    pub(crate) fn tree(&self, epoch: u64, version: Option<Salt>) -> Result<TreeRecord, Refusal> {
        let key = LayerKey::from(&self.ear_key.tree_key()?);
        let opened = self.named(Space::Tree, &format!("tree/{epoch}"), &key, version)?;
        let tree: TreeRecord = exact(&opened.value).map_err(|_| Fault::Inconsistent)?;
        if tree.format != HEAD_FORMAT || tree.epoch != epoch {
            return Err(Fault::Inconsistent.into());
        }
        Ok(tree)
    }

    /// The roster of an epoch.
    pub(crate) fn roster(
        &self,
        epoch: u64,
        version: Option<Salt>,
    ) -> Result<RosterRecord, Refusal> {
        let key = LayerKey::from(&self.ear_key.roster_key()?);
        let opened = self.named(Space::Roster, &format!("roster/{epoch}"), &key, version)?;
        let roster: RosterRecord = exact(&opened.value).map_err(|_| Fault::Inconsistent)?;
        if roster.format != HEAD_FORMAT || roster.epoch != epoch {
            return Err(Fault::Inconsistent.into());
        }
        Ok(roster)
    }

    /// One delta.
    pub(crate) fn delta(&self, epoch: u64, version: Option<Salt>) -> Result<DeltaRecord, Refusal> {
        let key = LayerKey::from(&self.ear_key.tree_key()?);
        let opened = self.named(Space::Delta, &format!("delta/{epoch}"), &key, version)?;
        let delta: DeltaRecord = exact(&opened.value).map_err(|_| Fault::Inconsistent)?;
        if delta.format != HEAD_FORMAT || delta.epoch != epoch {
            return Err(Fault::Inconsistent.into());
        }
        Ok(delta)
    }

    /// The deltas after the snapshot.
    fn deltas(&self, manifest: &Manifest) -> Result<Vec<DeltaRecord>, Refusal> {
        (manifest.base_epoch.saturating_add(1)..)
            .zip(manifest.deltas.iter())
            .map(|(epoch, version)| self.delta(epoch, Some(*version)))
            .collect()
    }

    fn pending(&self, version: Salt) -> Result<Pending, Refusal> {
        let key = LayerKey::from(&self.ear_key.pending_key()?);
        let opened = self.named(Space::Pending, "pending", &key, Some(version))?;
        exact(&opened.value).map_err(|_| Fault::Inconsistent.into())
    }

    /// A record that must be there, and of that version.
    fn named(
        &self,
        space: Space,
        name: &str,
        key: &LayerKey,
        version: Option<Salt>,
    ) -> Result<Opened, Refusal> {
        let locator = self.ear_key.locator(name)?;
        let address = address(&self.shared.outer, space, &locator.0)?;
        let opened = open_record(&self.shared.outer, self.records, &address, key)?
            .ok_or(Fault::Inconsistent)?;
        if version.is_some_and(|v| v.0 != opened.version) {
            return Err(Fault::Inconsistent.into());
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::activity_of;
    use crate::{Changes, Hub, HubConfig};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use sordino_crypto::{IndexKey, OperatorKey, OuterKeys, PadClass, SigningKey, WindowKeys};
    use sordino_effects::memory::MemoryStore;
    use sordino_effects::seal_record;
    use sordino_wire::{Bytes, Domain, List, PartialGroupInfo, Roster, Secret32, encode};
    use std::sync::Arc;
    use tls_codec::{Serialize, Size};

    /// A hub, its store, and the keys of one generation.
    struct Scene {
        hub: Hub,
        store: MemoryStore,
        ear_key: EarKey,
    }

    impl Scene {
        fn new() -> Self {
            let outer = OuterKeys::new(
                OperatorKey::new(Secret32::new([1; 32])),
                Vec::new(),
                IndexKey::new(Secret32::new([2; 32])),
                WindowKeys::new(),
            );
            let config = HubConfig::new(Domain::new("hub.example").unwrap());
            let key = SigningKey::from_seed(&[3; 32]);
            Self {
                hub: Hub::new(config, &key, Arc::new(outer)).unwrap(),
                store: MemoryStore::default(),
                ear_key: EarKey::new(Secret32::new([4; 32])),
            }
        }

        /// Puts a record where it says that it belongs, or elsewhere.
        fn put(
            &mut self,
            space: Space,
            name: &str,
            key: &LayerKey,
            value: &impl Serialize,
        ) -> Salt {
            let outer = &self.hub.shared.outer;
            let locator = self.ear_key.locator(name).unwrap();
            let address = address(outer, space, &locator.0).unwrap();
            let mut rng = ChaCha20Rng::seed_from_u64(5);
            let value = encode(value).unwrap();
            let (put, version) =
                seal_record(outer, &address, key, &value, PadClass::PowerOfTwo, &mut rng).unwrap();
            let changes = Changes {
                put: vec![put],
                ..Changes::default()
            };
            self.store.apply(changes).unwrap();
            Salt(version)
        }

        fn reader(&self) -> Reader<'_> {
            Reader {
                shared: &self.hub.shared,
                records: &self.store,
                ear_key: &self.ear_key,
            }
        }
    }

    fn group_info() -> PartialGroupInfo {
        PartialGroupInfo {
            extensions: Bytes::new([1; 37]).unwrap(),
            signature: Bytes::new([2; 64]).unwrap(),
        }
    }

    fn tree(format: u16, epoch: u64) -> TreeRecord {
        TreeRecord {
            format,
            epoch,
            group_info: group_info(),
            signer: 0,
            mls: Bytes::new([3; 8]).unwrap(),
        }
    }

    fn roster(format: u16, epoch: u64) -> RosterRecord {
        RosterRecord {
            format,
            epoch,
            roster: Roster {
                entries: List::default(),
                wrappers: List::default(),
            },
            activity: activity_of(0, 1),
        }
    }

    fn delta(format: u16, epoch: u64) -> DeltaRecord {
        DeltaRecord {
            format,
            epoch,
            group_info: group_info(),
            signer: 0,
            day: 1,
            removed: List::default(),
            added: List::default(),
            entries: List::default(),
            staged: Bytes::new([3; 8]).unwrap(),
        }
    }

    /// What `read` says of a record as it must be, of another version than the head names, of
    /// another format, and of another epoch; and of none.
    fn check<R>(
        space: Space,
        kind: &str,
        key: impl Fn(&EarKey) -> LayerKey,
        record: impl Fn(u16, u64) -> R,
        read: impl Fn(&Reader<'_>, Option<Salt>) -> Result<R, Refusal>,
    ) where
        R: Serialize + Size,
    {
        let mut scene = Scene::new();
        let key = key(&scene.ear_key);
        let name = format!("{kind}/7");
        let is_fault =
            |read: Result<R, Refusal>| matches!(read, Err(Refusal::Fault(Fault::Inconsistent)));
        assert!(is_fault(read(&scene.reader(), None)));
        let version = scene.put(space, &name, &key, &record(HEAD_FORMAT, 7));
        assert!(read(&scene.reader(), None).is_ok());
        assert!(read(&scene.reader(), Some(version)).is_ok());
        assert!(is_fault(read(&scene.reader(), Some(Salt([0; 16])))));
        for (format, epoch) in [(HEAD_FORMAT + 1, 7), (HEAD_FORMAT, 8)] {
            scene.put(space, &name, &key, &record(format, epoch));
            assert!(is_fault(read(&scene.reader(), None)), "{format} {epoch}");
        }
    }

    #[test]
    fn a_tree_of_another_format_epoch_or_version_is_a_fault() {
        let key = |ear: &EarKey| LayerKey::from(&ear.tree_key().unwrap());
        check(Space::Tree, "tree", key, tree, |r, v| r.tree(7, v));
    }

    #[test]
    fn a_roster_of_another_format_epoch_or_version_is_a_fault() {
        let key = |ear: &EarKey| LayerKey::from(&ear.roster_key().unwrap());
        check(Space::Roster, "roster", key, roster, |r, v| r.roster(7, v));
    }

    #[test]
    fn a_delta_of_another_format_epoch_or_version_is_a_fault() {
        let key = |ear: &EarKey| LayerKey::from(&ear.tree_key().unwrap());
        check(Space::Delta, "delta", key, delta, |r, v| r.delta(7, v));
    }
}
