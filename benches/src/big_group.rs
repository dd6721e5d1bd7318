//! Owns a group of any size of which one member acts: its creator. The others come in by the hub's
//! whole protocol, and then stay quiet.
//!
//! Two ways to grow, which leave different trees: by Adds, after which the parents are blank, and
//! by Adds and external commits in turn, after which every parent is filled.

use crate::device::{Device, message_bytes};
use crate::request::{SendTemplate, Signing};
use crate::transport::{Transport, ask, done, now_s};
use openmls::messages::group_info::{GroupInfo, VerifiableGroupInfo};
use openmls::prelude::{
    CommitMessageBundle, KeyPackage, LeafNodeIndex, LeafNodeParameters, MlsGroup,
    MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProcessedMessageContent, RatchetTreeIn,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sordino_crypto::{
    EXPORTER_GROUP, EXPORTER_SENDER, EarKey, GroupSecret, SenderKey, SigningKey,
    exporter_group_context, hpke_generate, inbox_id, keys_hash, make_key_object, seal_key_object,
    sha256, stream_id, wrap_previous,
};
use sordino_hub::Endpoint;
use sordino_rules::{
    CIPHERSUITE, ProofContext, capabilities, group_context_extensions, key_package_lifetime,
};
use sordino_wire::{
    Authentication, Bytes, COMMIT_AAD_FORMAT, CommitAad, CommitIntent, CommitRequest, CreateGroup,
    Domain, DsRequest, GenerationStep, GroupAccess, GroupId, HeadAccess, IdentityEntry,
    IdentityRule, InboxAddress, JoinRule, JoinerDelivery, KeyCheck, KeyCheckTbs, LeafProof, List,
    NextGeneration, NextKeys, OpenInbox, POLICY_FORMAT, PartialGroupInfo, Permission,
    PolicySummary, ReadStreams, RequestBody, ResponseBody, Secret32, SendMessage, SenderRule,
    StreamId, StreamRead, WelcomeBundle, encode, exact,
};
use tls_codec::{DeserializeBytes as _, Serialize as _};

/// Adds in one commit while a group grows.
const BATCH: u32 = 64;

/// What a commit of the creator's is to do.
pub enum Change {
    /// A new path, with its identity entry.
    Update,
    /// A new path and a new generation.
    Move,
    /// Adds one device each of these users, without a path.
    Add(std::ops::Range<u32>),
    /// Removes these leaves, which are all of their users'.
    Remove(Vec<u32>),
}

/// A group.
pub struct BigGroup {
    id: GroupId,
    domain: Domain,
    provider: OpenMlsRustCrypto,
    group: MlsGroup,
    creator: Device,
    generation: u64,
    secret: GroupSecret,
    /// The secret of the generation that a commit on its way starts.
    next: Option<GroupSecret>,
    rng: ChaCha20Rng,
}

fn policy() -> PolicySummary {
    PolicySummary {
        format: POLICY_FORMAT,
        add: Permission::Members,
        remove: Permission::Members,
        change_policy: Permission::Members,
        send: Permission::Members,
        destroy: Permission::Members,
        join: JoinRule::Closed,
        senders: SenderRule::Anonymous,
        identities: IdentityRule::All,
        epoch_tolerance: 2,
        max_members: 10_000,
        invite_code_hash: None,
        admins: List::default(),
    }
}

fn export(group: &MlsGroup, provider: &OpenMlsRustCrypto, label: &str, context: &[u8]) -> Secret32 {
    let bytes = group
        .export_secret(provider.crypto(), label, context, 32)
        .unwrap();
    Secret32::new(bytes.try_into().unwrap())
}

fn parse(bytes: &[u8]) -> MlsMessageBodyIn {
    MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .unwrap()
        .extract()
}

fn partial(info: &GroupInfo) -> PartialGroupInfo {
    let extensions = info.extensions().tls_serialize_detached().unwrap();
    let signature = info.signature().tls_serialize_detached().unwrap();
    PartialGroupInfo {
        extensions: Bytes::new(extensions).unwrap(),
        signature: exact(&signature).unwrap(),
    }
}

impl BigGroup {
    /// Creates a group with one member; the number tells it from others.
    pub fn create(hub: &mut dyn Transport, number: u64) -> Self {
        let domain = hub.domain();
        let seed = sha256(&number.to_be_bytes()).0;
        let id = GroupId(seed[..16].try_into().unwrap());
        let creator = Device::new(&domain, id, 0, 0);
        let provider = OpenMlsRustCrypto::default();
        let extensions = group_context_extensions(&domain, &hub.signature_key(), &policy());
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(CIPHERSUITE)
            .capabilities(capabilities())
            .lifetime(key_package_lifetime(now_s()))
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .with_group_context_extensions(extensions.unwrap())
            .build();
        let mls_id = openmls::group::GroupId::from_slice(&id.0);
        let (key, with_key) = (&creator.leaf_key, creator.with_key());
        let group = MlsGroup::new_with_group_id(&provider, key, &config, mls_id, with_key).unwrap();
        let context = exporter_group_context(0);
        let secret = GroupSecret::new(export(&group, &provider, EXPORTER_GROUP, &context));
        let mut created = Self {
            id,
            domain,
            provider,
            group,
            creator,
            generation: 0,
            secret,
            next: None,
            rng: ChaCha20Rng::from_seed(seed),
        };
        let body = created.creation();
        let request = created.signed(body);
        done(hub.exchange(Endpoint::GroupOperation, &request));
        created
    }

    fn creation(&mut self) -> RequestBody {
        let (group, crypto) = (&self.group, self.provider.crypto());
        let info = group
            .export_group_info(crypto, &self.creator.leaf_key, false)
            .unwrap();
        let MlsMessageBodyIn::GroupInfo(info) = parse(&message_bytes(&info)) else {
            panic!("not a GroupInfo");
        };
        let tree = group
            .export_ratchet_tree()
            .tls_serialize_detached()
            .unwrap();
        let sender_key = export(group, &self.provider, EXPORTER_SENDER, b"");
        let salt = self.random();
        let wrapper = self.secret.wrapper_key().unwrap();
        RequestBody::CreateGroup(CreateGroup {
            access: self.access(),
            sender_key,
            group_info: Bytes::new(info.tls_serialize_detached().unwrap()).unwrap(),
            ratchet_tree: Bytes::new(tree).unwrap(),
            identity_entry: Some(self.creator.entry(&wrapper, 0, salt)),
        })
    }

    /// A group of so many members, all but the creator added; all parents blank.
    pub fn blank(hub: &mut dyn Transport, number: u64, members: u32) -> Self {
        let mut group = Self::create(hub, number);
        for from in (1..members).step_by(BATCH as usize) {
            group.commit(hub, &Change::Add(from..members.min(from + BATCH)));
        }
        group.settle(hub);
        group
    }

    /// A group of so many members, two devices each; all parents filled. Leaves `2n` and `2n + 1`
    /// are those of user n.
    pub fn populated(hub: &mut dyn Transport, number: u64, members: u32) -> Self {
        let mut group = Self::create(hub, number);
        group.join(hub, 0);
        for user in 1..members / 2 {
            group.commit(hub, &Change::Add(user..user + 1));
            group.join(hub, user);
        }
        group.settle(hub);
        group
    }

    /// What a growing group keeps for those who have not come in yet ends with the generation, and
    /// the keys of the next one are confirmed by somebody: from here on the group is an old one.
    fn settle(&mut self, hub: &mut dyn Transport) {
        self.commit(hub, &Change::Move);
        let user = 1;
        let device = Device::new(&self.domain, self.id, user, 0);
        let key = device.leaf_key.public();
        let mut members = self.group.members();
        let leaf = members
            .find(|m| m.signature_key == key.as_slice())
            .unwrap()
            .index
            .u32();
        let body = RequestBody::ConfirmKeys(self.access());
        let request = self.signing().by_leaf(&device, leaf, body, &mut self.rng);
        done(hub.exchange(Endpoint::GroupOperation, &request));
    }

    fn signing(&self) -> Signing {
        Signing {
            domain: self.domain.clone(),
            group_id: self.id,
            epoch: self.group.epoch().as_u64(),
        }
    }

    /// A request of the creator's, signed in the current epoch.
    pub fn signed(&mut self, body: RequestBody) -> Vec<u8> {
        let signing = self.signing();
        signing.by_leaf(&self.creator, 0, body, &mut self.rng)
    }

    fn random(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// How many members.
    pub fn members(&self) -> usize {
        self.group.members().count()
    }

    fn ear(&self) -> EarKey {
        self.secret.ear_key().unwrap()
    }

    /// A request of somebody's who is not in the group yet.
    pub fn signed_by_joiner(&mut self, user: u32, body: RequestBody) -> Vec<u8> {
        let device = Device::new(&self.domain, self.id, user, 1);
        self.signing().by_joiner(&device, body, &mut self.rng)
    }

    /// What opens the group's state.
    pub fn access(&self) -> GroupAccess {
        GroupAccess {
            group_id: self.id,
            ear_key: self.ear().secret().duplicate(),
        }
    }

    /// The stream of the current generation.
    pub fn stream(&self) -> StreamId {
        stream_id(&self.ear().delivery_key().unwrap(), &self.domain).unwrap()
    }

    /// The number that the stream's next entry will get.
    pub fn stream_next(&self, hub: &mut dyn Transport) -> u64 {
        let read = StreamRead {
            stream_id: self.stream(),
            from: 0,
            max: 1,
        };
        let request = ReadStreams {
            reads: List::new(vec![read]).unwrap(),
            wait_s: 0,
        };
        match ask(hub, Endpoint::Streams, RequestBody::ReadStreams(request)) {
            ResponseBody::Streams(pages) => pages.pages.as_slice()[0].next,
            other => panic!("no page: {other:?}"),
        }
    }

    /// Signs the key check of a commit of the creator's anew, for the commit as it is now.
    pub fn check_keys(&self, request: &mut CommitRequest) {
        let tbs = KeyCheckTbs {
            group_id: self.id,
            epoch: request.key_check.epoch,
            commit_hash: sha256(request.commit.as_slice()),
            keys_hash: request.key_check.keys_hash,
        };
        request.key_check.commit_hash = tbs.commit_hash;
        let signature = self.creator.leaf_key.sign_struct("KeyCheck", &tbs);
        request.key_check.signature = signature.unwrap();
    }

    /// A message of so many bytes, to be sent in the current epoch.
    pub fn message(&mut self, bytes: usize) -> SendTemplate {
        let text = vec![7; bytes];
        let (provider, key) = (&self.provider, &self.creator.leaf_key);
        let message = self.group.create_message(provider, key, &text).unwrap();
        let ear = self.ear();
        let body = RequestBody::Send(SendMessage {
            head: HeadAccess {
                group_id: self.id,
                locator: ear.locator("head").unwrap(),
                head_key: ear.head_key().unwrap().secret().duplicate(),
            },
            message: Bytes::new(message_bytes(&message)).unwrap(),
        });
        let sender_key = export(&self.group, &self.provider, EXPORTER_SENDER, b"");
        SendTemplate {
            domain: self.domain.clone(),
            group_id: self.id,
            epoch: self.group.epoch().as_u64(),
            sender_key: SenderKey::new(sender_key),
            body_hash: sha256(&encode(&body).unwrap()),
            request: DsRequest {
                body,
                auth: Authentication::Possession,
            },
        }
    }

    /// Builds a commit; the hub answers, the group follows.
    pub fn commit(&mut self, hub: &mut dyn Transport, change: &Change) {
        let request = self.build(hub, change);
        done(hub.exchange(Endpoint::GroupOperation, &request));
        self.merge();
    }

    /// The request for a commit of the creator's.
    pub fn build(&mut self, hub: &mut dyn Transport, change: &Change) -> Vec<u8> {
        let moves = matches!(change, Change::Move | Change::Remove(_));
        let added: Vec<Added> = match change {
            Change::Add(users) => users.clone().map(|user| self.invite(hub, user)).collect(),
            _ => Vec::new(),
        };
        let removed = match change {
            Change::Remove(leaves) => leaves.clone(),
            _ => Vec::new(),
        };
        let path = !matches!(change, Change::Add(_));
        let bundle = self.mls_commit(&added, &removed, path, moves);
        self.next = moves.then(|| {
            let context = exporter_group_context(self.generation + 1);
            GroupSecret::new(self.export_pending(EXPORTER_GROUP, &context))
        });
        let entries = self.entries(change, &added);
        let body = self.commit_body(&bundle, entries, &added);
        self.signed(body)
    }

    fn mls_commit(
        &mut self,
        added: &[Added],
        removed: &[u32],
        path: bool,
        moves: bool,
    ) -> CommitMessageBundle {
        let aad = aad(self.generation, moves, Vec::new());
        let (group, provider) = (&mut self.group, &self.provider);
        group.clear_pending_commit(provider.storage()).unwrap();
        group.set_aad(encode(&aad).unwrap());
        group
            .commit_builder()
            .force_self_update(path)
            .propose_adds(added.iter().map(|a| a.key_package.clone()))
            .propose_removals(removed.iter().copied().map(LeafNodeIndex::new))
            .load_psks(provider.storage())
            .unwrap()
            .create_group_info(true)
            .use_ratchet_tree_extension(false)
            .build(
                provider.rand(),
                provider.crypto(),
                &self.creator.leaf_key,
                |_| true,
            )
            .unwrap()
            .stage_commit(provider)
            .unwrap()
    }

    fn export_pending(&self, label: &str, context: &[u8]) -> Secret32 {
        let staged = self.group.pending_commit().unwrap();
        let bytes = staged
            .export_secret(self.provider.crypto(), label, context, 32)
            .unwrap();
        Secret32::new(bytes.try_into().unwrap())
    }

    fn entries(&mut self, change: &Change, added: &[Added]) -> Vec<IdentityEntry> {
        let generation = self.generation + u64::from(self.next.is_some());
        let wrapper = self
            .next
            .as_ref()
            .unwrap_or(&self.secret)
            .wrapper_key()
            .unwrap();
        let mut salts = || {
            let mut salt = [0; 16];
            self.rng.fill_bytes(&mut salt);
            salt
        };
        match change {
            Change::Update | Change::Move => {
                vec![self.creator.entry(&wrapper, generation, salts())]
            }
            Change::Remove(_) => Vec::new(),
            Change::Add(_) => added
                .iter()
                .map(|a| a.device.entry(&wrapper, generation, salts()))
                .collect(),
        }
    }

    fn commit_body(
        &mut self,
        bundle: &CommitMessageBundle,
        entries: Vec<IdentityEntry>,
        added: &[Added],
    ) -> RequestBody {
        let commit = message_bytes(bundle.commit());
        let epoch = self.group.epoch().as_u64() + 1;
        let sender_key = self.export_pending(EXPORTER_SENDER, b"");
        let ear = self
            .next
            .as_ref()
            .unwrap_or(&self.secret)
            .ear_key()
            .unwrap();
        let generation = self.next.as_ref().map(|next| {
            let (old, new) = (
                self.secret.wrapper_key().unwrap(),
                next.wrapper_key().unwrap(),
            );
            NextGeneration {
                ear_key: ear.secret().duplicate(),
                wrapper: Some(wrap_previous(&new, self.id, self.generation, &old).unwrap()),
            }
        });
        let key_check = key_check(
            &self.creator.leaf_key,
            self.id,
            epoch,
            &commit,
            &ear,
            &sender_key,
        );
        RequestBody::Commit(Box::new(CommitRequest {
            access: self.access(),
            intent: CommitIntent::Apply,
            commit: Bytes::new(commit).unwrap(),
            group_info: partial(bundle.group_info().unwrap()),
            next: NextKeys {
                sender_key,
                generation,
            },
            key_check,
            identity_entries: List::new(entries).unwrap(),
            welcome: bundle
                .to_welcome_msg()
                .map(|w| self.welcome(&w, added, epoch)),
        }))
    }

    fn welcome(&mut self, welcome: &MlsMessageOut, added: &[Added], epoch: u64) -> WelcomeBundle {
        let welcome = message_bytes(welcome);
        let hash = sha256(&welcome);
        let joiners = added.iter().map(|added| {
            let init_key = added.key_package.hpke_init_key();
            let object = make_key_object(
                &self.creator.client_key,
                &self.creator.client_credential,
                &self.domain,
                self.id,
                epoch,
                self.generation,
                &self.secret,
                &self.creator.leaf_key.public(),
                hash,
                init_key.as_slice(),
            );
            let object = object.unwrap();
            JoinerDelivery {
                inbox: added.inbox.clone(),
                key_object: seal_key_object(init_key.as_slice(), &object, &mut self.rng).unwrap(),
            }
        });
        WelcomeBundle {
            joiners: List::new(joiners.collect()).unwrap(),
            welcome: Bytes::new(welcome).unwrap(),
        }
    }

    /// Follows its own commit, which the hub took.
    pub fn merge(&mut self) {
        self.group.merge_pending_commit(&self.provider).unwrap();
        if let Some(next) = self.next.take() {
            self.secret = next;
            self.generation += 1;
        }
    }

    /// A user with a KeyPackage and an inbox.
    fn invite(&mut self, hub: &mut dyn Transport, user: u32) -> Added {
        let device = Device::new(&self.domain, self.id, user, 0);
        let mut secret = [0; 32];
        self.rng.fill_bytes(&mut secret);
        let (_, hpke_key) = hpke_generate(&mut self.rng).unwrap();
        let inbox = InboxAddress {
            domain: self.domain.clone(),
            inbox_id: inbox_id(&Secret32::new(secret)),
            hpke_key,
        };
        let open = OpenInbox {
            inbox_id: inbox.inbox_id,
            hpke_key: inbox.hpke_key.clone(),
            last_day: u32::try_from(now_s() / 86_400).unwrap() + 80,
            deposit_hash: None,
        };
        done(ask(hub, Endpoint::Inboxes, RequestBody::OpenInbox(open)));
        Added {
            key_package: device.key_package(now_s()),
            device,
            inbox,
        }
    }

    /// The second device of a user comes in by an external commit, and the creator follows.
    fn join(&mut self, hub: &mut dyn Transport, user: u32) {
        let (request, commit) = self.build_join(user);
        done(hub.exchange(Endpoint::GroupOperation, &request));
        self.follow(&commit);
    }

    /// The request for the external commit of a user's second device, and the commit.
    pub fn build_join(&mut self, user: u32) -> (Vec<u8>, Vec<u8>) {
        let first = Device::new(&self.domain, self.id, user, 0);
        let second = Device::new(&self.domain, self.id, user, 1);
        let context = ProofContext {
            hub_domain: &self.domain,
            group_id: self.id,
            generation: self.generation,
        };
        let proof = first.proof(&context, user * 2, &second);
        let (bundle, sender_key) = self.external_commit(&second, proof);
        let commit = message_bytes(bundle.commit());
        let (salt, ear) = (self.random(), self.ear());
        let wrapper = self.secret.wrapper_key().unwrap();
        let epoch = self.group.epoch().as_u64() + 1;
        let key = &second.leaf_key;
        let key_check = key_check(key, self.id, epoch, &commit, &ear, &sender_key);
        let body = RequestBody::Commit(Box::new(CommitRequest {
            access: self.access(),
            intent: CommitIntent::Apply,
            commit: Bytes::new(commit.clone()).unwrap(),
            group_info: partial(bundle.group_info().unwrap()),
            next: NextKeys {
                sender_key,
                generation: None,
            },
            key_check,
            identity_entries: List::new(vec![second.entry(&wrapper, self.generation, salt)])
                .unwrap(),
            welcome: None,
        }));
        let request = self.signing().by_joiner(&second, body, &mut self.rng);
        (request, commit)
    }

    /// The tree and GroupInfo are the creator's own: the same as the hub's, and sooner there.
    fn external_commit(
        &self,
        device: &Device,
        proof: LeafProof,
    ) -> (CommitMessageBundle, Secret32) {
        let crypto = self.provider.crypto();
        let key = &self.creator.leaf_key;
        let info = self.group.export_group_info(crypto, key, false).unwrap();
        let MlsMessageBodyIn::GroupInfo(info) = parse(&message_bytes(&info)) else {
            panic!("not a GroupInfo");
        };
        let info = info.tls_serialize_detached().unwrap();
        let info = VerifiableGroupInfo::tls_deserialize_exact_bytes(&info).unwrap();
        let tree = self
            .group
            .export_ratchet_tree()
            .tls_serialize_detached()
            .unwrap();
        let aad = aad(self.generation, false, vec![proof]);
        let provider = OpenMlsRustCrypto::default();
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let parameters = LeafNodeParameters::builder()
            .with_capabilities(capabilities())
            .build();
        let (group, bundle) = MlsGroup::external_commit_builder()
            .with_config(config)
            .with_aad(encode(&aad).unwrap())
            .with_ratchet_tree(RatchetTreeIn::tls_deserialize_exact_bytes(&tree).unwrap())
            .skip_lifetime_validation()
            .build_group(&provider, info, device.with_key())
            .unwrap()
            .leaf_node_parameters(parameters)
            .load_psks(provider.storage())
            .unwrap()
            .create_group_info(true)
            .use_ratchet_tree_extension(false)
            .build(provider.rand(), provider.crypto(), &device.leaf_key, |_| {
                true
            })
            .unwrap()
            .finalize(&provider)
            .unwrap();
        (bundle, export(&group, &provider, EXPORTER_SENDER, b""))
    }

    fn follow(&mut self, commit: &[u8]) {
        let MlsMessageBodyIn::PublicMessage(message) = parse(commit) else {
            panic!("not a public message");
        };
        let processed = self.group.process_message(&self.provider, message).unwrap();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("not a commit");
        };
        self.group
            .merge_staged_commit(&self.provider, *staged)
            .unwrap();
    }
}

struct Added {
    device: Device,
    key_package: KeyPackage,
    inbox: InboxAddress,
}

fn aad(generation: u64, moves: bool, proofs: Vec<LeafProof>) -> CommitAad {
    CommitAad {
        format: COMMIT_AAD_FORMAT,
        generation,
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

fn key_check(
    key: &SigningKey,
    group_id: GroupId,
    epoch: u64,
    commit: &[u8],
    ear: &EarKey,
    sender_key: &Secret32,
) -> KeyCheck {
    let sender_key = SenderKey::new(sender_key.duplicate());
    let tbs = KeyCheckTbs {
        group_id,
        epoch,
        commit_hash: sha256(commit),
        keys_hash: keys_hash(group_id, epoch, ear, &sender_key).unwrap(),
    };
    KeyCheck {
        epoch,
        commit_hash: tbs.commit_hash,
        keys_hash: tbs.keys_hash,
        signature: key.sign_struct("KeyCheck", &tbs).unwrap(),
    }
}
