//! Owns the client: one device of one user.
//!
//! Invariant: everything that it is stands in its vault; opening the vault again continues where it
//! stopped.

use crate::core::{ClientConfig, Core, open_vault, outcome};
use crate::device::{Device, client_uri};
use crate::engine::external::Entrance;
use crate::engine::state::{GroupKind, LoadedGroup};
use crate::entropy::Entropy;
use crate::envelope::{Occasion, Signing, seal};
use crate::error::{ClientError, GroupStatus, Result};
use crate::events::EventStream;
use crate::group::Group;
use crate::handover::{DeviceHandover, GroupHandover, LeafGrant, LeafRequest, LinkRequest};
use crate::mls::group_id as mls_group_id;
use crate::people::account_request::done;
use crate::raw::RequestHook;
use crate::records::{GenerationRecord, Purpose};
use crate::settings::GroupSettings;
use crate::slots;
use crate::transport::Endpoint;
use openmls::prelude::{GroupEpoch, JoinProposal};
use openmls_memory_storage::MemoryStorage;
use sordino_crypto::{GroupSecret, HpkePrivateKey, SigningKey};
use sordino_rules::key_package_lifetime;
use sordino_wire::{
    AccountRequestBody, ClientCredential, GroupId, HandshakeBytes, IdentifierUri, InviteLink,
    KeyPackageEntry, List, ProposalsRequest, Reject, RequestBody, Secret32,
};
use std::sync::Arc;

/// One device of a user. Clones share it.
#[derive(Clone)]
pub struct Client {
    pub(crate) core: Arc<Core>,
}

impl Client {
    /// Opens the device that a vault holds.
    pub async fn open(config: ClientConfig) -> Result<Self> {
        Ok(Self {
            core: Arc::new(Core::open(config)?),
        })
    }

    /// The device's real credential: user, device, keys.
    pub fn credential(&self) -> ClientCredential {
        self.core.device().credential().clone()
    }

    /// Events from now on.
    pub fn events(&self) -> EventStream {
        self.core.events.subscribe()
    }

    /// One round of everything: inboxes, streams, whatever is due.
    pub async fn sync_once(&self) -> Result<()> {
        self.core.sync_once().await
    }

    /// Keeps everything up to date until the returned task is aborted or dropped with the runtime.
    pub fn run(&self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(Arc::clone(&self.core).run())
    }

    /// The groups that this device knows, whatever their status. Those of connections are in
    /// [`Client::contacts`].
    pub fn groups(&self) -> Vec<Group> {
        let rooms = self.core.groups().into_iter();
        rooms
            .filter(|id| matches!(self.core.kind_of(*id), GroupKind::Room))
            .map(|id| self.at(id))
            .collect()
    }

    /// One group.
    pub async fn group(&self, id: GroupId) -> Result<Group> {
        self.core.status(id).await?;
        Ok(self.at(id))
    }

    fn at(&self, id: GroupId) -> Group {
        Group::new(Arc::clone(&self.core), id)
    }

    /// Forgets a group that is over for this device: keys, state and messages.
    pub async fn forget(&self, id: GroupId) -> Result<()> {
        match self.core.status(id).await? {
            GroupStatus::Active | GroupStatus::Recovering => {
                Err(ClientError::Inactive(GroupStatus::Active))
            }
            _ => self.core.forget(id).await,
        }
    }

    /// This device's KeyPackage for a group that a sibling device is in, so that the sibling can
    /// add it with [`Group::add_own_devices`].
    pub async fn key_package_for(&self, group: &GroupHandover) -> Result<KeyPackageEntry> {
        slots::reserve_as_sibling(&self.core.vault, &group.slot, group.group_id)?;
        let made = self
            .core
            .make_key_package(
                group.slot.clone(),
                Purpose::Sibling(group.group_id),
                key_package_lifetime(self.core.now_s()),
            )
            .await?;
        Ok(made.entry)
    }

    /// Makes a group with this device as its only member.
    pub async fn create_group(&self, settings: GroupSettings) -> Result<Group> {
        for _ in 0..3 {
            let id = GroupId(self.core.entropy.array());
            match self.core.create_at(id, settings.clone()).await {
                Ok(()) => return Ok(self.at(id)),
                Err(ClientError::Refused(Reject::GroupIdTaken)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ClientError::Unreachable)
    }

    /// Comes in by an invite link.
    pub async fn join_by_invite(&self, link: &InviteLink) -> Result<Group> {
        let code = link.code.ok_or(ClientError::NoInvite)?;
        self.join_by_link(link, &Entrance::Invite(code)).await
    }

    /// Comes into an open room.
    pub async fn join_open(&self, link: &InviteLink) -> Result<Group> {
        self.join_by_link(link, &Entrance::Open).await
    }

    pub(crate) async fn join_by_link(
        &self,
        link: &InviteLink,
        entrance: &Entrance,
    ) -> Result<Group> {
        if link.hub_domain != self.core.hub_domain {
            return Err(ClientError::OtherHub);
        }
        let number = self.core.device().user_secret_number()?;
        let slot = slots::reserve_for_group(
            &self.core.vault,
            number,
            &self.core.hub_domain,
            link.group_id,
        )?;
        let generation = GenerationRecord {
            generation: link.generation,
            ear_key: link.ear_key.duplicate(),
            group_secret: None,
        };
        self.core
            .enter_group(link.group_id, slot, generation, entrance)
            .await?;
        Ok(self.at(link.group_id))
    }

    /// Asks a sibling's consent to come into one of the user's groups.
    pub fn leaf_request(&self, group: &GroupHandover) -> Result<LeafRequest> {
        let domain = crate::device::domain_of(&self.credential().user)?;
        let leaf = self.core.device().leaf(&domain, &group.slot, 0)?;
        Ok(LeafRequest {
            group_id: group.group_id,
            slot: group.slot.clone(),
            leaf_key: leaf.key.public(),
        })
    }

    /// Comes into one of the user's groups with a sibling's consent.
    pub async fn join_as_new_device(&self, grant: LeafGrant) -> Result<Group> {
        if grant.hub_domain != self.core.hub_domain {
            return Err(ClientError::OtherHub);
        }
        slots::reserve_as_sibling(&self.core.vault, &grant.slot, grant.group_id)?;
        let secret = GroupSecret::new(grant.group_secret.duplicate());
        let generation = GenerationRecord {
            generation: grant.generation,
            ear_key: secret.ear_key()?.secret().duplicate(),
            group_secret: Some(grant.group_secret),
        };
        let entrance = Entrance::NewDevice(grant.proof);
        self.core
            .enter_group(grant.group_id, grant.slot, generation, &entrance)
            .await?;
        Ok(self.at(grant.group_id))
    }

    /// Asks the members to add this user: a proposal that any of them may commit. The Welcome
    /// arrives in an inbox.
    pub async fn propose_join(&self, link: &InviteLink) -> Result<()> {
        if link.hub_domain != self.core.hub_domain {
            return Err(ClientError::OtherHub);
        }
        let number = self.core.device().user_secret_number()?;
        let domain = &self.core.hub_domain;
        let slot = slots::reserve_for_group(&self.core.vault, number, domain, link.group_id)?;
        let made = self
            .core
            .make_key_package(
                slot,
                Purpose::Proposed(link.group_id),
                key_package_lifetime(self.core.now_s()),
            )
            .await?;
        for attempt in 0..5 {
            let information = self
                .core
                .external_information(access(link))
                .await?
                .map_err(ClientError::Refused)?;
            let epoch = information.position.epoch;
            let message = JoinProposal::new::<MemoryStorage>(
                made.key_package.clone(),
                mls_group_id(link.group_id),
                GroupEpoch::from(epoch),
                &crate::mls::signer(&made.key),
            )
            .map_err(crate::error::mls("the proposal cannot be made"))?;
            let bytes = crate::engine::commit_request::message_bytes(&message)?;
            let body = RequestBody::Proposals(ProposalsRequest {
                access: access(link),
                proposals: List::new(vec![HandshakeBytes::new(bytes)?])?,
                inbox: Some(made.entry.inbox.clone()),
            });
            let occasion = Occasion {
                hub_domain: domain,
                group_id: link.group_id,
                epoch,
                time_s: self.core.with_tools(|tools| tools.time_s),
                nonce: self.core.entropy.array(),
            };
            let request = seal(body, &Signing::Joiner { key: &made.key }, &occasion)?;
            let answer = self
                .core
                .transport
                .post(Endpoint::Operation, &request, 0)
                .await?;
            match outcome(answer)? {
                Ok(_) => return Ok(()),
                Err(Reject::StaleTime { hub_time_s }) => self.core.learn_time(hub_time_s),
                Err(Reject::WrongEpoch { .. }) => self.core.pause(attempt).await,
                Err(reject) => return Err(ClientError::Refused(reject)),
            }
        }
        Err(ClientError::Contended)
    }

    /// Certifies a further device and hands it what it needs. Only the device that holds the
    /// account key can.
    pub async fn link_device(&self, request: &LinkRequest) -> Result<DeviceHandover> {
        if request.user != self.credential().user {
            return Err(ClientError::BadHandover);
        }
        let mut groups = Vec::new();
        for id in self.core.groups() {
            let handover = self
                .core
                .view(id, |group, _| Ok(group_handover(group)))
                .await?;
            groups.extend(handover);
        }
        Ok(DeviceHandover {
            user_secrets: self.core.device().user_secret_records(),
            connection_key: Secret32::new(*self.core.device().connection_key()?.0.expose()),
            credential: self
                .core
                .device()
                .certify(&request.client, &request.client_key)?,
            groups,
        })
    }

    /// Lets a hostile test client change bodies before they are signed.
    #[doc(hidden)]
    pub fn set_request_hook(&self, hook: Option<RequestHook>) {
        self.core.set_hook(hook);
    }
}

fn access(link: &InviteLink) -> sordino_wire::GroupAccess {
    sordino_wire::GroupAccess {
        group_id: link.group_id,
        ear_key: link.ear_key.duplicate(),
    }
}

pub(crate) fn group_handover(group: &LoadedGroup) -> Option<GroupHandover> {
    (group.state.status == GroupStatus::Active).then(|| GroupHandover {
        hub_domain: group.keys.hub_domain.clone(),
        group_id: group.keys.group_id,
        slot: group.keys.slot.clone(),
    })
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client(..)")
    }
}

/// A device that is not linked to its user yet.
pub struct NewDevice {
    config: ClientConfig,
    entropy: Entropy,
    vault: crate::vault::Vault,
    client_key: SigningKey,
    request: LinkRequest,
}

impl NewDevice {
    /// Makes the device's key. Nothing is kept until it is linked.
    pub async fn new(config: ClientConfig, user: &IdentifierUri) -> Result<Self> {
        let (vault, entropy) = open_vault(&config)?;
        let client_key = SigningKey::from_seed(&entropy.array());
        let request = LinkRequest {
            user: user.clone(),
            client: client_uri(user, &entropy)?,
            client_key: client_key.public(),
        };
        Ok(Self {
            config,
            entropy,
            vault,
            client_key,
            request,
        })
    }

    /// What to show to a device that is there.
    pub fn link_request(&self) -> &LinkRequest {
        &self.request
    }

    /// Becomes a client with what that device handed over.
    pub async fn accept(self, handover: DeviceHandover) -> Result<(Client, Vec<GroupHandover>)> {
        let credential = &handover.credential;
        if credential.user != self.request.user || credential.client != self.request.client {
            return Err(ClientError::BadHandover);
        }
        let device = Device::further(
            self.client_key,
            handover.credential,
            handover.user_secrets,
            HpkePrivateKey::from_bytes(handover.connection_key.expose())?,
            &self.entropy,
        )?;
        let mut batch = crate::vault::Batch::default();
        batch.put(crate::records::DEVICE, &device.record())?;
        self.vault.commit(&batch)?;
        let core = Core::assemble(self.config, self.vault, self.entropy, device)?;
        let credential = core.device().credential().clone();
        let body = |_: &_| Ok(AccountRequestBody::PutClient(credential.clone()));
        done(core.account_request(body, 0).await?)?;
        let client = Client {
            core: Arc::new(core),
        };
        Ok((client, handover.groups))
    }
}

/// What a grant carries, for [`Group::grant_leaf`].
pub(crate) fn grant(
    group: &LoadedGroup,
    request: &LeafRequest,
    proof: sordino_wire::LeafProof,
) -> Result<LeafGrant> {
    let current = group.current()?;
    let secret = current
        .group_secret
        .as_ref()
        .map(Secret32::duplicate)
        .ok_or(ClientError::SecretUnknown)?;
    Ok(LeafGrant {
        hub_domain: group.keys.hub_domain.clone(),
        group_id: request.group_id,
        slot: group.keys.slot.clone(),
        generation: current.generation,
        group_secret: secret,
        proof,
    })
}
