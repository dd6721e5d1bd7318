//! A member that runs on mls-rs and speaks to a hub over HTTP: our credential, keys and requests, with
//! nothing of openmls or of the client library in its MLS.
//!
//! What it cannot do is what mls-rs cannot encode (`unreadable`): leave by a SelfRemove, change the
//! policy, follow commits that do either. It says so, and comes back by a resync where the generation
//! is still the one it knows.

mod commits;
mod flows;
mod home;
mod joining;
mod receiving;

use crate::stack::{APP_DATA_DICTIONARY, APP_DATA_UPDATE, Pseudonyms, SELF_REMOVE};
use home::post;
use mls_rs::client_builder::{
    BaseConfig, WithCryptoProvider, WithIdentityProvider, WithKeyPackageRepo, WithMlsRules,
};
use mls_rs::crypto::SignatureSecretKey;
use mls_rs::group::proposal::ProposalType;
use mls_rs::identity::{Credential, CredentialType, CustomCredential, SigningIdentity};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules};
use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
use mls_rs::{CipherSuite, Client, Group};
use mls_rs_core::extension::ExtensionType;
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sordino_crypto::{
    ClientSecret, EXPORTER_GROUP, EXPORTER_SENDER, EarKey, GroupSecret, HpkePrivateKey, SenderKey,
    SigningKey, Slot, UserSecret, WrapperKey, exporter_group_context, make_client_credential,
    make_credential, make_identity_link, seal_identity_entry, sha256,
};
use sordino_server::{Clock as _, TestClock};
use sordino_wire::{
    Authentication, Bytes, ClientCredential, Domain, DsRequest, DsResponse, Freshness, GroupAccess,
    GroupId, HeadAccess, IdentifierUri, IdentityEntry, InboxAddress, MemberContent, Nonce,
    PSEUDONYMOUS_CREDENTIAL_TYPE, PseudonymousCredential, REQUEST_LABEL, RequestBody, RequestTbs,
    ResponseBody, Salt, Secret32, SendMessage, encode, media,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;

type Config = WithMlsRules<
    DefaultMlsRules,
    WithKeyPackageRepo<
        InMemoryKeyPackageStorage,
        WithIdentityProvider<Pseudonyms, WithCryptoProvider<RustCryptoProvider, BaseConfig>>,
    >,
>;
type MlsGroup = Group<Config>;

/// KeyPackages live as long as everybody's.
const LIFETIME_DAYS: u64 = 84;

/// What is known of a generation: its key, and its secret unless one came in by a link.
struct Known {
    ear: EarKey,
    secret: Option<GroupSecret>,
}

impl Known {
    fn of(secret: GroupSecret) -> Self {
        Self {
            ear: secret.ear_key().unwrap(),
            secret: Some(secret),
        }
    }
}

struct Inbox {
    secret: Secret32,
    private: HpkePrivateKey,
    address: InboxAddress,
}

/// Somebody who asks to be let in.
struct Asking {
    init_key: Vec<u8>,
    inbox: InboxAddress,
}

/// How a request is signed.
#[derive(Clone, Copy)]
enum As {
    Possession,
    Epoch,
    Leaf(u32),
    User(u32),
    Joiner,
}

pub(crate) struct Member {
    hub: SocketAddr,
    domain: Domain,
    clock: TestClock,
    rng: ChaCha20Rng,
    client_key: SigningKey,
    client_credential: ClientCredential,
    user_key: SigningKey,
    leaf_key: SigningKey,
    credential: PseudonymousCredential,
    stack: Client<Config>,
    key_packages: InMemoryKeyPackageStorage,
    group_id: GroupId,
    group: Option<MlsGroup>,
    known: BTreeMap<u64, Known>,
    generation: u64,
    /// By stream.
    cursors: BTreeMap<[u8; 16], u64>,
    inbox: Option<Inbox>,
    /// Whether the room wants identities of its members.
    identified: bool,
    /// Who asks to be let in.
    asking: Vec<Asking>,
    pub(crate) heard: Vec<String>,
    /// A commit came that mls-rs cannot read.
    pub(crate) lost: bool,
}

fn signing_identity(credential: &PseudonymousCredential) -> SigningIdentity {
    let kind = CredentialType::new(PSEUDONYMOUS_CREDENTIAL_TYPE);
    let content = encode(credential).unwrap();
    SigningIdentity::new(
        Credential::Custom(CustomCredential::new(kind, content)),
        credential.signature_key.as_slice().to_vec().into(),
    )
}

fn stack(
    credential: &PseudonymousCredential,
    leaf_key: &SigningKey,
    key_packages: InMemoryKeyPackageStorage,
) -> Client<Config> {
    let suite = CipherSuite::CURVE25519_AES128;
    let private = [leaf_key.seed().to_vec(), leaf_key.public().into_vec()].concat();
    let options = CommitOptions::new()
        .with_path_required(true)
        .with_ratchet_tree_extension(false)
        .with_allow_external_commit(true)
        .with_always_out_of_band_ratchet_tree(true);
    Client::builder()
        .crypto_provider(RustCryptoProvider::with_enabled_cipher_suites(vec![suite]))
        .identity_provider(Pseudonyms)
        .key_package_repo(key_packages)
        .mls_rules(DefaultMlsRules::new().with_commit_options(options))
        .extension_type(ExtensionType::new(APP_DATA_DICTIONARY))
        .custom_proposal_types([SELF_REMOVE, APP_DATA_UPDATE].map(ProposalType::new))
        .key_package_lifetime(std::time::Duration::from_secs(LIFETIME_DAYS * 86_400))
        .signing_identity(
            signing_identity(credential),
            SignatureSecretKey::from(private),
            suite,
        )
        .build()
}

impl Member {
    /// A user with one device and its slot for one group.
    pub(crate) fn new(home: &home::Home, number: u8) -> Self {
        let secret = |kind: u8| Secret32::new([number.wrapping_mul(16).wrapping_add(kind); 32]);
        let user_secret = UserSecret::new(secret(1));
        let client_secret = ClientSecret::new(secret(2));
        let client_key = SigningKey::from_seed(secret(3).expose());
        let account = SigningKey::from_seed(secret(4).expose());
        let uri = |path: String| {
            IdentifierUri::new(format!("mimi://{}/{path}", home.domain().as_str())).unwrap()
        };
        let client_credential = make_client_credential(
            &uri(format!("u/member{number}")),
            &uri(format!("d/member{number}")),
            &client_key,
            &account,
        )
        .unwrap();
        let slot = Slot::Group {
            user_secret_number: 0,
            hub_domain: home.domain(),
            group_id: GroupId([number; 16]),
            rejoin: 0,
        };
        let credential =
            make_credential(&home.domain(), &user_secret, &client_secret, &slot, 0).unwrap();
        let leaf_key = client_secret.leaf_key(&slot, 0).unwrap();
        let key_packages = InMemoryKeyPackageStorage::default();
        Self {
            hub: home.address(),
            domain: home.domain(),
            clock: home.clock(),
            rng: ChaCha20Rng::seed_from_u64(u64::from(number)),
            client_key,
            client_credential,
            user_key: user_secret.user_auth_key(&slot).unwrap(),
            stack: stack(&credential, &leaf_key, key_packages.clone()),
            leaf_key,
            credential,
            key_packages,
            group_id: GroupId([number; 16]),
            group: None,
            known: BTreeMap::new(),
            generation: 0,
            cursors: BTreeMap::new(),
            inbox: None,
            identified: true,
            asking: Vec::new(),
            heard: Vec::new(),
            lost: false,
        }
    }

    pub(crate) fn user_pseudonym(&self) -> IdentifierUri {
        self.credential.user_pseudonym.clone()
    }

    fn group(&self) -> &MlsGroup {
        self.group.as_ref().unwrap()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.group().current_epoch()
    }

    pub(crate) fn epoch_authenticator(&self) -> Vec<u8> {
        let secret = self.group().epoch_authenticator().unwrap();
        secret.as_bytes().to_vec()
    }

    pub(crate) fn is_member(&self) -> bool {
        self.group.is_some()
    }

    fn leaf(&self) -> u32 {
        self.group().current_member_index()
    }

    fn ear(&self) -> &EarKey {
        &self.known[&self.generation].ear
    }

    fn secret(&self) -> &GroupSecret {
        self.known[&self.generation].secret.as_ref().unwrap()
    }

    fn wrapper(&self) -> WrapperKey {
        self.secret().wrapper_key().unwrap()
    }

    fn access(&self) -> GroupAccess {
        GroupAccess {
            group_id: self.group_id,
            ear_key: self.ear().secret().duplicate(),
        }
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// This member's identity entry under a generation's key.
    fn own_entry(&mut self, wrapper: &WrapperKey, generation: u64) -> IdentityEntry {
        let link = make_identity_link(&self.client_key, &self.client_credential, &self.credential);
        let salt = Salt(self.random());
        let (id, own) = (self.group_id, &self.credential);
        seal_identity_entry(wrapper, generation, id, own, &link.unwrap(), salt).unwrap()
    }

    fn authentication(&mut self, body: &RequestBody, how: As, epoch: u64) -> Authentication {
        let now_s = self.clock.now_s();
        let freshness = Freshness {
            epoch,
            time_s: now_s - now_s % 60,
            nonce: Nonce(self.random()),
        };
        let hash = sha256(&encode(body).unwrap());
        let tbs = RequestTbs::new(self.domain.clone(), self.group_id, freshness, hash);
        let sign = |key: &SigningKey| key.sign_struct(REQUEST_LABEL, &tbs).unwrap();
        match how {
            As::Possession => Authentication::Possession,
            As::Epoch => Authentication::EpochMember {
                freshness,
                mac: SenderKey::new(sender_key(self.group())).mac(&tbs).unwrap(),
            },
            As::Leaf(leaf_index) => Authentication::Leaf {
                freshness,
                leaf_index,
                signature: sign(&self.leaf_key),
            },
            As::User(leaf_index) => Authentication::PseudonymousUser {
                freshness,
                leaf_index,
                leaf_signature: sign(&self.leaf_key),
                user_signature: sign(&self.user_key),
            },
            As::Joiner => Authentication::Joiner {
                freshness,
                signature_key: self.leaf_key.public(),
                signature: sign(&self.leaf_key),
            },
        }
    }

    /// One request over HTTP.
    async fn ask(&mut self, body: RequestBody, how: As, epoch: u64) -> ResponseBody {
        let auth = self.authentication(&body, how, epoch);
        let path = match &body {
            RequestBody::WelcomeInformation(_) => media::WELCOME_INFORMATION,
            RequestBody::InspectMembership(_) | RequestBody::ExternalCommitInformation(_) => {
                media::EXTERNAL_COMMIT_INFORMATION
            }
            RequestBody::ReadStreams(_) => media::STREAMS,
            RequestBody::OpenInbox(_) | RequestBody::ReadInbox(_) => media::INBOXES,
            _ => media::GROUP_OPERATION,
        };
        let request = DsRequest::free(body, auth).encode().unwrap();
        let answer = post(self.hub, path, &request).await;
        DsResponse::parse(&answer).unwrap().body
    }

    /// Says something to the group.
    pub(crate) async fn say(&mut self, text: &str) {
        let content = Bytes::new(text.as_bytes().to_vec()).unwrap();
        let content = encode(&MemberContent::Application(content)).unwrap();
        let group = self.group.as_mut().unwrap();
        let message = group
            .encrypt_application_message(&content, Vec::new())
            .unwrap();
        let ear = self.ear();
        let head = HeadAccess {
            group_id: self.group_id,
            locator: ear.locator("head").unwrap(),
            head_key: ear.head_key().unwrap().secret().duplicate(),
        };
        let message = Bytes::new(message.to_bytes().unwrap()).unwrap();
        let body = RequestBody::Send(SendMessage { head, message });
        let epoch = self.epoch();
        let answer = self.ask(body, As::Epoch, epoch).await;
        assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
    }
}

fn export(group: &MlsGroup, label: &str, context: &[u8]) -> Secret32 {
    let secret = group.export_secret(label.as_bytes(), context, 32).unwrap();
    Secret32::new(secret.as_bytes().try_into().unwrap())
}

fn sender_key(group: &MlsGroup) -> Secret32 {
    export(group, EXPORTER_SENDER, b"")
}

/// The secret of a generation that starts with this epoch.
fn group_secret(group: &MlsGroup, generation: u64) -> GroupSecret {
    let context = exporter_group_context(generation);
    GroupSecret::new(export(group, EXPORTER_GROUP, &context))
}
