//! Doors for tests: hostile clients change a request's body before it is signed; audits list what
//! must never stand in a hub's database (only with the feature `audit`); fuzzers read bytes as each of
//! the records that a vault keeps; a load generator repeats a message.
//!
//! Nothing in the library uses them; without a hook, requests are what they are.

#[cfg(feature = "audit")]
pub use crate::audit::Trace;
pub use crate::handover::{LeafGrant, LeafRequest};
pub use crate::template::{Line, MessageTemplate};

use crate::devices::facts::{Fact, VersionedFact};
use crate::devices::{DevicesGroup, DevicesMessage, Heard, LinkAnswer, LinkOffer};
use crate::people::contact::ContactRecord;
use crate::people::fetch::FetchedRecord;
use crate::records::{
    DeviceRecord, ExternalRecord, InboxRecord, IndexRecord, KeyPackageRecord, KeysRecord,
    MessageRecord, MlsIndexRecord, MlsRecord, StateRecord,
};
use crate::wallet::draw::BatchRecord;
use crate::wallet::purse::Purse;
use sordino_crypto::SigningKey;
use sordino_wire::{GroupId, KeyPackageEntry, RequestBody, encode, exact};
use std::sync::Arc;
use tls_codec::{DeserializeBytes, Serialize};

/// What a hook may need to forge consistently.
pub struct HookContext<'a> {
    /// The group, where the request is about one.
    pub group_id: GroupId,
    /// The leaf key that signs what is inside the body (the new one, in a rotation).
    pub leaf_key: Option<&'a SigningKey>,
    /// The epoch that the request is signed for.
    pub epoch: u64,
}

/// Changes a body before it is signed.
pub type RequestHook = Arc<dyn Fn(&mut RequestBody, &HookContext<'_>) + Send + Sync>;

/// Lists what must never stand in a hub's database, as this device knows it now.
#[cfg(feature = "audit")]
pub async fn traces(client: &crate::Client) -> crate::Result<Vec<Trace>> {
    client.core.traces().await
}

/// Reads bytes as the record with this number, from 0 on, or as what devices tell each other.
/// `None`: there is no such record.
/// `Some(Err(()))`: it was read and does not encode to the same bytes.
pub fn read_record(which: u8, bytes: &[u8]) -> Option<std::result::Result<(), ()>> {
    Some(match which {
        0 => same::<DeviceRecord>(bytes),
        1 => same::<IndexRecord>(bytes),
        2 => same::<KeyPackageRecord>(bytes),
        3 => same::<InboxRecord>(bytes),
        4 => same::<MlsRecord>(bytes),
        5 => same::<MlsIndexRecord>(bytes),
        6 => same::<KeysRecord>(bytes),
        7 => same::<StateRecord>(bytes),
        8 => same::<ExternalRecord>(bytes),
        9 => same::<MessageRecord>(bytes),
        10 => same::<ContactRecord>(bytes),
        11 => same::<FetchedRecord>(bytes),
        12 => same::<VersionedFact>(bytes),
        13 => same::<Fact>(bytes),
        14 => same::<DevicesMessage>(bytes),
        15 => same::<DevicesGroup>(bytes),
        16 => same::<LinkOffer>(bytes),
        17 => same::<LinkAnswer>(bytes),
        18 => same::<Heard>(bytes),
        19 => same::<Purse>(bytes),
        20 => same::<BatchRecord>(bytes),
        _ => return None,
    })
}

fn same<T: DeserializeBytes + Serialize>(bytes: &[u8]) -> std::result::Result<(), ()> {
    match exact::<T>(bytes) {
        Ok(value) if encode(&value).is_ok_and(|again| again == bytes) => Ok(()),
        Ok(_) => Err(()),
        Err(_) => Ok(()),
    }
}

/// Hands a connection request on to somebody for whom it is not, as a disloyal recipient can.
pub fn forward_request(
    from: &crate::Client,
    id: crate::RequestId,
    to: &crate::Client,
) -> crate::Result<()> {
    let waiting = from.core.waiting_request(id)?;
    to.core.take_forwarded(waiting)
}

/// A device with everything that a device of the same user has, to which nobody consented and
/// which nobody linked: what a thief of the user's secrets can make.
pub async fn stolen_device(
    from: &crate::Client,
    config: crate::ClientConfig,
) -> crate::Result<crate::Client> {
    let core = crate::devices::linking::stolen(&from.core, config)?;
    Ok(crate::Client {
        core: Arc::new(core),
    })
}

/// What a device asks for that wants a leaf in a group which a sibling is in.
pub async fn leaf_request(
    client: &crate::Client,
    group: &crate::Group,
) -> crate::Result<LeafRequest> {
    let slot = group.core.slot_of(group.id()).await?;
    client.core.leaf_request(group.id(), slot)
}

/// A sibling's consent.
pub async fn grant_leaf(group: &crate::Group, request: &LeafRequest) -> crate::Result<LeafGrant> {
    let granted = group.core.leaf_grant(request).await?;
    granted.ok_or(crate::ClientError::BadHandover)
}

/// Comes into a group with a sibling's consent.
pub async fn join_with_grant(
    client: &crate::Client,
    grant: LeafGrant,
) -> crate::Result<crate::Group> {
    let id = grant.group_id;
    client.core.join_as_sibling(grant).await?;
    client.group(id).await
}

/// A device's KeyPackage for a group that a sibling is in.
pub async fn key_package_for(
    client: &crate::Client,
    group: &crate::Group,
) -> crate::Result<KeyPackageEntry> {
    let slot = group.core.slot_of(group.id()).await?;
    client.core.sibling_key_package(group.id(), slot).await
}

/// Adds further devices of a member's own user.
pub async fn add_own_devices(
    group: &crate::Group,
    entries: Vec<KeyPackageEntry>,
) -> crate::Result<()> {
    let plan = crate::engine::plan::Plan::AddOwnDevices(entries);
    group.core.commit(group.id(), &plan).await
}
