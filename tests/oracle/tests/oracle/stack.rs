//! mls-rs, set up for groups of a hub: our credential, and an external client that watches.

use mls_rs::error::{IntoAnyError, MlsError};
use mls_rs::external_client::builder::{
    ExternalBaseConfig, WithCryptoProvider, WithIdentityProvider,
};
use mls_rs::external_client::{ExternalClient, ExternalGroup};
use mls_rs::group::ExportedTree;
use mls_rs::group::proposal::ProposalType;
use mls_rs::identity::{CredentialType, SigningIdentity};
use mls_rs::time::MlsTime;
use mls_rs::{ExtensionList, IdentityProvider, MlsMessage};
use mls_rs_core::extension::ExtensionType;
use mls_rs_core::identity::MemberValidationContext;
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use sordino_wire::{PSEUDONYMOUS_CREDENTIAL_TYPE, PseudonymousCredential, exact};

/// AppDataDictionary, of draft-ietf-mls-extensions.
pub(crate) const APP_DATA_DICTIONARY: u16 = 6;
/// AppDataUpdate, of draft-ietf-mls-extensions.
pub(crate) const APP_DATA_UPDATE: u16 = 8;
/// SelfRemove, of draft-ietf-mls-extensions.
pub(crate) const SELF_REMOVE: u16 = 10;

/// Our credential, for mls-rs.
#[derive(Clone, Debug)]
pub(crate) struct Pseudonyms;

/// A credential that is not ours, or not in order.
#[derive(Debug)]
pub(crate) struct NotOurs;

impl IntoAnyError for NotOurs {}

pub(crate) fn credential_of(identity: &SigningIdentity) -> Result<PseudonymousCredential, NotOurs> {
    let custom = identity.credential.as_custom().ok_or(NotOurs)?;
    if custom.credential_type() != CredentialType::new(PSEUDONYMOUS_CREDENTIAL_TYPE) {
        return Err(NotOurs);
    }
    exact(custom.data()).map_err(|_| NotOurs)
}

impl IdentityProvider for Pseudonyms {
    type Error = NotOurs;

    fn validate_member(
        &self,
        identity: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), NotOurs> {
        let credential = credential_of(identity)?;
        let key = identity.signature_key.as_bytes();
        sordino_crypto::check_credential(&credential, key).map_err(|_| NotOurs)
    }

    fn validate_external_sender(
        &self,
        identity: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), NotOurs> {
        identity.credential.as_basic().map(|_| ()).ok_or(NotOurs)
    }

    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, NotOurs> {
        let client = credential_of(identity)?.client_pseudonym;
        Ok(client.as_str().as_bytes().to_vec())
    }

    /// mls-rs asks this of an update, which may bring a new key, and of a resync, which may not. So
    /// what it accepts is an update; that a resync keeps its key is left to our rule.
    fn valid_successor(
        &self,
        old: &SigningIdentity,
        new: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, NotOurs> {
        let (old, new) = (credential_of(old)?, credential_of(new)?);
        Ok(old.client_pseudonym == new.client_pseudonym
            && old.user_pseudonym == new.user_pseudonym
            && old.user_auth_key == new.user_auth_key)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        // The second is the hub's, as external sender.
        vec![
            CredentialType::new(PSEUDONYMOUS_CREDENTIAL_TYPE),
            CredentialType::BASIC,
        ]
    }
}

type WatcherConfig =
    WithIdentityProvider<Pseudonyms, WithCryptoProvider<RustCryptoProvider, ExternalBaseConfig>>;

/// A group as mls-rs sees it from outside.
pub(crate) type Watched = ExternalGroup<WatcherConfig>;

pub(crate) fn watcher() -> ExternalClient<WatcherConfig> {
    ExternalClient::builder()
        .crypto_provider(RustCryptoProvider::default())
        .identity_provider(Pseudonyms)
        .extension_types([ExtensionType::new(APP_DATA_DICTIONARY)])
        .custom_proposal_types([APP_DATA_UPDATE, SELF_REMOVE].map(ProposalType::new))
        .build()
}

/// A GroupInfo as mls-rs wants it: as an MLSMessage.
pub(crate) fn group_info_message(group_info: &[u8]) -> MlsMessage {
    let wrapped = [&[0, 1, 0, 4], group_info].concat();
    MlsMessage::from_bytes(&wrapped).unwrap()
}

/// Begins to watch.
pub(crate) fn observe(group_info: &[u8], tree: &[u8]) -> Result<Watched, MlsError> {
    let tree = ExportedTree::from_bytes(tree)?;
    watcher().observe_group(group_info_message(group_info), Some(tree), None)
}
