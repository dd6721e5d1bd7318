//! Owns how a group begins for this device: made by it, or entered from outside.
//!
//! Invariant: what it takes to go on is durable before the hub is asked; what the hub refused is
//! forgotten, and costs a slot.

use crate::core::{Core, outcome};
use crate::engine::create::{Site, create};
use crate::engine::external::Entrance;
use crate::engine::saved::Saved;
use crate::engine::state::{LoadedGroup, Step};
use crate::error::{ClientError, GroupStatus, Result};
use crate::mls::Provider;
use crate::records::{
    FORMAT, GenerationRecord, History, KeysRecord, StateRecord, Trouble, keys_name,
};
use crate::settings::GroupSettings;
use crate::slots;
use crate::transport::Endpoint;
use sordino_crypto::Slot;
use sordino_wire::{GroupId, Reject};

impl Core {
    /// Makes a group of a given id with this device as its only member.
    pub(crate) async fn create_at(&self, group_id: GroupId, settings: GroupSettings) -> Result<()> {
        let hub_key = self.hub_key().await?;
        let number = self.device().user_secret_number()?;
        let slot = slots::reserve_for_group(&self.vault, number, &self.hub_domain, group_id)?;
        for _ in 0..3 {
            let step = Step::new(self.now_s());
            let site = Site {
                hub_domain: &self.hub_domain,
                hub_key: &hub_key,
                group_id,
                slot: slot.clone(),
            };
            let (group, request) =
                self.with_tools(|tools| create(tools, &step, site, settings.clone()))?;
            let answer = self.post(Endpoint::Operation, &request, 0).await?;
            match outcome(answer)? {
                Ok(_) => {
                    self.install(group, step).await?;
                    // Notes where its stream begins; the next round does, if this one cannot.
                    let _ = self.catch_up(group_id).await;
                    return Ok(());
                }
                Err(Reject::StaleTime { hub_time_s }) => self.learn_time(hub_time_s),
                Err(reject) => return Err(ClientError::Refused(reject)),
            }
        }
        Err(ClientError::Unreachable)
    }

    /// Comes into a group from outside.
    pub(crate) async fn enter_group(
        &self,
        id: GroupId,
        slot: Slot,
        generation: GenerationRecord,
        entrance: &Entrance,
    ) -> Result<()> {
        let cell = self.cell(id);
        let _turn = cell.turn.lock().await;
        match self.status(id).await {
            Ok(GroupStatus::Active | GroupStatus::Recovering | GroupStatus::Halted) => {
                return Err(ClientError::Inactive(GroupStatus::Active));
            }
            Ok(_) | Err(ClientError::NotInGroup) => {}
            Err(error) => return Err(error),
        }
        let outcome = self.enter_in_turn(id, slot, generation, entrance).await;
        self.forget_what_failed(id, &outcome).await?;
        outcome
    }

    /// What the hub did not answer is repeated by the next sync; what it refused is forgotten.
    async fn forget_what_failed(&self, id: GroupId, outcome: &Result<()>) -> Result<()> {
        match outcome {
            Ok(()) | Err(ClientError::Unreachable) => Ok(()),
            Err(_) => self.forget(id).await,
        }
    }

    /// The same for a group that this device may be in already, under another slot. If it comes to
    /// nothing, the former leaf is taken up again.
    pub(crate) async fn enter_group_anew(
        &self,
        id: GroupId,
        slot: Slot,
        generation: GenerationRecord,
        entrance: &Entrance,
    ) -> Result<()> {
        let cell = self.cell(id);
        let _turn = cell.turn.lock().await;
        let former = match self.status(id).await {
            Ok(GroupStatus::Active) => self.vault.get::<KeysRecord>(&keys_name(id))?,
            Ok(GroupStatus::Recovering | GroupStatus::Halted) => {
                return Err(ClientError::Inactive(GroupStatus::Recovering));
            }
            Ok(_) | Err(ClientError::NotInGroup) => None,
            Err(error) => return Err(error),
        };
        let history = self.kept_history(id).await;
        let outcome = self.enter_in_turn(id, slot, generation, entrance).await;
        match (former, &outcome) {
            (Some(_), Ok(()) | Err(ClientError::Unreachable)) => {}
            (Some(former), Err(_)) => self.take_up_again(former, history).await?,
            (None, _) => self.forget_what_failed(id, &outcome).await?,
        }
        outcome
    }

    /// A leaf whose MLS state was given up: it comes back by a resync.
    async fn take_up_again(&self, keys: KeysRecord, history: History) -> Result<()> {
        let step = Step::new(self.now_s());
        let mut state = StateRecord::new(GroupStatus::Active, 0, 0, step.now_s);
        state.take_up(history);
        let mut group = self.group_without_state(keys, state);
        group.note_trouble(Trouble::Lost);
        self.install(group, step).await
    }

    fn group_without_state(&self, keys: KeysRecord, state: StateRecord) -> LoadedGroup {
        LoadedGroup {
            keys,
            state,
            provider: Provider::new(self.entropy.clone()),
            mls: None,
            external: None,
            saved: Saved::default(),
        }
    }

    async fn enter_in_turn(
        &self,
        id: GroupId,
        slot: Slot,
        generation: GenerationRecord,
        entrance: &Entrance,
    ) -> Result<()> {
        let step = Step::new(self.now_s());
        let mut state = StateRecord::new(GroupStatus::Joining, 0, 0, step.now_s);
        state.take_up(self.kept_history(id).await);
        let keys = KeysRecord {
            format: FORMAT,
            hub_domain: self.hub_domain.clone(),
            group_id: id,
            slot,
            rotation: 0,
            generations: vec![generation],
            invite_code: None,
        };
        let group = self.group_without_state(keys, state);
        self.install(group, step).await?;
        self.enter(id, entrance).await
    }
}
