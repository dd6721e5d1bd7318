//! Owns one group of a demo: who is in, what was said to whom.
//!
//! Invariant: membership changes between acts alone, and an act ends when everybody has everything,
//! so that what a device must have is known exactly.

use super::cast::Cast;
use super::{DemoError, Verdict};
use sordino_client::{Group, GroupId, GroupStatus};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long an act may take to come to rest.
const REST: Duration = Duration::from_secs(120);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How people come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Members add each other.
    Closed,
    /// By invite link.
    Invite,
    /// By link.
    Open,
    /// Two people.
    Connection,
}

/// One act: who was in, what was said.
#[derive(Default)]
struct Act {
    devices: BTreeSet<usize>,
    messages: Vec<Vec<u8>>,
}

/// One group.
pub(crate) struct Room {
    /// Its number.
    pub(crate) number: usize,
    /// The group.
    pub(crate) id: GroupId,
    /// How people come in.
    pub(crate) kind: Kind,
    /// Who it is for; the first one made it.
    pub(crate) users: Vec<usize>,
    /// Devices that are in, by index.
    pub(crate) devices: BTreeSet<usize>,
    acts: Vec<Act>,
}

impl Room {
    /// A group that one device made.
    pub(crate) fn new(number: usize, id: GroupId, kind: Kind, creator: usize) -> Self {
        Self {
            number,
            id,
            kind,
            users: Vec::new(),
            devices: BTreeSet::from([creator]),
            acts: Vec::new(),
        }
    }

    /// Begins an act with the devices that are in.
    pub(crate) fn begin_act(&mut self) {
        self.acts.push(Act {
            devices: self.devices.clone(),
            messages: Vec::new(),
        });
    }

    /// Notes what is about to be said.
    pub(crate) fn note(&mut self, message: Vec<u8>) {
        if let Some(act) = self.acts.last_mut() {
            act.messages.push(message);
        }
    }

    /// Everything that was said here.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.acts.iter().flat_map(|act| &act.messages)
    }

    /// What a device must have, in no order within an act.
    fn expected(&self, device: usize) -> Vec<BTreeSet<&[u8]>> {
        let acts = self.acts.iter().filter(|act| act.devices.contains(&device));
        acts.map(|act| act.messages.iter().map(Vec::as_slice).collect())
            .collect()
    }

    /// The group as a device that is in has it.
    pub(crate) async fn at(&self, cast: &Cast, device: usize) -> Result<Group, DemoError> {
        cast.group(device, self.id).await
    }

    /// Waits until every device that is in has come to rest in one epoch with all messages.
    pub(crate) async fn rest(&self, cast: &Cast) -> Result<(), DemoError> {
        let start = Instant::now();
        loop {
            let Some(why) = self.unrest(cast).await else {
                return Ok(());
            };
            if start.elapsed() > REST {
                return Err(DemoError::Restless(format!(
                    "group {} ({why})",
                    self.number
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Why the group is not at rest.
    async fn unrest(&self, cast: &Cast) -> Option<String> {
        let mut authenticators = BTreeSet::new();
        for device in &self.devices {
            let label = |what: &str| Some(format!("device {device} {what}"));
            let Ok(group) = self.at(cast, *device).await else {
                return label("is not in");
            };
            match group.status().await {
                Ok(GroupStatus::Active) => {}
                Ok(status) => return label(&format!("is {status}")),
                Err(_) => return label("cannot be looked at"),
            }
            if !matches!(group.is_busy().await, Ok(false)) {
                return label("is busy");
            }
            let expected: usize = self.expected(*device).iter().map(BTreeSet::len).sum();
            let messages = group.messages(0, usize::MAX).await.unwrap_or_default();
            if messages.len() < expected {
                return label(&format!("has {} of {expected} messages", messages.len()));
            }
            let members = group.members().await.unwrap_or_default();
            if members.len() != self.devices.len() {
                return label(&format!(
                    "sees {} of {} members",
                    members.len(),
                    self.devices.len()
                ));
            }
            if members.iter().any(|m| m.identity.is_none()) {
                return label("does not know everybody");
            }
            authenticators.insert(group.epoch_authenticator().await.unwrap_or_default());
        }
        (authenticators.len() > 1).then(|| "epochs differ".to_owned())
    }

    /// Compares everything that the devices have.
    pub(crate) async fn judge(&self, cast: &Cast, verdict: &mut Verdict) -> Result<(), DemoError> {
        let number = self.number;
        let mut rosters = BTreeSet::new();
        let mut authenticators = BTreeSet::new();
        let mut complete = true;
        let mut histories = Vec::new();
        for device in &self.devices {
            let group = self.at(cast, *device).await?;
            let members = group.members().await.unwrap_or_default();
            let mut names: Vec<String> = members.iter().map(described).collect();
            names.sort();
            rosters.insert(names);
            authenticators.insert(group.epoch_authenticator().await.unwrap_or_default());
            let messages = group.messages(0, usize::MAX).await.unwrap_or_default();
            let history: Vec<Vec<u8>> = messages.into_iter().map(|m| m.content).collect();
            complete &= follows(&history, &self.expected(*device));
            histories.push(history);
        }
        let devices = self.devices.len();
        verdict.judge(
            rosters.len() == 1,
            format!("group {number}: {devices} devices have one roster"),
        );
        verdict.judge(
            authenticators.len() == 1,
            format!("group {number}: {devices} devices have one epoch authenticator"),
        );
        let said: usize = self.acts.iter().map(|act| act.messages.len()).sum();
        verdict.judge(
            complete,
            format!("group {number}: everybody has what was said to them of {said} messages, once"),
        );
        verdict.judge(
            in_one_order(&histories),
            format!("group {number}: everybody has them in the same order"),
        );
        Ok(())
    }
}

fn described(person: &sordino_client::Person) -> String {
    let identity = person.identity.as_ref();
    let name = identity.map_or("?", |identity| identity.client.as_str());
    format!(
        "{} {} {name}",
        person.user_pseudonym.as_str(),
        person.client_pseudonym.as_str()
    )
}

/// Whether a history is the acts one after the other, each message once.
fn follows(history: &[Vec<u8>], acts: &[BTreeSet<&[u8]>]) -> bool {
    let mut rest = history;
    for act in acts {
        let (head, tail) = rest.split_at(act.len().min(rest.len()));
        let heard: BTreeSet<&[u8]> = head.iter().map(Vec::as_slice).collect();
        if head.len() != act.len() || heard != *act {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}

/// Whether any two histories have what they share in the same order.
fn in_one_order(histories: &[Vec<Vec<u8>>]) -> bool {
    histories.iter().enumerate().all(|(index, one)| {
        histories.iter().skip(index + 1).all(|other| {
            let in_other: BTreeSet<&Vec<u8>> = other.iter().collect();
            let in_one: BTreeSet<&Vec<u8>> = one.iter().collect();
            let left = one.iter().filter(|m| in_other.contains(m));
            left.eq(other.iter().filter(|m| in_one.contains(m)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(text: &str) -> Vec<Vec<u8>> {
        text.bytes().map(|b| vec![b]).collect()
    }

    #[test]
    fn a_history_follows_its_acts() {
        let (a, b, c) = ([b'a'], [b'b'], [b'c']);
        let acts = [BTreeSet::from([&a[..], &b[..]]), BTreeSet::from([&c[..]])];
        assert!(follows(&history("abc"), &acts));
        assert!(follows(&history("bac"), &acts));
        for wrong in ["acb", "ab", "abcc", "aab", ""] {
            assert!(!follows(&history(wrong), &acts), "{wrong}");
        }
    }

    #[test]
    fn what_is_shared_has_one_order() {
        assert!(in_one_order(&[
            history("abcd"),
            history("bd"),
            history("acd")
        ]));
        assert!(!in_one_order(&[history("abcd"), history("dc")]));
    }
}
