//! Doors for tests: hostile clients change a request's body before it is signed; audits list what
//! must never stand in a hub's database (only with the feature `audit`).
//!
//! Nothing in the library uses them; without a hook, requests are what they are.

#[cfg(feature = "audit")]
pub use crate::audit::Trace;

pub use crate::handover::{LeafGrant, LeafRequest};

use crate::client::{Client, grant};
use crate::core::{ClientConfig, Core, open_vault};
use crate::device::{Device, client_uri};
use crate::engine::external::Entrance;
use crate::engine::plan::Plan;
use crate::error::Result;
use crate::group::Group;
use crate::records::{DEVICE, GenerationRecord, INDEX, IndexRecord, Purpose};
use crate::slots;
use crate::vault::Batch;
use sordino_crypto::{GroupSecret, SigningKey, make_client_credential};
use sordino_rules::key_package_lifetime;
use sordino_wire::{GroupId, KeyPackageEntry, LeafOperation, RequestBody, Secret32};
use std::sync::Arc;

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
pub async fn traces(client: &Client) -> Result<Vec<Trace>> {
    client.core.traces().await
}

/// Hands a connection request on to somebody for whom it is not, as a disloyal recipient can.
pub fn forward_request(from: &Client, id: crate::RequestId, to: &Client) -> Result<()> {
    let waiting = from.core.waiting_request(id)?;
    to.core.take_forwarded(waiting)
}

/// Somebody who has all secrets of a victim's user, as a device to which nobody consented.
pub fn thief(victim: &Client, config: ClientConfig) -> Result<Client> {
    let (vault, entropy) = open_vault(&config)?;
    let device = victim.core.device();
    let mut record = device.record();
    let key = SigningKey::from_seed(&entropy.array());
    let user = record.credential.user.clone();
    let client = client_uri(&user, &entropy)?;
    record.credential = make_client_credential(&user, &client, &key, device.account_key()?)?;
    record.client_key_seed = Secret32::new(*key.seed());
    record.client_secret = Secret32::new(entropy.array());
    let mut batch = Batch::default();
    batch.put(DEVICE, &record)?;
    batch.put(INDEX, &IndexRecord::default())?;
    vault.commit(&batch)?;
    let core = Core::assemble(config, vault, entropy, Device::load(record)?)?;
    Ok(Client {
        core: Arc::new(core),
    })
}

/// What a device asks of a sibling that is in a group.
pub async fn leaf_request(client: &Client, group: &Group) -> Result<LeafRequest> {
    let slot = slot_of(group).await?;
    let device = client.core.device();
    let domain = crate::device::domain_of(&device.credential().user)?;
    Ok(LeafRequest {
        group_id: group.id(),
        leaf_key: device.leaf(&domain, &slot, 0)?.key.public(),
        slot,
    })
}

/// A sibling's consent.
pub async fn grant_leaf(group: &Group, request: &LeafRequest) -> Result<LeafGrant> {
    group
        .core
        .view(group.id(), |group, tools| {
            let leaf = group.leaf(tools.device)?;
            let operation = LeafOperation::ExternalJoin;
            let index = group.own_index()?;
            let proof = group.leaf_proof(operation, &request.leaf_key, &leaf, index)?;
            grant(group, request, proof)
        })
        .await
}

/// Comes in with a grant, whatever it says.
pub async fn enter_with_grant(client: &Client, grant: LeafGrant) -> Result<Group> {
    let core = &client.core;
    slots::reserve_as_sibling(&core.vault, &grant.slot, grant.group_id)?;
    let secret = GroupSecret::new(grant.group_secret.duplicate());
    let generation = GenerationRecord {
        generation: grant.generation,
        ear_key: secret.ear_key()?.secret().duplicate(),
        group_secret: Some(grant.group_secret),
    };
    let entrance = Entrance::NewDevice(grant.proof);
    core.enter_group(grant.group_id, grant.slot, generation, &entrance)
        .await?;
    client.group(grant.group_id).await
}

/// A device's KeyPackage for a group that a sibling is in.
pub async fn key_package_for(client: &Client, group: &Group) -> Result<KeyPackageEntry> {
    let slot = slot_of(group).await?;
    let core = &client.core;
    slots::reserve_as_sibling(&core.vault, &slot, group.id())?;
    let lifetime = key_package_lifetime(core.now_s());
    let purpose = Purpose::Sibling(group.id());
    let made = core.make_key_package(slot, purpose, lifetime).await?;
    Ok(made.entry)
}

/// Adds further devices of a member's own user.
pub async fn add_own_devices(group: &Group, entries: Vec<KeyPackageEntry>) -> Result<()> {
    let plan = Plan::AddOwnDevices(entries);
    group.core.commit(group.id(), &plan).await
}

async fn slot_of(group: &Group) -> Result<sordino_crypto::Slot> {
    group
        .core
        .view(group.id(), |group, _| Ok(group.keys.slot.clone()))
        .await
}
