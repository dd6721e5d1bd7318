//! Coming in: by a Welcome, by a link, in place of the own leaf; and creating.

use super::commits::{Made, aad, partial};
use super::{As, Inbox, Known, LIFETIME_DAYS, Member, group_secret, sender_key};
use crate::stack::group_info_message;
use mls_rs::group::ExportedTree;
use mls_rs::time::MlsTime;
use mls_rs::{ExtensionList, MlsMessage};
use mls_rs_codec::MlsDecode as _;
use sordino_crypto::{
    EarKey, GroupSecret, check_key_object, hpke_generate, inbox_id, open_identity_entry,
    open_inbox_delivery, open_key_object, sha256, stream_id, unwrap_previous,
};
use sordino_rules::{
    LEAF_PROOF_LABEL, ProofContext, group_context_extensions, key_package_lifetime, leaf_proof_tbs,
};
use sordino_server::Clock as _;
use sordino_wire::{
    Bytes, CommitRequest, CreateGroup, ExternalCommitInformation, GroupId, InboxAddress,
    InboxDelivery, InviteLink, LeafOperation, LeafProof, List, Membership, OpenInbox,
    PolicySummary, ProposalsRequest, ReadInbox, Reject, RequestBody, ResponseBody, Secret32,
    SignatureKey, WelcomeInformationRequest, encode, exact,
};
use std::collections::BTreeMap;
use tls_codec::Serialize as _;

impl Member {
    /// Whole days, like everybody's.
    fn lifetime_begins(&self) -> MlsTime {
        let lifetime = key_package_lifetime(self.clock.now_s());
        let length_s = lifetime.not_after() - lifetime.not_before();
        assert_eq!(length_s, LIFETIME_DAYS * 86_400);
        MlsTime::from(lifetime.not_before())
    }

    async fn open_inbox(&mut self) -> InboxAddress {
        let secret = Secret32::new(self.random());
        let (private, hpke_key) = hpke_generate(&mut self.rng).unwrap();
        let today = u32::try_from(self.clock.now_s() / 86_400).unwrap();
        let body = RequestBody::OpenInbox(OpenInbox {
            inbox_id: inbox_id(&secret),
            hpke_key: hpke_key.clone(),
            last_day: today + 80,
            deposit_hash: None,
        });
        let answer = self.ask(body, As::Possession, 0).await;
        assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
        let address = InboxAddress {
            domain: self.domain.clone(),
            inbox_id: inbox_id(&secret),
            hpke_key,
        };
        self.inbox = Some(Inbox {
            secret,
            private,
            address: address.clone(),
        });
        address
    }

    /// Finds the group by a link.
    fn take_link(&mut self, link: &InviteLink) {
        self.group_id = link.group_id;
        self.generation = link.generation;
        let known = Known {
            ear: EarKey::new(link.ear_key.duplicate()),
            secret: None,
        };
        self.known.insert(link.generation, known);
    }

    /// A link to the group as it is now.
    pub(crate) fn link(&self) -> InviteLink {
        InviteLink {
            hub_domain: self.domain.clone(),
            group_id: self.group_id,
            generation: self.generation,
            ear_key: self.ear().secret().duplicate(),
            code: None,
        }
    }

    /// Asks to be let into a room that wants no identities.
    pub(crate) async fn ask_in(&mut self, link: &InviteLink) {
        self.take_link(link);
        self.identified = false;
        let told = self.information().await;
        let none = ExtensionList::default;
        let info = group_info_message(told.group_info.as_slice());
        let tree = ExportedTree::from_bytes(told.ratchet_tree.as_slice()).unwrap();
        let begins = Some(self.lifetime_begins());
        let proposal = self
            .stack
            .external_add_proposal(&info, Some(tree), Vec::new(), none(), none(), begins)
            .unwrap();
        let inbox = self.open_inbox().await;
        let proposal = Bytes::new(proposal.to_bytes().unwrap()).unwrap();
        let body = RequestBody::Proposals(ProposalsRequest {
            access: self.access(),
            proposals: List::new(vec![proposal]).unwrap(),
            inbox: Some(inbox),
        });
        let answer = self.ask(body, As::Joiner, told.position.epoch).await;
        assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
    }

    async fn delivery(&mut self) -> InboxDelivery {
        let inbox = self.inbox.as_ref().unwrap();
        let body = RequestBody::ReadInbox(ReadInbox {
            inbox_secret: inbox.secret.duplicate(),
            from: 0,
            wait_s: 0,
        });
        let ResponseBody::Inbox(page) = self.ask(body, As::Possession, 0).await else {
            panic!("not an inbox");
        };
        let entry = page.entries.iter().next().expect("a delivery");
        let sealed = exact(entry.entry.as_slice()).unwrap();
        let inbox = self.inbox.as_ref().unwrap();
        open_inbox_delivery(inbox.private.expose(), inbox.address.inbox_id, &sealed).unwrap()
    }

    /// Joins by the Welcome that lies in the inbox.
    pub(crate) async fn join(&mut self) {
        let InboxDelivery::Welcome {
            welcome,
            key_object,
        } = self.delivery().await
        else {
            panic!("no Welcome");
        };
        let (_, package) = self.key_packages.key_packages().remove(0);
        let object = open_key_object(package.init_key.as_ref(), &key_object).unwrap();
        let message = mls_rs::KeyPackage::mls_decode(&mut package.key_package_bytes.as_slice());
        let init = message.unwrap().hpke_init_key;
        check_key_object(&object, sha256(welcome.as_slice()), init.as_ref()).unwrap();
        self.group_id = object.group_id;
        self.generation = object.generation;
        let secret = GroupSecret::new(object.group_secret.duplicate());
        self.known.insert(object.generation, Known::of(secret));
        let body = RequestBody::WelcomeInformation(WelcomeInformationRequest {
            access: self.access(),
            epoch: object.epoch,
        });
        let ResponseBody::Membership(membership) = self.ask(body, As::Joiner, 0).await else {
            panic!("no welcome information");
        };
        let tree = ExportedTree::from_bytes(membership.ratchet_tree.as_slice()).unwrap();
        let welcome = MlsMessage::from_bytes(welcome.as_slice()).unwrap();
        let (group, _) = self.stack.join_group(Some(tree), &welcome, None).unwrap();
        assert_eq!(group.current_epoch(), object.epoch);
        self.group = Some(group);
        self.begin_reading(membership.position.cursor);
    }

    fn begin_reading(&mut self, cursor: u64) {
        let key = self.ear().delivery_key().unwrap();
        let id = stream_id(&key, &self.domain).unwrap();
        self.cursors.insert(id.0, cursor);
    }

    /// Creates a group.
    pub(crate) async fn create(&mut self, hub_key: &SignatureKey, policy: &PolicySummary) {
        self.group_id = GroupId(self.random());
        let extensions = group_context_extensions(&self.domain, hub_key, policy).unwrap();
        let extensions = extensions.tls_serialize_detached().unwrap();
        let extensions = ExtensionList::mls_decode(&mut extensions.as_slice()).unwrap();
        let group = self
            .stack
            .create_group_with_id(
                self.group_id.0.to_vec(),
                extensions,
                ExtensionList::default(),
                Some(self.lifetime_begins()),
            )
            .unwrap();
        let info = group.group_info_message_allowing_ext_commit(false).unwrap();
        let tree = group.export_tree().to_bytes().unwrap();
        self.generation = 0;
        self.known.insert(0, Known::of(group_secret(&group, 0)));
        let sender_key = sender_key(&group);
        self.group = Some(group);
        let wrapper = self.wrapper();
        let entry = self.own_entry(&wrapper, 0);
        let body = RequestBody::CreateGroup(CreateGroup {
            access: self.access(),
            sender_key,
            // Without the head of the MLSMessage.
            group_info: Bytes::new(info.to_bytes().unwrap()[4..].to_vec()).unwrap(),
            ratchet_tree: Bytes::new(tree).unwrap(),
            identity_entry: Some(entry),
        });
        let answer = self.ask(body, As::Leaf(0), 0).await;
        assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
    }

    async fn information(&mut self) -> ExternalCommitInformation {
        let body = RequestBody::ExternalCommitInformation(self.access());
        match self.ask(body, As::Possession, 0).await {
            ResponseBody::ExternalCommitInformation(information) => information,
            other => panic!("no information: {other:?}"),
        }
    }

    /// What the hub says to who knows an old key.
    pub(crate) async fn refusal(&mut self) -> Reject {
        let body = RequestBody::ExternalCommitInformation(self.access());
        match self.ask(body, As::Possession, 0).await {
            ResponseBody::Rejected(reject) => reject,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Comes into an open room, and starts a generation, whose secret it then knows.
    pub(crate) async fn join_open(&mut self, link: &InviteLink) {
        self.take_link(link);
        let told = self.information().await;
        let made = self.external(&told, None, true);
        let request = self.commit_request(&made, Vec::new());
        let epoch = told.position.epoch;
        self.send_external(request, made, As::Joiner, epoch, told.position.cursor)
            .await;
    }

    /// Takes its own leaf's place again, after a commit that it could not read.
    pub(crate) async fn resync(&mut self) {
        let told = self.information().await;
        let leaf = self.leaf();
        let made = self.external(&told, Some(leaf), false);
        let wrapper = self.wrapper();
        let entry = self.own_entry(&wrapper, self.generation);
        let request = self.commit_request(&made, vec![entry]);
        let epoch = told.position.epoch;
        self.send_external(request, made, As::User(leaf), epoch, told.position.cursor)
            .await;
        self.lost = false;
    }

    fn external(
        &mut self,
        told: &ExternalCommitInformation,
        replaced: Option<u32>,
        moves: bool,
    ) -> Made {
        let proofs = replaced.map(|leaf| self.resync_proof(leaf));
        let aad = aad(self.generation, moves, proofs.into_iter().collect());
        let tree = ExportedTree::from_bytes(told.ratchet_tree.as_slice()).unwrap();
        let mut builder = self
            .stack
            .external_commit_builder()
            .unwrap()
            .with_tree_data(tree.into_owned())
            .with_authenticated_data(encode(&aad).unwrap());
        if let Some(leaf) = replaced {
            builder = builder.with_removal(leaf);
        }
        let info = group_info_message(told.group_info.as_slice());
        let (group, commit) = builder.build(info).unwrap();
        let info = group.group_info_message_allowing_ext_commit(false).unwrap();
        Made {
            commit: commit.to_bytes().unwrap(),
            group_info: partial(&info),
            next: moves.then(|| group_secret(&group, self.generation + 1)),
            group,
        }
    }

    fn resync_proof(&self, leaf: u32) -> LeafProof {
        let context = ProofContext {
            hub_domain: &self.domain,
            group_id: self.group_id,
            generation: self.generation,
        };
        let key = self.leaf_key.public();
        let tbs = leaf_proof_tbs(&context, LeafOperation::Resync, &key);
        LeafProof {
            user_signature: self.user_key.sign_struct(LEAF_PROOF_LABEL, &tbs).unwrap(),
            sibling_leaf: leaf,
            sibling_signature: self.leaf_key.sign_struct(LEAF_PROOF_LABEL, &tbs).unwrap(),
        }
    }

    async fn send_external(
        &mut self,
        request: CommitRequest,
        made: Made,
        how: As,
        epoch: u64,
        cursor: u64,
    ) {
        let body = RequestBody::Commit(Box::new(request));
        let answer = self.ask(body, how, epoch).await;
        assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
        self.begin_reading(cursor);
        self.enter(made.group, made.next.map(Known::of));
    }

    /// Who is at which leaf, by the identity entries that the hub keeps.
    pub(crate) async fn people(&mut self) -> BTreeMap<u32, String> {
        let body = RequestBody::InspectMembership(self.access());
        let ResponseBody::Membership(Membership { roster, .. }) =
            self.ask(body, As::Possession, 0).await
        else {
            panic!("not a membership");
        };
        let mut keys = BTreeMap::from([(self.generation, self.wrapper())]);
        for wrapper in roster.wrappers.iter().rev() {
            if let Some(next) = keys.get(&(wrapper.generation + 1)) {
                let key = unwrap_previous(next, self.group_id, wrapper).unwrap();
                keys.insert(wrapper.generation, key);
            }
        }
        let who = |entry: &sordino_wire::RosterEntry| {
            let member = self.group().member_at_index(entry.leaf_index).unwrap();
            let credential = crate::stack::credential_of(&member.signing_identity).unwrap();
            let key = &keys[&entry.entry.generation];
            let link = open_identity_entry(key, self.group_id, &credential, &entry.entry).unwrap();
            let user = link.client_credential.user.as_str().to_owned();
            (entry.leaf_index, user)
        };
        roster.entries.iter().map(who).collect()
    }
}
