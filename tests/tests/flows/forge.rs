//! Surgery on commits: takes a PublicMessage with a commit apart, and signs it again where the
//! committer's own keys are enough.
//!
//! What it cannot make is a member's confirmation tag and membership tag for changed contents: they
//! take the epoch's secrets, which the library does not let out. An external commit has no
//! membership tag, so with one of those members get as far as decrypting the path.

use crate::support::{access, post};
use ed25519_dalek::Signer as _;
use openmls::group::{ProposalStore, PublicGroup};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{
    MlsMessageBodyIn, MlsMessageIn, OpenMlsProvider as _, ProcessedMessageContent, RatchetTreeIn,
};
use openmls_rust_crypto::{OpenMlsRustCrypto, RustCrypto};
use sordino_client::Group;
use sordino_client::raw::{HookContext, RequestHook};
use sordino_crypto::{SigningKey, sha256};
use sordino_wire::{
    Authentication, CommitRequest, DsRequest, DsResponse, ExternalCommitInformation,
    HandshakeBytes, KeyCheckTbs, PseudonymousCredential, RequestBody, ResponseBody, Secret32,
    SignatureBytes, SignatureKey, encode, exact, media,
};
use std::net::SocketAddr;
use std::sync::Arc;
use tls_codec::{DeserializeBytes as _, Serialize as _, VLBytes};

const CREDENTIAL_TYPE: [u8; 2] = sordino_wire::PSEUDONYMOUS_CREDENTIAL_TYPE.to_be_bytes();

/// What anybody with the group's key may ask the hub for.
pub async fn information(
    address: SocketAddr,
    group: &Group,
    ear_key: &Secret32,
) -> ExternalCommitInformation {
    let body = RequestBody::ExternalCommitInformation(access(group, ear_key));
    let auth = Authentication::Possession;
    let request = DsRequest::free(body, auth).encode().unwrap();
    let (status, answer) = post(address, media::EXTERNAL_COMMIT_INFORMATION, &request).await;
    assert_eq!(status, 200);
    match DsResponse::parse(&answer).unwrap().body {
        ResponseBody::ExternalCommitInformation(information) => information,
        other => panic!("refused: {other:?}"),
    }
}

/// Reads a message front to back.
struct Reader<'a> {
    whole: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn fixed(&mut self, length: usize) -> &'a [u8] {
        let taken = &self.whole[self.at..self.at + length];
        self.at += length;
        taken
    }

    /// The contents of an `opaque<V>`.
    fn vector(&mut self) -> &'a [u8] {
        let first = self.whole[self.at];
        let prefix = 1usize << (first >> 6);
        let mut length = usize::from(first & 0x3f);
        for byte in &self.whole[self.at + 1..self.at + prefix] {
            length = length << 8 | usize::from(*byte);
        }
        self.at += prefix;
        self.fixed(length)
    }
}

fn vector(contents: &[u8]) -> Vec<u8> {
    VLBytes::new(contents.to_vec())
        .tls_serialize_detached()
        .unwrap()
}

/// `SignWithLabel` of RFC 9420.
fn sign(key: &SigningKey, label: &str, content: &[u8]) -> Vec<u8> {
    let label = format!("MLS 1.0 {label}");
    let signed = [vector(label.as_bytes()), vector(content)].concat();
    let key = ed25519_dalek::SigningKey::from_bytes(&key.seed());
    key.sign(&signed).to_bytes().to_vec()
}

/// A commit, in parts.
pub struct Commit {
    /// Version, wire format, group id, epoch, sender.
    front: Vec<u8>,
    group_id: Vec<u8>,
    leaf_index: u32,
    pub aad: Vec<u8>,
    /// Content type, proposals, presence of the path.
    middle: Vec<u8>,
    path: Option<Path>,
    signature: Vec<u8>,
    pub confirmation_tag: Vec<u8>,
    membership_tag: Option<Vec<u8>>,
}

/// The path of a commit.
pub struct Path {
    encryption_key: Vec<u8>,
    pub signature_key: Vec<u8>,
    /// A serialised `PseudonymousCredential`.
    credential: Vec<u8>,
    /// From capabilities to extensions, as they are.
    leaf_rest: Vec<u8>,
    leaf_signature: Vec<u8>,
    /// The contents of the vector of nodes; they end in a sealed path secret.
    pub nodes: Vec<u8>,
}

impl Path {
    fn read(reader: &mut Reader<'_>) -> Self {
        let encryption_key = reader.vector().to_vec();
        let signature_key = reader.vector().to_vec();
        assert_eq!(reader.fixed(2), CREDENTIAL_TYPE);
        let credential = reader.vector().to_vec();
        let begins = reader.at;
        // Capabilities.
        for _ in 0..5 {
            reader.vector();
        }
        assert_eq!(reader.fixed(1), [3], "not the leaf of a commit");
        // The parent hash, the extensions.
        reader.vector();
        reader.vector();
        Self {
            encryption_key,
            signature_key,
            credential,
            leaf_rest: reader.whole[begins..reader.at].to_vec(),
            leaf_signature: reader.vector().to_vec(),
            nodes: reader.vector().to_vec(),
        }
    }

    fn leaf_without_signature(&self) -> Vec<u8> {
        [
            vector(&self.encryption_key),
            vector(&self.signature_key),
            CREDENTIAL_TYPE.to_vec(),
            vector(&self.credential),
            self.leaf_rest.clone(),
        ]
        .concat()
    }

    fn bytes(&self) -> Vec<u8> {
        [
            self.leaf_without_signature(),
            vector(&self.leaf_signature),
            vector(&self.nodes),
        ]
        .concat()
    }

    /// Another credential and its key in the leaf.
    pub fn replace_credential(&mut self, change: impl FnOnce(&mut PseudonymousCredential)) {
        let mut credential = exact(&self.credential).unwrap();
        change(&mut credential);
        self.signature_key = credential.signature_key.as_slice().to_vec();
        self.credential = encode(&credential).unwrap();
    }
}

impl Commit {
    pub fn parse(bytes: &[u8]) -> Self {
        let mut reader = Reader {
            whole: bytes,
            at: 0,
        };
        reader.fixed(4);
        let group_id = reader.vector().to_vec();
        reader.fixed(8);
        let is_member = reader.fixed(1) == [1];
        let leaf_index = if is_member {
            u32::from_be_bytes(reader.fixed(4).try_into().unwrap())
        } else {
            0
        };
        let front = bytes[..reader.at].to_vec();
        let aad = reader.vector().to_vec();
        let begins = reader.at;
        assert_eq!(reader.fixed(1), [3], "not a commit");
        reader.vector();
        let has_path = reader.fixed(1) == [1];
        let middle = bytes[begins..reader.at].to_vec();
        let parsed = Self {
            front,
            group_id,
            leaf_index,
            aad,
            middle,
            path: has_path.then(|| Path::read(&mut reader)),
            signature: reader.vector().to_vec(),
            confirmation_tag: reader.vector().to_vec(),
            membership_tag: is_member.then(|| reader.vector().to_vec()),
        };
        assert_eq!(reader.at, bytes.len());
        assert_eq!(parsed.bytes(), bytes);
        parsed
    }

    pub fn path(&mut self) -> &mut Path {
        self.path.as_mut().unwrap()
    }

    fn content(&self) -> Vec<u8> {
        let path = self.path.as_ref().map(Path::bytes).unwrap_or_default();
        [&self.front, &vector(&self.aad), &self.middle, &path]
            .map(|part| part.as_slice())
            .concat()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.content();
        bytes.extend(vector(&self.signature));
        bytes.extend(vector(&self.confirmation_tag));
        if let Some(tag) = &self.membership_tag {
            bytes.extend(vector(tag));
        }
        bytes
    }

    /// Signs the leaf of the path, as the leaf of a member.
    pub fn sign_leaf(&mut self, key: &SigningKey) {
        let (group_id, index) = (vector(&self.group_id), self.leaf_index.to_be_bytes());
        let path = self.path();
        let leaf = path.leaf_without_signature();
        let content = [leaf, group_id, index.to_vec()].concat();
        path.leaf_signature = sign(key, "LeafNodeTBS", &content);
    }

    /// Signs the message; the group context is the one that a GroupInfo begins with.
    pub fn sign_content(&mut self, key: &SigningKey, group_info: &[u8]) {
        let content = [&self.content(), group_context(group_info)].concat();
        self.signature = sign(key, "FramedContentTBS", &content);
    }
}

fn group_context(group_info: &[u8]) -> &[u8] {
    let mut reader = Reader {
        whole: group_info,
        at: 0,
    };
    reader.fixed(4);
    reader.vector();
    reader.fixed(8);
    for _ in 0..3 {
        reader.vector();
    }
    &group_info[..reader.at]
}

/// The group context that a hub computes from a commit, and the committer's leaf index in it;
/// nothing where MLS refuses the commit without having any secret.
fn next_context(
    information: &ExternalCommitInformation,
    commit: &[u8],
    key: &[u8],
) -> Option<(Vec<u8>, u32)> {
    let provider = OpenMlsRustCrypto::default();
    let tree = information.ratchet_tree.as_slice();
    let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree).unwrap();
    let info = information.group_info.as_slice();
    let info = VerifiableGroupInfo::tls_deserialize_exact_bytes(info).unwrap();
    let crypto = RustCrypto::default();
    let storage = provider.storage();
    let store = ProposalStore::new();
    let (mut group, _) = PublicGroup::from_external(&crypto, storage, tree, info, store).unwrap();
    let message = MlsMessageIn::tls_deserialize_exact_bytes(commit).ok()?;
    let MlsMessageBodyIn::PublicMessage(message) = message.extract() else {
        return None;
    };
    let processed = group.process_message(&crypto, message).ok()?;
    let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
        return None;
    };
    group.merge_commit(storage, *staged).unwrap();
    let context = group.group_context().tls_serialize_detached().unwrap();
    let committer = group.members().find(|member| member.signature_key == key)?;
    Some((context, committer.index.u32()))
}

/// Makes everything around a changed commit fit it: GroupInfo, KeyCheck.
fn fit(
    request: &mut CommitRequest,
    commit: &Commit,
    information: &ExternalCommitInformation,
    context: &HookContext<'_>,
) {
    let key = context.leaf_key.unwrap();
    let bytes = commit.bytes();
    if let Some((next, index)) = next_context(information, &bytes, key.public().as_slice()) {
        let content = [
            next,
            request.group_info.extensions.as_slice().to_vec(),
            vector(&commit.confirmation_tag),
            index.to_be_bytes().to_vec(),
        ]
        .concat();
        let signature = sign(key, "GroupInfoTBS", &content);
        request.group_info.signature = SignatureBytes::new(signature).unwrap();
    }
    request.key_check.commit_hash = sha256(&bytes);
    request.commit = HandshakeBytes::new(bytes).unwrap();
    sign_key_check(request, context);
}

pub fn sign_key_check(request: &mut CommitRequest, context: &HookContext<'_>) {
    let check = &mut request.key_check;
    let tbs = KeyCheckTbs {
        group_id: context.group_id,
        epoch: check.epoch,
        commit_hash: check.commit_hash,
        keys_hash: check.keys_hash,
    };
    let key = context.leaf_key.unwrap();
    check.signature = key.sign_struct("KeyCheck", &tbs).unwrap();
}

/// A hook that changes the next commit of a member whose leaf key stays, and signs everything that
/// the member can sign.
pub fn forging(
    information: ExternalCommitInformation,
    change: impl Fn(&mut Commit, &SigningKey) + Send + Sync + 'static,
) -> RequestHook {
    Arc::new(move |body, context| {
        let RequestBody::Commit(request) = body else {
            return;
        };
        if request.key_check.epoch != information.position.epoch + 1 {
            return;
        }
        let key = context.leaf_key.unwrap();
        let mut commit = Commit::parse(request.commit.as_slice());
        change(&mut commit, key);
        commit.sign_content(key, information.group_info.as_slice());
        fit(request, &commit, &information, context);
    })
}

/// A credential under a pseudonym of its own, correct in itself, for a leaf key.
pub fn other_pseudonym(old: &mut PseudonymousCredential, leaf_key: &SigningKey) {
    let user_key = SigningKey::from_seed(&[5; 32]);
    let domain = old.user_pseudonym.as_str().split('/').nth(2).unwrap();
    let domain = sordino_wire::Domain::new(domain).unwrap();
    old.user_pseudonym = sordino_crypto::user_pseudonym(&domain, &user_key.public()).unwrap();
    old.user_auth_key = user_key.public();
    old.signature_key = leaf_key.public();
    let tbs = sordino_wire::PseudonymousCredentialTbs {
        client_pseudonym: old.client_pseudonym.clone(),
        user_pseudonym: old.user_pseudonym.clone(),
        signature_key: old.signature_key.clone(),
        user_auth_key: old.user_auth_key.clone(),
    };
    old.user_auth_signature = user_key
        .sign_struct("PseudonymousCredential", &tbs)
        .unwrap();
}

/// The signature key of the leaf with a user pseudonym, as the hub's tree shows it to everybody.
pub fn leaf_key_of(information: &ExternalCommitInformation, user: &str) -> SignatureKey {
    let tree = information.ratchet_tree.as_slice();
    let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree).unwrap();
    let credentials = tree
        .leaves()
        .map(|leaf| exact(leaf.credential().serialized_content()).unwrap());
    credentials
        .filter(|credential: &PseudonymousCredential| credential.user_pseudonym.as_str() == user)
        .map(|credential| credential.signature_key)
        .next()
        .unwrap()
}
