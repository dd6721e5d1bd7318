//! What the hub acknowledged, and whether it is there.

use sordino_client::{Event, EventStream, Group};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Who said what: sender and room to the numbers that were acknowledged, in order.
type Said = BTreeMap<(usize, usize), Vec<u64>>;

/// What was acknowledged so far. Clones are the same ledger.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Inner>>);

#[derive(Clone, Default)]
struct Inner {
    said: Said,
    commits: u64,
    /// The highest acknowledged epoch, by room.
    epochs: BTreeMap<usize, u64>,
}

/// The text of a message.
pub fn text(sender: usize, room: usize, number: u64) -> String {
    format!("{sender}/{room}/{number}")
}

fn parse(text: &str) -> (usize, usize, u64) {
    let mut parts = text.split('/');
    let mut next = || parts.next().unwrap();
    (
        next().parse().unwrap(),
        next().parse().unwrap(),
        next().parse().unwrap(),
    )
}

impl Ledger {
    pub fn message(&self, sender: usize, room: usize, number: u64) {
        let mut inner = self.0.lock().unwrap();
        inner.said.entry((sender, room)).or_default().push(number);
    }

    pub fn commit(&self, room: usize, epoch: u64) {
        let mut inner = self.0.lock().unwrap();
        inner.commits += 1;
        let highest = inner.epochs.entry(room).or_default();
        *highest = epoch.max(*highest);
    }

    /// Messages and commits so far.
    pub fn counts(&self) -> (usize, u64) {
        let inner = self.0.lock().unwrap();
        let messages = inner.said.values().map(Vec::len).sum();
        (messages, inner.commits)
    }

    fn copy(&self) -> Inner {
        self.0.lock().unwrap().clone()
    }
}

/// Somebody who only reads, and misses nothing.
pub struct Observer {
    room: usize,
    group: Group,
    events: EventStream,
    heard: Vec<(usize, usize, u64)>,
    epoch: u64,
}

impl Observer {
    pub async fn new(room: usize, group: Group, events: EventStream) -> Self {
        let epoch = group.epoch().await.unwrap();
        Self {
            room,
            group,
            events,
            heard: Vec::new(),
            epoch,
        }
    }

    /// Everything that was acknowledged before the call is in the room's stream, once and in order;
    /// each epoch has one commit, and none is before an acknowledged one.
    pub async fn check(&mut self, ledger: &Ledger) {
        let acknowledged = ledger.copy();
        self.group.catch_up().await.unwrap();
        self.look_at_events();
        let from = u64::try_from(self.heard.len()).unwrap();
        for message in self.group.messages(from, usize::MAX).await.unwrap() {
            let text = String::from_utf8(message.content).unwrap();
            self.heard.push(parse(&text));
        }
        let once: BTreeSet<_> = self.heard.iter().collect();
        assert_eq!(once.len(), self.heard.len(), "a message is there twice");
        let mut heard = Said::new();
        for (sender, room, number) in &self.heard {
            assert_eq!(*room, self.room, "a message of another room");
            heard.entry((*sender, *room)).or_default().push(*number);
        }
        for (key, numbers) in acknowledged.said {
            if key.1 != self.room {
                continue;
            }
            let heard = heard.get(&key).cloned().unwrap_or_default();
            let order: Vec<u64> = heard
                .into_iter()
                .filter(|number| numbers.contains(number))
                .collect();
            assert_eq!(order, numbers, "acknowledged by {key:?} and not there");
        }
        let highest = acknowledged.epochs.get(&self.room).copied();
        assert!(self.epoch >= highest.unwrap_or(0), "an epoch went back");
        assert_eq!(self.group.epoch().await.unwrap(), self.epoch);
    }

    fn look_at_events(&mut self) {
        while let Some(event) = self.events.try_next() {
            match event {
                Event::Committed { group, epoch, .. } if group == self.group.id() => {
                    assert_eq!(epoch, self.epoch + 1, "an epoch is missing or there twice");
                    self.epoch = epoch;
                }
                Event::Gap { .. }
                | Event::RolledBack { .. }
                | Event::Halted { .. }
                | Event::Evidence { .. }
                | Event::Recovered { .. }
                | Event::Undecryptable { .. }
                | Event::Lagged(_) => panic!("{event:?}"),
                _ => {}
            }
        }
    }

    /// The texts in order, to be compared with another member's.
    pub fn heard(&self) -> Vec<String> {
        let heard = self.heard.iter();
        heard.map(|(s, r, n)| text(*s, *r, *n)).collect()
    }
}
