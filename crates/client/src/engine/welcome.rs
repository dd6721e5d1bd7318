//! Owns joining by a Welcome: KeyPackage, key object, tree and roster become a group.
//!
//! Invariant: the giver of the key object is the member it says it is, and the tree keeps every
//! rule, or there is no group.

use crate::engine::roster::open_roster;
use crate::engine::saved::Saved;
use crate::engine::state::{LoadedGroup, Step};
use crate::engine::tree::tree;
use crate::entropy::Entropy;
use crate::error::{ClientError, GroupStatus, Result, mls};
use crate::events::Event;
use crate::mls::{Provider, group_id, join_config, message};
use crate::records::{FORMAT, GenerationRecord, KeyPackageRecord, KeysRecord, StateRecord};
use openmls::prelude::{MlsMessageBodyIn, StagedWelcome, Welcome};
use sordino_crypto::{GroupSecret, check_key_object, open_key_object, sha256};
use sordino_rules::{Members, check_group_context, check_tree};
use sordino_wire::limits::{MAX_EPOCH_TOLERANCE, PADDING_FLOOR_BYTES};
use sordino_wire::{
    Digest, GroupKeyObject, IdentityRule, Membership, SealedKeyObject, SignatureKey, encode,
};

/// Reads a Welcome.
pub(crate) fn welcome(bytes: &[u8]) -> Result<Welcome> {
    match message(bytes)?.extract() {
        MlsMessageBodyIn::Welcome(welcome) => Ok(welcome),
        _ => Err(ClientError::Mls("not a Welcome")),
    }
}

/// What names the KeyPackages that a Welcome is for.
pub(crate) fn references(welcome: &Welcome) -> Result<Vec<Digest>> {
    welcome
        .secrets()
        .iter()
        .map(|secrets| Ok(sha256(&encode(&secrets.new_member())?)))
        .collect()
}

/// Opens the key object of a Welcome, with the KeyPackage's init key.
pub(crate) fn open_welcome_object(
    record: &KeyPackageRecord,
    welcome: &[u8],
    sealed: &SealedKeyObject,
) -> Result<GroupKeyObject> {
    let object = open_key_object(record.init_private_key.expose(), sealed)?;
    check_key_object(&object, sha256(welcome), record.init_public_key.as_slice())?;
    Ok(object)
}

/// Everything that a Welcome brings together.
pub(crate) struct Arrival<'a> {
    pub(crate) key_package: &'a KeyPackageRecord,
    pub(crate) welcome: &'a [u8],
    pub(crate) object: GroupKeyObject,
    pub(crate) membership: Membership,
    pub(crate) hub_key: &'a SignatureKey,
}

/// Joins.
pub(crate) fn join(
    entropy: &Entropy,
    step: &mut Step,
    arrival: Arrival<'_>,
) -> Result<LoadedGroup> {
    let object = arrival.object;
    let provider = Provider::load(entropy.clone(), &arrival.key_package.storage);
    let config = join_config(PADDING_FLOOR_BYTES, MAX_EPOCH_TOLERANCE);
    let staged = StagedWelcome::build_from_welcome(&provider, &config, welcome(arrival.welcome)?)
        .map_err(mls("the Welcome does not open"))?
        .with_ratchet_tree(tree(arrival.membership.ratchet_tree.as_slice())?)
        .skip_lifetime_validation()
        .build()
        .map_err(mls("the Welcome does not fit the tree"))?;
    let sender = staged
        .welcome_sender()
        .map_err(mls("nobody sent the Welcome"))?;
    let by_giver = sender.signature_key().as_slice() == object.giver_leaf_key.as_slice();
    let context = staged.group_context();
    let fits = context.group_id() == &group_id(object.group_id)
        && context.epoch().as_u64() == object.epoch
        && arrival.membership.position.epoch == object.epoch
        && arrival.membership.position.generation == object.generation;
    if !by_giver || !fits {
        return Err(ClientError::BadHandover);
    }
    let policy = check_group_context(context, &object.hub_domain, arrival.hub_key)
        .map_err(ClientError::NotAllowed)?;
    let group = staged
        .into_group(&provider)
        .map_err(mls("the group cannot be kept"))?;
    let members = Members::of_mls_group(&group).map_err(ClientError::NotAllowed)?;
    check_tree(&members).map_err(ClientError::NotAllowed)?;
    let secret = GroupSecret::new(object.group_secret.duplicate());
    let roster = &arrival.membership.roster;
    let opened = open_roster(
        &secret.wrapper_key()?,
        object.generation,
        object.group_id,
        &members,
        roster,
    )?;
    if policy.identities == IdentityRule::All {
        check_giver(&object, &members, &opened.identities)?;
    }
    let position = arrival.membership.position;
    let mut state = StateRecord::new(
        GroupStatus::Active,
        position.cursor,
        position.counter,
        step.now_s,
    );
    state.joined_epoch = object.epoch;
    state.identities = opened.identities;
    let mut loaded = LoadedGroup {
        keys: KeysRecord {
            format: FORMAT,
            hub_domain: object.hub_domain,
            group_id: object.group_id,
            slot: arrival.key_package.slot.clone(),
            rotation: 0,
            generations: vec![GenerationRecord {
                generation: object.generation,
                ear_key: secret.ear_key()?.secret().duplicate(),
                group_secret: Some(object.group_secret),
            }],
            invite_code: None,
        },
        state,
        provider,
        mls: Some(group),
        external: None,
        saved: Saved::default(),
    };
    loaded.fit_tolerance()?;
    for evidence in opened.evidence {
        step.events.push(loaded.evidence(evidence));
    }
    step.events.push(Event::Joined { group: loaded.id() });
    Ok(loaded)
}

/// The giver's leaf is in the group and resolves to the credential that signed the key object.
pub(crate) fn check_giver(
    object: &GroupKeyObject,
    members: &Members,
    identities: &[crate::records::IdentityRecord],
) -> Result<()> {
    let leaf = members
        .by_signature_key(&object.giver_leaf_key)
        .ok_or(ClientError::BadHandover)?;
    let hash = crate::engine::roster::credential_hash(&leaf.credential)?;
    let known = identities
        .iter()
        .find(|record| record.credential == hash)
        .ok_or(ClientError::BadHandover)?;
    if known.link.client_credential == object.giver_credential {
        Ok(())
    } else {
        Err(ClientError::BadHandover)
    }
}
