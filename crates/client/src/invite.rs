//! Owns the text form of an invite link.
//!
//! Invariant: it is as secret as the room's public state; it never goes into an error or a log.

use crate::error::{ClientError, Result};
use sordino_wire::{InviteLink, encode, exact};
use zeroize::Zeroizing;

const PREFIX: &str = "sordino-invite:";

/// A link that opens a group's public state, as text.
pub fn link_to_text(link: &InviteLink) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(encode(link)?);
    let mut text = String::with_capacity(PREFIX.len() + bytes.len() * 2);
    text.push_str(PREFIX);
    for byte in bytes.iter() {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    Ok(Zeroizing::new(text))
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

/// Reads the text form.
pub fn link_from_text(text: &str) -> Result<InviteLink> {
    let digits = text
        .trim()
        .strip_prefix(PREFIX)
        .ok_or(ClientError::NoInvite)?;
    let bytes = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect::<Option<Vec<u8>>>()
        .ok_or(ClientError::NoInvite)?;
    exact(&bytes).map_err(|_| ClientError::NoInvite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sordino_wire::{Digest, Domain, GroupId, Secret32};

    #[test]
    fn a_link_survives_its_text_form() {
        let link = InviteLink {
            hub_domain: Domain::new("hub.example").unwrap(),
            group_id: GroupId([1; 16]),
            generation: 7,
            ear_key: Secret32::new([2; 32]),
            code: Some(Digest([3; 32])),
        };
        let text = link_to_text(&link).unwrap();
        assert_eq!(link_from_text(&text).unwrap(), link);
        assert!(link_from_text("sordino-invite:00ff").is_err());
        assert!(link_from_text("sordino-invite:é").is_err());
        assert!(link_from_text("hello").is_err());
    }
}
