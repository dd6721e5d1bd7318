//! Owns the making of a member's commit, from a plan to the bytes of a request.
//!
//! Invariant: the commit has passed the rules of the hub before it is kept, and it is kept, with
//! the keys it exports, before anything is sent (page 2.4, rule 5).

use crate::device::{Device, Leaf};
use crate::engine::plan::{Joiner, Plan};
use crate::engine::roster::credential_hash;
use crate::engine::state::{LoadedGroup, Step};
use crate::entropy::Entropy;
use crate::envelope::{Occasion, Signing, seal};
use crate::error::{ClientError, Result, mls};
use crate::mls::{Exporter, credential_with_key, signer};
use crate::raw::{HookContext, RequestHook};
use crate::records::{GenerationRecord, IdentityRecord, PendingCommit};
use openmls::ciphersuite::hash_ref::ProposalRef;
use openmls::component::ComponentId;
use openmls::messages::proposals::{AppDataUpdateProposal, Proposal};
use openmls::prelude::{
    CommitMessageBundle, LeafNodeIndex, MlsMessageOut, NewSignerBundle, OpenMlsProvider, Sender,
};
use sordino_crypto::{
    EarKey, GroupSecret, SenderKey, WrapperKey, keys_hash, make_key_object, seal_identity_entry,
    seal_key_object, sha256, wrap_previous,
};
use sordino_rules::{
    Before, CommitView, LEAF_PROOF_LABEL, Operation, PendingKind, RequiredAuth, Verdict, allows,
    check_commit, leaf_proof_tbs, resolve_app_data,
};
use sordino_wire::limits::GENERATION_MAX_DAYS;
use sordino_wire::{
    Authentication, COMMIT_AAD_FORMAT, Capability, CommitAad, CommitIntent, CommitRequest, Digest,
    DsRequest, GenerationStep, HandshakeBytes, IdentityEntry, IdentityRule, JoinerDelivery,
    KeyCheck, KeyCheckTbs, LeafOperation, LeafProof, List, NextGeneration, NextKeys,
    POLICY_COMPONENT, PartialGroupInfo, RequestBody, Salt, SignatureBytes, WelcomeBundle, encode,
    exact,
};
use tls_codec::{Serialize as _, VLBytes};

const DAY_S: u64 = 86_400;
/// The label of a [`KeyCheck`]'s signature.
pub(crate) const KEY_CHECK_LABEL: &str = "KeyCheck";

/// What every step that makes a request needs.
pub(crate) struct Tools<'a> {
    pub(crate) device: &'a Device,
    pub(crate) entropy: &'a Entropy,
    /// The hub's time, floored to a minute.
    pub(crate) time_s: u64,
    pub(crate) hook: Option<&'a RequestHook>,
    pub(crate) delays: Delays,
}

/// The longest random delays before doing what one member must do and any could.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// Before a key request is answered.
    pub answer_s: u64,
    /// Before a generation's keys are confirmed.
    pub confirm_s: u64,
    /// Before somebody who leaves is removed.
    pub remove_s: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            answer_s: 5,
            confirm_s: 5,
            remove_s: 20,
        }
    }
}

impl Tools<'_> {
    /// Applies the hook, signs and pads.
    pub(crate) fn seal(
        &self,
        group: &LoadedGroup,
        epoch: u64,
        mut body: RequestBody,
        signing: &Signing<'_>,
        inner_key: Option<&sordino_crypto::SigningKey>,
    ) -> Result<Vec<u8>> {
        if let Some(hook) = self.hook {
            let context = HookContext {
                group_id: group.id(),
                leaf_key: inner_key,
                epoch,
            };
            hook(&mut body, &context);
        }
        seal(body, signing, &self.occasion(group, epoch))
    }

    fn occasion<'a>(&self, group: &'a LoadedGroup, epoch: u64) -> Occasion<'a> {
        Occasion {
            hub_domain: group.domain(),
            group_id: group.id(),
            epoch,
            time_s: self.time_s,
            nonce: self.entropy.array(),
        }
    }
}

/// The keys of the epoch that a commit starts.
pub(crate) struct FreshKeys {
    pub(crate) sender_key: SenderKey,
    /// Where the generation moves.
    pub(crate) secret: Option<GroupSecret>,
}

/// What a commit consists of on the wire.
pub(crate) struct CommitParts {
    pub(crate) commit: Vec<u8>,
    pub(crate) welcome: Option<Vec<u8>>,
    pub(crate) group_info: PartialGroupInfo,
}

impl LoadedGroup {
    /// Makes a commit and the request that carries it, and notes both as pending.
    pub(crate) fn build_commit(
        &mut self,
        tools: &Tools<'_>,
        step: &Step,
        plan: &Plan,
    ) -> Result<()> {
        self.require_active()?;
        if self.state.pending.is_some() {
            return Err(ClientError::Mls("another commit is pending"));
        }
        let old_leaf = self.leaf(tools.device)?;
        let rotation = self.next_rotation(plan)?;
        let new_leaf = self.leaf_at(tools.device, rotation)?;
        let joiners = self.joiners(plan, self.provider.crypto(), step.now_s)?;
        let aad = self.aad(plan, &joiners, &old_leaf, step.now_s)?;
        let parts = self.stage(plan, &joiners, &aad, &old_leaf, &new_leaf)?;
        let verdict = self.judge_own(&aad, plan.intent(), step.now_s)?;
        let keys = self.fresh_keys(verdict.moves_generation)?;
        let joiners = self.in_commit_order(joiners)?;
        let body = self.assemble(tools, plan, &verdict, parts, &keys, &new_leaf, &joiners)?;
        self.note_pending(tools, plan, &verdict, body, keys, rotation, joiners)
    }

    fn next_rotation(&self, plan: &Plan) -> Result<u32> {
        if plan.rotates() {
            self.keys
                .rotation
                .checked_add(1)
                .ok_or(ClientError::OutOfBounds)
        } else {
            Ok(self.keys.rotation)
        }
    }

    /// Whether the commit starts a generation: it must where somebody leaves or time is up.
    fn step_of(&self, plan: &Plan, now_s: u64) -> Result<GenerationStep> {
        let leaving = !plan.is_update()
            && self
                .pending()?
                .iter()
                .any(|pending| pending.leaving().is_some());
        let age_s = now_s.saturating_sub(self.state.generation_started_s);
        let too_old = age_s >= u64::from(GENERATION_MAX_DAYS.saturating_sub(1)) * DAY_S;
        Ok(if plan.moves_generation() || leaving || too_old {
            GenerationStep::Moves
        } else {
            GenerationStep::Stays
        })
    }

    fn aad(&self, plan: &Plan, joiners: &[Joiner], leaf: &Leaf, now_s: u64) -> Result<CommitAad> {
        let mut proofs = Vec::new();
        if let Plan::AddOwnDevices(_) = plan {
            for joiner in joiners {
                let key = &joiner.credential.signature_key;
                let sibling = self.own_index()?;
                proofs.push(self.leaf_proof(LeafOperation::AddOwnClient, key, leaf, sibling)?);
            }
        }
        Ok(CommitAad {
            format: COMMIT_AAD_FORMAT,
            generation: self.generation()?,
            generation_step: self.step_of(plan, now_s)?,
            proofs: List::new(proofs)?,
            invite_code: None,
            request_id: None,
        })
    }

    /// Both signatures for a leaf that joins this user.
    pub(crate) fn leaf_proof(
        &self,
        operation: LeafOperation,
        leaf_key: &sordino_wire::SignatureKey,
        sibling: &Leaf,
        sibling_leaf: u32,
    ) -> Result<LeafProof> {
        let context = sordino_rules::ProofContext {
            hub_domain: self.domain(),
            group_id: self.id(),
            generation: self.generation()?,
        };
        let tbs = leaf_proof_tbs(&context, operation, leaf_key);
        Ok(LeafProof {
            user_signature: sibling.user_key.sign_struct(LEAF_PROOF_LABEL, &tbs)?,
            sibling_leaf,
            sibling_signature: sibling.key.sign_struct(LEAF_PROOF_LABEL, &tbs)?,
        })
    }

    /// Pending proposals that this commit leaves out.
    fn left_out(&self, plan: &Plan) -> Result<Vec<ProposalRef>> {
        let policy = self.policy()?;
        let pending = self.pending()?;
        let welcoming = policy.identities == IdentityRule::None
            && allows(&policy, &self.own_user()?, Capability::Add)
            && !matches!(plan, Plan::Delete);
        let leaves_itself = |leaf: u32| {
            pending
                .iter()
                .any(|other| other.kind == PendingKind::SelfRemove { leaf })
        };
        let inbox_known =
            |reference: &ProposalRef| -> Result<bool> {
                let reference = encode(reference)?;
                Ok(self.state.proposals.iter().any(|record| {
                    record.reference.as_slice() == reference && record.inbox.is_some()
                }))
            };
        let mut out = Vec::new();
        for proposal in &pending {
            let skip = match &proposal.kind {
                PendingKind::Add(_) => !welcoming || !inbox_known(&proposal.reference)?,
                PendingKind::Remove { leaf } => leaves_itself(*leaf),
                PendingKind::SelfRemove { .. } => false,
            };
            if skip {
                out.push(proposal.reference.clone());
            }
        }
        Ok(out)
    }

    /// Runs the commit through MLS; it stays there as its pending commit.
    fn stage(
        &mut self,
        plan: &Plan,
        joiners: &[Joiner],
        aad: &CommitAad,
        old_leaf: &Leaf,
        new_leaf: &Leaf,
    ) -> Result<CommitParts> {
        let left_out = self.left_out(plan)?;
        let targets = self.targets(plan)?;
        let aad = encode(aad)?;
        let old_signer = signer(&old_leaf.key);
        let new_signer = signer(&new_leaf.key);
        let credential = credential_with_key(&new_leaf.credential)?;
        let (group, provider) = self.mls_mut()?;
        group.set_aad(aad);
        let mut stage = group
            .commit_builder()
            .consume_proposal_store(!plan.is_update())
            .force_self_update(plan.is_update())
            .propose_adds(joiners.iter().map(|joiner| joiner.key_package.clone()))
            .propose_removals(targets.into_iter().map(LeafNodeIndex::new))
            .add_proposals(policy_proposal(plan)?)
            .load_psks(provider.storage())
            .map_err(mls("the commit cannot be started"))?;
        if let Plan::ChangePolicy { .. } = plan {
            let updates = resolve_app_data(
                stage.app_data_update_proposals(),
                stage.app_data_dictionary_updater(),
            )
            .map_err(ClientError::NotAllowed)?;
            stage.with_app_data_dictionary_updates(updates);
        }
        let stage = stage
            .use_ratchet_tree_extension(false)
            .create_group_info(true);
        let keep = |queued: &openmls::group::QueuedProposal| {
            !left_out.contains(queued.proposal_reference_ref())
        };
        let built = if plan.rotates() {
            let bundle = NewSignerBundle {
                signer: &new_signer,
                credential_with_key: credential,
            };
            stage.build_with_new_signer(
                provider.rand(),
                provider.crypto(),
                &old_signer,
                bundle,
                keep,
            )
        } else {
            stage.build(provider.rand(), provider.crypto(), &old_signer, keep)
        };
        let bundle = built
            .map_err(mls("the commit is not valid"))?
            .stage_commit(provider)
            .map_err(mls("the commit cannot be kept"))?;
        parts(bundle)
    }

    /// The same judgement that the hub and the others will make.
    fn judge_own(&self, aad: &CommitAad, intent: CommitIntent, now_s: u64) -> Result<Verdict> {
        let group = self.mls()?;
        let staged = group
            .pending_commit()
            .ok_or(ClientError::Mls("there is no pending commit"))?;
        let sender = Sender::Member(group.own_leaf_index());
        let context = group.public_group().group_context();
        let view = CommitView::from_staged(staged, &sender, &encode(aad)?, context)
            .map_err(ClientError::NotAllowed)?;
        let pending = self.pending()?;
        let before = Before {
            members: &self.members()?,
            policy: &self.policy()?,
            generation: self.generation()?,
            hub_domain: self.domain(),
            group_id: self.id(),
            pending: &pending,
            now_s: Some(now_s),
        };
        check_commit(&before, &view, intent).map_err(ClientError::NotAllowed)
    }

    fn fresh_keys(&self, moves: bool) -> Result<FreshKeys> {
        let crypto = self.provider.crypto();
        let staged = self
            .mls()?
            .pending_commit()
            .ok_or(ClientError::Mls("there is no pending commit"))?;
        let secret = match moves {
            true => Some(staged.group_secret(crypto, self.generation()?.saturating_add(1))?),
            false => None,
        };
        Ok(FreshKeys {
            sender_key: staged.sender_key(crypto)?,
            secret,
        })
    }

    /// All joiners, those who proposed themselves too, in the order of the commit's Adds.
    fn in_commit_order(&self, mut by_value: Vec<Joiner>) -> Result<Vec<Joiner>> {
        let staged = self
            .mls()?
            .pending_commit()
            .ok_or(ClientError::Mls("there is no pending commit"))?;
        let mut ordered = Vec::new();
        for queued in staged.queued_proposals() {
            let Proposal::Add(add) = queued.proposal() else {
                continue;
            };
            let key_package = add.key_package();
            let place = by_value
                .iter()
                .position(|joiner| &joiner.key_package == key_package);
            ordered.push(match place {
                Some(place) => by_value.swap_remove(place),
                None => self.proposed_joiner(key_package, queued.proposal_reference_ref())?,
            });
        }
        Ok(ordered)
    }

    fn proposed_joiner(
        &self,
        key_package: &openmls::prelude::KeyPackage,
        reference: &ProposalRef,
    ) -> Result<Joiner> {
        let reference = encode(reference)?;
        let inbox = self
            .state
            .proposals
            .iter()
            .find(|record| record.reference.as_slice() == reference)
            .and_then(|record| record.inbox.clone())
            .ok_or(ClientError::Mls("a joiner without an inbox"))?;
        let credential =
            sordino_rules::check_leaf(key_package.leaf_node()).map_err(ClientError::NotAllowed)?;
        Ok(Joiner {
            key_package: key_package.clone(),
            credential,
            link: None,
            inbox,
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn assemble(
        &self,
        tools: &Tools<'_>,
        plan: &Plan,
        verdict: &Verdict,
        parts: CommitParts,
        keys: &FreshKeys,
        new_leaf: &Leaf,
        joiners: &[Joiner],
    ) -> Result<CommitRequest> {
        let after = self.after(keys)?;
        let links: Vec<(
            &sordino_wire::PseudonymousCredential,
            sordino_wire::IdentityLink,
        )> = if plan.is_update() {
            vec![(
                &new_leaf.credential,
                tools.device.link(&new_leaf.credential)?,
            )]
        } else {
            joiners
                .iter()
                .filter_map(|joiner| Some((&joiner.credential, joiner.link.clone()?)))
                .collect()
        };
        let entries = match verdict.entry_leaves.is_empty() {
            true => Vec::new(),
            false => self.seal_entries(tools, &after, &links)?,
        };
        verdict
            .check_entries(entries.len())
            .map_err(ClientError::NotAllowed)?;
        let welcome = match &parts.welcome {
            Some(welcome) => Some(self.welcome_bundle(tools, welcome, &after, new_leaf, joiners)?),
            None => None,
        };
        let epoch = self.epoch()?.saturating_add(1);
        self.commit_request(
            plan.intent(),
            parts,
            keys,
            epoch,
            new_leaf,
            entries,
            welcome,
        )
    }

    /// The request, with its key check.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn commit_request(
        &self,
        intent: CommitIntent,
        parts: CommitParts,
        keys: &FreshKeys,
        epoch: u64,
        new_leaf: &Leaf,
        entries: Vec<IdentityEntry>,
        welcome: Option<WelcomeBundle>,
    ) -> Result<CommitRequest> {
        let after = self.after(keys)?;
        Ok(CommitRequest {
            access: self.access()?,
            intent,
            key_check: key_check(
                self.id(),
                epoch,
                &parts.commit,
                &after.ear_key,
                &keys.sender_key,
                &new_leaf.key,
            )?,
            commit: HandshakeBytes::new(parts.commit)?,
            group_info: parts.group_info,
            next: self.next_keys(keys)?,
            identity_entries: List::new(entries)?,
            welcome,
        })
    }

    /// The keys in force after a commit.
    pub(crate) fn after(&self, keys: &FreshKeys) -> Result<After> {
        let generation = self.generation()?;
        Ok(match &keys.secret {
            Some(secret) => After {
                generation: generation.saturating_add(1),
                ear_key: secret.ear_key()?,
                secret: Some(secret.duplicate()),
            },
            None => After {
                generation,
                ear_key: self.ear_key()?,
                secret: self.group_secret()?,
            },
        })
    }

    fn next_keys(&self, keys: &FreshKeys) -> Result<NextKeys> {
        let generation = match &keys.secret {
            None => None,
            Some(secret) => {
                let next = secret.wrapper_key()?;
                let wrapper = match self.wrapper_key()? {
                    Some(previous) => Some(wrap_previous(
                        &next,
                        self.id(),
                        self.generation()?,
                        &previous,
                    )?),
                    None => None,
                };
                Some(NextGeneration {
                    ear_key: secret.ear_key()?.secret().duplicate(),
                    wrapper,
                })
            }
        };
        Ok(NextKeys {
            sender_key: keys.sender_key.secret().duplicate(),
            generation,
        })
    }

    /// Seals identity links for the generation after a commit.
    pub(crate) fn seal_entries(
        &self,
        tools: &Tools<'_>,
        after: &After,
        links: &[(
            &sordino_wire::PseudonymousCredential,
            sordino_wire::IdentityLink,
        )],
    ) -> Result<Vec<IdentityEntry>> {
        let wrapper = after.wrapper_key()?;
        links
            .iter()
            .map(|(credential, link)| {
                let salt = Salt(tools.entropy.array());
                Ok(seal_identity_entry(
                    &wrapper,
                    after.generation,
                    self.id(),
                    credential,
                    link,
                    salt,
                )?)
            })
            .collect()
    }

    fn welcome_bundle(
        &self,
        tools: &Tools<'_>,
        welcome: &[u8],
        after: &After,
        new_leaf: &Leaf,
        joiners: &[Joiner],
    ) -> Result<WelcomeBundle> {
        let secret = after.secret.as_ref().ok_or(ClientError::SecretUnknown)?;
        let mut deliveries = Vec::new();
        for joiner in joiners {
            let recipient = joiner.key_package.hpke_init_key().as_slice();
            let object = make_key_object(
                tools.device.client_key(),
                tools.device.credential(),
                self.domain(),
                self.id(),
                self.epoch()?.saturating_add(1),
                after.generation,
                secret,
                &new_leaf.key.public(),
                sha256(welcome),
                recipient,
            )?;
            let mut rng = tools.entropy.clone();
            deliveries.push(JoinerDelivery {
                inbox: joiner.inbox.clone(),
                key_object: seal_key_object(recipient, &object, &mut rng)?,
            });
        }
        Ok(WelcomeBundle {
            welcome: sordino_wire::Bytes::new(welcome.to_vec())?,
            joiners: List::new(deliveries)?,
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn note_pending(
        &mut self,
        tools: &Tools<'_>,
        plan: &Plan,
        verdict: &Verdict,
        body: CommitRequest,
        keys: FreshKeys,
        rotation: u32,
        joiners: Vec<Joiner>,
    ) -> Result<()> {
        let leaf = self.leaf(tools.device)?;
        let new_leaf = self.leaf_at(tools.device, rotation)?;
        let epoch = self.epoch()?;
        let index = self.own_index()?;
        let commit_hash = sha256(body.commit.as_slice());
        let signing = match verdict.auth {
            RequiredAuth::PseudonymousUser => Signing::User {
                index,
                key: &leaf.key,
                user_key: &leaf.user_key,
            },
            RequiredAuth::Leaf | RequiredAuth::Joiner => Signing::Leaf {
                index,
                key: &leaf.key,
            },
        };
        let body = RequestBody::Commit(Box::new(body));
        let request = tools.seal(self, epoch, body, &signing, Some(&new_leaf.key))?;
        let identities = new_identities(tools, plan, verdict, &new_leaf, joiners)?;
        let next = self.next_generation(&keys)?;
        let invite_code = match plan {
            Plan::ChangePolicy { invite_code, .. } => *invite_code,
            _ => None,
        };
        self.keys.rotation_in_flight = plan.rotates().then_some(rotation);
        self.state.pending = Some(PendingCommit {
            commit_hash,
            epoch,
            request: VLBytes::new(request),
            rotation,
            operation: operation_number(verdict.operation),
            next,
            identities,
            invite_code,
            pays_identity: u8::from(plan.is_update()),
        });
        Ok(())
    }

    /// The same commit with a new time and nonce.
    pub(crate) fn sign_commit_again(
        &self,
        tools: &Tools<'_>,
        pending: &PendingCommit,
    ) -> Result<Vec<u8>> {
        let old = DsRequest::parse(pending.request.as_slice()).map_err(ClientError::NotAllowed)?;
        let leaf = self.leaf(tools.device)?;
        let index = self.own_index()?;
        let signing = match old.request.auth {
            Authentication::PseudonymousUser { .. } => Signing::User {
                index,
                key: &leaf.key,
                user_key: &leaf.user_key,
            },
            _ => Signing::Leaf {
                index,
                key: &leaf.key,
            },
        };
        let occasion = tools.occasion(self, pending.epoch);
        seal(old.request.body, &signing, &occasion)
    }

    /// The record of the generation that fresh keys start.
    pub(crate) fn next_generation(&self, keys: &FreshKeys) -> Result<Option<GenerationRecord>> {
        Ok(match &keys.secret {
            Some(secret) => Some(GenerationRecord {
                generation: self.generation()?.saturating_add(1),
                ear_key: secret.ear_key()?.secret().duplicate(),
                group_secret: Some(secret.secret().duplicate()),
            }),
            None => None,
        })
    }
}

/// The keys in force after a commit.
pub(crate) struct After {
    pub(crate) generation: u64,
    pub(crate) ear_key: EarKey,
    pub(crate) secret: Option<GroupSecret>,
}

impl After {
    fn wrapper_key(&self) -> Result<WrapperKey> {
        let secret = self.secret.as_ref().ok_or(ClientError::SecretUnknown)?;
        Ok(secret.wrapper_key()?)
    }
}

fn new_identities(
    tools: &Tools<'_>,
    plan: &Plan,
    verdict: &Verdict,
    new_leaf: &Leaf,
    joiners: Vec<Joiner>,
) -> Result<Vec<IdentityRecord>> {
    if verdict.entry_leaves.is_empty() {
        return Ok(Vec::new());
    }
    if plan.is_update() {
        return Ok(vec![IdentityRecord {
            credential: credential_hash(&new_leaf.credential)?,
            link: tools.device.link(&new_leaf.credential)?,
        }]);
    }
    let mut records = Vec::new();
    for joiner in joiners {
        if let Some(link) = joiner.link {
            records.push(IdentityRecord {
                credential: credential_hash(&joiner.credential)?,
                link,
            });
        }
    }
    Ok(records)
}

fn operation_number(operation: Operation) -> u8 {
    let place = Operation::ALL.iter().position(|row| *row == operation);
    place
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or(u8::MAX)
}

fn policy_proposal(plan: &Plan) -> Result<Option<Proposal>> {
    let Plan::ChangePolicy { policy, .. } = plan else {
        return Ok(None);
    };
    let component: ComponentId = POLICY_COMPONENT;
    let update = AppDataUpdateProposal::update(component, encode(policy.as_ref())?);
    Ok(Some(Proposal::AppDataUpdate(Box::new(update))))
}

/// A committer's statement about the keys it gives.
pub(crate) fn key_check(
    group_id: sordino_wire::GroupId,
    epoch: u64,
    commit: &[u8],
    ear_key: &EarKey,
    sender_key: &SenderKey,
    new_leaf_key: &sordino_crypto::SigningKey,
) -> Result<KeyCheck> {
    let commit_hash: Digest = sha256(commit);
    let keys_hash = keys_hash(group_id, epoch, ear_key, sender_key)?;
    let tbs = KeyCheckTbs {
        group_id,
        epoch,
        commit_hash,
        keys_hash,
    };
    Ok(KeyCheck {
        epoch,
        commit_hash,
        keys_hash,
        signature: new_leaf_key.sign_struct(KEY_CHECK_LABEL, &tbs)?,
    })
}

/// The wire parts of what openmls hands out.
pub(crate) fn parts(bundle: CommitMessageBundle) -> Result<CommitParts> {
    let info = bundle
        .group_info()
        .ok_or(ClientError::Mls("no GroupInfo was made"))?;
    let group_info = PartialGroupInfo {
        extensions: sordino_wire::Bytes::new(encode(info.extensions())?)?,
        signature: exact::<SignatureBytes>(&encode(info.signature())?)?,
    };
    let (commit, welcome, _) = bundle.into_messages();
    Ok(CommitParts {
        commit: message_bytes(&commit)?,
        welcome: welcome.as_ref().map(message_bytes).transpose()?,
        group_info,
    })
}

/// An MLSMessage as bytes.
pub(crate) fn message_bytes(message: &MlsMessageOut) -> Result<Vec<u8>> {
    message
        .tls_serialize_detached()
        .map_err(mls("a message does not serialise"))
}
