//! One device in one group: its secrets, its MLS state, the keys it knows.

use super::sync::{Own, Pending, Seen};
use super::{Kind, World, done};
use openmls::credentials::{Credential, CredentialType, CredentialWithKey};
use openmls::prelude::{
    KeyPackage, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn,
    MlsMessageOut, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;
use rand_chacha::rand_core::RngCore as _;
use sordino_crypto::{
    ClientSecret, EXPORTER_GROUP, EXPORTER_SENDER, EarKey, GroupSecret, HpkePrivateKey, SigningKey,
    Slot, UserSecret, WrapperKey, exporter_group_context, hpke_generate, inbox_id,
    make_client_credential, make_credential, make_identity_link, seal_identity_entry,
};
use sordino_rules::{CIPHERSUITE, capabilities, group_context_extensions, key_package_lifetime};
use sordino_wire::{
    Bytes, ClientCredential, CreateGroup, Domain, GroupAccess, GroupId, HeadAccess, IdentifierUri,
    IdentityEntry, IdentityRule, InboxAddress, KeyPackageEntry, OpenInbox, PolicySummary,
    PseudonymousCredential, RequestBody, Salt, Secret32, SendAsLeaf, SendMessage,
};
use std::collections::BTreeMap;
use tls_codec::{DeserializeBytes as _, Serialize as _};

/// What is known of a generation.
pub(crate) struct Known {
    pub(crate) ear: EarKey,
    /// Absent for who came in by a link.
    pub(crate) secret: Option<GroupSecret>,
}

impl Known {
    pub(crate) fn of(secret: GroupSecret) -> Self {
        Self {
            ear: secret.ear_key().unwrap(),
            secret: Some(secret),
        }
    }
}

/// An inbox with its secrets.
pub(crate) struct Inbox {
    pub(crate) secret: Secret32,
    pub(crate) private: HpkePrivateKey,
    pub(crate) address: InboxAddress,
    pub(crate) last_day: u32,
}

pub(crate) struct Actor {
    pub(crate) name: String,
    pub(crate) user: u8,
    pub(crate) device: u8,
    pub(crate) group_id: GroupId,
    pub(crate) user_secret: UserSecret,
    pub(crate) client_secret: ClientSecret,
    pub(crate) client_key: SigningKey,
    pub(crate) client_credential: ClientCredential,
    pub(crate) slot: Slot,
    pub(crate) rotation: u32,
    pub(crate) provider: OpenMlsRustCrypto,
    pub(crate) group: Option<MlsGroup>,
    pub(crate) known: BTreeMap<u64, Known>,
    pub(crate) generation: u64,
    /// By stream id.
    pub(crate) cursors: BTreeMap<[u8; 16], u64>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) own: Option<Own>,
    pub(crate) seen: Vec<Seen>,
    /// A commit that could not be processed.
    pub(crate) stuck: Option<sordino_wire::Digest>,
    pub(crate) inbox: Option<Inbox>,
    /// Kept by who is about to be removed.
    pub(crate) last_sender_key: Secret32,
    /// The external commit by which it came in.
    pub(crate) joined_by: Option<sordino_wire::Digest>,
}

/// The domain of everybody's provider.
pub(crate) fn home() -> Domain {
    Domain::new("home.example").unwrap()
}

/// What MLS needs of a credential.
pub(crate) fn credential_with_key(credential: &PseudonymousCredential) -> CredentialWithKey {
    let kind = CredentialType::Other(sordino_wire::PSEUDONYMOUS_CREDENTIAL_TYPE);
    CredentialWithKey {
        credential: Credential::new(kind, sordino_wire::encode(credential).unwrap()),
        signature_key: credential.signature_key.as_slice().into(),
    }
}

/// How everybody joins.
pub(crate) fn config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .max_past_epochs(2)
        .build()
}

/// An exporter's output as a secret.
pub(crate) fn secret32(bytes: Vec<u8>) -> Secret32 {
    Secret32::new(bytes.try_into().unwrap())
}

impl Actor {
    /// A device that is in no group yet.
    pub(crate) fn new(world: &mut World, user: u8, device: u8) -> Self {
        Self::rejoining(world, user, device, 0)
    }

    /// A device whose user was in the group before.
    pub(crate) fn rejoining(world: &mut World, user: u8, device: u8, rejoin: u32) -> Self {
        let slot = Slot::Group {
            user_secret_number: 0,
            hub_domain: world.domain.clone(),
            group_id: world.group_id,
            rejoin,
        };
        let mut client = [user; 32];
        client[0] = device.wrapping_add(100);
        let client_key = SigningKey::from_seed(&client);
        let account = SigningKey::from_seed(&[user.wrapping_add(50); 32]);
        let uri = |text: String| IdentifierUri::new(text).unwrap();
        let client_credential = make_client_credential(
            &uri(format!("mimi://home.example/u/user{user}")),
            &uri(format!("mimi://home.example/d/user{user}-{device}")),
            &client_key,
            &account,
        )
        .unwrap();
        client[1] = 200;
        let actor = Self {
            name: format!("user{user}-{device}"),
            user,
            device,
            group_id: world.group_id,
            user_secret: UserSecret::new(Secret32::new([user; 32])),
            client_secret: ClientSecret::new(Secret32::new(client)),
            client_key,
            client_credential,
            slot,
            rotation: 0,
            provider: OpenMlsRustCrypto::default(),
            group: None,
            known: BTreeMap::new(),
            generation: 0,
            cursors: BTreeMap::new(),
            pending: Vec::new(),
            own: None,
            seen: Vec::new(),
            stuck: None,
            inbox: None,
            last_sender_key: Secret32::new([0; 32]),
            joined_by: None,
        };
        actor.publish_link(world);
        actor
    }

    /// Makes the identity link of the current credential known to adders.
    pub(crate) fn publish_link(&self, world: &mut World) {
        let key = self.leaf_key().public().as_slice().to_vec();
        world.links.insert(key, self.link());
    }

    pub(crate) fn leaf_key(&self) -> SigningKey {
        self.leaf_key_after(self.rotation)
    }

    pub(crate) fn leaf_key_after(&self, rotation: u32) -> SigningKey {
        self.client_secret.leaf_key(&self.slot, rotation).unwrap()
    }

    pub(crate) fn user_key(&self) -> SigningKey {
        self.user_secret.user_auth_key(&self.slot).unwrap()
    }

    pub(crate) fn credential(&self) -> PseudonymousCredential {
        self.credential_after(self.rotation)
    }

    pub(crate) fn credential_after(&self, rotation: u32) -> PseudonymousCredential {
        let (user, client) = (&self.user_secret, &self.client_secret);
        make_credential(&home(), user, client, &self.slot, rotation).unwrap()
    }

    pub(crate) fn link(&self) -> sordino_wire::IdentityLink {
        self.link_of(&self.credential())
    }

    pub(crate) fn link_of(&self, c: &PseudonymousCredential) -> sordino_wire::IdentityLink {
        make_identity_link(&self.client_key, &self.client_credential, c).unwrap()
    }

    pub(crate) fn user_pseudonym(&self) -> IdentifierUri {
        self.credential().user_pseudonym
    }

    pub(crate) fn mls(&self) -> &MlsGroup {
        self.group.as_ref().unwrap()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.mls().epoch().as_u64()
    }

    pub(crate) fn leaf(&self) -> u32 {
        self.mls().own_leaf_index().u32()
    }

    pub(crate) fn now(&self) -> &Known {
        &self.known[&self.generation]
    }

    pub(crate) fn ear(&self) -> &EarKey {
        &self.now().ear
    }

    pub(crate) fn wrapper(&self) -> WrapperKey {
        self.now().secret.as_ref().unwrap().wrapper_key().unwrap()
    }

    pub(crate) fn access(&self) -> GroupAccess {
        self.access_to(self.generation)
    }

    pub(crate) fn access_to(&self, generation: u64) -> GroupAccess {
        GroupAccess {
            group_id: self.group_id,
            ear_key: self.known[&generation].ear.secret().duplicate(),
        }
    }

    pub(crate) fn head_access(&self, generation: u64) -> HeadAccess {
        let ear = &self.known[&generation].ear;
        HeadAccess {
            group_id: self.group_id,
            locator: ear.locator("head").unwrap(),
            head_key: ear.head_key().unwrap().secret().duplicate(),
        }
    }

    /// The sender key of the current epoch; without a group, nobody's.
    pub(crate) fn sender_key(&self) -> Secret32 {
        let Some(group) = self.group.as_ref().filter(|g| g.is_active()) else {
            return Secret32::new([0; 32]);
        };
        let crypto = self.provider.crypto();
        secret32(
            group
                .export_secret(crypto, EXPORTER_SENDER, b"", 32)
                .unwrap(),
        )
    }

    /// The secret of a generation that begins with the current epoch.
    pub(crate) fn export_group_secret(&self, generation: u64) -> GroupSecret {
        let context = exporter_group_context(generation);
        let crypto = self.provider.crypto();
        let bytes = self
            .mls()
            .export_secret(crypto, EXPORTER_GROUP, &context, 32);
        GroupSecret::new(secret32(bytes.unwrap()))
    }

    /// An identity entry for a leaf under a wrapper key.
    pub(crate) fn entry(
        &self,
        world: &mut World,
        wrapper: &WrapperKey,
        generation: u64,
        credential: &PseudonymousCredential,
    ) -> IdentityEntry {
        let link = &world.links[credential.signature_key.as_slice()];
        let mut salt = [0; 16];
        world.rng.fill_bytes(&mut salt);
        let group_id = self.group_id;
        seal_identity_entry(wrapper, generation, group_id, credential, link, Salt(salt)).unwrap()
    }

    /// The request that creates the group.
    pub(crate) fn creation(&mut self, world: &mut World, policy: &PolicySummary) -> CreateGroup {
        let hub_key = world.hub.signature_key().clone();
        let extensions = group_context_extensions(&world.domain, &hub_key, policy).unwrap();
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(CIPHERSUITE)
            .capabilities(capabilities())
            .lifetime(key_package_lifetime(world.now_s))
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .max_past_epochs(2)
            .with_group_context_extensions(extensions)
            .build();
        let id = openmls::group::GroupId::from_slice(&self.group_id.0);
        let with_key = credential_with_key(&self.credential());
        let leaf_key = self.leaf_key();
        let group =
            MlsGroup::new_with_group_id(&self.provider, &leaf_key, &config, id, with_key).unwrap();
        self.group = Some(group);
        let (info, tree) = self.group_info_and_tree();
        let secret = self.export_group_secret(0);
        self.known.insert(0, Known::of(secret));
        let wrapper = self.wrapper();
        let identified = policy.identities != IdentityRule::None;
        let entry = identified.then(|| self.entry(world, &wrapper, 0, &self.credential()));
        CreateGroup {
            access: self.access(),
            sender_key: self.sender_key(),
            group_info: Bytes::new(info).unwrap(),
            ratchet_tree: Bytes::new(tree).unwrap(),
            identity_entry: entry,
        }
    }

    /// The group as it is, as others get it.
    pub(crate) fn group_info_and_tree(&self) -> (Vec<u8>, Vec<u8>) {
        let group = self.mls();
        let info = group
            .export_group_info(self.provider.crypto(), &self.leaf_key(), false)
            .unwrap();
        let MlsMessageBodyIn::GroupInfo(info) = message_in(&info).extract() else {
            panic!("not a GroupInfo");
        };
        let tree = group.export_ratchet_tree();
        let bytes = info.tls_serialize_detached().unwrap();
        (bytes, tree.tls_serialize_detached().unwrap())
    }

    /// Creates the group.
    pub(crate) fn create(world: &mut World, user: u8, policy: &PolicySummary) -> Self {
        let mut actor = Self::new(world, user, 0);
        let request = actor.creation(world, policy);
        done(actor.request(world, Kind::Leaf, RequestBody::CreateGroup(request)));
        actor
    }

    /// Opens an inbox.
    pub(crate) fn open_inbox(&mut self, world: &mut World, days: u32) -> InboxAddress {
        let inbox = Inbox::new(world, days);
        let address = inbox.address.clone();
        done(world.ask(RequestBody::OpenInbox(inbox.request())));
        self.inbox = Some(inbox);
        address
    }

    /// A KeyPackage with link and inbox, as adders get it.
    pub(crate) fn invitation(&mut self, world: &mut World) -> KeyPackageEntry {
        let inbox = self.open_inbox(world, 80);
        KeyPackageEntry {
            key_package: self.key_package_message(world),
            link: self.link(),
            inbox,
        }
    }

    pub(crate) fn key_package(&self, world: &World) -> KeyPackage {
        KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .key_package_lifetime(key_package_lifetime(world.now_s))
            .build(
                CIPHERSUITE,
                &self.provider,
                &self.leaf_key(),
                credential_with_key(&self.credential()),
            )
            .unwrap()
            .key_package()
            .clone()
    }

    fn key_package_message(&self, world: &World) -> Bytes<1, 16_384> {
        let message = MlsMessageOut::from(self.key_package(world));
        Bytes::new(message.tls_serialize_detached().unwrap()).unwrap()
    }

    /// A PrivateMessage of the current epoch.
    pub(crate) fn message(&mut self, text: &[u8]) -> Vec<u8> {
        let leaf_key = self.leaf_key();
        let group = self.group.as_mut().unwrap();
        let message = group
            .create_message(&self.provider, &leaf_key, text)
            .unwrap();
        message.tls_serialize_detached().unwrap()
    }

    /// The request that sends a message as some member of the epoch.
    pub(crate) fn sending(&mut self, text: &[u8]) -> RequestBody {
        let message = Bytes::new(self.message(text)).unwrap();
        RequestBody::Send(SendMessage {
            head: self.head_access(self.generation),
            message,
        })
    }

    pub(crate) fn say(&mut self, world: &mut World, text: &[u8]) -> sordino_wire::ResponseBody {
        let body = self.sending(text);
        self.request(world, Kind::Epoch, body)
    }

    pub(crate) fn say_as_leaf(
        &mut self,
        world: &mut World,
        text: &[u8],
    ) -> sordino_wire::ResponseBody {
        let message = Bytes::new(self.message(text)).unwrap();
        let access = self.access();
        self.request(
            world,
            Kind::Leaf,
            RequestBody::SendAsLeaf(SendAsLeaf { access, message }),
        )
    }
}

impl Inbox {
    pub(crate) fn new(world: &mut World, days: u32) -> Self {
        let mut secret = [0; 32];
        world.rng.fill_bytes(&mut secret);
        let secret = Secret32::new(secret);
        let (private, public) = hpke_generate(&mut world.rng).unwrap();
        Self {
            address: InboxAddress {
                domain: world.domain.clone(),
                inbox_id: inbox_id(&secret),
                hpke_key: public,
            },
            secret,
            private,
            last_day: world.today() + days,
        }
    }

    pub(crate) fn request(&self) -> OpenInbox {
        OpenInbox {
            inbox_id: self.address.inbox_id,
            hpke_key: self.address.hpke_key.clone(),
            last_day: self.last_day,
            deposit_hash: None,
        }
    }
}

/// What a receiver parses.
pub(crate) fn message_in(message: &MlsMessageOut) -> MlsMessageIn {
    parse(&message.tls_serialize_detached().unwrap())
}

pub(crate) fn parse(bytes: &[u8]) -> MlsMessageIn {
    MlsMessageIn::tls_deserialize_exact_bytes(bytes).unwrap()
}
