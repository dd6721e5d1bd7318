//! Owns the records of an account as they are stored.
//!
//! Invariant: an account's record holds what the account published and nothing of when or what for;
//! its handle is not in it. What waits at a handle is there for every handle alike, whether or not
//! it is somebody's.

use sordino_crypto::SigningKey;
use sordino_effects::{Fault, RecordVersion};
use sordino_wire::limits::{MAX_ACCOUNT_CLIENTS, MAX_PENDING_CONNECTION_REQUESTS};
use sordino_wire::{
    AccountEntry, AccountView, ClientCredential, Digest, Domain, Handle, HpkeKey, IdentifierUri,
    List, SignatureBytes, SignatureKey, SignedConnectionKey, encode,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The format of the records here.
pub(crate) const FORMAT: u16 = 1;

/// What stands at a handle that was ever registered, for ever.
#[derive(TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct AccountRecord {
    /// [`FORMAT`].
    pub(crate) format: u16,
    /// `None`: it was deleted, and the handle is nobody's again.
    pub(crate) account: Option<Account>,
}

/// An account.
#[derive(TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Account {
    pub(crate) account_key: SignatureKey,
    pub(crate) connection_key: SignedConnectionKey,
    /// At least one.
    pub(crate) clients: List<Client, MAX_ACCOUNT_CLIENTS>,
}

/// A device: of its credential what is not the account's already.
#[derive(Clone, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Client {
    pub(crate) client: IdentifierUri,
    pub(crate) signature_key: SignatureKey,
    pub(crate) account_signature: SignatureBytes,
}

impl From<ClientCredential> for Client {
    fn from(credential: ClientCredential) -> Self {
        Self {
            client: credential.client,
            signature_key: credential.signature_key,
            account_signature: credential.account_signature,
        }
    }
}

impl Account {
    /// Whether a key is one of its devices'.
    pub(crate) fn has(&self, client_key: &SignatureKey) -> bool {
        self.clients.iter().any(|c| c.signature_key == *client_key)
    }

    /// What others see.
    pub(crate) fn entry(&self) -> AccountEntry {
        AccountEntry {
            account_key: self.account_key.clone(),
            connection_key: self.connection_key.clone(),
        }
    }

    /// What its own devices see.
    pub(crate) fn view(&self, user: &IdentifierUri) -> Result<AccountView, Fault> {
        let credential = |client: &Client| ClientCredential {
            user: user.clone(),
            client: client.client.clone(),
            signature_key: client.signature_key.clone(),
            account_key: self.account_key.clone(),
            account_signature: client.account_signature.clone(),
        };
        let clients = self.clients.iter().map(credential).collect();
        Ok(AccountView {
            entry: self.entry(),
            clients: List::new(clients).map_err(|_| Fault::Encoding)?,
        })
    }
}

/// The record of an account of nobody's, to be opened where there is none.
pub(crate) fn nobody(domain: &Domain) -> Result<Vec<u8>, Fault> {
    let key = SigningKey::from_seed(&[0; 32]);
    let bounds = |_| Fault::Encoding;
    let handle = Handle::new("nobody").map_err(bounds)?;
    let signature = key.sign("nobody", b"")?;
    let connection_key = SignedConnectionKey {
        hpke_key: HpkeKey::new([0; 32]).map_err(bounds)?,
        signature: signature.clone(),
    };
    let client = Client {
        client: handle.uri(domain).map_err(bounds)?,
        signature_key: key.public(),
        account_signature: signature,
    };
    let account = Account {
        account_key: key.public(),
        connection_key,
        clients: List::new(vec![client]).map_err(bounds)?,
    };
    let record = AccountRecord {
        format: FORMAT,
        account: Some(account),
    };
    Ok(encode(&record)?)
}

/// What stands at a handle.
pub(crate) enum AtHandle {
    /// Nobody ever had it.
    Nobody,
    /// Somebody had it.
    Gone,
    /// An account, and the version that was read.
    Account(Box<Account>, RecordVersion),
}

/// Which requests wait at a handle.
#[derive(Default, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct Waiting {
    pub(crate) requests: List<WaitingRequest, MAX_PENDING_CONNECTION_REQUESTS>,
}

/// One of them; it is in the log.
#[derive(Clone, Copy, Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct WaitingRequest {
    /// SHA-256 of the serialised [`sordino_wire::SealedConnectionRequest`].
    pub(crate) hash: Digest,
    /// The last day on which it waits.
    pub(crate) last_day: u32,
}

impl Waiting {
    /// Without those whose day is over.
    pub(crate) fn since(self, today: u32) -> Self {
        self.keep(|request| request.last_day >= today)
    }

    /// Those that pass.
    pub(crate) fn keep(self, pass: impl Fn(&WaitingRequest) -> bool) -> Self {
        let mut requests = self.requests.into_vec();
        requests.retain(pass);
        Self {
            // Fewer than were within the bound.
            requests: List::new(requests).unwrap_or_default(),
        }
    }

    /// Whether a request waits.
    pub(crate) fn has(&self, hash: &Digest) -> bool {
        self.requests.iter().any(|request| request.hash == *hash)
    }

    /// Whether it was taken up: not where it waits already, nor where there is no room.
    pub(crate) fn add(&mut self, request: WaitingRequest) -> bool {
        let mut requests = self.requests.as_slice().to_vec();
        requests.push(request);
        match List::new(requests) {
            Ok(requests) if !self.has(&request.hash) => {
                self.requests = requests;
                true
            }
            _ => false,
        }
    }
}
