//! Owns adding a device, on a device that is there: the offer to the code that a person typed in,
//! and the answer to it.
//!
//! Invariant: what was begun is durable before the offer goes out, and goes on after a crash; the
//! new device is added only if it answers where the offer said, with a credential of this account.

use super::code::LinkCode;
use super::{LinkAnswer, LinkOffer};
use crate::client::Client;
use crate::core::{Core, outcome};
use crate::engine::plan::{Plan, check_entry};
use crate::error::{ClientError, Result};
use crate::inbox::NewInbox;
use crate::records::{FORMAT, InboxRecord, inbox_name};
use crate::transport::Endpoint;
use crate::vault::Batch;
use sordino_crypto::{
    HpkePrivateKey, LINK_SECRET_BYTES, LinkSecret, check_client_credential, open_link, seal_link,
    sha256,
};
use sordino_wire::{
    Bytes, Deposit, Domain, HpkeKey, IdentifierUri, InboxAddress, InboxId, OpenInbox, Reject,
    RequestBody, Secret32, encode, exact,
};
use std::time::Duration;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};
use zeroize::Zeroizing;

/// The link that is under way.
const LINK: &str = "devices/link";
/// Days that the reply's inbox lives.
const REPLY_DAYS: u64 = 2;
const DAY_S: u64 = 86_400;
/// How long one look for the answer waits, in seconds.
const WAIT_S: u16 = 5;
/// How long [`Client::link_device`] waits for the new device.
const PATIENCE: Duration = Duration::from_secs(600);

/// A link that is under way.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct LinkRecord {
    format: u8,
    /// Of the code, so that the same one typed again goes on.
    code_hash: [u8; 32],
    reply: InboxId,
    reply_secret: [u8; LINK_SECRET_BYTES],
    /// The new device's inbox, which this one opens (decision 0062).
    opening: OpenInbox,
    /// The serialised deposit that is the offer.
    offer: VLBytes,
    /// 1 once the hub has it.
    offered: u8,
    /// The answer, once it came.
    answer: Option<VLBytes>,
}

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing is under way.
    None,
    /// The new device has not answered.
    Waiting,
    /// It is added.
    Linked,
}

impl Client {
    /// Adds the device that shows this code: returns when it is one of this user's. What was begun
    /// goes on by itself if this is interrupted.
    pub async fn link_device(&self, code: &str) -> Result<()> {
        let code = LinkCode::from_text(code)?;
        self.core.begin_link(&code).await?;
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                match self.core.link_progress(WAIT_S).await {
                    Ok(Progress::Waiting) | Err(ClientError::Unreachable) => {}
                    Ok(_) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        });
        waited.await.unwrap_or(Err(ClientError::LinkUnanswered))
    }

    /// The names of this user's devices, as the provider has them.
    pub async fn devices(&self) -> Result<Vec<IdentifierUri>> {
        Ok(self.account().await?.devices)
    }
}

impl Core {
    async fn begin_link(&self, code: &LinkCode) -> Result<()> {
        if code.hub_domain != self.hub_domain {
            return Err(ClientError::OtherHub);
        }
        if u64::from(code.last_day) < self.now_s() / DAY_S {
            return Err(ClientError::LinkCodeExpired);
        }
        let code_hash = code_hash(code)?;
        if let Some(link) = self.vault.get::<LinkRecord>(LINK)?
            && link.code_hash == code_hash
        {
            return Ok(());
        }
        let group = self.make_devices_group().await?;
        let view = self.read_account().await?;
        let mut batch = Batch::default();
        self.share_account(&mut batch, view.clients.into_vec())?;
        self.vault.commit(&batch)?;
        self.share_everything().await?;
        let secret = LinkSecret::new(self.entropy.array());
        let reply = self.open_reply(&secret).await?;
        let tokens = self.split_tokens(&mut Batch::default())?;
        let offer = {
            let device = self.device();
            LinkOffer {
                user: device.credential().user.clone(),
                user_secrets: device.user_secret_records(),
                account_key_seed: Secret32::new(*device.account_key()?.seed()),
                connection_key: Secret32::new(*device.connection_key()?.0.expose()),
                group,
                reply: self.address(&reply),
                reply_secret: *secret.expose(),
                tokens,
            }
        };
        let offer = self.sealed_deposit(&code.deposit_place(), &code.secret, &offer)?;
        let record = LinkRecord {
            format: FORMAT,
            code_hash,
            reply: reply.id,
            reply_secret: *secret.expose(),
            opening: code.opening(),
            offer: VLBytes::new(encode(&offer)?),
            offered: 0,
            answer: None,
        };
        let mut batch = Batch::default();
        batch.put(LINK, &record)?;
        self.keep_inbox(&mut batch, &reply)
    }

    async fn open_reply(&self, secret: &LinkSecret) -> Result<NewInbox> {
        let mut inbox = self.new_inbox()?;
        let last_day = self.now_s() / DAY_S + REPLY_DAYS;
        inbox.record.last_day = u32::try_from(last_day).map_err(|_| ClientError::OutOfBounds)?;
        self.open_for_deposits(OpenInbox {
            inbox_id: inbox.id,
            hpke_key: inbox.public_key.clone(),
            last_day: inbox.record.last_day,
            deposit_hash: Some(sha256(secret.deposit_secret().expose())),
        })
        .await?;
        Ok(inbox)
    }

    async fn open_for_deposits(&self, opening: OpenInbox) -> Result<()> {
        let body = RequestBody::OpenInbox(opening);
        let answer = self.ask(Endpoint::InboxOnce, body, 0).await?;
        match outcome(answer)? {
            Ok(_) => Ok(()),
            Err(Reject::InboxUnavailable { .. }) => Err(ClientError::LinkCodeExpired),
            Err(Reject::Unavailable { .. }) => Err(ClientError::Unreachable),
            Err(reject) => Err(ClientError::Refused(reject)),
        }
    }

    /// A deposit that the holder of `place` opens.
    pub(super) fn sealed_deposit<T: tls_codec::Serialize>(
        &self,
        place: &InboxAddress,
        secret: &LinkSecret,
        contents: &T,
    ) -> Result<Deposit> {
        let plain = Zeroizing::new(encode(contents)?);
        let mut rng = self.entropy.clone();
        let sealed = seal_link(secret, &place.hpke_key, &plain, &mut rng)?;
        Ok(Deposit {
            inbox: place.clone(),
            deposit_secret: secret.deposit_secret(),
            contents: Bytes::new(sealed)?,
        })
    }

    /// Makes a deposit.
    pub(super) async fn deposit(&self, deposit: Deposit) -> Result<()> {
        let body = RequestBody::Deposit(deposit);
        match outcome(self.ask(Endpoint::InboxOnce, body, 0).await?)? {
            Ok(_) => Ok(()),
            Err(Reject::InboxUnavailable { .. }) => Err(ClientError::LinkCodeExpired),
            Err(Reject::Unavailable { .. }) => Err(ClientError::Unreachable),
            Err(reject) => Err(ClientError::Refused(reject)),
        }
    }

    /// Brings a link on that is under way.
    pub(crate) async fn go_on_linking(&self) -> Result<()> {
        self.link_progress(0).await?;
        self.go_on_being_linked().await
    }

    async fn link_progress(&self, wait_s: u16) -> Result<Progress> {
        let _turn = self.link_turn.lock().await;
        let Some(mut link) = self.vault.get::<LinkRecord>(LINK)? else {
            return Ok(Progress::None);
        };
        if link.offered == 0 {
            let offer: Deposit = exact(&Zeroizing::new(link.offer.as_slice().to_vec()))?;
            let offered = match self.open_for_deposits(link.opening.clone()).await {
                Ok(()) => self.deposit(offer).await,
                refused => refused,
            };
            match offered {
                Ok(()) => {}
                Err(error @ ClientError::LinkCodeExpired) => {
                    self.drop_link(&link)?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
            link.offered = 1;
            link.offer = VLBytes::new(Vec::new());
            self.keep_link(&link)?;
        }
        if link.answer.is_none() {
            self.read_inbox(link.reply, wait_s).await?;
            link = match self.vault.get::<LinkRecord>(LINK)? {
                Some(link) => link,
                None => return Ok(Progress::None),
            };
        }
        let Some(answer) = &link.answer else {
            if self
                .vault
                .get::<InboxRecord>(&inbox_name(link.reply))?
                .is_none()
            {
                // Its inbox is past its day: nobody will answer any more.
                self.drop_link(&link)?;
                return Err(ClientError::LinkUnanswered);
            }
            return Ok(Progress::Waiting);
        };
        let answer: LinkAnswer = exact(answer.as_slice())?;
        self.add_device(answer).await?;
        self.drop_link(&link)?;
        Ok(Progress::Linked)
    }

    fn keep_link(&self, link: &LinkRecord) -> Result<()> {
        let mut batch = Batch::default();
        batch.put(LINK, link)?;
        Ok(self.vault.commit(&batch)?)
    }

    fn drop_link(&self, link: &LinkRecord) -> Result<()> {
        let mut batch = Batch::default();
        batch.delete(LINK);
        batch.delete(inbox_name(link.reply));
        let reply = link.reply;
        self.commit_index(&mut batch, |index| {
            index.inboxes.retain(|known| *known != reply);
        })
    }

    /// Something was left in one of this device's inboxes.
    pub(crate) fn take_deposit(&self, id: InboxId, contents: &[u8]) -> Result<()> {
        let Some(mut link) = self.vault.get::<LinkRecord>(LINK)? else {
            return Ok(());
        };
        if link.reply != id || link.answer.is_some() {
            return Ok(());
        }
        let Some(record) = self.vault.get::<InboxRecord>(&inbox_name(id))? else {
            return Ok(());
        };
        let private_key = HpkePrivateKey::from_bytes(record.hpke_private_key.expose())?;
        let secret = LinkSecret::new(link.reply_secret);
        let Ok(opened) = open_link(&secret, &private_key, contents) else {
            return Ok(());
        };
        let Ok(answer) = exact::<LinkAnswer>(&opened) else {
            return Ok(());
        };
        if self.is_own_credential(&answer) {
            link.answer = Some(VLBytes::new(opened.to_vec()));
            self.keep_link(&link)?;
        }
        Ok(())
    }

    fn is_own_credential(&self, answer: &LinkAnswer) -> bool {
        let device = self.device();
        let own = device.credential();
        check_client_credential(&answer.credential).is_ok()
            && answer.credential.user == own.user
            && answer.credential.account_key == own.account_key
            && answer.entry.link.client_credential == answer.credential
    }

    /// Brings the new device into the devices' group; from there on it helps itself.
    async fn add_device(&self, answer: LinkAnswer) -> Result<()> {
        let group = self.devices_group().ok_or(ClientError::NotInGroup)?;
        let crypto = openmls_rust_crypto::RustCrypto::default();
        let joiner = check_entry(&answer.entry, &crypto, self.now_s())?;
        let inside = self
            .view(group.group_id, |group, _| {
                let people = group.people()?.into_iter();
                let mut names = people.map(|person| person.client_pseudonym);
                Ok(names.any(|name| name == joiner.credential.client_pseudonym))
            })
            .await?;
        if !inside {
            let plan = Plan::AddOwnDevices(vec![answer.entry]);
            self.commit(group.group_id, &plan).await?;
        }
        let view = self.read_account().await?;
        let mut batch = Batch::default();
        self.share_account(&mut batch, view.clients.into_vec())?;
        self.tell_all_again(&mut batch)?;
        self.vault.commit(&batch)?;
        self.fill_all_soon();
        Ok(())
    }
}

impl LinkCode {
    /// Where the offer goes.
    fn deposit_place(&self) -> InboxAddress {
        InboxAddress {
            domain: self.hub_domain.clone(),
            inbox_id: self.inbox_id,
            hpke_key: self.hpke_key.clone(),
        }
    }
}

/// What the hash of a code is of.
#[derive(TlsSerialize, TlsSize)]
struct CodeContent {
    domain: Domain,
    inbox_id: InboxId,
    hpke_key: HpkeKey,
}

fn code_hash(code: &LinkCode) -> Result<[u8; 32]> {
    let content = encode(&CodeContent {
        domain: code.hub_domain.clone(),
        inbox_id: code.inbox_id,
        hpke_key: code.hpke_key.clone(),
    })?;
    Ok(sha256(&content).0)
}
