//! Owns becoming one of a user's devices, on the new device: the code that it shows, the offer that
//! it gets, the answer that it gives.
//!
//! Invariant: its own secrets are made here and never leave; the same code is shown again after an
//! interruption; what was accepted is durable before it is answered.

use super::code::LinkCode;
use super::{LinkAnswer, LinkOffer};
use crate::client::Client;
use crate::core::{ClientConfig, Core, open_vault};
use crate::device::{Device, client_uri};
use crate::entropy::Entropy;
use crate::envelope::{Occasion, Signing, seal};
use crate::error::{ClientError, GroupStatus, Result, VaultError};
use crate::people::account_request::done;
use crate::records::{DEVICE, DeviceRecord, FORMAT, INDEX, IndexRecord, Purpose, UserSecretRecord};
use crate::slots;
use crate::transport::{Endpoint, Transport};
use crate::vault::{Batch, Vault};
use crate::wallet::draw::keep_promise;
use sordino_crypto::{
    HpkePrivateKey, LINK_SECRET_BYTES, LinkSecret, SigningKey, Slot, hpke_generate, inbox_id,
    make_client_credential, open_inbox_delivery, open_link,
};
use sordino_rules::key_package_lifetime;
use sordino_wire::{
    AccountRequestBody, Domain, GroupId, HpkeCiphertext, IdentifierUri, InboxAddress,
    InboxDelivery, KeyPackageEntry, ReadInbox, Reject, RequestBody, ResponseBody, Secret32, exact,
};
use std::sync::Arc;
use std::time::Duration;
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// What a new device is before it is one.
const LINKING: &str = "devices/linking";
/// What it answers, until it is inside.
const ANSWER: &str = "devices/answer";
/// Days that a code is good for.
const CODE_DAYS: u64 = 1;
const DAY_S: u64 = 86_400;
/// How long one look for the offer waits, in seconds.
const WAIT_S: u16 = 25;
/// Pause between two looks while it waits to be let in.
const LOOK: Duration = Duration::from_millis(200);

/// A new device's inbox for the offer.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct LinkingRecord {
    format: u8,
    inbox_secret: Secret32,
    hpke_private_key: Secret32,
    link_secret: [u8; LINK_SECRET_BYTES],
    last_day: u32,
}

/// Where the answer goes, and what the device is to be added to.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct AnswerRecord {
    format: u8,
    reply: InboxAddress,
    reply_secret: [u8; LINK_SECRET_BYTES],
    group: GroupId,
    /// 1 once the answer is at the hub.
    sent: u8,
}

/// A new device that waits to be linked.
pub struct Linking {
    config: ClientConfig,
    vault: Vault,
    entropy: Entropy,
    transport: Transport,
    record: LinkingRecord,
    code: String,
}

impl Linking {
    /// Begins: makes a code that another device of the user takes. With the same vault again, it
    /// is the same code, until its day has passed. Nothing is asked of the hub: that the inbox which
    /// the code names is there is up to the other device, which has tokens (decision 0062).
    pub async fn start(config: ClientConfig) -> Result<Self> {
        let (vault, entropy) = open_vault(&config)?;
        if vault.contains(DEVICE)? {
            return Err(VaultError::Device.into());
        }
        let transport = Transport::new(&config.hub, &config.extra_roots)?;
        let today = config.clock.now_s() / DAY_S;
        let kept = vault.get::<LinkingRecord>(LINKING)?;
        let record = match kept.filter(|record| u64::from(record.last_day) >= today) {
            Some(record) => record,
            None => {
                let (private_key, _) = hpke_generate(&mut entropy.clone())?;
                let last_day = today.saturating_add(CODE_DAYS);
                let record = LinkingRecord {
                    format: FORMAT,
                    inbox_secret: Secret32::new(entropy.array()),
                    hpke_private_key: Secret32::new(*private_key.expose()),
                    link_secret: entropy.array(),
                    last_day: u32::try_from(last_day).map_err(|_| ClientError::OutOfBounds)?,
                };
                let mut batch = Batch::default();
                batch.put(LINKING, &record)?;
                vault.commit(&batch)?;
                record
            }
        };
        let code = code_of(&record, &config.hub.domain)?;
        Ok(Self {
            code: code.to_text()?,
            config,
            vault,
            entropy,
            transport,
            record,
        })
    }

    /// The code, as text: lower-case letters, digits and hyphens. Whoever has it can make this
    /// device one of theirs, and sees nothing of it.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Waits for the other device, and becomes one of the user's. Dropped and begun again, it goes
    /// on where it was.
    pub async fn finish(self) -> Result<Client> {
        let offer = loop {
            match self.look_for_offer().await {
                Ok(Some(offer)) => break offer,
                Ok(None) | Err(ClientError::Unreachable) => {}
                Err(error) => return Err(error),
            }
            let today = self.config.clock.now_s() / DAY_S;
            if u64::from(self.record.last_day) < today {
                return Err(ClientError::LinkCodeExpired);
            }
        };
        let core = self.become_device(offer)?;
        let client = Client {
            core: Arc::new(core),
        };
        client.core.wait_to_be_let_in().await?;
        Ok(client)
    }

    async fn ask(
        &self,
        endpoint: Endpoint,
        body: RequestBody,
        wait_s: u16,
    ) -> Result<ResponseBody> {
        let occasion = Occasion {
            hub_domain: &self.config.hub.domain,
            group_id: GroupId([0; 16]),
            epoch: 0,
            time_s: 0,
            nonce: [0; 16],
        };
        let request = seal(body, &Signing::Possession, &occasion)?;
        self.transport.post(endpoint, &request, wait_s).await
    }

    async fn look_for_offer(&self) -> Result<Option<LinkOffer>> {
        let body = RequestBody::ReadInbox(ReadInbox {
            inbox_secret: self.record.inbox_secret.duplicate(),
            from: 0,
            wait_s: WAIT_S,
        });
        let page = match self.ask(Endpoint::Inboxes, body, WAIT_S).await? {
            ResponseBody::Inbox(page) => page,
            ResponseBody::Rejected(Reject::Unavailable { .. }) => {
                return Err(ClientError::Unreachable);
            }
            ResponseBody::Rejected(reject) => return Err(ClientError::Refused(reject)),
            _ => return Err(ClientError::BadAnswer),
        };
        let private_key = HpkePrivateKey::from_bytes(self.record.hpke_private_key.expose())?;
        let secret = LinkSecret::new(self.record.link_secret);
        let id = inbox_id(&self.record.inbox_secret);
        // The last one counts: whoever began anew has made the former one void.
        for entry in page.entries.iter().rev() {
            let Ok(sealed) = exact::<HpkeCiphertext>(entry.entry.as_slice()) else {
                continue;
            };
            let Ok(InboxDelivery::Deposit(contents)) =
                open_inbox_delivery(private_key.expose(), id, &sealed)
            else {
                continue;
            };
            let Ok(opened) = open_link(&secret, &private_key, contents.as_slice()) else {
                continue;
            };
            if let Ok(offer) = exact::<LinkOffer>(&opened) {
                return Ok(Some(offer));
            }
        }
        Ok(None)
    }

    /// Makes this device's own secrets, and keeps everything.
    fn become_device(self, offer: LinkOffer) -> Result<Core> {
        let device = further_device(
            &offer.user,
            offer.user_secrets,
            &offer.account_key_seed,
            &offer.connection_key,
            &self.entropy,
        )?;
        slots::reserve_as_sibling(&self.vault, &offer.group.slot, offer.group.group_id)?;
        let mut batch = Batch::default();
        batch.put(DEVICE, &device.record())?;
        batch.put(INDEX, &IndexRecord::default())?;
        batch.put(
            ANSWER,
            &AnswerRecord {
                format: FORMAT,
                reply: offer.reply,
                reply_secret: offer.reply_secret,
                group: offer.group.group_id,
                sent: 0,
            },
        )?;
        batch.delete(LINKING);
        keep_promise(&mut batch, offer.tokens)?;
        batch.put(super::shared::DEVICES_GROUP, &offer.group)?;
        self.vault.commit(&batch)?;
        Core::assemble(self.config, self.vault, self.entropy, device)
    }
}

fn code_of(record: &LinkingRecord, domain: &Domain) -> Result<LinkCode> {
    let private_key = HpkePrivateKey::from_bytes(record.hpke_private_key.expose())?;
    Ok(LinkCode {
        hub_domain: domain.clone(),
        inbox_id: inbox_id(&record.inbox_secret),
        hpke_key: private_key.public()?,
        secret: LinkSecret::new(record.link_secret),
        last_day: record.last_day,
    })
}

/// A device that certifies itself, since the account key was handed to it.
fn further_device(
    user: &IdentifierUri,
    user_secrets: Vec<UserSecretRecord>,
    account_key_seed: &Secret32,
    connection_key: &Secret32,
    entropy: &Entropy,
) -> Result<Device> {
    let account_key = SigningKey::from_seed(account_key_seed.expose());
    let client_key = SigningKey::from_seed(&entropy.array());
    let client = client_uri(user, entropy)?;
    let credential = make_client_credential(user, &client, &client_key, &account_key)?;
    Device::load(DeviceRecord {
        format: FORMAT,
        user_secrets,
        client_secret: Secret32::new(entropy.array()),
        client_key_seed: Secret32::new(*client_key.seed()),
        credential,
        account_key_seed: Some(account_key_seed.duplicate()),
        connection_key: connection_key.duplicate(),
    })
}

/// For tests: a device with the secrets of another, without anybody's consent.
pub(crate) fn stolen(from: &Core, config: ClientConfig) -> Result<Core> {
    let (vault, entropy) = open_vault(&config)?;
    let record = from.device().record();
    let account_key = record.account_key_seed.ok_or(ClientError::NoAccountKey)?;
    let user = &record.credential.user;
    let secrets = record.user_secrets;
    let device = further_device(
        user,
        secrets,
        &account_key,
        &record.connection_key,
        &entropy,
    )?;
    let mut batch = Batch::default();
    batch.put(DEVICE, &device.record())?;
    batch.put(INDEX, &IndexRecord::default())?;
    vault.commit(&batch)?;
    Core::assemble(config, vault, entropy, device)
}

impl Core {
    /// A new device brings its own linking on.
    pub(super) async fn go_on_being_linked(&self) -> Result<()> {
        let Some(mut answer) = self.vault.get::<AnswerRecord>(ANSWER)? else {
            return Ok(());
        };
        if matches!(self.status(answer.group).await, Ok(GroupStatus::Active)) {
            let mut batch = Batch::default();
            batch.delete(ANSWER);
            return Ok(self.vault.commit(&batch)?);
        }
        if answer.sent == 1 {
            return Ok(());
        }
        let device = self.device();
        let credential = device.credential().clone();
        let body = |_: &_| Ok(AccountRequestBody::PutClient(credential.clone()));
        done(self.account_request(body, 0).await?)?;
        let slot = self.devices_group().ok_or(ClientError::NotInGroup)?.slot;
        let contents = LinkAnswer {
            credential: device.credential().clone(),
            entry: self.sibling_key_package(answer.group, slot).await?,
        };
        let secret = LinkSecret::new(answer.reply_secret);
        let deposit = self.sealed_deposit(&answer.reply, &secret, &contents)?;
        self.deposit(deposit).await?;
        answer.sent = 1;
        let mut batch = Batch::default();
        batch.put(ANSWER, &answer)?;
        Ok(self.vault.commit(&batch)?)
    }

    /// This device's KeyPackage for a group that a sibling is in.
    pub(crate) async fn sibling_key_package(
        &self,
        id: GroupId,
        slot: Slot,
    ) -> Result<KeyPackageEntry> {
        slots::reserve_as_sibling(&self.vault, &slot, id)?;
        let lifetime = key_package_lifetime(self.now_s());
        let made = self
            .make_key_package(slot, Purpose::Sibling(id), lifetime)
            .await?;
        Ok(made.entry)
    }

    /// Syncs until the other device has added this one.
    async fn wait_to_be_let_in(&self) -> Result<()> {
        loop {
            match self.go_on_being_linked().await {
                Ok(()) | Err(ClientError::Unreachable) => {}
                Err(error) => return Err(error),
            }
            for inbox in self.inboxes() {
                match self.read_inbox(inbox, 0).await {
                    Ok(_) | Err(ClientError::Unreachable) => {}
                    Err(error) => return Err(error),
                }
            }
            let group = self.devices_group().ok_or(ClientError::NotInGroup)?;
            if matches!(self.status(group.group_id).await, Ok(GroupStatus::Active)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
