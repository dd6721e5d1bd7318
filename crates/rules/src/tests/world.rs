//! A group with its hub and its members, all real.
//!
//! Every commit is judged twice, by the hub's [`PublicGroup`] and by a member that did not make it,
//! and both must come to the same conclusion.

use super::device::*;
use crate::*;
use openmls::credentials::NewSignerBundle;
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{
    CommitBuilder, CommitMessageBundle, ExternalProposal, Initial, JoinProposal, KeyPackage,
    LeafNodeIndex, LeafNodeParameters, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig,
    MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
    ProcessedMessage, ProcessedMessageContent, Proposal, ProposalStore, ProtocolMessage,
    PublicGroup, PublicMessageIn, QueuedProposal, SenderExtensionIndex, StagedCommit,
    StagedWelcome,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider;
use sordino_crypto::{SigningKey, sha256};
use sordino_wire::{
    CommitAad, CommitIntent, IdentifierUri, PolicySummary, PseudonymousCredential, Reject,
};
use tls_codec::{Deserialize, Serialize};

/// A group: its hub, its members (device 0 created it), its pending proposals.
pub(super) struct World {
    hub_provider: OpenMlsRustCrypto,
    pub(super) hub_key: SigningKey,
    pub(super) hub: PublicGroup,
    pub(super) devices: Vec<Device>,
    pub(super) pending: Vec<PendingRef>,
}

impl World {
    pub(super) fn new(policy: &PolicySummary) -> Self {
        let hub_key = SigningKey::from_seed(&[99; 32]);
        let mut creator = Device::new(0, 0);
        let extensions =
            group_context_extensions(&hub_domain(), &hub_key.public(), policy).unwrap();
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(CIPHERSUITE)
            .capabilities(capabilities())
            .lifetime(key_package_lifetime(now_s()))
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .with_group_context_extensions(extensions)
            .build();
        let group = MlsGroup::new_with_group_id(
            &creator.provider,
            &creator.leaf_key,
            &config,
            openmls::group::GroupId::from_slice(&GROUP.0),
            creator.with_key(),
        )
        .unwrap();
        let hub_provider = OpenMlsRustCrypto::default();
        let (hub, _) = PublicGroup::from_external(
            hub_provider.crypto(),
            hub_provider.storage(),
            group.export_ratchet_tree().into(),
            group_info(&group, &creator),
            ProposalStore::default(),
        )
        .unwrap();
        creator.group = Some(group);
        Self {
            hub_provider,
            hub_key,
            hub,
            devices: vec![creator],
            pending: Vec::new(),
        }
    }

    /// A group of several devices `(user, device)` after the creator `(0, 0)`.
    pub(super) fn with(policy: &PolicySummary, others: &[(u8, u8)]) -> Self {
        let mut world = Self::new(policy);
        for (user, device) in others {
            world.welcome(Device::new(*user, *device));
        }
        world
    }

    /// Adds a device without asking the rules.
    fn welcome(&mut self, mut device: Device) {
        let key_package = device.key_package();
        let bundle = self.commit(0, stays(), |builder| builder.propose_adds([key_package]));
        let (commit, welcome, _) = bundle.into_contents();
        let staged = self.stage(&commit).unwrap().0;
        self.merge(0, &commit, staged);
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let tree = self.group(0).export_ratchet_tree().into();
        let joined = StagedWelcome::build_from_welcome(&device.provider, &config, welcome.unwrap())
            .unwrap()
            .with_ratchet_tree(tree)
            .build()
            .unwrap()
            .into_group(&device.provider)
            .unwrap();
        device.group = Some(joined);
        self.devices.push(device);
    }

    pub(super) fn group(&self, device: usize) -> &MlsGroup {
        self.devices[device].group.as_ref().unwrap()
    }

    pub(super) fn index(&self, device: usize) -> LeafNodeIndex {
        self.group(device).own_leaf_index()
    }

    pub(super) fn user(&self, device: usize) -> IdentifierUri {
        self.devices[device].user().clone()
    }

    pub(super) fn members(&self) -> Members {
        Members::of_public_group(&self.hub).unwrap()
    }

    pub(super) fn policy(&self) -> PolicySummary {
        policy_of(self.hub.group_context().extensions()).unwrap()
    }

    /// A commit by a member, with everything that is pending.
    pub(super) fn commit(
        &mut self,
        device: usize,
        aad: CommitAad,
        shape: impl for<'a> FnOnce(CommitBuilder<'a, Initial>) -> CommitBuilder<'a, Initial>,
    ) -> CommitMessageBundle {
        self.commit_as(device, aad, shape, None)
    }

    /// The same, perhaps with a new credential and key.
    pub(super) fn commit_as(
        &mut self,
        device: usize,
        aad: CommitAad,
        shape: impl for<'a> FnOnce(CommitBuilder<'a, Initial>) -> CommitBuilder<'a, Initial>,
        new: Option<(&SigningKey, &PseudonymousCredential)>,
    ) -> CommitMessageBundle {
        let Device {
            provider,
            leaf_key,
            group,
            ..
        } = &mut self.devices[device];
        let group = group.as_mut().unwrap();
        group.clear_pending_commit(provider.storage()).unwrap();
        group.set_aad(sordino_wire::encode(&aad).unwrap());
        let mut stage = shape(group.commit_builder())
            .load_psks(provider.storage())
            .unwrap();
        let proposals: Vec<_> = stage.app_data_update_proposals().cloned().collect();
        if !proposals.is_empty() {
            let updates = resolve_app_data(&proposals, stage.app_data_dictionary_updater());
            stage.with_app_data_dictionary_updates(updates.unwrap());
        }
        let (rand, crypto) = (provider.rand(), provider.crypto());
        let built = match new {
            None => stage.build(rand, crypto, leaf_key, |_| true),
            Some((signer, credential)) => {
                let bundle = NewSignerBundle {
                    signer,
                    credential_with_key: credential_with_key(credential),
                };
                stage.build_with_new_signer(rand, crypto, leaf_key, bundle, |_| true)
            }
        };
        built.unwrap().stage_commit(provider).unwrap()
    }

    /// An external commit by a device that is not in the group (or resyncs).
    pub(super) fn external(
        &self,
        device: &Device,
        aad: &CommitAad,
        proposals: &[MlsMessageOut],
    ) -> (MlsGroup, MlsMessageOut) {
        let provider = OpenMlsRustCrypto::default();
        let proposals = proposals.iter().map(public_message).collect();
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let parameters = LeafNodeParameters::builder()
            .with_capabilities(capabilities())
            .build();
        let (group, bundle) = MlsGroup::external_commit_builder()
            .with_config(config)
            .with_aad(sordino_wire::encode(aad).unwrap())
            .with_proposals(proposals)
            .with_ratchet_tree(self.hub.export_ratchet_tree().into())
            .build_group(
                &provider,
                group_info(self.group(0), &self.devices[0]),
                device.with_key(),
            )
            .unwrap()
            .leaf_node_parameters(parameters)
            .load_psks(provider.storage())
            .unwrap()
            .build(provider.rand(), provider.crypto(), &device.leaf_key, |_| {
                true
            })
            .unwrap()
            .finalize(&provider)
            .unwrap();
        (group, bundle.into_commit())
    }

    /// The hub proposes to remove a leaf.
    pub(super) fn hub_removes(&mut self, leaf: u32) -> MlsMessageOut {
        let message = ExternalProposal::new_remove::<OpenMlsRustCrypto>(
            LeafNodeIndex::new(leaf),
            self.hub.group_id().clone(),
            self.hub.group_context().epoch(),
            &self.hub_key,
            SenderExtensionIndex::new(0),
        )
        .unwrap();
        self.store(message)
    }

    /// A member leaves.
    pub(super) fn leaves(&mut self, device: usize) -> MlsMessageOut {
        let Device {
            provider,
            leaf_key,
            group,
            ..
        } = &mut self.devices[device];
        let group = group.as_mut().unwrap();
        let message = group
            .leave_group_via_self_remove(provider, leaf_key)
            .unwrap();
        self.store(message)
    }

    /// Somebody asks to be let in.
    pub(super) fn asks_in(&mut self, device: &Device) -> MlsMessageOut {
        self.store(self.request(device, device.key_package()))
    }

    pub(super) fn request(&self, device: &Device, key_package: KeyPackage) -> MlsMessageOut {
        JoinProposal::new::<<OpenMlsRustCrypto as OpenMlsProvider>::StorageProvider>(
            key_package,
            self.hub.group_id().clone(),
            self.hub.group_context().epoch(),
            &device.leaf_key,
        )
        .unwrap()
    }

    /// What the hub reads in a proposal.
    pub(super) fn proposal(&self, message: &MlsMessageOut) -> QueuedProposal {
        let processed = self
            .hub
            .process_message(self.hub_provider.crypto(), protocol(message));
        queued(processed.unwrap())
    }

    /// Stores a proposal at the hub and at all members.
    pub(super) fn store(&mut self, message: MlsMessageOut) -> MlsMessageOut {
        let proposal = self.proposal(&message);
        let hash = sha256(&message.to_bytes().unwrap());
        self.pending.push(PendingRef::of(&proposal, hash).unwrap());
        let storage = self.hub_provider.storage();
        self.hub.add_proposal(storage, proposal).unwrap();
        for device in &mut self.devices {
            let group = device.group.as_mut().unwrap();
            // The one who proposes has it already.
            if let Ok(processed) = group.process_message(&device.provider, protocol(&message)) {
                let storage = device.provider.storage();
                group
                    .store_pending_proposal(storage, queued(processed))
                    .unwrap();
            }
        }
        message
    }

    /// The hub's view of a commit.
    pub(super) fn stage(
        &self,
        commit: &MlsMessageOut,
    ) -> Result<(StagedCommit, CommitView), Reject> {
        let crypto = self.hub_provider.crypto();
        let processed = self.hub.process_message(crypto, protocol(commit)).unwrap();
        let (sender, aad) = (processed.sender().clone(), processed.aad().to_vec());
        let staged = match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => *staged,
            ProcessedMessageContent::UnresolvedAppDataCommit(commit) => {
                let updater = self.hub.app_data_dictionary_updater();
                let updates = resolve_app_data(commit.app_data_update_proposals(), updater)?;
                self.hub
                    .stage_app_data_commit(crypto, *commit, updates)
                    .unwrap()
            }
            _ => panic!("not a commit"),
        };
        let view = CommitView::from_staged(&staged, &sender, &aad, self.hub.group_context())?;
        Ok((staged, view))
    }

    /// A member's view of somebody else's commit.
    fn view_of_member(
        &mut self,
        device: usize,
        commit: &MlsMessageOut,
    ) -> Result<CommitView, Reject> {
        let Device {
            provider, group, ..
        } = &mut self.devices[device];
        let group = group.as_mut().unwrap();
        let processed = group.process_message(provider, protocol(commit)).unwrap();
        let (sender, aad) = (processed.sender().clone(), processed.aad().to_vec());
        let staged = match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => *staged,
            ProcessedMessageContent::UnresolvedAppDataCommit(commit) => {
                let updater = group.app_data_dictionary_updater();
                let updates = resolve_app_data(commit.app_data_update_proposals(), updater)?;
                group
                    .stage_app_data_commit(provider, *commit, updates)
                    .unwrap()
            }
            _ => panic!("not a commit"),
        };
        CommitView::from_staged(&staged, &sender, &aad, group.public_group().group_context())
    }

    /// A committer's view of its own commit, before it merges it.
    fn view_of_committer(
        &self,
        device: usize,
        commit: &MlsMessageOut,
    ) -> Result<CommitView, Reject> {
        let crypto = self.hub_provider.crypto();
        let processed = self.hub.process_message(crypto, protocol(commit)).unwrap();
        let group = self.group(device);
        CommitView::from_staged(
            group.pending_commit().unwrap(),
            processed.sender(),
            processed.aad(),
            group.public_group().group_context(),
        )
    }

    fn sender(&self, device: usize) -> CommitSender {
        CommitSender::Member(self.index(device).u32())
    }

    /// Judges a view in this group.
    pub(super) fn judge_view(
        &self,
        view: &CommitView,
        intent: CommitIntent,
    ) -> Result<Verdict, Reject> {
        let (members, policy, domain) = (self.members(), self.policy(), hub_domain());
        let before = Before {
            members: &members,
            policy: &policy,
            generation: GENERATION,
            hub_domain: &domain,
            group_id: GROUP,
            pending: &self.pending,
            now_s: Some(now_s()),
        };
        check_commit(&before, view, intent)
    }

    /// Judges a commit as the hub does, and as a member that did not make it.
    pub(super) fn judge(&mut self, commit: &MlsMessageOut) -> Result<Verdict, Reject> {
        self.judge_for(commit, CommitIntent::Apply)
    }

    pub(super) fn judge_for(
        &mut self,
        commit: &MlsMessageOut,
        intent: CommitIntent,
    ) -> Result<Verdict, Reject> {
        let view = self.stage(commit).map(|(_, view)| view);
        for device in 0..self.devices.len() {
            if self.group(device).pending_commit().is_none() {
                assert_eq!(self.view_of_member(device, commit), view);
            } else if matches!(&view, Ok(view) if view.sender == self.sender(device)) {
                assert_eq!(self.view_of_committer(device, commit), view);
            }
        }
        self.judge_view(&view?, intent)
    }

    /// Judges a commit that must pass, merges it everywhere, and compares the tree that came of it
    /// with the one that the rules foresaw.
    pub(super) fn accept(&mut self, committer: usize, commit: &MlsMessageOut) -> Verdict {
        let verdict = self.judge(commit).unwrap();
        let staged = self.stage(commit).unwrap().0;
        self.merge(committer, commit, staged);
        assert_eq!(self.members(), verdict.members);
        verdict
    }

    /// Merges without asking the rules. `committer` is no device's number for external commits.
    pub(super) fn merge(&mut self, committer: usize, commit: &MlsMessageOut, staged: StagedCommit) {
        self.hub
            .merge_commit(self.hub_provider.storage(), staged)
            .unwrap();
        self.pending.clear();
        for (number, device) in self.devices.iter_mut().enumerate() {
            let group = device.group.as_mut().unwrap();
            if number == committer {
                group.merge_pending_commit(&device.provider).unwrap();
                continue;
            }
            let processed = group
                .process_message(&device.provider, protocol(commit))
                .unwrap();
            let staged = match processed.into_content() {
                ProcessedMessageContent::StagedCommitMessage(staged) => *staged,
                ProcessedMessageContent::UnresolvedAppDataCommit(commit) => {
                    let updater = group.app_data_dictionary_updater();
                    let updates = resolve_app_data(commit.app_data_update_proposals(), updater);
                    group
                        .stage_app_data_commit(&device.provider, *commit, updates.unwrap())
                        .unwrap()
                }
                _ => panic!("not a commit"),
            };
            group.merge_staged_commit(&device.provider, staged).unwrap();
        }
        self.devices
            .retain(|device| device.group.as_ref().unwrap().is_active());
    }
}

pub(super) fn policy_update(policy: &PolicySummary) -> Proposal {
    let encoded = sordino_wire::encode(policy).unwrap();
    component_update(sordino_wire::POLICY_COMPONENT, encoded)
}

pub(super) fn component_update(component: u16, data: Vec<u8>) -> Proposal {
    let update = openmls::messages::proposals::AppDataUpdateProposal::update(component, data);
    Proposal::AppDataUpdate(Box::new(update))
}

fn queued(processed: ProcessedMessage) -> QueuedProposal {
    match processed.into_content() {
        ProcessedMessageContent::ProposalMessage(proposal)
        | ProcessedMessageContent::ExternalJoinProposalMessage(proposal) => *proposal,
        _ => panic!("not a proposal"),
    }
}

fn message_in(message: &MlsMessageOut) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact(message.tls_serialize_detached().unwrap()).unwrap()
}

pub(super) fn protocol(message: &MlsMessageOut) -> ProtocolMessage {
    message_in(message).try_into_protocol_message().unwrap()
}

fn public_message(message: &MlsMessageOut) -> PublicMessageIn {
    match message_in(message).extract() {
        MlsMessageBodyIn::PublicMessage(message) => message,
        _ => panic!("not a public message"),
    }
}

fn group_info(group: &MlsGroup, signer: &Device) -> VerifiableGroupInfo {
    let message = group
        .export_group_info(signer.provider.crypto(), &signer.leaf_key, false)
        .unwrap();
    match message_in(&message).extract() {
        MlsMessageBodyIn::GroupInfo(group_info) => group_info,
        _ => panic!("not a GroupInfo"),
    }
}
