//! Takes a PublicMessage with a commit apart, changes it, and signs it again with the committer's
//! leaf key.
//!
//! Nobody outside sees whether the two tags at the end are right, so hub and watcher get as far with
//! such a commit as with an honest one.

use openmls::group::GroupContext;
use sordino_crypto::SigningKey;
use tls_codec::{Serialize as _, VLBytes};

/// Reads front to back.
pub(crate) struct Reader<'a> {
    whole: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(whole: &'a [u8]) -> Self {
        Self { whole, at: 0 }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.whole.len()
    }

    pub(crate) fn fixed(&mut self, length: usize) -> &'a [u8] {
        let taken = &self.whole[self.at..self.at + length];
        self.at += length;
        taken
    }

    /// The contents of an `opaque<V>`.
    pub(crate) fn vector(&mut self) -> &'a [u8] {
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

pub(crate) fn vector(contents: &[u8]) -> Vec<u8> {
    VLBytes::new(contents.to_vec())
        .tls_serialize_detached()
        .unwrap()
}

/// `SignWithLabel` of RFC 9420.
pub(crate) fn sign(key: &SigningKey, label: &str, content: &[u8]) -> Vec<u8> {
    use ed25519_dalek::Signer as _;
    let label = format!("MLS 1.0 {label}");
    let signed = [vector(label.as_bytes()), vector(content)].concat();
    let key = ed25519_dalek::SigningKey::from_bytes(&key.seed());
    key.sign(&signed).to_bytes().to_vec()
}

/// A commit, in parts.
#[derive(Clone)]
pub(crate) struct Commit {
    pub(crate) group_id: Vec<u8>,
    pub(crate) epoch: u64,
    /// The committer's leaf; none for a new member.
    pub(crate) sender: Option<u32>,
    pub(crate) aad: Vec<u8>,
    /// The contents of the vector: ProposalOrRef after ProposalOrRef.
    pub(crate) proposals: Vec<u8>,
    pub(crate) path: Option<Path>,
    signature: Vec<u8>,
    pub(crate) confirmation_tag: Vec<u8>,
    membership_tag: Option<Vec<u8>>,
}

/// The path of a commit.
#[derive(Clone)]
pub(crate) struct Path {
    pub(crate) leaf: Leaf,
    pub(crate) nodes: Vec<Node>,
}

/// A node of a path.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) encryption_key: Vec<u8>,
    /// HPKECiphertexts, each in two vectors.
    pub(crate) sealed: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The leaf of a path.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) encryption_key: Vec<u8>,
    pub(crate) signature_key: Vec<u8>,
    credential_type: [u8; 2],
    credential: Vec<u8>,
    /// Versions, cipher suites, extensions, proposals, credentials.
    pub(crate) capabilities: [Vec<u8>; 5],
    pub(crate) source: u8,
    pub(crate) parent_hash: Vec<u8>,
    pub(crate) extensions: Vec<u8>,
    signature: Vec<u8>,
}

impl Leaf {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            encryption_key: reader.vector().to_vec(),
            signature_key: reader.vector().to_vec(),
            credential_type: reader.fixed(2).try_into().unwrap(),
            credential: reader.vector().to_vec(),
            capabilities: std::array::from_fn(|_| reader.vector().to_vec()),
            source: reader.fixed(1)[0],
            parent_hash: reader.vector().to_vec(),
            extensions: reader.vector().to_vec(),
            signature: reader.vector().to_vec(),
        }
    }

    fn content(&self) -> Vec<u8> {
        let capabilities = self.capabilities.iter().flat_map(|list| vector(list));
        [
            vector(&self.encryption_key),
            vector(&self.signature_key),
            self.credential_type.to_vec(),
            vector(&self.credential),
            capabilities.collect(),
            vec![self.source],
            vector(&self.parent_hash),
            vector(&self.extensions),
        ]
        .concat()
    }
}

impl Path {
    fn read(reader: &mut Reader<'_>) -> Self {
        let leaf = Leaf::read(reader);
        let mut list = Reader::new(reader.vector());
        let mut nodes = Vec::new();
        while !list.is_at_end() {
            let encryption_key = list.vector().to_vec();
            let mut ciphertexts = Reader::new(list.vector());
            let mut sealed = Vec::new();
            while !ciphertexts.is_at_end() {
                let output = ciphertexts.vector().to_vec();
                sealed.push((output, ciphertexts.vector().to_vec()));
            }
            nodes.push(Node {
                encryption_key,
                sealed,
            });
        }
        Self { leaf, nodes }
    }

    fn bytes(&self) -> Vec<u8> {
        let node = |node: &Node| {
            let sealed = node
                .sealed
                .iter()
                .flat_map(|(output, text)| [vector(output), vector(text)].concat());
            [
                vector(&node.encryption_key),
                vector(&sealed.collect::<Vec<u8>>()),
            ]
            .concat()
        };
        let nodes: Vec<u8> = self.nodes.iter().flat_map(node).collect();
        [
            self.leaf.content(),
            vector(&self.leaf.signature),
            vector(&nodes),
        ]
        .concat()
    }
}

impl Commit {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut reader = Reader::new(bytes);
        assert_eq!(reader.fixed(4), [0, 1, 0, 1], "not a PublicMessage");
        let group_id = reader.vector().to_vec();
        let epoch = u64::from_be_bytes(reader.fixed(8).try_into().unwrap());
        let sender = match reader.fixed(1)[0] {
            1 => Some(u32::from_be_bytes(reader.fixed(4).try_into().unwrap())),
            4 => None,
            other => panic!("a commit by sender {other}"),
        };
        let aad = reader.vector().to_vec();
        assert_eq!(reader.fixed(1), [3], "not a commit");
        let proposals = reader.vector().to_vec();
        let has_path = reader.fixed(1) == [1];
        let commit = Self {
            group_id,
            epoch,
            sender,
            aad,
            proposals,
            path: has_path.then(|| Path::read(&mut reader)),
            signature: reader.vector().to_vec(),
            confirmation_tag: reader.vector().to_vec(),
            membership_tag: sender.map(|_| reader.vector().to_vec()),
        };
        assert!(reader.is_at_end());
        assert!(commit.bytes() == bytes);
        commit
    }

    fn content(&self) -> Vec<u8> {
        let sender = match self.sender {
            Some(leaf) => [&[1][..], &leaf.to_be_bytes()].concat(),
            None => vec![4],
        };
        let path = match &self.path {
            Some(path) => [vec![1], path.bytes()].concat(),
            None => vec![0],
        };
        [
            vec![0, 1, 0, 1],
            vector(&self.group_id),
            self.epoch.to_be_bytes().to_vec(),
            sender,
            vector(&self.aad),
            vec![3],
            vector(&self.proposals),
            path,
        ]
        .concat()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let tags = [vector(&self.signature), vector(&self.confirmation_tag)].concat();
        let membership = self.membership_tag.as_deref().map(vector);
        [self.content(), tags, membership.unwrap_or_default()].concat()
    }

    /// Signs the leaf of the path for where the committer is, then the message.
    pub(crate) fn sign(&mut self, key: &SigningKey, leaf_index: u32, context: &GroupContext) {
        let place = [vector(&self.group_id), leaf_index.to_be_bytes().to_vec()].concat();
        if let Some(path) = &mut self.path {
            // A leaf with a lifetime is bound to no group.
            let place = if path.leaf.source == 1 {
                &[][..]
            } else {
                &place
            };
            let content = [&path.leaf.content(), place].concat();
            path.leaf.signature = sign(key, "LeafNodeTBS", &content);
        }
        let context = context.tls_serialize_detached().unwrap();
        let content = [self.content(), context].concat();
        self.signature = sign(key, "FramedContentTBS", &content);
    }
}
