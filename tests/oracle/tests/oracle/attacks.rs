//! Commits that no honest client makes. Each is signed with all keys that its sender has, so that
//! what is judged is what it does.

use crate::support::Actor;
use crate::surgery::{Commit, vector};
use sordino_wire::{GenerationStep, encode, exact};
use tls_codec::Serialize as _;

/// What an attack may use.
pub(crate) struct Scene<'a> {
    /// The committer.
    pub(crate) own: &'a Actor,
    /// Another member, of another user.
    pub(crate) other: &'a Actor,
    /// KeyPackages as bytes: of a newcomer, of one whose time has passed, of the other member.
    pub(crate) newcomer: Vec<u8>,
    pub(crate) expired: Vec<u8>,
    pub(crate) present: Vec<u8>,
}

/// How an attack is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// Signed again.
    Again,
    /// As the change leaves it.
    NoMore,
}

/// Changes an honest update of a member. What it answers is how to send it.
pub(crate) type Attack = fn(&mut Commit, &Scene<'_>) -> Signed;

const BY_VALUE: u8 = 1;
const BY_REFERENCE: u8 = 2;

fn propose(commit: &mut Commit, kind: u16, body: &[u8]) -> Signed {
    commit.proposals.push(BY_VALUE);
    commit.proposals.extend(kind.to_be_bytes());
    commit.proposals.extend(body);
    Signed::Again
}

fn remove(commit: &mut Commit, leaf: u32) -> Signed {
    propose(commit, 3, &leaf.to_be_bytes())
}

fn psk(commit: &mut Commit, nonce: &[u8]) -> Signed {
    let id = [vec![1], vector(b"shared"), vector(nonce)].concat();
    propose(commit, 4, &id)
}

fn encryption_key(member: &Actor) -> Vec<u8> {
    let members = member.members();
    members.get(member.leaf()).unwrap().encryption_key.clone()
}

fn path(commit: &mut Commit) -> &mut crate::surgery::Path {
    commit.path.as_mut().unwrap()
}

fn context_extensions(own: &Actor) -> Vec<u8> {
    let extensions = own.context().extensions();
    extensions.tls_serialize_detached().unwrap()
}

fn flip(bytes: &mut [u8]) {
    bytes[0] ^= 1;
}

/// All of them, by name.
pub(crate) const ATTACKS: &[(&str, Attack)] = &[
    ("former epoch", |c, _| {
        c.epoch = c.epoch.wrapping_sub(1);
        Signed::Again
    }),
    ("later epoch", |c, _| {
        c.epoch += 1;
        Signed::Again
    }),
    ("another group", |c, _| {
        flip(&mut c.group_id);
        Signed::Again
    }),
    ("a group id that is longer", |c, _| {
        c.group_id.push(0);
        Signed::Again
    }),
    ("another's name", |c, s| {
        c.sender = Some(s.other.leaf());
        Signed::Again
    }),
    ("a sender that is not there", |c, _| {
        c.sender = Some(99);
        Signed::Again
    }),
    ("content changed, signature kept", |c, _| {
        path(c).nodes.clear();
        Signed::NoMore
    }),
    ("leaf changed, signature kept", |c, _| {
        flip(&mut path(c).leaf.encryption_key);
        Signed::NoMore
    }),
    ("confirmation tag changed", |c, _| {
        flip(&mut c.confirmation_tag);
        Signed::NoMore
    }),
    ("no path", |c, _| {
        c.path = None;
        Signed::Again
    }),
    ("path without its last node", |c, _| {
        path(c).nodes.pop();
        Signed::Again
    }),
    ("path with a node more", |c, _| {
        let node = path(c).nodes.last().cloned();
        path(c).nodes.extend(node);
        Signed::Again
    }),
    ("path with a ciphertext less", |c, _| {
        path(c).nodes[0].sealed.pop();
        Signed::Again
    }),
    ("path with a ciphertext more", |c, _| {
        let sealed = path(c).nodes[0].sealed.last().cloned();
        path(c).nodes[0].sealed.extend(sealed);
        Signed::Again
    }),
    ("path with another key in a node", |c, _| {
        flip(&mut path(c).nodes[0].encryption_key);
        Signed::Again
    }),
    ("path with the leaf's key in a node", |c, _| {
        path(c).nodes[0].encryption_key = path(c).leaf.encryption_key.clone();
        Signed::Again
    }),
    ("path with garbage for path secrets", |c, _| {
        for node in &mut path(c).nodes {
            for (output, text) in &mut node.sealed {
                flip(output);
                flip(text);
            }
        }
        Signed::Again
    }),
    ("leaf with another's encryption key", |c, s| {
        path(c).leaf.encryption_key = encryption_key(s.other);
        Signed::Again
    }),
    ("leaf with the old encryption key", |c, s| {
        path(c).leaf.encryption_key = encryption_key(s.own);
        Signed::Again
    }),
    ("leaf with another's signature key", |c, s| {
        path(c).leaf.signature_key = s.other.leaf_key().public().as_slice().to_vec();
        Signed::Again
    }),
    ("leaf with another parent hash", |c, _| {
        flip(&mut path(c).leaf.parent_hash);
        Signed::Again
    }),
    ("leaf without a parent hash", |c, _| {
        path(c).leaf.parent_hash.clear();
        Signed::Again
    }),
    ("leaf as of a KeyPackage", |c, _| {
        // The parent hash is read as a lifetime.
        path(c).leaf.source = 1;
        Signed::Again
    }),
    ("leaf that speaks no version", |c, _| {
        path(c).leaf.capabilities[0].clear();
        Signed::Again
    }),
    ("leaf that knows no cipher suite", |c, _| {
        path(c).leaf.capabilities[1].clear();
        Signed::Again
    }),
    ("leaf that knows no extension", |c, _| {
        path(c).leaf.capabilities[2].clear();
        Signed::Again
    }),
    ("leaf that knows no proposal", |c, _| {
        path(c).leaf.capabilities[3].clear();
        Signed::Again
    }),
    ("leaf that knows no credential", |c, _| {
        path(c).leaf.capabilities[4].clear();
        Signed::Again
    }),
    ("leaf that knows its own credential alone", |c, _| {
        path(c).leaf.capabilities[4].truncate(2);
        Signed::Again
    }),
    ("leaf that knows more", |c, _| {
        path(c).leaf.capabilities[2].extend([0xF0, 0x0D]);
        Signed::Again
    }),
    ("leaf that lists what all know", |c, _| {
        path(c).leaf.capabilities[2].extend([0, 1]);
        Signed::Again
    }),
    ("leaf with an extension that it does not know", |c, _| {
        path(c).leaf.extensions = vec![0xF0, 0x0D, 0];
        Signed::Again
    }),
    ("leaf with an extension that it knows", |c, _| {
        path(c).leaf.capabilities[2].extend([0xF0, 0x0D]);
        path(c).leaf.extensions = vec![0xF0, 0x0D, 0];
        Signed::Again
    }),
    ("an unknown reference", |c, _| {
        c.proposals.push(BY_REFERENCE);
        c.proposals.extend(vector(&[7; 32]));
        Signed::Again
    }),
    ("removal of nobody", |c, _| remove(c, 99)),
    ("removal of the committer", |c, s| remove(c, s.own.leaf())),
    ("removal of one member twice", |c, s| {
        remove(c, s.other.leaf());
        remove(c, s.other.leaf())
    }),
    ("removal beside the path of an update", |c, s| {
        remove(c, s.other.leaf())
    }),
    ("an Add beside the path of an update", |c, s| {
        let key_package = s.newcomer.clone();
        propose(c, 1, &key_package)
    }),
    ("an Add twice", |c, s| {
        propose(c, 1, &s.newcomer);
        propose(c, 1, &s.newcomer)
    }),
    ("an Add with a changed KeyPackage", |c, s| {
        let mut changed = s.newcomer.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        propose(c, 1, &changed)
    }),
    ("an Add whose time has passed", |c, s| {
        propose(c, 1, &s.expired)
    }),
    ("an Add of who is there", |c, s| propose(c, 1, &s.present)),
    ("an ExternalInit by a member", |c, _| {
        propose(c, 6, &vector(&[7; 32]))
    }),
    ("a ReInit", |c, _| {
        let body = [vector(&[8; 16]), vec![0, 1, 0, 1, 0]].concat();
        propose(c, 5, &body)
    }),
    ("a ReInit beside a removal", |c, s| {
        remove(c, s.other.leaf());
        let body = [vector(&[8; 16]), vec![0, 1, 0, 1, 0]].concat();
        propose(c, 5, &body)
    }),
    ("a PSK", |c, _| psk(c, &[7; 32])),
    ("a PSK twice", |c, _| {
        psk(c, &[7; 32]);
        psk(c, &[7; 32])
    }),
    ("a PSK with a short nonce", |c, _| psk(c, &[7; 16])),
    ("a PSK of another use", |c, s| {
        // Resumption, for a ReInit.
        let id = [
            vec![2, 2],
            vector(&s.own.group_id.0),
            0u64.to_be_bytes().to_vec(),
            vector(&[7; 32]),
        ];
        propose(c, 4, &id.concat())
    }),
    ("the same context extensions", |c, s| {
        propose(c, 7, &context_extensions(s.own))
    }),
    ("no context extensions", |c, _| propose(c, 7, &[0])),
    ("context extensions twice", |c, s| {
        propose(c, 7, &context_extensions(s.own));
        propose(c, 7, &context_extensions(s.own))
    }),
    ("a context extension that nobody knows", |c, _| {
        propose(c, 7, &[3, 0xF0, 0x0D, 0])
    }),
    ("a SelfRemove by value", |c, _| {
        propose(c, crate::stack::SELF_REMOVE, &[])
    }),
    ("a proposal type that nobody knows", |c, _| {
        propose(c, 0xF0F0, &vector(b"anything"))
    }),
    ("authenticated data of another generation", |c, s| {
        let mut aad = s.own.aad(false, Vec::new());
        aad.generation += 1;
        c.aad = encode(&aad).unwrap();
        Signed::Again
    }),
    ("authenticated data that moves the generation", |c, _| {
        let mut aad: sordino_wire::CommitAad = exact(&c.aad).unwrap();
        aad.generation_step = GenerationStep::Moves;
        c.aad = encode(&aad).unwrap();
        Signed::Again
    }),
    ("authenticated data of another kind", |c, _| {
        c.aad = b"hello".to_vec();
        Signed::Again
    }),
];
