//! Owns connection requests of others, until this user has answered.
//!
//! Invariant: a request is kept before the cursor passes it, and shown only after the account key
//! behind it was looked up. What cannot be opened, is not for this user or comes from somebody who
//! is blocked is settled without anybody hearing of it; a request is seen once.

use crate::client::Client;
use crate::core::Core;
use crate::error::{ClientError, Result};
use crate::events::Event;
use crate::people::account_request::done;
use crate::people::contact::ContactState;
use crate::records::{FORMAT, REQUESTS};
use crate::vault::Batch;
use sordino_crypto::{
    account_fingerprint, check_connection_request, open_connection_request, sha256,
};
use sordino_wire::limits::{CONNECTION_REQUEST_DAYS, MAX_PENDING_CONNECTION_REQUESTS};
use sordino_wire::{
    AccountRequestBody, AccountResponseBody, ConnectionRequest, Digest, IdentifierUri, List,
    ReadConnectionRequests, SealedConnectionRequest, SettleConnectionRequests, SignatureKey,
    StreamPage, exact,
};
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
    cursor: u64,
    waiting: Vec<WaitingRequest>,
    /// Dealt with, and not to be looked at again.
    seen: Vec<SeenRequest>,
    /// Dealt with, which the provider does not know yet.
    unsettled: Vec<Digest>,
}

/// A request that waits for this user.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct WaitingRequest {
    /// SHA-256 of the sealed request.
    hash: Digest,
    pub(crate) request: ConnectionRequest,
    /// 1 once the provider has confirmed the account key.
    confirmed: u8,
    /// When the provider is asked.
    due_s: u64,
}

#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct SeenRequest {
    hash: Digest,
    until_s: u64,
}

impl RequestsRecord {
    fn knows(&self, hash: &Digest) -> bool {
        self.waiting.iter().any(|waiting| waiting.hash == *hash)
            || self.seen.iter().any(|seen| seen.hash == *hash)
    }

    /// Takes note that nobody has to look at a request any more.
    fn settle(&mut self, hash: Digest, now_s: u64) {
        self.forget(hash, now_s);
        self.unsettled.push(hash);
    }

    /// The same where the provider knows.
    fn forget(&mut self, hash: Digest, now_s: u64) {
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
    fn requests(&self) -> Result<RequestsRecord> {
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

    /// Strikes off requests that another device of this user has dealt with. What is still there
    /// at the provider has no answer.
    pub(crate) async fn prune_requests(&self) -> Result<()> {
        let waiting = self.requests()?.waiting;
        if waiting.is_empty()
            || !self
                .schedule
                .prune_is_due(self.now_s(), self.delays.prune_s())
        {
            return Ok(());
        }
        let there = self.unsettled_requests().await?;
        let now_s = self.now_s();
        self.change_requests(&mut Batch::default(), |record| {
            for waiting in waiting {
                if !there.contains(&waiting.hash) {
                    record.forget(waiting.hash, now_s);
                }
            }
            Ok(())
        })
    }

    /// What the provider keeps for this account.
    async fn unsettled_requests(&self) -> Result<Vec<Digest>> {
        let body = |_: &_| {
            Ok(AccountRequestBody::ReadConnectionRequests(
                ReadConnectionRequests { from: 0, wait_s: 0 },
            ))
        };
        match self.account_request(body, 0).await? {
            AccountResponseBody::ConnectionRequests(page) => {
                let entries = page.entries.iter();
                Ok(entries
                    .map(|entry| sha256(entry.entry.as_slice()))
                    .collect())
            }
            _ => Err(ClientError::BadAnswer),
        }
    }

    /// Whether another device of this user has answered a request that waits here.
    pub(crate) async fn is_answered_elsewhere(&self, request_id: Digest) -> Result<bool> {
        if self.device_count() < 2 {
            return Ok(false);
        }
        match self.request_of(request_id)? {
            Some(waiting) => Ok(!self.unsettled_requests().await?.contains(&waiting.hash)),
            None => Ok(true),
        }
    }

    /// Asks the provider for requests; says whether there was anything.
    pub(crate) async fn read_requests(&self, wait_s: u16) -> Result<bool> {
        let from = self.requests()?.cursor;
        let body = |_: &_| {
            Ok(AccountRequestBody::ReadConnectionRequests(
                ReadConnectionRequests { from, wait_s },
            ))
        };
        let AccountResponseBody::ConnectionRequests(page) =
            self.account_request(body, wait_s).await?
        else {
            return Err(ClientError::BadAnswer);
        };
        let any = !page.entries.is_empty();
        if any || page.next != from {
            self.keep_requests(&page)?;
        }
        if any {
            self.people_moved();
        }
        Ok(any)
    }

    fn keep_requests(&self, page: &StreamPage) -> Result<()> {
        let mut fresh = Vec::new();
        let known = self.requests()?;
        for entry in page.entries.iter() {
            let hash = sha256(entry.entry.as_slice());
            if !known.knows(&hash) {
                fresh.push((hash, self.open_request(entry.entry.as_slice())));
            }
        }
        let now_s = self.now_s();
        let delay_s = self.entropy.below(self.delays.look_up_s.saturating_add(1));
        self.change_requests(&mut Batch::default(), |record| {
            for (hash, request) in fresh {
                match request {
                    Some(request) if record.waiting.len() < MAX_PENDING_CONNECTION_REQUESTS => {
                        record.waiting.push(WaitingRequest {
                            hash,
                            request,
                            confirmed: 0,
                            due_s: now_s.saturating_add(delay_s),
                        });
                    }
                    _ => record.settle(hash, now_s),
                }
            }
            record.cursor = page.next;
            Ok(())
        })
    }

    /// A request that is for this user, from somebody whom this user would hear.
    fn open_request(&self, bytes: &[u8]) -> Option<ConnectionRequest> {
        let sealed = exact::<SealedConnectionRequest>(bytes).ok()?;
        let device = self.device();
        let own = &device.credential().user;
        let (private_key, public_key) = device.connection_key().ok()?;
        let request = open_connection_request(private_key.expose(), &sealed).ok()?;
        check_connection_request(&request, own, &public_key).ok()?;
        let asker = &request.key_object.giver_credential.user;
        let age_s = self.now_s().saturating_sub(request.time_s);
        let blocked = self
            .book()
            .get(asker)
            .is_some_and(|contact| contact.state == ContactState::Blocked);
        let usable = asker != own
            && !blocked
            && age_s < u64::from(CONNECTION_REQUEST_DAYS).saturating_add(1) * DAY_S
            && request.key_object.hub_domain == self.hub_domain;
        usable.then_some(request)
    }

    /// Asks the provider, as nobody, whether the account keys behind requests are those of the
    /// users that they name. Not at once, so that reading a request and looking up who sent it do
    /// not show as one thing.
    pub(crate) async fn confirm_requests(&self) -> Result<()> {
        let now_s = self.now_s();
        let due: Vec<_> = self
            .requests()?
            .waiting
            .into_iter()
            .filter(|waiting| waiting.confirmed == 0 && waiting.due_s <= now_s)
            .map(|waiting| (waiting.hash, waiting.request.key_object.giver_credential))
            .collect();
        for (hash, asker) in due {
            let confirmed = match self.look_up_user(&asker.user).await {
                Ok(entry) => entry.account_key == asker.account_key,
                Err(ClientError::OtherHub | ClientError::OutOfBounds) => false,
                Err(error) => return Err(error),
            };
            self.change_requests(&mut Batch::default(), |record| {
                match confirmed {
                    true => {
                        let waiting = record.waiting.iter_mut();
                        for waiting in waiting.filter(|waiting| waiting.hash == hash) {
                            waiting.confirmed = 1;
                        }
                    }
                    false => record.settle(hash, now_s),
                }
                Ok(())
            })?;
            if confirmed {
                self.meet(&asker.user, RequestId(hash)).await?;
            }
        }
        Ok(())
    }

    /// A confirmed request: this user is told, unless both have asked each other. Then both have
    /// consented, and one of the two groups serves: that of the user whose name comes first.
    async fn meet(&self, asker: &IdentifierUri, id: RequestId) -> Result<()> {
        let asked = self
            .book()
            .get(asker)
            .is_some_and(|contact| contact.state == ContactState::Asked);
        if !asked {
            self.events
                .send_all(vec![Event::ConnectionRequested { id }]);
            return Ok(());
        }
        if *asker < self.device().credential().user {
            return self.accept_request(id).await.map(|_| ());
        }
        let now_s = self.now_s();
        self.change_requests(&mut Batch::default(), |record| {
            record.settle(id.0, now_s);
            Ok(())
        })
    }

    /// Tells the provider which requests nobody needs any more.
    pub(crate) async fn settle_requests(&self) -> Result<()> {
        loop {
            let unsettled = self.requests()?.unsettled;
            let some: Vec<Digest> = unsettled
                .into_iter()
                .take(MAX_PENDING_CONNECTION_REQUESTS)
                .collect();
            if some.is_empty() {
                return Ok(());
            }
            let body = |_: &_| {
                Ok(AccountRequestBody::SettleConnectionRequests(
                    SettleConnectionRequests {
                        hashes: List::new(some.clone())?,
                    },
                ))
            };
            done(self.account_request(body, 0).await?)?;
            self.change_requests(&mut Batch::default(), |record| {
                record.unsettled.retain(|hash| !some.contains(hash));
                Ok(())
            })?;
        }
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
