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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{domain, flips, rng, secret};
    use proptest::prelude::*;

    fn key() -> DeliveryKey {
        DeliveryKey::new(secret(1))
    }

    fn message(length: usize) -> DeliveryEvent {
        DeliveryEvent::Message(Bytes::new(vec![1; length]).unwrap())
    }

    fn entry() -> SealedEntry {
        seal_entry(&key(), 60, 3, message(100), &mut rng()).unwrap()
    }

    #[test]
    fn an_entry_opens_to_what_went_in() {
        let delivery = open_entry(&key(), &entry()).unwrap();
        assert_eq!((delivery.time_s, delivery.counter), (60, 3));
        assert_eq!(delivery.event, message(100));
        assert_eq!(entry().ciphertext.as_slice().len(), 512 + 16);
    }

    #[test]
    fn another_key_salt_or_byte_is_refused() {
        let refused = Err(CryptoError::Decrypt);
        assert_eq!(open_entry(&DeliveryKey::new(secret(2)), &entry()), refused);
        let mut salted = entry();
        salted.salt.0[0] ^= 1;
        assert_eq!(open_entry(&key(), &salted), refused);
        for flipped in flips(entry().ciphertext.as_slice()) {
            let mut damaged = entry();
            damaged.ciphertext = Bytes::new(flipped).unwrap();
            assert_eq!(open_entry(&key(), &damaged), refused);
        }
        let bytes = entry().ciphertext.into_vec();
        for length in 1..bytes.len() {
            let mut damaged = entry();
            damaged.ciphertext = Bytes::new(&bytes[..length]).unwrap();
            assert_eq!(open_entry(&key(), &damaged), refused);
        }
    }

    #[test]
    fn padding_of_another_size_is_refused() {
        let delivery = Delivery {
            time_s: 0,
            counter: 0,
            event: DeliveryEvent::Deleted,
            padding: Padding::for_size(3),
        };
        let salt = Salt([1; 16]);
        let plaintext = encode(&delivery).unwrap();
        let ciphertext = entry_key(&key(), salt)
            .unwrap()
            .seal(b"", &plaintext)
            .unwrap();
        let ciphertext = Bytes::new(ciphertext).unwrap();
        let opened = open_entry(&key(), &SealedEntry { salt, ciphertext });
        assert_eq!(opened, Err(CryptoError::Padding));
    }

    #[test]
    fn what_is_no_delivery_is_refused() {
        let salt = Salt([1; 16]);
        let ciphertext = entry_key(&key(), salt)
            .unwrap()
            .seal(b"", &[9; 512])
            .unwrap();
        let ciphertext = Bytes::new(ciphertext).unwrap();
        let opened = open_entry(&key(), &SealedEntry { salt, ciphertext });
        assert_eq!(opened, Err(CryptoError::Encoding));
    }

    #[test]
    fn streams_differ_by_provider_and_generation() {
        let base = stream_id(&key(), &domain()).unwrap();
        let other = Domain::new("other.example").unwrap();
        assert_ne!(stream_id(&key(), &other), Ok(base));
        assert_ne!(stream_id(&DeliveryKey::new(secret(2)), &domain()), Ok(base));
    }

    proptest! {
        #[test]
        fn sizes_are_padded_ones(length in 1usize..20_000) {
            let entry = seal_entry(&key(), 0, 0, message(length), &mut rng()).unwrap();
            let size = entry.ciphertext.as_slice().len() - 16;
            prop_assert_eq!(size, sordino_wire::padding::padded_size(size));
            prop_assert_eq!(open_entry(&key(), &entry).unwrap().event, message(length));
        }
    }
}
