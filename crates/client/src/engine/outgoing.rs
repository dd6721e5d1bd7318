//! Owns what becomes of own messages whose echo cannot come any more: the stream was left behind, or
//! the group is over.
//!
//! Invariant: what may be at the hub is never sent a second time; what will not be sent is told to
//! the application, with its content.

use crate::engine::state::{LoadedGroup, Step};
use crate::error::Result;
use crate::events::Event;
use crate::records::OutgoingRecord;
use sordino_wire::{MemberContent, exact};
use tls_codec::VLBytes;

impl LoadedGroup {
    /// After a return from outside: the echoes of what was sent lie before the place from which
    /// this device reads on.
    pub(crate) fn settle_outbox(&mut self, step: &mut Step) -> Result<()> {
        for mut outgoing in std::mem::take(&mut self.state.outbox) {
            let content = application(&outgoing);
            match (outgoing.accepted, content) {
                (1, Some(_)) => self.show_own(step, &outgoing)?,
                (1, None) => self.state.outbox.push(outgoing),
                (_, Some(content)) if !step.unposted.contains(&outgoing.number) => {
                    step.events.push(Event::NotSent {
                        group: self.id(),
                        content,
                        may_have_arrived: true,
                    });
                }
                // What clients arrange can be heard twice.
                _ => {
                    outgoing.request = VLBytes::new(Vec::new());
                    self.state.outbox.push(outgoing);
                }
            }
        }
        Ok(())
    }

    /// Tells of what will not be sent, the group being over for this device.
    pub(crate) fn drop_outbox(&mut self, step: &mut Step) {
        let group = self.id();
        for outgoing in std::mem::take(&mut self.state.outbox) {
            if outgoing.accepted == 1 {
                continue;
            }
            step.events
                .extend(application(&outgoing).map(|content| Event::NotSent {
                    group,
                    content,
                    may_have_arrived: !step.unposted.contains(&outgoing.number),
                }));
        }
    }
}

/// What a user said; nothing where it is for clients.
pub(crate) fn application(outgoing: &OutgoingRecord) -> Option<Vec<u8>> {
    match exact(outgoing.content.as_slice()) {
        Ok(MemberContent::Application(content)) => Some(content.into_vec()),
        _ => None,
    }
}
