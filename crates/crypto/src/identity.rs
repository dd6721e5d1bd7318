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
