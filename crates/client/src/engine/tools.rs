//! Owns what every step that makes a request needs: device, randomness, time, hook.
//!
//! Invariant: a request is signed here and nowhere else in the engine.
//! Never sees a connection.

use crate::device::Device;
use crate::engine::state::LoadedGroup;
use crate::entropy::Entropy;
use crate::envelope::{Occasion, Signing, seal};
use crate::error::Result;
use crate::raw::{HookContext, RequestHook};
use sordino_wire::RequestBody;

/// What every step that makes a request needs.
pub(crate) struct Tools<'a> {
    pub(crate) device: &'a Device,
    pub(crate) entropy: &'a Entropy,
    /// The hub's time, floored to a minute.
    pub(crate) time_s: u64,
    pub(crate) hook: Option<&'a RequestHook>,
    pub(crate) delays: Delays,
}

/// The longest random delays before doing what one member must do and any could.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// Before a key request is answered.
    pub answer_s: u64,
    /// Before a generation's keys are confirmed.
    pub confirm_s: u64,
    /// Before somebody who leaves is removed.
    pub remove_s: u64,
    /// Before the provider is asked who sent a connection request.
    pub look_up_s: u64,
    /// Before a pool of key-package sets is filled.
    pub publish_s: u64,
    /// Before a contact's next key-package set is fetched.
    pub fetch_s: u64,
    /// Before a pool is looked at again that has not been heard of.
    pub inspect_s: u64,
    /// Before a room is moved to a new slot, after a device was removed.
    pub move_s: u64,
    /// Before it is looked whether tokens are to be drawn: those of the next epoch have a time of their
    /// own within the running one.
    pub draw_s: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            answer_s: 5,
            confirm_s: 5,
            remove_s: 20,
            look_up_s: 30,
            publish_s: 300,
            fetch_s: 900,
            inspect_s: 43_200,
            move_s: 21_600,
            draw_s: 3_600,
        }
    }
}

impl Delays {
    /// How often it is looked for requests that another device has answered.
    pub(crate) fn prune_s(&self) -> u64 {
        self.inspect_s.min(60)
    }

    /// None: for tests and demonstrations, where nobody watches.
    pub fn none() -> Self {
        Self {
            answer_s: 0,
            confirm_s: 0,
            remove_s: 0,
            look_up_s: 0,
            publish_s: 0,
            fetch_s: 0,
            inspect_s: 0,
            move_s: 0,
            draw_s: 0,
        }
    }
}

impl Tools<'_> {
    /// Applies the hook, signs and pads.
    pub(crate) fn seal(
        &self,
        group: &LoadedGroup,
        epoch: u64,
        body: RequestBody,
        signing: &Signing<'_>,
        inner_key: Option<&sordino_crypto::SigningKey>,
    ) -> Result<Vec<u8>> {
        let occasion = self.occasion(group, epoch);
        self.seal_on(group, &occasion, body, signing, inner_key)
    }

    /// The same on an occasion that was before, but for the time.
    pub(crate) fn seal_on(
        &self,
        group: &LoadedGroup,
        occasion: &Occasion<'_>,
        mut body: RequestBody,
        signing: &Signing<'_>,
        inner_key: Option<&sordino_crypto::SigningKey>,
    ) -> Result<Vec<u8>> {
        let epoch = occasion.epoch;
        if let Some(hook) = self.hook {
            let context = HookContext {
                group_id: group.id(),
                leaf_key: inner_key,
                epoch,
            };
            hook(&mut body, &context);
        }
        seal(body, signing, occasion)
    }

    pub(crate) fn occasion<'a>(&self, group: &'a LoadedGroup, epoch: u64) -> Occasion<'a> {
        Occasion {
            hub_domain: group.domain(),
            group_id: group.id(),
            epoch,
            time_s: self.time_s,
            nonce: self.entropy.array(),
        }
    }
}
