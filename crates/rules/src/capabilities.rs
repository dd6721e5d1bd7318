//! Owns the one canonical content and order of capabilities and group context extensions.
//!
//! Invariant: two clients never differ in them, so they tell nothing about either.

use crate::policy::policy_of;
use openmls::credentials::{BasicCredential, Credential, CredentialType};
use openmls::extensions::{
    AppDataDictionary, AppDataDictionaryExtension, Extension, ExtensionType, Extensions,
    ExternalSender, RequiredCapabilitiesExtension,
};
use openmls::group::GroupContext;
use openmls::messages::proposals::ProposalType;
use openmls::prelude::Capabilities;
use openmls::versions::ProtocolVersion;
use openmls_traits::types::Ciphersuite;
use sordino_wire::{
    Domain, POLICY_COMPONENT, PSEUDONYMOUS_CREDENTIAL_TYPE, PolicySummary, Reject, SignatureKey,
};

/// The one cipher suite spoken so far.
pub const CIPHERSUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

const EXTENSIONS: [ExtensionType; 1] = [ExtensionType::AppDataDictionary];
const PROPOSALS: [ProposalType; 2] = [ProposalType::SelfRemove, ProposalType::AppDataUpdate];
const PSEUDONYMOUS: CredentialType = CredentialType::Other(PSEUDONYMOUS_CREDENTIAL_TYPE);
/// What members have.
const MEMBER_CREDENTIALS: [CredentialType; 1] = [PSEUDONYMOUS];
/// What members understand: their own, and the hub's as external sender (decision 0040).
const CREDENTIALS: [CredentialType; 2] = [PSEUDONYMOUS, CredentialType::Basic];

/// The capabilities of every leaf.
pub fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[CIPHERSUITE]),
        Some(&EXTENSIONS),
        Some(&PROPOSALS),
        Some(&CREDENTIALS),
    )
}

/// What every group requires.
pub fn required_capabilities() -> RequiredCapabilitiesExtension {
    RequiredCapabilitiesExtension::new(&EXTENSIONS, &PROPOSALS, &MEMBER_CREDENTIALS)
}

/// The extensions of a group's context: required capabilities, the hub as the one external sender,
/// the policy as the one component.
pub fn group_context_extensions(
    hub_domain: &Domain,
    hub_signature_key: &SignatureKey,
    policy: &PolicySummary,
) -> Result<Extensions<GroupContext>, Reject> {
    let hub = BasicCredential::new(hub_domain.as_str().as_bytes().to_vec());
    let sender = ExternalSender::new(hub_signature_key.as_slice().into(), Credential::from(hub));
    let mut dictionary = AppDataDictionary::new();
    let encoded = sordino_wire::encode(policy).map_err(|_| Reject::Malformed)?;
    dictionary.insert(POLICY_COMPONENT, encoded);
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required_capabilities()),
        Extension::ExternalSenders(vec![sender]),
        Extension::AppDataDictionary(AppDataDictionaryExtension::new(dictionary)),
    ])
    .map_err(|_| Reject::Malformed)
}

/// Checks the context of a new group and reads its policy. The policy itself is checked by
/// [`crate::check_policy`], which needs the members.
pub fn check_group_context(
    context: &GroupContext,
    hub_domain: &Domain,
    hub_signature_key: &SignatureKey,
) -> Result<PolicySummary, Reject> {
    let policy = policy_of(context.extensions())?;
    let canonical = group_context_extensions(hub_domain, hub_signature_key, &policy)?;
    let same = context.extensions() == &canonical
        && context.ciphersuite() == CIPHERSUITE
        && context.protocol_version() == ProtocolVersion::Mls10;
    if same {
        Ok(policy)
    } else {
        Err(Reject::InvalidGroupInfo)
    }
}
