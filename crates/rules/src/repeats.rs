//! Owns the one thing that a staged commit does not show: whether its message says something twice.
//!
//! Invariant: what passes names each proposal and each reference once. RFC 9420 (section 12.2) lets
//! no leaf be removed or added twice in a commit, and other implementations refuse one that does;
//! openmls keys proposals by their hash, so what is said twice is said once to it.

use openmls::framing::Sender;
use openmls::messages::proposals_in::ProposalIn;
use sordino_wire::Reject;
use std::collections::HashSet;
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize, VLBytes,
};

/// The content type of a commit.
const COMMIT: u8 = 3;

/// What stands before the content of a PublicMessage, with the head of its MLSMessage.
#[derive(TlsSize, TlsDeserializeBytes)]
struct Framing {
    _version: u16,
    _wire_format: u16,
    _group_id: VLBytes,
    _epoch: u64,
    _sender: Sender,
    _authenticated_data: VLBytes,
    content_type: u8,
}

#[derive(TlsSize, TlsSerialize, TlsDeserializeBytes)]
#[repr(u8)]
enum ProposalOrRef {
    #[tls_codec(discriminant = 1)]
    Proposal(Box<ProposalIn>),
    #[tls_codec(discriminant = 2)]
    Reference(VLBytes),
}

/// Refuses a commit that repeats a proposal or a reference. `message` is a PublicMessage in its
/// MLSMessage; what holds no commit passes.
pub fn check_no_repeats(message: &[u8]) -> Result<(), Reject> {
    let malformed = |_| Reject::Malformed;
    let (framing, content) = Framing::tls_deserialize_bytes(message).map_err(malformed)?;
    if framing.content_type != COMMIT {
        return Ok(());
    }
    let (proposals, _) = Vec::<ProposalOrRef>::tls_deserialize_bytes(content).map_err(malformed)?;
    let mut seen = HashSet::new();
    for proposal in proposals {
        if !seen.insert(proposal.tls_serialize_detached().map_err(malformed)?) {
            return Err(Reject::InvalidCommit);
        }
    }
    Ok(())
}
