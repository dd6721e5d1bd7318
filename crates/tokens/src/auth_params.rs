//! Owns the syntax of `WWW-Authenticate` and `Authorization` (RFC 9110 section 11).
//!
//! Invariant: everything is borrowed and bounded. Unquoted values may have the characters of base64,
//! which RFC 9110 does not allow in a token, because clients send them so.

use sordino_wire::limits::MAX_AUTH_PARAMETERS;

/// One challenge, or credentials: a scheme and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheme<'a> {
    pub(crate) name: &'a str,
    /// Names with values as they stand; quoted ones without their quotes, with their escapes.
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Scheme<'a> {
    /// Whether this is the scheme of that name, in any case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value of a parameter that stands there once. `Err` if it stands there twice. Escapes are
    /// left in it: no value that is read here may have a backslash.
    pub(crate) fn value(&self, name: &str) -> Result<Option<&'a str>, ()> {
        let same = |(written, _): &&(&str, &str)| written.eq_ignore_ascii_case(name);
        let mut values = self.parameters.iter().filter(same).map(|(_, value)| *value);
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => Err(()),
            (value, _) => Ok(value),
        }
    }
}

/// Reads a list of schemes; `None` if the header is not well formed or has more than `max`.
pub(crate) fn read_schemes(header: &str, max: usize) -> Option<Vec<Scheme<'_>>> {
    let mut cursor = Cursor(header);
    let mut schemes: Vec<Scheme<'_>> = Vec::new();
    loop {
        while cursor.spaces() || cursor.skip(',') {}
        if cursor.0.is_empty() {
            return Some(schemes);
        }
        let name = cursor.run(is_token)?;
        if let Some(value) = cursor.value()? {
            let parameters = &mut schemes.last_mut()?.parameters;
            if parameters.len() == MAX_AUTH_PARAMETERS {
                return None;
            }
            parameters.push((name, value));
            cursor.item_ends()?;
        } else {
            if schemes.len() == max {
                return None;
            }
            schemes.push(Scheme {
                name,
                parameters: Vec::new(),
            });
            cursor.token68();
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn is_unquoted(c: char) -> bool {
    is_token(c) || c == '/' || c == '='
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn skip(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Whether there were any.
    fn spaces(&mut self) -> bool {
        let rest = self.0.trim_start_matches([' ', '\t']);
        let any = rest.len() < self.0.len();
        self.0 = rest;
        any
    }

    /// One or more characters of a kind.
    fn run(&mut self, kind: fn(char) -> bool) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(kind);
        let run = self.0.strip_suffix(rest)?;
        self.0 = rest;
        (!run.is_empty()).then_some(run)
    }

    /// `= value` behind a name; `Some(None)` if the name was a scheme, and nothing is consumed.
    fn value(&mut self) -> Option<Option<&'a str>> {
        let mut ahead = Self(self.0);
        ahead.spaces();
        if !ahead.skip('=') {
            return Some(None);
        }
        ahead.spaces();
        self.0 = ahead.0;
        let value = if self.skip('"') {
            self.quoted()?
        } else {
            self.run(is_unquoted)?
        };
        Some(Some(value))
    }

    /// The rest of a quoted string.
    fn quoted(&mut self) -> Option<&'a str> {
        let text = self.0;
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    let (inside, rest) = text.split_at_checked(at)?;
                    self.0 = rest.strip_prefix('"')?;
                    return Some(inside);
                }
                '\\' => {
                    chars.next()?;
                }
                c if c.is_control() && c != '\t' => return None,
                _ => {}
            }
        }
        None
    }

    /// A parameter ends at a comma or at the end.
    fn item_ends(&mut self) -> Option<()> {
        self.spaces();
        (self.0.is_empty() || self.0.starts_with(',')).then_some(())
    }

    /// Skips the token68 that a scheme may have in the place of parameters.
    fn token68(&mut self) {
        let mut ahead = Self(self.0);
        let is_token68 = ahead.spaces() && ahead.run(|c| is_unquoted(c) && c != '=').is_some() && {
            ahead.0 = ahead.0.trim_start_matches('=');
            ahead.item_ends().is_some()
        };
        if is_token68 {
            self.0 = ahead.0;
        }
    }
}
