//! Owns connection requests of others, until this user has answered.
//!
//! Invariant: a request is seen once: what was answered, by whichever device, does not come back.

use crate::client::Client;
use crate::core::Core;
use crate::error::{ClientError, Result};
use crate::records::{FORMAT, REQUESTS};
use crate::vault::Batch;
use sordino_crypto::account_fingerprint;
use sordino_wire::limits::CONNECTION_REQUEST_DAYS;
use sordino_wire::{ConnectionRequest, Digest, IdentifierUri, SignatureKey};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

const DAY_S: u64 = 86_400;
/// How long a request is remembered that was dealt with: longer than it is good for.
const REMEMBER_S: u64 = 32 * DAY_S;
const _: () = assert!(CONNECTION_REQUEST_DAYS + 2 <= 32);

/// Names a connection request on this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(crate) Digest);

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = self.0.0.iter().take(8);
        head.into_iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Somebody asks for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRequestInfo {
    /// For [`Client::accept`] and [`Client::decline`].
    pub id: RequestId,
    /// Who asks; the provider confirms the account key.
    pub from: IdentifierUri,
    /// Of that account key: to be compared with what the person sees.
    pub fingerprint: String,
    /// When, in seconds since 1970, floored to 60, as the person says.
    pub time_s: u64,
}

/// All requests of others on this device.
#[derive(Debug, Default, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct RequestsRecord {
    format: u8,
    pub(crate) cursor: u64,
    pub(crate) waiting: Vec<WaitingRequest>,
    /// Dealt with, and not to be looked at again.
    seen: Vec<SeenRequest>,
    /// Dealt with, which the provider does not know yet.
    pub(crate) unsettled: Vec<Digest>,
}

/// A request that waits for this user.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct WaitingRequest {
    /// SHA-256 of the sealed request.
    pub(crate) hash: Digest,
    pub(crate) request: ConnectionRequest,
    /// 1 once the provider has confirmed the account key.
    pub(crate) confirmed: u8,
    /// When the provider is asked.
    pub(crate) due_s: u64,
}

#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct SeenRequest {
    hash: Digest,
    until_s: u64,
}

impl RequestsRecord {
    pub(crate) fn knows(&self, hash: &Digest) -> bool {
        self.waiting.iter().any(|waiting| waiting.hash == *hash)
            || self.seen.iter().any(|seen| seen.hash == *hash)
    }

    /// Takes note that nobody has to look at a request any more.
    pub(crate) fn settle(&mut self, hash: Digest, now_s: u64) {
        self.forget(hash, now_s);
        self.unsettled.push(hash);
    }

    /// The same where the provider knows.
    pub(crate) fn forget(&mut self, hash: Digest, now_s: u64) {
        self.waiting.retain(|waiting| waiting.hash != hash);
        self.seen.retain(|seen| seen.until_s > now_s);
        self.seen.push(SeenRequest {
            hash,
            until_s: now_s.saturating_add(REMEMBER_S),
        });
    }
}

impl Client {
    /// Who asks for a connection and has no answer yet.
    pub async fn connection_requests(&self) -> Result<Vec<ConnectionRequestInfo>> {
        let record = self.core.requests()?;
        let confirmed = record.waiting.iter().filter(|w| w.confirmed == 1);
        confirmed
            .map(|waiting| {
                let asker = &waiting.request.key_object.giver_credential;
                Ok(ConnectionRequestInfo {
                    id: RequestId(waiting.hash),
                    from: asker.user.clone(),
                    fingerprint: account_fingerprint(&asker.user, &asker.account_key)?,
                    time_s: waiting.request.time_s,
                })
            })
            .collect()
    }

    /// Says no, to nobody: the person who asked does not hear of it.
    pub async fn decline(&self, id: RequestId) -> Result<()> {
        self.core.change_requests(&mut Batch::default(), |record| {
            if !record.waiting.iter().any(|waiting| waiting.hash == id.0) {
                return Err(ClientError::NoSuchRequest);
            }
            record.settle(id.0, self.core.now_s());
            Ok(())
        })?;
        // What does not get through now is repeated by the next sync.
        let _ = self.core.settle_requests().await;
        Ok(())
    }
}

impl Core {
    pub(crate) fn requests(&self) -> Result<RequestsRecord> {
        Ok(self.vault.get(REQUESTS)?.unwrap_or_default())
    }

    /// Changes the requests in one transaction with the rest of a batch.
    pub(crate) fn change_requests<T>(
        &self,
        batch: &mut Batch,
        change: impl FnOnce(&mut RequestsRecord) -> Result<T>,
    ) -> Result<T> {
        // Whoever reads, changes and writes them takes the contacts first, so that nothing is lost.
        let _book = self.book();
        let mut record = self.requests()?;
        record.format = FORMAT;
        let value = change(&mut record)?;
        batch.put(REQUESTS, &record)?;
        self.vault.commit(batch)?;
        Ok(value)
    }

    /// A request that this user may answer.
    pub(crate) fn waiting_request(&self, id: RequestId) -> Result<WaitingRequest> {
        let waiting = self.requests()?.waiting.into_iter();
        let mut fitting = waiting.filter(|waiting| waiting.hash == id.0 && waiting.confirmed == 1);
        fitting.next().ok_or(ClientError::NoSuchRequest)
    }

    /// A request that somebody handed on; see [`crate::raw::forward_request`].
    pub(crate) fn take_forwarded(&self, waiting: WaitingRequest) -> Result<()> {
        self.change_requests(&mut Batch::default(), |record| {
            record.waiting.push(waiting);
            Ok(())
        })
    }

    /// The request that a contact's connection began with.
    pub(crate) fn request_of(&self, request_id: Digest) -> Result<Option<WaitingRequest>> {
        let waiting = self.requests()?.waiting.into_iter();
        let mut fitting = waiting.filter(|waiting| waiting.request.request_id == request_id);
        Ok(fitting.next())
    }

    /// The account key under which a user has asked.
    pub(crate) fn asker(&self, user: &IdentifierUri) -> Result<Option<SignatureKey>> {
        let mut askers = self
            .requests()?
            .waiting
            .into_iter()
            .filter(|waiting| waiting.confirmed == 1)
            .map(|waiting| waiting.request.key_object.giver_credential);
        let asker = askers.find(|asker| asker.user == *user);
        Ok(asker.map(|asker| asker.account_key))
    }

    /// Strikes off whatever a user has asked.
    pub(crate) fn settle_all_of(&self, user: &IdentifierUri) -> Result<()> {
        let now_s = self.now_s();
        self.change_requests(&mut Batch::default(), |record| {
            let of_user = |waiting: &&WaitingRequest| {
                waiting.request.key_object.giver_credential.user == *user
            };
            let hashes: Vec<Digest> = record
                .waiting
                .iter()
                .filter(of_user)
                .map(|waiting| waiting.hash)
                .collect();
            for hash in hashes {
                record.settle(hash, now_s);
            }
            Ok(())
        })
    }

    /// Strikes off the request that a connection began with.
    pub(crate) fn settle_request(&self, request_id: Digest) -> Result<()> {
        let Some(waiting) = self.request_of(request_id)? else {
            return Ok(());
        };
        let now_s = self.now_s();
        self.change_requests(&mut Batch::default(), |record| {
            record.settle(waiting.hash, now_s);
            Ok(())
        })
    }
}
