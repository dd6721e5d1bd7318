//! Owns reading a ratchet tree before there is a group around it.
//!
//! Invariant: what is found here is only a hint where to look; MLS verifies the tree itself.

use crate::engine::state::parse;
use crate::error::{ClientError, Result};
use openmls::prelude::RatchetTreeIn;
use sordino_wire::{PseudonymousCredential, SignatureKey};
use tls_codec::Size as _;

/// The tree.
pub(crate) fn tree(bytes: &[u8]) -> Result<RatchetTreeIn> {
    parse(bytes, "the tree does not parse")
}

/// The index of the leaf with a signature key. openmls shows the nodes of an unverified tree
/// without their places, so the blank ones are counted in the encoding: `optional<Node> nodes<V>`.
pub(crate) fn leaf_index(bytes: &[u8], key: &SignatureKey) -> Result<Option<u32>> {
    let tree = tree(bytes)?;
    let malformed = || ClientError::Mls("the tree does not parse");
    let mut rest = bytes.get(prefix_bytes(bytes)..).ok_or_else(malformed)?;
    let mut nodes = tree.nodes();
    let mut position = 0u32;
    while let Some((presence, after)) = rest.split_first() {
        if *presence == 0 {
            rest = after;
        } else {
            let length = nodes.next().ok_or_else(malformed)?.tls_serialized_len();
            let node = after.get(..length).ok_or_else(malformed)?;
            let found = node
                .windows(key.as_slice().len())
                .any(|window| window == key.as_slice());
            if found && position.is_multiple_of(2) {
                return Ok(Some(position / 2));
            }
            rest = after.get(length..).ok_or_else(malformed)?;
        }
        position = position.checked_add(1).ok_or_else(malformed)?;
    }
    Ok(None)
}

/// The length of the vector's length prefix.
fn prefix_bytes(bytes: &[u8]) -> usize {
    match bytes.first().map(|first| first >> 6) {
        Some(0) => 1,
        Some(1) => 2,
        _ => 4,
    }
}

/// The credentials in an unverified tree, as they say.
pub(crate) fn people(tree: &RatchetTreeIn) -> Result<Vec<PseudonymousCredential>> {
    tree.leaves()
        .map(|leaf| Ok(sordino_wire::exact(leaf.credential().serialized_content())?))
        .collect()
}
