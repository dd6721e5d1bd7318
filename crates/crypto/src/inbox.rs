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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpke_generate;
    use crate::testing::{rng, secret};
    use sordino_wire::{Bytes, Digest};

    fn delivery() -> InboxDelivery {
        InboxDelivery::KeyAnswer {
            question: Digest([1; 32]),
            key_object: Bytes::new(vec![2; 100]).unwrap(),
        }
    }

    #[test]
    fn a_delivery_opens_in_its_inbox_alone() {
        let (private, public) = hpke_generate(&mut rng()).unwrap();
        let id = inbox_id(&secret(1));
        let sealed = seal_inbox_delivery(&public, id, &delivery(), &mut rng()).unwrap();
        assert_eq!(sealed.ciphertext.as_slice().len(), 512 + 16);
        let opened = open_inbox_delivery(private.expose(), id, &sealed);
        assert_eq!(opened, Ok(delivery()));
        let refused = Err(CryptoError::Decrypt);
        let other = inbox_id(&secret(2));
        assert_eq!(
            open_inbox_delivery(private.expose(), other, &sealed),
            refused
        );
        assert_eq!(open_inbox_delivery(&[1; 32], id, &sealed), refused);
    }

    #[test]
    fn contents_are_one_delivery_with_zero_padding() {
        let (private, public) = hpke_generate(&mut rng()).unwrap();
        let id = inbox_id(&secret(1));
        let info = labelled_info(LABEL, &encode(&InboxContext { inbox_id: id }).unwrap()).unwrap();
        let open = |plaintext: &[u8]| {
            let sealed = hpke_seal(public.as_slice(), &info, b"", plaintext, &mut rng()).unwrap();
            open_inbox_delivery(private.expose(), id, &sealed)
        };
        let mut padded = pad(&encode(&delivery()).unwrap(), PadClass::Padme).unwrap();
        assert_eq!(open(&padded), Ok(delivery()));
        padded[511] = 1;
        assert_eq!(open(&padded), Err(CryptoError::Padding));
        let nothing = pad(b"", PadClass::Padme).unwrap();
        assert_eq!(open(&nothing), Err(CryptoError::Encoding));
    }

    #[test]
    fn an_inbox_is_named_by_a_hash() {
        assert_eq!(inbox_id(&secret(1)).0, sha256(&[1; 32]).0[..16]);
    }
}
