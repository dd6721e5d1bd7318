//! Owns what a provider derives from a handle: the key of its records' inner layer, and the entry
//! that it shows for a handle that nobody has (design page 5).
//!
//! Invariant: both are the same each time, whatever happens to the operator key, and nobody without
//! the index key can tell such an entry from a real one.

use crate::{CryptoError, HpkePrivateKey, IndexKey, LayerKey, SigningKey, make_connection_key};
use sordino_wire::{AccountEntry, Domain, Handle, encode};

impl IndexKey {
    /// `Expand(index_key, "account layer", {handle}, 32)`: without the handle, the operator's keys
    /// do not open the records of its account.
    pub fn account_layer(&self, handle: &Handle) -> Result<LayerKey, CryptoError> {
        Ok(LayerKey::new(
            self.derive("account layer", &encode(handle)?)?,
        ))
    }

    /// The entry of a handle that nobody has: the keys are
    /// `Expand(index_key, "decoy account key" / "decoy connection key", {handle}, 32)`.
    pub fn decoy_entry(
        &self,
        domain: &Domain,
        handle: &Handle,
    ) -> Result<AccountEntry, CryptoError> {
        let context = encode(handle)?;
        let seed = self.derive("decoy account key", &context)?;
        let account_key = SigningKey::from_seed(seed.expose());
        let private = self.derive("decoy connection key", &context)?;
        let hpke_key = HpkePrivateKey::from_bytes(private.expose())?.public()?;
        let connection_key = make_connection_key(&handle.uri(domain)?, &account_key, &hpke_key)?;
        Ok(AccountEntry {
            account_key: account_key.public(),
            connection_key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_connection_key;
    use crate::testing::{domain, secret};

    fn handle(text: &str) -> Handle {
        Handle::new(text).unwrap()
    }

    #[test]
    fn a_decoy_is_valid_stable_and_differs_by_handle_and_provider() {
        let entry = |key: u8, name: &str| {
            let index = IndexKey::new(secret(key));
            index.decoy_entry(&domain(), &handle(name)).unwrap()
        };
        let alice = entry(1, "alice");
        assert_eq!(alice, entry(1, "alice"));
        let user = handle("alice").uri(&domain()).unwrap();
        let checked = check_connection_key(&user, &alice.account_key, &alice.connection_key);
        assert_eq!(checked, Ok(()));
        for other in [entry(1, "bob"), entry(2, "alice")] {
            assert_ne!(alice.account_key, other.account_key);
            assert_ne!(alice.connection_key.hpke_key, other.connection_key.hpke_key);
        }
    }

    #[test]
    fn layers_differ_by_handle_and_provider() {
        let layer = |key: u8, name: &str| {
            let index = IndexKey::new(secret(key));
            index.account_layer(&handle(name)).unwrap()
        };
        assert_eq!(layer(1, "alice"), layer(1, "alice"));
        assert_ne!(layer(1, "alice"), layer(1, "bob"));
        assert_ne!(layer(1, "alice"), layer(2, "alice"));
    }
}
