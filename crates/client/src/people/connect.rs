//! Owns asking a person for a connection.
//!
//! Invariant: whom this user asks, in which group and under which id is durable before the group is
//! made, and the sealed request before it is sent; whatever stopped in between goes on from there.
//! A request is good for one generation of the group: when that moves, another one is sent.

use crate::client::Client;
use crate::core::Core;
use crate::engine::state::LoadedGroup;
use crate::error::{ClientError, GroupStatus, Result};
use crate::people::account_request::done;
use crate::people::contact::{Contact, ContactRecord, ContactState};
use crate::people::look_up::Found;
use crate::records::{FORMAT, asking_name};
use crate::settings::GroupSettings;
use crate::transport::AccountEndpoint;
use crate::vault::Batch;
use sordino_crypto::{RequestParts, make_connection_request, seal_connection_request, sha256};
use sordino_wire::limits::CONNECTION_REQUEST_DAYS;
use sordino_wire::{
    AccountRequestBody, Digest, GroupId, Handle, HpkeKey, IdentifierUri, Reject,
    SealedConnectionRequest, SendConnectionRequest, SignatureKey,
};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

const DAY_S: u64 = 86_400;
/// How many ids are tried for one group.
const GROUPS: u32 = 3;

/// A request of this device, as it was sealed.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct AskingRecord {
    format: u8,
    /// The key it is sealed to.
    connection_key: HpkeKey,
    sealed: Option<SealedRecord>,
}

/// What goes out, byte for byte, until the provider has it.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct SealedRecord {
    request: SealedConnectionRequest,
    /// The generation of the group whose secret is inside.
    generation: u64,
    time_s: u64,
    /// 1 once the provider has it.
    sent: u8,
}

impl Client {
    /// What the provider says of a handle. Nobody is told who asks.
    pub async fn look_up(&self, handle: &Handle) -> Result<Found> {
        let (user, entry) = self.core.look_up(handle).await?;
        Found::new(user, entry.account_key)
    }

    /// Asks a person for a connection: makes a group for both, and sends a request that this person
    /// alone can open. Whether there is an answer shows in [`Client::contacts`]. Called again, it
    /// goes on where it stopped, and asks anew where the request has expired.
    pub async fn connect(&self, handle: &Handle) -> Result<Contact> {
        let user = handle.uri(&self.core.hub_domain)?;
        if user == self.credential().user {
            return Err(ClientError::Oneself);
        }
        let state = self.core.book().get(&user).map(|contact| contact.state);
        match state {
            Some(ContactState::Connected) => return Err(ClientError::AlreadyConnected),
            Some(ContactState::Blocked) => return Err(ClientError::Blocked),
            Some(ContactState::Asked | ContactState::Accepting) => {}
            Some(ContactState::Ended) | None => self.core.start_asking(handle).await?,
        }
        self.core.keep_asking(&user).await?;
        self.core.contact(&user)
    }
}

impl Core {
    /// Notes whom this user asks, under which account key, and where.
    async fn start_asking(&self, handle: &Handle) -> Result<()> {
        let (user, entry) = self.look_up(handle).await?;
        let mut contact = ContactRecord::new(user, entry.account_key, ContactState::Asked);
        contact.group = Some(GroupId(self.entropy.array()));
        contact.request_id = Some(Digest(self.entropy.array()));
        contact.asker = Some(self.device().credential().client.clone());
        if let Some(former) = self.book().get(&contact.user) {
            contact.follow(former);
        }
        let mut batch = Batch::default();
        let asking = AskingRecord {
            format: FORMAT,
            connection_key: entry.connection_key.hpke_key,
            sealed: None,
        };
        batch.put(asking_name(&user_hash(&contact.user)), &asking)?;
        self.put_contact(&mut batch, contact)
    }

    /// Does what is missing of an attempt to connect.
    pub(crate) async fn keep_asking(&self, user: &IdentifierUri) -> Result<()> {
        // The caller and the background task would each make the group.
        let turn = self.connection_turn(user);
        let _turn = turn.lock().await;
        let mut place = {
            let book = self.book();
            let contact = book.get(user).ok_or(ClientError::NotConnected)?;
            match (contact.state, contact.group) {
                (ContactState::Asked, Some(group)) if contact.evict.is_empty() => group,
                _ => return Ok(()),
            }
        };
        let name = asking_name(&user_hash(user));
        let Some(asking) = self.vault.get::<AskingRecord>(&name)? else {
            return self.take_over_asking(user).await;
        };
        match self.status(place).await {
            Ok(GroupStatus::Active) => {}
            Ok(_) => return Ok(()),
            Err(ClientError::NotInGroup) => {
                place = self.make_connection_group(user, place).await?;
            }
            Err(error) => return Err(error),
        }
        let mut asking = asking;
        if self.is_void(place, &asking).await? {
            asking = self.seal_request(user, place, asking).await?;
        }
        self.send_request(user, asking).await
    }

    /// Another device of this user asks. Where that one was removed, the first of those that are left
    /// goes on in its place, with a request of its own.
    async fn take_over_asking(&self, user: &IdentifierUri) -> Result<()> {
        let asker = self.book().get(user).and_then(|known| known.asker.clone());
        let own = self.device().credential().client.clone();
        let devices = self.known_devices()?;
        let orphaned = asker.is_none_or(|asker| !devices.contains(&asker));
        if !orphaned || devices.iter().min() != Some(&own) {
            return Ok(());
        }
        let entry = self.look_up_user(user).await?;
        if entry.account_key != self.pinned(user)? {
            return Err(ClientError::IdentityMismatch);
        }
        let asking = AskingRecord {
            format: FORMAT,
            connection_key: entry.connection_key.hpke_key,
            sealed: None,
        };
        let mut batch = Batch::default();
        batch.put(asking_name(&user_hash(user)), &asking)?;
        let request_id = Digest(self.entropy.array());
        self.change_contact(&mut batch, user, |contact| {
            contact.asker = Some(own);
            contact.request_id = Some(request_id);
            Ok(())
        })?;
        self.people_moved();
        Ok(())
    }

    /// Makes the connection group; returns its id, which is another one where a crash took the
    /// keys to the first before they were kept.
    async fn make_connection_group(
        &self,
        user: &IdentifierUri,
        mut place: GroupId,
    ) -> Result<GroupId> {
        for _ in 0..GROUPS {
            match self.create_at(place, GroupSettings::connection()).await {
                Err(ClientError::Refused(Reject::GroupIdTaken)) => {
                    place = GroupId(self.entropy.array());
                    self.change_contact(&mut Batch::default(), user, |contact| {
                        contact.group = Some(place);
                        Ok(())
                    })?;
                }
                outcome => return outcome.map(|()| place),
            }
        }
        Err(ClientError::Contended)
    }

    /// Whether there is no request yet, or one that opens nothing any more.
    async fn is_void(&self, group: GroupId, asking: &AskingRecord) -> Result<bool> {
        let Some(sealed) = &asking.sealed else {
            return Ok(true);
        };
        let generation = self.view(group, |group, _| group.generation()).await?;
        let age_s = self.now_s().saturating_sub(sealed.time_s);
        Ok(sealed.generation != generation || age_s > u64::from(CONNECTION_REQUEST_DAYS) * DAY_S)
    }

    async fn seal_request(
        &self,
        user: &IdentifierUri,
        place: GroupId,
        mut asking: AskingRecord,
    ) -> Result<AskingRecord> {
        // A request that is replaced must not admit anybody any more.
        let renewed = asking.sealed.is_some();
        if renewed {
            // The connection key may be another one by now.
            let entry = self.look_up_user(user).await?;
            let pinned = self.pinned(user)?;
            if entry.account_key != pinned {
                return Err(ClientError::IdentityMismatch);
            }
            asking.connection_key = entry.connection_key.hpke_key;
        }
        let mut batch = Batch::default();
        let fresh = Digest(self.entropy.array());
        let request_id = self.change_contact(&mut batch, user, |contact| {
            if renewed {
                contact.request_id = Some(fresh);
            }
            Ok(*contact.request_id.get_or_insert(fresh))
        })?;
        let sealed = self
            .view(place, |group, tools| {
                self.seal_for(
                    group,
                    tools.time_s,
                    user,
                    &asking.connection_key,
                    request_id,
                )
            })
            .await?;
        asking.sealed = Some(sealed);
        let mut batch = Batch::default();
        batch.put(asking_name(&user_hash(user)), &asking)?;
        self.vault.commit(&batch)?;
        Ok(asking)
    }

    fn seal_for(
        &self,
        group: &LoadedGroup,
        time_s: u64,
        user: &IdentifierUri,
        connection_key: &HpkeKey,
        request_id: Digest,
    ) -> Result<SealedRecord> {
        let device = self.device();
        let secret = group.group_secret()?.ok_or(ClientError::SecretUnknown)?;
        let generation = group.generation()?;
        let leaf = group.leaf(&device)?;
        let leaf_key = leaf.key.public();
        let request = make_connection_request(RequestParts {
            client_key: device.client_key(),
            client_credential: device.credential(),
            recipient: user,
            recipient_key: connection_key,
            request_id,
            time_s,
            hub_domain: group.domain(),
            group_id: group.id(),
            epoch: group.epoch()?,
            generation,
            secret: &secret,
            giver_leaf_key: &leaf_key,
        })?;
        let mut rng = self.entropy.clone();
        Ok(SealedRecord {
            request: seal_connection_request(connection_key, &request, &mut rng)?,
            generation,
            time_s,
            sent: 0,
        })
    }

    async fn send_request(&self, user: &IdentifierUri, mut asking: AskingRecord) -> Result<()> {
        let Some(sealed) = &mut asking.sealed else {
            return Ok(());
        };
        if sealed.sent == 1 {
            return Ok(());
        }
        let body = AccountRequestBody::SendConnectionRequest(SendConnectionRequest {
            handle: crate::people::account_request::handle_of(user)?,
            request: sealed.request.clone(),
        });
        done(
            self.anonymous_request(AccountEndpoint::Contact, body)
                .await?,
        )?;
        sealed.sent = 1;
        let mut batch = Batch::default();
        batch.put(asking_name(&user_hash(user)), &asking)?;
        Ok(self.vault.commit(&batch)?)
    }

    /// The account key under which a contact is known.
    pub(crate) fn pinned(&self, user: &IdentifierUri) -> Result<SignatureKey> {
        let book = self.book();
        let contact = book.get(user).ok_or(ClientError::NotConnected)?;
        Ok(contact.account_key.clone())
    }
}

/// What names a contact's records.
pub(crate) fn user_hash(user: &IdentifierUri) -> Digest {
    sha256(user.as_str().as_bytes())
}
