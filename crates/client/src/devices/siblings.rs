//! Owns what devices of one user do for each other: tell facts, ask for leaves, grant them.
//!
//! Invariant: a leaf is granted to a device that asks inside the devices' group alone; everything
//! here can be done again, since it follows from durable state.

use super::facts::VersionedFact;
use super::{DevicesGroup, DevicesMessage};
use crate::client::grant;
use crate::core::Core;
use crate::engine::external::Entrance;
use crate::engine::plan::Plan;
use crate::error::{ClientError, GroupStatus, Result};
use crate::events::{Event, Person};
use crate::handover::{LeafGrant, LeafRequest};
use crate::records::GenerationRecord;
use crate::settings::GroupSettings;
use crate::slots;
use crate::vault::Batch;
use sordino_crypto::{GroupSecret, Slot};
use sordino_wire::{
    Bytes, GroupId, LeafOperation, MemberContent, Reject, SignatureKey, encode, exact,
};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Bytes of facts in one message: far below the largest message, so that most have one size class.
const FACTS_BYTES: usize = 16 * 1024;
/// The first pause before a leaf is asked for again; it doubles.
const FIRST_ASK_S: u64 = 2;
/// The longest one.
const LONGEST_ASK_S: u64 = 3_600;

/// When leaves were asked for last: in memory, asked anew after a start.
#[derive(Default)]
pub(crate) struct Asked(Mutex<HashMap<GroupId, (u64, u64)>>);

impl Asked {
    /// Whether it is time to ask for a leaf in a group; says yes once per pause.
    fn is_due(&self, id: GroupId, now_s: u64) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next_s, pause_s) = asked.entry(id).or_insert((now_s, FIRST_ASK_S));
        if now_s < *next_s {
            return false;
        }
        *next_s = now_s.saturating_add(*pause_s);
        *pause_s = pause_s.saturating_mul(2).min(LONGEST_ASK_S);
        true
    }

    fn forget(&self, id: GroupId) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.remove(&id);
    }
}

impl Core {
    /// One round of everything between this user's devices.
    pub(crate) async fn tend_devices(&self) -> Result<()> {
        let mut first_error = None;
        let mut note = |result: Result<()>| {
            if let Err(error) = result {
                first_error.get_or_insert(error);
            }
        };
        note(self.act_on_heard().await);
        note(self.go_on_linking().await);
        note(self.go_on_removing().await);
        note(self.go_on_moving().await);
        if self.is_among_devices().await {
            note(self.tell_facts().await);
            note(self.ask_for_leaves().await);
        }
        note(self.refresh_identities().await);
        note(self.notice_removal().await);
        match first_error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Whether there is a group of devices that this one is in, and that is not alone in it.
    pub(crate) async fn is_among_devices(&self) -> bool {
        let Some(group) = self.devices_group() else {
            return false;
        };
        self.view(group.group_id, |group, _| {
            Ok(group.state.status == GroupStatus::Active && group.people()?.len() > 1)
        })
        .await
        .unwrap_or(false)
    }

    /// The devices' group; made where there is none.
    pub(crate) async fn make_devices_group(&self) -> Result<DevicesGroup> {
        if let Some(group) = self.devices_group() {
            match self.status(group.group_id).await {
                Ok(_) => return Ok(group),
                // It was named, and the making of it was interrupted.
                Err(ClientError::NotInGroup) => {}
                Err(error) => return Err(error),
            }
        }
        let id = GroupId(self.entropy.array());
        // Its name comes first, so that it never shows as a room.
        let placeholder = DevicesGroup {
            hub_domain: self.hub_domain.clone(),
            group_id: id,
            slot: Slot::Group {
                user_secret_number: self.device().user_secret_number()?,
                hub_domain: self.hub_domain.clone(),
                group_id: id,
                rejoin: 0,
            },
        };
        self.set_devices_group(&mut Batch::default(), placeholder)?;
        self.create_at(id, GroupSettings::closed()).await?;
        let group = DevicesGroup {
            hub_domain: self.hub_domain.clone(),
            group_id: id,
            slot: self.slot_of(id).await?,
        };
        self.set_devices_group(&mut Batch::default(), group.clone())?;
        Ok(group)
    }

    /// Says something to the other devices.
    async fn tell(&self, message: &DevicesMessage) -> Result<()> {
        let group = self.devices_group().ok_or(ClientError::NotInGroup)?;
        let bytes = Zeroizing::new(encode(message)?);
        let content = MemberContent::Devices(Bytes::new(bytes.as_slice())?);
        self.send(group.group_id, &content).await
    }

    async fn tell_facts(&self) -> Result<()> {
        loop {
            let mut part: Vec<VersionedFact> = Vec::new();
            let mut bytes = 0usize;
            for fact in self.facts().unsent() {
                bytes = bytes
                    .saturating_add(fact.value.as_slice().len())
                    .saturating_add(64);
                if bytes > FACTS_BYTES && !part.is_empty() {
                    break;
                }
                part.push(fact);
            }
            if part.is_empty() {
                return Ok(());
            }
            let message = DevicesMessage::Facts(part);
            self.tell(&message).await?;
            if let DevicesMessage::Facts(told) = &message {
                self.note_told(told)?;
            }
        }
    }

    /// What was said in the devices' group takes effect, in order.
    async fn act_on_heard(&self) -> Result<()> {
        let Ok(_turn) = self.devices_turn.try_lock() else {
            return Ok(());
        };
        while let Some(message) = self.heard()?.messages.first() {
            let message = exact::<DevicesMessage>(&Zeroizing::new(message.as_slice().to_vec()));
            match message {
                Ok(DevicesMessage::Facts(facts)) => {
                    for fact in facts {
                        self.hear_fact(fact)?;
                    }
                }
                Ok(DevicesMessage::LeafRequests(requests)) => {
                    for request in requests {
                        self.grant_if_possible(&request).await?;
                    }
                }
                Ok(DevicesMessage::LeafGrant { leaf_key, grant }) => {
                    self.take_grant(&leaf_key, grant).await?;
                }
                // A newer version's, or damaged: it changes nothing here.
                Err(_) => {}
            }
            self.forget_first_heard(&mut Batch::default())?;
        }
        Ok(())
    }

    /// Asks for leaves in the groups that the user is in and this device is not.
    async fn ask_for_leaves(&self) -> Result<()> {
        let mut requests = Vec::new();
        for id in self.known_groups() {
            if let Some(request) = self.wanted_leaf(id).await?
                && self.asked.is_due(id, self.now_s())
            {
                requests.push(request);
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        self.tell(&DevicesMessage::LeafRequests(requests)).await
    }

    async fn wanted_leaf(&self, id: GroupId) -> Result<Option<LeafRequest>> {
        let Some(fact) = self.group_fact(id)? else {
            return Ok(None);
        };
        if fact.over == 1 || fact.hub_domain != self.hub_domain {
            return Ok(None);
        }
        let outside = match self.status(id).await {
            Err(ClientError::NotInGroup) => true,
            // The user came in again, under another slot.
            Ok(GroupStatus::Removed | GroupStatus::Deleted) => self.slot_of(id).await? != fact.slot,
            // The user has moved, since a device was lost, and this one follows.
            Ok(GroupStatus::Active) => {
                self.slot_of(id).await?.user_secret_number() < fact.slot.user_secret_number()
            }
            Ok(_) => false,
            Err(error) => return Err(error),
        };
        if !outside {
            return Ok(None);
        }
        // A secret that has not been heard of yet comes with the next facts.
        Ok(self.leaf_request(id, fact.slot).ok())
    }

    /// "This is the leaf key I shall have in that group."
    pub(crate) fn leaf_request(&self, id: GroupId, slot: Slot) -> Result<LeafRequest> {
        let device = self.device();
        let domain = crate::device::domain_of(&device.credential().user)?;
        let leaf = device.leaf(&domain, &slot, 0)?;
        Ok(LeafRequest {
            group_id: id,
            slot,
            leaf_key: leaf.key.public(),
        })
    }

    /// The user's slot in a group.
    pub(crate) async fn slot_of(&self, id: GroupId) -> Result<Slot> {
        self.view(id, |group, _| Ok(group.keys.slot.clone())).await
    }

    /// Grants a leaf where this device is in the group and nobody else has.
    async fn grant_if_possible(&self, request: &LeafRequest) -> Result<()> {
        let id = request.group_id;
        if self.is_devices_group(id) || self.granted_already(&request.leaf_key)? {
            return Ok(());
        }
        match self.status(id).await {
            Ok(GroupStatus::Active) => {}
            Ok(_) | Err(ClientError::NotInGroup) => return Ok(()),
            Err(error) => return Err(error),
        }
        let Some(grant) = self.leaf_grant(request).await? else {
            return Ok(());
        };
        self.tell(&DevicesMessage::LeafGrant {
            leaf_key: request.leaf_key.clone(),
            grant,
        })
        .await
    }

    /// This device's consent; `None` where it cannot give it now.
    pub(crate) async fn leaf_grant(&self, request: &LeafRequest) -> Result<Option<LeafGrant>> {
        self.view(request.group_id, |group, tools| {
            if group.keys.slot != request.slot {
                return Ok(None);
            }
            let leaf = group.leaf(tools.device)?;
            let index = group.own_index()?;
            let operation = LeafOperation::ExternalJoin;
            let proof = group.leaf_proof(operation, &request.leaf_key, &leaf, index)?;
            match grant(group, request, proof) {
                Ok(grant) => Ok(Some(grant)),
                Err(ClientError::SecretUnknown) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Whether a grant for this leaf stands later among what was heard.
    fn granted_already(&self, leaf_key: &SignatureKey) -> Result<bool> {
        let heard = self.heard()?;
        Ok(heard.messages.iter().any(|message| {
            matches!(
                exact::<DevicesMessage>(&Zeroizing::new(message.as_slice().to_vec())),
                Ok(DevicesMessage::LeafGrant { leaf_key: granted, .. }) if granted == *leaf_key
            )
        }))
    }

    /// Comes into a group with a sibling's consent, if it is for this device and still wanted.
    async fn take_grant(&self, leaf_key: &SignatureKey, grant: LeafGrant) -> Result<()> {
        let id = grant.group_id;
        let Some(wanted) = self.wanted_leaf(id).await? else {
            return Ok(());
        };
        if wanted.leaf_key != *leaf_key || wanted.slot != grant.slot {
            return Ok(());
        }
        match self.join_as_sibling(grant).await {
            // The next request asks again, with what is true by then.
            Ok(()) | Err(ClientError::Refused(_) | ClientError::NotAllowed(_)) => {
                self.asked.forget(id);
                Ok(())
            }
            Err(ClientError::Unreachable) => Err(ClientError::Unreachable),
            Err(_) => Ok(()),
        }
    }

    /// Comes into a group with a sibling's consent.
    pub(crate) async fn join_as_sibling(&self, grant: LeafGrant) -> Result<()> {
        if grant.hub_domain != self.hub_domain {
            return Err(ClientError::OtherHub);
        }
        slots::reserve_as_sibling(&self.vault, &grant.slot, grant.group_id)?;
        let secret = GroupSecret::new(grant.group_secret.duplicate());
        let generation = GenerationRecord {
            generation: grant.generation,
            ear_key: secret.ear_key()?.secret().duplicate(),
            group_secret: Some(grant.group_secret),
        };
        let entrance = Entrance::NewDevice(grant.proof);
        self.enter_group_anew(grant.group_id, grant.slot, generation, &entrance)
            .await
    }

    /// Gives the members of every group this device's newest credential.
    async fn refresh_identities(&self) -> Result<()> {
        for id in self.stale_identities()? {
            match self.status(id).await {
                Ok(GroupStatus::Active) => {}
                Ok(GroupStatus::Joining | GroupStatus::Recovering) => continue,
                Ok(_) | Err(ClientError::NotInGroup) => {
                    self.identity_is_fresh(id)?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            let update = Plan::Update {
                rotate: false,
                move_generation: false,
            };
            match self.commit(id, &update).await {
                Ok(()) | Err(ClientError::NotAllowed(_)) => self.identity_is_fresh(id)?,
                Err(ClientError::Refused(
                    Reject::AwaitingConfirmation | Reject::RateLimited { .. },
                )) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether somebody in the devices' group is a device of this user. Its identity entry may be
    /// older than the newest account key; whoever was removed is not in the group.
    pub(crate) fn is_sibling(&self, person: &Person) -> bool {
        let device = self.device();
        let own = device.credential();
        let former = self.account_fact().ok().flatten();
        let former = former
            .map(|account| account.former_keys)
            .unwrap_or_default();
        person.identity.as_ref().is_some_and(|identity| {
            identity.user == own.user
                && (identity.account_key == own.account_key
                    || former.contains(&identity.account_key))
        })
    }

    /// Notices that the others have removed this device: once.
    async fn notice_removal(&self) -> Result<()> {
        let Some(group) = self.devices_group() else {
            return Ok(());
        };
        let removed = matches!(self.status(group.group_id).await, Ok(GroupStatus::Removed));
        if removed && !self.cast_out.swap(true, Ordering::AcqRel) {
            self.events.send_all(vec![Event::DeviceRemoved]);
        }
        Ok(())
    }
}
