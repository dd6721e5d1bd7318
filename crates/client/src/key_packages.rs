//! Owns KeyPackages: what a device makes so that others can add it.
//!
//! Invariant: private parts and inbox are durable before the public part leaves the device; who may
//! answer to a KeyPackage is kept with it.

use crate::core::{Core, outcome};
use crate::device::domain_of;
use crate::error::{ClientError, Result, mls};
use crate::inbox::NewInbox;
use crate::mls::{Provider, credential_with_key, signer};
use crate::records::{FORMAT, KeyPackageRecord, Purpose, key_package_name};
use crate::transport::Endpoint;
use crate::vault::Batch;
use openmls::prelude::{KeyPackage, Lifetime, MlsMessageOut};
use sordino_crypto::{Slot, sha256};
use sordino_rules::{CIPHERSUITE, capabilities};
use sordino_wire::{
    Bytes, IdentifierUri, InboxAddress, KeyPackageEntry, OpenInbox, PseudonymousCredential,
    RequestBody, Secret32, encode, exact,
};
use tls_codec::{Serialize as _, VLBytes};

/// The user pseudonym in an entry, as it says.
pub(crate) fn pseudonym_of(entry: &KeyPackageEntry) -> Result<IdentifierUri> {
    let openmls::prelude::MlsMessageBodyIn::KeyPackage(unverified) =
        crate::mls::message(entry.key_package.as_slice())?.extract()
    else {
        return Err(ClientError::BadHandover);
    };
    let credential = unverified.unverified_credential().credential;
    let credential: PseudonymousCredential = exact(credential.serialized_content())?;
    Ok(credential.user_pseudonym)
}

/// A KeyPackage with everything around it.
pub(crate) struct Made {
    pub(crate) key_package: KeyPackage,
    pub(crate) key: sordino_crypto::SigningKey,
    pub(crate) entry: KeyPackageEntry,
}

impl Core {
    /// Makes a KeyPackage for a reserved slot, with an inbox of its own.
    pub(crate) async fn make_key_package(
        &self,
        slot: Slot,
        purpose: Purpose,
        lifetime: Lifetime,
    ) -> Result<Made> {
        let device = self.device();
        let domain = domain_of(&device.credential().user)?;
        let leaf = device.leaf(&domain, &slot, 0)?;
        let (key_package, record) = self.private_parts(&leaf, slot, purpose, lifetime)?;
        let mut inbox = self.new_inbox()?;
        let mut batch = Batch::default();
        let reference = key_package
            .hash_ref(&openmls_rust_crypto::RustCrypto::default())
            .map_err(mls("no KeyPackageRef"))?;
        let reference = sha256(&encode(&reference)?);
        inbox.record.key_package = Some(reference);
        batch.put(key_package_name(&reference), &record)?;
        self.keep_inbox(&mut batch, &inbox)?;
        self.open_inbox(&inbox).await?;
        let message = MlsMessageOut::from(key_package.clone());
        let bytes = message
            .tls_serialize_detached()
            .map_err(mls("a KeyPackage does not serialise"))?;
        Ok(Made {
            entry: KeyPackageEntry {
                key_package: Bytes::new(bytes)?,
                link: device.link(&leaf.credential)?,
                inbox: self.address(&inbox),
            },
            key: leaf.key,
            key_package,
        })
    }

    fn private_parts(
        &self,
        leaf: &crate::device::Leaf,
        slot: Slot,
        purpose: Purpose,
        lifetime: Lifetime,
    ) -> Result<(KeyPackage, KeyPackageRecord)> {
        let provider = Provider::new(self.entropy.clone());
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .key_package_lifetime(lifetime)
            .build(
                CIPHERSUITE,
                &provider,
                &signer(&leaf.key),
                credential_with_key(&leaf.credential)?,
            )
            .map_err(mls("the KeyPackage cannot be made"))?;
        let init: [u8; 32] = bundle
            .init_private_key()
            .as_ref()
            .try_into()
            .map_err(mls("an init key"))?;
        let key_package = bundle.key_package().clone();
        let record = KeyPackageRecord {
            format: FORMAT,
            slot,
            storage: provider.dump(),
            init_private_key: Secret32::new(init),
            init_public_key: VLBytes::new(key_package.hpke_init_key().as_slice().to_vec()),
            purpose,
        };
        Ok((key_package, record))
    }

    pub(crate) fn address(&self, inbox: &NewInbox) -> InboxAddress {
        InboxAddress {
            domain: self.hub_domain.clone(),
            inbox_id: inbox.id,
            hpke_key: inbox.public_key.clone(),
        }
    }

    /// Opens an inbox at the hub.
    pub(crate) async fn open_inbox(&self, inbox: &NewInbox) -> Result<()> {
        let body = RequestBody::OpenInbox(OpenInbox {
            inbox_id: inbox.id,
            hpke_key: inbox.public_key.clone(),
            last_day: inbox.record.last_day,
            deposit_hash: None,
        });
        let answer = self.ask(Endpoint::InboxOnce, body, 0).await?;
        outcome(answer)?.map_err(ClientError::Refused).map(|_| ())
    }
}
