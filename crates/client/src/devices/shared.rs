//! Owns the facts that this user's devices share, in memory and in the vault, and what hearing one
//! changes here.
//!
//! Invariant: a fact is durable with the change that it states; one that was heard takes effect
//! before it is forgotten as heard, and is not told again as if it were this device's own.

use super::facts::{AccountFact, Fact, FactKey, Facts, GroupFact, VersionedFact};
use super::{DevicesGroup, Heard};
use crate::core::Core;
use crate::device::Device;
use crate::engine::state::LoadedGroup;
use crate::error::{ClientError, GroupStatus, Result, VaultError};
use crate::people::contact::ContactRecord;
use crate::records::{DEVICE, UserSecretRecord};
use crate::vault::{Batch, Vault};
use sordino_crypto::{HpkePrivateKey, SigningKey, sha256};
use sordino_wire::{
    ClientCredential, GroupId, IdentifierUri, Secret32, SignatureKey, encode, exact,
};
use std::sync::{Arc, MutexGuard, PoisonError};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes};
use zeroize::Zeroizing;

/// What every fact is about, since blinded names cannot be listed.
const FACT_KEYS: &str = "devices/fact keys";
/// The group of this user's devices.
pub(super) const DEVICES_GROUP: &str = "devices/group";
/// What was heard and not acted upon.
const HEARD: &str = "devices/heard";
/// Groups in which the members do not have this device's newest credential.
const STALE_IDENTITIES: &str = "devices/stale identities";

fn fact_name(key: &FactKey) -> Result<String> {
    let hash = sha256(&encode(key)?);
    let digits: String = hash.0.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("devices/fact/{digits}"))
}

/// A fact as it is kept.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct KeptFact {
    fact: VersionedFact,
    /// 1 where other devices have not been told.
    unsent: u8,
}

impl Facts {
    /// What the vault holds.
    pub(crate) fn load(vault: &Vault) -> Result<Self> {
        let mut facts = Self::default();
        for key in vault.get::<Vec<FactKey>>(FACT_KEYS)?.unwrap_or_default() {
            let kept: KeptFact = vault.get(&fact_name(&key)?)?.ok_or(VaultError::Format)?;
            facts.restore(kept.fact, kept.unsent == 1);
        }
        Ok(facts)
    }
}

impl Core {
    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// States a fact: it becomes durable with the batch, and is told to the other devices later.
    pub(crate) fn share(&self, batch: &mut Batch, key: FactKey, fact: &Fact) -> Result<()> {
        let value = VLBytes::new(encode(fact)?);
        let writer = self.writer_tag();
        let mut facts = self.facts();
        let is_new = facts.get(&key).is_none();
        let Some(stated) = facts.state(key, value, writer) else {
            return Ok(());
        };
        if is_new {
            batch.put(FACT_KEYS, &facts.keys().cloned().collect::<Vec<_>>())?;
        }
        drop(facts);
        put_fact(batch, stated, true)?;
        self.stir.notify_one();
        Ok(())
    }

    /// Names this device among those that state facts.
    fn writer_tag(&self) -> [u8; 16] {
        let hash = sha256(self.device().credential().client.as_str().as_bytes());
        hash.0.first_chunk().copied().unwrap_or_default()
    }

    /// A contact, as it is now.
    pub(crate) fn share_contact(&self, batch: &mut Batch, contact: &ContactRecord) -> Result<()> {
        let fact = Fact::Contact(VLBytes::new(encode(contact)?));
        self.share(batch, FactKey::Contact(contact.user.clone()), &fact)
    }

    /// A group that this device is in; the devices' own is none of these.
    pub(crate) fn share_group(&self, batch: &mut Batch, group: &LoadedGroup) -> Result<()> {
        let id = group.id();
        if group.state.status != GroupStatus::Active || self.is_devices_group(id) {
            return Ok(());
        }
        let fact = GroupFact {
            hub_domain: group.keys.hub_domain.clone(),
            slot: group.keys.slot.clone(),
            over: 0,
        };
        self.share(batch, FactKey::Group(id), &Fact::Group(fact))
    }

    /// The account with these keys and devices.
    pub(crate) fn share_account(
        &self,
        batch: &mut Batch,
        clients: Vec<ClientCredential>,
    ) -> Result<()> {
        let device = self.device();
        let former_keys = self
            .account_fact()?
            .map(|account| account.former_keys)
            .unwrap_or_default();
        let account = AccountFact {
            account_key_seed: Secret32::new(*device.account_key()?.seed()),
            connection_key: Secret32::new(*device.connection_key()?.0.expose()),
            clients,
            former_keys,
        };
        self.share(batch, FactKey::Account, &Fact::Account(account))
    }

    /// The account under a new key.
    pub(crate) fn share_new_account(
        &self,
        batch: &mut Batch,
        clients: &[ClientCredential],
        old_key: &SignatureKey,
    ) -> Result<()> {
        let device = self.device();
        let known = self.account_fact()?;
        let mut former_keys = known.map(|account| account.former_keys).unwrap_or_default();
        if !former_keys.contains(old_key) {
            former_keys.push(old_key.clone());
        }
        let account = AccountFact {
            account_key_seed: Secret32::new(*device.account_key()?.seed()),
            connection_key: Secret32::new(*device.connection_key()?.0.expose()),
            clients: clients.to_vec(),
            former_keys,
        };
        self.share(batch, FactKey::Account, &Fact::Account(account))
    }

    /// Everything that this device's user has, stated as facts: before the first sibling comes.
    pub(crate) async fn share_everything(&self) -> Result<()> {
        let mut batch = Batch::default();
        for record in self.device().user_secret_records() {
            let key = FactKey::UserSecret(record.number);
            self.share(&mut batch, key, &Fact::UserSecret(record))?;
        }
        let contacts: Vec<ContactRecord> = {
            let book = self.book();
            let contacts = book.iter().map(ContactRecord::duplicate);
            contacts.collect::<Result<_>>()?
        };
        for contact in &contacts {
            self.share_contact(&mut batch, contact)?;
        }
        for id in self.groups() {
            self.view(id, |group, _| self.share_group(&mut batch, group))
                .await?;
        }
        Ok(self.vault.commit(&batch)?)
    }

    /// Tells the facts to be told again, since somebody is new among the devices.
    pub(crate) fn tell_all_again(&self, batch: &mut Batch) -> Result<()> {
        for fact in self.facts().tell_all_again() {
            put_fact(batch, fact, true)?;
        }
        self.stir.notify_one();
        Ok(())
    }

    /// Notes that facts were told.
    pub(crate) fn note_told(&self, told: &[VersionedFact]) -> Result<()> {
        let mut batch = Batch::default();
        let mut facts = self.facts();
        for fact in told {
            if let Some(fact) = facts.sent(&fact.key, fact.version) {
                put_fact(&mut batch, fact, false)?;
            }
        }
        drop(facts);
        Ok(self.vault.commit(&batch)?)
    }

    /// One fact.
    fn fact(&self, key: &FactKey) -> Result<Option<Fact>> {
        let value = self.facts().get(key).cloned();
        let fact = value.map(|value| exact(value.as_slice()));
        Ok(fact.transpose().map_err(|_| VaultError::Format)?)
    }

    pub(crate) fn account_fact(&self) -> Result<Option<AccountFact>> {
        Ok(match self.fact(&FactKey::Account)? {
            Some(Fact::Account(account)) => Some(account),
            _ => None,
        })
    }

    pub(crate) fn group_fact(&self, id: GroupId) -> Result<Option<GroupFact>> {
        Ok(match self.fact(&FactKey::Group(id))? {
            Some(Fact::Group(group)) => Some(group),
            _ => None,
        })
    }

    /// What the user's applications call a group.
    pub(crate) fn label(&self, id: GroupId) -> Result<Option<String>> {
        Ok(match self.fact(&FactKey::Label(id))? {
            Some(Fact::Label(text)) => String::from_utf8(text.as_slice().to_vec()).ok(),
            _ => None,
        })
    }

    /// The groups that the user is in, as far as any device has said.
    pub(crate) fn known_groups(&self) -> Vec<GroupId> {
        let facts = self.facts();
        let groups = facts.keys().filter_map(|key| match key {
            FactKey::Group(id) => Some(*id),
            _ => None,
        });
        groups.collect()
    }

    /// This user's devices, as far as known here: this one at least.
    pub(crate) fn known_devices(&self) -> Result<Vec<IdentifierUri>> {
        let clients = match self.account_fact()? {
            Some(account) => account.clients,
            None => vec![self.device().credential().clone()],
        };
        Ok(clients.into_iter().map(|client| client.client).collect())
    }

    pub(crate) fn devices_group(&self) -> Option<DevicesGroup> {
        let group = self.devices_group.lock();
        group.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_devices_group(&self, id: GroupId) -> bool {
        self.devices_group()
            .is_some_and(|group| group.group_id == id)
    }

    pub(crate) fn set_devices_group(&self, batch: &mut Batch, group: DevicesGroup) -> Result<()> {
        batch.put(DEVICES_GROUP, &group)?;
        self.vault.commit(batch)?;
        let mut place = self
            .devices_group
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(group);
        Ok(())
    }

    /// What somebody said in the devices' group is kept until it is acted upon.
    pub(crate) fn keep_heard(&self, batch: &mut Batch, message: &[u8]) -> Result<()> {
        let mut heard = self.heard()?;
        heard.messages.push(VLBytes::new(message.to_vec()));
        batch.put(HEARD, &heard)?;
        self.stir.notify_one();
        Ok(())
    }

    pub(crate) fn heard(&self) -> Result<Heard> {
        Ok(self.vault.get(HEARD)?.unwrap_or_default())
    }

    /// The first message that was heard is dealt with.
    pub(crate) fn forget_first_heard(&self, batch: &mut Batch) -> Result<()> {
        let mut heard = self.heard()?;
        if !heard.messages.is_empty() {
            heard.messages.remove(0);
        }
        batch.put(HEARD, &heard)?;
        Ok(self.vault.commit(batch)?)
    }

    /// Takes a fact of another device.
    pub(crate) fn hear_fact(&self, fact: VersionedFact) -> Result<()> {
        // A form that this version does not know changes nothing here.
        let Ok(value) = exact::<Fact>(fact.value.as_slice()) else {
            return Ok(());
        };
        if !fits(&fact.key, &value) {
            return Ok(());
        }
        let mut batch = Batch::default();
        let is_new = self.facts().get(&fact.key).is_none();
        let Some(news) = self.facts().hear(&fact) else {
            return Ok(());
        };
        if is_new {
            let keys: Vec<FactKey> = self.facts().keys().cloned().collect();
            batch.put(FACT_KEYS, &keys)?;
        }
        let key = fact.key.clone();
        put_fact(&mut batch, fact, news.unsent)?;
        match value {
            Fact::UserSecret(record) => self.take_user_secret(&mut batch, record)?,
            Fact::Account(account) => self.take_account(&mut batch, account)?,
            Fact::Contact(bytes) => {
                let contact: ContactRecord = exact(&Zeroizing::new(bytes.as_slice().to_vec()))
                    .map_err(|_| VaultError::Format)?;
                self.put_contact_as_heard(&mut batch, contact)?;
            }
            Fact::Group(_) | Fact::Label(_) => self.vault.commit(&batch)?,
            Fact::Fetched(fetched) => {
                let FactKey::Fetched(user) = &key else {
                    return Ok(());
                };
                self.hear_fetched(&mut batch, user, fetched.as_ref())?;
            }
        }
        Ok(())
    }

    fn take_user_secret(&self, batch: &mut Batch, record: UserSecretRecord) -> Result<()> {
        let mut device = self.device().record();
        if device
            .user_secrets
            .iter()
            .all(|known| known.number != record.number)
        {
            device.user_secrets.push(record);
            device.user_secrets.sort_by_key(|record| record.number);
        }
        self.set_device(batch, Device::load(device)?)?;
        self.people_moved();
        Ok(())
    }

    fn take_account(&self, batch: &mut Batch, account: AccountFact) -> Result<()> {
        let account_key = SigningKey::from_seed(account.account_key_seed.expose());
        HpkePrivateKey::from_bytes(account.connection_key.expose())?;
        let mut device = self.device().record();
        let own = device.credential.client.clone();
        let listed = account
            .clients
            .into_iter()
            .find(|client| client.client == own);
        let Some(credential) = listed else {
            // This one is not among them: it was removed, and says so when it notices at the hub.
            return Ok(self.vault.commit(batch)?);
        };
        if credential.account_key != account_key.public() {
            return Err(ClientError::BadHandover);
        }
        let renewed = credential != device.credential;
        device.credential = credential;
        device.account_key_seed = Some(account.account_key_seed);
        device.connection_key = account.connection_key;
        if renewed {
            self.note_stale_identities(batch, self.groups())?;
        }
        self.set_device(batch, Device::load(device)?)
    }

    /// Puts this device's secrets and credential in place of the former ones.
    pub(crate) fn set_device(&self, batch: &mut Batch, device: Device) -> Result<()> {
        batch.put(DEVICE, &device.record())?;
        self.vault.commit(batch)?;
        let mut place = self.device.write().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(device);
        Ok(())
    }

    /// The members of these groups are to get this device's newest credential.
    pub(crate) fn note_stale_identities(
        &self,
        batch: &mut Batch,
        groups: Vec<GroupId>,
    ) -> Result<()> {
        let mut stale = self.stale_identities()?;
        stale.extend(groups);
        stale.sort_unstable();
        stale.dedup();
        Ok(batch.put(STALE_IDENTITIES, &stale)?)
    }

    pub(crate) fn stale_identities(&self) -> Result<Vec<GroupId>> {
        Ok(self.vault.get(STALE_IDENTITIES)?.unwrap_or_default())
    }

    pub(crate) fn identity_is_fresh(&self, id: GroupId) -> Result<()> {
        let mut stale = self.stale_identities()?;
        stale.retain(|known| *known != id);
        let mut batch = Batch::default();
        batch.put(STALE_IDENTITIES, &stale)?;
        Ok(self.vault.commit(&batch)?)
    }
}

/// Whether a fact is about what it says it is about.
fn fits(key: &FactKey, fact: &Fact) -> bool {
    match (key, fact) {
        (FactKey::UserSecret(number), Fact::UserSecret(record)) => record.number == *number,
        (FactKey::Account, Fact::Account(_))
        | (FactKey::Group(_), Fact::Group(_))
        | (FactKey::Fetched(_), Fact::Fetched(_))
        | (FactKey::Label(_), Fact::Label(_)) => true,
        (FactKey::Contact(user), Fact::Contact(bytes)) => {
            exact::<ContactRecord>(bytes.as_slice()).is_ok_and(|contact| contact.user == *user)
        }
        _ => false,
    }
}

fn put_fact(batch: &mut Batch, fact: VersionedFact, unsent: bool) -> Result<()> {
    let name = fact_name(&fact.key)?;
    let unsent = u8::from(unsent);
    Ok(batch.put(name, &KeptFact { fact, unsent })?)
}

/// The devices' group that a vault knows.
pub(crate) fn load_devices_group(vault: &Vault) -> Result<Option<DevicesGroup>> {
    Ok(vault.get(DEVICES_GROUP)?)
}
