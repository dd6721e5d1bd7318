//! Owns what an account key certifies beside devices (design page 5): the connection key, the
//! account key's own successor, and the end of the account.
//!
//! Invariant: each statement names the user, so that none serves another one.

use crate::CryptoError;
use crate::signature::{SigningKey, verify, verify_struct};
use sordino_wire::{
    ACCOUNT_KEY_CHANGE_LABEL, AccountKeyChange, AccountKeyChangeTbs, CONNECTION_KEY_LABEL,
    ConnectionKeyTbs, HpkeKey, IdentifierUri, Nonce, SignatureBytes, SignatureKey,
    SignedConnectionKey,
};

const DELETE_ACCOUNT_LABEL: &str = "DeleteAccount";
/// Bytes of an X25519 public key.
const HPKE_KEY_BYTES: usize = 32;

/// A connection key, certified by the account key.
pub fn make_connection_key(
    user: &IdentifierUri,
    account_key: &SigningKey,
    hpke_key: &HpkeKey,
) -> Result<SignedConnectionKey, CryptoError> {
    let tbs = ConnectionKeyTbs {
        user: user.clone(),
        account_key: account_key.public(),
        hpke_key: hpke_key.clone(),
    };
    let signature = account_key.sign_struct(CONNECTION_KEY_LABEL, &tbs)?;
    Ok(SignedConnectionKey {
        hpke_key: tbs.hpke_key,
        signature,
    })
}

/// Checks that a connection key is one, and that the account key certifies it for the user.
pub fn check_connection_key(
    user: &IdentifierUri,
    account_key: &SignatureKey,
    connection_key: &SignedConnectionKey,
) -> Result<(), CryptoError> {
    if connection_key.hpke_key.as_slice().len() != HPKE_KEY_BYTES {
        return Err(CryptoError::Length);
    }
    let tbs = ConnectionKeyTbs {
        user: user.clone(),
        account_key: account_key.clone(),
        hpke_key: connection_key.hpke_key.clone(),
    };
    let signature = &connection_key.signature;
    verify_struct(account_key, CONNECTION_KEY_LABEL, &tbs, signature)
}

/// The old account key names its successor, and the successor agrees.
pub fn make_account_key_change(
    user: &IdentifierUri,
    old_key: &SigningKey,
    new_key: &SigningKey,
) -> Result<AccountKeyChange, CryptoError> {
    let tbs = AccountKeyChangeTbs {
        user: user.clone(),
        old_key: old_key.public(),
        new_key: new_key.public(),
    };
    Ok(AccountKeyChange {
        old_signature: old_key.sign_struct(ACCOUNT_KEY_CHANGE_LABEL, &tbs)?,
        new_signature: new_key.sign_struct(ACCOUNT_KEY_CHANGE_LABEL, &tbs)?,
        user: tbs.user,
        old_key: tbs.old_key,
        new_key: tbs.new_key,
    })
}

/// Checks both signatures. Whether the old key is the user's is for the caller.
pub fn check_account_key_change(change: &AccountKeyChange) -> Result<(), CryptoError> {
    let tbs = AccountKeyChangeTbs {
        user: change.user.clone(),
        old_key: change.old_key.clone(),
        new_key: change.new_key.clone(),
    };
    let label = ACCOUNT_KEY_CHANGE_LABEL;
    verify_struct(&change.old_key, label, &tbs, &change.old_signature)?;
    verify_struct(&change.new_key, label, &tbs, &change.new_signature)
}

/// The account key agrees to the account's end in one request.
pub fn make_account_deletion(
    account_key: &SigningKey,
    nonce: &Nonce,
) -> Result<SignatureBytes, CryptoError> {
    account_key.sign(DELETE_ACCOUNT_LABEL, &nonce.0)
}

/// Checks that the account key agreed to the account's end in the request of this nonce.
pub fn check_account_deletion(
    account_key: &SignatureKey,
    nonce: &Nonce,
    signature: &SignatureBytes,
) -> Result<(), CryptoError> {
    verify(account_key, DELETE_ACCOUNT_LABEL, &nonce.0, signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpke_generate;
    use crate::testing::{rng, uri};

    const REFUSED: Result<(), CryptoError> = Err(CryptoError::Signature);

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_seed(&[byte; 32])
    }

    fn alice() -> IdentifierUri {
        uri("mimi://hub.example/u/alice")
    }

    fn bob() -> IdentifierUri {
        uri("mimi://hub.example/u/bob")
    }

    #[test]
    fn a_connection_key_is_certified_for_one_user_by_one_key() {
        let (_, hpke_key) = hpke_generate(&mut rng()).unwrap();
        let made = make_connection_key(&alice(), &key(1), &hpke_key).unwrap();
        let check = |user: IdentifierUri, byte, made: &SignedConnectionKey| {
            check_connection_key(&user, &key(byte).public(), made)
        };
        assert_eq!(check(alice(), 1, &made), Ok(()));
        assert_eq!(check(bob(), 1, &made), REFUSED);
        assert_eq!(check(alice(), 2, &made), REFUSED);
        let mut other = made.clone();
        other.hpke_key = HpkeKey::new([9; 32]).unwrap();
        assert_eq!(check(alice(), 1, &other), REFUSED);
        let short = HpkeKey::new([9; 31]).unwrap();
        let short = make_connection_key(&alice(), &key(1), &short).unwrap();
        assert_eq!(check(alice(), 1, &short), Err(CryptoError::Length));
    }

    #[test]
    fn a_change_needs_both_keys_and_one_user() {
        let change = make_account_key_change(&alice(), &key(1), &key(2)).unwrap();
        assert_eq!(check_account_key_change(&change), Ok(()));
        let forged = |change: &dyn Fn(&mut AccountKeyChange)| {
            let mut forged = make_account_key_change(&alice(), &key(1), &key(2)).unwrap();
            change(&mut forged);
            check_account_key_change(&forged)
        };
        assert_eq!(forged(&|c| c.user = bob()), REFUSED);
        assert_eq!(forged(&|c| c.old_key = key(3).public()), REFUSED);
        assert_eq!(forged(&|c| c.new_key = key(3).public()), REFUSED);
        let swapped = |c: &mut AccountKeyChange| {
            std::mem::swap(&mut c.old_signature, &mut c.new_signature);
        };
        assert_eq!(forged(&swapped), REFUSED);
    }

    #[test]
    fn an_end_is_agreed_to_once() {
        let signature = make_account_deletion(&key(1), &Nonce([1; 16])).unwrap();
        let check = |byte, nonce| {
            check_account_deletion(&key(byte).public(), &Nonce([nonce; 16]), &signature)
        };
        assert_eq!(check(1, 1), Ok(()));
        assert_eq!(check(1, 2), REFUSED);
        assert_eq!(check(2, 1), REFUSED);
    }
}
