//! Recovery, leaving, asking: the requests beside commits and messages.

use super::actor::{Inbox, Known, parse};
use super::{Actor, Kind, World};
use openmls::framing::{MlsMessageBodyIn, MlsMessageOut};
use openmls::prelude::JoinProposal;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider;
use sordino_crypto::{
    EarKey, GroupSecret, HpkePrivateKey, check_key_object, hpke_generate, open_key_object, sha256,
};
use sordino_wire::{
    AnswerKeyRequest, Bytes, CommitRequest, Digest, HeadAccess, InboxDelivery, KeyQuestion,
    KeyQuestionTbs, KeyRequest, List, ProposalsRequest, Reinitialise, RekeyRequest, ReportCommit,
    RequestBody, ResponseBody, Secret32, SignatureBytes, SuccessorPointer, SuccessorPointerTbs,
    encode,
};
use tls_codec::Serialize as _;

/// A key request with what its asker keeps.
pub(crate) struct Asked {
    pub(crate) question: KeyQuestion,
    private: HpkePrivateKey,
}

impl Asked {
    pub(crate) fn hash(&self) -> Digest {
        sha256(&encode(&self.question).unwrap())
    }
}

impl Actor {
    pub(crate) fn confirm(&self, world: &mut World) -> ResponseBody {
        self.request(world, Kind::Leaf, RequestBody::ConfirmKeys(self.access()))
    }

    pub(crate) fn report(&self, world: &mut World, commit_hash: Digest) -> ResponseBody {
        let request = ReportCommit {
            access: self.access(),
            commit_hash,
        };
        self.request(world, Kind::Leaf, RequestBody::ReportCommit(request))
    }

    /// Gives the hub keys, opened with those of a generation.
    pub(crate) fn rekey(
        &self,
        world: &mut World,
        opened_with: &EarKey,
        ear_key: &EarKey,
        sender_key: &Secret32,
    ) -> ResponseBody {
        let request = RekeyRequest {
            access: sordino_wire::GroupAccess {
                group_id: self.group_id,
                ear_key: opened_with.secret().duplicate(),
            },
            ear_key: ear_key.secret().duplicate(),
            sender_key: sender_key.duplicate(),
        };
        self.request(world, Kind::Leaf, RequestBody::Rekey(request))
    }

    /// The request by which it leaves.
    pub(crate) fn leaving_request(&mut self) -> ProposalsRequest {
        let leaf_key = self.leaf_key();
        let group = self.group.as_mut().unwrap();
        let message = group
            .leave_group_via_self_remove(&self.provider, &leaf_key)
            .unwrap();
        self.proposals(&message)
    }

    fn proposals(&self, message: &MlsMessageOut) -> ProposalsRequest {
        let bytes = message.tls_serialize_detached().unwrap();
        ProposalsRequest {
            access: self.access(),
            proposals: List::new(vec![Bytes::new(bytes).unwrap()]).unwrap(),
            inbox: None,
        }
    }

    pub(crate) fn leave(&mut self, world: &mut World) -> ResponseBody {
        let request = self.leaving_request();
        self.request(world, Kind::Leaf, RequestBody::Proposals(request))
    }

    /// The request to be let in, by the keys of a link.
    pub(crate) fn joining_request(
        &mut self,
        world: &mut World,
        epoch: u64,
        ear: &EarKey,
    ) -> ProposalsRequest {
        let inbox = self.open_inbox(world, 80);
        let id = openmls::group::GroupId::from_slice(&self.group_id.0);
        let message = JoinProposal::new::<<OpenMlsRustCrypto as OpenMlsProvider>::StorageProvider>(
            self.key_package(world),
            id,
            epoch.into(),
            &self.leaf_key(),
        )
        .unwrap();
        let known = Known {
            ear: EarKey::new(ear.secret().duplicate()),
            secret: None,
        };
        self.known.insert(0, known);
        ProposalsRequest {
            inbox: Some(inbox),
            ..self.proposals(&message)
        }
    }

    pub(crate) fn ask_to_join(
        &mut self,
        world: &mut World,
        epoch: u64,
        ear: &EarKey,
    ) -> ResponseBody {
        let request = self.joining_request(world, epoch, ear);
        let mut signing = self.signing(world);
        signing.epoch = epoch;
        let body = RequestBody::Proposals(request);
        let auth = signing.auth(world, Kind::Joiner, &body);
        world.send(body, auth)
    }

    /// Asks for keys with those of a generation that it knew.
    pub(crate) fn ask_for_keys(
        &mut self,
        world: &mut World,
        head: HeadAccess,
    ) -> (Asked, ResponseBody) {
        let asked = self.question(world);
        let request = KeyRequest {
            head,
            question: asked.question.clone(),
        };
        let answer = world.ask(RequestBody::KeyRequest(request));
        (asked, answer)
    }

    pub(crate) fn question(&mut self, world: &mut World) -> Asked {
        let (private, hpke_key) = hpke_generate(&mut world.rng).unwrap();
        let inbox = Inbox::new(world, 10);
        let leaf_key = self.leaf_key();
        let tbs = KeyQuestionTbs {
            hub_domain: world.domain.clone(),
            group_id: self.group_id,
            leaf_key: leaf_key.public(),
            hpke_key: hpke_key.clone(),
            inbox: inbox.address.clone(),
            last_day: inbox.last_day,
        };
        let question = KeyQuestion {
            leaf_key: tbs.leaf_key.clone(),
            hpke_key,
            inbox: inbox.address.clone(),
            last_day: inbox.last_day,
            signature: leaf_key.sign_struct("KeyRequest", &tbs).unwrap(),
        };
        self.inbox = Some(inbox);
        Asked { question, private }
    }

    /// Answers a key request that was delivered.
    pub(crate) fn answer(&self, world: &mut World, question: &KeyQuestion) -> ResponseBody {
        let members = self.members();
        assert!(members.by_signature_key(&question.leaf_key).is_some());
        let recipient = question.hpke_key.as_slice();
        let key_object = self.key_object(world, None, self.epoch(), sha256(b""), recipient);
        let request = AnswerKeyRequest {
            head: self.head_access(self.generation),
            question: sha256(&encode(question).unwrap()),
            key_object,
        };
        self.request(world, Kind::Epoch, RequestBody::AnswerKeyRequest(request))
    }

    /// Takes the answer out of the inbox.
    pub(crate) fn take_answer(&mut self, world: &mut World, asked: &Asked) {
        let deliveries = self.inbox_deliveries(world);
        assert_eq!(deliveries.len(), 1, "answered once");
        let InboxDelivery::KeyAnswer {
            question,
            key_object,
        } = &deliveries[0]
        else {
            panic!("not an answer");
        };
        assert_eq!(*question, asked.hash());
        let object = open_key_object(asked.private.expose(), key_object).unwrap();
        check_key_object(&object, sha256(b""), asked.question.hpke_key.as_slice()).unwrap();
        self.generation = object.generation;
        let secret = GroupSecret::new(object.group_secret.duplicate());
        self.known.insert(object.generation, Known::of(secret));
    }

    /// Freezes its group in favour of another one.
    pub(crate) fn reinitialise(&self, world: &mut World, target: &Actor) -> ResponseBody {
        let tbs = SuccessorPointerTbs {
            group_id: self.group_id,
            epoch: self.epoch(),
            successor: target.group_id,
        };
        let pointer = SuccessorPointer {
            group_id: target.group_id,
            leaf_index: self.leaf(),
            signature: self.leaf_key().sign_struct("Successor", &tbs).unwrap(),
        };
        let request = Reinitialise {
            access: self.access(),
            target: target.access(),
            pointer,
        };
        self.request(world, Kind::Leaf, RequestBody::Reinitialise(request))
    }

    /// Makes a commit unprocessable: a confirmation tag that is not the epoch's, bound by a
    /// GroupInfo signed again. The hub cannot tell.
    pub(crate) fn spoil(&mut self, request: &mut CommitRequest, ear_after: &EarKey) {
        let (commit, tag) = bad_tag(request.commit.as_slice());
        self.sign_group_info(request, &tag);
        let leaf_key = self.leaf_key();
        let epoch = self.epoch() + 1;
        let sender = &request.next.sender_key;
        request.key_check =
            super::commit::key_check(&leaf_key, self.group_id, epoch, &commit, ear_after, sender);
        request.commit = Bytes::new(commit).unwrap();
    }

    /// Signs the GroupInfo of a commit again after it was changed.
    pub(crate) fn sign_group_info(&self, request: &mut CommitRequest, tag: &[u8]) {
        let staged = self.mls().pending_commit().unwrap();
        let mut tbs = staged.group_context().tls_serialize_detached().unwrap();
        tbs.extend_from_slice(request.group_info.extensions.as_slice());
        tbs.extend_from_slice(tag);
        tbs.extend_from_slice(&self.leaf().to_be_bytes());
        let label = Bytes::<1, 64>::new(b"MLS 1.0 GroupInfoTBS").unwrap();
        let content = Bytes::<1, 1_000_000>::new(tbs).unwrap();
        let signed = [encode(&label).unwrap(), encode(&content).unwrap()].concat();
        let leaf_key = self.leaf_key();
        let signature = openmls_traits::signatures::Signer::sign(&leaf_key, &signed).unwrap();
        request.group_info.signature = SignatureBytes::new(signature).unwrap();
    }
}

/// A member's commit with another confirmation tag: `confirmation_tag<V> || membership_tag<V>` end
/// a PublicMessage.
pub(crate) fn bad_tag(commit: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut spoiled = commit.to_vec();
    let at = spoiled.len() - 2 * 33;
    spoiled[at + 5] ^= 1;
    let tag = spoiled[at..at + 33].to_vec();
    assert_eq!(tag[0], 32);
    assert!(matches!(
        parse(&spoiled).extract(),
        MlsMessageBodyIn::PublicMessage(_)
    ));
    (spoiled, tag)
}
