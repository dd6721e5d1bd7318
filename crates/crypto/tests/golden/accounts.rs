//! Owns the vectors of accounts: what an account key certifies, what admits to registering, what a
//! provider derives from a handle.

use crate::support::*;
use serde_json::{Value, json};
use sordino_crypto::*;
use sordino_wire::{
    ACCOUNT_REQUEST_LABEL, AccountRequestBody, AccountRequestTbs, Bytes, Handle, Nonce,
    ProofOfWorkContent, encode,
};

fn handle() -> Handle {
    Handle::new("alice").unwrap()
}

pub(crate) fn account() -> Value {
    let user = handle().uri(&domain()).unwrap();
    let private = HpkePrivateKey::from_bytes(&bytes32(170)).unwrap();
    let hpke_key = private.public().unwrap();
    let connection_key = make_connection_key(&user, &account_key(), &hpke_key).unwrap();
    let next_key = SigningKey::from_seed(&bytes32(210));
    let change = make_account_key_change(&user, &account_key(), &next_key).unwrap();
    let nonce = Nonce(*b"a nonce, 16 B...");
    let deletion = make_account_deletion(&account_key(), &nonce).unwrap();
    json!({
        "domain": domain().as_str(),
        "handle": handle().as_str(),
        "account_seed": hex::encode(account_key().seed().as_slice()),
        "next_account_seed": hex::encode(next_key.seed().as_slice()),
        "hpke_key": hex::encode(hpke_key.as_slice()),
        "connection_key": tls(&connection_key),
        "account_key_change": tls(&change),
        "deletion": { "nonce": hex::encode(nonce.0), "signature": hex::encode(deletion.as_slice()) },
        "fingerprints": [
            account_fingerprint(&user, &account_key().public()).unwrap(),
            account_fingerprint(&user, &next_key.public()).unwrap(),
        ],
        "request": request(nonce),
    })
}

fn request(nonce: Nonce) -> Value {
    let body = AccountRequestBody::ReadAccount;
    let tbs = AccountRequestTbs {
        version: sordino_wire::PROTOCOL_VERSION,
        domain: domain(),
        handle: handle(),
        client_key: client_key().public(),
        time_s: 1_800_000_000,
        nonce,
        body_hash: sha256(&encode(&body).unwrap()),
    };
    let signature = client_key()
        .sign_struct(ACCOUNT_REQUEST_LABEL, &tbs)
        .unwrap();
    json!({
        "client_seed": hex::encode(client_key().seed().as_slice()),
        "body": tls(&body),
        "tbs": tls(&tbs),
        "signature": hex::encode(signature.as_slice()),
    })
}

pub(crate) fn admission() -> Value {
    let operator = OperatorKey::new(secret(0));
    let key = operator.admission_key().unwrap();
    let mut rng = Counted::from(70);
    let code = key.make_invitation(20_700, &mut rng).unwrap();
    let opened = key.open_invitation(code.as_bytes()).unwrap();
    assert_eq!(hex::encode(opened.id), rng.hex(0));
    let challenge = key.make_challenge(500_000, &mut rng).unwrap();
    assert_eq!(key.open_challenge(challenge.as_slice()), Ok(500_000));
    json!({
        "operator_key": hex::encode(operator.secret().expose()),
        "admission_key": hex::encode(key.secret().expose()),
        "invitation": { "id": rng.hex(0), "last_day": 20_700, "code": code },
        "challenge": {
            "hour": 500_000,
            "random": rng.hex(1),
            "challenge": hex::encode(challenge.as_slice()),
        },
        "work": work(challenge),
    })
}

fn work(challenge: Bytes<1, 128>) -> Value {
    let mut content = ProofOfWorkContent {
        challenge,
        handle: handle(),
        account_key: account_key().public(),
        solution: 0,
    };
    while !check_proof_of_work(&content, 12).unwrap() {
        content.solution += 1;
    }
    let encoded = encode(&content).unwrap();
    json!({
        "difficulty_bits": 12,
        "solution": content.solution,
        "content": hex::encode(&encoded),
        "hash": hex::encode(sha256(&encoded)),
    })
}

pub(crate) fn account_row() -> Value {
    let index = IndexKey::new(secret(40));
    let layer = index.account_layer(&handle()).unwrap();
    let entry = index.decoy_entry(&domain(), &handle()).unwrap();
    json!({
        "index_key": hex::encode(index.secret().expose()),
        "domain": domain().as_str(),
        "handle": handle().as_str(),
        "account_layer": hex::encode(layer.secret().expose()),
        "decoy_entry": tls(&entry),
    })
}
