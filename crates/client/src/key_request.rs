//! Owns key requests: asking the members for the group's secret, and taking the answer.
//!
//! Invariant: an answer is believed only where its giver is a member of the group that the given
//! key opens, and is who its credential says.

use crate::core::Core;
use crate::duties::Chores;
use crate::engine::look::look;
use crate::engine::process::KEY_QUESTION_LABEL;
use crate::engine::roster::open_roster;
use crate::engine::state::LoadedGroup;
use crate::engine::welcome::check_giver;
use crate::error::{ClientError, Result};
use crate::events::{Event, Evidence, Recovery};
use crate::inbox::NewInbox;
use crate::records::{AskedRecord, GenerationRecord, Trouble};
use crate::transport::Endpoint;
use crate::vault::Batch;
use sordino_crypto::{
    EarKey, GroupSecret, check_key_object, hpke_generate, open_key_object, sha256,
};
use sordino_wire::{
    Digest, GroupAccess, GroupId, GroupKeyObject, IdentityRule, KeyQuestion, KeyQuestionTbs,
    KeyRequest, Reject, RequestBody, ResponseBody, SealedKeyObject, Secret32, encode,
};
use tls_codec::VLBytes;

/// After how long an unanswered key request is made again.
const ASK_AGAIN_S: u64 = 86_400;
/// The same where the hub is not known to have it, or where the answer was of no use.
const REFUSED_AGAIN_S: u64 = 60;

/// What the given key tells of its giver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Giver {
    Member,
    /// The epoch in which it says to have given the key knows no such member.
    Stranger,
    /// The group went on since, so that nothing is shown either way.
    Unknown,
}

/// The time from which a request is made again after a minute.
fn asked_soon_again(now_s: u64) -> u64 {
    now_s.saturating_sub(ASK_AGAIN_S.saturating_sub(REFUSED_AGAIN_S))
}

impl Core {
    pub(crate) async fn ask_unless_asked(&self, id: GroupId, chores: &Chores) -> Result<()> {
        let fresh = |asked_s: u64| self.now_s() < asked_s.saturating_add(ASK_AGAIN_S);
        if chores.asked_s.is_some_and(fresh) {
            return Ok(());
        }
        self.request_key(id).await
    }

    /// Asks the members for the group's secret (page 2.4, rule 3).
    async fn request_key(&self, id: GroupId) -> Result<()> {
        let mut inbox = self.new_inbox()?;
        inbox.record.key_request = Some(id);
        // The request opens it at the hub.
        self.keep_inbox(&mut Batch::default(), &inbox)?;
        let question = self
            .step(id, |group, _, step| {
                self.make_question(group, &inbox, step.now_s)
            })
            .await?;
        let heads = self.view(id, |group, _| group.known_heads()).await?;
        let mut refusal = Reject::UnknownGroup;
        for head in heads {
            let question = question.clone();
            let body = RequestBody::KeyRequest(KeyRequest { head, question });
            match self.ask(Endpoint::Operation, body, 0).await? {
                ResponseBody::Done(_) => {
                    self.step(id, |group, _, step| {
                        if let Some(asked) = &mut group.state.asked {
                            asked.asked_s = step.now_s;
                        }
                        Ok(())
                    })
                    .await?;
                    self.events.send_all(vec![Event::Recovered {
                        group: id,
                        how: Recovery::KeyRequested,
                    }]);
                    return Ok(());
                }
                ResponseBody::Rejected(reject) => refusal = reject,
                _ => return Err(ClientError::BadAnswer),
            }
        }
        Err(ClientError::Refused(refusal))
    }

    fn make_question(
        &self,
        group: &mut LoadedGroup,
        inbox: &NewInbox,
        now_s: u64,
    ) -> Result<KeyQuestion> {
        let mut rng = self.entropy.clone();
        let (private_key, hpke_key) = hpke_generate(&mut rng)?;
        let leaf = group.leaf(&self.device())?;
        let address = self.address(inbox);
        let tbs = KeyQuestionTbs {
            hub_domain: group.domain().clone(),
            group_id: group.id(),
            leaf_key: leaf.key.public(),
            hpke_key: hpke_key.clone(),
            inbox: address.clone(),
            last_day: inbox.record.last_day,
        };
        let question = KeyQuestion {
            leaf_key: leaf.key.public(),
            hpke_key: hpke_key.clone(),
            inbox: address,
            last_day: inbox.record.last_day,
            signature: leaf.key.sign_struct(KEY_QUESTION_LABEL, &tbs)?,
        };
        group.state.asked = Some(AskedRecord {
            digest: sha256(&encode(&question)?),
            hpke_private_key: Secret32::new(*private_key.expose()),
            hpke_public_key: VLBytes::new(hpke_key.as_slice().to_vec()),
            inbox: inbox.id,
            // Until the hub has parked it, try again before long: it may never hear of this one.
            asked_s: asked_soon_again(now_s),
        });
        Ok(question)
    }

    /// Somebody answered; says whether the answer was of use.
    pub(crate) async fn take_answer(
        &self,
        id: GroupId,
        question: Digest,
        sealed: &SealedKeyObject,
    ) -> Result<bool> {
        let found = self
            .view(id, |group, _| {
                let asked = group.state.asked.as_ref();
                let Some(asked) = asked.filter(|asked| asked.digest == question) else {
                    return Ok(None);
                };
                let object = open_key_object(asked.hpke_private_key.expose(), sealed)?;
                check_key_object(&object, sha256(b""), asked.hpke_public_key.as_slice())?;
                Ok(Some(object))
            })
            .await;
        let object = match found {
            Ok(Some(object)) => object,
            Ok(None) | Err(ClientError::NotInGroup) => return Ok(false),
            Err(ClientError::Crypto(_)) => return self.bad_object(id).await,
            Err(error) => return Err(error),
        };
        if object.group_id != id || object.hub_domain != self.hub_domain {
            return self.bad_object(id).await;
        }
        match self.standing_of_giver(&object).await? {
            Giver::Member => {
                self.use_object(id, object).await?;
                Ok(true)
            }
            Giver::Stranger => self.bad_object(id).await,
            Giver::Unknown => {
                self.ask_again_soon(id).await?;
                Ok(false)
            }
        }
    }

    async fn bad_object(&self, id: GroupId) -> Result<bool> {
        self.events.send_all(vec![Event::Evidence {
            group: id,
            evidence: Evidence::BadKeyObject,
        }]);
        self.ask_again_soon(id).await?;
        Ok(false)
    }

    /// The hub hands on one answer to a question: where that one is of no use, another is asked.
    async fn ask_again_soon(&self, id: GroupId) -> Result<()> {
        self.step(id, |group, _, step| {
            if let Some(asked) = &mut group.state.asked {
                asked.asked_s = asked_soon_again(step.now_s);
            }
            Ok(())
        })
        .await
    }

    /// Whether the giver's leaf is in the tree that the given key opens, and resolves to the giver.
    async fn standing_of_giver(&self, object: &GroupKeyObject) -> Result<Giver> {
        let secret = GroupSecret::new(object.group_secret.duplicate());
        let access = GroupAccess {
            group_id: object.group_id,
            ear_key: secret.ear_key()?.secret().duplicate(),
        };
        let information = match self.external_information(access).await? {
            Ok(information) => information,
            Err(Reject::Unavailable { .. } | Reject::RateLimited { .. }) => {
                return Err(ClientError::Unreachable);
            }
            Err(_) => return Ok(Giver::Unknown),
        };
        let hub_key = self.hub_key().await?;
        let seen = look(
            &self.entropy,
            &self.hub_domain,
            &hub_key,
            object.group_id,
            &information,
        )?;
        // In any later epoch, an honest giver may have left.
        let otherwise = match information.position.epoch == object.epoch {
            true => Giver::Stranger,
            false => Giver::Unknown,
        };
        if seen.policy.identities == IdentityRule::None {
            let leaf = seen.members.by_signature_key(&object.giver_leaf_key);
            return Ok(leaf.map_or(otherwise, |_| Giver::Member));
        }
        let roster = open_roster(
            &secret.wrapper_key()?,
            information.position.generation,
            object.group_id,
            &seen.members,
            &information.roster,
        )?;
        let checked = check_giver(object, &seen.members, &roster.identities);
        Ok(checked.map_or(otherwise, |()| Giver::Member))
    }

    async fn use_object(&self, id: GroupId, object: GroupKeyObject) -> Result<()> {
        self.step(id, |group, _, step| {
            group.state.asked = None;
            let generation = group.generation()?;
            if object.generation < generation {
                return Ok(());
            }
            let secret = GroupSecret::new(object.group_secret.duplicate());
            let ear_key: EarKey = secret.ear_key()?;
            let moved =
                object.generation > generation || &group.current()?.ear_key != ear_key.secret();
            if object.generation == generation {
                group
                    .keys
                    .generations
                    .retain(|known| known.generation < generation);
            }
            group.push_generation(GenerationRecord {
                generation: object.generation,
                ear_key: ear_key.secret().duplicate(),
                group_secret: Some(object.group_secret),
            });
            if moved {
                group.state.cursor = 0;
                group.note_trouble(Trouble::Lost);
            }
            step.events.push(Event::Recovered {
                group: id,
                how: Recovery::KeyReceived,
            });
            Ok(())
        })
        .await
    }
}
