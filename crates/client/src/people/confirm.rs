//! Owns what passes between this user and the provider about connection requests of others: they
//! are read, opened, confirmed, and settled.
//!
//! Invariant: a request is kept before the cursor passes it, and shown only after the account key
//! behind it was looked up. What cannot be opened, is not for this user or comes from somebody who
//! is blocked is settled without anybody hearing of it.

use crate::core::Core;
use crate::error::{ClientError, Result};
use crate::events::Event;
use crate::people::account_request::done;
use crate::people::contact::ContactState;
use crate::people::requests::{RequestId, WaitingRequest};
use crate::vault::Batch;
use sordino_crypto::{check_connection_request, open_connection_request, sha256};
use sordino_wire::limits::{CONNECTION_REQUEST_DAYS, MAX_PENDING_CONNECTION_REQUESTS};
use sordino_wire::{
    AccountRequestBody, AccountResponseBody, ConnectionRequest, Digest, IdentifierUri, List,
    ReadConnectionRequests, SealedConnectionRequest, SettleConnectionRequests, StreamPage, exact,
};

const DAY_S: u64 = 86_400;

impl Core {
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
}
