//! Reading streams and inboxes, and doing what they say.

use super::actor::{Known, config, parse, secret32};
use super::{Actor, Kind, World};
use openmls::framing::{MlsMessageBodyIn, ProcessedMessageContent, ProtocolMessage};
use openmls::group::{ProcessMessageError, StagedCommit};
use openmls::messages::proposals::Proposal;
use openmls::prelude::{KeyPackage, MlsGroup, RatchetTreeIn, StagedWelcome};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::StorageProvider as _;
use sordino_crypto::{
    DeliveryKey, EXPORTER_GROUP, EXPORTER_SENDER, GroupSecret, SenderKey, check_key_object,
    exporter_group_context, keys_hash, open_entry, open_identity_entry, open_inbox_delivery,
    open_key_object, sha256, stream_id, unwrap_previous, verify_struct,
};
use sordino_rules::{
    Before, CommitView, Members, PendingRef, Verdict, check_commit, check_tree, resolve_app_data,
};
use sordino_wire::{
    CommitIntent, DeliveredCommit, Delivery, DeliveryEvent, Digest, InboxAddress, InboxDelivery,
    KeyCheckTbs, KeyQuestion, List, Membership, NumberedEntry, ReadInbox, ReadStreams, RequestBody,
    ResponseBody, SealedEntry, StreamRead, WelcomeInformationRequest, exact,
};
use std::collections::BTreeMap;
use tls_codec::DeserializeBytes as _;

/// An own commit on its way.
pub(crate) struct Own {
    pub(crate) hash: Digest,
    pub(crate) next: Option<GroupSecret>,
    pub(crate) rotation: u32,
}

/// A pending proposal.
pub(crate) struct Pending {
    pub(crate) reference: PendingRef,
    /// Who asks to be added, and where the Welcome goes.
    pub(crate) joiner: Option<(KeyPackage, InboxAddress)>,
}

/// What an actor saw in its streams.
#[derive(Debug)]
pub(crate) enum Seen {
    Message(Vec<u8>),
    /// Somebody else's commit.
    Commit(Box<Verdict>),
    OwnCommit,
    Proposal,
    Question(KeyQuestion),
    Answered(Digest),
    Confirmed(u64),
    Frozen,
    Reported(Digest),
    Deleted,
    /// A commit whose keys are not those that its committer gave the hub.
    Cheat(Digest),
    /// A message that does not open.
    Unreadable,
}

enum Next {
    Taken,
    /// It belongs to an epoch that this actor has not reached.
    Held,
}

impl Actor {
    pub(crate) fn members(&self) -> Members {
        Members::of_mls_group(self.mls()).unwrap()
    }

    pub(crate) fn is_member(&self) -> bool {
        self.group.as_ref().is_some_and(MlsGroup::is_active)
    }

    /// Reads all streams of the generations it knows until nothing new comes.
    pub(crate) fn sync(&mut self, world: &mut World) {
        loop {
            let generations: Vec<u64> = self.known.keys().copied().collect();
            let mut progress = false;
            for generation in generations {
                let key = self.known[&generation].ear.delivery_key().unwrap();
                progress |= self.read_stream(world, &key);
            }
            if !progress {
                return;
            }
        }
    }

    fn read_stream(&mut self, world: &mut World, key: &DeliveryKey) -> bool {
        let id = stream_id(key, &world.domain).unwrap();
        let mut progress = false;
        loop {
            let from = self.cursors.get(&id.0).copied().unwrap_or(0);
            let entries = page(world, id, from);
            if entries.is_empty() {
                return progress;
            }
            for entry in entries {
                let expected = self.cursors.get(&id.0).copied().unwrap_or(entry.number);
                assert_eq!(entry.number, expected, "numbers are contiguous");
                let sealed: SealedEntry = exact(entry.entry.as_slice()).unwrap();
                let delivery = open_entry(key, &sealed).unwrap();
                match self.take(world, delivery) {
                    Next::Taken => progress = true,
                    Next::Held => return progress,
                }
                self.cursors.insert(id.0, entry.number + 1);
            }
        }
    }

    fn take(&mut self, world: &mut World, delivery: Delivery) -> Next {
        let seen = match delivery.event {
            DeliveryEvent::Message(m) => return self.take_message(m.as_slice()),
            DeliveryEvent::Commit(commit) => return self.take_commit(world, &commit),
            DeliveryEvent::Proposal(p) => {
                self.take_proposal(p.proposal.as_slice(), p.inbox);
                Seen::Proposal
            }
            DeliveryEvent::KeyQuestion(question) => Seen::Question(question),
            DeliveryEvent::KeyQuestionAnswered(hash) => Seen::Answered(hash),
            DeliveryEvent::KeysConfirmed(generation) => Seen::Confirmed(generation),
            DeliveryEvent::Frozen(_) => Seen::Frozen,
            DeliveryEvent::Reported(report) => Seen::Reported(report.commit_hash),
            DeliveryEvent::Deleted => Seen::Deleted,
        };
        self.seen.push(seen);
        Next::Taken
    }

    fn take_message(&mut self, bytes: &[u8]) -> Next {
        let message = protocol(bytes);
        if !self.is_member() {
            return Next::Taken;
        }
        if message.epoch().as_u64() > self.epoch() {
            return Next::Held;
        }
        let group = self.group.as_mut().unwrap();
        let seen = match group.process_message(&self.provider, message) {
            Ok(processed) => match processed.into_content() {
                ProcessedMessageContent::ApplicationMessage(m) => Seen::Message(m.into_bytes()),
                _ => return Next::Taken,
            },
            Err(_) => Seen::Unreadable,
        };
        self.seen.push(seen);
        Next::Taken
    }

    pub(crate) fn take_proposal(&mut self, bytes: &[u8], inbox: Option<InboxAddress>) {
        let message = protocol(bytes);
        if !self.is_member() || message.epoch().as_u64() != self.epoch() {
            return;
        }
        let hash = sha256(bytes);
        if self.pending.iter().any(|p| p.reference.hash == hash) {
            return;
        }
        let group = self.group.as_mut().unwrap();
        let queued = match group
            .process_message(&self.provider, message)
            .map(|p| p.into_content())
        {
            Ok(
                ProcessedMessageContent::ProposalMessage(q)
                | ProcessedMessageContent::ExternalJoinProposalMessage(q),
            ) => *q,
            // One's own is stored when it is made.
            _ => {
                let own = group.pending_proposals().find(|_| true).cloned();
                let Some(own) = own else { return };
                self.pending.push(Pending {
                    reference: PendingRef::of(&own, hash).unwrap(),
                    joiner: None,
                });
                return;
            }
        };
        let joiner = match queued.proposal() {
            Proposal::Add(add) => Some((add.key_package().clone(), inbox.unwrap())),
            _ => None,
        };
        let reference = PendingRef::of(&queued, hash).unwrap();
        let storage = self.provider.storage();
        group.store_pending_proposal(storage, queued).unwrap();
        self.pending.push(Pending { reference, joiner });
    }

    fn take_commit(&mut self, world: &mut World, delivered: &DeliveredCommit) -> Next {
        let bytes = delivered.commit.as_slice();
        let message = protocol(bytes);
        let hash = sha256(bytes);
        if self.joined_by == Some(hash) {
            for reissued in delivered.reissued.iter() {
                self.take_proposal(reissued.as_slice(), None);
            }
            return Next::Taken;
        }
        if !self.is_member() || message.epoch().as_u64() < self.epoch() {
            return Next::Taken;
        }
        if message.epoch().as_u64() > self.epoch() {
            return Next::Held;
        }
        if self.own.as_ref().is_some_and(|own| own.hash == hash) {
            self.merge_own();
        } else if self.merge_other(world, message, delivered, hash).is_err() {
            self.stuck = Some(hash);
            return Next::Taken;
        }
        for reissued in delivered.reissued.iter() {
            self.take_proposal(reissued.as_slice(), None);
        }
        Next::Taken
    }

    fn merge_own(&mut self) {
        let own = self.own.take().unwrap();
        let group = self.group.as_mut().unwrap();
        group.merge_pending_commit(&self.provider).unwrap();
        self.rotation = own.rotation;
        self.pending.clear();
        if let Some(secret) = own.next {
            self.generation += 1;
            self.known.insert(self.generation, Known::of(secret));
        }
        self.seen.push(Seen::OwnCommit);
    }

    fn merge_other(
        &mut self,
        world: &mut World,
        message: ProtocolMessage,
        delivered: &DeliveredCommit,
        hash: Digest,
    ) -> Result<(), ()> {
        let (staged, verdict) = self.judge(world, message)?;
        let moves = verdict.moves_generation;
        if !staged.self_removed() {
            let next = moves.then(|| self.export(&staged, EXPORTER_GROUP, self.generation + 1));
            let sender = self.export(&staged, EXPORTER_SENDER, 0);
            let next = next.map(|secret| Known::of(GroupSecret::new(secret)));
            let ear = next.as_ref().map_or(self.ear(), |k| &k.ear);
            let epoch = self.epoch() + 1;
            let expected = keys_hash(self.group_id, epoch, ear, &SenderKey::new(sender)).unwrap();
            let committer = verdict.members.get(verdict.committer).unwrap();
            let tbs = KeyCheckTbs {
                group_id: self.group_id,
                epoch: delivered.key_check.epoch,
                commit_hash: delivered.key_check.commit_hash,
                keys_hash: delivered.key_check.keys_hash,
            };
            let key = &committer.credential.signature_key;
            verify_struct(key, "KeyCheck", &tbs, &delivered.key_check.signature).unwrap();
            assert_eq!((tbs.epoch, tbs.commit_hash), (epoch, hash));
            if expected != tbs.keys_hash {
                self.seen.push(Seen::Cheat(hash));
            }
            if let Some(next) = next {
                self.generation += 1;
                self.known.insert(self.generation, next);
            }
        }
        let group = self.group.as_mut().unwrap();
        group.merge_staged_commit(&self.provider, staged).unwrap();
        self.own = None;
        self.pending.clear();
        if self.is_member() {
            assert!(self.members() == verdict.members);
        }
        self.seen.push(Seen::Commit(Box::new(verdict)));
        Ok(())
    }

    fn export(
        &self,
        staged: &StagedCommit,
        label: &str,
        generation: u64,
    ) -> sordino_wire::Secret32 {
        let context = exporter_group_context(generation);
        let context: &[u8] = if label == EXPORTER_GROUP {
            &context
        } else {
            b""
        };
        let bytes = staged.export_secret(self.provider.crypto(), label, context, 32);
        secret32(bytes.unwrap())
    }

    /// MLS, then the rules that the hub runs too.
    fn judge(
        &mut self,
        world: &World,
        message: ProtocolMessage,
    ) -> Result<(StagedCommit, Verdict), ()> {
        let members = self.members();
        let policy = self.policy();
        let group = self.group.as_mut().unwrap();
        let processed = group
            .process_message(&self.provider, message)
            .map_err(report)?;
        let (sender, aad) = (processed.sender().clone(), processed.aad().to_vec());
        let staged = match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => *staged,
            ProcessedMessageContent::UnresolvedAppDataCommit(commit) => {
                let updater = group.app_data_dictionary_updater();
                let updates = resolve_app_data(commit.app_data_update_proposals(), updater);
                let provider = &self.provider;
                group
                    .stage_app_data_commit(provider, *commit, updates.unwrap())
                    .map_err(|_| ())?
            }
            _ => panic!("not a commit"),
        };
        let context = group.public_group().group_context();
        let view = CommitView::from_staged(&staged, &sender, &aad, context).unwrap();
        let pending: Vec<PendingRef> = self.pending.iter().map(|p| p.reference.clone()).collect();
        let before = Before {
            members: &members,
            policy: &policy,
            generation: self.generation,
            hub_domain: &world.domain,
            group_id: self.group_id,
            pending: &pending,
            now_s: None,
        };
        let verdict = check_commit(&before, &view, CommitIntent::Apply)
            .or_else(|_| check_commit(&before, &view, CommitIntent::Delete))
            .unwrap_or_else(|reject| panic!("{} refuses what the hub took: {reject}", self.name));
        Ok((staged, verdict))
    }

    /// What lies in the inbox.
    pub(crate) fn inbox_deliveries(&self, world: &mut World) -> Vec<InboxDelivery> {
        let inbox = self.inbox.as_ref().unwrap();
        let answer = world.ask(RequestBody::ReadInbox(ReadInbox {
            inbox_secret: inbox.secret.duplicate(),
            from: 0,
            wait_s: 0,
        }));
        let ResponseBody::Inbox(page) = answer else {
            panic!("not an inbox: {answer:?}");
        };
        let open = |entry: &NumberedEntry| {
            let sealed = exact(entry.entry.as_slice()).unwrap();
            let id = inbox.address.inbox_id;
            open_inbox_delivery(inbox.private.expose(), id, &sealed).unwrap()
        };
        page.entries.iter().map(open).collect()
    }

    /// Joins by the Welcome in the inbox.
    pub(crate) fn join(&mut self, world: &mut World) {
        let deliveries = self.inbox_deliveries(world);
        let Some(InboxDelivery::Welcome {
            welcome,
            key_object,
        }) = deliveries.last()
        else {
            panic!("no Welcome");
        };
        let MlsMessageBodyIn::Welcome(message) = parse(welcome.as_slice()).extract() else {
            panic!("not a Welcome");
        };
        let storage = self.provider.storage();
        let bundle: openmls::prelude::KeyPackageBundle = message
            .secrets()
            .iter()
            .find_map(|s| storage.key_package(&s.new_member()).unwrap())
            .unwrap();
        let init = bundle.key_package().hpke_init_key().as_slice().to_vec();
        let object = open_key_object(bundle.init_private_key(), key_object).unwrap();
        check_key_object(&object, sha256(welcome.as_slice()), &init).unwrap();
        self.generation = object.generation;
        let secret = GroupSecret::new(object.group_secret.duplicate());
        self.known.insert(object.generation, Known::of(secret));

        let membership = match self.welcome_information(world, object.epoch) {
            ResponseBody::Membership(membership) => membership,
            other => panic!("no welcome information: {other:?}"),
        };
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(membership.ratchet_tree.as_slice());
        let provider = &self.provider;
        let staged = StagedWelcome::build_from_welcome(provider, &config(), message)
            .unwrap()
            .with_ratchet_tree(tree.unwrap())
            .skip_lifetime_validation()
            .build()
            .unwrap();
        let giver = staged
            .welcome_sender()
            .unwrap()
            .signature_key()
            .as_slice()
            .to_vec();
        assert_eq!(giver, object.giver_leaf_key.as_slice());
        self.group = Some(staged.into_group(provider).unwrap());
        assert_eq!(self.epoch(), object.epoch);
        check_tree(&self.members()).unwrap();
        self.check_roster(&membership);
        let delivery_key = self.ear().delivery_key().unwrap();
        let id = stream_id(&delivery_key, &world.domain).unwrap();
        self.cursors.insert(id.0, membership.position.cursor);
    }

    /// Tree and roster of the epoch of a Welcome.
    pub(crate) fn welcome_information(&self, world: &mut World, epoch: u64) -> ResponseBody {
        let request = WelcomeInformationRequest {
            access: self.access(),
            epoch,
        };
        self.request(
            world,
            Kind::Joiner,
            RequestBody::WelcomeInformation(request),
        )
    }

    /// Opens every identity entry, walking back through the generations. Answers who is who.
    pub(crate) fn check_roster(&self, membership: &Membership) -> BTreeMap<u32, String> {
        let known = self
            .known
            .iter()
            .filter_map(|(g, k)| Some((*g, k.secret.as_ref()?)));
        let mut keys: BTreeMap<u64, _> = known
            .map(|(g, secret)| (g, secret.wrapper_key().unwrap()))
            .collect();
        // The chain has a gap where a rescuer did not know the keys of the generation before.
        for wrapper in membership.roster.wrappers.iter().rev() {
            if let Some(next) = keys.get(&(wrapper.generation + 1)) {
                let key = unwrap_previous(next, self.group_id, wrapper).unwrap();
                keys.insert(wrapper.generation, key);
            }
        }
        let members = self.members();
        let open = |e: &sordino_wire::RosterEntry| {
            let member = members.get(e.leaf_index).unwrap();
            let key = &keys[&e.entry.generation];
            let link = open_identity_entry(key, self.group_id, &member.credential, &e.entry);
            let client = link.unwrap().client_credential.client;
            (
                e.leaf_index,
                client.as_str().replace("mimi://home.example/d/", ""),
            )
        };
        membership.roster.entries.iter().map(open).collect()
    }

    pub(crate) fn inspect(&self, world: &mut World) -> Membership {
        match world.ask(RequestBody::InspectMembership(self.access())) {
            ResponseBody::Membership(membership) => membership,
            other => panic!("not a membership: {other:?}"),
        }
    }
}

fn report(_error: ProcessMessageError<openmls_memory_storage::MemoryStorageError>) {}

fn page(world: &mut World, stream_id: sordino_wire::StreamId, from: u64) -> Vec<NumberedEntry> {
    let read = StreamRead {
        stream_id,
        from,
        max: 100,
    };
    let request = ReadStreams {
        reads: List::new(vec![read]).unwrap(),
        wait_s: 0,
    };
    let answer = world.ask(RequestBody::ReadStreams(request));
    let ResponseBody::Streams(pages) = answer else {
        panic!("not a stream: {answer:?}");
    };
    let page = pages.pages.into_vec().remove(0);
    page.entries.into_vec()
}

pub(crate) fn protocol(bytes: &[u8]) -> ProtocolMessage {
    parse(bytes).try_into_protocol_message().unwrap()
}

/// What an actor remembers having seen.
impl Actor {
    pub(crate) fn heard(&self, text: &[u8]) -> bool {
        self.seen
            .iter()
            .any(|s| matches!(s, Seen::Message(m) if m == text))
    }

    pub(crate) fn last_question(&self) -> KeyQuestion {
        let questions = self.seen.iter().rev();
        let mut questions = questions.filter_map(|s| match s {
            Seen::Question(question) => Some(question.clone()),
            _ => None,
        });
        questions.next().unwrap()
    }

    /// Membership, by the keys of a generation.
    pub(crate) fn inspect_with(&self, world: &mut World, generation: u64) -> ResponseBody {
        world.ask(RequestBody::InspectMembership(self.access_to(generation)))
    }

    /// Takes over what another device knows of the current generation.
    pub(crate) fn learn(&mut self, other: &Actor) {
        let secret = other.now().secret.as_ref().unwrap().duplicate();
        self.generation = other.generation;
        self.known.insert(other.generation, Known::of(secret));
    }
}
