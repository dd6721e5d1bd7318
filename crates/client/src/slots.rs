//! Owns which slots were used.
//!
//! Invariant: a slot is marked durably before anything derived from it leaves the device, and a
//! marked slot is refused, so that a crash costs a slot and never uses one twice.

use crate::device::slot_hash;
use crate::error::{ClientError, Result};
use crate::records::slot_name;
use crate::vault::{Batch, Vault};
use sordino_crypto::Slot;
use sordino_wire::{Domain, GroupId};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The most times that one user comes back into one group under a new pseudonym.
const MAX_REJOINS: u32 = 10_000;

/// Whether a slot was used.
pub(crate) fn is_reserved(vault: &Vault, slot: &Slot) -> Result<bool> {
    Ok(vault.contains(&slot_name(&slot_hash(slot)?))?)
}

/// Marks a slot as used, or refuses it.
pub(crate) fn reserve(vault: &Vault, slot: &Slot) -> Result<()> {
    let name = slot_name(&slot_hash(slot)?);
    if vault.contains(&name)? {
        return Err(ClientError::SlotUsed);
    }
    // A sibling may come into that same group with it, whoever of the two was there first.
    let group_id = match slot {
        Slot::Group { group_id, .. } => Some(*group_id),
        Slot::KeyPackageSet { .. } => None,
    };
    mark(vault, name, group_id)
}

/// Marks the slot that this device's user has in a group; the same group may ask again.
pub(crate) fn reserve_as_sibling(vault: &Vault, slot: &Slot, group_id: GroupId) -> Result<()> {
    let name = slot_name(&slot_hash(slot)?);
    match vault.get::<SlotUse>(&name)? {
        Some(used) if used.group_id == Some(group_id) => Ok(()),
        Some(_) => Err(ClientError::SlotUsed),
        None => mark(vault, name, Some(group_id)),
    }
}

fn mark(vault: &Vault, name: String, group_id: Option<GroupId>) -> Result<()> {
    let mut batch = Batch::default();
    batch.put(name, &SlotUse { group_id })?;
    Ok(vault.commit(&batch)?)
}

/// What a slot was used for, where that is a group already.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct SlotUse {
    group_id: Option<GroupId>,
}

/// The first unused slot for a group that this device creates or joins by external commit.
pub(crate) fn reserve_for_group(
    vault: &Vault,
    user_secret_number: u32,
    hub_domain: &Domain,
    group_id: GroupId,
) -> Result<Slot> {
    for rejoin in 0..MAX_REJOINS {
        let slot = Slot::Group {
            user_secret_number,
            hub_domain: hub_domain.clone(),
            group_id,
            rejoin,
        };
        match reserve(vault, &slot) {
            Err(ClientError::SlotUsed) => {}
            other => return other.map(|()| slot),
        }
    }
    Err(ClientError::SlotUsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;
    use sordino_wire::Secret32;
    use std::path::Path;

    fn open(path: &Path) -> Vault {
        let entropy = Entropy::new(None).unwrap();
        Vault::open(path, &Secret32::new([9; 32]), entropy).unwrap()
    }

    #[test]
    fn a_slot_is_never_used_again_after_a_crash() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault");
        let domain = Domain::new("hub.example").unwrap();
        let group = GroupId([3; 16]);
        let first = {
            let vault = open(&path);
            reserve_for_group(&vault, 0, &domain, group).unwrap()
            // The vault is dropped here without anything else: a crash right after reserving.
        };
        let vault = open(&path);
        assert!(matches!(
            reserve(&vault, &first),
            Err(ClientError::SlotUsed)
        ));
        let second = reserve_for_group(&vault, 0, &domain, group).unwrap();
        assert_ne!(first, second);
    }
}
