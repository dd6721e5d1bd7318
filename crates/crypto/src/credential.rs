//! Owns making and checking pseudonymous credentials (design page 2.2).
//!
//! Invariant: what passes is self-certifying: nobody without `usk_s` can make a credential with
//! that user pseudonym. Hub and clients run the same check.

use crate::CryptoError;
use crate::signature::verify_struct;
use crate::user::{ClientSecret, Slot, UserSecret, user_pseudonym};
use sordino_wire::{
    CredentialRule, Domain, IdentifierUri, PseudonymousCredential, PseudonymousCredentialTbs,
};

const LABEL: &str = "PseudonymousCredential";

/// The credential of one device in one slot.
pub fn make_credential(
    domain: &Domain,
    user_secret: &UserSecret,
    client_secret: &ClientSecret,
    slot: &Slot,
    rotation: u32,
) -> Result<PseudonymousCredential, CryptoError> {
    let user_key = user_secret.user_auth_key(slot)?;
    let tbs = PseudonymousCredentialTbs {
        client_pseudonym: client_secret.client_pseudonym(domain, slot)?,
        user_pseudonym: user_pseudonym(domain, &user_key.public())?,
        signature_key: client_secret.leaf_key(slot, rotation)?.public(),
        user_auth_key: user_key.public(),
    };
    let user_auth_signature = user_key.sign_struct(LABEL, &tbs)?;
    Ok(PseudonymousCredential {
        client_pseudonym: tbs.client_pseudonym,
        user_pseudonym: tbs.user_pseudonym,
        signature_key: tbs.signature_key,
        user_auth_key: tbs.user_auth_key,
        user_auth_signature,
    })
}

/// Checks what a credential says by itself, against the key of the leaf it stands in.
pub fn check_credential(
    credential: &PseudonymousCredential,
    leaf_signature_key: &[u8],
) -> Result<(), CredentialRule> {
    let client_domain = pseudonym_domain(&credential.client_pseudonym, 'd')?;
    let domain = pseudonym_domain(&credential.user_pseudonym, 'u')?;
    if client_domain != domain {
        return Err(CredentialRule::NotPseudonymous);
    }
    let derived = user_pseudonym(&domain, &credential.user_auth_key);
    if derived.as_ref() != Ok(&credential.user_pseudonym) {
        return Err(CredentialRule::UserPseudonym);
    }
    let tbs = PseudonymousCredentialTbs {
        client_pseudonym: credential.client_pseudonym.clone(),
        user_pseudonym: credential.user_pseudonym.clone(),
        signature_key: credential.signature_key.clone(),
        user_auth_key: credential.user_auth_key.clone(),
    };
    verify_struct(
        &credential.user_auth_key,
        LABEL,
        &tbs,
        &credential.user_auth_signature,
    )
    .map_err(|_| CredentialRule::UserSignature)?;
    if credential.signature_key.as_slice() != leaf_signature_key {
        return Err(CredentialRule::LeafKey);
    }
    Ok(())
}

/// The domain of `mimi://<domain>/<kind>/<uuid, version 8, lower case>`; nothing else passes.
fn pseudonym_domain(uri: &IdentifierUri, kind: char) -> Result<Domain, CredentialRule> {
    let refused = CredentialRule::NotPseudonymous;
    let rest = uri.as_str().strip_prefix("mimi://").ok_or(refused)?;
    let mut parts = rest.split('/');
    let (domain, found, uuid) = (parts.next(), parts.next(), parts.next());
    let mut buffer = [0u8; 4];
    if found != Some(&*kind.encode_utf8(&mut buffer)) || parts.next().is_some() {
        return Err(refused);
    }
    if !uuid.is_some_and(is_uuid_v8) {
        return Err(refused);
    }
    Domain::new(domain.ok_or(refused)?).map_err(|_| refused)
}

fn is_uuid_v8(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'8',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}
