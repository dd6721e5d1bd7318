//! The rules that hub and client both run on the same data: credentials, classification, policy.
//!
//! Owns: what a leaf, a KeyPackage, a tree, a proposal and a commit must look like beyond RFC 9420
//! (design pages 2.2 and 3.2). Invariant: nothing here trusts the hub or a member; a commit that no
//! row of the table names is refused. Never sees: a secret key, a clock, a store.
//!
//! How a commit is judged, before it is merged, by the hub and by every client:
//!
//! ```text
//! members = Members::of_public_group(&group)?            // or of_mls_group
//! policy  = policy_of(group.group_context().extensions())?
//! view    = CommitView::from_staged(&staged, sender, aad, group.group_context())?
//! check_no_repeats(commit)?
//! before  = Before { members, policy, generation, hub_domain, group_id, pending, now_s }
//! verdict = check_commit(&before, &view, intent)?
//! ```
//!
//! A client makes every leaf with [`capabilities`] and no extensions, every KeyPackage and every
//! new group with [`key_package_lifetime`] (whole days), every group with
//! [`group_context_extensions`]. All else is refused: it would tell clients apart.
//!
//! A commit with an AppDataUpdate is staged with what [`resolve_app_data`] answers, on both sides.
//! A proposal is judged by [`check_proposal`] before it is stored, a tree that somebody joins by
//! [`check_tree`], the context of a new group by [`check_group_context`].

mod aad;
mod capabilities;
mod check;
mod classify;
mod commit;
mod credential;
mod key_package;
mod leaves;
mod members;
mod policy;
mod proposal;
mod repeats;
mod rows;

pub use aad::{
    LEAF_PROOF_LABEL, ProofContext, is_vouched_for, leaf_proof_tbs, parse_commit_aad,
    verify_leaf_proof,
};
pub use capabilities::{
    CIPHERSUITE, capabilities, check_group_context, group_context_extensions, required_capabilities,
};
pub use check::{Before, Verdict, check_commit};
pub use classify::{Operation, RequiredAuth, classify};
pub use commit::{AddedLeaf, CommitSender, CommitView, CommittedProposal, Content, Origin};
pub use credential::{LeafView, check_leaf, credential_of};
pub use key_package::{check_key_package, check_lifetime, key_package_lifetime, set_lifetime};
pub use members::{Member, Members, check_tree};
pub use policy::{allows, check_policy, check_policy_change, policy_of, resolve_app_data};
pub use proposal::{PendingKind, PendingRef, check_proposal};
pub use repeats::check_no_repeats;

#[cfg(test)]
mod tests;
