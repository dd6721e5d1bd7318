//! Owns the names of inboxes and the sealing of what is delivered into them (design page 3.4).
//!
//! Invariant: a delivery opens with the inbox's private key, for that inbox alone.

use crate::hpke::labelled_info;
use crate::labels::truncate;
use crate::padding::{PadClass, pad, unpad};
use crate::{CryptoError, hpke_open, hpke_seal, sha256};
use rand_core::RngCore;
use sordino_wire::{HpkeCiphertext, HpkeKey, InboxDelivery, InboxId, Secret32, encode, exact};
use tls_codec::{TlsSerialize, TlsSize};

const LABEL: &str = "inbox delivery";

/// Context of a delivery.
#[derive(TlsSerialize, TlsSize)]
struct InboxContext {
    inbox_id: InboxId,
}

/// `SHA-256(inbox_secret)[0..16]`.
pub fn inbox_id(secret: &Secret32) -> InboxId {
    // 16 bytes are there.
    InboxId(truncate(&sha256(secret.expose()).0).unwrap_or_default())
}

/// Seals a delivery to the inbox's key, padded.
pub fn seal_inbox_delivery(
    inbox_key: &HpkeKey,
    inbox_id: InboxId,
    delivery: &InboxDelivery,
    rng: &mut dyn RngCore,
) -> Result<HpkeCiphertext, CryptoError> {
    let info = labelled_info(LABEL, &encode(&InboxContext { inbox_id })?)?;
    let padded = pad(&encode(delivery)?, PadClass::Padme)?;
    hpke_seal(inbox_key.as_slice(), &info, b"", &padded, rng)
}

/// Opens a delivery with the inbox's private key.
pub fn open_inbox_delivery(
    private_key: &[u8],
    inbox_id: InboxId,
    sealed: &HpkeCiphertext,
) -> Result<InboxDelivery, CryptoError> {
    let info = labelled_info(LABEL, &encode(&InboxContext { inbox_id })?)?;
    let padded = hpke_open(private_key, &info, b"", sealed)?;
    Ok(exact(unpad(&padded)?)?)
}
