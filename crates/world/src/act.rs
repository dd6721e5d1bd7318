//! Owns what a user does: one operation of the client library, chosen at random, with everything it
//! needs chosen before it begins.

use crate::chance::Chance;
use sordino_client::{
    Client, ClientError, ContactState, Group, GroupSettings, GroupStatus, InviteLink,
};
use sordino_wire::{GroupId, IdentifierUri};

/// So many rooms a device makes or is in before it makes no more.
const MAX_ROOMS: usize = 4;

/// One operation.
pub(crate) enum Act {
    Sync,
    CatchUp(Group),
    Send(Group, String),
    Create(GroupSettings),
    Invite(Group, IdentifierUri),
    JoinByLink(InviteLink),
    JoinByInvite,
    ProposeJoin(InviteLink),
    Remove(Group, u64),
    Update(Group),
    MoveGeneration(Group),
    CommitPending(Group),
    OpenInvites(Group),
    Leave(Group),
    Resync(Group),
    LoseState(Group),
    Delete(Group),
    Inspect(Group),
    Forget(Group),
}

/// What a user feels like.
#[derive(Clone, Copy)]
enum Kind {
    Sync,
    CatchUp,
    Send,
    Create,
    Invite,
    Enter,
    JoinByInvite,
    Propose,
    Remove,
    Update,
    MoveGeneration,
    CommitPending,
    OpenInvites,
    Leave,
    Resync,
    LoseState,
    Delete,
    Inspect,
    Forget,
}

const WEIGHTS: [(u64, Kind); 19] = [
    (24, Kind::Sync),
    (4, Kind::CatchUp),
    (30, Kind::Send),
    (5, Kind::Create),
    (14, Kind::Invite),
    (8, Kind::Enter),
    (4, Kind::JoinByInvite),
    (2, Kind::Propose),
    (4, Kind::Remove),
    (10, Kind::Update),
    (5, Kind::MoveGeneration),
    (4, Kind::CommitPending),
    (3, Kind::OpenInvites),
    (3, Kind::Leave),
    (4, Kind::Resync),
    (3, Kind::LoseState),
    (1, Kind::Delete),
    (3, Kind::Inspect),
    (2, Kind::Forget),
];

/// What somebody else may bring about: a link that was handed over.
pub(crate) struct Offer {
    pub(crate) link: InviteLink,
}

impl Act {
    /// Chooses. Only the device's own state is looked at.
    pub(crate) async fn choose(
        client: &Client,
        others: &[IdentifierUri],
        offer: Option<Offer>,
        text: String,
        chance: &mut Chance,
    ) -> Self {
        let Some(kind) = chance.weighted(&WEIGHTS) else {
            return Self::Sync;
        };
        match kind {
            Kind::Sync => return Self::Sync,
            Kind::Create => {
                return match client.groups().len() < MAX_ROOMS {
                    true => Self::Create(settings(chance)),
                    false => Self::Sync,
                };
            }
            Kind::Enter => return offer.map_or(Self::Sync, |offer| Self::JoinByLink(offer.link)),
            Kind::Propose => {
                return offer.map_or(Self::Sync, |offer| Self::ProposeJoin(offer.link));
            }
            Kind::JoinByInvite => return Self::JoinByInvite,
            Kind::Forget => {
                let over = rooms(client, false).await;
                let room = chance.pick(&over).cloned();
                return room.map_or(Self::Sync, Self::Forget);
            }
            _ => {}
        }
        // Connections are groups as well, for talking and for keeping keys fresh.
        let mut groups = rooms(client, true).await;
        if matches!(
            kind,
            Kind::Send | Kind::Update | Kind::MoveGeneration | Kind::Resync | Kind::LoseState
        ) {
            groups.extend(connections(client).await);
        }
        let Some(group) = chance.pick(&groups).cloned() else {
            return Self::Sync;
        };
        match kind {
            Kind::CatchUp => Self::CatchUp(group),
            Kind::Send => Self::Send(group, text),
            Kind::Invite => match chance.pick(others) {
                Some(user) => Self::Invite(group, user.clone()),
                None => Self::Sync,
            },
            Kind::Remove => Self::Remove(group, chance.number()),
            Kind::Update => Self::Update(group),
            Kind::MoveGeneration => Self::MoveGeneration(group),
            Kind::CommitPending => Self::CommitPending(group),
            Kind::OpenInvites => Self::OpenInvites(group),
            Kind::Leave => Self::Leave(group),
            Kind::Resync => Self::Resync(group),
            Kind::LoseState => Self::LoseState(group),
            Kind::Delete => Self::Delete(group),
            Kind::Inspect => Self::Inspect(group),
            _ => Self::Sync,
        }
    }

    /// The group that it is about, if it is about one.
    pub(crate) fn group(&self) -> Option<GroupId> {
        match self {
            Self::Sync | Self::Create(_) | Self::JoinByInvite => None,
            Self::JoinByLink(link) | Self::ProposeJoin(link) => Some(link.group_id),
            Self::CatchUp(group)
            | Self::Send(group, _)
            | Self::Invite(group, _)
            | Self::Remove(group, _)
            | Self::Update(group)
            | Self::MoveGeneration(group)
            | Self::CommitPending(group)
            | Self::OpenInvites(group)
            | Self::Leave(group)
            | Self::Resync(group)
            | Self::LoseState(group)
            | Self::Delete(group)
            | Self::Inspect(group)
            | Self::Forget(group) => Some(group.id()),
        }
    }

    /// Its name in figures.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::CatchUp(_) => "catch up",
            Self::Send(..) => "send",
            Self::Create(_) => "create",
            Self::Invite(..) => "invite",
            Self::JoinByLink(_) => "join by link",
            Self::JoinByInvite => "join by invite",
            Self::ProposeJoin(_) => "propose to join",
            Self::Remove(..) => "remove",
            Self::Update(_) => "update",
            Self::MoveGeneration(_) => "move generation",
            Self::CommitPending(_) => "commit pending",
            Self::OpenInvites(_) => "open invites",
            Self::Leave(_) => "leave",
            Self::Resync(_) => "resync",
            Self::LoseState(_) => "lose state",
            Self::Delete(_) => "delete",
            Self::Inspect(_) => "inspect",
            Self::Forget(_) => "forget",
        }
    }

    /// Does it.
    pub(crate) async fn run(self, client: Client) -> Result<(), ClientError> {
        match self {
            Self::Sync => client.sync_once().await,
            Self::CatchUp(group) => group.catch_up().await,
            Self::Send(group, text) => group.send(text.as_bytes()).await,
            Self::Create(settings) => client.create_group(settings).await.map(|_| ()),
            Self::Invite(group, user) => group.invite(&user).await.map(|_| ()),
            Self::JoinByLink(link) => match link.code {
                Some(_) => client.join_by_invite(&link).await.map(|_| ()),
                None => client.join_open(&link).await.map(|_| ()),
            },
            Self::JoinByInvite => match client.invites().await?.first() {
                Some(invite) => client.join(invite).await.map(|_| ()),
                None => client.sync_once().await,
            },
            Self::ProposeJoin(link) => client.propose_join(&link).await,
            Self::Remove(group, which) => remove(&group, which).await,
            Self::Update(group) => group.update().await,
            Self::MoveGeneration(group) => group.move_generation().await,
            Self::CommitPending(group) => group.commit_pending().await,
            Self::OpenInvites(group) => group.open_invites().await,
            Self::Leave(group) => group.leave().await,
            Self::Resync(group) => group.resync().await,
            Self::LoseState(group) => {
                group.lose_mls_state().await?;
                client.sync_once().await
            }
            Self::Delete(group) => group.delete().await,
            Self::Inspect(group) => group.inspect().await.map(|_| ()),
            Self::Forget(group) => client.forget(group.id()).await,
        }
    }
}

/// Somebody else.
async fn remove(group: &Group, which: u64) -> Result<(), ClientError> {
    let own = group.own().await?.user_pseudonym;
    let mut others = group.members().await?;
    others.retain(|person| person.user_pseudonym != own);
    let count = u64::try_from(others.len()).unwrap_or(u64::MAX);
    let chosen = which
        .checked_rem(count)
        .and_then(|n| usize::try_from(n).ok());
    match chosen.and_then(|chosen| others.get(chosen)) {
        Some(person) => group.remove(person).await,
        None => Ok(()),
    }
}

fn settings(chance: &mut Chance) -> GroupSettings {
    let settings = match chance.below(3) {
        0 => GroupSettings::closed(),
        1 => GroupSettings::by_invite(),
        _ => GroupSettings::open(),
    };
    match chance.below(5) {
        0 => settings.with_named_senders(),
        1 => settings.without_identities(),
        _ => settings,
    }
}

/// The rooms that can be used, or those that cannot any more.
pub(crate) async fn rooms(client: &Client, usable: bool) -> Vec<Group> {
    let mut rooms = Vec::new();
    for room in client.groups() {
        let status = room.status().await;
        let fits = match status {
            Ok(GroupStatus::Active | GroupStatus::Recovering) => usable,
            Ok(GroupStatus::Removed | GroupStatus::Deleted | GroupStatus::Frozen) => !usable,
            _ => false,
        };
        if fits {
            rooms.push(room);
        }
    }
    rooms
}

/// The groups of complete connections, as far as they can be used.
pub(crate) async fn connections(client: &Client) -> Vec<Group> {
    let mut groups = Vec::new();
    for group in all_connections(client).await {
        if matches!(group.status().await, Ok(GroupStatus::Active)) {
            groups.push(group);
        }
    }
    groups
}

/// The groups of connections that are complete or over.
pub(crate) async fn all_connections(client: &Client) -> Vec<Group> {
    let contacts = client.contacts().await.unwrap_or_default();
    let complete = contacts
        .into_iter()
        .filter(|contact| matches!(contact.state, ContactState::Connected | ContactState::Ended));
    complete.filter_map(|contact| contact.group).collect()
}
