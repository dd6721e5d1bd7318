//! Owns a look at a handshake's frame before openmls takes it apart.
//!
//! Invariant: what openmls makes of a handshake takes a bounded multiple of its bytes. A vector of
//! the smallest proposals takes a hundred times its bytes in memory, and so has a bound of its own.

use sordino_wire::limits::MAX_COMMIT_PROPOSALS_BYTES;
use tls_codec::{DeserializeBytes, VLBytes};

/// `SenderType` member and external: an index follows (RFC 9420, section 6).
const MEMBER: u8 = 1;
const EXTERNAL: u8 = 2;
/// `ContentType` commit.
const COMMIT: u8 = 3;

/// Whether a PublicMessage holds no more proposals than a commit may. What does not parse as far as
/// the proposals is left to openmls, which refuses it.
pub(super) fn has_few_proposals(message: &[u8]) -> bool {
    proposals_bytes(message).is_none_or(|bytes| bytes <= MAX_COMMIT_PROPOSALS_BYTES)
}

/// The authenticated data of a PublicMessage, where it parses as far as that.
pub(crate) fn authenticated_data(message: &[u8]) -> Option<VLBytes> {
    let (data, _) = after_sender(message)?;
    Some(data)
}

/// The size of a commit's vector of proposals.
fn proposals_bytes(message: &[u8]) -> Option<usize> {
    let (_, rest) = after_sender(message)?;
    let (content, rest) = take::<u8>(rest)?;
    if content != COMMIT {
        return None;
    }
    let (proposals, _) = take::<VLBytes>(rest)?;
    Some(proposals.as_slice().len())
}

/// The authenticated data, and what follows it.
fn after_sender(message: &[u8]) -> Option<(VLBytes, &[u8])> {
    // ProtocolVersion, WireFormat, group_id, epoch, sender, authenticated_data, content_type.
    let rest = take::<(u16, u16)>(message)?.1;
    let rest = take::<(VLBytes, u64)>(rest)?.1;
    let (sender, rest) = take::<u8>(rest)?;
    let rest = match sender {
        MEMBER | EXTERNAL => take::<u32>(rest)?.1,
        _ => rest,
    };
    take::<VLBytes>(rest)
}

fn take<T: DeserializeBytes>(bytes: &[u8]) -> Option<(T, &[u8])> {
    T::tls_deserialize_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sordino_wire::encode;

    fn commit(sender: &[u8], content: u8, proposals: usize) -> Vec<u8> {
        let mut out = vec![0, 1, 0, 1];
        out.extend(encode(&VLBytes::new(vec![7; 16])).unwrap());
        out.extend(5u64.to_be_bytes());
        out.extend(sender);
        out.extend(encode(&VLBytes::new(vec![9; 300])).unwrap());
        out.push(content);
        out.extend(encode(&VLBytes::new(vec![1; proposals])).unwrap());
        out
    }

    #[test]
    fn proposals_are_found_behind_every_sender() {
        for sender in [&[1, 0, 0, 0, 9][..], &[2, 0, 0, 0, 0], &[4]] {
            let bytes = commit(sender, COMMIT, 1_000);
            assert_eq!(proposals_bytes(&bytes), Some(1_000));
            let data = authenticated_data(&bytes).unwrap();
            assert_eq!(data.as_slice(), [9; 300]);
            for length in 0..bytes.len() - 1_000 {
                assert_eq!(proposals_bytes(&bytes[..length]), None);
                assert!(has_few_proposals(&bytes[..length]));
            }
        }
    }

    #[test]
    fn the_bound_is_for_commits() {
        let member = &[1, 0, 0, 0, 9];
        let most = MAX_COMMIT_PROPOSALS_BYTES;
        assert!(has_few_proposals(&commit(member, COMMIT, most)));
        assert!(!has_few_proposals(&commit(member, COMMIT, most + 1)));
        assert!(has_few_proposals(&commit(member, 1, most + 1)));
    }
}
