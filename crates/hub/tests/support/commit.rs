//! Commits by members.

use super::actor::{credential_with_key, parse, secret32};
use super::sync::Own;
use super::{Actor, Kind, World, done};
use openmls::credentials::NewSignerBundle;
use openmls::group::{GroupContext, QueuedProposal};
use openmls::messages::group_info::GroupInfo;
use openmls::messages::proposals::{AppDataUpdateProposal, Proposal};
use openmls::prelude::{
    CommitMessageBundle, KeyPackage, LeafNodeIndex, MlsMessageBodyIn, ProtocolVersion, Sender,
};
use openmls_traits::OpenMlsProvider as _;
use sordino_crypto::{
    EXPORTER_GROUP, EXPORTER_SENDER, EarKey, GroupSecret, SenderKey, SigningKey, WrapperKey,
    exporter_group_context, keys_hash, make_key_object, seal_key_object, sha256, wrap_previous,
};
use sordino_rules::{
    LEAF_PROOF_LABEL, PendingKind, ProofContext, credential_of, leaf_proof_tbs, resolve_app_data,
};
use sordino_wire::{
    Bytes, COMMIT_AAD_FORMAT, CommitAad, CommitIntent, CommitRequest, Digest, GenerationStep,
    IdentityEntry, IdentityRule, InboxAddress, JoinerDelivery, KeyCheck, KeyCheckTbs,
    KeyPackageEntry, LeafOperation, LeafProof, List, NextGeneration, NextKeys, PartialGroupInfo,
    PolicySummary, PseudonymousCredential, RequestBody, ResponseBody, Secret32, SignatureKey,
    WelcomeBundle, encode, exact,
};
use tls_codec::Serialize as _;

/// What a commit is to do.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) adds: Vec<KeyPackageEntry>,
    pub(crate) removes: Vec<u32>,
    pub(crate) policy: Option<PolicySummary>,
    /// Other proposals by value.
    pub(crate) proposals: Vec<Proposal>,
    /// Starts a generation: by default where somebody leaves.
    pub(crate) moves: Option<bool>,
    /// Rotates the leaf key.
    pub(crate) rotate: bool,
    /// A path even where MLS needs none.
    pub(crate) path: bool,
    pub(crate) proofs: Vec<LeafProof>,
    /// Leaves pending proposals out.
    pub(crate) without_pending: bool,
    /// Leaves out who asked to be added.
    pub(crate) without_joiners: bool,
    pub(crate) delete: bool,
    /// Another key and credential for the own leaf.
    pub(crate) impostor: Option<(SigningKey, PseudonymousCredential)>,
    /// Changes the authenticated data.
    pub(crate) aad: Option<fn(&mut CommitAad)>,
}

/// A commit before its request is made.
pub(crate) struct Draft {
    pub(crate) bundle: CommitMessageBundle,
    pub(crate) sender_key: Secret32,
    /// The secret of the generation that it starts.
    pub(crate) next: Option<GroupSecret>,
    pub(crate) rotation: u32,
    pub(crate) added: Vec<(KeyPackage, InboxAddress)>,
}

impl Plan {
    pub(crate) fn add(entries: Vec<KeyPackageEntry>) -> Self {
        Self {
            adds: entries,
            ..Self::default()
        }
    }

    pub(crate) fn remove(leaves: &[u32]) -> Self {
        Self {
            removes: leaves.to_vec(),
            ..Self::default()
        }
    }

    pub(crate) fn update() -> Self {
        Self {
            path: true,
            without_pending: false,
            ..Self::default()
        }
    }

    pub(crate) fn moving() -> Self {
        Self {
            moves: Some(true),
            ..Self::update()
        }
    }

    pub(crate) fn rotating() -> Self {
        Self {
            rotate: true,
            ..Self::update()
        }
    }
}

/// The GroupInfo's part that a hub cannot rebuild.
pub(crate) fn partial(info: &GroupInfo) -> PartialGroupInfo {
    let extensions = info.extensions().tls_serialize_detached().unwrap();
    let signature = info.signature().tls_serialize_detached().unwrap();
    PartialGroupInfo {
        extensions: Bytes::new(extensions).unwrap(),
        signature: exact(&signature).unwrap(),
    }
}

/// What a committer says about the keys it gives.
pub(crate) fn key_check(
    key: &SigningKey,
    group_id: sordino_wire::GroupId,
    epoch: u64,
    commit: &[u8],
    ear: &EarKey,
    sender: &Secret32,
) -> KeyCheck {
    let sender = SenderKey::new(sender.duplicate());
    let tbs = KeyCheckTbs {
        group_id,
        epoch,
        commit_hash: sha256(commit),
        keys_hash: keys_hash(group_id, epoch, ear, &sender).unwrap(),
    };
    KeyCheck {
        epoch,
        commit_hash: tbs.commit_hash,
        keys_hash: tbs.keys_hash,
        signature: key.sign_struct("KeyCheck", &tbs).unwrap(),
    }
}

pub(crate) fn policy_proposal(policy: &PolicySummary) -> Proposal {
    let bytes = encode(policy).unwrap();
    let update = AppDataUpdateProposal::update(sordino_wire::POLICY_COMPONENT, bytes);
    Proposal::AppDataUpdate(Box::new(update))
}

fn key_package_of(entry: &KeyPackageEntry, actor: &Actor) -> KeyPackage {
    let MlsMessageBodyIn::KeyPackage(kp) = parse(entry.key_package.as_slice()).extract() else {
        panic!("not a KeyPackage");
    };
    kp.validate(actor.provider.crypto(), ProtocolVersion::Mls10)
        .unwrap()
}

impl Actor {
    pub(crate) fn aad(&self, moves: bool, proofs: Vec<LeafProof>) -> CommitAad {
        CommitAad {
            format: COMMIT_AAD_FORMAT,
            generation: self.generation,
            generation_step: if moves {
                GenerationStep::Moves
            } else {
                GenerationStep::Stays
            },
            proofs: List::new(proofs).unwrap(),
            invite_code: None,
            request_id: None,
        }
    }

    /// Both signatures for a leaf that joins this actor's user, this actor being the sibling.
    pub(crate) fn proof(&self, world: &World, op: LeafOperation, leaf: &SignatureKey) -> LeafProof {
        let context = ProofContext {
            hub_domain: &world.domain,
            group_id: self.group_id,
            generation: self.generation,
        };
        let tbs = leaf_proof_tbs(&context, op, leaf);
        let sign = |key: SigningKey| key.sign_struct(LEAF_PROOF_LABEL, &tbs).unwrap();
        LeafProof {
            user_signature: sign(self.user_key()),
            sibling_leaf: self.leaf(),
            sibling_signature: sign(self.leaf_key()),
        }
    }

    fn leaving(&self) -> bool {
        self.pending.iter().any(|p| p.reference.leaving().is_some())
    }

    /// Builds the MLS commit.
    pub(crate) fn build(&mut self, plan: &Plan) -> Draft {
        let removing = !plan.removes.is_empty() || (!plan.without_pending && self.leaving());
        let moves = plan.moves.unwrap_or(removing);
        let mut aad = self.aad(moves, plan.proofs.clone());
        if let Some(change) = plan.aad {
            change(&mut aad);
        }
        let rotation = self.rotation + u32::from(plan.rotate);
        let (old_key, new_key) = (self.leaf_key(), self.leaf_key_after(rotation));
        let credential = self.credential_after(rotation);
        let added = self.added(plan);
        let by_value: Vec<_> = plan.adds.iter().map(|e| key_package_of(e, self)).collect();
        let both = self.removals_superseded();
        let removes = plan.removes.iter().copied().map(LeafNodeIndex::new);

        let provider = &self.provider;
        let group = self.group.as_mut().unwrap();
        group.clear_pending_commit(provider.storage()).unwrap();
        group.set_aad(encode(&aad).unwrap());
        let mut stage = group
            .commit_builder()
            .consume_proposal_store(!plan.without_pending)
            .force_self_update(plan.path)
            .propose_adds(by_value)
            .propose_removals(removes)
            .add_proposals(plan.policy.iter().map(policy_proposal))
            .add_proposals(plan.proposals.clone())
            .load_psks(provider.storage())
            .unwrap()
            .create_group_info(true)
            .use_ratchet_tree_extension(false);
        let updates: Vec<_> = stage.app_data_update_proposals().cloned().collect();
        if !updates.is_empty() {
            let resolved = resolve_app_data(&updates, stage.app_data_dictionary_updater());
            stage.with_app_data_dictionary_updates(resolved.unwrap());
        }
        let keep = |p: &QueuedProposal| {
            let superseded = matches!(
                (p.proposal(), p.sender()),
                (Proposal::Remove(r), Sender::External(_)) if both.contains(&r.removed().u32())
            );
            let joiner = matches!(p.sender(), Sender::NewMemberProposal);
            !(superseded || joiner && plan.without_joiners)
        };
        let (rand, crypto) = (provider.rand(), provider.crypto());
        let built = if let Some((signer, credential)) = &plan.impostor {
            let new = NewSignerBundle {
                signer,
                credential_with_key: credential_with_key(credential),
            };
            stage.build_with_new_signer(rand, crypto, &old_key, new, keep)
        } else if plan.rotate {
            let new = NewSignerBundle {
                signer: &new_key,
                credential_with_key: credential_with_key(&credential),
            };
            stage.build_with_new_signer(rand, crypto, &old_key, new, keep)
        } else {
            stage.build(rand, crypto, &old_key, keep)
        };
        let bundle = built.unwrap().stage_commit(provider).unwrap();

        let staged = group.pending_commit().unwrap();
        let export = |label: &str, context: &[u8]| {
            secret32(
                staged
                    .export_secret(provider.crypto(), label, context, 32)
                    .unwrap(),
            )
        };
        let context = exporter_group_context(self.generation + 1);
        Draft {
            bundle,
            sender_key: export(EXPORTER_SENDER, b""),
            next: moves.then(|| GroupSecret::new(export(EXPORTER_GROUP, &context))),
            rotation,
            added,
        }
    }

    /// Leaves that leave by themselves and that the hub removes as well.
    fn removals_superseded(&self) -> Vec<u32> {
        let kinds = self.pending.iter().map(|p| &p.reference.kind);
        kinds
            .filter_map(|kind| match kind {
                PendingKind::SelfRemove { leaf } => Some(*leaf),
                _ => None,
            })
            .collect()
    }

    /// Pending Adds, then those by value: the order of the commit.
    fn added(&self, plan: &Plan) -> Vec<(KeyPackage, InboxAddress)> {
        let joiners = self
            .pending
            .iter()
            .filter(|_| !plan.without_pending && !plan.without_joiners);
        let mut added: Vec<_> = joiners.filter_map(|p| p.joiner.clone()).collect();
        added.extend(
            plan.adds
                .iter()
                .map(|e| (key_package_of(e, self), e.inbox.clone())),
        );
        added
    }

    /// The request for a commit that was built. It is this actor's own from now on.
    pub(crate) fn wrap(&mut self, world: &mut World, draft: Draft, plan: &Plan) -> CommitRequest {
        let commit = draft.bundle.commit().tls_serialize_detached().unwrap();
        let info = draft.bundle.group_info().unwrap();
        let epoch = self.epoch() + 1;
        let new_key = self.leaf_key_after(draft.rotation);
        let ear = draft.next.as_ref().map(|secret| secret.ear_key().unwrap());
        let ear_after = ear.as_ref().unwrap_or(self.ear());
        let key_check = key_check(
            &new_key,
            self.group_id,
            epoch,
            &commit,
            ear_after,
            &draft.sender_key,
        );
        let next_generation = draft
            .next
            .as_ref()
            .map(|secret| self.next_generation(secret));
        let entries = self.entries(world, &draft, plan);
        let welcome = self.welcome(world, &draft, epoch);
        let request = CommitRequest {
            access: self.access(),
            intent: if plan.delete {
                CommitIntent::Delete
            } else {
                CommitIntent::Apply
            },
            commit: Bytes::new(commit.clone()).unwrap(),
            group_info: partial(info),
            next: NextKeys {
                sender_key: draft.sender_key.duplicate(),
                generation: next_generation,
            },
            key_check,
            identity_entries: List::new(entries).unwrap(),
            welcome,
        };
        self.own = Some(Own {
            hash: sha256(&commit),
            next: draft.next,
            rotation: draft.rotation,
        });
        request
    }

    fn next_generation(&self, secret: &GroupSecret) -> NextGeneration {
        let wrapper = self.now().secret.as_ref().map(|_| {
            let next = secret.wrapper_key().unwrap();
            wrap_previous(&next, self.group_id, self.generation, &self.wrapper()).unwrap()
        });
        NextGeneration {
            ear_key: secret.ear_key().unwrap().secret().duplicate(),
            wrapper,
        }
    }

    /// Wrapper key and number of the generation in force after the commit.
    fn wrapper_after(&self, draft: &Draft) -> (WrapperKey, u64) {
        match &draft.next {
            Some(secret) => (secret.wrapper_key().unwrap(), self.generation + 1),
            None => (self.wrapper(), self.generation),
        }
    }

    pub(crate) fn policy(&self) -> PolicySummary {
        sordino_rules::policy_of(self.context().extensions()).unwrap()
    }

    pub(crate) fn context(&self) -> &GroupContext {
        self.mls().public_group().group_context()
    }

    fn entries(&self, world: &mut World, draft: &Draft, plan: &Plan) -> Vec<IdentityEntry> {
        if self.policy().identities == IdentityRule::None || plan.delete {
            return Vec::new();
        }
        let mut credentials: Vec<_> = draft
            .added
            .iter()
            .map(|(kp, _)| credential_of(kp.leaf_node()).unwrap())
            .collect();
        let pending = !plan.without_pending && !self.pending.is_empty();
        let only_path = draft.added.is_empty()
            && plan.removes.is_empty()
            && plan.policy.is_none()
            && plan.proposals.is_empty()
            && !pending;
        if only_path {
            let own = self.credential_after(draft.rotation);
            let key = own.signature_key.as_slice().to_vec();
            world.links.insert(key, self.link_of(&own));
            credentials.push(own);
        }
        if credentials.is_empty() {
            return Vec::new();
        }
        let (wrapper, generation) = self.wrapper_after(draft);
        credentials
            .iter()
            .map(|c| self.entry(world, &wrapper, generation, c))
            .collect()
    }

    fn welcome(&self, world: &mut World, draft: &Draft, epoch: u64) -> Option<WelcomeBundle> {
        let welcome = draft.bundle.to_welcome_msg()?;
        let welcome = welcome.tls_serialize_detached().unwrap();
        let hash = sha256(&welcome);
        let joiners = draft
            .added
            .iter()
            .map(|(kp, inbox)| JoinerDelivery {
                inbox: inbox.clone(),
                key_object: self.key_object(
                    world,
                    draft.next.as_ref(),
                    epoch,
                    hash,
                    kp.hpke_init_key().as_slice(),
                ),
            })
            .collect();
        Some(WelcomeBundle {
            welcome: Bytes::new(welcome).unwrap(),
            joiners: List::new(joiners).unwrap(),
        })
    }

    /// `{g, group_secret_g}` for somebody: of the generation in force, or the next one.
    pub(crate) fn key_object(
        &self,
        world: &mut World,
        next: Option<&GroupSecret>,
        epoch: u64,
        welcome_hash: Digest,
        recipient: &[u8],
    ) -> sordino_wire::SealedKeyObject {
        let secret = next.or(self.now().secret.as_ref()).unwrap();
        let object = make_key_object(
            &self.client_key,
            &self.client_credential,
            &world.domain,
            self.group_id,
            epoch,
            self.generation + u64::from(next.is_some()),
            secret,
            &self.leaf_key().public(),
            welcome_hash,
            recipient,
        )
        .unwrap();
        seal_key_object(recipient, &object, &mut world.rng).unwrap()
    }

    /// Builds a commit with its request.
    pub(crate) fn draft(&mut self, world: &mut World, plan: &Plan) -> CommitRequest {
        let draft = self.build(plan);
        self.wrap(world, draft, plan)
    }

    /// Which authentication a plan needs.
    pub(crate) fn kind_of(&self, plan: &Plan) -> Kind {
        let own_leaf = |leaf: &u32| {
            let members = self.members();
            let user = members
                .get(*leaf)
                .map(|m| m.credential.user_pseudonym.clone());
            user == Some(self.user_pseudonym())
        };
        let removes_own = !plan.delete && plan.removes.iter().any(own_leaf);
        if removes_own || !plan.proofs.is_empty() {
            Kind::User
        } else {
            Kind::Leaf
        }
    }

    /// Builds and sends; on success catches up with itself.
    pub(crate) fn try_commit(&mut self, world: &mut World, plan: &Plan) -> ResponseBody {
        let request = self.draft(world, plan);
        let kind = self.kind_of(plan);
        let answer = self.request(world, kind, RequestBody::Commit(Box::new(request)));
        if matches!(answer, ResponseBody::Done(_)) {
            self.sync(world);
        }
        answer
    }

    #[track_caller]
    pub(crate) fn commit(&mut self, world: &mut World, plan: &Plan) {
        done(self.try_commit(world, plan));
    }
}
