//! Owns the issuer directory (RFC 9578 section 4), with what Sordino adds to it.
//!
//! Invariant: keys stand in the order in which a client that knows the RFC alone picks the right one:
//! those of the running epoch before those of the next.
//!
//! Beyond the RFC, a key has `not-after`, `sordino-class` and `sordino-epoch`. `not-before` and
//! `not-after` are beginning and end of the epoch; clients that know them may draw before `not-before`.
//! Other clients ignore what they do not know and use the first key whose `not-before` has passed.

use crate::base64url;
use crate::epoch::Epoch;
use crate::key_set::IssuerKeys;
use crate::kind::{TokenClass, TokenType};
use crate::token::KeyId;
use serde::{Deserialize, Serialize};
use sordino_wire::limits::{MAX_TOKEN_DIRECTORY_BYTES, MAX_TOKEN_DIRECTORY_KEYS};

/// An issuer's public keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where requests go: an absolute URL, or a path at the directory's host.
    pub issuer_request_uri: String,
    /// The keys, in the order of the directory.
    pub keys: Vec<ListedKey>,
}

/// One key of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// The code of its type, which may be unknown here.
    pub type_code: u16,
    /// Its encoding.
    pub public_key: Vec<u8>,
    /// From when on clients without more knowledge use it, in seconds of Unix time.
    pub not_before_s: Option<u64>,
    /// What its tokens buy and when, if this is a key of a Sordino hub.
    pub terms: Option<KeyTerms>,
}

/// What a hub says of a key beyond the RFC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyTerms {
    /// What its tokens buy.
    pub class: TokenClass,
    /// When they buy it.
    pub epoch: Epoch,
}

impl ListedKey {
    /// Its type, if it is spoken here and the key has the right length for it.
    pub fn token_type(&self) -> Option<TokenType> {
        let token_type = TokenType::from_code(self.type_code)?;
        let right_length = self.public_key.len() == token_type.public_key_bytes();
        right_length.then_some(token_type)
    }

    /// Its full id.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.public_key)
    }
}

/// Bytes are no directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the issuer directory is malformed or too large")]
pub struct DirectoryRefused;

impl IssuerKeys {
    /// The directory of all keys that tokens may be drawn with now.
    pub fn directory(&self, issuer_request_uri: &str, now_s: u64) -> Directory {
        let drawable = self.iter().filter(|k| k.purpose().epoch.is_drawable(now_s));
        let mut keys: Vec<_> = drawable.collect();
        keys.sort_by_key(|key| {
            let purpose = key.purpose();
            let preference = TokenType::ALL.iter().position(|t| *t == purpose.token_type);
            (purpose.epoch, purpose.class, preference)
        });
        let listed = keys.into_iter().map(|key| {
            let purpose = key.purpose();
            ListedKey {
                type_code: purpose.token_type.code(),
                public_key: key.public_key().to_vec(),
                not_before_s: Some(purpose.epoch.start_s()),
                terms: Some(KeyTerms {
                    class: purpose.class,
                    epoch: purpose.epoch,
                }),
            }
        });
        Directory {
            issuer_request_uri: issuer_request_uri.into(),
            keys: listed.collect(),
        }
    }
}

impl Directory {
    /// The key that a request of a type and truncated id means.
    pub fn find(&self, token_type: TokenType, truncated_key_id: u8) -> Option<&ListedKey> {
        self.keys.iter().find(|key| {
            key.token_type() == Some(token_type) && key.id().truncated() == truncated_key_id
        })
    }

    /// The key of a class, type and epoch that runs at a time.
    pub fn key_at(
        &self,
        class: TokenClass,
        token_type: TokenType,
        time_s: u64,
    ) -> Option<&ListedKey> {
        self.keys.iter().find(|key| {
            let fits = |terms: KeyTerms| terms.class == class && terms.epoch.contains(time_s);
            key.token_type() == Some(token_type) && key.terms.is_some_and(fits)
        })
    }

    /// The JSON document.
    pub fn to_json(&self) -> String {
        let written = Written {
            issuer_request_uri: self.issuer_request_uri.clone(),
            token_keys: self.keys.iter().map(WrittenKey::from).collect(),
        };
        // The form has string keys and numbers alone, so writing it cannot fail.
        serde_json::to_string(&written).unwrap_or_default()
    }
}

/// Reads a directory of at most 64 KiB and 64 keys. Unknown members are ignored; so are the terms of a
/// key whose class is not known here or whose epoch is none.
pub fn parse_directory(json: &[u8]) -> Result<Directory, DirectoryRefused> {
    if json.len() > MAX_TOKEN_DIRECTORY_BYTES {
        return Err(DirectoryRefused);
    }
    let written: Written = serde_json::from_slice(json).map_err(|_| DirectoryRefused)?;
    if written.token_keys.len() > MAX_TOKEN_DIRECTORY_KEYS {
        return Err(DirectoryRefused);
    }
    let keys = written.token_keys.into_iter().map(ListedKey::try_from);
    Ok(Directory {
        issuer_request_uri: written.issuer_request_uri,
        keys: keys.collect::<Result<_, _>>()?,
    })
}

#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(rename = "issuer-request-uri")]
    issuer_request_uri: String,
    #[serde(rename = "token-keys")]
    token_keys: Vec<WrittenKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenKey {
    token_type: u16,
    token_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sordino_class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sordino_epoch: Option<u64>,
}

impl From<&ListedKey> for WrittenKey {
    fn from(key: &ListedKey) -> Self {
        let terms = key.terms.as_ref();
        Self {
            token_type: key.type_code,
            token_key: base64url::write(&key.public_key),
            not_before: key.not_before_s,
            not_after: terms.map(|terms| terms.epoch.end_s()),
            sordino_class: terms.map(|terms| terms.class.name().to_owned()),
            sordino_epoch: terms.map(|terms| terms.epoch.number()),
        }
    }
}

impl TryFrom<WrittenKey> for ListedKey {
    type Error = DirectoryRefused;

    fn try_from(written: WrittenKey) -> Result<Self, DirectoryRefused> {
        Ok(Self {
            type_code: written.token_type,
            public_key: base64url::read(&written.token_key).ok_or(DirectoryRefused)?,
            not_before_s: written.not_before,
            terms: read_terms(&written),
        })
    }
}

fn read_terms(written: &WrittenKey) -> Option<KeyTerms> {
    let class = TokenClass::from_name(written.sordino_class.as_deref()?)?;
    let epoch = Epoch::new(
        written.sordino_epoch?,
        written.not_before?,
        written.not_after?,
    )?;
    Some(KeyTerms { class, epoch })
}
