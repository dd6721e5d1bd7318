//! Owns finding people, asking them, answering them.
//!
//! Invariant: whoever is accepted was named by a handle, and its fingerprint was shown.

use super::account::{Who, handle};
use super::print::Printer;
use super::session::short_name;
use super::talk::Line;
use super::{ChatError, Session};
use serde::Serialize;
use sordino_client::{ConnectionRequestInfo, Contact, ContactState, Group, GroupId, IdentifierUri};
use std::fmt;

/// Somebody, by handle.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Person {
    /// The handle, with or without @
    pub(super) handle: String,
}

/// A contact, as it is listed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ContactLine {
    /// The handle.
    pub(crate) handle: String,
    /// How far it has come.
    pub(crate) state: &'static str,
    /// To be compared.
    pub(crate) fingerprint: String,
}

impl fmt::Display for ContactLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "@{:<20} {:<12} {}",
            self.handle, self.state, self.fingerprint
        )
    }
}

/// A request, as it is listed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RequestLine {
    /// Who asks.
    pub(crate) handle: String,
    /// To be compared.
    pub(crate) fingerprint: String,
    /// When, in seconds since 1970, floored to 60.
    pub(crate) time_s: u64,
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{:<20} fingerprint {}", self.handle, self.fingerprint)
    }
}

pub(super) fn state_text(state: ContactState) -> &'static str {
    match state {
        ContactState::Asked => "asked",
        ContactState::Accepting => "coming in",
        ContactState::Connected => "connected",
        ContactState::Ended => "ended",
        ContactState::Blocked => "blocked",
    }
}

impl Session {
    /// Asks the provider who a handle is.
    pub(crate) async fn look_up(&self, text: &str) -> Result<Who, ChatError> {
        let found = self.client().look_up(&handle(text)?).await?;
        Ok(Who::new(&found.user, found.fingerprint))
    }

    /// Asks somebody for a connection.
    pub(crate) async fn connect(&self, text: &str) -> Result<String, ChatError> {
        let handle = handle(text)?;
        let contact = self.client().connect(&handle).await?;
        Ok(format!(
            "Asked @{}. It takes effect when @{0} accepts; until then compare fingerprints:\n  {}",
            handle.as_str(),
            contact.fingerprint
        ))
    }

    /// The requests that wait for an answer.
    pub(crate) async fn requests(&self) -> Result<Vec<RequestLine>, ChatError> {
        let requests = self.client().connection_requests().await?;
        Ok(requests
            .into_iter()
            .map(|request| RequestLine {
                handle: short_name(&request.from),
                fingerprint: request.fingerprint,
                time_s: request.time_s,
            })
            .collect())
    }

    async fn request_of(&self, text: &str) -> Result<ConnectionRequestInfo, ChatError> {
        let handle = handle(text)?;
        let requests = self.client().connection_requests().await?;
        let found = requests
            .into_iter()
            .find(|request| short_name(&request.from) == handle.as_str());
        found.ok_or_else(|| ChatError::NoRequest(text.to_owned()))
    }

    /// Accepts a request.
    pub(crate) async fn accept(&self, text: &str) -> Result<String, ChatError> {
        let request = self.request_of(text).await?;
        let contact = self.client().accept(request.id).await?;
        Ok(format!(
            "Connected with @{}. Fingerprint, to compare:\n  {}",
            short_name(&contact.user),
            contact.fingerprint
        ))
    }

    /// Declines a request, and tells nobody.
    pub(crate) async fn decline(&self, text: &str) -> Result<String, ChatError> {
        let request = self.request_of(text).await?;
        self.client().decline(request.id).await?;
        Ok(format!(
            "Declined; @{} is not told.",
            short_name(&request.from)
        ))
    }

    /// Blocks somebody, and tells nobody.
    pub(crate) async fn block(&self, text: &str) -> Result<String, ChatError> {
        let handle = handle(text)?;
        let user = match self.contact(text).await {
            Ok(contact) => contact.user,
            // Who only asks can be blocked as well.
            Err(_) => self.request_of(text).await?.from,
        };
        self.client().block(&user).await?;
        Ok(format!("Blocked @{}; nobody is told.", handle.as_str()))
    }

    /// Everybody whom this user knows.
    pub(crate) async fn contacts(&self) -> Result<Vec<ContactLine>, ChatError> {
        let contacts = self.client().contacts().await?;
        Ok(contacts
            .into_iter()
            .map(|contact| ContactLine {
                handle: short_name(&contact.user),
                state: state_text(contact.state),
                fingerprint: contact.fingerprint,
            })
            .collect())
    }

    /// One contact.
    pub(crate) async fn contact(&self, text: &str) -> Result<Contact, ChatError> {
        let handle = handle(text)?;
        let contacts = self.client().contacts().await?;
        let found = contacts
            .into_iter()
            .find(|contact| short_name(&contact.user) == handle.as_str());
        found.ok_or_else(|| ChatError::NoContact(handle.as_str().to_owned()))
    }

    /// Where one talks with a contact.
    pub(crate) async fn conversation_with(&self, text: &str) -> Result<GroupId, ChatError> {
        let contact = self.contact(text).await?;
        let group = contact.group.map(|group| group.id());
        group.ok_or_else(|| ChatError::NoContact(text.to_owned()))
    }

    /// The contact whose conversation a group is.
    pub(crate) async fn partner(&self, room: GroupId) -> Result<Option<IdentifierUri>, ChatError> {
        let contacts = self.client().contacts().await?;
        let is_room = |group: &Group| group.id() == room;
        let partner = contacts
            .into_iter()
            .find(|contact| contact.group.as_ref().is_some_and(is_room));
        Ok(partner.map(|contact| contact.user))
    }

    /// What the screen says beside a request.
    pub(crate) async fn about_request(&self, handle: &str) -> Vec<Line> {
        let mut lines = vec![Line::system(&format!("@{handle} asks for a connection."))];
        if let Ok(request) = self.request_of(handle).await {
            lines.push(Line::system(&format!(
                "Fingerprint, to compare by another way: {}",
                request.fingerprint
            )));
        }
        lines.push(Line::system(&format!(
            "/accept {handle}, /decline {handle} or /block {handle}; only an acceptance is told."
        )));
        lines
    }

    /// What the screen says beside somebody one cannot talk with.
    pub(crate) async fn about_person(&self, handle: &str) -> Vec<Line> {
        match self.contact(handle).await {
            Ok(contact) => vec![
                Line::system(&format!("@{handle}: {}", state_text(contact.state))),
                Line::system(&format!("fingerprint {}", contact.fingerprint)),
            ],
            Err(error) => vec![Line::system(&error.to_string())],
        }
    }
}

pub(super) async fn look_up(
    session: &Session,
    person: &Person,
    out: &mut Printer,
) -> Result<(), ChatError> {
    out.show(&session.look_up(&person.handle).await?);
    out.remark("A provider answers alike for handles that nobody has; a connection is the proof.");
    Ok(())
}

pub(super) async fn connect(
    session: &Session,
    person: &Person,
    out: &mut Printer,
) -> Result<(), ChatError> {
    out.remark(&session.connect(&person.handle).await?);
    Ok(())
}

pub(super) async fn requests(session: &Session, out: &mut Printer) -> Result<(), ChatError> {
    out.list(&session.requests().await?, "nobody asks for a connection");
    Ok(())
}

pub(super) async fn accept(
    session: &Session,
    person: &Person,
    out: &mut Printer,
) -> Result<(), ChatError> {
    out.remark(&session.accept(&person.handle).await?);
    Ok(())
}

pub(super) async fn decline(
    session: &Session,
    person: &Person,
    out: &mut Printer,
) -> Result<(), ChatError> {
    out.remark(&session.decline(&person.handle).await?);
    Ok(())
}

pub(super) async fn block(
    session: &Session,
    person: &Person,
    out: &mut Printer,
) -> Result<(), ChatError> {
    out.remark(&session.block(&person.handle).await?);
    Ok(())
}

pub(super) async fn contacts(session: &Session, out: &mut Printer) -> Result<(), ChatError> {
    let none = "no contacts yet; `sordino chat connect HANDLE` asks somebody";
    out.list(&session.contacts().await?, none);
    Ok(())
}
