//! Owns how errors and events read: in a world's history, in its figures, in what it prints.
//!
//! Invariant: what it prints never decides anything.

use crate::ledger::short;
use sordino_client::{ClientError, Event};
use sordino_wire::GroupId;

/// Errors that faults, races and the users' own choices bring about.
pub(crate) fn is_explained(error: &ClientError) -> bool {
    !matches!(
        error,
        ClientError::BadAnswer
            | ClientError::BadHandover
            | ClientError::OtherHub
            | ClientError::Crypto(_)
            | ClientError::Vault(_)
            | ClientError::OutOfBounds
            | ClientError::Mls(_)
            | ClientError::IdentityMismatch
    )
}

pub(crate) fn kind_of(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unreachable => "unreachable",
        ClientError::Refused(_) => "refused",
        ClientError::NotAllowed(_) => "not allowed",
        ClientError::Contended => "contended",
        ClientError::NotInGroup => "not in the group",
        ClientError::Inactive(_) => "inactive",
        ClientError::SecretUnknown => "secret unknown",
        ClientError::NoInvite => "no invite",
        ClientError::NoSuchMember => "no such member",
        ClientError::AlreadyMember => "already a member",
        ClientError::NotConnected => "not connected",
        ClientError::PoolEmpty => "pool empty",
        ClientError::UnusableKeyPackages => "unusable key packages",
        ClientError::Vault(_) => "vault",
        _ => "other errors",
    }
}

/// An event as a line: its name, the group, and what tells it from others.
pub(crate) fn event_line(event: &Event) -> String {
    let text = format!("{event:?}");
    let end = text.find([' ', '(']).unwrap_or(text.len());
    let name = text.get(..end).unwrap_or_default();
    let of = |group: &GroupId, what: String| format!("{name} {} {what}", short(*group));
    match event {
        Event::Message { group, message } => of(
            group,
            String::from_utf8_lossy(&message.content).into_owned(),
        ),
        Event::Committed {
            group,
            epoch,
            operation,
            ..
        } => of(group, format!("epoch {epoch}: {operation:?}")),
        Event::Recovered { group, how } => of(group, format!("{how:?}")),
        Event::Evidence { group, evidence } => of(group, format!("{evidence:?}")),
        Event::Joined { group }
        | Event::JoinFailed { group }
        | Event::Removed { group }
        | Event::RosterChanged { group }
        | Event::Undecryptable { group }
        | Event::Gap { group }
        | Event::Deleted { group } => of(group, String::new()),
        _ => name.to_owned(),
    }
}
