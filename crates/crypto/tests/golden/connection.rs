//! Owns the vectors of connection requests.

use crate::support::*;
use serde_json::{Value, json};
use sordino_crypto::*;
use sordino_wire::{Digest, encode};

pub(crate) fn connection() -> Value {
    let (private, public) = hpke_generate(&mut Counted::from(20)).unwrap();
    let recipient = uri("mimi://other.example/u/bob");
    let group_secret = GroupSecret::new(secret(0));
    let leaf_key = credential_in(&group_slot(), 0).signature_key;
    let request = make_connection_request(RequestParts {
        client_key: &client_key(),
        client_credential: &client_credential(),
        recipient: &recipient,
        recipient_key: &public,
        request_id: Digest(bytes32(200)),
        time_s: 1_800_000_000,
        hub_domain: &domain(),
        group_id: group_id(),
        epoch: 1,
        generation: 0,
        secret: &group_secret,
        giver_leaf_key: &leaf_key,
    })
    .unwrap();
    check_connection_request(&request, &recipient, &public).unwrap();
    let mut rng = Counted::from(60);
    let sealed = seal_connection_request(&public, &request, &mut rng).unwrap();
    let opened = open_connection_request(private.expose(), &sealed).unwrap();
    assert_eq!(opened, request);
    json!({
        "client_seed": hex::encode(client_key().seed().as_slice()),
        "client_credential": tls(&client_credential()),
        "recipient": recipient.as_str(),
        "recipient_private_key": hex::encode(private.expose()),
        "recipient_public_key": hex::encode(&public),
        "hub_domain": domain().as_str(),
        "group_id": hex::encode(group_id()),
        "epoch": 1,
        "generation": 0,
        "group_secret": hex::encode(group_secret.secret().expose()),
        "giver_leaf_key": hex::encode(&leaf_key),
        "request_id": hex::encode(request.request_id),
        "time_s": request.time_s,
        "key_object_hash": hex::encode(sha256(&encode(&request.key_object).unwrap())),
        "request": tls(&request),
        "plaintext_bytes": sordino_wire::limits::CONNECTION_REQUEST_BYTES,
        "random": rng.hex(0),
        "sealed": tls(&sealed),
        "settled_by": hex::encode(sha256(&encode(&sealed).unwrap())),
    })
}
