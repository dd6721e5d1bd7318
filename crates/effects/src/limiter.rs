//! Owns what a service asks of whoever counts how much is too much (design page 4).
//!
//! Invariant: a service asks after it knows that whoever sends the request is one of those whose
//! budget it is, and before work that costs much; so nobody uses up a budget of others, and garbage
//! uses up none. Asking twice within one request counts once.

use sordino_wire::{Domain, GroupId, IdentifierUri, InboxId};

/// Whose budget a request counts against. None of them is a person.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// Messages that members of a group send without showing which of them.
    Messages(&'a GroupId),
    /// Handshakes of a group's members.
    Handshakes(&'a GroupId),
    /// Attempts to come into a group from outside: a budget of its own, for outsiders use it.
    Joins(&'a GroupId),
    /// What one user pseudonym of a group signs.
    Pseudonym(&'a GroupId, &'a IdentifierUri),
    /// Reading and depositing in an inbox, by those who have its secrets.
    Inbox(&'a InboxId),
    /// Accounts that one network registers.
    Registrations,
    /// Tokens that are issued to one provider's users.
    Provider(&'a Domain),
}

/// Too much for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch {
    /// When it is not any more.
    pub retry_after_s: u32,
}

/// What counts.
pub trait Limiter {
    /// Counts one request of `bytes` against a subject's budget, or refuses it and counts nothing.
    fn take(&self, subject: Subject<'_>, bytes: usize) -> Result<(), TooMuch>;
}

/// Nothing is too much.
pub struct Unlimited;

impl Limiter for Unlimited {
    fn take(&self, _: Subject<'_>, _: usize) -> Result<(), TooMuch> {
        Ok(())
    }
}
