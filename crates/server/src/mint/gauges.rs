//! Owns what the mint tells its operator: numbers, of classes and epochs alone.
//!
//! Invariant: nothing here is of one account, network, token or request.

use super::{Mint, class_on_wire, drawn_set};
use sordino_store::{Snapshot, StoreFault};
use sordino_tokens::SpendSet;
use sordino_wire::TokenClass;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Fewer accounts than this hide a spent token badly.
pub(crate) const SMALL_ANONYMITY_SET: u64 = 100;

/// Why a request was refused for its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It had none, or not the number that it costs.
    Missing,
    /// One was not valid.
    Invalid,
    /// One was spent before.
    Spent,
}

/// Counts since the start.
#[derive(Default)]
pub(crate) struct Gauges {
    missing: AtomicU64,
    invalid: AtomicU64,
    spent: AtomicU64,
    public: AtomicU64,
}

impl Gauges {
    pub(crate) fn refused(&self, refused: Refused) {
        let counter = match refused {
            Refused::Missing => &self.missing,
            Refused::Invalid => &self.invalid,
            Refused::Spent => &self.spent,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn issued_to_public(&self, tokens: usize) {
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        self.public.fetch_add(tokens, Ordering::Relaxed);
    }
}

/// How one class and epoch stands.
struct Standing {
    class: TokenClass,
    epoch: u64,
    running: bool,
    /// Accounts that drew.
    drew: u64,
    /// How many tokens each of them got.
    batch: u64,
    /// Tokens of all types that were spent.
    spent: u64,
}

impl Mint {
    /// Classes whose running epoch fewer accounts drew in than should.
    pub(crate) fn small_sets(
        &self,
        snapshot: &impl Snapshot,
        now_s: u64,
    ) -> Result<Vec<(TokenClass, u64)>, StoreFault> {
        let standings = self.standings(snapshot, now_s)?;
        let small = standings
            .into_iter()
            .filter(|s| s.running && s.drew < SMALL_ANONYMITY_SET);
        Ok(small.map(|s| (s.class, s.epoch)).collect())
    }

    /// The text exposition format of Prometheus, version 0.0.4.
    pub(crate) fn exposition(
        &self,
        snapshot: &impl Snapshot,
        now_s: u64,
    ) -> Result<String, StoreFault> {
        let standings = self.standings(snapshot, now_s)?;
        let mut text = String::new();
        gauge(
            &mut text,
            "sordino_token_anonymity_set",
            "Accounts that drew tokens of a class and epoch: among so many a spent token hides.",
            &standings,
            |s| s.drew,
        );
        gauge(
            &mut text,
            "sordino_token_anonymity_set_small",
            "1 where fewer than 100 accounts drew tokens of a running epoch.",
            &standings,
            |s| u64::from(s.running && s.drew < SMALL_ANONYMITY_SET),
        );
        gauge(
            &mut text,
            "sordino_tokens_issued",
            "Tokens issued to accounts for a class and epoch.",
            &standings,
            |s| s.drew.saturating_mul(s.batch),
        );
        gauge(
            &mut text,
            "sordino_tokens_spent",
            "Tokens of a class and epoch that were spent.",
            &standings,
            |s| s.spent,
        );
        self.counters(&mut text);
        Ok(text)
    }

    fn counters(&self, text: &mut String) {
        let gauges = &self.gauges;
        let name = "sordino_token_requests_refused_total";
        head(text, name, "counter", "Requests refused for their tokens.");
        for (reason, counter) in [
            ("missing", &gauges.missing),
            ("invalid", &gauges.invalid),
            ("spent", &gauges.spent),
        ] {
            let value = counter.load(Ordering::Relaxed);
            let _ = writeln!(text, "{name}{{reason=\"{reason}\"}} {value}");
        }
        let name = "sordino_tokens_issued_to_public_total";
        head(text, name, "counter", "Tokens issued without an account.");
        let value = gauges.public.load(Ordering::Relaxed);
        let _ = writeln!(text, "{name} {value}");
    }

    fn standings(&self, snapshot: &impl Snapshot, now_s: u64) -> Result<Vec<Standing>, StoreFault> {
        let keys = self.keys();
        let mut standings: Vec<Standing> = Vec::new();
        for key in keys.iter() {
            let purpose = key.purpose();
            let (class, epoch) = (class_on_wire(purpose.class), purpose.epoch.number());
            let SpendSet(set) = SpendSet::of(key.id());
            let spent = snapshot.count_spent(set)?.unwrap_or(0);
            let mut known = standings.iter_mut();
            if let Some(known) = known.find(|s| s.class == class && s.epoch == epoch) {
                known.spent = known.spent.saturating_add(spent);
                continue;
            }
            let drawn = drawn_set(&self.outer, class, epoch).map_err(|_| StoreFault::BadRow)?;
            standings.push(Standing {
                class,
                epoch,
                running: purpose.epoch.contains(now_s),
                drew: snapshot.count_spent(drawn)?.unwrap_or(0),
                batch: u64::try_from(self.settings.batch(class, &purpose.epoch))
                    .unwrap_or(u64::MAX),
                spent,
            });
        }
        standings.sort_by_key(|s| (s.class, s.epoch));
        Ok(standings)
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn gauge(
    text: &mut String,
    name: &str,
    help: &str,
    standings: &[Standing],
    value: impl Fn(&Standing) -> u64,
) {
    head(text, name, "gauge", help);
    for standing in standings {
        let class = match standing.class {
            TokenClass::Write => "write",
            TokenClass::Contact => "contact",
        };
        let (epoch, value) = (standing.epoch, value(standing));
        let _ = writeln!(
            text,
            "{name}{{class=\"{class}\",epoch=\"{epoch}\"}} {value}"
        );
    }
}
