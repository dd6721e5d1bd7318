//! mls-rs watches a hub's group: it reads what the hub delivers, from the group's streams, and stands
//! at every step where the hub stands.
//!
//! What it cannot read is counted, never passed over. mls-rs takes the body of every proposal type
//! that it does not know for an `opaque<V>`, so it misreads two of draft-ietf-mls-extensions:
//! a commit with an AppDataUpdate (it begins again from the hub's GroupInfo), and the message of a
//! SelfRemove (its own SelfRemove, another code point with the same meaning, is put in under the
//! reference that the hub's library computed; commits that use it are read).

use crate::stack::{Watched, group_info_message, observe};
use crate::support::{Actor, World};
use mls_rs::MlsMessage;
use mls_rs::external_client::ExternalReceivedMessage;
use mls_rs::group::CachedProposal;
use mls_rs::time::MlsTime;
use mls_rs_codec::MlsEncode as _;
use openmls::framing::Sender;
use openmls::messages::proposals::Proposal;
use sordino_crypto::{open_entry, stream_id};
use sordino_wire::{
    DeliveryEvent, ExternalCommitInformation, List, ReadStreams, RequestBody, ResponseBody,
    SealedEntry, StreamRead, exact,
};
use std::collections::BTreeMap;
use tls_codec::Serialize as _;

/// What mls-rs' SelfRemove is called on the wire.
const THEIR_SELF_REMOVE: u16 = 0xF003;

pub(crate) const NOT_READABLE: &str = "commits with an AppDataUpdate: not readable";
pub(crate) const PUT_IN: &str = "SelfRemoves: not readable, put in";

/// A watched group.
pub(crate) struct Watch {
    pub(crate) group: Watched,
    /// Next number to read, by generation.
    cursors: BTreeMap<u64, u64>,
    pub(crate) counts: BTreeMap<&'static str, usize>,
}

/// What anybody with a group's key is told.
pub(crate) fn information(world: &mut World, member: &Actor) -> ExternalCommitInformation {
    let access = member.access();
    member.external_information(world, access)
}

impl Watch {
    pub(crate) fn begin(world: &mut World, member: &Actor) -> Self {
        let told = information(world, member);
        let group = observe(told.group_info.as_slice(), told.ratchet_tree.as_slice()).unwrap();
        Self {
            group,
            cursors: BTreeMap::from([(told.position.generation, told.position.cursor)]),
            counts: BTreeMap::new(),
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Reads everything that is new, with the keys that a member knows, and compares.
    pub(crate) fn follow(&mut self, world: &mut World, member: &Actor) {
        let generations: Vec<u64> = member.known.keys().copied().collect();
        for generation in generations {
            self.read(world, member, generation);
        }
        self.compare(world, member);
    }

    fn read(&mut self, world: &mut World, member: &Actor, generation: u64) {
        let Some(first) = self.cursors.keys().next().copied() else {
            return;
        };
        if generation < first {
            return;
        }
        let key = member.known[&generation].ear.delivery_key().unwrap();
        let id = stream_id(&key, &world.domain).unwrap();
        let from = self.cursors.get(&generation).copied().unwrap_or(0);
        let read = StreamRead {
            stream_id: id,
            from,
            max: 100,
        };
        let request = ReadStreams {
            reads: List::new(vec![read]).unwrap(),
            wait_s: 0,
        };
        let ResponseBody::Streams(pages) = world.ask(RequestBody::ReadStreams(request)) else {
            panic!("not a stream");
        };
        for page in pages.pages.into_vec() {
            for entry in page.entries.into_vec() {
                let sealed: SealedEntry = exact(entry.entry.as_slice()).unwrap();
                let delivery = open_entry(&key, &sealed).unwrap();
                self.take(world, member, delivery.event);
                self.cursors.insert(generation, entry.number + 1);
            }
        }
    }

    fn take(&mut self, world: &mut World, member: &Actor, event: DeliveryEvent) {
        match event {
            DeliveryEvent::Commit(commit) => {
                self.commit(world, member, commit.commit.as_slice());
                for reissued in commit.reissued.iter() {
                    self.proposal(world, member, reissued.as_slice());
                }
            }
            DeliveryEvent::Proposal(proposal) => {
                self.proposal(world, member, proposal.proposal.as_slice());
            }
            DeliveryEvent::Message(message) => {
                let message = MlsMessage::from_bytes(message.as_slice()).unwrap();
                let taken = self.group.process_incoming_message(message);
                assert!(matches!(taken, Ok(ExternalReceivedMessage::Ciphertext(_))));
                self.count("messages");
            }
            _ => {}
        }
    }

    fn epoch(&self) -> u64 {
        self.group.group_context().epoch
    }

    fn commit(&mut self, world: &mut World, member: &Actor, bytes: &[u8]) {
        match MlsMessage::from_bytes(bytes) {
            Ok(message) => {
                if message.epoch() != Some(self.epoch()) {
                    // It was overtaken when it began again.
                    self.count("commits that it had passed");
                    return;
                }
                let time = MlsTime::from(world.now_s);
                let taken = self.group.process_incoming_message_with_time(message, time);
                let Ok(ExternalReceivedMessage::Commit(_)) = taken else {
                    panic!("mls-rs refuses a commit that the hub took: {taken:?}");
                };
                self.count("commits");
            }
            Err(_) => {
                assert!(
                    has_app_data_update(bytes),
                    "mls-rs cannot read a commit that the hub took"
                );
                let counts = std::mem::take(&mut self.counts);
                let cursors = std::mem::take(&mut self.cursors);
                *self = Self {
                    counts,
                    cursors,
                    ..Self::begin(world, member)
                };
                self.count(NOT_READABLE);
            }
        }
    }

    fn proposal(&mut self, world: &World, member: &Actor, bytes: &[u8]) {
        if let Ok(message) = MlsMessage::from_bytes(bytes) {
            if message.epoch() != Some(self.epoch()) {
                return;
            }
            let time = MlsTime::from(world.now_s);
            let taken = self.group.process_incoming_message_with_time(message, time);
            assert!(
                matches!(taken, Ok(ExternalReceivedMessage::Proposal(_))),
                "mls-rs refuses a proposal that the hub took: {taken:?}"
            );
            self.count("proposals");
            return;
        }
        let hash = sordino_crypto::sha256(bytes);
        let queued = member
            .mls()
            .pending_proposals()
            .find(|p| {
                member.pending.iter().any(|known| {
                    known.reference.hash == hash
                        && known.reference.reference == *p.proposal_reference_ref()
                })
            })
            .expect("a proposal of this epoch");
        assert!(matches!(queued.proposal(), Proposal::SelfRemove));
        let Sender::Member(leaf) = queued.sender() else {
            panic!("a SelfRemove of somebody outside");
        };
        let reference = queued
            .proposal_reference_ref()
            .tls_serialize_detached()
            .unwrap();
        let cached = [
            &THEIR_SELF_REMOVE.to_be_bytes()[..],
            &reference,
            &[1],
            &leaf.u32().to_be_bytes(),
        ]
        .concat();
        self.group
            .insert_proposal(CachedProposal::from_bytes(&cached).unwrap());
        self.count(PUT_IN);
    }

    /// Tree, context and GroupInfo are the hub's; who begins now is where this watcher has come to.
    fn compare(&mut self, world: &mut World, member: &Actor) {
        let told = information(world, member);
        let context = self.group.group_context().mls_encode_to_vec().unwrap();
        assert_eq!(self.epoch(), told.position.epoch);
        assert!(told.group_info.as_slice().starts_with(&context));
        assert_eq!(
            self.group.export_tree().unwrap(),
            told.ratchet_tree.as_slice()
        );
        let ours = member.context().tree_hash();
        assert_eq!(self.group.tree_hash(), ours);
        let info = group_info_message(told.group_info.as_slice());
        let taken = self.group.process_incoming_message(info);
        assert!(
            matches!(taken, Ok(ExternalReceivedMessage::GroupInfo(_))),
            "{taken:?}"
        );
        let mut fresh = observe(told.group_info.as_slice(), told.ratchet_tree.as_slice()).unwrap();
        let mut this = self.group.clone();
        fresh.clear_proposal_cache();
        this.clear_proposal_cache();
        assert!(fresh.snapshot() == this.snapshot());
    }
}

/// Whether openmls finds an AppDataUpdate in a commit that it reads.
fn has_app_data_update(commit: &[u8]) -> bool {
    let surgery = crate::surgery::Commit::parse(commit);
    surgery
        .proposals
        .starts_with(&[&[1][..], &crate::stack::APP_DATA_UPDATE.to_be_bytes()].concat())
}
