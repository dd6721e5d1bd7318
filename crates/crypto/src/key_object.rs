//! Owns the one object by which `group_secret_g` is handed over (design page 2.4).
//!
//! Invariant: the giver's client credential signs to whom, with which Welcome and for which group,
//! epoch and generation; sealed objects have one size. That the giver's leaf is in the group and
//! is that credential's is for the receiver to check, who has the tree and the roster.

use crate::generation::GroupSecret;
use crate::hpke::labelled_info;
use crate::identity::check_client_credential;
use crate::labels::encode_secret;
use crate::padding::{pad_to, unpad};
use crate::signature::{SigningKey, verify_struct};
use crate::{CryptoError, hpke_open, hpke_seal, sha256};
use rand_core::RngCore;
use sordino_wire::{
    ClientCredential, Digest, Domain, GroupId, GroupKeyObject, GroupKeyObjectTbs, HpkeCiphertext,
    SealedKeyObject, SignatureKey, encode, exact,
};
use zeroize::Zeroizing;

/// The size of every key object before it is sealed: the largest one (1,068 B with names of
/// 255 B) fits.
pub const KEY_OBJECT_PLAINTEXT_BYTES: usize = 1_280;

const SIGNATURE_LABEL: &str = "GroupKeyObject";
const SEAL_LABEL: &str = "group key object";

/// Makes and signs a key object for the holder of `recipient`, an HPKE public key.
#[allow(clippy::too_many_arguments)]
pub fn make_key_object(
    client_key: &SigningKey,
    client_credential: &ClientCredential,
    hub_domain: &Domain,
    group_id: GroupId,
    epoch: u64,
    generation: u64,
    secret: &GroupSecret,
    giver_leaf_key: &SignatureKey,
    welcome_hash: Digest,
    recipient: &[u8],
) -> Result<GroupKeyObject, CryptoError> {
    let tbs = GroupKeyObjectTbs {
        hub_domain: hub_domain.clone(),
        group_id,
        epoch,
        welcome_hash,
        recipient_hash: sha256(recipient),
        generation,
        secret_hash: sha256(secret.secret().expose()),
        giver_leaf_key: giver_leaf_key.clone(),
    };
    let signature = client_key.sign_struct(SIGNATURE_LABEL, &tbs)?;
    Ok(GroupKeyObject {
        hub_domain: tbs.hub_domain,
        group_id,
        epoch,
        generation,
        group_secret: secret.secret().duplicate(),
        giver_leaf_key: tbs.giver_leaf_key,
        giver_credential: client_credential.clone(),
        signature,
    })
}

/// Checks both signatures of a key object against the Welcome it came with (the hash of nothing
/// where it came with none) and the HPKE public key it was sealed to.
pub fn check_key_object(
    object: &GroupKeyObject,
    welcome_hash: Digest,
    recipient: &[u8],
) -> Result<(), CryptoError> {
    check_client_credential(&object.giver_credential)?;
    let tbs = GroupKeyObjectTbs {
        hub_domain: object.hub_domain.clone(),
        group_id: object.group_id,
        epoch: object.epoch,
        welcome_hash,
        recipient_hash: sha256(recipient),
        generation: object.generation,
        secret_hash: sha256(object.group_secret.expose()),
        giver_leaf_key: object.giver_leaf_key.clone(),
    };
    verify_struct(
        &object.giver_credential.signature_key,
        SIGNATURE_LABEL,
        &tbs,
        &object.signature,
    )
}

/// Seals a key object to an HPKE public key.
pub fn seal_key_object(
    recipient: &[u8],
    object: &GroupKeyObject,
    rng: &mut dyn RngCore,
) -> Result<SealedKeyObject, CryptoError> {
    let encoded = encode_secret(object)?;
    let padded = Zeroizing::new(pad_to(&encoded, KEY_OBJECT_PLAINTEXT_BYTES)?);
    let info = labelled_info(SEAL_LABEL, b"")?;
    let sealed = hpke_seal(recipient, &info, b"", &padded, rng)?;
    Ok(SealedKeyObject::new(encode(&sealed)?)?)
}

/// Opens a key object with an HPKE private key. It is not checked yet: see [`check_key_object`].
pub fn open_key_object(
    private_key: &[u8],
    sealed: &SealedKeyObject,
) -> Result<GroupKeyObject, CryptoError> {
    let sealed: HpkeCiphertext = exact(sealed.as_slice())?;
    let info = labelled_info(SEAL_LABEL, b"")?;
    let padded = hpke_open(private_key, &info, b"", &sealed)?;
    if padded.len() != KEY_OBJECT_PLAINTEXT_BYTES {
        return Err(CryptoError::Padding);
    }
    Ok(exact(unpad(&padded)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        client_credential, client_key, credential, domain, group_id, rng, secret, uri,
    };
    use crate::{hpke_generate, make_client_credential};

    const WELCOME: Digest = Digest([3; 32]);
    const RECIPIENT: [u8; 32] = [4; 32];

    fn object() -> GroupKeyObject {
        object_by(&client_key(), &client_credential())
    }

    fn object_by(key: &SigningKey, credential_of: &ClientCredential) -> GroupKeyObject {
        make_key_object(
            key,
            credential_of,
            &domain(),
            group_id(),
            5,
            2,
            &GroupSecret::new(secret(1)),
            &credential().signature_key,
            WELCOME,
            &RECIPIENT,
        )
        .unwrap()
    }

    #[test]
    fn what_is_made_passes() {
        assert_eq!(check_key_object(&object(), WELCOME, &RECIPIENT), Ok(()));
    }

    #[test]
    fn every_field_is_signed() {
        let changes: [fn(&mut GroupKeyObject); 8] = [
            |object| object.hub_domain = Domain::new("other.example").unwrap(),
            |object| object.group_id = GroupId([1; 16]),
            |object| object.epoch = 6,
            |object| object.generation = 3,
            |object| object.group_secret = secret(2),
            |object| object.giver_leaf_key = client_key().public(),
            |object| object.giver_credential.user = uri("mimi://hub.example/u/mallory"),
            |object| object.signature = object.giver_credential.account_signature.clone(),
        ];
        let refused = Err(CryptoError::Signature);
        for change in changes {
            let mut changed = object();
            change(&mut changed);
            assert_eq!(check_key_object(&changed, WELCOME, &RECIPIENT), refused);
        }
        assert_eq!(
            check_key_object(&object(), sha256(b""), &RECIPIENT),
            refused
        );
        assert_eq!(check_key_object(&object(), WELCOME, &[5; 32]), refused);
    }

    #[test]
    fn a_key_that_is_not_the_givers_is_refused() {
        let thief = SigningKey::from_seed(&[99; 32]);
        let forged = object_by(&thief, &client_credential());
        let refused = Err(CryptoError::Signature);
        assert_eq!(check_key_object(&forged, WELCOME, &RECIPIENT), refused);
    }

    #[test]
    fn sealed_objects_have_one_size() {
        let (private, public) = hpke_generate(&mut rng()).unwrap();
        let name = |length| uri(&format!("mimi://{}", "a".repeat(length)));
        let mut sizes = std::collections::HashSet::new();
        for length in [1, 100, 248] {
            let account = SigningKey::from_seed(&[12; 32]);
            let (user, client) = (name(length), name(length));
            let giver = make_client_credential(&user, &client, &client_key(), &account).unwrap();
            let mut object = object_by(&client_key(), &giver);
            if length == 248 {
                object.hub_domain = Domain::new("a".repeat(253)).unwrap();
                assert_eq!(encode(&object).unwrap().len(), 1_064);
            }
            let sealed = seal_key_object(public.as_slice(), &object, &mut rng()).unwrap();
            sizes.insert(sealed.as_slice().len());
            assert_eq!(open_key_object(private.expose(), &sealed), Ok(object));
        }
        assert_eq!(sizes.len(), 1);
    }

    #[test]
    fn another_key_size_or_padding_is_refused() {
        let (private, public) = hpke_generate(&mut rng()).unwrap();
        let sealed = seal_key_object(public.as_slice(), &object(), &mut rng()).unwrap();
        assert_eq!(
            open_key_object(&[1; 32], &sealed),
            Err(CryptoError::Decrypt)
        );
        let junk = SealedKeyObject::new(vec![0; 10]).unwrap();
        assert_eq!(
            open_key_object(private.expose(), &junk),
            Err(CryptoError::Encoding)
        );
        let info = labelled_info(SEAL_LABEL, b"").unwrap();
        let encoded = encode(&object()).unwrap();
        let open = |plaintext: &[u8]| {
            let sealed = hpke_seal(public.as_slice(), &info, b"", plaintext, &mut rng()).unwrap();
            let sealed = SealedKeyObject::new(encode(&sealed).unwrap()).unwrap();
            open_key_object(private.expose(), &sealed)
        };
        let smaller = pad_to(&encoded, KEY_OBJECT_PLAINTEXT_BYTES - 1).unwrap();
        assert_eq!(open(&smaller), Err(CryptoError::Padding));
        let mut padded = pad_to(&encoded, KEY_OBJECT_PLAINTEXT_BYTES).unwrap();
        assert_eq!(open(&padded), Ok(object()));
        padded[KEY_OBJECT_PLAINTEXT_BYTES - 1] = 1;
        assert_eq!(open(&padded), Err(CryptoError::Padding));
    }
}
