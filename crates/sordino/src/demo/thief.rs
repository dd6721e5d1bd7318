//! Owns what somebody finds who takes the database file, the key folder aside.
//!
//! Invariant: every identifier, key and plaintext of the run is looked for, as bytes and
//! as hex, in the file as it lies there, freed pages included.

use super::Verdict;
use std::collections::BTreeMap;
use std::path::Path;

/// Shorter needles would be found by chance.
const MIN_NEEDLE_BYTES: usize = 6;

/// A thing to look for.
#[derive(Clone, Debug)]
pub(crate) struct Needle {
    /// What kind of thing it is; never the thing.
    pub(crate) kind: &'static str,
    /// It.
    pub(crate) bytes: Vec<u8>,
}

/// What a search came to.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Things looked for, by kind.
    pub(crate) searched: BTreeMap<&'static str, usize>,
    /// Things found, by kind.
    pub(crate) found: BTreeMap<&'static str, usize>,
    /// The size of the file.
    pub(crate) file_bytes: usize,
}

impl Findings {
    /// What a disk thief finds, in sentences.
    pub(crate) fn report(&self) -> Verdict {
        let mut verdict = Verdict::default();
        let size = self.file_bytes / 1024;
        for (kind, searched) in &self.searched {
            let found = self.found.get(kind).copied().unwrap_or_default();
            let sentence = format!(
                "a disk thief finds {found} of {searched} {kind}s in {size} KiB of database"
            );
            verdict.judge(found == 0, sentence);
        }
        verdict
    }
}

/// Looks for all of it.
pub(crate) fn search(file: &Path, needles: &[Needle]) -> std::io::Result<Findings> {
    let haystack = std::fs::read(file)?;
    let mut forms: Vec<(&'static str, usize, Vec<u8>)> = Vec::new();
    let mut findings = Findings {
        file_bytes: haystack.len(),
        ..Findings::default()
    };
    let unique: std::collections::BTreeSet<(&'static str, &[u8])> = needles
        .iter()
        .filter(|n| n.bytes.len() >= MIN_NEEDLE_BYTES)
        .map(|n| (n.kind, n.bytes.as_slice()))
        .collect();
    for (index, (kind, bytes)) in unique.iter().enumerate() {
        *findings.searched.entry(kind).or_default() += 1;
        forms.push((kind, index, bytes.to_vec()));
        forms.push((kind, index, hex(bytes).into_bytes()));
    }
    let hits = find_any(&haystack, &forms);
    for (kind, _) in hits {
        *findings.found.entry(kind).or_default() += 1;
    }
    Ok(findings)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// One pass over the file: forms are looked up by their first six bytes.
fn find_any(
    haystack: &[u8],
    forms: &[(&'static str, usize, Vec<u8>)],
) -> std::collections::BTreeSet<(&'static str, usize)> {
    let mut by_start: std::collections::HashMap<&[u8], Vec<usize>> = Default::default();
    for (place, (_, _, form)) in forms.iter().enumerate() {
        if let Some(start) = form.get(..MIN_NEEDLE_BYTES) {
            by_start.entry(start).or_default().push(place);
        }
    }
    let mut hits = std::collections::BTreeSet::new();
    for (at, window) in haystack.windows(MIN_NEEDLE_BYTES).enumerate() {
        for place in by_start.get(window).into_iter().flatten() {
            let Some((kind, index, form)) = forms.get(*place) else {
                continue;
            };
            if haystack
                .get(at..)
                .is_some_and(|rest| rest.starts_with(form))
            {
                hits.insert((*kind, *index));
            }
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"....secret-name....646f74746564......").unwrap();
        let needle = |kind, bytes: &[u8]| Needle {
            kind,
            bytes: bytes.to_vec(),
        };
        let needles = [
            needle("name", b"secret-name"),
            needle("name", b"other-name"),
            needle("key", b"dotted"),
            needle("short", b"...."),
        ];
        let findings = search(&file, &needles).unwrap();
        assert_eq!(findings.searched, BTreeMap::from([("key", 1), ("name", 2)]));
        assert_eq!(findings.found, BTreeMap::from([("key", 1), ("name", 1)]));
    }
}
