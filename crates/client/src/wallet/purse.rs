//! Owns which tokens are left, and which go with which request: numbers of tokens, not the tokens.
//!
//! Invariant: a token is free, shown for one thing, or reserved for one request, and never two of
//! these. What became of a reserved one is not known until the hub says so: it is not used for anything
//! else.

use crate::wallet::batch::BatchId;
use sordino_wire::limits::TOKEN_GRACE_S;
use sordino_wire::{Digest, TokenClass};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// For how long the hub knows a request by its tokens, less an hour: after that the same request
/// is a new one.
const REMEMBERED_S: u64 = 23 * 3_600;

/// A token: which of which batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct TokenPlace {
    pub(crate) batch: BatchId,
    pub(crate) index: u16,
}

/// A token that the hub has seen and not taken. It may be shown again for the same thing alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct Shown {
    index: u16,
    scope: Digest,
}

/// What is left of a batch.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct Held {
    batch: BatchId,
    /// The number of the user secret that it was drawn under.
    secret: u32,
    start_s: u64,
    end_s: u64,
    free: Vec<u16>,
    shown: Vec<Shown>,
}

/// Tokens that go with a request.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct Reserved {
    /// Of the request's body.
    request: Digest,
    /// What the request is about.
    scope: Digest,
    tokens: Vec<TokenPlace>,
    until_s: u64,
}

/// A part of a batch that another device has left to this one, and that is not drawn here yet.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Part {
    pub(crate) batch: BatchId,
    /// The number of the user secret that it was drawn under.
    pub(crate) secret: u32,
    pub(crate) indices: Vec<u16>,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) class: TokenClass,
    pub(crate) tokens: usize,
    pub(crate) request: Digest,
    pub(crate) scope: Digest,
}

/// There are not enough tokens that are good now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooFew;

/// When a batch is to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct DrawTime {
    batch: BatchId,
    at_s: u64,
}

/// All of it, as the vault keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Purse {
    held: Vec<Held>,
    reserved: Vec<Reserved>,
    parts: Vec<Part>,
    times: Vec<DrawTime>,
}

impl Purse {
    /// When a batch is to be drawn: at the time that was chosen first.
    pub(crate) fn draw_time_s(&mut self, batch: &BatchId, fresh_s: u64) -> u64 {
        if let Some(known) = self.times.iter().find(|time| time.batch == *batch) {
            return known.at_s;
        }
        self.times.push(DrawTime {
            batch: *batch,
            at_s: fresh_s,
        });
        fresh_s
    }

    /// Whether a batch was drawn.
    pub(crate) fn has(&self, batch: &BatchId) -> bool {
        self.held.iter().any(|held| held.batch == *batch)
    }

    /// Puts a batch in, of which these tokens are this device's.
    pub(crate) fn add(
        &mut self,
        batch: BatchId,
        secret: u32,
        (start_s, end_s): (u64, u64),
        free: Vec<u16>,
    ) {
        self.parts.retain(|part| part.batch != batch);
        self.times.retain(|time| time.batch != batch);
        if !self.has(&batch) {
            self.held.push(Held {
                batch,
                secret,
                start_s,
                end_s,
                free,
                shown: Vec::new(),
            });
        }
    }

    /// How many tokens of a batch have not been shown to anybody.
    pub(crate) fn left(&self, batch: &BatchId) -> usize {
        let held = self.held.iter().find(|held| held.batch == *batch);
        held.map_or(0, |held| held.free.len())
    }

    /// The batches, and when their epochs end.
    pub(crate) fn batches(&self) -> impl Iterator<Item = (BatchId, u64)> {
        self.held.iter().map(|held| (held.batch, held.end_s))
    }

    /// The tokens for a request: those that it went with before, or some at random. `below` gives a
    /// random number below its argument.
    pub(crate) fn reserve(
        &mut self,
        need: &Need,
        now_s: u64,
        mut below: impl FnMut(usize) -> usize,
    ) -> Result<Vec<TokenPlace>, TooFew> {
        let known = self.reserved.iter().find(|r| r.request == need.request);
        if let Some(known) = known {
            let fits = known.tokens.len() == need.tokens
                && known.tokens.iter().all(|t| t.batch.class == need.class)
                && known.tokens.iter().all(|t| self.is_taken(&t.batch, now_s));
            if fits {
                return Ok(known.tokens.clone());
            }
            self.release(&need.request);
        }
        let running = self.held.iter_mut().find(|held| {
            held.batch.class == need.class && (held.start_s..held.end_s).contains(&now_s)
        });
        let held = running.ok_or(TooFew)?;
        let again = held.shown.iter().filter(|s| s.scope == need.scope).count();
        if again.saturating_add(held.free.len()) < need.tokens {
            return Err(TooFew);
        }
        let mut tokens = Vec::with_capacity(need.tokens);
        while tokens.len() < need.tokens {
            let index = match held.shown.iter().position(|s| s.scope == need.scope) {
                Some(place) => held.shown.swap_remove(place).index,
                None => {
                    let place = below(held.free.len());
                    held.free
                        .swap_remove(place.min(held.free.len().saturating_sub(1)))
                }
            };
            let batch = held.batch;
            tokens.push(TokenPlace { batch, index });
        }
        self.reserved.push(Reserved {
            request: need.request,
            scope: need.scope,
            tokens: tokens.clone(),
            until_s: now_s.saturating_add(REMEMBERED_S),
        });
        Ok(tokens)
    }

    /// Whether the hub takes tokens of a batch: for a while beyond their epoch, in which only what was
    /// begun is brought to its end.
    fn is_taken(&self, batch: &BatchId, now_s: u64) -> bool {
        let mut held = self.held.iter();
        held.any(|held| {
            let end_s = held.end_s.saturating_add(TOKEN_GRACE_S);
            held.batch == *batch && (held.start_s..end_s).contains(&now_s)
        })
    }

    /// The request was refused: its tokens were not spent. They were seen with what it is about.
    pub(crate) fn release(&mut self, request: &Digest) {
        let Some(place) = self.reserved.iter().position(|r| r.request == *request) else {
            return;
        };
        let reserved = self.reserved.swap_remove(place);
        for token in &reserved.tokens {
            if let Some(held) = self.held.iter_mut().find(|h| h.batch == token.batch) {
                held.shown.push(Shown {
                    index: token.index,
                    scope: reserved.scope,
                });
            }
        }
    }

    /// One of a request's tokens is of no use; the others are as if the request had been refused.
    pub(crate) fn drop_one(&mut self, request: &Digest, index: u8) {
        if let Some(reserved) = self.reserved.iter_mut().find(|r| r.request == *request)
            && usize::from(index) < reserved.tokens.len()
        {
            reserved.tokens.remove(usize::from(index));
        }
        self.release(request);
    }

    /// Takes half of what is left of every batch out, for another device.
    pub(crate) fn split(&mut self, mut below: impl FnMut(usize) -> usize) -> Vec<Part> {
        let mut parts = Vec::new();
        for held in &mut self.held {
            let mut indices = Vec::new();
            for _ in 0..held.free.len() / 2 {
                let place = below(held.free.len()).min(held.free.len().saturating_sub(1));
                indices.push(held.free.swap_remove(place));
            }
            parts.push(Part {
                batch: held.batch,
                secret: held.secret,
                indices,
            });
        }
        parts
    }

    /// Another device has left these to this one.
    pub(crate) fn promise(&mut self, parts: Vec<Part>) {
        self.parts = parts;
    }

    /// What another device has left of a batch, if it spoke of it.
    pub(crate) fn promised(&self, batch: &BatchId) -> Option<&Part> {
        self.parts.iter().find(|part| part.batch == *batch)
    }

    /// Forgets what is over; returns the batches that are.
    pub(crate) fn expire(&mut self, now_s: u64) -> Vec<BatchId> {
        self.reserved.retain(|reserved| reserved.until_s > now_s);
        // A reserved token may be needed again while the hub takes it.
        let reserved = &self.reserved;
        let is_over = |held: &Held| {
            let mut tokens = reserved.iter().flat_map(|r| &r.tokens);
            held.end_s <= now_s && !tokens.any(|token| token.batch == held.batch)
        };
        let over = self.held.iter().filter(|held| is_over(held));
        let over: Vec<BatchId> = over.map(|held| held.batch).collect();
        self.held.retain(|held| !over.contains(&held.batch));
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const BATCH: BatchId = BatchId {
        class: TokenClass::Write,
        epoch: 7,
    };

    fn purse(tokens: u16) -> Purse {
        let mut purse = Purse::default();
        purse.add(BATCH, 0, (100, 200), (0..tokens).collect());
        purse
    }

    fn need(tokens: usize, request: u8, scope: u8) -> Need {
        Need {
            class: TokenClass::Write,
            tokens,
            request: Digest([request; 32]),
            scope: Digest([scope; 32]),
        }
    }

    #[test]
    fn the_same_request_goes_with_the_same_tokens() {
        let mut purse = purse(5);
        let first = purse.reserve(&need(2, 1, 1), 150, |n| n - 1).unwrap();
        assert_eq!(purse.reserve(&need(2, 1, 1), 151, |_| 0).unwrap(), first);
        let other = purse.reserve(&need(2, 2, 1), 150, |_| 0).unwrap();
        assert!(other.iter().all(|token| !first.contains(token)));
        assert_eq!(purse.left(&BATCH), 1);
    }

    #[test]
    fn what_was_shown_with_one_thing_is_not_shown_with_another() {
        let mut purse = purse(3);
        let first = purse.reserve(&need(2, 1, 1), 150, |_| 0).unwrap();
        purse.release(&Digest([1; 32]));
        let other = purse.reserve(&need(1, 2, 2), 150, |_| 0).unwrap();
        assert!(!first.contains(&other[0]));
        assert_eq!(purse.reserve(&need(1, 3, 3), 150, |_| 0), Err(TooFew));
        let mut again = purse.reserve(&need(2, 4, 1), 150, |_| 0).unwrap();
        again.sort_by_key(|token| token.index);
        let mut first = first;
        first.sort_by_key(|token| token.index);
        assert_eq!(again, first);
    }

    #[test]
    fn a_token_that_is_none_is_dropped_alone() {
        let mut purse = purse(3);
        let first = purse.reserve(&need(2, 1, 1), 150, |_| 0).unwrap();
        purse.drop_one(&Digest([1; 32]), 0);
        let again = purse.reserve(&need(2, 1, 1), 150, |_| 0).unwrap();
        assert!(!again.contains(&first[0]));
        assert!(again.contains(&first[1]));
        // An index that is none drops nothing.
        purse.drop_one(&Digest([1; 32]), 9);
        assert!(purse.reserve(&need(2, 1, 1), 150, |_| 0).is_ok());
    }

    #[test]
    fn tokens_are_good_in_their_epoch_alone() {
        let mut purse = purse(3);
        for now_s in [0, 99, 200, 1_000] {
            assert_eq!(purse.reserve(&need(1, 1, 1), now_s, |_| 0), Err(TooFew));
        }
        let other_class = Need {
            class: TokenClass::Contact,
            ..need(1, 1, 1)
        };
        assert_eq!(purse.reserve(&other_class, 150, |_| 0), Err(TooFew));
        purse.reserve(&need(1, 1, 1), 150, |_| 0).unwrap();
        assert!(purse.expire(199).is_empty());
        // The hub may still know the request by it.
        assert!(purse.expire(150 + REMEMBERED_S - 1).is_empty());
        assert_eq!(purse.expire(150 + REMEMBERED_S), [BATCH]);
        assert!(!purse.has(&BATCH));
    }

    #[test]
    fn what_is_left_to_another_device_is_gone_here() {
        let mut purse = purse(9);
        let parts = purse.split(|n| n / 2);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].indices.len(), 4);
        assert_eq!(purse.left(&BATCH), 5);
        let mut other = Purse::default();
        other.promise(parts.clone());
        assert_eq!(other.promised(&BATCH), Some(&parts[0]));
        let indices = parts[0].indices.clone();
        other.add(BATCH, 0, (100, 200), indices);
        assert!(other.promised(&BATCH).is_none());
        assert_eq!(other.left(&BATCH), 4);
    }

    /// What may happen to a purse.
    #[derive(Clone, Debug)]
    enum Step {
        Reserve { tokens: usize, request: u8 },
        Release(u8),
        DropOne(u8, u8),
        Split,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0usize..4, 0u8..6).prop_map(|(tokens, request)| Step::Reserve { tokens, request }),
            (0u8..6).prop_map(Step::Release),
            (0u8..6, 0u8..4).prop_map(|(request, index)| Step::DropOne(request, index)),
            Just(Step::Split),
        ]
    }

    proptest! {
        /// No token is in two places, none comes back that went, and none is shown for two things.
        #[test]
        fn a_token_is_in_one_place(steps in prop::collection::vec(step(), 0..40), random: u16) {
            let mut purse = purse(12);
            let mut given = BTreeSet::new();
            let mut shown_for = std::collections::BTreeMap::new();
            for step in steps {
                match step {
                    Step::Reserve { tokens, request } => {
                        // A request is about one thing.
                        let scope = request % 3;
                        let need = need(tokens, request, scope);
                        let random = usize::from(random);
                        if let Ok(tokens) = purse.reserve(&need, 150, |n| random % n) {
                            prop_assert_eq!(tokens.len(), need.tokens);
                            for token in tokens {
                                prop_assert!(!given.contains(&token.index));
                                let first = shown_for.entry(token.index).or_insert(scope);
                                prop_assert_eq!(*first, scope);
                            }
                        }
                    }
                    Step::Release(request) => purse.release(&Digest([request; 32])),
                    Step::DropOne(request, index) => purse.drop_one(&Digest([request; 32]), index),
                    Step::Split => {
                        let parts = purse.split(|n| n - 1);
                        for index in parts.into_iter().flat_map(|part| part.indices) {
                            prop_assert!(!shown_for.contains_key(&index));
                            given.insert(index);
                        }
                    }
                }
                let mut all: Vec<u16> = purse.held.iter().flat_map(|h| h.free.clone()).collect();
                all.extend(purse.held.iter().flat_map(|h| h.shown.iter().map(|s| s.index)));
                all.extend(purse.reserved.iter().flat_map(|r| r.tokens.iter().map(|t| t.index)));
                let distinct: BTreeSet<u16> = all.iter().copied().collect();
                prop_assert_eq!(distinct.len(), all.len());
            }
        }
    }
}
