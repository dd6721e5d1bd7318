//! Owns the operator's key and the index key that blinds the names of records (design page 2.5).
//!
//! Invariant: neither is ever stored in the clear beside the database; the index key outlives
//! rotations of the operator key.

use crate::CryptoError;
use crate::labels::{expand, hmac_bytes, truncate};
use crate::seal::{Address, LayerKey, SALT_BYTES, Space, open_with_header, seal_with_header};
use crate::secret::secret;
use rand_core::RngCore;
use sordino_wire::{Secret32, encode};
use tls_codec::{TlsSerialize, TlsSize, VLByteSlice};
use zeroize::Zeroizing;

pub(crate) const KEY_ID_BYTES: usize = 4;

/// Where the wrapped index key says that it is.
const INDEX_KEY_ADDRESS: Address = Address {
    space: Space::Meta,
    store_key: *b"index key wrap\0\0",
};

secret! {
    /// `operator_key`: a file, a credential or the environment; never in the database.
    OperatorKey;
    /// The index key: random, wrapped under the operator key.
    IndexKey;
}

/// What a store key is the MAC of.
#[derive(TlsSerialize, TlsSize)]
struct IndexContext<'a> {
    space: Space,
    id: VLByteSlice<'a>,
}

impl OperatorKey {
    /// What says which operator key sealed a record.
    pub fn key_id(&self) -> Result<[u8; KEY_ID_BYTES], CryptoError> {
        Ok(*expand::<KEY_ID_BYTES>(
            self.secret().expose(),
            "operator key id",
            b"",
        )?)
    }

    /// The key that wraps window keys.
    pub(crate) fn window_wrap_key(&self) -> Result<LayerKey, CryptoError> {
        Ok(LayerKey::new(self.derive("window key wrap", b"")?))
    }

    fn index_wrap_key(&self) -> Result<LayerKey, CryptoError> {
        Ok(LayerKey::new(self.derive("index key wrap", b"")?))
    }
}

impl IndexKey {
    /// A new one.
    pub fn generate(rng: &mut dyn RngCore) -> Self {
        Self::new(random_secret(rng))
    }

    /// `HMAC-SHA-256(index_key, {space, id})[0..16]`: the name of a record in the store.
    pub fn blind(&self, space: Space, id: &[u8]) -> Result<[u8; 16], CryptoError> {
        truncate(&hmac_bytes(
            self.secret().expose(),
            &index_context(space, id)?,
        )?)
    }

    /// The name of a log in the store, from which the store derives its entries' keys.
    pub fn handle(&self, space: Space, id: &[u8]) -> Result<[u8; 32], CryptoError> {
        let context = index_context(space, id)?;
        Ok(*expand::<32>(
            self.secret().expose(),
            "log handle",
            &context,
        )?)
    }

    /// Seals it under an operator key: `salt || key_id || commitment || ciphertext`.
    pub fn wrap(
        &self,
        operator: &OperatorKey,
        rng: &mut dyn RngCore,
    ) -> Result<Vec<u8>, CryptoError> {
        seal_with_header(
            &operator.index_wrap_key()?,
            &INDEX_KEY_ADDRESS,
            &operator.key_id()?,
            self.secret().expose(),
            rng,
        )
    }

    /// Opens it. With another operator key: [`CryptoError::Commitment`]; try the former ones.
    pub fn unwrap(operator: &OperatorKey, wrapped: &[u8]) -> Result<Self, CryptoError> {
        let opened = open_with_header::<KEY_ID_BYTES>(
            &operator.index_wrap_key()?,
            &INDEX_KEY_ADDRESS,
            wrapped,
        )?;
        let opened = Zeroizing::new(opened);
        if stored_key_id(wrapped) != Some(operator.key_id()?) {
            return Err(CryptoError::Encoding);
        }
        Ok(Self::new(secret_from(&opened)?))
    }
}

fn index_context(space: Space, id: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(encode(&IndexContext {
        space,
        id: VLByteSlice(id),
    })?)
}

/// The key id that stands behind the salt.
pub(crate) fn stored_key_id(sealed: &[u8]) -> Option<[u8; KEY_ID_BYTES]> {
    let after_salt = sealed.get(SALT_BYTES..)?;
    after_salt.first_chunk::<KEY_ID_BYTES>().copied()
}

/// 32 fresh bytes.
pub(crate) fn random_secret(rng: &mut dyn RngCore) -> Secret32 {
    let mut bytes = Zeroizing::new([0u8; 32]);
    rng.fill_bytes(bytes.as_mut_slice());
    Secret32::new(*bytes)
}

/// A secret from exactly 32 bytes.
pub(crate) fn secret_from(bytes: &[u8]) -> Result<Secret32, CryptoError> {
    let bytes = Zeroizing::new(<[u8; 32]>::try_from(bytes).map_err(|_| CryptoError::Length)?);
    Ok(Secret32::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{flips, rng, secret};

    fn index() -> IndexKey {
        IndexKey::new(secret(1))
    }

    fn operator() -> OperatorKey {
        OperatorKey::new(secret(2))
    }

    #[test]
    fn names_depend_on_key_space_and_id() {
        let base = index().blind(Space::Head, b"id").unwrap();
        assert_eq!(index().blind(Space::Head, b"id"), Ok(base));
        assert_ne!(index().blind(Space::Tree, b"id"), Ok(base));
        assert_ne!(index().blind(Space::Head, b"ie"), Ok(base));
        assert_ne!(IndexKey::new(secret(3)).blind(Space::Head, b"id"), Ok(base));
        let handle = index().handle(Space::Head, b"id").unwrap();
        assert_ne!(handle[..16], base);
        assert_ne!(index().handle(Space::Tree, b"id"), Ok(handle));
    }

    #[test]
    fn an_index_key_opens_under_its_operator_key() {
        let wrapped = index().wrap(&operator(), &mut rng()).unwrap();
        assert_eq!(IndexKey::unwrap(&operator(), &wrapped), Ok(index()));
        let other = OperatorKey::new(secret(3));
        let refused = Err(CryptoError::Commitment);
        assert_eq!(IndexKey::unwrap(&other, &wrapped), refused);
    }

    #[test]
    fn a_damaged_index_key_is_refused() {
        let wrapped = index().wrap(&operator(), &mut rng()).unwrap();
        for flipped in flips(&wrapped) {
            assert!(IndexKey::unwrap(&operator(), &flipped).is_err());
        }
        for length in 0..wrapped.len() {
            assert!(IndexKey::unwrap(&operator(), &wrapped[..length]).is_err());
        }
    }

    #[test]
    fn generated_keys_differ() {
        let mut rng = rng();
        assert_ne!(IndexKey::generate(&mut rng), IndexKey::generate(&mut rng));
    }
}
