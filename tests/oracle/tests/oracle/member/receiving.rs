//! Reading the group's streams.

use super::{As, Asking, Known, Member, group_secret, sender_key};
use mls_rs::MlsMessage;
use mls_rs::group::proposal::Proposal;
use mls_rs::group::{CommitEffect, ReceivedMessage};
use sordino_crypto::{SenderKey, keys_hash, open_entry, sha256, stream_id, verify_struct};
use sordino_rules::parse_commit_aad;
use sordino_wire::{
    DeliveredCommit, DeliveryEvent, GenerationStep, InboxAddress, KeyCheckTbs, List, MemberContent,
    NumberedEntry, ReadStreams, RequestBody, ResponseBody, SealedEntry, SignatureKey, StreamRead,
    exact,
};

/// Whether there is more to read.
enum Next {
    On,
    Stop,
}

impl Member {
    /// Reads everything that is new.
    pub(crate) async fn sync(&mut self) {
        let mut generation = self.known.keys().next().copied().unwrap_or(0);
        while generation <= self.generation && !self.lost && self.is_member() {
            if self.known.contains_key(&generation) {
                self.read(generation).await;
            }
            generation += 1;
        }
    }

    async fn read(&mut self, generation: u64) {
        let key = self.known[&generation].ear.delivery_key().unwrap();
        let id = stream_id(&key, &self.domain).unwrap();
        loop {
            let from = self.cursors.get(&id.0).copied().unwrap_or(0);
            let read = StreamRead {
                stream_id: id,
                from,
                max: 100,
            };
            let entries = self.page(read).await;
            if entries.is_empty() {
                return;
            }
            for entry in entries {
                let sealed: SealedEntry = exact(entry.entry.as_slice()).unwrap();
                let delivery = open_entry(&key, &sealed).unwrap();
                if matches!(self.take(delivery.event), Next::Stop) {
                    return;
                }
                self.cursors.insert(id.0, entry.number + 1);
            }
        }
    }

    async fn page(&mut self, read: StreamRead) -> Vec<NumberedEntry> {
        let request = ReadStreams {
            reads: List::new(vec![read]).unwrap(),
            wait_s: 0,
        };
        let body = RequestBody::ReadStreams(request);
        let ResponseBody::Streams(pages) = self.ask(body, As::Possession, 0).await else {
            panic!("not a stream");
        };
        pages.pages.into_vec().remove(0).entries.into_vec()
    }

    fn take(&mut self, event: DeliveryEvent) -> Next {
        match event {
            DeliveryEvent::Message(bytes) => self.hear(bytes.as_slice()),
            DeliveryEvent::Commit(commit) => return self.follow(&commit),
            DeliveryEvent::Proposal(proposal) => {
                self.note(proposal.proposal.as_slice(), proposal.inbox);
            }
            _ => {}
        }
        Next::On
    }

    fn hear(&mut self, bytes: &[u8]) {
        let message = MlsMessage::from_bytes(bytes).unwrap();
        if message.epoch().is_some_and(|epoch| epoch > self.epoch()) {
            return;
        }
        let group = self.group.as_mut().unwrap();
        // What one has said oneself, or before one came, is not readable.
        if let Ok(ReceivedMessage::ApplicationMessage(message)) =
            group.process_incoming_message(message)
        {
            // Other contents are between clients of one kind.
            if let Ok(MemberContent::Application(text)) = exact(message.data()) {
                self.heard.push(String::from_utf8(text.into_vec()).unwrap());
            }
        }
    }

    /// A proposal for the next commit. A SelfRemove is not readable; its commit will not be either.
    fn note(&mut self, bytes: &[u8], inbox: Option<InboxAddress>) {
        let Ok(message) = MlsMessage::from_bytes(bytes) else {
            return;
        };
        if message.epoch() != Some(self.epoch()) {
            return;
        }
        let group = self.group.as_mut().unwrap();
        let noted = group.process_incoming_message(message).unwrap();
        let ReceivedMessage::Proposal(noted) = noted else {
            panic!("not a proposal");
        };
        if let (Proposal::Add(add), Some(inbox)) = (noted.proposal, inbox) {
            let init_key = add.key_package().hpke_init_key.to_vec();
            self.asking.push(Asking { init_key, inbox });
        }
    }

    fn follow(&mut self, delivered: &DeliveredCommit) -> Next {
        let bytes = delivered.commit.as_slice();
        let Ok(message) = MlsMessage::from_bytes(bytes) else {
            self.lost = true;
            return Next::Stop;
        };
        match message.epoch() {
            Some(epoch) if epoch < self.epoch() => return Next::On,
            Some(epoch) if epoch > self.epoch() => return Next::Stop,
            _ => {}
        }
        // On a copy: what is wrong with a commit must not change the group.
        let mut next = self.group().clone();
        let Ok(ReceivedMessage::Commit(commit)) = next.process_incoming_message(message) else {
            self.lost = true;
            return Next::Stop;
        };
        if !matches!(commit.effect, CommitEffect::NewEpoch(_)) {
            self.group = None;
            return Next::Stop;
        }
        let aad = parse_commit_aad(&commit.authenticated_data).unwrap();
        assert_eq!(aad.generation, self.generation);
        let moves = aad.generation_step == GenerationStep::Moves;
        let known = moves.then(|| Known::of(group_secret(&next, self.generation + 1)));
        let committer = next.member_at_index(commit.committer).unwrap();
        let key = committer.signing_identity.signature_key.as_bytes().to_vec();
        let ear = known.as_ref().map_or(self.ear(), |known| &known.ear);
        let sender = SenderKey::new(sender_key(&next));
        let epoch = next.current_epoch();
        let check = &delivered.key_check;
        let expected = keys_hash(self.group_id, epoch, ear, &sender).unwrap();
        assert_eq!(check.keys_hash, expected);
        assert_eq!((check.epoch, check.commit_hash), (epoch, sha256(bytes)));
        let tbs = KeyCheckTbs {
            group_id: self.group_id,
            epoch: check.epoch,
            commit_hash: check.commit_hash,
            keys_hash: check.keys_hash,
        };
        let key = SignatureKey::new(key).unwrap();
        verify_struct(&key, "KeyCheck", &tbs, &check.signature).unwrap();
        self.enter(next, known);
        for proposal in delivered.reissued.iter() {
            self.note(proposal.as_slice(), None);
        }
        Next::On
    }

    /// The next epoch, perhaps of the next generation.
    pub(super) fn enter(&mut self, group: super::MlsGroup, known: Option<Known>) {
        self.group = Some(group);
        self.asking.clear();
        if let Some(known) = known {
            self.generation += 1;
            self.known.insert(self.generation, known);
        }
    }
}
