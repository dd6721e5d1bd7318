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
