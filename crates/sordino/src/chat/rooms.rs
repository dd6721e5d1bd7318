//! Owns rooms: making them, who is in, coming and going.
//!
//! Invariant: a room's name travels inside messages alone; the hub knows none.

use super::people::RequestLine;
use super::print::Printer;
use super::session::{person_name, short_name, shown_id, standing};
use super::talk::Standing;
use super::{ChatError, Session};
use crate::screen::{Row, Target};
use serde::Serialize;
use sordino_client::{
    ClientError, ContactState, Group, GroupId, GroupSettings, GroupStatus, Invited,
};
use std::collections::BTreeMap;
use std::fmt;

/// A room.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Room {
    /// A room by its name or the first digits of its id
    room: String,
}

/// Somebody in a room.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Member {
    /// A room by its name or the first digits of its id
    room: String,

    /// The handle, with or without @
    handle: String,
}

/// `sordino chat create`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Create {
    /// What the room is called, by its members alone
    name: String,

    /// Contacts to bring in
    #[arg(value_name = "HANDLE")]
    with: Vec<String>,

    /// Only you add and remove people
    #[arg(long)]
    moderated: bool,
}

/// A room, as it is listed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RoomLine {
    /// The first digits of its id.
    pub(crate) id: String,
    /// What it is called, or whom it is shared with.
    pub(crate) name: String,
    /// Messages of others that were not read.
    pub(crate) unread: usize,
    /// Whether it can be used.
    pub(crate) status: String,
    #[serde(skip)]
    group: GroupId,
    #[serde(skip)]
    usable: bool,
}

impl fmt::Display for RoomLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  {:<24} {:>3} new  {}",
            self.id, self.name, self.unread, self.status
        )
    }
}

/// Who is in a room.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MemberLine {
    name: String,
    standing: Standing,
    devices: usize,
}

impl fmt::Display for MemberLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = match self.standing {
            Standing::Own => "you",
            Standing::Proven => "known key",
            Standing::Conflict => "NOT the key you know: compare fingerprints",
            Standing::Claimed | Standing::System => "not yet known",
        };
        let plural = if self.devices == 1 {
            "device"
        } else {
            "devices"
        };
        write!(f, "{:<20} {} {plural}, {standing}", self.name, self.devices)
    }
}

/// An invitation into a room.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct InvitationLine {
    /// The first digits of the room's id.
    pub(crate) room: String,
    /// Who invites.
    pub(crate) from: String,
}

impl fmt::Display for InvitationLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  from @{}", self.room, self.from)
    }
}

/// A room that was made.
pub(crate) struct Made {
    /// What there is to say.
    pub(crate) notices: Vec<String>,
}

impl Session {
    /// Makes a room and brings contacts in. Whoever cannot be reached is told of; the others are
    /// in all the same.
    pub(crate) async fn create(
        &self,
        name: &str,
        with: &[String],
        moderated: bool,
    ) -> Result<Made, ChatError> {
        // Before anything is made: a wrong name should leave nothing behind.
        for handle in with {
            self.contact(handle).await?;
        }
        let mut settings = GroupSettings::by_invite();
        if moderated {
            settings = settings.moderated();
        }
        let group = self.client().create_group(settings).await?;
        let mut notices = vec![format!("Made {name} ({}).", shown_id(group.id()))];
        self.name_room(group.id(), name).await?;
        for handle in with {
            match self.invite(group.id(), handle).await {
                Ok(notice) => notices.push(notice),
                Err(error) => notices.push(format!("@{handle}: {error}")),
            }
        }
        Ok(Made { notices })
    }

    /// Brings a contact into a room.
    pub(crate) async fn invite(&self, room: GroupId, handle: &str) -> Result<String, ChatError> {
        let contact = self.contact(handle).await?;
        let group = self.client().group(room).await?;
        let who = short_name(&contact.user);
        let told = match group.invite(&contact.user).await? {
            Invited::Added => {
                // A newcomer has not heard what the room is called.
                if let Some(name) = self.known_name(room) {
                    self.name_room(room, &name).await?;
                }
                format!("@{who} is in.")
            }
            Invited::ByConnection => format!("@{who} is invited, and comes in by accepting."),
        };
        Ok(told)
    }

    /// Rooms that this user is invited into.
    pub(crate) async fn invitations(&self) -> Result<Vec<InvitationLine>, ChatError> {
        let invites = self.client().invites().await?;
        Ok(invites
            .iter()
            .map(|invite| InvitationLine {
                room: shown_id(invite.group),
                from: short_name(&invite.from),
            })
            .collect())
    }

    /// Goes into a room that this user is invited into.
    pub(crate) async fn join(&self, text: &str) -> Result<String, ChatError> {
        let invites = self.client().invites().await?;
        let found = invites
            .into_iter()
            .find(|invite| shown_id(invite.group) == text);
        let invite = found.ok_or_else(|| ChatError::NoRoom(text.to_owned()))?;
        let group = self.client().join(&invite).await?;
        Ok(format!("You are in ({}).", shown_id(group.id())))
    }

    /// Who is in a room, a line a person.
    pub(crate) async fn members(&self, room: GroupId) -> Result<Vec<MemberLine>, ChatError> {
        let members = self.client().group(room).await?.members().await?;
        let mut people: BTreeMap<String, MemberLine> = BTreeMap::new();
        for member in &members {
            let key = member.user_pseudonym.as_str().to_owned();
            let line = people.entry(key).or_insert_with(|| MemberLine {
                name: person_name(member),
                standing: standing(member),
                devices: 0,
            });
            line.devices += 1;
        }
        let mut lines: Vec<MemberLine> = people.into_values().collect();
        lines.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(lines)
    }

    /// Removes somebody with all devices.
    pub(crate) async fn remove(&self, room: GroupId, handle: &str) -> Result<String, ChatError> {
        let bare = super::account::handle(handle)?;
        let group = self.client().group(room).await?;
        let members = group.members().await?;
        let person = members
            .iter()
            .find(|member| person_name(member) == bare.as_str() && member.identity.is_some())
            .ok_or_else(|| ChatError::NoMember(handle.to_owned()))?;
        group.remove(person).await?;
        Ok(format!("@{} is removed.", bare.as_str()))
    }

    /// Leaves a room.
    pub(crate) async fn leave(&self, room: GroupId) -> Result<String, ChatError> {
        self.client().group(room).await?.leave().await?;
        Ok("You leave; the others' next commit takes you out.".to_owned())
    }

    /// Rooms, and the conversations with those contacts who are connected.
    async fn all_groups(&self) -> Result<Vec<Group>, ChatError> {
        let mut groups = self.client().groups();
        for contact in self.client().contacts().await? {
            let talks = contact.state == ContactState::Connected;
            groups.extend(contact.group.filter(|_| talks));
        }
        Ok(groups)
    }

    /// All rooms, conversations with contacts included.
    pub(crate) async fn room_lines(&self) -> Result<Vec<RoomLine>, ChatError> {
        let mut lines = Vec::new();
        for group in self.all_groups().await? {
            let status = match group.status().await {
                // A device that is new knows contacts before it is in their groups.
                Err(ClientError::NotInGroup) => continue,
                status => status?,
            };
            if status == GroupStatus::Active {
                self.scan(&group).await?;
            }
            let name = match self.partner(group.id()).await? {
                Some(user) => format!("@{}", short_name(&user)),
                None => self.room_name(group.id()),
            };
            lines.push(RoomLine {
                id: shown_id(group.id()),
                name,
                unread: self.unread_known(group.id()),
                status: status.to_string(),
                group: group.id(),
                usable: status == GroupStatus::Active,
            });
        }
        lines.sort_by_key(|line| line.name.to_lowercase());
        Ok(lines)
    }

    /// What the screen's list shows: what waits for an answer first.
    pub(crate) async fn rows(&self) -> Result<Vec<Row>, ChatError> {
        let requests = self.requests().await?.into_iter().map(request_row);
        let mut rows: Vec<Row> = requests.collect();
        for invitation in self.invitations().await? {
            rows.push(Row {
                target: Target::Invitation(invitation.room.clone()),
                title: format!("room {}", invitation.room),
                unread: 0,
                remark: format!("@{} invites", invitation.from),
            });
        }
        for line in self.room_lines().await? {
            rows.push(Row {
                target: Target::Room(line.group),
                title: line.name,
                unread: line.unread,
                remark: if line.usable {
                    String::new()
                } else {
                    line.status
                },
            });
        }
        for contact in self.client().contacts().await? {
            let talks = contact.state == ContactState::Connected && contact.group.is_some();
            let handle = short_name(&contact.user);
            if !talks && !rows.iter().any(|row| row.title == format!("@{handle}")) {
                rows.push(Row {
                    target: Target::Person(handle.clone()),
                    title: format!("@{handle}"),
                    unread: 0,
                    remark: super::people::state_text(contact.state).to_owned(),
                });
            }
        }
        Ok(rows)
    }
}

fn request_row(request: RequestLine) -> Row {
    Row {
        title: format!("@{}", request.handle),
        target: Target::Request(request.handle),
        unread: 1,
        remark: "asks".to_owned(),
    }
}

pub(super) async fn list(session: &Session, out: &mut Printer) -> Result<(), ChatError> {
    let none = "no rooms yet; `sordino chat create NAME [HANDLE …]` makes one";
    out.list(&session.room_lines().await?, none);
    Ok(())
}

pub(super) async fn create(
    session: &Session,
    create: &Create,
    out: &mut Printer,
) -> Result<(), ChatError> {
    let made = session
        .create(&create.name, &create.with, create.moderated)
        .await?;
    for notice in made.notices {
        out.remark(&notice);
    }
    Ok(())
}

pub(super) async fn invite(
    session: &Session,
    member: &Member,
    out: &mut Printer,
) -> Result<(), ChatError> {
    let room = session.room(&member.room).await?;
    out.remark(&session.invite(room, &member.handle).await?);
    Ok(())
}

pub(super) async fn invitations(session: &Session, out: &mut Printer) -> Result<(), ChatError> {
    out.list(&session.invitations().await?, "no invitations");
    Ok(())
}

pub(super) async fn join(
    session: &Session,
    room: &Room,
    out: &mut Printer,
) -> Result<(), ChatError> {
    out.remark(&session.join(&room.room).await?);
    Ok(())
}

pub(super) async fn members(
    session: &Session,
    room: &Room,
    out: &mut Printer,
) -> Result<(), ChatError> {
    let room = session.room(&room.room).await?;
    out.list(&session.members(room).await?, "nobody is here");
    Ok(())
}

pub(super) async fn remove(
    session: &Session,
    member: &Member,
    out: &mut Printer,
) -> Result<(), ChatError> {
    let room = session.room(&member.room).await?;
    out.remark(&session.remove(room, &member.handle).await?);
    Ok(())
}

pub(super) async fn leave(
    session: &Session,
    room: &Room,
    out: &mut Printer,
) -> Result<(), ChatError> {
    let room = session.room(&room.room).await?;
    out.remark(&session.leave(room).await?);
    Ok(())
}
