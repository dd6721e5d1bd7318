//! Coming in by Welcome, and who is who.

use super::actor::{Known, config, parse};
use super::sync::Seen;
use super::{Actor, Inbox, Kind, World};
use openmls::framing::MlsMessageBodyIn;
use openmls::prelude::{RatchetTreeIn, StagedWelcome};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::StorageProvider as _;
use sordino_crypto::{
    GroupSecret, check_key_object, open_identity_entry, open_inbox_delivery, open_key_object,
    sha256, stream_id, unwrap_previous,
};
use sordino_rules::check_tree;
use sordino_wire::{
    InboxDelivery, KeyQuestion, Membership, NumberedEntry, ReadInbox, RequestBody, ResponseBody,
    WelcomeInformationRequest, exact,
};
use std::collections::BTreeMap;
use tls_codec::DeserializeBytes as _;

impl Inbox {
    /// What lies in it.
    pub(crate) fn deliveries(&self, world: &mut World) -> Vec<InboxDelivery> {
        let answer = world.ask(RequestBody::ReadInbox(ReadInbox {
            inbox_secret: self.secret.duplicate(),
            from: 0,
            wait_s: 0,
        }));
        let ResponseBody::Inbox(page) = answer else {
            panic!("not an inbox: {answer:?}");
        };
        let open = |entry: &NumberedEntry| {
            let sealed = exact(entry.entry.as_slice()).unwrap();
            let id = self.address.inbox_id;
            open_inbox_delivery(self.private.expose(), id, &sealed).unwrap()
        };
        page.entries.iter().map(open).collect()
    }
}

impl Actor {
    /// What lies in the inbox.
    pub(crate) fn inbox_deliveries(&self, world: &mut World) -> Vec<InboxDelivery> {
        self.inbox.as_ref().unwrap().deliveries(world)
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
