//! A second encoder, written from the struct layouts and sharing no code with `tls_codec`.
//!
//! It keeps the tree of a value, so that a test can write a length prefix in a form that is longer
//! than needed while every enclosing length stays right.

use sordino_wire::{Bytes, Domain, Handle, IdentifierUri, List, Secret32};

/// The tree of an encoded value.
pub enum Node {
    /// Bytes as they are: integers, discriminants, ids.
    Fixed(Vec<u8>),
    /// One after the other.
    Sequence(Vec<Node>),
    /// The same behind a length prefix.
    Vector(Vec<Node>),
}

/// A value that knows its tree.
pub trait Model {
    fn node(&self) -> Node;
}

impl Node {
    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, None, &mut 0);
        out
    }

    /// The number of length prefixes.
    pub fn prefixes(&self) -> usize {
        match self {
            Self::Fixed(_) => 0,
            Self::Sequence(parts) => parts.iter().map(Self::prefixes).sum(),
            Self::Vector(parts) => 1 + parts.iter().map(Self::prefixes).sum::<usize>(),
        }
    }

    /// The encoding with one prefix, counted from 0, in a form of `width` bytes. `None` where that
    /// form is not longer than the minimal one.
    pub fn encode_with_prefix_width(&self, which: usize, width: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.write(&mut out, Some((which, width)), &mut 0);
        let minimal = self.encode();
        (out.len() > minimal.len()).then_some(out)
    }

    fn write(&self, out: &mut Vec<u8>, target: Option<(usize, usize)>, seen: &mut usize) {
        match self {
            Self::Fixed(bytes) => out.extend_from_slice(bytes),
            Self::Sequence(parts) => parts.iter().for_each(|p| p.write(out, target, seen)),
            Self::Vector(parts) => {
                let mine = *seen;
                *seen += 1;
                let mut contents = Vec::new();
                for part in parts {
                    part.write(&mut contents, target, seen);
                }
                let wanted = target.and_then(|(which, width)| (which == mine).then_some(width));
                let width = minimal_width(contents.len()).max(wanted.unwrap_or(1));
                out.extend(prefix(contents.len(), width));
                out.extend(contents);
            }
        }
    }
}

fn minimal_width(length: usize) -> usize {
    match length {
        0..=63 => 1,
        64..=16_383 => 2,
        _ => 4,
    }
}

/// The prefix of RFC 9420 section 2.1.2 in 1, 2 or 4 bytes.
pub fn prefix(length: usize, width: usize) -> Vec<u8> {
    let length = u32::try_from(length).unwrap();
    match width {
        1 => vec![u8::try_from(length).unwrap()],
        2 => (u16::try_from(length).unwrap() | 0x4000)
            .to_be_bytes()
            .to_vec(),
        _ => (length | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

macro_rules! integer_model {
    ($($integer:ty),*) => {
        $(impl Model for $integer {
            fn node(&self) -> Node {
                Node::Fixed(self.to_be_bytes().to_vec())
            }
        })*
    };
}
integer_model!(u8, u16, u32, u64);

impl<const MIN: usize, const MAX: usize> Model for Bytes<MIN, MAX> {
    fn node(&self) -> Node {
        Node::Vector(vec![Node::Fixed(self.as_slice().to_vec())])
    }
}

impl<T: Model, const MAX: usize> Model for List<T, MAX> {
    fn node(&self) -> Node {
        Node::Vector(self.iter().map(Model::node).collect())
    }
}

impl<T: Model> Model for Option<T> {
    fn node(&self) -> Node {
        match self {
            None => Node::Fixed(vec![0]),
            Some(value) => Node::Sequence(vec![Node::Fixed(vec![1]), value.node()]),
        }
    }
}

impl<T: Model> Model for Box<T> {
    fn node(&self) -> Node {
        self.as_ref().node()
    }
}

impl Model for IdentifierUri {
    fn node(&self) -> Node {
        Node::Vector(vec![Node::Fixed(self.as_str().as_bytes().to_vec())])
    }
}

impl Model for Domain {
    fn node(&self) -> Node {
        Node::Vector(vec![Node::Fixed(self.as_str().as_bytes().to_vec())])
    }
}

impl Model for Handle {
    fn node(&self) -> Node {
        Node::Vector(vec![Node::Fixed(self.as_str().as_bytes().to_vec())])
    }
}

impl Model for Secret32 {
    fn node(&self) -> Node {
        Node::Fixed(self.expose().to_vec())
    }
}
