//! Owns the making of a member's commit, from a plan to a pending commit of MLS.
//!
//! Invariant: the commit has passed the rules of the hub before it is kept, and it is kept, with
//! the keys it exports, before anything is sent (page 2.4, rule 5).

use crate::device::Leaf;
use crate::engine::commit_request::{CommitParts, Draft, FreshKeys, parts};
use crate::engine::plan::{Joiner, Plan};
use crate::engine::state::{LoadedGroup, Step};
use crate::engine::tools::Tools;
use crate::error::{ClientError, Result, mls};
use crate::mls::{Exporter, credential_with_key, signer};
use openmls::ciphersuite::hash_ref::ProposalRef;
use openmls::component::ComponentId;
use openmls::messages::proposals::{AppDataUpdateProposal, Proposal};
use openmls::prelude::{LeafNodeIndex, NewSignerBundle, OpenMlsProvider, Sender};
use sordino_rules::{
    Before, CommitView, LEAF_PROOF_LABEL, PendingKind, Verdict, allows, check_commit,
    leaf_proof_tbs, resolve_app_data,
};
use sordino_wire::limits::GENERATION_MAX_DAYS;
use sordino_wire::{
    COMMIT_AAD_FORMAT, Capability, CommitAad, CommitIntent, GenerationStep, IdentityRule,
    LeafOperation, LeafProof, List, POLICY_COMPONENT, Reject, encode,
};

const DAY_S: u64 = 86_400;

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
        let own = self.own_index()?;
        if self.pending()?.iter().any(|p| p.leaving() == Some(own)) {
            // Whoever is on the way out can only wait; MLS would refuse it as well.
            return Err(ClientError::NotAllowed(Reject::BeingRemoved));
        }
        let old_leaf = self.leaf(tools.device)?;
        let rotation = self.next_rotation(plan)?;
        let new_leaf = self.leaf_at(tools.device, rotation)?;
        let joiners = self.joiners(plan, self.provider.crypto(), step.now_s)?;
        self.require_strangers(plan, &joiners)?;
        let aad = self.aad(plan, &joiners, &old_leaf, step.now_s)?;
        let parts = self.stage(plan, &joiners, &aad, &old_leaf, &new_leaf)?;
        let verdict = self.judge_own(&aad, plan.intent(), step.now_s)?;
        let keys = self.fresh_keys(verdict.moves_generation)?;
        let joiners = self.in_commit_order(joiners)?;
        let draft = Draft {
            plan,
            verdict,
            parts,
            keys,
            rotation,
            new_leaf,
            joiners,
        };
        self.finish_commit(tools, draft)
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
        let moves = plan.moves_generation() || leaving || self.generation_is_old(now_s);
        Ok(if moves {
            GenerationStep::Moves
        } else {
            GenerationStep::Stays
        })
    }

    /// Whether the time of the generation is up, as far as this device knows.
    pub(crate) fn generation_is_old(&self, now_s: u64) -> bool {
        let age_s = now_s.saturating_sub(self.state.generation_started_s);
        age_s >= u64::from(GENERATION_MAX_DAYS.saturating_sub(1)) * DAY_S
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
}

fn policy_proposal(plan: &Plan) -> Result<Option<Proposal>> {
    let Plan::ChangePolicy { policy, .. } = plan else {
        return Ok(None);
    };
    let component: ComponentId = POLICY_COMPONENT;
    let update = AppDataUpdateProposal::update(component, encode(policy.as_ref())?);
    Ok(Some(Proposal::AppDataUpdate(Box::new(update))))
}
