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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{client_secret, credential, domain, secret, slot, uri, user_secret};
    use crate::{SigningKey, UserSecret};
    use sordino_wire::SignatureKey;

    fn leaf_key() -> SignatureKey {
        client_secret().leaf_key(&slot(), 0).unwrap().public()
    }

    /// Signed by the user key of the fixture over whatever it says.
    fn signed(mut credential: PseudonymousCredential) -> PseudonymousCredential {
        let tbs = PseudonymousCredentialTbs {
            client_pseudonym: credential.client_pseudonym.clone(),
            user_pseudonym: credential.user_pseudonym.clone(),
            signature_key: credential.signature_key.clone(),
            user_auth_key: credential.user_auth_key.clone(),
        };
        let key = user_secret().user_auth_key(&slot()).unwrap();
        credential.user_auth_signature = key.sign_struct(LABEL, &tbs).unwrap();
        credential
    }

    fn check(credential: &PseudonymousCredential) -> Result<(), CredentialRule> {
        check_credential(credential, leaf_key().as_slice())
    }

    #[test]
    fn what_is_made_passes() {
        assert_eq!(check(&credential()), Ok(()));
        assert_eq!(signed(credential()), credential());
    }

    #[test]
    fn nobody_takes_another_users_pseudonym() {
        let mut grafted = credential();
        let thief = UserSecret::new(secret(77));
        let key = thief.user_auth_key(&slot()).unwrap();
        grafted.user_auth_key = key.public();
        assert_eq!(check(&signed(grafted)), Err(CredentialRule::UserPseudonym));
    }

    #[test]
    fn a_pseudonym_of_another_domain_is_another_one() {
        let mut moved = credential();
        let other = moved.client_pseudonym.as_str().replace("hub.", "hub2.");
        moved.client_pseudonym = uri(&other);
        assert_eq!(check(&signed(moved)), Err(CredentialRule::NotPseudonymous));
    }

    #[test]
    fn every_signed_field_is_signed() {
        let refused = Err(CredentialRule::UserSignature);
        let mut other = credential();
        other.client_pseudonym = ClientSecret::new(secret(9))
            .client_pseudonym(&domain(), &slot())
            .unwrap();
        assert_eq!(check(&other), refused);
        let mut other = credential();
        other.signature_key = SigningKey::from_seed(&[1; 32]).public();
        assert_eq!(
            check_credential(&other, other.signature_key.as_slice()),
            refused
        );
        let mut other = credential();
        other.user_auth_signature = user_secret()
            .user_auth_key(&slot())
            .unwrap()
            .sign("IdentityLink", b"")
            .unwrap();
        assert_eq!(check(&other), refused);
    }

    #[test]
    fn the_leaf_key_is_the_credentials() {
        let other = client_secret().leaf_key(&slot(), 1).unwrap().public();
        let refused = Err(CredentialRule::LeafKey);
        assert_eq!(check_credential(&credential(), other.as_slice()), refused);
        assert_eq!(check_credential(&credential(), b""), refused);
    }

    #[test]
    fn a_pseudonym_has_one_shape() {
        let uuid = "00000000-0000-8000-8000-000000000000";
        let odd = [
            format!("mimi://hub.example/u/{uuid}"),
            format!("mimi://hub.example/d/{uuid}/"),
            format!("mimi://hub.example/d/{uuid}0"),
            format!("mimi://HUB.example/d/{uuid}"),
            format!("mimi:///d/{uuid}"),
            format!("https://hub.example/d/{uuid}"),
            "mimi://hub.example/d/00000000-0000-4000-8000-000000000000".to_owned(),
            "mimi://hub.example/d/00000000-0000-8000-c000-000000000000".to_owned(),
            "mimi://hub.example/d/0000000000-000-8000-8000-000000000000".to_owned(),
            "mimi://hub.example/d/0000000A-0000-8000-8000-000000000000".to_owned(),
            "mimi://hub.example/d/alice".to_owned(),
            "mimi://hub.example/d".to_owned(),
            "mimi://hub.example".to_owned(),
        ];
        for text in odd {
            let mut other = credential();
            other.client_pseudonym = uri(&text);
            assert_eq!(check(&signed(other)), Err(CredentialRule::NotPseudonymous));
        }
        let mut other = credential();
        other.client_pseudonym = uri(&format!("mimi://hub.example/d/{uuid}"));
        assert_eq!(check(&signed(other)), Ok(()));
    }

    #[test]
    fn a_user_name_is_no_pseudonym() {
        let mut other = credential();
        other.user_pseudonym = uri("mimi://hub.example/u/alice");
        assert_eq!(check(&signed(other)), Err(CredentialRule::NotPseudonymous));
    }
}
