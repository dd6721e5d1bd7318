//! Owns looking for many things at once, in every form in which somebody could have written them.

use crate::world::Known;
use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;

/// Shorter things would be found by chance.
const MIN_BYTES: usize = 6;
/// So much of a random value in a list or a quotation is enough to recognise it.
const RECOGNISED_BYTES: usize = 10;
/// Kinds that begin alike, and are looked for as a whole.
const WHOLE: [&str; 6] = [
    "real name",
    "device name",
    "bare name",
    "message",
    "domain",
    "pseudonym",
];

/// A prepared search.
pub struct Search {
    automaton: AhoCorasick,
    kinds: Vec<&'static str>,
    things: usize,
}

/// Base64 without its edges, which depend on what stands before and after: one text for each way
/// in which the bytes can lie in a longer value.
fn base64_forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for shift in 0..3 {
        let shifted = [vec![0; shift], bytes.to_vec()].concat();
        // Characters that hold bits of the shift, or of what follows.
        let skipped = [0, 2, 3][shift];
        for text in [
            STANDARD_NO_PAD.encode(&shifted),
            URL_SAFE_NO_PAD.encode(&shifted),
        ] {
            let whole = shifted.len() * 8 / 6;
            forms.push(text.as_bytes()[skipped..whole].to_vec());
        }
    }
    forms
}

/// As bytes, hexadecimal, base64.
fn binary_forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![
        bytes.to_vec(),
        hex::encode(bytes).into_bytes(),
        hex::encode_upper(bytes).into_bytes(),
    ];
    forms.extend(base64_forms(bytes));
    forms
}

/// As `{:?}` prints slices and strings of bytes; without white space, which pretty printing adds.
fn printed_forms(kind: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    let part = if WHOLE.contains(&kind) {
        bytes
    } else {
        &bytes[..bytes.len().min(RECOGNISED_BYTES)]
    };
    let list = |print: fn(&u8) -> String| {
        let numbers: Vec<String> = part.iter().map(print).collect();
        numbers.join(",").into_bytes()
    };
    let mut quoted = Vec::new();
    let mut short = Vec::new();
    for byte in part.iter().filter(|b| !b.is_ascii_whitespace()) {
        quoted.extend(std::ascii::escape_default(*byte));
        // `bytes` prints a zero otherwise than the standard library.
        match byte {
            0 => short.extend(b"\\0"),
            _ => short.extend(std::ascii::escape_default(*byte)),
        }
    }
    vec![
        list(|b| b.to_string()),
        list(|b| format!("{b:x}")),
        list(|b| format!("0x{b:02x}")),
        list(|b| format!("{b:02X}")),
        quoted,
        short,
    ]
}

impl Search {
    fn with(known: &Known, forms_of: impl Fn(&'static str, &[u8]) -> Vec<Vec<u8>>) -> Self {
        let mut patterns = BTreeSet::new();
        let mut things = 0;
        for (kind, bytes) in known.iter().filter(|(_, b)| b.len() >= MIN_BYTES) {
            things += 1;
            patterns.extend(forms_of(kind, bytes).into_iter().map(|form| (form, *kind)));
        }
        let (patterns, kinds): (Vec<Vec<u8>>, Vec<&str>) = patterns.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&patterns)
            .unwrap();
        Self {
            automaton,
            kinds,
            things,
        }
    }

    /// For files.
    pub fn in_files(known: &Known) -> Self {
        Self::with(known, |_, bytes| binary_forms(bytes))
    }

    /// For texts, which are given without white space.
    pub fn in_texts(known: &Known) -> Self {
        Self::with(known, |kind, bytes| {
            let mut forms = binary_forms(bytes);
            forms[0].retain(|byte| !byte.is_ascii_whitespace());
            forms.extend(printed_forms(kind, bytes));
            forms
        })
    }

    /// How many things it looks for.
    pub fn things(&self) -> usize {
        self.things
    }

    /// The kinds of what is there.
    pub fn kinds_in(&self, haystack: &[u8]) -> BTreeSet<&'static str> {
        self.automaton
            .find_overlapping_iter(haystack)
            .map(|found| self.kinds[found.pattern().as_usize()])
            .collect()
    }
}

/// A text as [`Search::in_texts`] wants it.
pub fn without_space(text: &str) -> Vec<u8> {
    let bytes = text.bytes();
    bytes.filter(|byte| !byte.is_ascii_whitespace()).collect()
}

#[test]
fn every_form_is_found() {
    let id: Vec<u8> = (0..16).map(|n| n * 13 + 7).collect();
    let known = Known::from([
        ("group id", id.clone()),
        ("bare name", b"somebody".to_vec()),
    ]);
    let found = |bytes: &[u8]| {
        Search::in_files(&known).kinds_in(&[b"..", bytes, b".."].concat()) == ["group id"].into()
    };
    assert!(found(&id));
    assert!(found(hex::encode(&id).as_bytes()));
    assert!(found(hex::encode_upper(&id).as_bytes()));
    for before in 0..5 {
        let longer = [&b"abcde"[..before], &id, b"xyz"].concat();
        assert!(found(STANDARD_NO_PAD.encode(&longer).as_bytes()));
        assert!(found(URL_SAFE_NO_PAD.encode(&longer).as_bytes()));
    }
    assert!(!found(&id[1..]));
    let printed = |text: String| {
        Search::in_texts(&known).kinds_in(&without_space(&text)) == ["group id"].into()
    };
    for text in [
        format!("{id:?}"),
        format!("{id:#?}"),
        format!("{id:x?}"),
        format!("{id:02X?}"),
        format!("{id:#04x?}"),
        format!("b\"{}\"", id.escape_ascii()),
        format!("GroupId({})", hex::encode(&id)),
    ] {
        assert!(printed(text.clone()), "{text}");
    }
    let names = Search::in_texts(&known);
    assert_eq!(names.kinds_in(b"by somebody"), ["bare name"].into());
    assert!(names.kinds_in(b"by some other body").is_empty());
}
