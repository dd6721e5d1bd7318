//! Owns all buckets: which budget a subject has, and under which name.
//!
//! Invariant: subjects of different kinds never share a bucket. What one request takes again while
//! it is handled anew is taken once, for an [`Attempt`] is made once per request.

use crate::name::{Name, Naming};
use crate::network::NetworkName;
use crate::rate::{Budget, Rate};
use crate::table::Table;
use sordino_effects::{Limiter, Subject, TooMuch};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Buckets of one kind that have memory of their own: about 4 MiB.
const CAPACITY: usize = 65_536;
const SECOND_NS: u64 = 1_000_000_000;
const MIB: u64 = 1 << 20;

/// What each kind of subject may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// A group's messages.
    pub messages: Budget,
    /// A group's handshakes.
    pub handshakes: Budget,
    /// Attempts to come into a group.
    pub joins: Budget,
    /// A user pseudonym in a group.
    pub pseudonym: Budget,
    /// An inbox.
    pub inbox: Budget,
    /// A network's registrations.
    pub registrations: Budget,
    /// A network's requests, of any kind.
    pub network: Budget,
    /// Batches that a provider's accounts draw.
    pub provider: Budget,
}

impl Default for Budgets {
    fn default() -> Self {
        let requests = |burst, per_minute| Budget {
            requests: Rate::fixed(burst, per_minute),
            bytes: None,
        };
        let with_bytes = |budget: Budget, burst, per_minute| Budget {
            bytes: Some(Rate::fixed(burst, per_minute)),
            ..budget
        };
        Self {
            messages: with_bytes(requests(600, 600), 64 * MIB, 4 * MIB),
            handshakes: requests(240, 120),
            joins: requests(60, 60),
            pseudonym: with_bytes(requests(300, 300), 64 * MIB, 2 * MIB),
            inbox: requests(120, 120),
            registrations: requests(20, 1),
            network: requests(2_000, 3_000),
            provider: requests(5_000, 2_000),
        }
    }
}

impl Budgets {
    /// Budgets that nobody uses up, for measuring what a hub can do.
    pub fn unlimited() -> Self {
        let rate = Rate::fixed(u64::MAX, u64::MAX);
        let mut budgets = Self::default();
        for (_, budget) in budgets.named() {
            budget.requests = rate;
            budget.bytes = budget.bytes.map(|_| rate);
        }
        budgets
    }

    /// Each with the name that it has in a configuration.
    pub fn named(&mut self) -> [(&'static str, &mut Budget); 8] {
        [
            ("messages", &mut self.messages),
            ("handshakes", &mut self.handshakes),
            ("joins", &mut self.joins),
            ("pseudonym", &mut self.pseudonym),
            ("inbox", &mut self.inbox),
            ("registrations", &mut self.registrations),
            ("network", &mut self.network),
            ("provider", &mut self.provider),
        ]
    }
}

/// The kinds of subjects; each has a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Messages,
    Handshakes,
    Joins,
    Pseudonym,
    Inbox,
    Registrations,
    Network,
    Provider,
}

impl Kind {
    /// Tells names of different kinds apart.
    fn tag(self) -> u8 {
        match self {
            Self::Messages => 1,
            Self::Handshakes => 2,
            Self::Joins => 3,
            Self::Pseudonym => 4,
            Self::Inbox => 5,
            Self::Registrations => 6,
            Self::Network => 7,
            Self::Provider => 8,
        }
    }
}

/// All buckets.
pub struct Limits {
    naming: Naming,
    messages: Mutex<Table>,
    handshakes: Mutex<Table>,
    joins: Mutex<Table>,
    pseudonym: Mutex<Table>,
    inbox: Mutex<Table>,
    registrations: Mutex<Table>,
    network: Mutex<Table>,
    provider: Mutex<Table>,
}

impl Limits {
    /// Full buckets, under the names of this process.
    pub fn new(budgets: &Budgets, naming: Naming) -> Self {
        let table = |budget| Mutex::new(Table::new(budget, CAPACITY));
        Self {
            naming,
            messages: table(budgets.messages),
            handshakes: table(budgets.handshakes),
            joins: table(budgets.joins),
            pseudonym: table(budgets.pseudonym),
            inbox: table(budgets.inbox),
            registrations: table(budgets.registrations),
            network: table(budgets.network),
            provider: table(budgets.provider),
        }
    }

    /// Names subjects.
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// Counts one request of a network.
    pub fn take_network(&self, network: NetworkName, now_s: u64) -> Result<(), TooMuch> {
        self.take(Kind::Network, network.0, 0, now_s)
    }

    fn take(&self, kind: Kind, name: Name, bytes: u64, now_s: u64) -> Result<(), TooMuch> {
        let now_ns = now_s.saturating_mul(SECOND_NS);
        self.table(kind).take(name, bytes, now_ns)
    }

    fn table(&self, kind: Kind) -> MutexGuard<'_, Table> {
        let table = match kind {
            Kind::Messages => &self.messages,
            Kind::Handshakes => &self.handshakes,
            Kind::Joins => &self.joins,
            Kind::Pseudonym => &self.pseudonym,
            Kind::Inbox => &self.inbox,
            Kind::Registrations => &self.registrations,
            Kind::Network => &self.network,
            Kind::Provider => &self.provider,
        };
        // A table is whole between any two of its operations.
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request, however often it is handled before it is answered.
pub struct Attempt {
    limits: Arc<Limits>,
    network: Option<NetworkName>,
    now_s: u64,
    taken: Mutex<Vec<Name>>,
}

impl Attempt {
    /// A request that came from a network, where that is known, at a time.
    pub fn new(limits: Arc<Limits>, network: Option<NetworkName>, now_s: u64) -> Self {
        Self {
            limits,
            network,
            now_s,
            taken: Mutex::default(),
        }
    }

    /// Kind and name of a subject; `None`: it is not known who it is, so nothing counts.
    fn name(&self, subject: Subject<'_>) -> Option<(Kind, Name)> {
        let (kind, first, rest): (_, &[u8], &[u8]) = match subject {
            Subject::Messages(group) => (Kind::Messages, &group.0, &[]),
            Subject::Handshakes(group) => (Kind::Handshakes, &group.0, &[]),
            Subject::Joins(group) => (Kind::Joins, &group.0, &[]),
            Subject::Pseudonym(group, user) => {
                (Kind::Pseudonym, &group.0, user.as_str().as_bytes())
            }
            Subject::Inbox(inbox) => (Kind::Inbox, &inbox.0, &[]),
            Subject::Registrations => return Some((Kind::Registrations, self.network?.0)),
            Subject::Provider(domain) => (Kind::Provider, domain.as_str().as_bytes(), &[]),
        };
        Some((kind, self.limits.naming.name(kind.tag(), &[first, rest])))
    }
}

impl Limiter for Attempt {
    fn take(&self, subject: Subject<'_>, bytes: usize) -> Result<(), TooMuch> {
        let Some((kind, name)) = self.name(subject) else {
            return Ok(());
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.contains(&name) {
            return Ok(());
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.limits.take(kind, name, bytes, self.now_s)?;
        taken.push(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::PrefixLengths;
    use sordino_wire::{Domain, GroupId, IdentifierUri, InboxId};

    const NOW_S: u64 = 1_800_000_000;

    fn limits(mut budgets: Budgets) -> Arc<Limits> {
        for (_, budget) in budgets.named() {
            budget.requests = Rate::fixed(2, 60);
        }
        Arc::new(Limits::new(&budgets, Naming::new([7; 32])))
    }

    fn network(limits: &Limits, address: &str) -> NetworkName {
        let lengths = PrefixLengths::default();
        NetworkName::new(address.parse().unwrap(), lengths, limits.naming())
    }

    #[test]
    fn the_defaults_are_rates() {
        let mut budgets = Budgets::default();
        for (name, budget) in budgets.named() {
            for rate in [Some(budget.requests), budget.bytes].into_iter().flatten() {
                let checked = Rate::new(rate.burst(), rate.per_minute());
                assert_eq!(checked, Some(rate), "{name}");
            }
        }
    }

    #[test]
    fn one_request_takes_once_however_often_it_is_handled() {
        let limits = limits(Budgets::default());
        let group = GroupId([1; 16]);
        let first = Attempt::new(Arc::clone(&limits), None, NOW_S);
        for _ in 0..9 {
            first.take(Subject::Messages(&group), 10).unwrap();
        }
        let attempt = || Attempt::new(Arc::clone(&limits), None, NOW_S);
        attempt().take(Subject::Messages(&group), 10).unwrap();
        let third = attempt();
        for _ in 0..2 {
            let refused = third.take(Subject::Messages(&group), 10);
            assert_eq!(refused, Err(TooMuch { retry_after_s: 1 }));
        }
    }

    #[test]
    fn subjects_do_not_use_up_each_others_budgets() {
        let limits = limits(Budgets::default());
        let (group, other) = (GroupId([1; 16]), GroupId([2; 16]));
        let inbox = InboxId([1; 16]);
        let user = |name: &str| IdentifierUri::new(format!("mimi://h/u/{name}")).unwrap();
        let (a, b) = (user("a"), user("b"));
        let domain = Domain::new("h").unwrap();
        let subjects = [
            Subject::Messages(&group),
            Subject::Handshakes(&group),
            Subject::Joins(&group),
            Subject::Pseudonym(&group, &a),
            Subject::Pseudonym(&group, &b),
            Subject::Pseudonym(&other, &a),
            Subject::Inbox(&inbox),
            Subject::Messages(&other),
            Subject::Provider(&domain),
            Subject::Registrations,
        ];
        let network = network(&limits, "192.0.2.1");
        let take =
            |subject| Attempt::new(Arc::clone(&limits), Some(network), NOW_S).take(subject, 0);
        for subject in subjects {
            for allowed in [true, true, false] {
                assert_eq!(take(subject).is_ok(), allowed, "{subject:?}");
            }
        }
    }

    #[test]
    fn networks_count_where_they_are_known() {
        let limits = limits(Budgets::default());
        let (one, other) = (network(&limits, "192.0.2.1"), network(&limits, "192.0.2.2"));
        for allowed in [true, true, false] {
            assert_eq!(limits.take_network(one, NOW_S).is_ok(), allowed);
        }
        assert!(limits.take_network(other, NOW_S).is_ok());
        assert!(limits.take_network(one, NOW_S + 1).is_ok());
        for _ in 0..9 {
            let unknown = Attempt::new(Arc::clone(&limits), None, NOW_S);
            unknown.take(Subject::Registrations, 0).unwrap();
        }
    }
}
