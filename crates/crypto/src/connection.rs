//! Owns connection requests: what is sealed to a person's connection key, and the short text by
//! which two people compare an account key (design page 5).
//!
//! Invariant: a request that passes was signed by the device that it names, for this recipient and
//! this key; sealed requests have one size. Whether the requester's account key is the right one is
//! for the receiver to ask.

use crate::generation::GroupSecret;
use crate::hpke::labelled_info;
use crate::key_object::{check_key_object, make_key_object};
use crate::labels::encode_secret;
use crate::padding::{pad_to, unpad};
use crate::signature::{SigningKey, verify_struct};
use crate::{CryptoError, expand, hpke_open, hpke_seal, sha256};
use rand_core::RngCore;
use sordino_wire::limits::CONNECTION_REQUEST_BYTES;
use sordino_wire::{
    CONNECTION_REQUEST_LABEL, ClientCredential, ConnectionRequest, ConnectionRequestTbs, Digest,
    Domain, GroupId, HpkeCiphertext, HpkeKey, IdentifierUri, SealedConnectionRequest, SignatureKey,
    encode, exact,
};
use std::fmt::Write as _;
use tls_codec::{TlsSerialize, TlsSize};
use zeroize::Zeroizing;

const SEAL_LABEL: &str = "connection request";
const FINGERPRINT_LABEL: &str = "account fingerprint";
/// Groups of digits in a fingerprint; each says 16.6 bits.
const FINGERPRINT_GROUPS: usize = 8;
/// Bytes that one group is made of: so many that the remainder of 100,000 is even enough.
const GROUP_BYTES: usize = 5;

/// Everything that a connection request is made of.
pub struct RequestParts<'a> {
    /// The requester's device key.
    pub client_key: &'a SigningKey,
    /// Its credential.
    pub client_credential: &'a ClientCredential,
    /// Who is asked.
    pub recipient: &'a IdentifierUri,
    /// The connection key it is sealed to.
    pub recipient_key: &'a HpkeKey,
    /// Random.
    pub request_id: Digest,
    /// The hub's time in seconds since 1970, floored to 60.
    pub time_s: u64,
    /// The hub of the connection group.
    pub hub_domain: &'a Domain,
    /// The connection group.
    pub group_id: GroupId,
    /// Its epoch.
    pub epoch: u64,
    /// Its generation.
    pub generation: u64,
    /// The generation's secret.
    pub secret: &'a GroupSecret,
    /// The requester's leaf.
    pub giver_leaf_key: &'a SignatureKey,
}

/// Makes and signs a connection request.
pub fn make_connection_request(parts: RequestParts<'_>) -> Result<ConnectionRequest, CryptoError> {
    let key_object = make_key_object(
        parts.client_key,
        parts.client_credential,
        parts.hub_domain,
        parts.group_id,
        parts.epoch,
        parts.generation,
        parts.secret,
        parts.giver_leaf_key,
        sha256(b""),
        parts.recipient_key.as_slice(),
    )?;
    let tbs = ConnectionRequestTbs {
        request_id: parts.request_id,
        recipient: parts.recipient.clone(),
        recipient_key_hash: sha256(parts.recipient_key.as_slice()),
        time_s: parts.time_s,
        key_object_hash: sha256(&encode_secret(&key_object)?),
    };
    let signature = parts
        .client_key
        .sign_struct(CONNECTION_REQUEST_LABEL, &tbs)?;
    Ok(ConnectionRequest {
        request_id: tbs.request_id,
        recipient: tbs.recipient,
        recipient_key_hash: tbs.recipient_key_hash,
        time_s: tbs.time_s,
        key_object,
        signature,
    })
}

/// Checks that a request is for this recipient under this key, and all its signatures: the
/// account's over the device, the device's over key object and request.
pub fn check_connection_request(
    request: &ConnectionRequest,
    recipient: &IdentifierUri,
    recipient_key: &HpkeKey,
) -> Result<(), CryptoError> {
    let key_hash = sha256(recipient_key.as_slice());
    if request.recipient != *recipient || request.recipient_key_hash != key_hash {
        return Err(CryptoError::Signature);
    }
    check_key_object(&request.key_object, sha256(b""), recipient_key.as_slice())?;
    let tbs = ConnectionRequestTbs {
        request_id: request.request_id,
        recipient: request.recipient.clone(),
        recipient_key_hash: request.recipient_key_hash,
        time_s: request.time_s,
        key_object_hash: sha256(&encode_secret(&request.key_object)?),
    };
    verify_struct(
        &request.key_object.giver_credential.signature_key,
        CONNECTION_REQUEST_LABEL,
        &tbs,
        &request.signature,
    )
}

/// Seals a request to a connection key.
pub fn seal_connection_request(
    recipient_key: &HpkeKey,
    request: &ConnectionRequest,
    rng: &mut dyn RngCore,
) -> Result<SealedConnectionRequest, CryptoError> {
    let encoded = encode_secret(request)?;
    let padded = Zeroizing::new(pad_to(&encoded, CONNECTION_REQUEST_BYTES)?);
    let info = labelled_info(SEAL_LABEL, b"")?;
    let sealed = hpke_seal(recipient_key.as_slice(), &info, b"", &padded, rng)?;
    Ok(SealedConnectionRequest {
        kem_output: sordino_wire::Bytes::new(sealed.kem_output.into_vec())?,
        ciphertext: sordino_wire::Bytes::new(sealed.ciphertext.into_vec())?,
    })
}

/// Opens a request with the connection key's private part. It is not checked yet: see
/// [`check_connection_request`].
pub fn open_connection_request(
    private_key: &[u8],
    sealed: &SealedConnectionRequest,
) -> Result<ConnectionRequest, CryptoError> {
    let sealed = HpkeCiphertext {
        kem_output: sordino_wire::Bytes::new(sealed.kem_output.as_slice())?,
        ciphertext: sordino_wire::Bytes::new(sealed.ciphertext.as_slice())?,
    };
    let info = labelled_info(SEAL_LABEL, b"")?;
    let padded = hpke_open(private_key, &info, b"", &sealed)?;
    Ok(exact(unpad(&padded)?)?)
}

/// What a fingerprint is of.
#[derive(TlsSerialize, TlsSize)]
struct FingerprintContext {
    user: IdentifierUri,
    account_key: SignatureKey,
}

/// Eight groups of five digits (132 bits) that two people compare, of a user and its account key.
pub fn account_fingerprint(
    user: &IdentifierUri,
    account_key: &SignatureKey,
) -> Result<String, CryptoError> {
    let context = encode(&FingerprintContext {
        user: user.clone(),
        account_key: account_key.clone(),
    })?;
    // Nothing here is secret: the derivation is a hash with a label.
    let digits = expand::<{ FINGERPRINT_GROUPS * GROUP_BYTES }>(
        &sha256(&context).0,
        FINGERPRINT_LABEL,
        &context,
    )?;
    let mut text = String::with_capacity(FINGERPRINT_GROUPS * 6);
    for group in digits.chunks_exact(GROUP_BYTES) {
        let number = group
            .iter()
            .fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        if !text.is_empty() {
            text.push(' ');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{:05}", number % 100_000);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{domain, group_id, rng, secret, uri};
    use crate::{HpkePrivateKey, hpke_generate, make_client_credential};

    fn client_key() -> SigningKey {
        SigningKey::from_seed(&[3; 32])
    }

    fn asker() -> ClientCredential {
        let account = SigningKey::from_seed(&[4; 32]);
        let user = uri("mimi://hub.example/u/anna");
        let client = uri("mimi://hub.example/d/1");
        make_client_credential(&user, &client, &client_key(), &account).unwrap()
    }

    fn keys() -> (HpkePrivateKey, HpkeKey) {
        hpke_generate(&mut rng()).unwrap()
    }

    fn bart() -> IdentifierUri {
        uri("mimi://hub.example/u/bart")
    }

    fn request() -> ConnectionRequest {
        make_connection_request(RequestParts {
            client_key: &client_key(),
            client_credential: &asker(),
            recipient: &bart(),
            recipient_key: &keys().1,
            request_id: Digest([7; 32]),
            time_s: 1_700_000_040,
            hub_domain: &domain(),
            group_id: group_id(),
            epoch: 2,
            generation: 1,
            secret: &GroupSecret::new(secret(5)),
            giver_leaf_key: &SigningKey::from_seed(&[6; 32]).public(),
        })
        .unwrap()
    }

    #[test]
    fn what_is_asked_arrives_and_passes() {
        let (private, public) = keys();
        let sealed = seal_connection_request(&public, &request(), &mut rng()).unwrap();
        let opened = open_connection_request(private.expose(), &sealed).unwrap();
        assert_eq!(opened, request());
        assert_eq!(check_connection_request(&opened, &bart(), &public), Ok(()));
    }

    #[test]
    fn a_request_serves_one_person_under_one_key() {
        let (_, public) = keys();
        let refused = Err(CryptoError::Signature);
        let carol = uri("mimi://hub.example/u/carol");
        assert_eq!(
            check_connection_request(&request(), &carol, &public),
            refused
        );
        let other = HpkeKey::new(vec![9; 32]).unwrap();
        assert_eq!(
            check_connection_request(&request(), &bart(), &other),
            refused
        );
        // Forwarded: the recipient changed, the signature did not.
        let mut forwarded = request();
        forwarded.recipient = carol.clone();
        assert!(check_connection_request(&forwarded, &carol, &public).is_err());
        forwarded = request();
        forwarded.recipient_key_hash = sha256(other.as_slice());
        assert!(check_connection_request(&forwarded, &bart(), &other).is_err());
    }

    #[test]
    fn every_field_is_signed() {
        let (_, public) = keys();
        let changes: [fn(&mut ConnectionRequest); 8] = [
            |r| r.request_id = Digest([8; 32]),
            |r| r.time_s += 60,
            |r| r.key_object.group_id = GroupId([8; 16]),
            |r| r.key_object.epoch += 1,
            |r| r.key_object.generation += 1,
            |r| r.key_object.group_secret = secret(8),
            |r| r.key_object.giver_leaf_key = SigningKey::from_seed(&[8; 32]).public(),
            |r| r.key_object.giver_credential.user = uri("mimi://hub.example/u/mallory"),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut changed = request();
            change(&mut changed);
            let checked = check_connection_request(&changed, &bart(), &public);
            assert!(checked.is_err(), "change {index}");
        }
    }

    #[test]
    fn a_key_object_that_came_with_a_welcome_is_no_request() {
        let (_, public) = keys();
        let mut grafted = request();
        grafted.key_object = make_key_object(
            &client_key(),
            &asker(),
            &domain(),
            group_id(),
            2,
            1,
            &GroupSecret::new(secret(5)),
            &SigningKey::from_seed(&[6; 32]).public(),
            sha256(b"a welcome"),
            public.as_slice(),
        )
        .unwrap();
        assert!(check_connection_request(&grafted, &bart(), &public).is_err());
    }

    #[test]
    fn sealed_requests_have_one_size_whatever_the_names() {
        let long = "a".repeat(100);
        let mut large = request();
        large.recipient = uri(&format!("mimi://{long}/u/{}", "b".repeat(32)));
        let (_, public) = keys();
        for request in [request(), large] {
            let sealed = seal_connection_request(&public, &request, &mut rng()).unwrap();
            assert_eq!(
                sealed.ciphertext.as_slice().len(),
                CONNECTION_REQUEST_BYTES + 16
            );
        }
    }

    #[test]
    fn another_key_and_damage_do_not_open() {
        let (private, public) = keys();
        let sealed = seal_connection_request(&public, &request(), &mut rng()).unwrap();
        assert!(open_connection_request(&[7; 32], &sealed).is_err());
        let mut damaged = sealed.ciphertext.as_slice().to_vec();
        for at in [0, 100, CONNECTION_REQUEST_BYTES] {
            damaged[at] ^= 1;
            let damaged = SealedConnectionRequest {
                kem_output: sealed.kem_output.clone(),
                ciphertext: sordino_wire::Bytes::new(damaged.clone()).unwrap(),
            };
            assert!(open_connection_request(private.expose(), &damaged).is_err());
        }
    }

    #[test]
    fn a_fingerprint_depends_on_user_and_key() {
        let key = SigningKey::from_seed(&[1; 32]).public();
        let other = SigningKey::from_seed(&[2; 32]).public();
        let text = account_fingerprint(&bart(), &key).unwrap();
        assert_eq!(account_fingerprint(&bart(), &key).unwrap(), text);
        assert_ne!(account_fingerprint(&bart(), &other).unwrap(), text);
        assert_ne!(account_fingerprint(&asker().user, &key).unwrap(), text);
        let groups: Vec<&str> = text.split(' ').collect();
        assert_eq!(groups.len(), FINGERPRINT_GROUPS);
        for group in groups {
            assert!(group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit()));
        }
    }
}
