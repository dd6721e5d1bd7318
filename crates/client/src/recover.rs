//! Owns coming back: rekey, random rekey, key request, resync, and what a member owes the others.
//!
//! Invariant: every way back ends in an external commit over the leaf key that is in the tree, and
//! is followed by a rotation; nothing here needs the MLS state that broke.

use crate::core::Core;
use crate::drive::Driven;
use crate::engine::external::Entrance;
use crate::engine::plan::Plan;
use crate::engine::process::KEY_QUESTION_LABEL;
use crate::engine::state::LoadedGroup;
use crate::engine::welcome::check_giver;
use crate::envelope::Signing;
use crate::error::{ClientError, GroupStatus, Result};
use crate::events::{Event, Evidence, Recovery};
use crate::inbox::NewInbox;
use crate::records::{AskedRecord, GenerationRecord, Trouble};
use crate::transport::Endpoint;
use crate::vault::Batch;
use sordino_crypto::{
    EarKey, GroupSecret, check_key_object, hpke_generate, open_key_object, sha256,
};
use sordino_wire::{
    Digest, GroupAccess, GroupId, IdentityRule, KeyQuestion, KeyQuestionTbs, KeyRequest,
    Membership, Reject, RekeyRequest, ReportCommit, RequestBody, ResponseBody, SealedKeyObject,
    Secret32, encode,
};
use tls_codec::VLBytes;

/// After how long an unanswered key request is made again.
const ASK_AGAIN_S: u64 = 86_400;
/// After how long a key request that the hub did not take is made again.
const REFUSED_AGAIN_S: u64 = 60;

/// What is to be done about a group, as a list without secrets.
struct Chores {
    status: GroupStatus,
    pending: bool,
    external: bool,
    wrong_keys: bool,
    outbox: bool,
    confirm: bool,
    questions: Vec<Digest>,
    removals: bool,
    owes_identity: bool,
    owes_rotation: bool,
    secret_known: bool,
    asked_s: Option<u64>,
}

impl Core {
    /// Does for a group whatever is due.
    pub(crate) async fn tend(&self, id: GroupId) -> Result<()> {
        let cell = self.cell(id);
        // Somebody else's turn: it is tended after that.
        let Ok(_turn) = cell.turn.try_lock() else {
            return Ok(());
        };
        let chores = self.chores(id).await?;
        match chores.status {
            GroupStatus::Recovering => return self.come_back(id, &chores).await,
            GroupStatus::Joining if chores.external => {
                return self.drive_external(id).await.map(|_| ());
            }
            GroupStatus::Active => {}
            _ => return Ok(()),
        }
        if chores.pending {
            self.finish_pending(id).await?;
        }
        if chores.wrong_keys {
            self.rekey(id).await?;
        }
        if chores.confirm {
            self.confirm(id).await?;
        }
        for digest in &chores.questions {
            self.answer(id, *digest).await?;
        }
        if chores.outbox {
            self.flush_in_turn(id, None).await?;
        }
        if chores.removals && self.must_commit(id).await? {
            unless_awaiting(self.commit_in_turn(id, &Plan::CommitPending).await)?;
        }
        self.pay(id, &chores).await
    }

    async fn chores(&self, id: GroupId) -> Result<Chores> {
        let now_s = self.now_s();
        self.view(id, |group, _| {
            let state = &group.state;
            Ok(Chores {
                status: state.status,
                pending: state.pending.is_some(),
                external: group.external.is_some(),
                wrong_keys: state
                    .trouble
                    .iter()
                    .any(|trouble| matches!(trouble, Trouble::WrongKeys { .. })),
                outbox: state.outbox.iter().any(|outgoing| outgoing.accepted == 0),
                confirm: state.confirmation.is_some_and(|due| due.due_s <= now_s),
                questions: state
                    .questions
                    .iter()
                    .filter(|question| question.due_s <= now_s)
                    .map(|question| question.digest)
                    .collect(),
                removals: state.removals_due_s.is_some_and(|due_s| due_s <= now_s),
                owes_identity: state.owes_identity == 1,
                owes_rotation: state.owes_rotation == 1,
                secret_known: group.group_secret()?.is_some(),
                asked_s: state.asked.as_ref().map(|asked| asked.asked_s),
            })
        })
        .await
    }

    /// What a member owes: a fresh leaf key after a resync, its identity after a join by link.
    async fn pay(&self, id: GroupId, chores: &Chores) -> Result<()> {
        if chores.owes_identity {
            if !chores.secret_known {
                return self.ask_unless_asked(id, chores).await;
            }
            self.learn_members(id).await?;
        }
        if chores.owes_rotation || chores.owes_identity {
            let plan = Plan::Update {
                rotate: chores.owes_rotation,
                move_generation: false,
            };
            unless_awaiting(self.commit_in_turn(id, &plan).await)?;
        }
        Ok(())
    }

    /// Asks who the members are, once the key for it is there.
    async fn learn_members(&self, id: GroupId) -> Result<()> {
        let access = self.view(id, |group, _| group.access()).await?;
        let Ok(membership) = self.inspect(access).await? else {
            return Ok(());
        };
        self.step(id, |group, _, step| {
            for evidence in group.learn_roster(&membership.roster)? {
                let event = group.evidence(evidence);
                step.events.push(event);
            }
            step.events.push(Event::RosterChanged { group: id });
            Ok(())
        })
        .await
    }

    /// Roster and tree as the hub has them.
    pub(crate) async fn inspect(
        &self,
        access: GroupAccess,
    ) -> Result<std::result::Result<Membership, Reject>> {
        let body = RequestBody::InspectMembership(access);
        match self
            .ask(Endpoint::ExternalCommitInformation, body, 0)
            .await?
        {
            ResponseBody::Membership(membership) => Ok(Ok(membership)),
            ResponseBody::Rejected(reject) => Ok(Err(reject)),
            _ => Err(ClientError::BadAnswer),
        }
    }

    /// Gives the hub the keys that the commit really gives (page 2.4, rule 2).
    async fn rekey(&self, id: GroupId) -> Result<()> {
        let answer = self
            .member_request(id, |group, tools| {
                let ear_key_before = group
                    .state
                    .trouble
                    .iter()
                    .find_map(|trouble| match trouble {
                        Trouble::WrongKeys { ear_key_before } => Some(ear_key_before.duplicate()),
                        _ => None,
                    })
                    .ok_or(ClientError::NotInGroup)?;
                let body = RequestBody::Rekey(RekeyRequest {
                    access: GroupAccess {
                        group_id: group.id(),
                        ear_key: ear_key_before,
                    },
                    ear_key: group.current()?.ear_key.duplicate(),
                    sender_key: group.sender_key()?.secret().duplicate(),
                });
                leaf_request(group, tools, group.epoch()?, body)
            })
            .await?;
        self.step(id, |group, _, step| {
            group
                .state
                .trouble
                .retain(|trouble| !matches!(trouble, Trouble::WrongKeys { .. }));
            if answer.is_ok() {
                step.events.push(Event::Recovered {
                    group: id,
                    how: Recovery::Rekeyed,
                });
            }
            Ok(())
        })
        .await
    }

    /// "These keys open the state for me too."
    async fn confirm(&self, id: GroupId) -> Result<()> {
        let _ = self
            .member_request(id, |group, tools| {
                let body = RequestBody::ConfirmKeys(group.access()?);
                leaf_request(group, tools, group.epoch()?, body)
            })
            .await?;
        self.step(id, |group, _, _| {
            group.state.confirmation = None;
            Ok(())
        })
        .await
    }

    /// Answers somebody's key request.
    async fn answer(&self, id: GroupId, digest: Digest) -> Result<()> {
        let _ = self
            .member_request(id, |group, tools| group.answer_question(tools, digest))
            .await?;
        self.step(id, |group, _, _| {
            group.state.questions.retain(|q| q.digest != digest);
            Ok(())
        })
        .await
    }

    /// Finds the way back that is open.
    async fn come_back(&self, id: GroupId, chores: &Chores) -> Result<()> {
        if chores.external {
            return self.drive_external(id).await.map(|_| ());
        }
        let access = self.view(id, |group, _| group.access()).await?;
        match self.external_information(access).await? {
            Ok(information) => {
                self.report(id).await?;
                self.build_external(id, &Entrance::Resync, &information)
                    .await?;
                match self.drive_external(id).await? {
                    Driven::Won => Ok(()),
                    Driven::Lost => {
                        self.pause(0).await;
                        Ok(())
                    }
                }
            }
            Err(Reject::Unavailable { .. } | Reject::RateLimited { .. }) => {
                Err(ClientError::Unreachable)
            }
            Err(_) => {
                if self.random_rekey(id).await? {
                    return Ok(());
                }
                self.ask_unless_asked(id, chores).await
            }
        }
    }

    /// Tells the others of a commit that does not process. Its refusal changes nothing.
    async fn report(&self, id: GroupId) -> Result<()> {
        let trouble = self.unprocessable(id).await?;
        let Some((commit_hash, epoch)) = trouble else {
            return Ok(());
        };
        let _ = self
            .member_request(id, |group, tools| {
                let body = RequestBody::ReportCommit(ReportCommit {
                    access: group.access()?,
                    commit_hash,
                });
                leaf_request(group, tools, epoch, body)
            })
            .await?;
        Ok(())
    }

    async fn unprocessable(&self, id: GroupId) -> Result<Option<(Digest, u64)>> {
        self.view(id, |group, _| {
            Ok(group
                .state
                .trouble
                .iter()
                .find_map(|trouble| match trouble {
                    Trouble::Unprocessable { commit_hash, epoch } => Some((*commit_hash, *epoch)),
                    _ => None,
                }))
        })
        .await
    }

    /// A bad commit moved the generation to a key that this member cannot derive: a random key
    /// opens the state, on the way to a resync that moves the generation again.
    async fn random_rekey(&self, id: GroupId) -> Result<bool> {
        let Some((_, epoch)) = self.unprocessable(id).await? else {
            return Ok(false);
        };
        if self.mls_lost(id).await? {
            return Ok(false);
        }
        let ear_key = Secret32::new(self.entropy.array());
        let sender_key = Secret32::new(self.entropy.array());
        let next = self
            .step(id, |group, _, _| {
                // Kept before it is sent, so that a crash does not lose the only key.
                Ok(group.generation()?.saturating_add(1))
            })
            .await?;
        let answer = self
            .member_request(id, |group, tools| {
                let body = RequestBody::Rekey(RekeyRequest {
                    access: group.access()?,
                    ear_key: ear_key.duplicate(),
                    sender_key: sender_key.duplicate(),
                });
                leaf_request(group, tools, epoch, body)
            })
            .await?;
        if answer.is_err() {
            return Ok(false);
        }
        self.step(id, |group, _, step| {
            group.push_generation(GenerationRecord {
                generation: next,
                ear_key: ear_key.duplicate(),
                group_secret: None,
            });
            group.state.cursor = 0;
            step.events.push(Event::Recovered {
                group: id,
                how: Recovery::RandomRekey,
            });
            Ok(())
        })
        .await?;
        Ok(true)
    }

    async fn mls_lost(&self, id: GroupId) -> Result<bool> {
        self.view(id, |group, _| Ok(group.mls.is_none())).await
    }

    async fn ask_unless_asked(&self, id: GroupId, chores: &Chores) -> Result<()> {
        let fresh = |asked_s: u64| self.now_s() < asked_s.saturating_add(ASK_AGAIN_S);
        if chores.asked_s.is_some_and(fresh) {
            return Ok(());
        }
        self.request_key(id).await
    }

    /// Asks the members for the group's secret (page 2.4, rule 3).
    async fn request_key(&self, id: GroupId) -> Result<()> {
        let inbox = self.new_inbox(Some(id))?;
        self.keep_inbox(&mut Batch::default(), &inbox)?;
        self.open_inbox(&inbox).await?;
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
        self.step(id, |group, _, _| {
            if let Some(asked) = &mut group.state.asked {
                // Not parked anywhere: try again before long.
                asked.asked_s = asked
                    .asked_s
                    .saturating_sub(ASK_AGAIN_S.saturating_sub(REFUSED_AGAIN_S));
            }
            Ok(())
        })
        .await?;
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
        let leaf = group.leaf(&self.device)?;
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
            asked_s: now_s,
        });
        Ok(question)
    }

    /// Somebody answered.
    pub(crate) async fn take_answer(
        &self,
        id: GroupId,
        question: Digest,
        sealed: &SealedKeyObject,
    ) -> Result<()> {
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
            Ok(None) | Err(ClientError::NotInGroup) => return Ok(()),
            Err(ClientError::Crypto(_)) => return self.bad_object(id),
            Err(error) => return Err(error),
        };
        if object.group_id != id || object.hub_domain != self.hub_domain {
            return self.bad_object(id);
        }
        if self.giver_is_member(&object).await? {
            self.use_object(id, object).await
        } else {
            self.bad_object(id)
        }
    }

    fn bad_object(&self, id: GroupId) -> Result<()> {
        self.events.send_all(vec![Event::Evidence {
            group: id,
            evidence: Evidence::BadKeyObject,
        }]);
        Ok(())
    }

    /// The giver's leaf is in the tree that the given key opens, and resolves to the giver.
    async fn giver_is_member(&self, object: &sordino_wire::GroupKeyObject) -> Result<bool> {
        let secret = GroupSecret::new(object.group_secret.duplicate());
        let access = GroupAccess {
            group_id: object.group_id,
            ear_key: secret.ear_key()?.secret().duplicate(),
        };
        let Ok(information) = self.external_information(access).await? else {
            return Ok(false);
        };
        let hub_key = self.hub_key().await?;
        let seen = crate::engine::look::look(
            &self.entropy,
            &self.hub_domain,
            &hub_key,
            object.group_id,
            &information,
        )?;
        if seen.policy.identities == IdentityRule::None {
            return Ok(seen
                .members
                .by_signature_key(&object.giver_leaf_key)
                .is_some());
        }
        let roster = crate::engine::roster::open_roster(
            &secret.wrapper_key()?,
            information.position.generation,
            object.group_id,
            &seen.members,
            &information.roster,
        )?;
        Ok(check_giver(object, &seen.members, &roster.identities).is_ok())
    }

    async fn use_object(&self, id: GroupId, object: sordino_wire::GroupKeyObject) -> Result<()> {
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

/// Where somebody else must open the state first, the next round tries again.
fn unless_awaiting(result: Result<()>) -> Result<()> {
    match result {
        Err(ClientError::Refused(Reject::AwaitingConfirmation)) => Ok(()),
        other => other,
    }
}

/// A request signed by the own leaf.
pub(crate) fn leaf_request(
    group: &LoadedGroup,
    tools: &crate::engine::commit_build::Tools<'_>,
    epoch: u64,
    body: RequestBody,
) -> Result<Vec<u8>> {
    let leaf = group.leaf(tools.device)?;
    let signing = Signing::Leaf {
        index: group.own_index()?,
        key: &leaf.key,
    };
    tools.seal(group, epoch, body, &signing, Some(&leaf.key))
}
