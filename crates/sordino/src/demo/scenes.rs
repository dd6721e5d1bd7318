//! Owns what happens between the acts: groups are made, people come, go, are removed, come back.

use super::DemoError;
use super::cast::{Cast, persist};
use super::play::gather;
use super::room::{Kind, Room};
use super::table::Times;
use sordino_client::{ClientError, Group, GroupSettings, GroupStatus, Invited, Person};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long somebody may take to be gone.
const GONE: Duration = Duration::from_secs(120);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Makes a group and brings its founders in; the last user comes later.
pub(crate) async fn open(
    cast: Arc<Cast>,
    times: Arc<Times>,
    number: usize,
    kind: Kind,
    users: Vec<usize>,
) -> Result<Room, DemoError> {
    let creator_user = users.first().copied().unwrap_or_default();
    let creator = first_device(&cast, creator_user);
    if kind == Kind::Connection {
        let other = users.get(1).copied().unwrap_or_default();
        let group = cast.connection(&times, creator_user, other).await?;
        if cast.take(group.id()).await {
            return converse(&cast, number, &group, users).await;
        }
        // These two talk in another room already: this is one more of their own.
    }
    let settings = match kind {
        Kind::Closed | Kind::Connection => GroupSettings::closed(),
        Kind::Invite => GroupSettings::by_invite(),
        Kind::Open => GroupSettings::open(),
    };
    let kind = match kind {
        Kind::Connection => Kind::Closed,
        kind => kind,
    };
    let device = cast.device(creator)?;
    let group = times
        .timed("create group", device.client.create_group(settings))
        .await;
    let group = client("creating a group", group)?;
    let mut room = Room::new(number, group.id(), kind, creator);
    room.users = users;
    bring_siblings(&cast, &mut room, creator_user).await?;
    let founders: Vec<usize> = room.users.iter().copied().skip(1).collect();
    for user in founders.iter().take(founders.len().saturating_sub(1)) {
        bring_in(&cast, &times, &mut room, *user).await?;
    }
    room.rest(&cast).await?;
    Ok(room)
}

/// The conversation of two contacts as a room: all their devices are in it, or on their way.
async fn converse(
    cast: &Cast,
    number: usize,
    group: &Group,
    users: Vec<usize>,
) -> Result<Room, DemoError> {
    let creator = first_device(cast, users.first().copied().unwrap_or_default());
    let mut room = Room::new(number, group.id(), Kind::Connection, creator);
    for user in &users {
        for device in cast.devices_of(*user) {
            until(cast, device, &room, true).await?;
            room.devices.insert(device);
        }
    }
    room.users = users;
    room.rest(cast).await?;
    Ok(room)
}

/// What changes before an act, in all rooms at once.
pub(crate) async fn change_all(
    cast: &Arc<Cast>,
    times: &Arc<Times>,
    rooms: Vec<Room>,
    act: usize,
) -> Result<Vec<Room>, DemoError> {
    let mut tasks = JoinSet::new();
    for mut room in rooms {
        let (cast, times) = (Arc::clone(cast), Arc::clone(times));
        tasks.spawn(async move {
            change(&cast, &times, &mut room, act).await?;
            room.rest(&cast).await?;
            Ok(room)
        });
    }
    gather(tasks).await
}

async fn change(cast: &Cast, times: &Times, room: &mut Room, act: usize) -> Result<(), DemoError> {
    let whole = room.kind != Kind::Connection;
    let last = room.users.last().copied().unwrap_or_default();
    match act {
        1 => {
            if whole {
                bring_in(cast, times, room, last).await?;
            }
            update(cast, times, room).await
        }
        2 => {
            change_policy(cast, times, room).await?;
            if whole {
                remove(cast, times, room, last).await?;
            }
            if room.users.len() >= 5 {
                let leaver = room.users.get(1).copied().unwrap_or_default();
                leave(cast, times, room, leaver).await?;
            }
            Ok(())
        }
        _ => {
            resync(cast, times, room).await?;
            if whole {
                bring_in(cast, times, room, last).await?;
            }
            Ok(())
        }
    }
}

fn first_device(cast: &Cast, user: usize) -> usize {
    cast.devices_of(user).first().copied().unwrap_or_default()
}

/// A device that is in; the creator's first one never leaves.
fn host(room: &Room, cast: &Cast) -> usize {
    first_device(cast, room.users.first().copied().unwrap_or_default())
}

/// Brings a user in with all devices, the way the group's kind has it.
async fn bring_in(
    cast: &Cast,
    times: &Times,
    room: &mut Room,
    user: usize,
) -> Result<(), DemoError> {
    if room.kind == Kind::Closed {
        return invite(cast, times, room, user).await;
    }
    let host = room.at(cast, host(room, cast)).await?;
    let index = first_device(cast, user);
    let device = &cast.device(index)?.client;
    let join = || async {
        let link = host.invite_link().await?;
        match room.kind {
            Kind::Invite => {
                times
                    .timed("join by invite", device.join_by_invite(&link))
                    .await
            }
            _ => {
                times
                    .timed("join open group", device.join_open(&link))
                    .await
            }
        }
    };
    persist("joining by link", join).await?;
    room.devices.insert(index);
    bring_siblings(cast, room, user).await
}

/// A contact of the creator is invited: with a key-package set, or through the connection.
async fn invite(cast: &Cast, times: &Times, room: &mut Room, user: usize) -> Result<(), DemoError> {
    let creator = room.users.first().copied().unwrap_or_default();
    cast.connection(times, creator, user).await?;
    let name = cast.users.get(user).cloned();
    let name = client("finding a user", name.ok_or(ClientError::NoSuchMember))?;
    let group = room.at(cast, host(room, cast)).await?;
    let invite = || times.timed("invite contact", group.invite(&name));
    if persist("inviting", invite).await? == Invited::ByConnection {
        let device = cast.first(user)?;
        let id = room.id;
        let join = || async {
            let invites = device.invites().await?;
            let invite = invites.iter().find(|invite| invite.group == id);
            // It is on its way through the conversation.
            let invite = invite.ok_or(ClientError::Unreachable)?;
            times.timed("join by invite", device.join(invite)).await
        };
        persist("accepting an invite", join).await?;
    }
    for device in cast.devices_of(user) {
        until(cast, device, room, true).await?;
        room.devices.insert(device);
    }
    Ok(())
}

/// A user's further devices come in by themselves.
async fn bring_siblings(cast: &Cast, room: &mut Room, user: usize) -> Result<(), DemoError> {
    for sibling in cast.devices_of(user) {
        until(cast, sibling, room, true).await?;
        room.devices.insert(sibling);
    }
    Ok(())
}

async fn update(cast: &Cast, times: &Times, room: &Room) -> Result<(), DemoError> {
    for device in &room.devices {
        let group = room.at(cast, *device).await?;
        persist("updating", || times.timed("update", group.update())).await?;
    }
    Ok(())
}

async fn change_policy(cast: &Cast, times: &Times, room: &Room) -> Result<(), DemoError> {
    let group = room.at(cast, host(room, cast)).await?;
    let change = || async {
        let mut policy = group.policy().await?;
        policy.max_members = policy.max_members.saturating_add(1);
        times
            .timed("change policy", group.change_policy(policy))
            .await
    };
    persist("changing the policy", change).await
}

async fn remove(cast: &Cast, times: &Times, room: &mut Room, user: usize) -> Result<(), DemoError> {
    let group = room.at(cast, host(room, cast)).await?;
    let name = cast.users.get(user);
    let members = client("listing members", group.members().await)?;
    let is_user = |p: &&Person| p.identity.as_ref().map(|i| &i.user) == name;
    let person = members.iter().find(is_user).cloned();
    let person = client("finding a member", person.ok_or(ClientError::NoSuchMember))?;
    persist("removing a user", || {
        times.timed("remove user", group.remove(&person))
    })
    .await?;
    gone(cast, room, user).await
}

async fn leave(cast: &Cast, times: &Times, room: &mut Room, user: usize) -> Result<(), DemoError> {
    for device in cast.devices_of(user) {
        let group = room.at(cast, device).await?;
        persist("leaving", || times.timed("leave", group.leave())).await?;
    }
    gone(cast, room, user).await
}

/// A device loses its MLS state, as by a broken disk, and comes back.
async fn resync(cast: &Cast, times: &Times, room: &Room) -> Result<(), DemoError> {
    let Some(device) = room.devices.iter().next_back() else {
        return Ok(());
    };
    let group = room.at(cast, *device).await?;
    client("losing state", group.lose_mls_state().await)?;
    persist("resyncing", || {
        times.timed("resync a wiped device", group.resync())
    })
    .await
}

async fn gone(cast: &Cast, room: &mut Room, user: usize) -> Result<(), DemoError> {
    let devices: BTreeSet<usize> = cast.devices_of(user).into_iter().collect();
    room.devices.retain(|device| !devices.contains(device));
    for device in devices {
        until(cast, device, room, false).await?;
    }
    Ok(())
}

/// Waits until a device is in the group, or out of it.
async fn until(cast: &Cast, device: usize, room: &Room, inside: bool) -> Result<(), DemoError> {
    let start = Instant::now();
    loop {
        let status = match cast.device(device)?.client.group(room.id).await {
            Ok(group) => status_of(&group).await,
            Err(_) => None,
        };
        if (status == Some(GroupStatus::Active)) == inside {
            return Ok(());
        }
        if start.elapsed() > GONE {
            let what = if inside { "coming in" } else { "going" };
            return Err(DemoError::Restless(format!("device {device} {what}")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn status_of(group: &Group) -> Option<GroupStatus> {
    group.status().await.ok()
}

fn client<T>(what: &'static str, result: Result<T, ClientError>) -> Result<T, DemoError> {
    result.map_err(|source| DemoError::Client { what, source })
}
