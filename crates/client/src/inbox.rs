//! Owns this device's inboxes: what is addressed to it before it is inside a group.
//!
//! Invariant: one inbox per request; a delivery is acted upon and the cursor moved in one
//! transaction; a delivery that leads nowhere is passed over, once.

use crate::core::Core;
use crate::engine::state::Step;
use crate::engine::welcome::{Arrival, join, open_welcome_object, references, welcome};
use crate::envelope::{Occasion, Signing, seal};
use crate::error::{ClientError, GroupStatus, Result};
use crate::events::{Event, Evidence};
use crate::records::{
    FORMAT, History, InboxRecord, KeyPackageRecord, Purpose, inbox_name, key_package_name,
};
use crate::transport::Endpoint;
use crate::vault::Batch;
use sordino_crypto::{hpke_generate, inbox_id, open_inbox_delivery};
use sordino_wire::{
    Digest, GroupAccess, GroupId, GroupKeyObject, HpkeCiphertext, HpkeKey, InboxDelivery, InboxId,
    Membership, NumberedEntry, ReadInbox, Reject, RequestBody, ResponseBody, SealedKeyObject,
    Secret32, StreamPage, WelcomeInformationRequest, exact,
};

const DAY_S: u64 = 86_400;
/// How long an inbox lives: as long as a KeyPackage.
const INBOX_DAYS: u64 = 84;

/// An inbox that is about to be opened.
pub(crate) struct NewInbox {
    pub(crate) id: InboxId,
    pub(crate) public_key: HpkeKey,
    pub(crate) record: InboxRecord,
}

/// What became of a delivery.
enum Taken {
    /// It is done with, and the cursor may move.
    Done,
    /// It is what the inbox was for.
    Served,
}

impl Core {
    /// Makes an inbox. It is not kept yet.
    pub(crate) fn new_inbox(&self) -> Result<NewInbox> {
        let secret = Secret32::new(self.entropy.array());
        let mut rng = self.entropy.clone();
        let (private_key, public_key) = hpke_generate(&mut rng)?;
        let last_day = self.now_s() / DAY_S + INBOX_DAYS;
        Ok(NewInbox {
            id: inbox_id(&secret),
            public_key,
            record: InboxRecord {
                format: FORMAT,
                secret,
                hpke_private_key: Secret32::new(*private_key.expose()),
                last_day: u32::try_from(last_day).map_err(|_| ClientError::OutOfBounds)?,
                cursor: 0,
                key_request: None,
                key_package: None,
            },
        })
    }

    /// Keeps an inbox together with what it is for.
    pub(crate) fn keep_inbox(&self, batch: &mut Batch, inbox: &NewInbox) -> Result<()> {
        batch.put(inbox_name(inbox.id), &inbox.record)?;
        self.commit_index(batch, |index| index.inboxes.push(inbox.id))?;
        self.wake.notify_one();
        Ok(())
    }

    /// Reads an inbox and acts on what is in it; says whether there was anything.
    pub(crate) async fn read_inbox(&self, id: InboxId, wait_s: u16) -> Result<bool> {
        let Some(record) = self.vault.get::<InboxRecord>(&inbox_name(id))? else {
            return Ok(false);
        };
        if u64::from(record.last_day) < self.now_s() / DAY_S {
            return self.drop_inbox(id, &record).map(|()| false);
        }
        let body = RequestBody::ReadInbox(ReadInbox {
            inbox_secret: record.secret.duplicate(),
            from: record.cursor,
            wait_s,
        });
        let page = match self.ask(Endpoint::Inboxes, body, wait_s).await? {
            ResponseBody::Inbox(page) => page,
            ResponseBody::Rejected(Reject::InboxUnavailable { .. }) => return Ok(false),
            ResponseBody::Rejected(reject) => return Err(ClientError::Refused(reject)),
            _ => return Err(ClientError::BadAnswer),
        };
        self.take_page(id, record, &page).await
    }

    /// Forgets an inbox that has served or is past its day, with its KeyPackage's private parts.
    fn drop_inbox(&self, id: InboxId, record: &InboxRecord) -> Result<()> {
        let mut batch = Batch::default();
        batch.delete(inbox_name(id));
        if let Some(reference) = &record.key_package {
            batch.delete(key_package_name(reference));
        }
        self.commit_index(&mut batch, |index| {
            index.inboxes.retain(|known| *known != id);
        })
    }

    async fn take_page(
        &self,
        id: InboxId,
        mut record: InboxRecord,
        page: &StreamPage,
    ) -> Result<bool> {
        let mut any = false;
        for entry in page.entries.iter() {
            if record.cursor != 0 && entry.number < record.cursor {
                continue;
            }
            any = true;
            record.cursor = entry.number.saturating_add(1);
            match self.take(id, &record, entry).await? {
                Taken::Served => {
                    self.drop_inbox(id, &record)?;
                    return Ok(true);
                }
                Taken::Done => {
                    let mut batch = Batch::default();
                    batch.put(inbox_name(id), &record)?;
                    self.vault.commit(&batch)?;
                }
            }
        }
        Ok(any)
    }

    async fn take(
        &self,
        id: InboxId,
        record: &InboxRecord,
        entry: &NumberedEntry,
    ) -> Result<Taken> {
        let private_key = record.hpke_private_key.expose();
        let delivery = exact::<HpkeCiphertext>(entry.entry.as_slice())
            .ok()
            .and_then(|sealed| open_inbox_delivery(private_key, id, &sealed).ok());
        match delivery {
            Some(InboxDelivery::Welcome {
                welcome,
                key_object,
            }) => self.take_welcome(welcome.as_slice(), &key_object).await,
            Some(InboxDelivery::KeyAnswer {
                question,
                key_object,
            }) => {
                let Some(group) = record.key_request else {
                    return Ok(Taken::Done);
                };
                let used = self.take_answer(group, question, &key_object).await?;
                Ok(if used { Taken::Served } else { Taken::Done })
            }
            Some(InboxDelivery::Deposit(contents)) => {
                self.take_deposit(id, contents.as_slice())?;
                Ok(Taken::Done)
            }
            None => Ok(Taken::Done),
        }
    }

    async fn take_welcome(&self, bytes: &[u8], sealed: &SealedKeyObject) -> Result<Taken> {
        let Some((reference, key_package)) = self.key_package_for(bytes)? else {
            return Ok(Taken::Done);
        };
        let Ok(object) = open_welcome_object(&key_package, bytes, sealed) else {
            return Ok(Taken::Done);
        };
        if object.hub_domain != self.hub_domain || self.stays_inside(object.group_id).await? {
            return Ok(Taken::Done);
        }
        if !self.is_expected(&key_package.purpose, &object) {
            // The giver may have another account key, of which the connection tells.
            self.hear_of(&key_package.purpose).await?;
        }
        if !self.is_expected(&key_package.purpose, &object) {
            self.events.send_all(vec![Event::WelcomeRefused]);
            return Ok(Taken::Done);
        }
        let Some(membership) = self.welcome_information(&key_package, &object).await? else {
            return Ok(Taken::Done);
        };
        if self.is_inside(object.group_id).await?
            && self.has_leaf(object.group_id, &membership).await?
        {
            return Ok(Taken::Done);
        }
        let group_id = object.group_id;
        let hub_key = self.hub_key().await?;
        let mut step = Step::new(self.now_s());
        let arrival = Arrival {
            key_package: &key_package,
            welcome: bytes,
            object,
            membership,
            hub_key: &hub_key,
        };
        let mut group = match join(&self.entropy, &mut step, arrival) {
            Ok(group) => group,
            Err(_) => {
                self.events.send_all(vec![Event::Evidence {
                    group: group_id,
                    evidence: Evidence::BadKeyObject,
                }]);
                return Ok(Taken::Done);
            }
        };
        // Whoever comes back keeps the history.
        group.state.take_up(self.kept_history(group_id).await);
        step.batch.delete(key_package_name(&reference));
        self.install(group, step).await?;
        if let Purpose::Contact(contact) = &key_package.purpose {
            // A set of that pool is gone.
            self.fill_soon(contact);
            self.people_moved();
        }
        Ok(Taken::Served)
    }

    async fn hear_of(&self, purpose: &Purpose) -> Result<()> {
        match purpose {
            Purpose::Contact(user) => self.hear_contact(user).await,
            Purpose::Proposed(_) | Purpose::Sibling(_) => Ok(()),
        }
    }

    /// Whether a Welcome comes from somebody whom this user has let in so far: the contact whose
    /// pool the KeyPackage was in, an own device, or whoever answers to a request of this user.
    fn is_expected(&self, purpose: &Purpose, object: &GroupKeyObject) -> bool {
        let giver = &object.giver_credential;
        match purpose {
            Purpose::Contact(user) => self.book().get(user).is_some_and(|contact| {
                contact.is_connected()
                    && giver.user == *user
                    && giver.account_key == contact.account_key
            }),
            Purpose::Proposed(group) => object.group_id == *group,
            Purpose::Sibling(group) => {
                let device = self.device();
                let own = device.credential();
                object.group_id == *group
                    && giver.user == own.user
                    && giver.account_key == own.account_key
            }
        }
    }

    fn key_package_for(&self, bytes: &[u8]) -> Result<Option<(Digest, KeyPackageRecord)>> {
        let Ok(welcome) = welcome(bytes) else {
            return Ok(None);
        };
        for reference in references(&welcome)? {
            if let Some(record) = self.vault.get(&key_package_name(&reference))? {
                return Ok(Some((reference, record)));
            }
        }
        Ok(None)
    }

    /// Whether this device is in the group, and not on its way out by a removal that it has not
    /// read yet: whoever is added again gets the Welcome before that.
    async fn stays_inside(&self, id: GroupId) -> Result<bool> {
        if !self.is_inside(id).await? {
            return Ok(false);
        }
        if let Err(ClientError::Unreachable) = self.catch_up(id).await {
            return Err(ClientError::Unreachable);
        }
        // Whoever is coming back reads nothing, and may have been removed: the tree tells.
        match self.status(id).await {
            Ok(GroupStatus::Recovering) => Ok(false),
            _ => self.is_inside(id).await,
        }
    }

    /// Whether the leaf that this device has in a group is among its members.
    async fn has_leaf(&self, id: GroupId, membership: &Membership) -> Result<bool> {
        let device = self.device();
        let leaf = self.view(id, |group, _| group.leaf(&device)).await?;
        let tree = crate::engine::tree::tree(membership.ratchet_tree.as_slice())?;
        let people = crate::engine::tree::people(&tree)?;
        Ok(people
            .iter()
            .any(|person| person.client_pseudonym == leaf.credential.client_pseudonym))
    }

    async fn is_inside(&self, id: GroupId) -> Result<bool> {
        match self.status(id).await {
            Ok(status) => Ok(matches!(
                status,
                GroupStatus::Active | GroupStatus::Recovering | GroupStatus::Halted
            )),
            Err(ClientError::NotInGroup) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn kept_history(&self, id: GroupId) -> History {
        self.view(id, |group, _| Ok(group.state.history()))
            .await
            .unwrap_or_default()
    }

    /// Tree and roster of the Welcome's epoch; `None` where the hub has them no more.
    async fn welcome_information(
        &self,
        key_package: &KeyPackageRecord,
        object: &GroupKeyObject,
    ) -> Result<Option<Membership>> {
        let device = self.device();
        let domain = crate::device::domain_of(&device.credential().user)?;
        let leaf = device.leaf(&domain, &key_package.slot, 0)?;
        let secret = sordino_crypto::GroupSecret::new(object.group_secret.duplicate());
        for _ in 0..3 {
            let body = RequestBody::WelcomeInformation(WelcomeInformationRequest {
                access: GroupAccess {
                    group_id: object.group_id,
                    ear_key: secret.ear_key()?.secret().duplicate(),
                },
                epoch: object.epoch,
            });
            let occasion = Occasion {
                hub_domain: &self.hub_domain,
                group_id: object.group_id,
                epoch: object.epoch,
                time_s: self.with_tools(|tools| tools.time_s),
                nonce: self.entropy.array(),
            };
            let request = seal(body, &Signing::Joiner { key: &leaf.key }, &occasion)?;
            let answer = self
                .transport
                .post(Endpoint::WelcomeInformation, &request, 0)
                .await?;
            match answer {
                ResponseBody::Membership(membership) => return Ok(Some(membership)),
                ResponseBody::Rejected(Reject::StaleTime { hub_time_s }) => {
                    self.learn_time(hub_time_s);
                }
                ResponseBody::Rejected(Reject::Unavailable { .. }) => {
                    return Err(ClientError::Unreachable);
                }
                ResponseBody::Rejected(_) => return Ok(None),
                _ => return Err(ClientError::BadAnswer),
            }
        }
        Err(ClientError::Unreachable)
    }
}
