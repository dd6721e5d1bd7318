//! Owns the identifiers of the wire: group ids, locators, streams, inboxes, domains, URIs.
//!
//! Invariant: `Debug` prints the type and nothing of the value, so none reaches a log by accident.

use crate::bytes::Bytes;
use crate::limits::{MAX_DOMAIN_BYTES, MAX_PUBLIC_KEY_BYTES, MAX_SIGNATURE_BYTES, MAX_URI_BYTES};
use std::io::Write;
use tls_codec::{
    DeserializeBytes, Error, Serialize, Size, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $size:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, TlsSerialize, TlsSize,
            TlsDeserializeBytes,
        )]
        pub struct $name(pub [u8; $size]);

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
    };
}

id!(
    /// A group id: 16 random bytes chosen by the creator (design page 3.2).
    GroupId, 16
);
id!(
    /// Where a record of a group is, in one generation: 16 B (design page 2.4).
    Locator, 16
);
id!(
    /// A stream of one group, generation and provider: 16 B (design page 3.4).
    StreamId, 16
);
id!(
    /// An inbox: the first 16 bytes of the SHA-256 of its secret.
    InboxId, 16
);
id!(
    /// A request's nonce: 16 random bytes.
    Nonce, 16
);
id!(
    /// A salt: 16 bytes.
    Salt, 16
);
id!(
    /// A SHA-256 digest: 32 bytes.
    Digest, 32
);

/// A public signature key.
pub type SignatureKey = Bytes<1, MAX_PUBLIC_KEY_BYTES>;
/// A signature.
pub type SignatureBytes = Bytes<1, MAX_SIGNATURE_BYTES>;
/// An HPKE public key.
pub type HpkeKey = Bytes<1, MAX_PUBLIC_KEY_BYTES>;

/// `struct { opaque uri<V>; } IdentifierUri` of draft-ietf-mimi-protocol, UTF-8, 1 to 255 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentifierUri(String);

impl IdentifierUri {
    /// Takes a URI of bounded length.
    pub fn new(uri: impl Into<String>) -> Result<Self, crate::bytes::OutOfBounds> {
        let uri = uri.into();
        if uri.is_empty() || uri.len() > MAX_URI_BYTES {
            return Err(crate::bytes::OutOfBounds);
        }
        Ok(Self(uri))
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for IdentifierUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentifierUri(..)")
    }
}

/// A provider's domain: lower-case letters, digits, `-`, `.` and an optional `:port`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(String);

impl Domain {
    /// Takes a domain name. Upper case, other characters, empty labels and ports that are not
    /// written as plain numbers are refused, so that one place has one spelling.
    pub fn new(domain: impl Into<String>) -> Result<Self, crate::bytes::OutOfBounds> {
        let domain = domain.into();
        let (host, port) = match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain.as_str(), None),
        };
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let label_fits = |label: &str| !label.is_empty() && label.bytes().all(allowed);
        let port_fits = |port: &str| port.parse::<u16>().is_ok_and(|n| n.to_string() == port);
        if domain.len() > MAX_DOMAIN_BYTES
            || !host.split('.').all(label_fits)
            || !port.is_none_or(port_fits)
        {
            return Err(crate::bytes::OutOfBounds);
        }
        Ok(Self(domain))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Domain(..)")
    }
}

macro_rules! text_codec {
    ($name:ident, $max:expr) => {
        impl Size for $name {
            fn tls_serialized_len(&self) -> usize {
                tls_codec::VLByteSlice(self.0.as_bytes()).tls_serialized_len()
            }
        }
        impl Serialize for $name {
            fn tls_serialize<W: Write>(&self, writer: &mut W) -> Result<usize, Error> {
                tls_codec::VLByteSlice(self.0.as_bytes()).tls_serialize(writer)
            }
        }
        impl DeserializeBytes for $name {
            fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
                let (raw, rest) = Bytes::<1, { $max }>::tls_deserialize_bytes(bytes)?;
                let text = String::from_utf8(raw.into_vec())
                    .map_err(|_| Error::DecodingError("not UTF-8".into()))?;
                let value =
                    Self::new(text).map_err(|_| Error::DecodingError("not allowed".into()))?;
                Ok((value, rest))
            }
        }
    };
}
text_codec!(IdentifierUri, MAX_URI_BYTES);
text_codec!(Domain, MAX_DOMAIN_BYTES);
