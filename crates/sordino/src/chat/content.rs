//! Owns what this chat says inside a message.
//!
//! Invariant: what is not understood is shown as such and never lost; text from others reaches a
//! terminal without control characters.

use sordino_wire::Bytes;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The longest text.
pub(crate) const MAX_TEXT_BYTES: usize = 64 * 1024;
/// The longest name of a room.
pub(crate) const MAX_ROOM_NAME_BYTES: usize = 64;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u16)]
enum Encoded {
    #[tls_codec(discriminant = 1)]
    Text(Bytes<1, MAX_TEXT_BYTES>),
    #[tls_codec(discriminant = 2)]
    RoomName(Bytes<1, MAX_ROOM_NAME_BYTES>),
}

/// One message, as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Somebody says something.
    Text(String),
    /// What the room is called from now on.
    RoomName(String),
    /// Another kind of message, from a newer client.
    Unknown,
}

/// A text is empty or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfBounds;

impl Content {
    /// A text, if it can be sent.
    pub(crate) fn text(text: &str) -> Result<Vec<u8>, OutOfBounds> {
        let text = Bytes::new(text).map_err(|_| OutOfBounds)?;
        sordino_wire::encode(&Encoded::Text(text)).map_err(|_| OutOfBounds)
    }

    /// A room's name, if it can be one.
    pub(crate) fn room_name(name: &str) -> Result<Vec<u8>, OutOfBounds> {
        let name = Bytes::new(name.trim()).map_err(|_| OutOfBounds)?;
        sordino_wire::encode(&Encoded::RoomName(name)).map_err(|_| OutOfBounds)
    }

    /// Reads what somebody sent.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        match sordino_wire::exact(bytes) {
            Ok(Encoded::Text(text)) => Self::Text(shown(text.as_slice())),
            Ok(Encoded::RoomName(name)) => Self::RoomName(shown(name.as_slice())),
            Err(_) => Self::Unknown,
        }
    }
}

/// Text as a terminal may show it: control characters could move the cursor, or forge lines.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if is_harmless(c) { c } else { '\u{fffd}' })
        .collect()
}

fn is_harmless(c: char) -> bool {
    let turns_text = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c == '\n' || !c.is_control()) && !turns_text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_comes_back() {
        let text = Content::text("con sordino\nsempre").unwrap();
        assert_eq!(text[..2], [0, 1]);
        let read = Content::read(&text);
        assert_eq!(read, Content::Text("con sordino\nsempre".into()));
        let name = Content::room_name("  quartet ").unwrap();
        assert_eq!(name, [&[0, 2, 7][..], b"quartet"].concat());
        assert_eq!(Content::read(&name), Content::RoomName("quartet".into()));
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        assert_eq!(Content::text(""), Err(OutOfBounds));
        assert_eq!(Content::room_name(" "), Err(OutOfBounds));
        assert_eq!(
            Content::text(&"x".repeat(MAX_TEXT_BYTES + 1)),
            Err(OutOfBounds)
        );
        let long = "x".repeat(MAX_ROOM_NAME_BYTES + 1);
        assert_eq!(Content::room_name(&long), Err(OutOfBounds));
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        let text = Content::text("hello").unwrap();
        for length in 0..text.len() {
            assert_eq!(Content::read(&text[..length]), Content::Unknown);
        }
        assert_eq!(Content::read(b"\x00\x09\x01x"), Content::Unknown);
        assert_eq!(Content::read(b"hello"), Content::Unknown);
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let said = Content::text("a\x1b[2Jb\rc\u{202e}d\te").unwrap();
        let Content::Text(shown) = Content::read(&said) else {
            panic!("a text");
        };
        assert_eq!(shown, "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e");
    }
}
