//! Owns the code by which a new device is linked: what a person copies, or a camera reads.
//!
//! Invariant: it names where the new device waits, the key to seal to, and a secret of 128 bits;
//! a code that was mistyped, cut short or is past its day is refused before anything is sent.

use crate::error::{ClientError, Result};
use sordino_crypto::{LINK_SECRET_BYTES, LinkSecret, sha256};
use sordino_wire::{Domain, HpkeKey, InboxId, OpenInbox, encode, exact};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The form of codes.
const CODE_FORMAT: u8 = 1;
/// Bytes of the sum that finds typing errors.
const SUM_BYTES: usize = 4;
/// Letters and digits between two hyphens.
const GROUP_CHARS: usize = 5;
/// The longest text that is looked at.
const MAX_TEXT_CHARS: usize = 2_048;

/// What a code says.
pub(crate) struct LinkCode {
    /// The hub at which the new device waits.
    pub(crate) hub_domain: Domain,
    /// Its inbox for the offer.
    pub(crate) inbox_id: InboxId,
    /// The key that the offer is sealed to.
    pub(crate) hpke_key: HpkeKey,
    /// Shows that whoever answers has the code.
    pub(crate) secret: LinkSecret,
    /// The last day on which it is good, in days since 1970.
    pub(crate) last_day: u32,
}

#[derive(TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct Encoded {
    format: u8,
    hub_domain: Domain,
    inbox_id: InboxId,
    hpke_key: [u8; 32],
    secret: [u8; LINK_SECRET_BYTES],
    last_day: u32,
}

impl LinkCode {
    /// What opens the inbox that it names.
    pub(crate) fn opening(&self) -> OpenInbox {
        OpenInbox {
            inbox_id: self.inbox_id,
            hpke_key: self.hpke_key.clone(),
            last_day: self.last_day,
            deposit_hash: Some(sha256(self.secret.deposit_secret().expose())),
        }
    }

    /// The text: lower-case letters and digits in groups of five.
    pub(crate) fn to_text(&self) -> Result<String> {
        let hpke_key = self.hpke_key.as_slice().try_into();
        let mut bytes = encode(&Encoded {
            format: CODE_FORMAT,
            hub_domain: self.hub_domain.clone(),
            inbox_id: self.inbox_id,
            hpke_key: hpke_key.map_err(|_| ClientError::OutOfBounds)?,
            secret: *self.secret.expose(),
            last_day: self.last_day,
        })?;
        let sum = sha256(&bytes);
        bytes.extend(sum.0.iter().take(SUM_BYTES));
        let letters = data_encoding::BASE32_NOPAD
            .encode(&bytes)
            .to_ascii_lowercase();
        let mut text = String::with_capacity(letters.len() * 6 / 5 + 1);
        for (index, letter) in letters.chars().enumerate() {
            if index > 0 && index.is_multiple_of(GROUP_CHARS) {
                text.push('-');
            }
            text.push(letter);
        }
        Ok(text)
    }

    /// Reads a text; hyphens, spaces and case do not matter.
    pub(crate) fn from_text(text: &str) -> Result<Self> {
        if text.len() > MAX_TEXT_CHARS {
            return Err(ClientError::BadLinkCode);
        }
        let letters: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let bytes = data_encoding::BASE32_NOPAD
            .decode(letters.as_bytes())
            .map_err(|_| ClientError::BadLinkCode)?;
        let (value, sum) = bytes
            .split_last_chunk::<SUM_BYTES>()
            .ok_or(ClientError::BadLinkCode)?;
        if !sha256(value).0.starts_with(sum) {
            return Err(ClientError::BadLinkCode);
        }
        let encoded: Encoded = exact(value).map_err(|_| ClientError::BadLinkCode)?;
        if encoded.format != CODE_FORMAT {
            return Err(ClientError::BadLinkCode);
        }
        Ok(Self {
            hub_domain: encoded.hub_domain,
            inbox_id: encoded.inbox_id,
            hpke_key: HpkeKey::new(encoded.hpke_key.to_vec())?,
            secret: LinkSecret::new(encoded.secret),
            last_day: encoded.last_day,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> LinkCode {
        LinkCode {
            hub_domain: Domain::new("hub.example").unwrap(),
            inbox_id: InboxId([1; 16]),
            hpke_key: HpkeKey::new(vec![2; 32]).unwrap(),
            secret: LinkSecret::new([3; 16]),
            last_day: 20_000,
        }
    }

    #[test]
    fn a_code_survives_how_people_copy_it() {
        let text = code().to_text().unwrap();
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
        for copied in [
            text.clone(),
            text.to_uppercase(),
            text.replace('-', " "),
            text.replace('-', ""),
            format!("\n {text} \n"),
        ] {
            let read = LinkCode::from_text(&copied).unwrap();
            assert_eq!(read.hub_domain, code().hub_domain);
            assert_eq!(read.inbox_id, code().inbox_id);
            assert_eq!(read.hpke_key, code().hpke_key);
            assert_eq!(read.secret, code().secret);
            assert_eq!(read.last_day, code().last_day);
        }
    }

    #[test]
    fn mistyped_codes_are_refused() {
        let text = code().to_text().unwrap();
        let refused =
            |text: &str| matches!(LinkCode::from_text(text), Err(ClientError::BadLinkCode));
        for at in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
            assert!(refused(&String::from_utf8(wrong).unwrap()) || text.as_bytes()[at] == b'-');
            assert!(refused(&text[..at]));
        }
        for wrong in ["", "hello", "0189", &"a".repeat(3_000)] {
            assert!(refused(wrong));
        }
    }
}
