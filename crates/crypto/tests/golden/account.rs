//! Owns the vectors of accounts: what an account key signs, and what admits to registering.

use crate::support::*;
use serde_json::{Value, json};
use sordino_crypto::*;
use sordino_wire::{
    ACCOUNT_REQUEST_LABEL, AccountRequestBody, AccountRequestTbs, Bytes, Handle, Nonce,
    ProofOfWorkContent, encode,
};

fn alice() -> Handle {
    Handle::new("alice").unwrap()
}

pub(crate) fn account() -> Value {
    let user = alice().uri(&domain()).unwrap();
    let (_, hpke_key) = hpke_generate(&mut Counted::from(20)).unwrap();
    let connection_key = make_connection_key(&user, &account_key(), &hpke_key).unwrap();
    check_connection_key(&user, &account_key().public(), &connection_key).unwrap();
    let new_key = SigningKey::from_seed(&bytes32(160));
    let change = make_account_key_change(&user, &account_key(), &new_key).unwrap();
    check_account_key_change(&change).unwrap();
    let nonce = Nonce(*b"a nonce 16 bytes");
    let deletion = make_account_deletion(&account_key(), &nonce).unwrap();
    check_account_deletion(&account_key().public(), &nonce, &deletion).unwrap();
    json!({
        "user": user.as_str(),
        "account_seed": hex::encode(account_key().seed().as_slice()),
        "account_key": hex::encode(account_key().public()),
        "fingerprint": account_fingerprint(&user, &account_key().public()).unwrap(),
        "hpke_key": hex::encode(&hpke_key),
        "connection_key": tls(&connection_key),
        "new_account_seed": hex::encode(new_key.seed().as_slice()),
        "new_fingerprint": account_fingerprint(&user, &new_key.public()).unwrap(),
        "account_key_change": tls(&change),
        "deletion": { "nonce": hex::encode(nonce), "signature": hex::encode(&deletion) },
        "request": request(nonce),
        "proof_of_work": proof_of_work(),
    })
}

fn request(nonce: Nonce) -> Value {
    let body = AccountRequestBody::ReadAccount;
    let tbs = AccountRequestTbs {
        version: sordino_wire::PROTOCOL_VERSION,
        domain: domain(),
        handle: alice(),
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
        "signature": hex::encode(&signature),
    })
}

fn proof_of_work() -> Value {
    let content = |solution| ProofOfWorkContent {
        challenge: Bytes::new(bytes32(0)).unwrap(),
        handle: alice(),
        account_key: account_key().public(),
        solution,
    };
    let bits = 12;
    let solution = (0..)
        .find(|solution| check_proof_of_work(&content(*solution), bits).unwrap())
        .unwrap();
    json!({
        "challenge": hex::encode(bytes32(0)),
        "handle": alice().as_str(),
        "difficulty_bits": bits,
        "first_solution": solution,
        "content": tls(&content(solution)),
        "hash": hex::encode(sha256(&encode(&content(solution)).unwrap())),
    })
}
