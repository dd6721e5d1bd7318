//! Owns the answers to connection requests: yes, and never again.
//!
//! Invariant: whom this user accepts is durable before anything is sent. The group is entered only
//! if every leaf in it is, by its identity entry, the person's who asked. A person who is blocked is
//! not told, and finds nothing more of this user than before.

use crate::client::Client;
use crate::core::Core;
use crate::engine::external::{Asked, Entrance};
use crate::engine::plan::Plan;
use crate::error::{ClientError, GroupStatus, Result};
use crate::people::connect::user_hash;
use crate::people::contact::{Contact, ContactRecord, ContactState, PoolNumber};
use crate::people::requests::RequestId;
use crate::records::{GenerationRecord, asking_name, fetched_name, fetching_name};
use crate::slots;
use crate::vault::Batch;
use sordino_crypto::GroupSecret;
use sordino_wire::{Digest, GroupId, GroupKeyObject, IdentifierUri};

impl Client {
    /// Everybody with whom this user is, was or wants to be connected.
    pub async fn contacts(&self) -> Result<Vec<Contact>> {
        let book = self.core.book();
        book.iter()
            .map(|contact| contact.public(&self.core))
            .collect()
    }

    /// One contact.
    pub async fn contact(&self, user: &IdentifierUri) -> Result<Contact> {
        self.core.contact(user)
    }

    /// Says yes: comes into the group that the person has made for both.
    pub async fn accept(&self, id: RequestId) -> Result<Contact> {
        let user = self.core.accept_request(id).await?;
        self.core.contact(&user)
    }

    /// Wants to hear no more of a person, who is not told: requests are dropped, pools emptied, the
    /// shared group left unread. Groups with others stay as they are.
    pub async fn block(&self, user: &IdentifierUri) -> Result<()> {
        if *user == self.credential().user {
            return Err(ClientError::Oneself);
        }
        self.core.block(user).await
    }

    /// Wants to hear of a person again, who has to ask again or to be asked.
    pub async fn unblock(&self, user: &IdentifierUri) -> Result<()> {
        self.core
            .change_contact(&mut Batch::default(), user, |contact| {
                if contact.state == ContactState::Blocked {
                    contact.state = ContactState::Ended;
                }
                Ok(())
            })
    }
}

impl Core {
    /// Accepts a request and goes in; returns who asked.
    pub(crate) async fn accept_request(&self, id: RequestId) -> Result<IdentifierUri> {
        let waiting = self.waiting_request(id)?;
        let request = waiting.request;
        let object = &request.key_object;
        let asker = &object.giver_credential;
        let user = asker.user.clone();
        let mut contact = ContactRecord::new(
            user.clone(),
            asker.account_key.clone(),
            ContactState::Accepting,
        );
        contact.group = Some(object.group_id);
        contact.request_id = Some(request.request_id);
        if let Some(former) = self.book().get(&user) {
            if former.state == ContactState::Blocked {
                return Err(ClientError::Blocked);
            }
            contact.follow(former);
        }
        let mut batch = Batch::default();
        let hash = user_hash(&user);
        batch.delete(asking_name(&hash));
        batch.delete(fetched_name(&hash));
        batch.delete(fetching_name(&hash));
        self.put_contact(&mut batch, contact)?;
        self.keep_accepting(&user).await?;
        Ok(user)
    }

    /// Does what is missing of an accepted request.
    pub(crate) async fn keep_accepting(&self, user: &IdentifierUri) -> Result<()> {
        // The caller and the background task would each go in.
        let turn = self.connection_turn(user);
        let _turn = turn.lock().await;
        let (group, request_id) = {
            let book = self.book();
            let contact = book.get(user).ok_or(ClientError::NotConnected)?;
            match (contact.state, contact.group, contact.request_id) {
                (ContactState::Accepting, Some(group), Some(request_id)) => (group, request_id),
                _ => return Ok(()),
            }
        };
        let outcome = match self.status(group).await {
            Ok(GroupStatus::Active) => return self.be_inside(user, group, request_id).await,
            Ok(GroupStatus::Joining | GroupStatus::Recovering) => return Ok(()),
            Ok(_) | Err(ClientError::NotInGroup) => match self.request_of(request_id)? {
                Some(waiting) => self.go_in(waiting.request.key_object, request_id).await,
                None => Err(ClientError::NoSuchRequest),
            },
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => self.be_inside(user, group, request_id).await,
            // Another device of this user is inside, and takes this one along.
            Err(ClientError::AlreadyMember) => Ok(()),
            Err(ClientError::Refused(_)) if self.is_answered_elsewhere(request_id).await? => Ok(()),
            Err(error @ (ClientError::Unreachable | ClientError::Contended)) => Err(error),
            Err(error) => {
                // Refused for good: the request is not good any more, or never was.
                self.give_up_accepting(user, request_id)?;
                Err(match error {
                    ClientError::Refused(_) => ClientError::NoSuchRequest,
                    error => error,
                })
            }
        }
    }

    /// This user is in the group of an accepted request; whoever else is there was looked at on the
    /// way in.
    async fn be_inside(
        &self,
        user: &IdentifierUri,
        group: GroupId,
        request_id: Digest,
    ) -> Result<()> {
        self.settle_request(request_id)?;
        let people = self.view(group, |group, _| group.people()).await?;
        self.change_contact(&mut Batch::default(), user, |contact| {
            let there = people.iter().any(|person| contact.is(person));
            if contact.state == ContactState::Accepting && there {
                contact.state = ContactState::Connected;
            }
            Ok(())
        })?;
        self.people_moved();
        Ok(())
    }

    async fn go_in(&self, object: GroupKeyObject, request_id: Digest) -> Result<()> {
        let id = object.group_id;
        let number = self.device().user_secret_number()?;
        let slot = slots::reserve_for_group(&self.vault, number, &self.hub_domain, id)?;
        let secret = GroupSecret::new(object.group_secret);
        let generation = GenerationRecord {
            generation: object.generation,
            ear_key: secret.ear_key()?.secret().duplicate(),
            group_secret: Some(secret.secret().duplicate()),
        };
        let entrance = Entrance::Connection(Box::new(Asked {
            request_id: Some(request_id),
            by: Some(object.giver_credential),
        }));
        self.enter_group(id, slot, generation, &entrance).await
    }

    fn give_up_accepting(&self, user: &IdentifierUri, request_id: Digest) -> Result<()> {
        self.settle_request(request_id)?;
        self.change_contact(&mut Batch::default(), user, |contact| {
            contact.state = ContactState::Ended;
            contact.group = None;
            Ok(())
        })
    }

    /// Forgets a group that serves a connection no more. Where this user is alone in it, it goes
    /// at the hub as well; else it stays as it is, or the other side would see somebody go.
    pub(crate) async fn abandon(&self, user: &IdentifierUri, group: GroupId) -> Result<()> {
        let alone = self
            .view(group, |group, _| Ok(group.members()?.users().len() == 1))
            .await;
        if matches!(alone, Ok(true)) {
            // It is of no use to anybody; that it is gone is a courtesy to the provider.
            let _ = self.commit(group, &Plan::Delete).await;
        }
        match self.forget(group).await {
            Ok(()) | Err(ClientError::NotInGroup) => {}
            Err(error) => return Err(error),
        }
        self.change_contact(&mut Batch::default(), user, |contact| {
            contact.over.retain(|other| *other != group);
            Ok(())
        })
    }

    async fn block(&self, user: &IdentifierUri) -> Result<()> {
        let known = self.book().get(user).is_some();
        let mut batch = Batch::default();
        if !known {
            let account_key = match self.asker(user)? {
                Some(account_key) => account_key,
                None => self.look_up_user(user).await?.account_key,
            };
            let contact = ContactRecord::new(user.clone(), account_key, ContactState::Blocked);
            self.put_contact(&mut batch, contact)?;
        }
        let user_secret_number = self.device().user_secret_number()?;
        let hash = user_hash(user);
        let mut batch = Batch::default();
        batch.delete(asking_name(&hash));
        batch.delete(fetched_name(&hash));
        batch.delete(fetching_name(&hash));
        self.change_contact(&mut batch, user, |contact| {
            contact.drop.push(PoolNumber {
                user_secret_number,
                generation: contact.generation,
            });
            contact.generation = contact.generation.saturating_add(1);
            contact.state = ContactState::Blocked;
            contact.theirs = None;
            contact.given = None;
            contact.evict.clear();
            contact.over.extend(contact.group.take());
            Ok(())
        })?;
        self.settle_all_of(user)?;
        // What does not get through now is repeated by the next sync.
        let _ = self.tend_people().await;
        Ok(())
    }
}
