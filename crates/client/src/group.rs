//! Owns what an application does with a group.
//!
//! Invariant: a method that changes the group returns when the change is durable at the hub and
//! merged here, or with an error that says what became of it.

use crate::core::Core;
use crate::engine::outgoing::application;
use crate::engine::plan::Plan;
use crate::engine::roster::resolve;
use crate::engine::send::message_of;
use crate::engine::state::GroupKind;
use crate::error::{ClientError, GroupStatus, Result};
use crate::events::{Message, Person};
use crate::records::{MessageRecord, Trouble, message_name};
use sordino_wire::{Bytes, GroupId, IdentifierUri, InviteLink, MemberContent, PolicySummary};
use std::sync::Arc;

/// A group of this device. Clones are the same group.
#[derive(Clone)]
pub struct Group {
    pub(crate) core: Arc<Core>,
    id: GroupId,
}

/// What the hub says about a group's members, compared with what this device knows.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Everybody in the hub's tree.
    pub members: Vec<Person>,
    /// The hub's epoch.
    pub epoch: u64,
    /// The hub's generation.
    pub generation: u64,
    /// Whether epoch and tree are the same as here.
    pub agrees: bool,
}

impl Group {
    pub(crate) fn new(core: Arc<Core>, id: GroupId) -> Self {
        Self { core, id }
    }

    /// Its id.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// Whether it can be used.
    pub async fn status(&self) -> Result<GroupStatus> {
        self.core.status(self.id).await
    }

    /// The MLS epoch.
    pub async fn epoch(&self) -> Result<u64> {
        self.core.view(self.id, |group, _| group.epoch()).await
    }

    /// The generation of the group's keys.
    pub async fn generation(&self) -> Result<u64> {
        self.core.view(self.id, |group, _| group.generation()).await
    }

    /// The policy.
    pub async fn policy(&self) -> Result<PolicySummary> {
        self.core.view(self.id, |group, _| group.policy()).await
    }

    /// The members, with the identities that are proven.
    pub async fn members(&self) -> Result<Vec<Person>> {
        let mut people = self.core.view(self.id, |group, _| group.people()).await?;
        for person in &mut people {
            self.core.weigh(self.id, person)?;
        }
        Ok(people)
    }

    /// This device as the members see it.
    pub async fn own(&self) -> Result<Person> {
        let mut own = self
            .core
            .view(self.id, |group, _| group.person(&group.own_credential()?))
            .await?;
        self.core.weigh(self.id, &mut own)?;
        Ok(own)
    }

    /// A value that is equal for all members of an epoch whom the hub did not separate. Members
    /// compare it inside messages.
    pub async fn epoch_authenticator(&self) -> Result<Vec<u8>> {
        self.core
            .view(self.id, |group, _| {
                Ok(group.mls()?.epoch_authenticator().as_slice().to_vec())
            })
            .await
    }

    /// The messages kept from a number on, at most `max`.
    pub async fn messages(&self, from: u64, max: usize) -> Result<Vec<Message>> {
        let count = self
            .core
            .view(self.id, |group, _| Ok(group.state.messages))
            .await?;
        let mut messages = Vec::new();
        for number in (from..count).take(max) {
            let name = message_name(self.id, number);
            if let Some(record) = self.core.vault.get::<MessageRecord>(&name)? {
                let mut message = message_of(number, record);
                self.core.weigh(self.id, &mut message.sender)?;
                messages.push(message);
            }
        }
        Ok(messages)
    }

    /// How many messages this device has kept.
    pub async fn message_count(&self) -> Result<u64> {
        self.core
            .view(self.id, |group, _| Ok(group.state.messages))
            .await
    }

    /// The contents of this device's own messages that the stream has not given back yet, in the
    /// order in which they were sent.
    pub async fn outgoing(&self) -> Result<Vec<Vec<u8>>> {
        self.core
            .view(self.id, |group, _| {
                let contents = group.state.outbox.iter().filter_map(application);
                Ok(contents.collect())
            })
            .await
    }

    /// Whether something of this device is still on its way to the hub.
    pub async fn is_busy(&self) -> Result<bool> {
        self.core
            .view(self.id, |group, _| {
                Ok(group.state.pending.is_some()
                    || group.external.is_some()
                    || group.state.outbox.iter().any(|o| o.accepted == 0)
                    || group.state.owes_identity == 1
                    || group.state.owes_rotation == 1)
            })
            .await
    }

    /// Sends a message. When this returns, the hub has it durably; after `Unreachable`, the next
    /// sync goes on trying with the same bytes, and [`crate::Event::NotSent`] tells if that comes to
    /// nothing.
    /// In the group of a connection, nothing is sent before the contact is verified.
    pub async fn send(&self, content: &[u8]) -> Result<()> {
        if let GroupKind::Connection(None) = self.core.kind_of(self.id) {
            return Err(ClientError::NotConnected);
        }
        let content = MemberContent::Application(Bytes::new(content.to_vec())?);
        self.core.send(self.id, &content).await
    }

    /// Reads the stream to its end.
    pub async fn catch_up(&self) -> Result<()> {
        self.core.catch_up(self.id).await
    }

    /// Removes users, by pseudonym, with all their devices.
    pub async fn remove_users(&self, user_pseudonyms: Vec<IdentifierUri>) -> Result<()> {
        self.commit(&Plan::RemoveUsers(user_pseudonyms)).await
    }

    /// Removes a user, with all devices: under every pseudonym that is known to be that user's.
    /// Whoever was invited while it came in by a link is there twice.
    pub async fn remove(&self, person: &Person) -> Result<()> {
        let own = self.own().await?.user_pseudonym;
        let mut users = vec![person.user_pseudonym.clone()];
        for member in self.members().await? {
            if member.user_pseudonym == own {
                continue;
            }
            let same = match (&member.identity, &person.identity) {
                (Some(one), Some(other)) => {
                    one.user == other.user && one.account_key == other.account_key
                }
                _ => false,
            };
            if same && !users.contains(&member.user_pseudonym) {
                users.push(member.user_pseudonym);
            }
        }
        self.remove_users(users).await
    }

    /// Removes other devices of this user, by client pseudonym.
    pub async fn remove_own_devices(&self, client_pseudonyms: Vec<IdentifierUri>) -> Result<()> {
        self.commit(&Plan::RemoveOwnDevices(client_pseudonyms))
            .await
    }

    /// Renews this device's leaf: encryption keys and signature key.
    pub async fn update(&self) -> Result<()> {
        self.commit(&Plan::Update {
            rotate: true,
            move_generation: false,
        })
        .await
    }

    /// Starts a new generation of the group's keys, without removing anybody.
    pub async fn move_generation(&self) -> Result<()> {
        self.commit(&Plan::Update {
            rotate: false,
            move_generation: true,
        })
        .await
    }

    /// Commits what others proposed, if there is anything.
    pub async fn commit_pending(&self) -> Result<()> {
        self.commit(&Plan::CommitPending).await
    }

    /// Replaces the policy. Where it admits by invite and names a code hash of its own, the code is
    /// the caller's to keep; see [`Group::open_invites`].
    pub async fn change_policy(&self, policy: PolicySummary) -> Result<()> {
        self.commit(&Plan::ChangePolicy {
            policy: Box::new(policy),
            invite_code: None,
        })
        .await
    }

    /// Admits by invite from now on, with a new code; former links are useless.
    pub async fn open_invites(&self) -> Result<()> {
        self.core.renew_invites(self.id).await
    }

    /// A link for somebody to come in. It is useless after the next removal.
    pub async fn invite_link(&self) -> Result<InviteLink> {
        self.core.invite_link(self.id).await
    }

    /// Leaves: proposes to be removed, which the next commit of another member must contain.
    pub async fn leave(&self) -> Result<()> {
        let cell = self.core.cell(self.id);
        let _turn = cell.turn.lock().await;
        self.core.make_active(self.id).await?;
        self.core.finish_pending(self.id).await?;
        for attempt in 0..5 {
            self.core.catch_up(self.id).await?;
            let answer = self
                .core
                .member_request(self.id, |group, tools| group.propose_leaving(tools))
                .await?;
            match answer {
                Ok(()) => return self.core.catch_up(self.id).await,
                Err(sordino_wire::Reject::WrongEpoch { .. }) => self.core.pause(attempt).await,
                Err(reject) => return Err(ClientError::Refused(reject)),
            }
        }
        Err(ClientError::Contended)
    }

    /// Removes everybody else and drops the group at the hub.
    pub async fn delete(&self) -> Result<()> {
        self.commit(&Plan::Delete).await
    }

    /// Freezes this group in favour of another one that was made before.
    pub async fn reinitialise(&self, successor: &Group) -> Result<()> {
        let cell = self.core.cell(self.id);
        let _turn = cell.turn.lock().await;
        self.core.make_active(self.id).await?;
        self.core.finish_pending(self.id).await?;
        for attempt in 0..5 {
            self.core.catch_up(self.id).await?;
            let target = self
                .core
                .view(successor.id, |group, _| group.access())
                .await?;
            let answer = self
                .core
                .member_request(self.id, |group, tools| {
                    let target = sordino_wire::GroupAccess {
                        group_id: target.group_id,
                        ear_key: target.ear_key.duplicate(),
                    };
                    group.freeze(tools, target)
                })
                .await?;
            match answer {
                Ok(()) => return self.core.catch_up(self.id).await,
                Err(sordino_wire::Reject::WrongEpoch { .. }) => self.core.pause(attempt).await,
                Err(reject) => return Err(ClientError::Refused(reject)),
            }
        }
        Err(ClientError::Contended)
    }

    /// The group in whose favour this one is frozen.
    pub async fn successor(&self) -> Result<Option<GroupId>> {
        self.core
            .view(self.id, |group, _| Ok(group.state.successor))
            .await
    }

    /// Replaces this device's leaf from outside, as after a loss of state. Done without being asked
    /// where it is needed.
    pub async fn resync(&self) -> Result<()> {
        let cell = self.core.cell(self.id);
        let _turn = cell.turn.lock().await;
        self.core
            .view(self.id, |group, _| match group.state.status {
                GroupStatus::Active | GroupStatus::Recovering => Ok(()),
                status => Err(ClientError::Inactive(status)),
            })
            .await?;
        self.core
            .step(self.id, |group, _, _| {
                group.note_trouble(Trouble::Lost);
                Ok(())
            })
            .await?;
        self.core.make_active(self.id).await?;
        self.core.catch_up(self.id).await?;
        self.core.tend_in_turn(self.id).await
    }

    /// Asks the hub who is in the group and compares.
    pub async fn inspect(&self) -> Result<Inspection> {
        let access = self.core.view(self.id, |group, _| group.access()).await?;
        let membership = self
            .core
            .inspect(access)
            .await?
            .map_err(ClientError::Refused)?;
        self.core
            .view(self.id, |group, _| {
                let own = sordino_wire::encode(&group.mls()?.export_ratchet_tree())?;
                let same_tree = own == membership.ratchet_tree.as_slice();
                let same_epoch = membership.position.epoch == group.epoch()?;
                let tree = crate::engine::tree::tree(membership.ratchet_tree.as_slice())?;
                let members = crate::engine::tree::people(&tree)?;
                let members = members
                    .iter()
                    .map(|credential| resolve(credential, &group.state.identities))
                    .collect::<Result<_>>()?;
                Ok(Inspection {
                    members,
                    epoch: membership.position.epoch,
                    generation: membership.position.generation,
                    agrees: same_tree && same_epoch,
                })
            })
            .await
    }

    /// The client whose group this is.
    pub fn client(&self) -> crate::Client {
        crate::Client {
            core: Arc::clone(&self.core),
        }
    }

    async fn commit(&self, plan: &Plan) -> Result<()> {
        self.core.commit(self.id, plan).await
    }

    /// Throws the MLS state away, as a broken disk would.
    #[doc(hidden)]
    pub async fn lose_mls_state(&self) -> Result<()> {
        self.core
            .step(self.id, |group, _, _| {
                group.drop_mls();
                group.note_trouble(Trouble::Lost);
                Ok(())
            })
            .await
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Group(..)")
    }
}
