//! Owns the list of what must never stand in a hub's database, as one device knows it.
//!
//! For audits alone: tests and the demo take it and search the database for every item.

use crate::core::Core;
use crate::engine::state::LoadedGroup;
use crate::error::Result;
use sordino_crypto::EarKey;
use sordino_wire::{ClientCredential, PseudonymousCredential};

/// One thing to look for.
#[derive(Clone)]
pub struct Trace {
    /// What kind of thing it is.
    pub kind: &'static str,
    /// It.
    pub bytes: Vec<u8>,
}

impl Core {
    /// Identifiers and keys of the device and of its groups as they are now.
    pub(crate) async fn traces(&self) -> Result<Vec<Trace>> {
        let mut traces = Vec::new();
        of_client(&mut traces, self.device().credential());
        for id in self.groups() {
            // A group that is over has no MLS state left; what it had was listed before.
            let listed = self.view(id, |group, _| of_group(group)).await;
            traces.extend(listed.unwrap_or_default());
        }
        self.of_pools(&mut traces)?;
        for token in self.held_tokens()? {
            // Behind type (2 B) is the nonce; behind challenge digest and key id the authenticator.
            let nonce = token.get(2..34).unwrap_or_default();
            let authenticator = token.get(98..).unwrap_or_default();
            push(&mut traces, "token", nonce);
            push(&mut traces, "token", authenticator);
        }
        for inbox in self.inboxes() {
            push(&mut traces, "inbox id", inbox.0.as_slice());
        }
        Ok(traces)
    }

    /// What opens and names the pools that this user has for its contacts.
    fn of_pools(&self, traces: &mut Vec<Trace>) -> Result<()> {
        let device = self.device();
        for contact in self.book().iter() {
            let number = self.pool_number(contact.generation)?;
            let secret = device.user_secret_of(number.user_secret_number)?;
            let key = secret.contact_key(&contact.user, number.generation)?;
            let token = secret.contact_token(&contact.user, number.generation)?;
            let owner = secret.pool_owner(&contact.user, number.generation)?;
            push(traces, "contact key", key.secret().expose());
            push(traces, "pool key", token.secret().expose());
            push(traces, "pool key", owner.expose());
        }
        Ok(())
    }
}

fn push(traces: &mut Vec<Trace>, kind: &'static str, bytes: &[u8]) {
    traces.push(Trace {
        kind,
        bytes: bytes.to_vec(),
    });
}

fn of_client(traces: &mut Vec<Trace>, credential: &ClientCredential) {
    push(traces, "real name", credential.user.as_str().as_bytes());
    push(traces, "device name", credential.client.as_str().as_bytes());
    push(traces, "client key", credential.signature_key.as_slice());
    push(traces, "account key", credential.account_key.as_slice());
}

fn of_group(group: &LoadedGroup) -> Result<Vec<Trace>> {
    let mut traces = Vec::new();
    push(&mut traces, "group id", &group.id().0);
    for known in &group.keys.generations {
        push(&mut traces, "group key", known.ear_key.expose());
        if let Some(secret) = &known.group_secret {
            push(&mut traces, "group secret", secret.expose());
        }
        of_generation(&mut traces, &EarKey::new(known.ear_key.duplicate()))?;
    }
    push(&mut traces, "stream id", &group.stream()?.0);
    push(
        &mut traces,
        "sender key",
        group.sender_key()?.secret().expose(),
    );
    for member in group.members()?.iter() {
        of_member(&mut traces, &member.credential);
        push(&mut traces, "encryption key", &member.encryption_key);
    }
    Ok(traces)
}

fn of_generation(traces: &mut Vec<Trace>, ear_key: &EarKey) -> Result<()> {
    push(traces, "locator", &ear_key.locator("head")?.0);
    push(traces, "record key", ear_key.head_key()?.secret().expose());
    push(traces, "record key", ear_key.tree_key()?.secret().expose());
    push(
        traces,
        "delivery key",
        ear_key.delivery_key()?.secret().expose(),
    );
    Ok(())
}

fn of_member(traces: &mut Vec<Trace>, credential: &PseudonymousCredential) {
    for uri in [&credential.user_pseudonym, &credential.client_pseudonym] {
        // The domain stands everywhere; what names somebody is the last part.
        let name = uri.as_str().rsplit('/').next().unwrap_or_default();
        push(traces, "pseudonym", name.as_bytes());
    }
    push(traces, "leaf key", credential.signature_key.as_slice());
    push(traces, "user key", credential.user_auth_key.as_slice());
}
