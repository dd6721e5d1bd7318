//! Owns real identities: client credentials, identity links and the entries that seal them
//! (design page 2.3).
//!
//! Invariant: a link opens with `ilwk_g` alone and is believed only together with the pseudonymous
//! credential that it signs. The hub never has these keys.

use crate::CryptoError;
use crate::aead::OneTimeKey;
use crate::generation::WrapperKey;
use crate::labels::sha256;
use crate::signature::{SigningKey, verify, verify_struct};
use sordino_wire::limits::IDENTITY_LINK_BYTES;
use sordino_wire::{
    Bytes, ClientCredential, ClientCredentialTbs, Digest, GroupId, IdentifierUri, IdentityEntry,
    IdentityEntryContext, IdentityLink, PseudonymousCredential, Salt, encode,
};
use tls_codec::DeserializeBytes as _;

const CREDENTIAL_LABEL: &str = "ClientCredential";
const LINK_LABEL: &str = "IdentityLink";
const ENTRY_LABEL: &str = "identity entry";

/// A device's real credential, certified by its user's account.
pub fn make_client_credential(
    user: &IdentifierUri,
    client: &IdentifierUri,
    client_key: &SigningKey,
    account_key: &SigningKey,
) -> Result<ClientCredential, CryptoError> {
    let tbs = ClientCredentialTbs {
        user: user.clone(),
        client: client.clone(),
        signature_key: client_key.public(),
        account_key: account_key.public(),
    };
    let account_signature = account_key.sign_struct(CREDENTIAL_LABEL, &tbs)?;
    Ok(ClientCredential {
        user: tbs.user,
        client: tbs.client,
        signature_key: tbs.signature_key,
        account_key: tbs.account_key,
        account_signature,
    })
}

/// Checks the account's signature. Whether the account key is the user's is for the caller.
pub fn check_client_credential(credential: &ClientCredential) -> Result<(), CryptoError> {
    let tbs = ClientCredentialTbs {
        user: credential.user.clone(),
        client: credential.client.clone(),
        signature_key: credential.signature_key.clone(),
        account_key: credential.account_key.clone(),
    };
    verify_struct(
        &credential.account_key,
        CREDENTIAL_LABEL,
        &tbs,
        &credential.account_signature,
    )
}

/// Ties a pseudonymous credential to a real one.
pub fn make_identity_link(
    client_key: &SigningKey,
    client_credential: &ClientCredential,
    credential: &PseudonymousCredential,
) -> Result<IdentityLink, CryptoError> {
    let hash = credential_hash(credential)?;
    Ok(IdentityLink {
        signature: client_key.sign_struct(LINK_LABEL, &hash)?,
        client_credential: client_credential.clone(),
    })
}

/// Checks both signatures of a link: by the client over the pseudonymous credential, by the account
/// over the client credential.
pub fn check_identity_link(
    link: &IdentityLink,
    credential: &PseudonymousCredential,
) -> Result<(), CryptoError> {
    check_client_credential(&link.client_credential)?;
    let hash = credential_hash(credential)?;
    verify(
        &link.client_credential.signature_key,
        LINK_LABEL,
        &hash.0,
        &link.signature,
    )
}

/// Seals a link for the group's roster. `salt` is fresh and random.
pub fn seal_identity_entry(
    wrapper_key: &WrapperKey,
    generation: u64,
    group_id: GroupId,
    credential: &PseudonymousCredential,
    link: &IdentityLink,
    salt: Salt,
) -> Result<IdentityEntry, CryptoError> {
    let mut plaintext = encode(link)?;
    if plaintext.len() > IDENTITY_LINK_BYTES {
        return Err(CryptoError::Length);
    }
    plaintext.resize(IDENTITY_LINK_BYTES, 0);
    let key = entry_key(wrapper_key, group_id, credential, salt)?;
    Ok(IdentityEntry {
        generation,
        salt,
        ciphertext: Bytes::new(key.seal(b"", &plaintext)?)?,
    })
}

/// Opens an entry and checks the link against the credential of its leaf.
pub fn open_identity_entry(
    wrapper_key: &WrapperKey,
    group_id: GroupId,
    credential: &PseudonymousCredential,
    entry: &IdentityEntry,
) -> Result<IdentityLink, CryptoError> {
    let key = entry_key(wrapper_key, group_id, credential, entry.salt)?;
    let plaintext = key.open(b"", entry.ciphertext.as_slice())?;
    let (link, padding) = IdentityLink::tls_deserialize_bytes(&plaintext)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(CryptoError::Padding);
    }
    check_identity_link(&link, credential)?;
    Ok(link)
}

fn credential_hash(credential: &PseudonymousCredential) -> Result<Digest, CryptoError> {
    Ok(sha256(&encode(credential)?))
}

fn entry_key(
    wrapper_key: &WrapperKey,
    group_id: GroupId,
    credential: &PseudonymousCredential,
    salt: Salt,
) -> Result<OneTimeKey, CryptoError> {
    let context = encode(&IdentityEntryContext {
        group_id,
        credential_hash: credential_hash(credential)?,
        salt,
    })?;
    OneTimeKey::derive(wrapper_key.secret().expose(), ENTRY_LABEL, &context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        client_credential, client_key, client_secret, credential, domain, flips, group_id, secret,
        set_slot, uri, user_secret,
    };

    fn link() -> IdentityLink {
        make_identity_link(&client_key(), &client_credential(), &credential()).unwrap()
    }

    fn wrapper() -> WrapperKey {
        WrapperKey::new(secret(4))
    }

    fn entry() -> IdentityEntry {
        let salt = Salt([6; 16]);
        seal_identity_entry(&wrapper(), 2, group_id(), &credential(), &link(), salt).unwrap()
    }

    fn other_credential() -> PseudonymousCredential {
        let (user, client) = (user_secret(), client_secret());
        crate::make_credential(&domain(), &user, &client, &set_slot(), 0).unwrap()
    }

    /// An entry whose key is right and whose contents are anything.
    fn entry_of(plaintext: &[u8]) -> IdentityEntry {
        let salt = Salt([6; 16]);
        let key = entry_key(&wrapper(), group_id(), &credential(), salt).unwrap();
        let ciphertext = Bytes::new(key.seal(b"", plaintext).unwrap()).unwrap();
        IdentityEntry {
            generation: 2,
            salt,
            ciphertext,
        }
    }

    #[test]
    fn an_entry_opens_for_its_leaf() {
        let opened = open_identity_entry(&wrapper(), group_id(), &credential(), &entry());
        assert_eq!(opened, Ok(link()));
    }

    #[test]
    fn an_entry_opens_nowhere_else() {
        let refused = Err(CryptoError::Decrypt);
        let other = WrapperKey::new(secret(5));
        let open = open_identity_entry;
        assert_eq!(open(&other, group_id(), &credential(), &entry()), refused);
        assert_eq!(
            open(&wrapper(), GroupId([1; 16]), &credential(), &entry()),
            refused
        );
        assert_eq!(
            open(&wrapper(), group_id(), &other_credential(), &entry()),
            refused
        );
        let mut salted = entry();
        salted.salt = Salt([7; 16]);
        assert_eq!(
            open(&wrapper(), group_id(), &credential(), &salted),
            refused
        );
        for flipped in flips(entry().ciphertext.as_slice()) {
            let mut damaged = entry();
            damaged.ciphertext = Bytes::new(flipped).unwrap();
            assert_eq!(
                open(&wrapper(), group_id(), &credential(), &damaged),
                refused
            );
        }
    }

    #[test]
    fn padding_is_zero_and_contents_are_a_link() {
        let mut plaintext = encode(&link()).unwrap();
        plaintext.resize(IDENTITY_LINK_BYTES, 0);
        let open = |entry: &IdentityEntry| {
            open_identity_entry(&wrapper(), group_id(), &credential(), entry)
        };
        assert_eq!(open(&entry_of(&plaintext)), Ok(link()));
        plaintext[IDENTITY_LINK_BYTES - 1] = 1;
        assert_eq!(open(&entry_of(&plaintext)), Err(CryptoError::Padding));
        let nothing = entry_of(&[0; IDENTITY_LINK_BYTES]);
        assert_eq!(open(&nothing), Err(CryptoError::Encoding));
    }

    #[test]
    fn a_link_to_another_credential_is_refused() {
        let refused = Err(CryptoError::Signature);
        assert_eq!(check_identity_link(&link(), &other_credential()), refused);
        let foreign = make_identity_link(&client_key(), &client_credential(), &other_credential());
        let salt = Salt([6; 16]);
        let entry = seal_identity_entry(
            &wrapper(),
            2,
            group_id(),
            &credential(),
            &foreign.unwrap(),
            salt,
        );
        let opened = open_identity_entry(&wrapper(), group_id(), &credential(), &entry.unwrap());
        assert_eq!(opened, Err(CryptoError::Signature));
    }

    #[test]
    fn a_link_by_another_key_is_refused() {
        let thief = SigningKey::from_seed(&[99; 32]);
        let link = make_identity_link(&thief, &client_credential(), &credential()).unwrap();
        let refused = Err(CryptoError::Signature);
        assert_eq!(check_identity_link(&link, &credential()), refused);
    }

    #[test]
    fn every_field_of_a_client_credential_is_signed() {
        let refused = Err(CryptoError::Signature);
        assert_eq!(check_client_credential(&client_credential()), Ok(()));
        let other = SigningKey::from_seed(&[98; 32]).public();
        let mut changed = client_credential();
        changed.user = uri("mimi://hub.example/u/mallory");
        assert_eq!(check_client_credential(&changed), refused);
        let mut changed = client_credential();
        changed.client = uri("mimi://hub.example/d/mallory");
        assert_eq!(check_client_credential(&changed), refused);
        let mut changed = client_credential();
        changed.signature_key = other.clone();
        assert_eq!(check_client_credential(&changed), refused);
        let mut changed = client_credential();
        changed.account_key = other;
        assert_eq!(check_client_credential(&changed), refused);
        let mut changed = link();
        changed.client_credential.user = uri("mimi://hub.example/u/mallory");
        assert_eq!(check_identity_link(&changed, &credential()), refused);
    }

    #[test]
    fn an_entry_takes_what_fits_to_the_last_byte() {
        let device = uri(&format!("mimi://hub.example/d/{}", "a".repeat(100)));
        let account = SigningKey::from_seed(&[12; 32]);
        let mut was_full = false;
        for letters in 1..=200 {
            let user = uri(&format!("mimi://hub.example/u/{}", "a".repeat(letters)));
            let asker = make_client_credential(&user, &device, &client_key(), &account).unwrap();
            let link = make_identity_link(&client_key(), &asker, &credential()).unwrap();
            let bytes = encode(&link).unwrap().len();
            let salt = Salt([6; 16]);
            let sealed = seal_identity_entry(&wrapper(), 2, group_id(), &credential(), &link, salt);
            assert_eq!(sealed.is_ok(), bytes <= IDENTITY_LINK_BYTES, "{bytes}");
            if bytes == IDENTITY_LINK_BYTES {
                let entry = sealed.unwrap();
                let opened = open_identity_entry(&wrapper(), group_id(), &credential(), &entry);
                assert_eq!(opened, Ok(link));
                was_full = true;
            }
        }
        assert!(was_full);
    }

    #[test]
    fn names_that_do_not_fit_an_entry_are_refused() {
        let long = uri(&format!("mimi://hub.example/u/{}", "a".repeat(200)));
        let account = SigningKey::from_seed(&[12; 32]);
        let big = make_client_credential(&long, &long, &client_key(), &account).unwrap();
        let link = make_identity_link(&client_key(), &big, &credential()).unwrap();
        let salt = Salt([6; 16]);
        let sealed = seal_identity_entry(&wrapper(), 2, group_id(), &credential(), &link, salt);
        assert_eq!(sealed, Err(CryptoError::Length));
    }
}
