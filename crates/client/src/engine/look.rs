//! Owns looking at a group from outside, without joining it.
//!
//! Invariant: the same checks as before joining; nothing is kept.

use crate::engine::state::parse;
use crate::engine::tree::tree;
use crate::entropy::Entropy;
use crate::error::{ClientError, Result, mls};
use crate::mls::Provider;
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{OpenMlsProvider, ProposalStore, PublicGroup};
use sordino_rules::{Members, check_group_context, check_tree};
use sordino_wire::{Domain, ExternalCommitInformation, GroupId, PolicySummary, SignatureKey};

/// What is to be seen.
pub(crate) struct Seen {
    pub(crate) members: Members,
    pub(crate) policy: PolicySummary,
}

/// Verifies GroupInfo and tree.
pub(crate) fn look(
    entropy: &Entropy,
    hub_domain: &Domain,
    hub_key: &SignatureKey,
    group_id: GroupId,
    information: &ExternalCommitInformation,
) -> Result<Seen> {
    let provider = Provider::new(entropy.clone());
    let info: VerifiableGroupInfo = parse(information.group_info.as_slice(), "no GroupInfo")?;
    if info.group_id() != &crate::mls::group_id(group_id) {
        return Err(ClientError::BadAnswer);
    }
    let (group, _) = PublicGroup::from_external(
        provider.crypto(),
        provider.storage(),
        tree(information.ratchet_tree.as_slice())?,
        info,
        ProposalStore::new(),
    )
    .map_err(mls("the tree is not valid"))?;
    let policy = check_group_context(group.group_context(), hub_domain, hub_key)
        .map_err(ClientError::NotAllowed)?;
    let members = Members::of_public_group(&group).map_err(ClientError::NotAllowed)?;
    check_tree(&members).map_err(ClientError::NotAllowed)?;
    Ok(Seen { members, policy })
}
