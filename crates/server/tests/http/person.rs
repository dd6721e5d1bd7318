//! A person who registers, and a device that signs.

use crate::client::Client;
use sordino_crypto::{
    HpkePrivateKey, SigningKey, check_proof_of_work, make_account_key_change,
    make_client_credential, make_connection_key, sha256,
};
use sordino_wire::limits::CONNECTION_REQUEST_CIPHERTEXT_BYTES;
use sordino_wire::{
    ACCOUNT_REQUEST_LABEL, AccountAuthentication, AccountEntry, AccountRequest, AccountRequestBody,
    AccountRequestTbs, AccountResponseBody, Admission, AdmissionTerms, Bytes, ClientCredential,
    Digest, Domain, Handle, HpkeKey, IdentifierUri, List, Nonce, PROTOCOL_VERSION,
    ProofOfWorkContent, Register, ReplaceAccountKey, SealedConnectionRequest,
    SendConnectionRequest, SignedConnectionKey, encode, media,
};
use std::sync::atomic::{AtomicU64, Ordering};

static NONCES: AtomicU64 = AtomicU64::new(1);

/// A person, by one device.
pub(crate) struct Person {
    domain: Domain,
    handle: Handle,
    now_s: u64,
    account_seed: u8,
    device: u8,
}

impl Person {
    pub(crate) fn new(domain: &Domain, name: &str, seed: u8, now_s: u64) -> Self {
        Self {
            domain: domain.clone(),
            handle: handle(name),
            now_s,
            account_seed: seed,
            device: seed,
        }
    }

    /// The same person by another device.
    pub(crate) fn with_device(&self, device: u8) -> Self {
        Self {
            domain: self.domain.clone(),
            handle: self.handle.clone(),
            device,
            ..*self
        }
    }

    fn account_key(&self) -> SigningKey {
        SigningKey::from_seed(&[self.account_seed; 32])
    }

    fn device_key(&self) -> SigningKey {
        SigningKey::from_seed(&[100 + self.device; 32])
    }

    fn user(&self) -> IdentifierUri {
        self.handle.uri(&self.domain).unwrap()
    }

    fn connection_key(&self) -> SignedConnectionKey {
        let private = HpkePrivateKey::from_bytes(&[self.account_seed; 32]).unwrap();
        let public: HpkeKey = private.public().unwrap();
        make_connection_key(&self.user(), &self.account_key(), &public).unwrap()
    }

    fn credential(&self) -> ClientCredential {
        let client = format!("mimi://{}/d/{}", self.domain.as_str(), self.device);
        let client = IdentifierUri::new(client).unwrap();
        let (device_key, account_key) = (self.device_key(), self.account_key());
        make_client_credential(&self.user(), &client, &device_key, &account_key).unwrap()
    }

    pub(crate) fn entry(&self) -> AccountEntry {
        AccountEntry {
            account_key: self.account_key().public(),
            connection_key: self.connection_key(),
        }
    }

    pub(crate) fn register(&self, admission: Admission) -> AccountRequestBody {
        AccountRequestBody::Register(Register {
            admission,
            credential: self.credential(),
            connection_key: self.connection_key(),
        })
    }

    pub(crate) fn put(&self) -> AccountRequestBody {
        AccountRequestBody::PutClient(self.credential())
    }

    /// A new account key that this device alone stays under, and the person with it.
    pub(crate) fn replace_account_key(&self, seed: u8) -> (AccountRequestBody, Self) {
        let renewed = Self {
            account_seed: seed,
            ..self.with_device(self.device)
        };
        let (old, new) = (self.account_key(), renewed.account_key());
        let replacement = ReplaceAccountKey {
            change: make_account_key_change(&self.user(), &old, &new).unwrap(),
            clients: List::new(vec![renewed.credential()]).unwrap(),
            connection_key: renewed.connection_key(),
        };
        (AccountRequestBody::ReplaceAccountKey(replacement), renewed)
    }

    /// Does the work that the server asks for.
    pub(crate) async fn work(&self, client: &mut Client) -> Admission {
        let terms = client.ask_account(media::ACCOUNTS, AccountRequestBody::AdmissionTerms);
        let AccountResponseBody::AdmissionTerms(AdmissionTerms::ProofOfWork {
            challenge,
            difficulty_bits,
        }) = terms.await
        else {
            panic!("no work is asked for");
        };
        let mut content = ProofOfWorkContent {
            challenge: challenge.clone(),
            handle: self.handle.clone(),
            account_key: self.account_key().public(),
            solution: 0,
        };
        while !check_proof_of_work(&content, difficulty_bits).unwrap() {
            content.solution += 1;
        }
        Admission::ProofOfWork {
            challenge,
            solution: content.solution,
        }
    }

    /// A signed request.
    pub(crate) fn bytes(&self, body: AccountRequestBody) -> Vec<u8> {
        let mut nonce = [0; 16];
        let number = NONCES.fetch_add(1, Ordering::Relaxed);
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let key = self.device_key();
        let tbs = AccountRequestTbs {
            version: PROTOCOL_VERSION,
            domain: self.domain.clone(),
            handle: self.handle.clone(),
            client_key: key.public(),
            time_s: self.now_s - self.now_s % 60,
            nonce: Nonce(nonce),
            body_hash: sha256(&encode(&body).unwrap()),
        };
        let auth = AccountAuthentication::Client {
            signature: key.sign_struct(ACCOUNT_REQUEST_LABEL, &tbs).unwrap(),
            handle: tbs.handle,
            client_key: tbs.client_key,
            time_s: tbs.time_s,
            nonce: tbs.nonce,
        };
        AccountRequest { body, auth }.encode().unwrap()
    }

    pub(crate) async fn send(
        &self,
        client: &mut Client,
        body: AccountRequestBody,
    ) -> AccountResponseBody {
        let bytes = self.bytes(body);
        client.ask_account_bytes(media::ACCOUNTS, &bytes).await
    }
}

pub(crate) fn handle(name: &str) -> Handle {
    Handle::new(name).unwrap()
}

/// A sealed request as far as a provider can tell, and its hash.
pub(crate) fn sealed(number: u8) -> (SealedConnectionRequest, Digest) {
    let request = SealedConnectionRequest {
        kem_output: Bytes::new([number; 32]).unwrap(),
        ciphertext: Bytes::new([number; CONNECTION_REQUEST_CIPHERTEXT_BYTES]).unwrap(),
    };
    let hash = sha256(&encode(&request).unwrap());
    (request, hash)
}

pub(crate) fn asking(name: &str, number: u8) -> AccountRequestBody {
    AccountRequestBody::SendConnectionRequest(SendConnectionRequest {
        handle: handle(name),
        request: sealed(number).0,
    })
}
