//! A small reader of Rust sources: identifiers and paths, without comments, literals and test code.

/// A piece of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Name(String),
    /// `::`
    Separator,
    Mark(char),
}

/// The tokens of a source text, comments and literals left out.
pub fn tokens(text: &str) -> Vec<Token> {
    let source: Vec<char> = text.chars().collect();
    let at = |index: usize| source.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < source.len() {
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < source.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            i = after_block_comment(&source, i);
        } else if c == '"' {
            i = after_string(&source, i);
        } else if c == '\'' {
            i = after_quote(&source, i);
        } else if c.is_alphabetic() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            let name: String = source[start..i].iter().collect();
            let raw = matches!(name.as_str(), "r" | "br" | "cr");
            if raw && (at(i) == '"' || (at(i) == '#' && matches!(at(i + 1), '#' | '"'))) {
                i = after_raw_string(&source, i);
            } else {
                tokens.push(Token::Name(name));
            }
        } else if c == ':' && at(i + 1) == ':' {
            tokens.push(Token::Separator);
            i += 2;
        } else {
            if !c.is_whitespace() && !c.is_numeric() {
                tokens.push(Token::Mark(c));
            }
            // A number is skipped whole, so that the letters in it are not a name.
            let number = c.is_numeric();
            i += 1;
            while number && (at(i).is_alphanumeric() || at(i) == '_') {
                i += 1;
            }
        }
    }
    tokens
}

fn after_block_comment(source: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut i = start;
    while i < source.len() {
        match (source[i], source.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
            }
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

fn after_string(source: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < source.len() && source[i] != '"' {
        i += if source[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn after_raw_string(source: &[char], start: usize) -> usize {
    let hashes = source[start..].iter().take_while(|c| **c == '#').count();
    let mut i = start + hashes + 1;
    while i < source.len() {
        let closes = source[i] == '"'
            && source.len() > i + hashes
            && source[i + 1..=i + hashes].iter().all(|c| *c == '#');
        if closes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    i
}

/// A character literal, or the mark of a lifetime.
fn after_quote(source: &[char], start: usize) -> usize {
    if source.get(start + 1) == Some(&'\\') {
        let mut i = start + 3;
        while i < source.len() && source[i] != '\'' {
            i += 1;
        }
        return i + 1;
    }
    if source.get(start + 2) == Some(&'\'') {
        return start + 3;
    }
    start + 1
}

/// Leaves out items under `#[cfg(test)]`; `modules` gets the names of such modules in own files.
pub fn without_tests(tokens: &[Token], modules: &mut Vec<String>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if let Some(end) = test_attribute_end(tokens, i) {
            let mut item = end;
            while tokens.get(item) == Some(&Token::Mark('#')) {
                item = matching_end(tokens, item + 1);
            }
            let after = item_end(tokens, item);
            let words = &tokens[item..after];
            let own_file = words.last() == Some(&Token::Mark(';'));
            let module = words.iter().position(|t| *t == Token::Name("mod".into()));
            if let (true, Some(Token::Name(name))) =
                (own_file, module.and_then(|at| words.get(at + 1)))
            {
                modules.push(name.clone());
            }
            i = after;
        } else {
            kept.push(tokens[i].clone());
            i += 1;
        }
    }
    kept
}

fn test_attribute_end(tokens: &[Token], start: usize) -> Option<usize> {
    let name = |text: &str| Token::Name(text.into());
    if tokens.get(start..start + 3)? != [Token::Mark('#'), Token::Mark('['), name("cfg")] {
        return None;
    }
    let end = matching_end(tokens, start + 1);
    let inside = &tokens[start..end];
    (inside.contains(&name("test")) && !inside.contains(&name("not"))).then_some(end)
}

/// The index after the bracket that closes the one at `start`.
fn matching_end(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0usize;
    for (offset, token) in tokens[start..].iter().enumerate() {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return start + offset + 1;
        }
    }
    tokens.len()
}

/// The index after the item that begins at `start`: after its `;` or its braces.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut i = start;
    while i < tokens.len() {
        match tokens[i] {
            Token::Mark(';') => return i + 1,
            Token::Mark('{') => {
                let end = matching_end(tokens, i);
                // `use a::{b, c};` goes on to its semicolon.
                let more = tokens.get(end) == Some(&Token::Mark(';'));
                return if more { end + 1 } else { end };
            }
            Token::Mark('(' | '[') => i = matching_end(tokens, i),
            _ => i += 1,
        }
    }
    i
}

/// Every path that is written, `use` trees spelled out: `use a::{b, c::*}` is `a::b` and `a::c::*`.
pub fn paths(tokens: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        match &tokens[i] {
            Token::Name(_) => i = read_path(tokens, i, "", &mut found),
            _ => i += 1,
        }
    }
    found
}

fn read_path(tokens: &[Token], start: usize, prefix: &str, found: &mut Vec<String>) -> usize {
    let mut path = prefix.to_owned();
    let mut i = start;
    loop {
        match tokens.get(i) {
            Some(Token::Name(name)) => path.push_str(name),
            Some(Token::Mark('*')) if path.ends_with("::") => path.push('*'),
            Some(Token::Mark('{')) if path.ends_with("::") => {
                let end = matching_end(tokens, i);
                i += 1;
                while i < end - 1 {
                    i = match tokens[i] {
                        Token::Name(_) => read_path(tokens, i, &path, found),
                        _ => i + 1,
                    };
                }
                return end;
            }
            _ => break,
        }
        i += 1;
        if tokens.get(i) == Some(&Token::Separator) {
            path.push_str("::");
            i += 1;
        } else {
            break;
        }
    }
    if tokens.get(i) == Some(&Token::Name("as".into())) && path == "std" {
        path.push_str(" as");
    }
    found.push(path);
    i.max(start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let all = tokens(text).into_iter();
        all.filter_map(|t| match t {
            Token::Name(name) => Some(name),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = r####"
            // one
            /* two /* three */ four */
            let a = "five \" six"; let b = r#"seven " eight"#; let c = 'n'; let d = '\'';
            fn f<'nine>(x: &'nine str) {} let e = b"ten"; let g = 0x1f_u8; let h = br"eleven";
        "####;
        let expected = "let a let b let c let d fn f nine x nine str let e b let g let h";
        assert_eq!(names(text), expected.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn use_trees_are_spelled_out() {
        let text = "use std::{fs, time::{Duration, Instant as I}, io::*}; std::net::lookup(x);";
        let found = paths(&tokens(text));
        for path in [
            "std::fs",
            "std::time::Duration",
            "std::time::Instant",
            "std::io::*",
            "std::net::lookup",
        ] {
            assert!(found.iter().any(|f| f == path), "{path} in {found:?}");
        }
    }

    #[test]
    fn test_items_are_left_out() {
        let text = "fn a() {} #[cfg(test)] #[path(x)] mod tests { fn b() {} } fn c() {}
            #[cfg(test)] mod own; #[cfg(not(test))] fn d() {} #[cfg(test)] use e::{f, g}; fn h() {}
            #[cfg(any(test, feature = \"x\"))] fn i(y: [u8; 3]) -> z {} fn j() {}";
        let mut modules = Vec::new();
        let kept = without_tests(&tokens(text), &mut modules);
        let names: Vec<_> = ["a", "b", "c", "d", "e", "h", "i", "j"]
            .into_iter()
            .filter(|n| kept.contains(&Token::Name((*n).into())))
            .collect();
        assert_eq!(names, ["a", "c", "d", "h", "j"]);
        assert_eq!(modules, ["own"]);
    }
}
