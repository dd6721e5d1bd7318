//! Owns who the members really are, as far as identity entries prove it.
//!
//! Invariant: an identity is shown only after its link verified against the very credential in the
//! leaf; the hub's count of entries is no proof of anything.

use crate::engine::state::LoadedGroup;
use crate::error::Result;
use crate::events::{Evidence, Identity, Person, Standing};
use crate::records::IdentityRecord;
use sordino_crypto::{WrapperKey, open_identity_entry, sha256, unwrap_previous};
use sordino_rules::{Member, Members};
use sordino_wire::{
    Digest, GroupId, IdentityEntry, IdentityLink, PseudonymousCredential, Roster, encode,
};
use std::collections::BTreeMap;

/// What names a credential in the roster.
pub(crate) fn credential_hash(credential: &PseudonymousCredential) -> Result<Digest> {
    Ok(sha256(&encode(credential)?))
}

fn identity(link: &IdentityLink) -> Identity {
    Identity {
        user: link.client_credential.user.clone(),
        client: link.client_credential.client.clone(),
        account_key: link.client_credential.account_key.clone(),
    }
}

/// A member with its identity from a list of verified links.
pub(crate) fn resolve(
    credential: &PseudonymousCredential,
    identities: &[IdentityRecord],
) -> Result<Person> {
    let hash = credential_hash(credential)?;
    let known = identities.iter().find(|record| record.credential == hash);
    Ok(Person {
        user_pseudonym: credential.user_pseudonym.clone(),
        client_pseudonym: credential.client_pseudonym.clone(),
        identity: known.map(|record| identity(&record.link)),
        standing: Standing::Unidentified,
    })
}

impl LoadedGroup {
    /// A member with its identity.
    pub(crate) fn person(&self, credential: &PseudonymousCredential) -> Result<Person> {
        let mut person = resolve(credential, &self.state.identities)?;
        if self.mls.is_some() && credential.user_pseudonym == self.own_user()? {
            person.standing = Standing::Own;
        }
        Ok(person)
    }

    /// Everybody.
    pub(crate) fn people(&self) -> Result<Vec<Person>> {
        self.members()?
            .iter()
            .map(|member| self.person(&member.credential))
            .collect()
    }

    /// Keeps a verified link.
    pub(crate) fn learn_identity(
        &mut self,
        credential: &PseudonymousCredential,
        link: IdentityLink,
    ) -> Result<()> {
        let record = IdentityRecord {
            credential: credential_hash(credential)?,
            link,
        };
        self.state
            .identities
            .retain(|known| known.credential != record.credential);
        self.state.identities.push(record);
        Ok(())
    }

    /// Forgets links of credentials that are in no leaf any more.
    pub(crate) fn prune_identities(&mut self) -> Result<()> {
        let mut present = Vec::new();
        for member in self.members()?.iter() {
            present.push(credential_hash(&member.credential)?);
        }
        self.state
            .identities
            .retain(|record| present.contains(&record.credential));
        Ok(())
    }

    /// Opens the entries that came with a commit, in their order; what does not verify is evidence.
    pub(crate) fn learn_entries(
        &mut self,
        leaves: &[Member],
        entries: &[IdentityEntry],
    ) -> Result<Vec<Evidence>> {
        let Some(wrapper) = self.wrapper_key()? else {
            return Ok(Vec::new());
        };
        let id = self.id();
        let mut evidence = Vec::new();
        for (leaf, entry) in leaves.iter().zip(entries) {
            match open_identity_entry(&wrapper, id, &leaf.credential, entry) {
                Ok(link) => self.learn_identity(&leaf.credential, link)?,
                Err(_) => evidence.push(Evidence::BadIdentityEntry {
                    member: self.person(&leaf.credential)?,
                }),
            }
        }
        Ok(evidence)
    }

    /// Learns everybody from a roster, walking back through the generations.
    pub(crate) fn learn_roster(&mut self, roster: &Roster) -> Result<Vec<Evidence>> {
        let Some(secret) = self.group_secret()? else {
            return Ok(Vec::new());
        };
        let wrapper = secret.wrapper_key()?;
        let members = self.members()?;
        let opened = open_roster(&wrapper, self.generation()?, self.id(), &members, roster)?;
        for record in opened.identities {
            self.state
                .identities
                .retain(|known| known.credential != record.credential);
            self.state.identities.push(record);
        }
        Ok(opened.evidence)
    }
}

/// What a roster tells.
pub(crate) struct OpenedRoster {
    pub(crate) identities: Vec<IdentityRecord>,
    pub(crate) evidence: Vec<Evidence>,
}

/// Opens the entries of a roster.
pub(crate) fn open_roster(
    wrapper: &WrapperKey,
    generation: u64,
    group_id: GroupId,
    members: &Members,
    roster: &Roster,
) -> Result<OpenedRoster> {
    let wrappers = walk_back(wrapper, generation, group_id, roster);
    let mut identities = Vec::new();
    let mut evidence = Vec::new();
    for item in roster.entries.iter() {
        let Some(member) = members.get(item.leaf_index) else {
            continue;
        };
        let of = item.entry.generation;
        let Some(wrapper) = wrappers.get(&of) else {
            // Before a break in the chain, entries stay closed, and nobody is to blame for it.
            if of > generation {
                evidence.push(Evidence::BadIdentityEntry {
                    member: resolve(&member.credential, &[])?,
                });
            }
            continue;
        };
        match open_identity_entry(wrapper, group_id, &member.credential, &item.entry) {
            Ok(link) => identities.push(IdentityRecord {
                credential: credential_hash(&member.credential)?,
                link,
            }),
            Err(_) => evidence.push(Evidence::BadIdentityEntry {
                member: resolve(&member.credential, &[])?,
            }),
        }
    }
    Ok(OpenedRoster {
        identities,
        evidence,
    })
}

/// The wrapper keys of all generations that the chain reaches. A committer that did not know the
/// previous key breaks the chain; entries before it stay closed.
fn walk_back(
    newest: &WrapperKey,
    generation: u64,
    group_id: GroupId,
    roster: &Roster,
) -> BTreeMap<u64, WrapperKey> {
    let mut known = BTreeMap::from([(generation, newest.duplicate())]);
    for wrapper in roster.wrappers.as_slice().iter().rev() {
        let Some(next) = wrapper.generation.checked_add(1) else {
            continue;
        };
        let opened = known
            .get(&next)
            .and_then(|key| unwrap_previous(key, group_id, wrapper).ok());
        if let Some(key) = opened {
            known.insert(wrapper.generation, key);
        }
    }
    known
}
