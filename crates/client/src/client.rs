//! Owns the client: one device of one user.
//!
//! Invariant: everything that it is stands in its vault; opening the vault again continues where it
//! stopped.

use crate::core::{ClientConfig, Core, outcome};
use crate::engine::external::Entrance;
use crate::engine::state::{GroupKind, LoadedGroup};
use crate::envelope::{Occasion, Signing, seal};
use crate::error::{ClientError, GroupStatus, Result};
use crate::events::EventStream;
use crate::group::Group;
use crate::handover::{LeafGrant, LeafRequest};
use crate::mls::group_id as mls_group_id;
use crate::raw::RequestHook;
use crate::records::{GenerationRecord, Purpose};
use crate::settings::GroupSettings;
use crate::slots;
use crate::transport::Endpoint;
use openmls::prelude::{GroupEpoch, JoinProposal};
use openmls_memory_storage::MemoryStorage;
use sordino_rules::key_package_lifetime;
use sordino_wire::{
    ClientCredential, GroupId, HandshakeBytes, InviteLink, List, ProposalsRequest, Reject,
    RequestBody, Secret32,
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
            let answer = self.core.post(Endpoint::Operation, &request, 0).await?;
            match outcome(answer)? {
                Ok(_) => return Ok(()),
                Err(Reject::StaleTime { hub_time_s }) => self.core.learn_time(hub_time_s),
                Err(Reject::WrongEpoch { .. }) => self.core.pause(attempt).await,
                Err(reject) => return Err(ClientError::Refused(reject)),
            }
        }
        Err(ClientError::Contended)
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

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client(..)")
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
