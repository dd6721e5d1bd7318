//! Owns gathering what a disk thief looks for.

use super::DemoError;
use super::cast::Cast;
use super::room::Room;
use super::thief::Needle;
use std::collections::BTreeSet;

/// Everything that was used so far; called more than once, since keys move on.
pub(crate) struct Needles(BTreeSet<(&'static str, Vec<u8>)>);

impl Needles {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Adds what all devices know now.
    pub(crate) async fn gather(&mut self, cast: &Cast) -> Result<(), DemoError> {
        for device in &cast.devices {
            let traces = sordino_client::raw::traces(&device.client).await;
            let traces = traces.map_err(|source| DemoError::Client {
                what: "listing what must not be found",
                source,
            })?;
            self.0.extend(traces.into_iter().map(|t| (t.kind, t.bytes)));
        }
        Ok(())
    }

    /// All of it with the messages that were sent.
    pub(crate) fn finish(mut self, rooms: &[Room]) -> Vec<Needle> {
        let messages = rooms.iter().flat_map(Room::messages);
        self.0.extend(messages.map(|m| ("message", m.clone())));
        let needles = self.0.into_iter();
        needles
            .map(|(kind, bytes)| Needle { kind, bytes })
            .collect()
    }
}
