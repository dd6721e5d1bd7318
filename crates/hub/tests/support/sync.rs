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
                let own = group
                    .pending_proposals()
                    .find(|p| matches!(p.proposal(), Proposal::SelfRemove))
                    .cloned();
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
