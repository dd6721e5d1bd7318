//! Owns what an application keeps beside the library's own state: names it gives, how far was read.
//!
//! Invariant: sealed in the same vault under the same key; the library never looks into it, and it
//! never leaves the device.

use crate::client::Client;
use crate::core::ClientConfig;
use crate::devices::facts::{Fact, FactKey};
use crate::error::{ClientError, Result};
use crate::vault::Batch;
use sordino_wire::{Bytes, GroupId};
use tls_codec::VLBytes;
use zeroize::Zeroizing;

/// The largest note.
pub const MAX_NOTE_BYTES: usize = 1024 * 1024;

/// The longest label of a group.
pub const MAX_LABEL_BYTES: usize = 256;

type Note = Bytes<0, MAX_NOTE_BYTES>;

fn note_name(name: &str) -> String {
    format!("note/{name}")
}

impl Client {
    /// Whether a hub answers at the address of a configuration, and is what it says; for
    /// applications that want to know before they make anything.
    pub async fn probe(config: &ClientConfig) -> Result<()> {
        let transport = crate::transport::Transport::new(&config.hub, &config.extra_roots)?;
        transport.hub_key(&config.hub.domain).await.map(|_| ())
    }

    /// What this user's applications call a group: all devices of the user know it, and nobody
    /// else does.
    pub fn label(&self, group: GroupId) -> Result<Option<String>> {
        self.core.label(group)
    }

    /// Gives a group a label of at most [`MAX_LABEL_BYTES`].
    pub fn set_label(&self, group: GroupId, label: &str) -> Result<()> {
        if label.len() > MAX_LABEL_BYTES {
            return Err(ClientError::OutOfBounds);
        }
        let fact = Fact::Label(VLBytes::new(label.as_bytes().to_vec()));
        let mut batch = Batch::default();
        self.core.share(&mut batch, FactKey::Label(group), &fact)?;
        Ok(self.core.vault.commit(&batch)?)
    }

    /// What the application keeps under a name.
    pub fn note(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let note = self.core.vault.get::<Note>(&note_name(name))?;
        Ok(note.map(|note| Zeroizing::new(note.into_vec())))
    }

    /// Keeps a note of at most [`MAX_NOTE_BYTES`] under a name, in place of the former one. It is
    /// durable when this returns.
    pub fn keep_note(&self, name: &str, note: &[u8]) -> Result<()> {
        let note = Note::new(note).map_err(|_| ClientError::OutOfBounds)?;
        let mut batch = Batch::default();
        batch.put(note_name(name), &note)?;
        Ok(self.core.vault.commit(&batch)?)
    }
}
