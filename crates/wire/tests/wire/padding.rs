//! Padding: sizes tell little, and every size can be reached.

use proptest::prelude::*;
use sordino_wire::limits::PADDING_FLOOR_BYTES;
use sordino_wire::padding::{Padding, padded_size, padme};
use tls_codec::Size;

fn is_padded_size(size: usize) -> bool {
    padded_size(size) == size
}

#[test]
fn padme_costs_at_most_twelve_percent() {
    for length in 0..(1usize << 18) {
        let padded = padme(length);
        assert!(padded >= length, "{length}");
        assert!(
            (padded - length) * 100 <= 12 * length,
            "{length} -> {padded}"
        );
        assert_eq!(padme(padded), padded, "{length}: a padded size stays");
    }
}

#[test]
fn padme_follows_its_paper() {
    // Sizes keep log2(log2(n)) + 1 significant bits after the first.
    for (length, padded) in [
        (0, 0),
        (1, 1),
        (2, 2),
        (8, 8),
        (9, 10),
        (513, 544),
        (4_097, 4_352),
    ] {
        assert_eq!(padme(length), padded, "{length}");
    }
    assert_eq!(padme(1_000_000), 1_015_808);
}

#[test]
fn nothing_is_smaller_than_the_floor() {
    for length in 0..=PADDING_FLOOR_BYTES {
        assert_eq!(padded_size(length), PADDING_FLOOR_BYTES);
    }
    assert!(padded_size(PADDING_FLOOR_BYTES + 1) > PADDING_FLOOR_BYTES);
}

#[test]
fn few_sizes_exist() {
    let sizes = (0..(1usize << 20)).map(padded_size);
    let distinct: std::collections::BTreeSet<_> = sizes.collect();
    assert!(distinct.len() < 260, "{} sizes up to a MiB", distinct.len());
}

/// Exhaustive where prefixes change their width: padding of 63, 64, 16,383 and 16,384 bytes.
#[test]
fn every_size_is_brought_to_a_padded_one() {
    let mut lengths = std::collections::BTreeSet::new();
    let near_wide_prefixes = (1usize << 20)..(1 << 20) + 40_000;
    for unpadded in (0..150_000).chain(near_wide_prefixes) {
        let field = Padding::for_size(unpadded).tls_serialized_len();
        assert!(is_padded_size(unpadded + field), "{unpadded}");
        lengths.insert(field);
    }
    for edge in [1, 1 + 63, 2 + 64, 2 + 16_383, 4 + 16_384] {
        assert!(
            lengths.contains(&edge),
            "no value needed a field of {edge} B"
        );
    }
    // No padding has these sizes with its prefix: 65 would be 64 or 63 bytes behind 1 or 2.
    for impossible in [65, 16_386, 16_387] {
        assert!(!lengths.contains(&impossible));
    }
}

#[test]
fn padding_is_the_smallest_that_fits() {
    for unpadded in 0..20_000usize {
        let size = unpadded + Padding::for_size(unpadded).tls_serialized_len();
        let smaller = (unpadded + 1..size).filter(|s| is_padded_size(*s));
        for smaller in smaller {
            let room = smaller - unpadded;
            assert!(
                [65, 16_386, 16_387].contains(&room),
                "{unpadded} fits {smaller}"
            );
        }
    }
}

proptest! {
    #[test]
    fn large_sizes_are_padded_too(unpadded in 0usize..15 * 1024 * 1024) {
        let size = unpadded + Padding::for_size(unpadded).tls_serialized_len();
        prop_assert!(is_padded_size(size));
        prop_assert!(size <= PADDING_FLOOR_BYTES.max(unpadded + unpadded / 7 + 8));
    }
}
