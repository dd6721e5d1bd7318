//! Owns what commands print: lines for people, or a JSON value a line for scripts.
//!
//! Invariant: both say the same. Results go to standard output, everything else to standard error.

use serde::Serialize;
use std::fmt::Display;
use std::io::Write as _;

/// Where results go.
pub(crate) struct Printer {
    json: bool,
}

impl Printer {
    /// For people, or for scripts.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a person reads it.
    pub(crate) fn is_for_people(&self) -> bool {
        !self.json
    }

    /// One result.
    pub(crate) fn show<T: Serialize + Display>(&mut self, value: &T) {
        let mut out = std::io::stdout().lock();
        // Whoever reads may have gone, which is no error of ours.
        let _ = if self.json {
            serde_json::to_string(value).map(|text| writeln!(out, "{text}"))
        } else {
            Ok(writeln!(out, "{value}"))
        };
        let _ = out.flush();
    }

    /// Several results; people are told when there is none.
    pub(crate) fn list<T: Serialize + Display>(&mut self, values: &[T], none: &str) {
        if values.is_empty() {
            self.remark(none);
        }
        for value in values {
            self.show(value);
        }
    }

    /// Something for people alone.
    pub(crate) fn remark(&mut self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }
}
