//! Owns the vectors of labels, pseudonyms, credentials and identities.

use crate::support::*;
use serde_json::{Value, json};
use sordino_crypto::*;
use sordino_wire::{PseudonymousCredential, Salt, SignatureBytes};

pub(crate) fn labels() -> Value {
    let expanded = |length, label: &str, context: &[u8], output: &[u8]| {
        json!({
            "secret": hex::encode(bytes32(0)),
            "label": label,
            "context": hex::encode(context),
            "length": length,
            "output": hex::encode(output),
        })
    };
    let secret = bytes32(0);
    let expand_16 = expand::<16>(&secret, "short", b"").unwrap();
    let expand_32 = expand::<32>(&secret, "label", b"context").unwrap();
    let expand_44 = expand::<44>(&secret, "", &[7; 100]).unwrap();
    let expand_64 = expand::<64>(&secret, "label", b"context").unwrap();
    let sign = |label: &str, content: &[u8]| {
        let key = SigningKey::from_seed(&bytes32(90));
        let signature = key.sign(label, content).unwrap();
        verify(&key.public(), label, content, &signature).unwrap();
        json!({
            "seed": hex::encode(bytes32(90)),
            "public_key": hex::encode(key.public()),
            "label": label,
            "content": hex::encode(content),
            "signature": hex::encode(signature),
        })
    };
    json!({
        "sha256": [
            { "input": "", "output": hex::encode(sha256(b"")) },
            { "input": "616263", "output": hex::encode(sha256(b"abc")) },
        ],
        "expand": [
            expanded(16, "short", b"", expand_16.as_slice()),
            expanded(32, "label", b"context", expand_32.as_slice()),
            expanded(44, "", &[7; 100], expand_44.as_slice()),
            expanded(64, "label", b"context", expand_64.as_slice()),
        ],
        "sign": [sign("Label", b"content"), sign("", b""), sign("Long", &[5; 300])],
    })
}

pub(crate) fn pseudonyms() -> Value {
    let slot = |slot: Slot| {
        let user_key = user_secret().user_auth_key(&slot).unwrap();
        let leaf = |rotation: u32| {
            let key = client_secret().leaf_key(&slot, rotation).unwrap();
            json!({
                "rotation": rotation,
                "seed": hex::encode(key.seed().as_slice()),
                "public_key": hex::encode(key.public()),
            })
        };
        json!({
            "slot": tls(&slot),
            "user_auth_seed": hex::encode(user_key.seed().as_slice()),
            "user_auth_key": hex::encode(user_key.public()),
            "user_pseudonym": user_pseudonym(&domain(), &user_key.public()).unwrap().as_str(),
            "client_pseudonym":
                client_secret().client_pseudonym(&domain(), &slot).unwrap().as_str(),
            "set_tag": hex::encode(user_secret().set_tag(&slot).unwrap()),
            "leaf_keys": [leaf(0), leaf(1)],
        })
    };
    let token_seed = |byte: u8| {
        let seed = user_secret().token_seed(&[byte; 32]).unwrap();
        json!({ "key_id": hex::encode([byte; 32]), "token_seed": hex::encode(seed.as_slice()) })
    };
    let contact = |name: &str, generation: u32| {
        let key = user_secret().contact_key(&uri(name), generation).unwrap();
        let token = user_secret().contact_token(&uri(name), generation).unwrap();
        json!({
            "contact": name,
            "generation": generation,
            "contact_key": hex::encode(key.secret().expose()),
            "contact_token": hex::encode(token.secret().expose()),
        })
    };
    json!({
        "user_secret": hex::encode(user_secret().secret().expose()),
        "client_secret": hex::encode(client_secret().secret().expose()),
        "domain": domain().as_str(),
        "slots": [slot(group_slot()), slot(set_slot())],
        "token_seeds": [token_seed(0), token_seed(255)],
        "contacts": [
            contact("mimi://other.example/u/bob", 0),
            contact("mimi://other.example/u/bob", 1),
        ],
    })
}

pub(crate) fn credential() -> Value {
    let good = credential_in(&group_slot(), 0);
    let made = |slot: Slot, rotation: u32| {
        let credential = credential_in(&slot, rotation);
        check_credential(&credential, credential.signature_key.as_slice()).unwrap();
        json!({
            "slot": tls(&slot),
            "rotation": rotation,
            "client_pseudonym": credential.client_pseudonym.as_str(),
            "user_pseudonym": credential.user_pseudonym.as_str(),
            "signature_key": hex::encode(&credential.signature_key),
            "user_auth_key": hex::encode(&credential.user_auth_key),
            "user_auth_signature": hex::encode(&credential.user_auth_signature),
            "credential": tls(&credential),
        })
    };
    let leaf_key = good.signature_key.as_slice();
    let refused = |credential: &PseudonymousCredential, leaf_key: &[u8]| {
        let rule = check_credential(credential, leaf_key).unwrap_err();
        json!({
            "credential": tls(credential),
            "leaf_key": hex::encode(leaf_key),
            "rule": format!("{rule:?}"),
        })
    };
    let mut no_uuid = good.clone();
    no_uuid.client_pseudonym = uri("mimi://hub.example/d/alice");
    let mut grafted = good.clone();
    grafted.user_auth_key = account_key().public();
    let mut unsigned = good.clone();
    unsigned.user_auth_signature = SignatureBytes::new([0; 64]).unwrap();
    json!({
        "user_secret": hex::encode(user_secret().secret().expose()),
        "client_secret": hex::encode(client_secret().secret().expose()),
        "domain": domain().as_str(),
        "made": [made(group_slot(), 0), made(group_slot(), 1), made(set_slot(), 0)],
        "refused": [
            refused(&no_uuid, leaf_key),
            refused(&grafted, leaf_key),
            refused(&unsigned, leaf_key),
            refused(&good, account_key().public().as_slice()),
        ],
    })
}

pub(crate) fn identity() -> Value {
    let credential = credential_in(&group_slot(), 0);
    let link = make_identity_link(&client_key(), &client_credential(), &credential).unwrap();
    let wrapper = WrapperKey::new(secret(170));
    let salt = Salt(*b"a salt, 16 bytes");
    let entry = seal_identity_entry(&wrapper, 6, group_id(), &credential, &link, salt).unwrap();
    let opened = open_identity_entry(&wrapper, group_id(), &credential, &entry).unwrap();
    assert_eq!(opened, link);
    json!({
        "account_seed": hex::encode(account_key().seed().as_slice()),
        "client_seed": hex::encode(client_key().seed().as_slice()),
        "user": client_credential().user.as_str(),
        "client": client_credential().client.as_str(),
        "client_credential": tls(&client_credential()),
        "pseudonymous_credential": tls(&credential),
        "link": tls(&link),
        "wrapper_key": hex::encode(wrapper.secret().expose()),
        "generation": 6,
        "group_id": hex::encode(group_id()),
        "salt": hex::encode(salt),
        "entry": tls(&entry),
    })
}
