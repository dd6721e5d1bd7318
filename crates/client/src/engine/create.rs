//! Owns the making of a new group.
//!
//! Invariant: what the hub is asked to keep has passed the same checks here.

use crate::device::domain_of;
use crate::engine::commit_request::message_bytes;
use crate::engine::roster::credential_hash;
use crate::engine::saved::Saved;
use crate::engine::state::{LoadedGroup, Step};
use crate::engine::tools::Tools;
use crate::envelope::Signing;
use crate::error::{ClientError, GroupStatus, Result, mls};
use crate::mls::{
    Exporter, Provider, credential_with_key, group_id as mls_group_id, message, signer,
};
use crate::records::{FORMAT, GenerationRecord, IdentityRecord, KeysRecord, StateRecord};
use crate::settings::GroupSettings;
use openmls::prelude::{
    MlsGroup, MlsMessageBodyIn, OpenMlsProvider, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
};
use sordino_crypto::{Slot, seal_identity_entry};
use sordino_rules::{
    CIPHERSUITE, capabilities, check_policy, group_context_extensions, key_package_lifetime,
};
use sordino_wire::{
    CreateGroup, Domain, GroupAccess, GroupId, GroupInfoBytes, IdentityRule, List, RequestBody,
    Salt, SignatureKey, TreeBytes, encode,
};

/// Where and as what a group is made.
pub(crate) struct Site<'a> {
    pub(crate) hub_domain: &'a Domain,
    pub(crate) hub_key: &'a SignatureKey,
    pub(crate) group_id: GroupId,
    pub(crate) slot: Slot,
}

/// Makes the group and the request that tells the hub.
pub(crate) fn create(
    tools: &Tools<'_>,
    step: &Step,
    site: Site<'_>,
    mut settings: GroupSettings,
) -> Result<(LoadedGroup, Vec<u8>)> {
    let provider = Provider::new(tools.entropy.clone());
    let domain = domain_of(&tools.device.credential().user)?;
    let leaf = tools.device.leaf(&domain, &site.slot, 0)?;
    if settings.creator_is_admin {
        settings.policy.admins = List::new(vec![leaf.credential.user_pseudonym.clone()])?;
    }
    settings.complete(tools.entropy.array());
    let policy = settings.policy;
    let extensions = group_context_extensions(site.hub_domain, site.hub_key, &policy)
        .map_err(ClientError::NotAllowed)?;
    let group = MlsGroup::builder()
        .with_group_id(mls_group_id(site.group_id))
        .ciphersuite(CIPHERSUITE)
        .with_wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(false)
        .max_past_epochs(usize::from(policy.epoch_tolerance))
        .lifetime(key_package_lifetime(step.now_s))
        .with_capabilities(capabilities())
        .with_group_context_extensions(extensions)
        .build(
            &provider,
            &signer(&leaf.key),
            credential_with_key(&leaf.credential)?,
        )
        .map_err(mls("the group cannot be made"))?;
    let secret = group.group_secret(provider.crypto(), 0)?;
    let mut loaded = LoadedGroup {
        keys: KeysRecord {
            format: FORMAT,
            hub_domain: site.hub_domain.clone(),
            group_id: site.group_id,
            slot: site.slot,
            rotation: 0,
            generations: vec![GenerationRecord {
                generation: 0,
                ear_key: secret.ear_key()?.secret().duplicate(),
                group_secret: Some(secret.secret().duplicate()),
            }],
            invite_code: settings.invite_code,
        },
        state: StateRecord::new(GroupStatus::Active, 0, 0, step.now_s),
        provider,
        mls: Some(group),
        external: None,
        saved: Saved::default(),
    };
    check_policy(&policy, &loaded.members()?).map_err(ClientError::NotAllowed)?;
    let mut entry = None;
    if policy.identities == IdentityRule::All {
        let link = tools.device.link(&leaf.credential)?;
        entry = Some(seal_identity_entry(
            &secret.wrapper_key()?,
            0,
            site.group_id,
            &leaf.credential,
            &link,
            Salt(tools.entropy.array()),
        )?);
        loaded.state.identities.push(IdentityRecord {
            credential: credential_hash(&leaf.credential)?,
            link,
        });
    }
    let signer = signer(&leaf.key);
    let body = RequestBody::CreateGroup(CreateGroup {
        access: GroupAccess {
            group_id: site.group_id,
            ear_key: secret.ear_key()?.secret().duplicate(),
        },
        sender_key: loaded.sender_key()?.secret().duplicate(),
        group_info: GroupInfoBytes::new(group_info(&loaded, &signer)?)?,
        ratchet_tree: TreeBytes::new(encode(&loaded.mls()?.export_ratchet_tree())?)?,
        identity_entry: entry,
    });
    let signing = Signing::Leaf {
        index: 0,
        key: &leaf.key,
    };
    let request = tools.seal(&loaded, 0, body, &signing, Some(&leaf.key))?;
    Ok((loaded, request))
}

/// GroupInfo without MLSMessage framing and without tree.
fn group_info(
    group: &LoadedGroup,
    signer: &openmls_basic_credential::SignatureKeyPair,
) -> Result<Vec<u8>> {
    let framed = group
        .mls()?
        .export_group_info(group.provider.crypto(), signer, false)
        .map_err(mls("no GroupInfo was made"))?;
    match message(&message_bytes(&framed)?)?.extract() {
        MlsMessageBodyIn::GroupInfo(info) => Ok(encode(&info)?),
        _ => Err(ClientError::Mls("no GroupInfo was made")),
    }
}
