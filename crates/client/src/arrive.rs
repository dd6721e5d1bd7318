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
use crate::records::{FORMAT, GenerationRecord, KeysRecord, StateRecord};
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
            let answer = self
                .transport
                .post(Endpoint::Operation, &request, 0)
                .await?;
            match outcome(answer)? {
                Ok(_) => return self.install(group, step).await,
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
        let step = Step::new(self.now_s());
        let mut state = StateRecord::new(GroupStatus::Joining, 0, 0, step.now_s);
        state.messages = self.kept_messages(id).await;
        let group = LoadedGroup {
            keys: KeysRecord {
                format: FORMAT,
                hub_domain: self.hub_domain.clone(),
                group_id: id,
                slot,
                rotation: 0,
                rotation_in_flight: None,
                generations: vec![generation],
                invite_code: None,
            },
            state,
            provider: Provider::new(self.entropy.clone()),
            mls: None,
            external: None,
            saved: Saved::default(),
        };
        self.install(group, step).await?;
        match self.enter(id, entrance).await {
            Ok(()) => Ok(()),
            // It is repeated by the next sync.
            Err(ClientError::Unreachable) => Err(ClientError::Unreachable),
            Err(error) => {
                self.forget(id).await?;
                Err(error)
            }
        }
    }
}
