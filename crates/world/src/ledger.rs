//! Owns the book about one hub: what it acknowledged, and what is in its streams.
//!
//! Invariant: it believes what it has seen for itself: requests with their answers at the hub's
//! door, and entries of streams as any member reads them. The keys for these are in the requests.

use crate::violation::Violation;
use sha2::{Digest as _, Sha256};
use sordino_crypto::{DeliveryKey, EarKey, open_entry, stream_id};
use sordino_wire::{
    CommitRequest, Delivery, DeliveryEvent, Domain, GroupId, Outcome, RequestBody, ResponseBody,
    SealedEntry, Secret32, StreamId, StreamPage, exact,
};
use std::collections::BTreeMap;

/// Messages may be as many epochs old: the policy of all groups of this world.
pub(crate) const EPOCH_TOLERANCE: u64 = 3;

type Hash = [u8; 32];

fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// A short name for a group.
pub(crate) fn short(id: GroupId) -> String {
    hex::encode(id.0.get(..4).unwrap_or_default())
}

/// The epoch in an MLSMessage with a PublicMessage or PrivateMessage (RFC 9420 section 6: version,
/// wire format, group id, epoch).
fn epoch_of(message: &[u8]) -> Option<u64> {
    let length = usize::from(*message.get(4)?);
    // All group ids have 16 bytes, so their length is one byte.
    let at = 5usize.checked_add(length)?;
    let bytes = message.get(at..at.checked_add(8)?)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// What was read of one generation's stream.
struct StreamLog {
    id: StreamId,
    key: DeliveryKey,
    /// The number of the first entry that was read.
    first: Option<u64>,
    entries: Vec<Hash>,
}

impl StreamLog {
    fn new(ear_key: &EarKey, domain: &Domain) -> Option<Self> {
        let key = ear_key.delivery_key().ok()?;
        Some(Self {
            id: stream_id(&key, domain).ok()?,
            key,
            first: None,
            entries: Vec::new(),
        })
    }

    /// The number of the next entry; 0 where nothing was read yet.
    fn cursor(&self) -> u64 {
        let read = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        self.first.map_or(0, |first| first.saturating_add(read))
    }
}

/// One group, as the hub has shown it.
#[derive(Default)]
struct GroupLog {
    streams: Vec<StreamLog>,
    /// What the stream's commits have come to.
    epoch: u64,
    counter: u64,
    /// Of each epoch, the commit that started it, as the stream has it.
    commits: BTreeMap<u64, Hash>,
    /// The same as the hub acknowledged it.
    acked_commits: BTreeMap<u64, Hash>,
    /// Messages in the stream, by hash: the counter of their entry.
    messages: BTreeMap<Hash, u64>,
    acked_messages: BTreeMap<Hash, u64>,
    /// What each commit that was asked for would make the next generation's key.
    moves: BTreeMap<Hash, Secret32>,
    /// The latest epoch in an answer.
    told_epoch: u64,
    deleted: bool,
}

/// One stream that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) group: GroupId,
    pub(crate) generation: usize,
    pub(crate) stream: StreamId,
    pub(crate) from: u64,
}

/// The book.
pub(crate) struct Ledger {
    domain: Domain,
    groups: BTreeMap<GroupId, GroupLog>,
    /// How many entries were read.
    pub(crate) entries: u64,
}

impl Ledger {
    pub(crate) fn new(domain: Domain) -> Self {
        Self {
            domain,
            groups: BTreeMap::new(),
            entries: 0,
        }
    }

    /// Notes what a request brings with it, before anybody says anything about it.
    pub(crate) fn asked(&mut self, body: &RequestBody) {
        if let RequestBody::Commit(commit) = body {
            self.asked_commit(commit);
        }
    }

    fn asked_commit(&mut self, request: &CommitRequest) {
        let log = self.groups.entry(request.access.group_id).or_default();
        if let Some(next) = &request.next.generation {
            let commit = hash(request.commit.as_slice());
            log.moves.insert(commit, next.ear_key.duplicate());
        }
    }

    /// Takes note of an answer.
    pub(crate) fn answered(
        &mut self,
        body: &RequestBody,
        answer: &ResponseBody,
        wrote: bool,
    ) -> Result<(), Violation> {
        let outcome = match answer {
            ResponseBody::Rejected(reject) if wrote => {
                return Err(Violation::RefusedAndWrote {
                    what: format!("{reject:?}"),
                });
            }
            ResponseBody::Done(outcome) => outcome,
            ResponseBody::ExternalCommitInformation(information) => {
                let position = information.position;
                return self.told(body, position.epoch);
            }
            ResponseBody::Membership(membership) => {
                if let RequestBody::InspectMembership(_) = body {
                    return self.told(body, membership.position.epoch);
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        match body {
            RequestBody::CreateGroup(create) => {
                let ear_key = EarKey::new(create.access.ear_key.duplicate());
                let log = self.groups.entry(create.access.group_id).or_default();
                if log.streams.is_empty() {
                    log.streams.extend(StreamLog::new(&ear_key, &self.domain));
                }
                Ok(())
            }
            RequestBody::Commit(request) => self.commit_done(request, outcome),
            RequestBody::Send(send) => {
                let id = send.head.group_id;
                self.message_done(id, send.message.as_slice(), outcome)
            }
            RequestBody::SendAsLeaf(send) => {
                let id = send.access.group_id;
                self.message_done(id, send.message.as_slice(), outcome)
            }
            _ => Ok(()),
        }
    }

    /// The hub says which epoch a group is in.
    fn told(&mut self, body: &RequestBody, epoch: u64) -> Result<(), Violation> {
        let (RequestBody::ExternalCommitInformation(access)
        | RequestBody::InspectMembership(access)) = body
        else {
            return Ok(());
        };
        let id = access.group_id;
        let log = self.groups.entry(id).or_default();
        if epoch < log.told_epoch {
            return Err(Violation::EpochWentBack {
                group: short(id),
                from: log.told_epoch,
                to: epoch,
            });
        }
        log.told_epoch = epoch;
        Ok(())
    }

    fn commit_done(&mut self, request: &CommitRequest, outcome: &Outcome) -> Result<(), Violation> {
        let id = request.access.group_id;
        let log = self.groups.entry(id).or_default();
        let commit = hash(request.commit.as_slice());
        log.told_epoch = log.told_epoch.max(outcome.epoch);
        log.deleted |= request.intent == sordino_wire::CommitIntent::Delete;
        let first = log.acked_commits.entry(outcome.epoch).or_insert(commit);
        if *first != commit {
            return Err(Violation::TwoCommits {
                group: short(id),
                epoch: outcome.epoch,
            });
        }
        Ok(())
    }

    fn message_done(
        &mut self,
        id: GroupId,
        message: &[u8],
        outcome: &Outcome,
    ) -> Result<(), Violation> {
        let log = self.groups.entry(id).or_default();
        let said = *log
            .acked_messages
            .entry(hash(message))
            .or_insert(outcome.counter);
        if said != outcome.counter {
            return Err(Violation::MessageMoved {
                group: short(id),
                said,
                found: outcome.counter,
            });
        }
        Ok(())
    }

    /// The streams that may have something new: the latest of each group.
    pub(crate) fn latest(&self) -> Vec<Reading> {
        self.readings(false)
    }

    /// All streams, from what was read first.
    pub(crate) fn all(&self) -> Vec<Reading> {
        self.readings(true)
    }

    fn readings(&self, again: bool) -> Vec<Reading> {
        let mut readings = Vec::new();
        for (group, log) in &self.groups {
            let last = log.streams.len().saturating_sub(1);
            for (generation, stream) in log.streams.iter().enumerate() {
                if again || generation == last {
                    readings.push(Reading {
                        group: *group,
                        generation,
                        stream: stream.id,
                        from: if again { 0 } else { stream.cursor() },
                    });
                }
            }
        }
        readings
    }

    /// Takes in a page. Says whether there is more to read.
    pub(crate) fn page(&mut self, reading: Reading, page: &StreamPage) -> Result<bool, Violation> {
        let group = short(reading.group);
        let Some(log) = self.groups.get_mut(&reading.group) else {
            return Ok(false);
        };
        let generations = log.streams.len();
        let Some(stream) = log.streams.get_mut(reading.generation) else {
            return Ok(false);
        };
        if page.next < stream.cursor() {
            return Err(Violation::StreamShrank {
                group,
                from: stream.cursor(),
                to: page.next,
            });
        }
        let mut expected = match reading.from {
            0 => page.oldest,
            from if page.oldest > from => {
                return Err(Violation::NumberMissing {
                    group,
                    expected: from,
                    found: page.oldest,
                });
            }
            from => from,
        };
        for numbered in page.entries.iter() {
            let number = numbered.number;
            if number != expected {
                return Err(Violation::NumberMissing {
                    group,
                    expected,
                    found: number,
                });
            }
            expected = expected.saturating_add(1);
            let Some(stream) = log.streams.get_mut(reading.generation) else {
                return Ok(false);
            };
            let first = *stream.first.get_or_insert(number);
            let found = hash(numbered.entry.as_slice());
            let place = number
                .checked_sub(first)
                .and_then(|p| usize::try_from(p).ok());
            match place.and_then(|place| stream.entries.get(place)) {
                Some(known) if *known == found => continue,
                Some(_) => return Err(Violation::EntryChanged { group, number }),
                None if place != Some(stream.entries.len()) => {
                    return Err(Violation::NumberMissing {
                        group,
                        expected: stream.cursor(),
                        found: number,
                    });
                }
                None => {}
            }
            let opened = exact::<SealedEntry>(numbered.entry.as_slice());
            let opened = opened.ok().and_then(|e| open_entry(&stream.key, &e).ok());
            let Some(delivery) = opened else {
                return Err(Violation::EntryUnreadable { group, number });
            };
            stream.entries.push(found);
            self.entries = self.entries.saturating_add(1);
            log.delivered(&group, &self.domain, &delivery)?;
        }
        let moved = log.streams.len() > generations;
        Ok(moved || expected < page.next)
    }

    /// Whether all that was acknowledged has been read. To be asked when all streams were read to
    /// their ends.
    pub(crate) fn balance(&self) -> Result<(), Violation> {
        for (id, log) in &self.groups {
            log.balance(&short(*id))?;
        }
        Ok(())
    }

    /// The epoch that a group's stream has come to.
    pub(crate) fn epoch(&self, id: GroupId) -> Option<u64> {
        self.groups.get(&id).map(|log| log.epoch)
    }

    /// Whether its deletion was acknowledged.
    pub(crate) fn is_deleted(&self, id: GroupId) -> bool {
        self.groups.get(&id).is_some_and(|log| log.deleted)
    }

    /// Commits and messages that the hub acknowledged.
    pub(crate) fn acknowledged(&self) -> (u64, u64) {
        let count = |of: fn(&GroupLog) -> usize| {
            let sum: usize = self.groups.values().map(of).sum();
            u64::try_from(sum).unwrap_or(u64::MAX)
        };
        (
            count(|log| log.acked_commits.len()),
            count(|log| log.acked_messages.len()),
        )
    }
}

impl GroupLog {
    /// Takes in what the stream says next.
    fn delivered(
        &mut self,
        group: &str,
        domain: &Domain,
        delivery: &Delivery,
    ) -> Result<(), Violation> {
        let group = || group.to_owned();
        if delivery.counter < self.counter {
            return Err(Violation::CounterWentBack {
                group: group(),
                from: self.counter,
                to: delivery.counter,
            });
        }
        self.counter = delivery.counter;
        match &delivery.event {
            DeliveryEvent::Message(message) => {
                let message = message.as_slice();
                let epoch = epoch_of(message).unwrap_or(u64::MAX);
                if epoch > self.epoch || epoch.saturating_add(EPOCH_TOLERANCE) < self.epoch {
                    return Err(Violation::MessageOutOfEpoch {
                        group: group(),
                        epoch: self.epoch,
                        message: epoch,
                    });
                }
                let before = self.messages.insert(hash(message), delivery.counter);
                if before.is_some() {
                    return Err(Violation::MessageTwice { group: group() });
                }
            }
            DeliveryEvent::Commit(commit) => {
                let bytes = commit.commit.as_slice();
                let found = epoch_of(bytes).unwrap_or(u64::MAX);
                if found < self.epoch {
                    return Err(Violation::TwoCommits {
                        group: group(),
                        epoch: found.saturating_add(1),
                    });
                }
                if found != self.epoch {
                    return Err(Violation::EpochSkipped {
                        group: group(),
                        expected: self.epoch,
                        found,
                    });
                }
                self.epoch = self.epoch.saturating_add(1);
                self.commits.insert(self.epoch, hash(bytes));
                if let Some(ear_key) = self.moves.get(&hash(bytes)) {
                    let next = StreamLog::new(&EarKey::new(ear_key.duplicate()), domain);
                    self.streams.extend(next);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn balance(&self, group: &str) -> Result<(), Violation> {
        let group = || group.to_owned();
        for (message, said) in &self.acked_messages {
            match self.messages.get(message) {
                Some(found) if found == said => {}
                Some(found) => {
                    return Err(Violation::MessageMoved {
                        group: group(),
                        said: *said,
                        found: *found,
                    });
                }
                None => {
                    return Err(Violation::MessageLost {
                        group: group(),
                        counter: *said,
                    });
                }
            }
        }
        for (epoch, commit) in &self.acked_commits {
            match self.commits.get(epoch) {
                Some(found) if found == commit => {}
                Some(_) => {
                    return Err(Violation::TwoCommits {
                        group: group(),
                        epoch: *epoch,
                    });
                }
                // The commit that deletes a group tells nobody but its readers.
                None if self.deleted => {}
                None => {
                    return Err(Violation::CommitLost {
                        group: group(),
                        epoch: *epoch,
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
