//! Owns what a member wants to commit, in terms of the group as it stands now.
//!
//! Invariant: a plan names people and never leaf indices, so that it can be carried out again in a
//! later epoch after a lost race.

use crate::engine::state::LoadedGroup;
use crate::error::{ClientError, Result, mls};
use crate::mls::message;
use openmls::prelude::{KeyPackage, MlsMessageBodyIn, OpenMlsCrypto, ProtocolVersion};
use sordino_crypto::check_identity_link;
use sordino_rules::check_key_package;
use sordino_wire::{
    CommitIntent, Digest, IdentifierUri, IdentityLink, InboxAddress, KeyPackageEntry,
    PolicySummary, PseudonymousCredential,
};

/// What to commit.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    AddUsers(Vec<KeyPackageEntry>),
    AddOwnDevices(Vec<KeyPackageEntry>),
    /// By user pseudonym.
    RemoveUsers(Vec<IdentifierUri>),
    /// By client pseudonym.
    RemoveOwnDevices(Vec<IdentifierUri>),
    Update {
        rotate: bool,
        move_generation: bool,
    },
    ChangePolicy {
        policy: Box<PolicySummary>,
        invite_code: Option<Digest>,
    },
    CommitPending,
    Delete,
}

impl Plan {
    pub(crate) fn intent(&self) -> CommitIntent {
        match self {
            Self::Delete => CommitIntent::Delete,
            _ => CommitIntent::Apply,
        }
    }

    pub(crate) fn is_update(&self) -> bool {
        matches!(self, Self::Update { .. })
    }

    pub(crate) fn adds(&self) -> bool {
        matches!(self, Self::AddUsers(_) | Self::AddOwnDevices(_))
    }

    /// Whether it must start a generation by itself.
    pub(crate) fn moves_generation(&self) -> bool {
        match self {
            Self::RemoveUsers(_) | Self::RemoveOwnDevices(_) | Self::Delete => true,
            Self::Update {
                move_generation, ..
            } => *move_generation,
            _ => false,
        }
    }

    pub(crate) fn rotates(&self) -> bool {
        matches!(self, Self::Update { rotate: true, .. })
    }

    fn entries(&self) -> &[KeyPackageEntry] {
        match self {
            Self::AddUsers(entries) | Self::AddOwnDevices(entries) => entries,
            _ => &[],
        }
    }
}

/// Somebody to be added.
pub(crate) struct Joiner {
    pub(crate) key_package: KeyPackage,
    pub(crate) credential: PseudonymousCredential,
    pub(crate) link: Option<IdentityLink>,
    pub(crate) inbox: InboxAddress,
}

/// Reads and checks one device's part of a key-package set.
pub(crate) fn check_entry(
    entry: &KeyPackageEntry,
    crypto: &impl OpenMlsCrypto,
    now_s: u64,
) -> Result<Joiner> {
    let MlsMessageBodyIn::KeyPackage(unverified) = message(entry.key_package.as_slice())?.extract()
    else {
        return Err(ClientError::BadHandover);
    };
    let key_package = unverified
        .validate(crypto, ProtocolVersion::Mls10)
        .map_err(mls("the KeyPackage is not valid"))?;
    let credential = check_key_package(&key_package, now_s).map_err(ClientError::NotAllowed)?;
    check_identity_link(&entry.link, &credential).map_err(|_| ClientError::BadHandover)?;
    Ok(Joiner {
        key_package,
        credential,
        link: Some(entry.link.clone()),
        inbox: entry.inbox.clone(),
    })
}

impl LoadedGroup {
    /// The joiners of a plan.
    pub(crate) fn joiners(
        &self,
        plan: &Plan,
        crypto: &impl OpenMlsCrypto,
        now_s: u64,
    ) -> Result<Vec<Joiner>> {
        plan.entries()
            .iter()
            .map(|entry| check_entry(entry, crypto, now_s))
            .collect()
    }

    /// Whoever is in already is not added again: the commit of an earlier attempt came through, or
    /// somebody else was quicker.
    pub(crate) fn require_strangers(&self, plan: &Plan, joiners: &[Joiner]) -> Result<()> {
        let members = self.members()?;
        let known = |link: &IdentityLink| {
            let user = &link.client_credential.user;
            let mut known = self.state.identities.iter();
            known.any(|record| record.link.client_credential.user == *user)
        };
        let inside = |joiner: &Joiner| {
            let key = &joiner.credential.signature_key;
            let is_user = matches!(plan, Plan::AddUsers(_));
            members.by_signature_key(key).is_some()
                || (is_user && joiner.link.as_ref().is_some_and(known))
        };
        match joiners.iter().any(inside) {
            true => Err(ClientError::AlreadyMember),
            false => Ok(()),
        }
    }

    /// The leaves that a plan removes by value. Leaves that are leaving anyway are left to their
    /// proposals, which the commit contains too.
    pub(crate) fn targets(&self, plan: &Plan) -> Result<Vec<u32>> {
        let members = self.members()?;
        let own = self.own_index()?;
        let pending = self.pending()?;
        let leaving = |index: u32| pending.iter().any(|p| p.leaving() == Some(index));
        let mut targets: Vec<u32> = match plan {
            Plan::RemoveUsers(users) => {
                require_all(users, |user| members.has_user(user))?;
                members
                    .iter()
                    .filter(|member| users.contains(&member.credential.user_pseudonym))
                    .map(|member| member.index)
                    .collect()
            }
            Plan::RemoveOwnDevices(clients) => {
                require_all(clients, |client| members.by_client(client).is_some())?;
                members
                    .iter()
                    .filter(|member| clients.contains(&member.credential.client_pseudonym))
                    .map(|member| member.index)
                    .collect()
            }
            Plan::Delete => members
                .iter()
                .map(|member| member.index)
                .filter(|index| *index != own)
                .collect(),
            _ => Vec::new(),
        };
        targets.retain(|index| !leaving(*index));
        Ok(targets)
    }
}

fn require_all(names: &[IdentifierUri], known: impl Fn(&IdentifierUri) -> bool) -> Result<()> {
    if !names.is_empty() && names.iter().all(known) {
        Ok(())
    } else {
        Err(ClientError::NoSuchMember)
    }
}
