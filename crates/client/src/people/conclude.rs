//! Owns what a step in a group means for the people in it: contacts come, go and give keys.
//!
//! Invariant: it becomes durable in the transaction of the step that it follows from. A kind of
//! content is taken in the kind of group it belongs in alone, and from a verified contact alone.

use crate::core::Core;
use crate::engine::state::{Control, LoadedGroup, Step};
use crate::error::{GroupStatus, Result};
use crate::events::{Event, Evidence, Person, Standing};
use crate::people::contact::{ContactRecord, ContactState};
use crate::people::invites::Invite;
use crate::records::{fetched_name, fetching_name};
use sordino_crypto::{check_account_key_change, sha256};
use sordino_wire::{AccountKeyChange, Digest, GroupId, IdentifierUri, MemberContent};
use std::collections::BTreeMap;

impl Core {
    /// Draws the consequences of a step and makes everything durable.
    pub(crate) fn conclude(&self, group: &LoadedGroup, step: &mut Step) -> Result<()> {
        let id = group.id();
        for event in &mut step.events {
            if let Some((_, person)) = event.people_mut() {
                self.weigh(id, person)?;
            }
        }
        let turned = step.events.iter().any(|event| {
            matches!(
                event,
                Event::RosterChanged { .. } | Event::Joined { .. } | Event::Removed { .. }
            )
        });
        let people = match turned {
            true => self.sweep(group, step)?,
            false => Vec::new(),
        };
        let joined = Event::Joined { group: id };
        if step.events.contains(&joined) {
            self.share_group(&mut step.batch, group)?;
        }
        let control = step.control.take();
        if let Some(Control::Said {
            sender,
            own: false,
            content: MemberContent::Devices(message),
        }) = &control
            && self.is_devices_group(id)
            && self.is_sibling(sender)
        {
            self.keep_heard(&mut step.batch, message.as_slice())?;
        }
        if let Some(change) = stranger_key_change(&control)
            && self.book().get(&change.user).is_none()
            && self.follow_seen(&mut step.batch, change)?
        {
            step.events.push(Event::AccountKeyChanged {
                user: change.user.clone(),
            });
        }
        let Some((user, control)) = self.affected(id, control, turned) else {
            return Ok(self.vault.commit(&step.batch)?);
        };
        match &control {
            Some(Control::Said { content, .. }) => self.keep_beside(step, &user, content)?,
            Some(Control::Entered { .. }) | None => {}
        }
        let status = group.state.status;
        let events = &mut step.events;
        self.change_contact(&mut step.batch, &user, |contact| {
            if contact.group == Some(id) {
                follow_roster(contact, &people, status, events);
            }
            match control {
                Some(Control::Entered { joiner, request_id }) => {
                    enter(contact, joiner, request_id, events);
                }
                Some(Control::Said { content, .. }) => take(contact, content, events),
                None => {}
            }
            Ok(())
        })?;
        self.people_moved();
        Ok(())
    }

    /// Whose contact a step changes, and by what: what comes from somebody else is left out.
    fn affected(
        &self,
        id: GroupId,
        control: Option<Control>,
        turned: bool,
    ) -> Option<(IdentifierUri, Option<Control>)> {
        let book = self.book();
        let partner = book.of_group(id);
        let control = control.filter(|control| match control {
            Control::Entered { .. } => partner.is_some(),
            Control::Said { own: true, .. } => false,
            Control::Said {
                sender, content, ..
            } => match content {
                MemberContent::ContactKeys(_) | MemberContent::Invite(_) => {
                    partner.is_some_and(|contact| said_by(contact, sender))
                }
                MemberContent::AccountKeyChange(change) => book
                    .get(&change.user)
                    .is_some_and(|contact| said_by(contact, sender)),
                MemberContent::Application(_) | MemberContent::Devices(_) => false,
            },
        });
        match (&control, partner) {
            (
                Some(Control::Said {
                    content: MemberContent::AccountKeyChange(change),
                    ..
                }),
                _,
            ) => Some((change.user.clone(), control)),
            (Some(_), Some(contact)) => Some((contact.user.clone(), control)),
            (None, Some(contact)) if turned => Some((contact.user.clone(), None)),
            _ => None,
        }
    }

    /// What a content changes beside the contact itself.
    fn keep_beside(
        &self,
        step: &mut Step,
        user: &IdentifierUri,
        content: &MemberContent,
    ) -> Result<()> {
        match content {
            MemberContent::ContactKeys(_) => {
                // What was fetched with the former keys belongs to a pool that is no more.
                let hash = sha256(user.as_str().as_bytes());
                step.batch.delete(fetched_name(&hash));
                step.batch.delete(fetching_name(&hash));
            }
            MemberContent::Invite(link) => {
                let invite = Invite::new(user, link, step.now_s);
                step.events.push(Event::Invited {
                    user: user.clone(),
                    group: link.group_id,
                });
                self.put_invite(&mut step.batch, invite)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Everybody in the group: who is new is remembered, who contradicts what is known is named.
    fn sweep(&self, group: &LoadedGroup, step: &mut Step) -> Result<Vec<Person>> {
        let id = group.id();
        if group.mls.is_none() {
            return Ok(Vec::new());
        }
        let mut people = group.people()?;
        let mut users: BTreeMap<IdentifierUri, IdentifierUri> = BTreeMap::new();
        let cell = self.cell(id);
        for person in &mut people {
            self.weigh(id, person)?;
            let Some(identity) = &person.identity else {
                continue;
            };
            if person.standing == Standing::Claimed {
                self.note_seen(&mut step.batch, id, &identity.user, &identity.account_key)?;
            }
            let first = users
                .entry(person.user_pseudonym.clone())
                .or_insert_with(|| identity.user.clone());
            let mixed = *first != identity.user;
            let conflict = person.standing == Standing::Conflict;
            if (mixed || conflict) && cell.tell_once(&person.client_pseudonym) {
                let person = person.clone();
                step.events.push(match mixed {
                    true => group.evidence(Evidence::MixedIdentities { member: person }),
                    false => Event::IdentityConflict { group: id, person },
                });
            }
        }
        Ok(people)
    }
}

/// A statement about its own account key by whoever it is about.
fn stranger_key_change(control: &Option<Control>) -> Option<&AccountKeyChange> {
    let Some(Control::Said {
        sender,
        own: false,
        content: MemberContent::AccountKeyChange(change),
    }) = control
    else {
        return None;
    };
    let identity = sender.identity.as_ref()?;
    let keys = [&change.old_key, &change.new_key];
    (identity.user == change.user && keys.contains(&&identity.account_key)).then_some(change)
}

/// Whether a member is a contact of this user, under an account key that is or was its own.
fn said_by(contact: &ContactRecord, sender: &Person) -> bool {
    contact.is_connected() && contact.is(sender)
}

/// The connection stands while both are in its group.
fn follow_roster(
    contact: &mut ContactRecord,
    people: &[Person],
    status: GroupStatus,
    events: &mut Vec<Event>,
) {
    let (Some(group), user) = (contact.group, contact.user.clone()) else {
        return;
    };
    let inside = matches!(status, GroupStatus::Active);
    let there = people.iter().any(|person| contact.is(person));
    let mut users = people.iter().map(|person| &person.user_pseudonym);
    let first = users.next();
    let alone = first.is_some() && users.all(|user| Some(user) == first);
    let over = matches!(
        status,
        GroupStatus::Removed | GroupStatus::Deleted | GroupStatus::Frozen
    );
    match contact.state {
        ContactState::Accepting if inside && there => {
            contact.state = ContactState::Connected;
            events.push(Event::Connected { user, group });
        }
        ContactState::Connected if over || (inside && alone) => {
            contact.state = ContactState::Ended;
            contact.theirs = None;
            contact.given = None;
            events.push(Event::Disconnected { user });
        }
        _ => {}
    }
}

/// Somebody came into the connection group: the person who was asked, or nobody.
fn enter(
    contact: &mut ContactRecord,
    joiner: Person,
    request_id: Option<Digest>,
    events: &mut Vec<Event>,
) {
    let Some(group) = contact.group else {
        return;
    };
    let asked = request_id.is_some() && request_id == contact.request_id;
    let is_person = joiner.identity.as_ref().is_some_and(|identity| {
        identity.user == contact.user && identity.account_key == contact.account_key
    });
    if contact.state == ContactState::Asked && asked && is_person {
        contact.state = ContactState::Connected;
        events.push(Event::Connected {
            user: contact.user.clone(),
            group,
        });
    } else if contact.state != ContactState::Accepting {
        contact.evict.push(joiner.user_pseudonym.clone());
        events.push(Event::ConnectionIntruder {
            user: contact.user.clone(),
            intruder: joiner,
        });
    }
}

fn take(contact: &mut ContactRecord, content: MemberContent, events: &mut Vec<Event>) {
    match content {
        MemberContent::ContactKeys(keys) => contact.theirs = Some(keys),
        MemberContent::AccountKeyChange(change) => move_pin(contact, &change, events),
        _ => {}
    }
}

/// The pinned account key has signed for its successor.
fn move_pin(contact: &mut ContactRecord, change: &AccountKeyChange, events: &mut Vec<Event>) {
    let fits = contact.user == change.user && contact.account_key == change.old_key;
    if !fits || check_account_key_change(change).is_err() {
        return;
    }
    let old = std::mem::replace(&mut contact.account_key, change.new_key.clone());
    contact.former_keys.push(old);
    events.push(Event::AccountKeyChanged {
        user: contact.user.clone(),
    });
}
