//! Owns the names of streams and the sealing of their entries (design page 3.4).
//!
//! Invariant: an entry opens with its generation's delivery key alone, and its size is a padded one.

use crate::CryptoError;
use crate::aead::OneTimeKey;
use crate::generation::DeliveryKey;
use crate::labels::{encode_secret, expand};
use crate::seal::fresh_salt;
use rand_core::RngCore;
use sordino_wire::padding::Padding;
use sordino_wire::{
    Bytes, Delivery, DeliveryEvent, Domain, Salt, SealedEntry, StreamId, encode, exact,
};
use tls_codec::{Size as _, TlsSerialize, TlsSize};
use zeroize::Zeroizing;

/// Context of a stream's name.
#[derive(TlsSerialize, TlsSize)]
struct StreamContext {
    provider: Domain,
}

/// Context of an entry's key.
#[derive(TlsSerialize, TlsSize)]
struct EntryContext {
    salt: Salt,
}

/// The stream of one generation for the readers of one provider.
pub fn stream_id(key: &DeliveryKey, provider: &Domain) -> Result<StreamId, CryptoError> {
    let context = encode(&StreamContext {
        provider: provider.clone(),
    })?;
    Ok(StreamId(*expand::<16>(
        key.secret().expose(),
        "stream",
        &context,
    )?))
}

/// Seals an event for a stream, padded.
pub fn seal_entry(
    key: &DeliveryKey,
    time_s: u64,
    counter: u64,
    event: DeliveryEvent,
    rng: &mut dyn RngCore,
) -> Result<SealedEntry, CryptoError> {
    let mut delivery = Delivery {
        time_s,
        counter,
        event,
        padding: Padding::default(),
    };
    delivery.padding = Padding::for_size(unpadded_size(&delivery));
    let plaintext = encode_secret(&delivery)?;
    let salt = Salt(fresh_salt(key.secret().expose(), &plaintext, rng)?);
    let ciphertext = entry_key(key, salt)?.seal(b"", &plaintext)?;
    Ok(SealedEntry {
        salt,
        ciphertext: Bytes::new(ciphertext)?,
    })
}

/// Opens an entry; padding that the encoder would not have made is refused.
pub fn open_entry(key: &DeliveryKey, entry: &SealedEntry) -> Result<Delivery, CryptoError> {
    let plaintext = entry_key(key, entry.salt)?.open(b"", entry.ciphertext.as_slice())?;
    let plaintext = Zeroizing::new(plaintext);
    let delivery: Delivery = exact(&plaintext)?;
    if delivery.padding != Padding::for_size(unpadded_size(&delivery)) {
        return Err(CryptoError::Padding);
    }
    Ok(delivery)
}

fn unpadded_size(delivery: &Delivery) -> usize {
    let size = delivery.tls_serialized_len();
    size.saturating_sub(delivery.padding.tls_serialized_len())
}

fn entry_key(key: &DeliveryKey, salt: Salt) -> Result<OneTimeKey, CryptoError> {
    OneTimeKey::derive(
        key.secret().expose(),
        "entry",
        &encode(&EntryContext { salt })?,
    )
}
