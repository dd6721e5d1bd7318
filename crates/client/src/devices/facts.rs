//! Owns what all devices of a user know alike: a map of facts in which the last writer wins.
//!
//! Invariant: merging is commutative, associative and idempotent, so that devices which have heard
//! the same facts, in whatever order and however often, know the same.

use crate::people::fetch::FetchedRecord;
use crate::records::UserSecretRecord;
use sordino_crypto::Slot;
use sordino_wire::{ClientCredential, Domain, GroupId, IdentifierUri, Secret32, SignatureKey};
use std::collections::BTreeMap;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};

/// What a fact is about.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, TlsSerialize, TlsSize, TlsDeserializeBytes,
)]
#[repr(u8)]
pub(crate) enum FactKey {
    /// `user_secret_n`.
    #[tls_codec(discriminant = 1)]
    UserSecret(u32),
    /// The account: its keys and devices.
    #[tls_codec(discriminant = 2)]
    Account,
    /// One contact.
    #[tls_codec(discriminant = 3)]
    Contact(IdentifierUri),
    /// One group that the user is in.
    #[tls_codec(discriminant = 4)]
    Group(GroupId),
    /// The set of a contact's that was fetched ahead of time.
    #[tls_codec(discriminant = 5)]
    Fetched(IdentifierUri),
    /// What the user's applications call a group.
    #[tls_codec(discriminant = 6)]
    Label(GroupId),
}

/// A fact.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub(crate) enum Fact {
    /// `user_secret_n`.
    #[tls_codec(discriminant = 1)]
    UserSecret(UserSecretRecord),
    /// See [`AccountFact`].
    #[tls_codec(discriminant = 2)]
    Account(AccountFact),
    /// A serialised [`crate::people::contact::ContactRecord`].
    #[tls_codec(discriminant = 3)]
    Contact(VLBytes),
    /// See [`GroupFact`].
    #[tls_codec(discriminant = 4)]
    Group(GroupFact),
    /// See [`FetchedRecord`]; absent where the set was used.
    #[tls_codec(discriminant = 5)]
    Fetched(Option<FetchedRecord>),
    /// Text of at most [`crate::notes::MAX_LABEL_BYTES`].
    #[tls_codec(discriminant = 6)]
    Label(VLBytes),
}

/// The account as its devices need it.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct AccountFact {
    pub(crate) account_key_seed: Secret32,
    pub(crate) connection_key: Secret32,
    /// All devices, certified by that account key.
    pub(crate) clients: Vec<ClientCredential>,
    /// Account keys that came before.
    pub(crate) former_keys: Vec<SignatureKey>,
}

/// A group that the user is in.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct GroupFact {
    pub(crate) hub_domain: Domain,
    /// The user's slot in it.
    pub(crate) slot: Slot,
    /// 1 where the user is in it no more.
    pub(crate) over: u8,
}

/// Which of two facts about one thing is the later one.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    TlsSerialize,
    TlsSize,
    TlsDeserializeBytes,
)]
pub(crate) struct FactVersion {
    /// More than that of every fact its writer had heard of.
    pub(crate) count: u64,
    /// Decides between two that were written without knowing of each other.
    pub(crate) writer: [u8; 16],
}

/// A fact on its way to other devices, and in the vault.
#[derive(Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct VersionedFact {
    pub(crate) key: FactKey,
    pub(crate) version: FactVersion,
    /// The serialised [`Fact`].
    pub(crate) value: VLBytes,
}

/// All facts by what they are about.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    facts: BTreeMap<FactKey, Entry>,
    count: u64,
}

/// A fact with what is known of its spreading.
#[derive(Debug)]
struct Entry {
    version: FactVersion,
    value: VLBytes,
    unsent: bool,
}

/// A fact that was not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// Whether it is to be told in turn.
    pub(crate) unsent: bool,
}

impl Facts {
    /// Takes a fact as it was kept.
    pub(crate) fn restore(&mut self, fact: VersionedFact, unsent: bool) {
        self.count = self.count.max(fact.version.count);
        let entry = Entry {
            version: fact.version,
            value: fact.value,
            unsent,
        };
        self.facts.insert(fact.key, entry);
    }

    /// States a fact, as this device; `None` where it is known just so.
    pub(crate) fn state(
        &mut self,
        key: FactKey,
        value: VLBytes,
        writer: [u8; 16],
    ) -> Option<VersionedFact> {
        if self
            .facts
            .get(&key)
            .is_some_and(|known| known.value == value)
        {
            return None;
        }
        self.count = self.count.saturating_add(1);
        let version = FactVersion {
            count: self.count,
            writer,
        };
        let entry = Entry {
            version,
            value: value.clone(),
            unsent: true,
        };
        self.facts.insert(key.clone(), entry);
        Some(VersionedFact {
            key,
            version,
            value,
        })
    }

    /// Hears a fact of another device. News says whether it is to be told in turn: it is while
    /// anything else is, since what is being told may be told to a device that is new.
    pub(crate) fn hear(&mut self, fact: &VersionedFact) -> Option<News> {
        self.count = self.count.max(fact.version.count);
        let known = self.facts.get(&fact.key);
        if known.is_some_and(|known| known.version >= fact.version) {
            return None;
        }
        let unsent = self.facts.values().any(|entry| entry.unsent);
        let entry = Entry {
            version: fact.version,
            value: fact.value.clone(),
            unsent,
        };
        self.facts.insert(fact.key.clone(), entry);
        Some(News { unsent })
    }

    /// One fact.
    pub(crate) fn get(&self, key: &FactKey) -> Option<&VLBytes> {
        self.facts.get(key).map(|entry| &entry.value)
    }

    /// What every fact is about.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &FactKey> {
        self.facts.keys()
    }

    /// Facts that the other devices have not been told.
    pub(crate) fn unsent(&self) -> Vec<VersionedFact> {
        let unsent = self.facts.iter().filter(|(_, entry)| entry.unsent);
        unsent.map(|(key, entry)| versioned(key, entry)).collect()
    }

    /// Notes that a fact was told, unless there is a later one by now.
    pub(crate) fn sent(&mut self, key: &FactKey, version: FactVersion) -> Option<VersionedFact> {
        let entry = self.facts.get_mut(key)?;
        if entry.version != version || !entry.unsent {
            return None;
        }
        entry.unsent = false;
        Some(versioned(key, entry))
    }

    /// Everything is to be told again: somebody is new.
    pub(crate) fn tell_all_again(&mut self) -> Vec<VersionedFact> {
        for entry in self.facts.values_mut() {
            entry.unsent = true;
        }
        self.unsent()
    }
}

fn versioned(key: &FactKey, entry: &Entry) -> VersionedFact {
    VersionedFact {
        key: key.clone(),
        version: entry.version,
        value: entry.value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(facts: &Facts) -> Vec<(FactKey, FactVersion, Vec<u8>)> {
        let facts = facts.facts.iter();
        facts
            .map(|(key, entry)| (key.clone(), entry.version, entry.value.as_slice().to_vec()))
            .collect()
    }

    fn key(number: u8) -> FactKey {
        FactKey::Group(GroupId([number; 16]))
    }

    #[test]
    fn what_is_known_already_is_not_stated_again() {
        let mut facts = Facts::default();
        let value = VLBytes::new(vec![1]);
        assert!(facts.state(key(1), value.clone(), [1; 16]).is_some());
        assert!(facts.state(key(1), value, [1; 16]).is_none());
        assert_eq!(facts.unsent().len(), 1);
    }

    #[test]
    fn a_later_statement_wins_wherever_it_is_made() {
        let (mut one, mut other) = (Facts::default(), Facts::default());
        let first = one.state(key(1), VLBytes::new(vec![1]), [9; 16]).unwrap();
        assert!(other.hear(&first).is_some());
        let second = other.state(key(1), VLBytes::new(vec![2]), [1; 16]).unwrap();
        assert!(one.hear(&second).is_some());
        assert!(one.hear(&first).is_none());
        assert_eq!(one.get(&key(1)).unwrap().as_slice(), [2]);
    }

    #[test]
    fn what_changed_while_it_was_sent_is_sent_again() {
        let mut facts = Facts::default();
        let first = facts.state(key(1), VLBytes::new(vec![1]), [1; 16]).unwrap();
        facts.state(key(1), VLBytes::new(vec![2]), [1; 16]).unwrap();
        assert!(facts.sent(&key(1), first.version).is_none());
        let unsent = facts.unsent();
        assert_eq!(unsent.len(), 1);
        assert!(facts.sent(&key(1), unsent[0].version).is_some());
        assert!(facts.unsent().is_empty());
        assert_eq!(facts.tell_all_again().len(), 1);
    }

    #[test]
    fn what_is_heard_while_everything_is_told_to_a_newcomer_is_told_as_well() {
        let (mut one, mut other) = (Facts::default(), Facts::default());
        let known = one.state(key(1), VLBytes::new(vec![1]), [9; 16]).unwrap();
        one.sent(&key(1), known.version).unwrap();
        other.hear(&known).unwrap();
        let changed = other.state(key(1), VLBytes::new(vec![2]), [1; 16]).unwrap();
        let new = other.state(key(2), VLBytes::new(vec![3]), [1; 16]).unwrap();
        one.tell_all_again();
        for fact in [&changed, &new] {
            assert_eq!(one.hear(fact), Some(News { unsent: true }));
        }
        assert_eq!(one.unsent().len(), 2);
        for fact in [&changed, &new] {
            one.sent(&fact.key, fact.version).unwrap();
        }
        let later = other.state(key(1), VLBytes::new(vec![4]), [1; 16]).unwrap();
        assert_eq!(one.hear(&later), Some(News { unsent: false }));
    }

    proptest! {
        /// Three devices state facts, and hear each other's in any order, some of them twice.
        #[test]
        fn devices_that_heard_the_same_know_the_same(
            steps in prop::collection::vec((0usize..3, 0u8..4, any::<u8>()), 1..40),
            order in prop::collection::vec((0usize..3, any::<prop::sample::Index>()), 0..200),
        ) {
            let mut devices = [Facts::default(), Facts::default(), Facts::default()];
            let mut stated = Vec::new();
            for (device, about, value) in steps {
                let writer = [u8::try_from(device).unwrap(); 16];
                let fact = devices[device].state(key(about), VLBytes::new(vec![value]), writer);
                stated.extend(fact);
            }
            for (device, which) in order {
                if !stated.is_empty() {
                    devices[device].hear(which.get(&stated));
                }
            }
            for device in &mut devices {
                for fact in stated.iter().rev() {
                    device.hear(fact);
                }
            }
            prop_assert_eq!(known(&devices[0]), known(&devices[1]));
            prop_assert_eq!(known(&devices[1]), known(&devices[2]));
        }
    }
}
