//! Owns removing a device: it was lost, stolen or given away.
//!
//! Invariant: the new secrets are durable before anything of them is used; the device is out of the
//! devices' group before they are told there, and out of the account before contacts hear of them;
//! every step follows from the record and can be done again.

use crate::client::Client;
use crate::core::Core;
use crate::device::Device;
use crate::engine::plan::Plan;
use crate::error::{ClientError, GroupStatus, Result};
use crate::people::account_request::done;
use crate::people::contact::PoolNumber;
use crate::records::{DeviceRecord, FORMAT, UserSecretRecord};
use crate::vault::Batch;
use sordino_crypto::{SigningKey, hpke_generate, make_account_key_change, make_connection_key};
use sordino_wire::{
    AccountKeyChange, AccountReject, AccountRequestBody, ClientCredential, ClientCredentialTbs,
    GroupId, IdentifierUri, List, MemberContent, Reject, ReplaceAccountKey, Secret32,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// The removal that is under way.
const REMOVAL: &str = "devices/removal";

/// A removal that is under way.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct RemovalRecord {
    format: u8,
    /// Which device.
    client: IdentifierUri,
    /// This device as it will be.
    next: DeviceRecord,
    /// The devices that stay, certified anew.
    clients: Vec<ClientCredential>,
    change: AccountKeyChange,
    stage: Stage,
    /// Groups that the device may still be in.
    groups: Vec<GroupId>,
    /// Contacts that have not heard of the new account key.
    contacts: Vec<IdentifierUri>,
}

/// How far a removal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
enum Stage {
    /// Nobody has heard of it.
    Begun = 1,
    /// The device is out of the devices' group.
    Apart = 2,
    /// The provider has the new keys.
    Replaced = 3,
    /// This device uses them; groups and contacts follow.
    Taken = 4,
}

impl Client {
    /// Removes another device of this user: from the account, from all groups, from what contacts
    /// add. It keeps what it has, and gets nothing new. Returns when the account has new keys and
    /// every group that can be reached is rid of it; the rest goes on by itself.
    pub async fn remove_device(&self, client: &IdentifierUri) -> Result<()> {
        self.core.begin_removal(client).await?;
        self.core.go_on_removing().await
    }
}

impl Core {
    async fn begin_removal(&self, client: &IdentifierUri) -> Result<()> {
        if let Some(removal) = self.vault.get::<RemovalRecord>(REMOVAL)? {
            return match removal.client == *client {
                true => Ok(()),
                // One after the other: the keys of the second follow from the first's.
                false => Err(ClientError::RemovalUnderWay),
            };
        }
        let device = self.device();
        if device.credential().client == *client {
            return Err(ClientError::Oneself);
        }
        let view = self.read_account().await?;
        let (gone, stay): (Vec<ClientCredential>, Vec<ClientCredential>) = view
            .clients
            .into_vec()
            .into_iter()
            .partition(|known| known.client == *client);
        if gone.is_empty() {
            return Err(ClientError::NoSuchDevice);
        }
        let account_key = SigningKey::from_seed(&self.entropy.array());
        let change = make_account_key_change(
            &device.credential().user,
            device.account_key()?,
            &account_key,
        )?;
        let clients = stay
            .into_iter()
            .map(|credential| recertified(credential, &account_key))
            .collect::<Result<Vec<_>>>()?;
        let record = RemovalRecord {
            format: FORMAT,
            client: client.clone(),
            next: self.next_device(&device, &account_key, &clients)?,
            clients,
            change,
            stage: Stage::Begun,
            groups: Vec::new(),
            contacts: Vec::new(),
        };
        self.keep_removal(&record)
    }

    /// This device with a fresh user secret and connection key, under the new account key.
    fn next_device(
        &self,
        device: &Device,
        account_key: &SigningKey,
        clients: &[ClientCredential],
    ) -> Result<DeviceRecord> {
        let mut next = device.record();
        let own = clients
            .iter()
            .find(|client| client.client == next.credential.client);
        next.credential = own.ok_or(ClientError::NoSuchDevice)?.clone();
        next.account_key_seed = Some(Secret32::new(*account_key.seed()));
        let (connection_key, _) = hpke_generate(&mut self.entropy.clone())?;
        next.connection_key = Secret32::new(*connection_key.expose());
        let number = device.user_secret_number()?;
        next.user_secrets.push(UserSecretRecord {
            number: number.checked_add(1).ok_or(ClientError::OutOfBounds)?,
            secret: Secret32::new(self.entropy.array()),
        });
        Ok(next)
    }

    fn keep_removal(&self, removal: &RemovalRecord) -> Result<()> {
        let mut batch = Batch::default();
        batch.put(REMOVAL, removal)?;
        Ok(self.vault.commit(&batch)?)
    }

    /// Brings a removal on that is under way.
    pub(crate) async fn go_on_removing(&self) -> Result<()> {
        let _turn = self.removal_turn.lock().await;
        loop {
            let Some(removal) = self.vault.get::<RemovalRecord>(REMOVAL)? else {
                return Ok(());
            };
            match removal.stage {
                Stage::Begun => self.leave_behind(removal).await?,
                Stage::Apart => self.replace_keys(removal).await?,
                Stage::Replaced => self.take_keys(removal)?,
                Stage::Taken => return self.clean_up(removal).await,
            }
        }
    }

    /// Out of the devices' group: what is told there from now on is told to those who stay.
    async fn leave_behind(&self, mut removal: RemovalRecord) -> Result<()> {
        if let Some(group) = self.devices_group() {
            self.remove_from(group.group_id, &removal.client).await?;
        }
        removal.stage = Stage::Apart;
        self.keep_removal(&removal)
    }

    /// The provider learns the new keys; the removed device's name means nothing to it any more.
    async fn replace_keys(&self, mut removal: RemovalRecord) -> Result<()> {
        let next = &removal.next;
        let account_key = next.account_key_seed.as_ref();
        let account_key = account_key.ok_or(ClientError::NoAccountKey)?;
        let account_key = SigningKey::from_seed(account_key.expose());
        let connection_key =
            sordino_crypto::HpkePrivateKey::from_bytes(next.connection_key.expose())?;
        let request = ReplaceAccountKey {
            change: removal.change.clone(),
            clients: List::new(removal.clients.clone())?,
            connection_key: make_connection_key(
                &next.credential.user,
                &account_key,
                &connection_key.public()?,
            )?,
        };
        let body = |_: &_| Ok(AccountRequestBody::ReplaceAccountKey(request.clone()));
        match self.account_request(body, 0).await {
            Ok(answer) => done(answer)?,
            Err(ClientError::AccountRefused(
                reject @ (AccountReject::InvalidCredential | AccountReject::BadAuthentication),
            )) => {
                // An earlier attempt may have got through, or another device has been quicker.
                match self.read_account().await {
                    Ok(view) if view.entry.account_key == removal.change.new_key => {}
                    Ok(_) => {
                        let mut batch = Batch::default();
                        batch.delete(REMOVAL);
                        self.vault.commit(&batch)?;
                        return Err(ClientError::AccountRefused(reject));
                    }
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
        removal.stage = Stage::Replaced;
        self.keep_removal(&removal)
    }

    /// This device uses the new keys, and tells the others.
    fn take_keys(&self, mut removal: RemovalRecord) -> Result<()> {
        let mut batch = Batch::default();
        let former = self.pool_numbers()?;
        let next = duplicate(&removal.next)?;
        self.note_stale_identities(&mut batch, self.groups())?;
        self.set_device(&mut batch, Device::load(next)?)?;
        for record in self.device().user_secret_records() {
            let key = super::facts::FactKey::UserSecret(record.number);
            self.share(&mut batch, key, &super::facts::Fact::UserSecret(record))?;
        }
        self.share_new_account(&mut batch, &removal.clients, &removal.change.old_key)?;
        self.vault.commit(&batch)?;
        for (user, number) in former {
            self.give_up_pool(&user, number)?;
        }
        let connected = {
            let book = self.book();
            let contacts = book.iter().filter(|contact| contact.is_connected());
            contacts.map(|contact| contact.user.clone()).collect()
        };
        removal.contacts = connected;
        removal.groups = self.groups();
        removal.stage = Stage::Taken;
        self.keep_removal(&removal)?;
        self.people_moved();
        Ok(())
    }

    /// The pools that contacts use now.
    fn pool_numbers(&self) -> Result<Vec<(IdentifierUri, PoolNumber)>> {
        let book = self.book();
        let given = book
            .iter()
            .filter_map(|contact| contact.given.map(|number| (contact.user.clone(), number)));
        Ok(given.collect())
    }

    fn give_up_pool(&self, user: &IdentifierUri, number: PoolNumber) -> Result<()> {
        self.change_contact(&mut Batch::default(), user, |contact| {
            if !contact.drop.contains(&number) {
                contact.drop.push(number);
            }
            Ok(())
        })
    }

    /// Groups get rid of the device, contacts hear of the new account key. What cannot be done now
    /// is tried again later.
    async fn clean_up(&self, mut removal: RemovalRecord) -> Result<()> {
        let mut first_error = None;
        for group in removal.groups.clone() {
            match self.remove_from(group, &removal.client).await {
                Ok(()) => {
                    removal.groups.retain(|known| *known != group);
                    self.keep_removal(&removal)?;
                }
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        for user in removal.contacts.clone() {
            match self.tell_contact(&user, &removal.change).await {
                Ok(()) => {
                    removal.contacts.retain(|known| *known != user);
                    self.keep_removal(&removal)?;
                }
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        if removal.groups.is_empty() && removal.contacts.is_empty() {
            self.plan_moves(&self.groups()).await?;
            let mut batch = Batch::default();
            batch.delete(REMOVAL);
            self.vault.commit(&batch)?;
        }
        match first_error {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Removes a device's leaf from a group, if it is there and this device can.
    async fn remove_from(&self, id: GroupId, client: &IdentifierUri) -> Result<()> {
        match self.status(id).await {
            Ok(GroupStatus::Active) => {}
            Ok(GroupStatus::Joining | GroupStatus::Recovering) => {
                return Err(ClientError::Inactive(GroupStatus::Recovering));
            }
            Ok(_) | Err(ClientError::NotInGroup) => return Ok(()),
            Err(error) => return Err(error),
        }
        let user = self.device().credential().user.clone();
        let leaves: Vec<IdentifierUri> = self
            .view(id, |group, _| {
                let own = group.own_credential()?.user_pseudonym;
                let people = group.people()?.into_iter();
                let leaves = people.filter(|person| {
                    let identity = person.identity.as_ref();
                    person.user_pseudonym == own
                        && identity.is_some_and(|identity| {
                            identity.user == user && identity.client == *client
                        })
                });
                Ok(leaves.map(|person| person.client_pseudonym).collect())
            })
            .await?;
        if leaves.is_empty() {
            return Ok(());
        }
        match self.commit(id, &Plan::RemoveOwnDevices(leaves)).await {
            Ok(()) | Err(ClientError::NoSuchMember) => Ok(()),
            Err(ClientError::Refused(Reject::AwaitingConfirmation)) => {
                Err(ClientError::Refused(Reject::AwaitingConfirmation))
            }
            Err(error) => Err(error),
        }
    }

    async fn tell_contact(&self, user: &IdentifierUri, change: &AccountKeyChange) -> Result<()> {
        let group = {
            let book = self.book();
            let contact = book.get(user).filter(|contact| contact.is_connected());
            contact.and_then(|contact| contact.group)
        };
        let Some(group) = group else {
            return Ok(());
        };
        match self.status(group).await {
            Ok(GroupStatus::Active) => {}
            Ok(GroupStatus::Joining | GroupStatus::Recovering) => {
                return Err(ClientError::Inactive(GroupStatus::Recovering));
            }
            _ => return Ok(()),
        }
        let content = MemberContent::AccountKeyChange(change.clone());
        self.send(group, &content).await
    }
}

/// The same device under another account key.
fn recertified(credential: ClientCredential, account_key: &SigningKey) -> Result<ClientCredential> {
    let tbs = ClientCredentialTbs {
        user: credential.user,
        client: credential.client,
        signature_key: credential.signature_key,
        account_key: account_key.public(),
    };
    Ok(ClientCredential {
        account_signature: account_key.sign_struct("ClientCredential", &tbs)?,
        user: tbs.user,
        client: tbs.client,
        signature_key: tbs.signature_key,
        account_key: tbs.account_key,
    })
}

fn duplicate(record: &DeviceRecord) -> Result<DeviceRecord> {
    let bytes = zeroize::Zeroizing::new(sordino_wire::encode(record)?);
    Ok(sordino_wire::exact(&bytes)?)
}
