//! Owns the comparison of what devices show to their users.

use crate::violation::Violation;
use std::collections::{BTreeMap, BTreeSet};

/// What one device shows of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) device: usize,
    pub(crate) texts: Vec<String>,
    /// Of each, the epoch that it was encrypted for.
    pub(crate) epochs: Vec<u64>,
    /// The first epoch in which this device was seen: what is for an older one was not for it,
    /// whenever it arrived.
    pub(crate) joined: u64,
    /// Whether it may have missed something: it came back from outside, or was away for too long.
    pub(crate) excused: bool,
}

/// Compares what the members of a group show.
pub(crate) fn compare(group: &str, shown: &[Shown]) -> Result<(), Violation> {
    for one in shown {
        let unique: BTreeSet<&String> = one.texts.iter().collect();
        if unique.len() != one.texts.len() {
            return Err(Violation::ShownTwice {
                group: group.to_owned(),
                device: one.device,
            });
        }
    }
    for (index, one) in shown.iter().enumerate() {
        for other in shown.iter().skip(index.saturating_add(1)) {
            same_order(group, one, other)?;
            nothing_between(group, one, other)?;
            nothing_between(group, other, one)?;
        }
    }
    Ok(())
}

fn places(shown: &Shown) -> BTreeMap<&str, usize> {
    let texts = shown.texts.iter().enumerate();
    texts.map(|(place, text)| (text.as_str(), place)).collect()
}

fn same_order(group: &str, one: &Shown, other: &Shown) -> Result<(), Violation> {
    let places = places(other);
    let common = one
        .texts
        .iter()
        .filter_map(|text| places.get(text.as_str()));
    if common.is_sorted() {
        return Ok(());
    }
    Err(Violation::OrdersDiffer {
        group: group.to_owned(),
        devices: [one.device, other.device],
    })
}

/// Whoever shows two messages shows what others show between them.
fn nothing_between(group: &str, one: &Shown, other: &Shown) -> Result<(), Violation> {
    if one.excused {
        return Ok(());
    }
    let own = places(one);
    let is_common = |text: &&String| own.contains_key(text.as_str());
    let first = other.texts.iter().position(|text| is_common(&text));
    let last = other.texts.iter().rposition(|text| is_common(&text));
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(());
    };
    let between = other.texts.iter().zip(&other.epochs).take(last).skip(first);
    let mut missing = between.filter(|(text, epoch)| !is_common(text) && **epoch >= one.joined);
    match missing.next() {
        None => Ok(()),
        Some((text, _)) => Err(Violation::NotShown {
            group: group.to_owned(),
            device: one.device,
            text: text.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(device: usize, texts: &str) -> Shown {
        Shown {
            device,
            texts: texts.chars().map(String::from).collect(),
            epochs: vec![5; texts.len()],
            joined: 3,
            excused: false,
        }
    }

    #[test]
    fn those_who_came_later_show_the_rest() {
        let whole = shown(0, "abcdef");
        assert_eq!(compare("g", &[whole.clone(), shown(1, "cdef")]), Ok(()));
        assert_eq!(compare("g", &[whole.clone(), shown(1, "cd")]), Ok(()));
        assert_eq!(compare("g", &[whole, shown(1, "")]), Ok(()));
    }

    #[test]
    fn twice_swapped_or_missing_is_found() {
        let whole = shown(0, "abcdef");
        let broken = |texts| compare("g", &[whole.clone(), shown(1, texts)]).unwrap_err();
        assert!(matches!(
            broken("abcb"),
            Violation::ShownTwice { device: 1, .. }
        ));
        assert!(matches!(broken("abdc"), Violation::OrdersDiffer { .. }));
        let lost = broken("abdef");
        assert!(matches!(lost, Violation::NotShown { device: 1, text, .. } if text == "c"));
    }

    #[test]
    fn what_was_said_before_somebody_came_may_arrive_afterwards() {
        let mut whole = shown(0, "abcdef");
        assert!(compare("g", &[whole.clone(), shown(1, "bdef")]).is_err());
        whole.epochs[2] = 2;
        assert_eq!(compare("g", &[whole, shown(1, "bdef")]), Ok(()));
    }

    #[test]
    fn whoever_was_away_is_excused_from_what_is_missing_alone() {
        let whole = shown(0, "abcdef");
        let away = |texts| Shown {
            excused: true,
            ..shown(1, texts)
        };
        assert_eq!(compare("g", &[whole.clone(), away("abf")]), Ok(()));
        assert!(compare("g", &[whole.clone(), away("fba")]).is_err());
        // The other one is not excused.
        assert!(compare("g", &[whole, away("axb")]).is_err());
    }
}
