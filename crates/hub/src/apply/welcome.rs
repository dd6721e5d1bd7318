//! Owns what a commit that adds brings to those who come in by Welcome.
//!
//! Invariant: each added KeyPackage has its part of the Welcome, its key object and its inbox, and
//! was never used on this hub before. Never sees a key object's content.

use super::inbox;
use super::merge::Merged;
use crate::outcome::{Expectation, Put, Refusal};
use crate::reseal::Writer;
use crate::state::{Pending, PendingKind};
use openmls::framing::{MlsMessageBodyIn, MlsMessageIn};
use sordino_crypto::Space;
use sordino_effects::Records;
use sordino_wire::{CredentialRule, InboxAddress, InboxDelivery, Reject, WelcomeBundle};
use tls_codec::DeserializeBytes as _;

/// Checks the bundle against the Adds, marks the KeyPackages, fills the inboxes.
pub(crate) fn deliver_welcome(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    merged: &Merged,
    pending: &Pending,
    bundle: Option<&WelcomeBundle>,
) -> Result<(), Refusal> {
    let Some(bundle) = bundle else {
        return if merged.key_packages.is_empty() {
            Ok(())
        } else {
            Err(Reject::InvalidWelcome.into())
        };
    };
    check_bundle(merged, bundle)?;
    check_pending_inboxes(merged, pending, bundle)?;
    for (reference, last_day) in &merged.key_packages {
        mark_key_package(writer, records, reference, *last_day)?;
    }
    let deliveries: Vec<_> = bundle
        .joiners
        .iter()
        .map(|joiner| {
            let delivery = InboxDelivery::Welcome {
                welcome: bundle.welcome.clone(),
                key_object: joiner.key_object.clone(),
            };
            (joiner.inbox.clone(), delivery)
        })
        .collect();
    inbox::deliver_all(writer, records, &deliveries)
}

fn check_bundle(merged: &Merged, bundle: &WelcomeBundle) -> Result<(), Reject> {
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bundle.welcome.as_slice())
        .map_err(|_| Reject::InvalidWelcome)?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
        return Err(Reject::InvalidWelcome);
    };
    let secrets = welcome.secrets();
    let complete = secrets.len() == merged.key_packages.len()
        && bundle.joiners.len() == merged.key_packages.len()
        && !merged.key_packages.is_empty()
        && merged.key_packages.iter().all(|(reference, _)| {
            secrets
                .iter()
                .any(|s| s.new_member().as_slice() == reference.as_slice())
        });
    if complete {
        Ok(())
    } else {
        Err(Reject::InvalidWelcome)
    }
}

/// Who asked to be added gets its Welcome where it said.
fn check_pending_inboxes(
    merged: &Merged,
    pending: &Pending,
    bundle: &WelcomeBundle,
) -> Result<(), Refusal> {
    for item in pending
        .items
        .iter()
        .filter(|item| item.kind == PendingKind::Join)
    {
        let (reference, _) = super::read_queued(item.queued.as_slice())?;
        let served = |inbox: &InboxAddress| bundle.joiners.iter().any(|j| j.inbox == *inbox);
        if merged.committed.contains(&reference) && !item.inbox.as_ref().is_some_and(served) {
            return Err(Reject::InvalidWelcome.into());
        }
    }
    Ok(())
}

fn mark_key_package(
    writer: &mut Writer<'_, '_, '_>,
    records: &dyn Records,
    reference: &[u8],
    last_day: u32,
) -> Result<(), Refusal> {
    let key = writer
        .shared
        .outer
        .index()
        .blind(Space::KeyPackage, reference)?;
    if records.get(&key)?.is_some() {
        return Err(Reject::InvalidCredential(CredentialRule::KeyPackage).into());
    }
    writer.changes.expect.push((key, Expectation::Absent));
    let mut value = vec![0u8; 32];
    writer.env.rng.fill_bytes(&mut value);
    writer.changes.put.push(Put {
        key,
        value,
        expires_day: Some(last_day.saturating_add(1)),
    });
    Ok(())
}
