//! Owns bringing contacts into groups: with a key-package set, or by an invite through the
//! connection where no set is left.
//!
//! Invariant: a set is marked as used for one group before its commit is made, and serves no other;
//! an invite is kept before the cursor of the connection group passes it.

use crate::client::Client;
use crate::core::Core;
use crate::engine::external::Entrance;
use crate::engine::plan::Plan;
use crate::error::{ClientError, Result};
use crate::events::Event;
use crate::group::Group;
use crate::people::contact::ContactState;
use crate::people::fetch::Taken;
use crate::records::INVITES;
use crate::vault::Batch;
use sordino_rules::allows;
use sordino_wire::{
    Capability, CredentialRule, GroupId, IdentifierUri, InviteLink, JoinRule, MemberContent,
    Permission, Reject,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// How many sets are tried before the caller hears of it.
const ATTEMPTS: u32 = 3;
/// Invites that are kept at once; the oldest goes.
const MAX_INVITES: usize = 256;

/// How a contact came, or is to come, into a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invited {
    /// With all devices, by a key-package set.
    Added,
    /// By an invite that was sent through the connection: the contact decides.
    ByConnection,
}

/// An invite from a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteInfo {
    /// Who invites.
    pub from: IdentifierUri,
    /// Into which group.
    pub group: GroupId,
    /// When it came, in seconds since 1970.
    pub time_s: u64,
}

/// An invite as it is kept.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Invite {
    from: IdentifierUri,
    link: InviteLink,
    time_s: u64,
}

impl Invite {
    pub(crate) fn new(from: &IdentifierUri, link: &InviteLink, time_s: u64) -> Self {
        Self {
            from: from.clone(),
            link: InviteLink {
                hub_domain: link.hub_domain.clone(),
                group_id: link.group_id,
                generation: link.generation,
                ear_key: link.ear_key.duplicate(),
                code: link.code,
            },
            time_s,
        }
    }
}

impl Client {
    /// Invites of contacts that have no answer yet.
    pub async fn invites(&self) -> Result<Vec<InviteInfo>> {
        let invites = self.core.kept_invites()?;
        Ok(invites
            .into_iter()
            .map(|invite| InviteInfo {
                from: invite.from,
                group: invite.link.group_id,
                time_s: invite.time_s,
            })
            .collect())
    }

    /// Comes into the group of an invite.
    pub async fn join(&self, invite: &InviteInfo) -> Result<Group> {
        let kept = self.core.kept_invites()?.into_iter();
        let mut fitting = kept.filter(|kept| kept.is(invite));
        let link = fitting.next().ok_or(ClientError::NoInvite)?.link;
        let entrance = link.code.map_or(Entrance::Open, Entrance::Invite);
        match self.join_by_link(&link, &entrance).await {
            Err(error @ (ClientError::Unreachable | ClientError::Contended)) => Err(error),
            Err(ClientError::Refused(_)) => {
                // The group went on since: the inviter can send another.
                self.forget_invite(invite)?;
                Err(ClientError::NoInvite)
            }
            outcome => {
                self.forget_invite(invite)?;
                outcome
            }
        }
    }

    /// Says no to an invite; nobody hears of it.
    pub fn forget_invite(&self, invite: &InviteInfo) -> Result<()> {
        let core = &self.core;
        core.change_invites(&mut Batch::default(), |kept| {
            kept.retain(|kept| !kept.is(invite))
        })
    }
}

impl Invite {
    fn is(&self, info: &InviteInfo) -> bool {
        self.from == info.from && self.link.group_id == info.group
    }
}

impl Group {
    /// Brings a contact in: with all devices, where a key-package set is left; else by an invite
    /// through the connection, where the group's policy admits by invite or may be made to.
    pub async fn invite(&self, user: &IdentifierUri) -> Result<Invited> {
        self.core.invite(self.id(), user).await
    }
}

impl Core {
    async fn invite(&self, id: GroupId, user: &IdentifierUri) -> Result<Invited> {
        match self.book().get(user).map(|contact| contact.state) {
            Some(ContactState::Connected) => {}
            Some(ContactState::Blocked) => return Err(ClientError::Blocked),
            _ => return Err(ClientError::NotConnected),
        }
        self.catch_up(id).await?;
        if self.is_member(id, user).await? {
            return Err(ClientError::AlreadyMember);
        }
        for _ in 0..ATTEMPTS {
            let entries = match self.take_set(user, id).await? {
                Taken::Usable(entries) => entries,
                Taken::Unusable => continue,
                Taken::Empty => return self.invite_by_connection(id, user).await,
            };
            match self.commit(id, &Plan::AddUsers(entries)).await {
                // Already: by the commit of an earlier attempt, with the same set.
                Ok(()) | Err(ClientError::AlreadyMember) => {
                    self.forget_set(user)?;
                    return Ok(Invited::Added);
                }
                Err(ClientError::Refused(reject)) if is_about_set(&reject) => {
                    self.forget_set(user)?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(ClientError::UnusableKeyPackages)
    }

    async fn is_member(&self, id: GroupId, user: &IdentifierUri) -> Result<bool> {
        self.view(id, |group, _| {
            Ok(group.people()?.iter().any(|person| {
                let identity = person.identity.as_ref();
                identity.is_some_and(|identity| identity.user == *user)
            }))
        })
        .await
    }

    /// Sends the contact a link, through the group that both share.
    async fn invite_by_connection(&self, id: GroupId, user: &IdentifierUri) -> Result<Invited> {
        let connection = self
            .book()
            .get(user)
            .and_then(|contact| contact.group)
            .ok_or(ClientError::NotConnected)?;
        let link = match self.invite_link(id).await {
            Err(ClientError::NoInvite) => {
                self.open_for_invites(id).await?;
                self.invite_link(id).await?
            }
            other => other?,
        };
        self.send(connection, &MemberContent::Invite(link)).await?;
        Ok(Invited::ByConnection)
    }

    /// Where members add whom they like, the contact could be let in by anybody once inside: a
    /// code for this one invite gives nothing more away.
    async fn open_for_invites(&self, id: GroupId) -> Result<()> {
        let may = self
            .view(id, |group, _| {
                let policy = group.policy()?;
                let changes = allows(&policy, &group.own_user()?, Capability::ChangePolicy);
                let kind = matches!(policy.join, JoinRule::Closed | JoinRule::Invite);
                Ok(changes && kind && policy.add == Permission::Members)
            })
            .await?;
        if !may {
            return Err(ClientError::PoolEmpty);
        }
        self.renew_invites(id).await
    }

    fn kept_invites(&self) -> Result<Vec<Invite>> {
        Ok(self.vault.get(INVITES)?.unwrap_or_default())
    }

    fn change_invites(
        &self,
        batch: &mut Batch,
        change: impl FnOnce(&mut Vec<Invite>),
    ) -> Result<()> {
        let _book = self.book();
        let mut invites = self.kept_invites()?;
        change(&mut invites);
        batch.put(INVITES, &invites)?;
        Ok(self.vault.commit(batch)?)
    }

    /// Adds an invite to a transaction; the newest of one group counts.
    pub(crate) fn put_invite(&self, batch: &mut Batch, invite: Invite) -> Result<()> {
        let mut invites = self.kept_invites()?;
        invites
            .retain(|kept| kept.from != invite.from || kept.link.group_id != invite.link.group_id);
        let surplus = (invites.len() + 1).saturating_sub(MAX_INVITES);
        invites.drain(..surplus);
        invites.push(invite);
        Ok(batch.put(INVITES, &invites)?)
    }

    /// Tells the application of a set that it will not see.
    pub(crate) fn tell_unusable(&self, user: &IdentifierUri) {
        self.events
            .send_all(vec![Event::UnusableKeyPackages { user: user.clone() }]);
    }
}

/// Whether a refusal is the set's fault, so that another one may do.
fn is_about_set(reject: &Reject) -> bool {
    matches!(
        reject,
        Reject::InvalidCredential(CredentialRule::KeyPackage | CredentialRule::Duplicate)
            | Reject::InboxUnavailable { .. }
    )
}
