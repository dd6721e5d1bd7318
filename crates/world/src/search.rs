//! Owns the search of the stored bytes for what must not stand in them.

use crate::violation::Violation;
use aho_corasick::AhoCorasick;
use std::collections::BTreeMap;

/// Shorter things could be there by chance.
const MIN_BYTES: usize = 8;

/// What must not be stored in clear, as far as it is known.
#[derive(Default)]
pub(crate) struct Search {
    known: BTreeMap<Vec<u8>, &'static str>,
    /// An automaton for all that is known, until more is.
    automaton: Option<(AhoCorasick, Vec<&'static str>)>,
}

impl Search {
    /// Adds something.
    pub(crate) fn add(&mut self, kind: &'static str, bytes: &[u8]) {
        if bytes.len() >= MIN_BYTES && !self.known.contains_key(bytes) {
            self.known.insert(bytes.to_vec(), kind);
            self.automaton = None;
        }
    }

    /// How many things it looks for.
    pub(crate) fn things(&self) -> u64 {
        u64::try_from(self.known.len()).unwrap_or(u64::MAX)
    }

    /// Looks through the bytes.
    pub(crate) fn check(&mut self, stored: &[u8]) -> Result<(), Violation> {
        if self.automaton.is_none() {
            let kinds = self.known.values().copied().collect();
            let made = AhoCorasick::new(self.known.keys());
            self.automaton = made.ok().map(|automaton| (automaton, kinds));
        }
        let Some((automaton, kinds)) = &self.automaton else {
            return Ok(());
        };
        match automaton.find(stored) {
            None => Ok(()),
            Some(found) => {
                let kind = kinds.get(found.pattern().as_usize());
                Err(Violation::StoredInClear {
                    kind: kind.copied().unwrap_or("something"),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_in_clear_is_found() {
        let mut search = Search::default();
        search.add("name", b"annabella");
        search.add("too short", b"a");
        assert_eq!(search.things(), 1);
        assert_eq!(search.check(b"nothing of a kind"), Ok(()));
        let found = search.check(b"...annabella...");
        assert_eq!(found, Err(Violation::StoredInClear { kind: "name" }));
        search.add("key", &[200; 32]);
        let found = search.check(&[200; 33]);
        assert_eq!(found, Err(Violation::StoredInClear { kind: "key" }));
    }
}
