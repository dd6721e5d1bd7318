//! Owns the vectors of linking a device: the secret of a code, and what is sealed under it.

use crate::support::*;
use serde_json::{Value, json};
use sordino_crypto::*;

pub(crate) fn link() -> Value {
    let (private, public) = hpke_generate(&mut Counted::from(20)).unwrap();
    let secret = LinkSecret::new(*b"a secret of 16 B");
    let sealed = |plaintext: &[u8]| {
        let mut rng = Counted::from(60);
        let sealed = seal_link(&secret, &public, plaintext, &mut rng).unwrap();
        let opened = open_link(&secret, &private, &sealed).unwrap();
        assert_eq!(opened.as_slice(), plaintext);
        json!({
            "plaintext": hex::encode(plaintext),
            "random": rng.hex(0),
            "sealed": hex::encode(&sealed),
        })
    };
    let deposit = secret.deposit_secret();
    json!({
        "link_secret": hex::encode(secret.expose()),
        "deposit_secret": hex::encode(deposit.expose()),
        "deposit_hash": hex::encode(sha256(deposit.expose())),
        "private_key": hex::encode(private.expose()),
        "public_key": hex::encode(&public),
        "sealed": [sealed(b"an offer"), sealed(&[3; 700])],
    })
}
