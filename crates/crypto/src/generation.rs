//! Owns the keys of a group's generation and epoch (design page 2.4).
//!
//! Invariant: everything comes from `group_secret_g`; the hub, which gets `ear_key_g` or less, can
//! derive neither it nor the wrapper key of the identity entries. Removed members cannot walk
//! forward: only the next generation's wrapper key opens this one's.

use crate::aead::OneTimeKey;
use crate::labels::{encode_secret, expand, hmac, labelled};
use crate::secret::secret;
use crate::{CryptoError, sha256};
use hmac::Mac as _;
use sordino_wire::{
    Bytes, Digest, GroupId, KeyCheckContent, Locator, PreviousWrapper, REQUEST_LABEL, RequestTbs,
    Secret32, encode,
};
use tls_codec::{TlsSerialize, TlsSize, VLByteSlice};
use zeroize::Zeroizing;

/// Label of the MLS exporter for `group_secret_g`, with [`exporter_group_context`], 32 B.
pub const EXPORTER_GROUP: &str = "Sordino 1.0 group";
/// Label of the MLS exporter for `sender_key_e`, with an empty context, 32 B.
pub const EXPORTER_SENDER: &str = "Sordino 1.0 sender";

/// Context of the MLS exporter for `group_secret_g`: `uint64 g`.
pub fn exporter_group_context(generation: u64) -> [u8; 8] {
    generation.to_be_bytes()
}

secret! {
    /// `group_secret_g`: members alone.
    GroupSecret;
    /// `ear_key_g`: opens every record of the group, at the hub for the time of a request.
    EarKey;
    /// Opens the head.
    HeadKey;
    /// Opens tree and deltas.
    TreeKey;
    /// Opens the roster.
    RosterKey;
    /// Opens pending proposals and kept snapshots.
    PendingKey;
    /// Opens the records kept for a rekey.
    PreviousKey;
    /// Names and seals the generation's streams; stands inside the head.
    DeliveryKey;
    /// `ilwk_g`: opens identity entries; never at a hub.
    WrapperKey;
    /// `sender_key_e`: authorises sends of one epoch.
    SenderKey;
}

impl GroupSecret {
    /// `ear_key_g`.
    pub fn ear_key(&self) -> Result<EarKey, CryptoError> {
        Ok(EarKey::new(self.derive("state at rest", b"")?))
    }

    /// `ilwk_g`.
    pub fn wrapper_key(&self) -> Result<WrapperKey, CryptoError> {
        Ok(WrapperKey::new(self.derive("identity entry wrapper", b"")?))
    }
}

impl EarKey {
    /// `head_key_g`.
    pub fn head_key(&self) -> Result<HeadKey, CryptoError> {
        Ok(HeadKey::new(self.derive("head", b"")?))
    }

    /// `tree_key_g`.
    pub fn tree_key(&self) -> Result<TreeKey, CryptoError> {
        Ok(TreeKey::new(self.derive("tree", b"")?))
    }

    /// `roster_key_g`.
    pub fn roster_key(&self) -> Result<RosterKey, CryptoError> {
        Ok(RosterKey::new(self.derive("roster", b"")?))
    }

    /// `pending_key_g`.
    pub fn pending_key(&self) -> Result<PendingKey, CryptoError> {
        Ok(PendingKey::new(self.derive("pending", b"")?))
    }

    /// `previous_key_g`.
    pub fn previous_key(&self) -> Result<PreviousKey, CryptoError> {
        Ok(PreviousKey::new(self.derive("previous", b"")?))
    }

    /// `delivery_key_g`.
    pub fn delivery_key(&self) -> Result<DeliveryKey, CryptoError> {
        Ok(DeliveryKey::new(self.derive("delivery", b"")?))
    }

    /// Where the record of that name is in this generation.
    pub fn locator(&self, record: &str) -> Result<Locator, CryptoError> {
        let context = encode(&RecordName {
            record: VLByteSlice(record.as_bytes()),
        })?;
        let bytes = expand::<16>(self.secret().expose(), "locator", &context)?;
        Ok(Locator(*bytes))
    }
}

/// Context of a locator.
#[derive(TlsSerialize, TlsSize)]
struct RecordName<'a> {
    record: VLByteSlice<'a>,
}

impl SenderKey {
    /// HMAC-SHA-256 over the labelled request.
    pub fn mac(&self, request: &RequestTbs) -> Result<Digest, CryptoError> {
        let content = encode(request)?;
        let message = encode(&labelled(REQUEST_LABEL, &content))?;
        let mac = hmac(self.secret().expose(), &message)?;
        Ok(Digest(mac.finalize().into_bytes().into()))
    }

    /// Compares in constant time.
    pub fn verify_mac(&self, request: &RequestTbs, mac: &Digest) -> Result<(), CryptoError> {
        let content = encode(request)?;
        let message = encode(&labelled(REQUEST_LABEL, &content))?;
        hmac(self.secret().expose(), &message)?
            .verify_slice(&mac.0)
            .map_err(|_| CryptoError::Mac)
    }
}

/// `keys_hash` of a key check: SHA-256 of [`KeyCheckContent`].
pub fn keys_hash(
    group_id: GroupId,
    epoch: u64,
    ear_key: &EarKey,
    sender_key: &SenderKey,
) -> Result<Digest, CryptoError> {
    let content = KeyCheckContent {
        label: Bytes::new(b"key check")?,
        group_id,
        epoch,
        ear_key: ear_key.secret().duplicate(),
        sender_key: sender_key.secret().duplicate(),
    };
    Ok(sha256(&encode_secret(&content)?))
}

/// Context of a wrapped wrapper key.
#[derive(TlsSerialize, TlsSize)]
struct PreviousWrapperContext {
    group_id: GroupId,
    generation: u64,
}

fn previous_wrapper_key(
    next: &WrapperKey,
    group_id: GroupId,
    generation: u64,
) -> Result<OneTimeKey, CryptoError> {
    let context = encode(&PreviousWrapperContext {
        group_id,
        generation,
    })?;
    OneTimeKey::derive(next.secret().expose(), "previous wrapper", &context)
}

/// Seals `ilwk_g` under `ilwk_{g+1}`; `generation` is g, that of `previous`.
///
/// Key and nonce depend on no salt: one `ilwk_{g+1}` seals one value.
pub fn wrap_previous(
    next: &WrapperKey,
    group_id: GroupId,
    generation: u64,
    previous: &WrapperKey,
) -> Result<PreviousWrapper, CryptoError> {
    let key = previous_wrapper_key(next, group_id, generation)?;
    let ciphertext = key.seal(b"", previous.secret().expose())?;
    Ok(PreviousWrapper {
        generation,
        ciphertext: Bytes::new(ciphertext)?,
    })
}

/// Opens `ilwk_g` with `ilwk_{g+1}`.
pub fn unwrap_previous(
    next: &WrapperKey,
    group_id: GroupId,
    wrapper: &PreviousWrapper,
) -> Result<WrapperKey, CryptoError> {
    let key = previous_wrapper_key(next, group_id, wrapper.generation)?;
    let opened = Zeroizing::new(key.open(b"", wrapper.ciphertext.as_slice())?);
    let bytes: [u8; 32] = opened
        .as_slice()
        .try_into()
        .map_err(|_| CryptoError::Length)?;
    Ok(WrapperKey::new(Secret32::new(bytes)))
}
