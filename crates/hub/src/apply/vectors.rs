//! The 200 epochs of `passive-client-random` through the functions that commits and proposals go
//! through here: parsing, place, MLS validation, record of a pending proposal, delta, merge,
//! snapshot, reload. What the whole pipeline says to the same messages is in `tests/hub/vectors.rs`.
//!
//! The other half are rules of ours that the history, made for basic credentials, cannot keep.
//! They are named and counted at the end, and nothing else is left out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails loudly"
)]

#[path = "../../tests/vectors/load.rs"]
#[allow(dead_code, reason = "the other vectors are read elsewhere")]
mod load;

use super::merge::{Staged, slim, stage, verify_group_info};
use super::proposals::{item, process};
use super::{check_place, parse_public, read_queued};
use crate::outcome::Refusal;
use crate::state::{Pending, PendingItem, PendingKind, ReadOnlyStorage, replay, store};
use crate::{Hub, HubConfig};
use load::{Epoch, Hex, History};
use openmls::framing::{MlsMessageBodyOut, ProcessedMessageContent};
use openmls::group::{GroupId as MlsGroupId, ProposalStore, PublicGroup};
use openmls::messages::group_info::{GroupInfo, VerifiableGroupInfo};
use openmls::messages::proposals::Proposal;
use openmls::prelude::{
    KeyPackage, KeyPackageBundle, MlsGroup, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProtocolVersion, RatchetTreeIn, StagedWelcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::StorageProvider as _;
use openmls_traits::types::SignatureScheme;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sordino_crypto::{IndexKey, OperatorKey, OuterKeys, SigningKey, WindowKeys};
use sordino_rules::{CommitView, check_key_package};
use sordino_wire::limits::{MAX_DELTAS, MAX_PENDING_PROPOSALS};
use sordino_wire::{Bytes, Domain, List, PartialGroupInfo, Reject, Secret32, SignatureKey, exact};
use std::collections::BTreeMap;
use tls_codec::{DeserializeBytes as _, Serialize as _};

/// A time within the lifetime of every KeyPackage of the history.
const NOW_S: u64 = 1_700_000_000;

fn hub() -> Hub {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let operator = OperatorKey::new(Secret32::new([1; 32]));
    let index = IndexKey::generate(&mut rng);
    let outer = OuterKeys::new(operator, Vec::new(), index, WindowKeys::new());
    let config = HubConfig::new(Domain::new("hub.example").unwrap());
    Hub::new(config, &SigningKey::from_seed(&[9; 32]), outer.into()).unwrap()
}

/// The member whose secrets the vectors tell.
struct Member {
    provider: OpenMlsRustCrypto,
    group: MlsGroup,
    signer: SignatureKeyPair,
}

fn message(bytes: &Hex) -> MlsMessageBodyIn {
    MlsMessageIn::tls_deserialize_exact_bytes(&bytes.0)
        .unwrap()
        .extract()
}

impl Member {
    fn join(history: &History) -> Self {
        let provider = OpenMlsRustCrypto::default();
        let MlsMessageBodyIn::KeyPackage(key_package) = message(&history.key_package) else {
            panic!("not a KeyPackage");
        };
        let key_package = key_package
            .validate(provider.crypto(), ProtocolVersion::Mls10)
            .unwrap();
        let reference = key_package.hash_ref(provider.crypto()).unwrap();
        let signer = SignatureKeyPair::from_raw(
            SignatureScheme::ED25519,
            history.signature_priv.0.clone(),
            key_package.leaf_node().signature_key().as_slice().to_vec(),
        );
        let bundle = bundle(&key_package, history);
        let storage = provider.storage();
        storage.write_key_package(&reference, &bundle).unwrap();
        let MlsMessageBodyIn::Welcome(welcome) = message(&history.welcome) else {
            panic!("not a Welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let group = StagedWelcome::build_from_welcome(&provider, &config, welcome)
            .unwrap()
            .skip_lifetime_validation()
            .build()
            .unwrap()
            .into_group(&provider)
            .unwrap();
        Self {
            provider,
            group,
            signer,
        }
    }

    fn group_info(&self) -> GroupInfo {
        let crypto = self.provider.crypto();
        let message = self
            .group
            .export_group_info(crypto, &self.signer, false)
            .unwrap();
        let MlsMessageBodyOut::GroupInfo(info) = message.body() else {
            panic!("not a GroupInfo");
        };
        info.clone()
    }

    /// What a hub is given to follow a group from here on.
    fn public_group(&self, hub: &Hub) -> PublicGroup {
        let info = self.group_info().tls_serialize_detached().unwrap();
        let info = VerifiableGroupInfo::tls_deserialize_exact_bytes(&info).unwrap();
        let tree = self.group.export_ratchet_tree();
        let tree = tree.tls_serialize_detached().unwrap();
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(&tree).unwrap();
        let storage = ReadOnlyStorage::default();
        let proposals = ProposalStore::new();
        PublicGroup::from_external(&hub.shared.crypto, &storage, tree, info, proposals)
            .unwrap()
            .0
    }

    fn follow(&mut self, epoch: &Epoch) {
        for bytes in epoch.proposals.iter().chain([&epoch.commit]) {
            let message = MlsMessageIn::tls_deserialize_exact_bytes(&bytes.0).unwrap();
            let message = message.try_into_protocol_message().unwrap();
            let processed = self.group.process_message(&self.provider, message).unwrap();
            match processed.into_content() {
                ProcessedMessageContent::ProposalMessage(queued) => {
                    let storage = self.provider.storage();
                    self.group.store_pending_proposal(storage, *queued).unwrap();
                }
                ProcessedMessageContent::StagedCommitMessage(staged) => {
                    self.group
                        .merge_staged_commit(&self.provider, *staged)
                        .unwrap();
                }
                _ => panic!("neither proposal nor commit"),
            }
        }
    }
}

/// openmls lets a bundle in through its serialisation alone.
fn bundle(key_package: &KeyPackage, history: &History) -> KeyPackageBundle {
    let key = |bytes: &Hex| {
        let key = openmls_traits::types::HpkePrivateKey::from(bytes.0.clone());
        serde_json::to_value(key).unwrap()
    };
    let value = serde_json::json!({
        "key_package": serde_json::to_value(key_package).unwrap(),
        "private_init_key": key(&history.init_priv),
        "private_encryption_key": { "key": key(&history.encryption_priv) },
    });
    serde_json::from_value(value).unwrap()
}

/// A group as the hub keeps it: a snapshot, deltas, pending proposals.
struct Kept {
    id: MlsGroupId,
    group: PublicGroup,
    snapshot: Vec<u8>,
    deltas: Vec<Vec<u8>>,
    items: Vec<PendingItem>,
}

impl Kept {
    fn epoch(&self) -> u64 {
        self.group.group_context().epoch().as_u64()
    }

    /// The group from its records; pending proposals beyond what a record holds go in by hand.
    fn reload(&self) -> PublicGroup {
        let (recorded, rest) = self
            .items
            .split_at(self.items.len().min(MAX_PENDING_PROPOSALS));
        let pending = Pending {
            items: List::new(recorded.to_vec()).unwrap(),
        };
        let deltas = self.deltas.iter().map(Vec::as_slice);
        let mut group = replay(&self.id, &self.snapshot, deltas, &pending).unwrap();
        for item in rest {
            let (_, queued) = read_queued(item.queued.as_slice()).unwrap();
            group
                .add_proposal(&ReadOnlyStorage::default(), queued)
                .unwrap();
        }
        group
    }

    fn stage(&self, hub: &Hub, bytes: &[u8]) -> Result<Staged, Reject> {
        let public = parse_public(bytes)?;
        check_place(&public, self.id.as_slice(), self.epoch())?;
        stage(&hub.shared, &self.group, public)
    }

    fn propose(&mut self, hub: &Hub, bytes: &[u8]) -> Result<(), Reject> {
        let public = parse_public(bytes)?;
        check_place(&public, self.id.as_slice(), self.epoch())?;
        let queued = process(&hub.shared, &self.group, public)?;
        let message = Bytes::new(bytes.to_vec()).unwrap();
        match item(PendingKind::Join, 0, message, &queued, None) {
            Ok(item) => self.items.push(item),
            Err(Refusal::Reject(reject)) => return Err(reject),
            Err(_) => panic!("a proposal that is no record"),
        }
        let storage = ReadOnlyStorage::default();
        self.group.add_proposal(&storage, queued).unwrap();
        Ok(())
    }

    fn merge(&mut self, mut staged: Staged) {
        self.deltas.push(slim(&mut staged.commit).unwrap());
        self.items.clear();
        let storage = ReadOnlyStorage::default();
        self.group.merge_commit(&storage, staged.commit).unwrap();
        if self.deltas.len() == MAX_DELTAS {
            self.snapshot = store(&self.group).unwrap();
            self.deltas.clear();
        }
    }
}

/// Where the parts of a commit end: the authenticated content with its signature, the confirmation
/// tag, the membership tag.
struct Parts {
    signed: usize,
    confirmation_tag: usize,
}

/// Both tags are 32 bytes with one byte of length.
fn parts(commit: &[u8]) -> Parts {
    Parts {
        signed: commit.len() - 66,
        confirmation_tag: commit.len() - 33,
    }
}

fn flipped(bytes: &[u8], at: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1 << (rng.next_u32() % 8);
    changed
}

/// How often a tampered commit is sent per epoch, beside those at chosen places.
const TAMPERED_PER_COMMIT: usize = 8;

#[derive(Default)]
struct Counts(BTreeMap<String, usize>);

impl Counts {
    fn add(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    #[track_caller]
    fn check(&self, expected: &[(&str, usize)]) {
        let expected: BTreeMap<String, usize> =
            expected.iter().map(|(k, v)| ((*k).into(), *v)).collect();
        assert_eq!(self.0, expected);
    }
}

#[track_caller]
fn refused<T>(result: Result<T, Reject>, counts: &mut Counts, what: &str) {
    let Err(reject) = result else {
        panic!("{what} was accepted");
    };
    let reject = match reject {
        Reject::WrongEpoch { .. } => "WrongEpoch".to_owned(),
        other => format!("{other:?}"),
    };
    counts.add(format!("{what}: {reject}"));
}

/// A commit or proposal that was changed on its way. Where the change is decides who notices.
fn tamper(kept: &Kept, hub: &Hub, commit: &[u8], rng: &mut ChaCha20Rng, counts: &mut Counts) {
    let parts = parts(commit);
    for _ in 0..TAMPERED_PER_COMMIT {
        let at = usize::try_from(rng.next_u64()).unwrap() % parts.signed;
        let changed = flipped(commit, at, rng);
        match kept.stage(hub, &changed) {
            Ok(_) => panic!("byte {at} of a commit does not matter"),
            Err(_) => counts.add("tampered content or signature: refused"),
        }
    }
    for (at, what) in [
        (parts.signed + 1, "confirmation tag"),
        (parts.confirmation_tag + 1, "membership tag"),
    ] {
        let changed = flipped(commit, at, rng);
        match kept.stage(hub, &changed) {
            Ok(_) => counts.add(format!("tampered {what}: not seen by MLS without secrets")),
            Err(_) => panic!("a {what} that can be checked without secrets"),
        }
    }
    for cut in [1, 33, commit.len() / 2] {
        let shorter = &commit[..commit.len() - cut];
        refused(kept.stage(hub, shorter), counts, "cut");
    }
    let longer = [commit, &[0]].concat();
    refused(kept.stage(hub, &longer), counts, "with a byte more");
}

/// What our rules say, beyond RFC 9420, to what MLS accepts.
fn rules(kept: &Kept, staged: &Staged, counts: &mut Counts) {
    let context = kept.group.group_context();
    let view = CommitView::from_staged(&staged.commit, &staged.sender, &staged.aad, context);
    let adds = staged.commit.add_proposals().count();
    let kind = match (adds, staged.commit.remove_proposals().count()) {
        (0, 0) => "update",
        (0, _) => "removal",
        _ => "Adds by members",
    };
    refused(view.map(|_| ()), counts, kind);
}

fn one_epoch(
    hub: &Hub,
    kept: &mut Kept,
    history: &History,
    at: usize,
    rng: &mut ChaCha20Rng,
    counts: &mut Counts,
    ours: &mut Counts,
) -> Staged {
    let epoch = &history.epochs[at];
    let commit = epoch.commit.0.as_slice();
    for other in [at.checked_sub(1), at.checked_add(1)] {
        let Some(other) = other.and_then(|other| history.epochs.get(other)) else {
            continue;
        };
        let result = kept.stage(hub, &other.commit.0);
        refused(result, counts, "replayed or too early");
        for proposal in &other.proposals {
            let result = kept.propose(hub, &proposal.0);
            refused(result, counts, "proposal replayed or too early");
        }
    }
    for (number, proposal) in epoch.proposals.iter().enumerate() {
        if number + 1 == epoch.proposals.len() {
            refused(kept.stage(hub, commit), counts, "a proposal is missing");
        }
        // The membership tag is the last part.
        let place = usize::try_from(rng.next_u64()).unwrap() % (proposal.0.len() - 33);
        let changed = flipped(&proposal.0, place, rng);
        assert!(kept.propose(hub, &changed).is_err(), "byte {place}");
        counts.add("tampered proposal: refused");
        kept.propose(hub, &proposal.0).unwrap();
        let (_, queued) = read_queued(kept.items[number].queued.as_slice()).unwrap();
        let Proposal::Add(add) = queued.proposal() else {
            panic!("a proposal that is no Add");
        };
        let checked = check_key_package(add.key_package(), NOW_S);
        refused(checked, ours, "KeyPackage");
        if number == MAX_PENDING_PROPOSALS {
            ours.add("epochs with more than 16 pending proposals");
        }
    }
    let before = store(&kept.group).unwrap();
    tamper(kept, hub, commit, rng, counts);
    assert!(store(&kept.group).unwrap() == before);

    let reloaded = kept.reload();
    assert!(store(&reloaded).unwrap() == before);
    // The commit is judged on what was written down, as in a request.
    kept.group = reloaded;
    let staged = kept.stage(hub, commit).unwrap();
    rules(kept, &staged, ours);
    staged
}

/// What a committer sends with a commit, here by the one member whose keys are known: it binds the
/// confirmation tag.
fn group_info(hub: &Hub, member: &Member, commit: &[u8], staged: &Staged, counts: &mut Counts) {
    let info = member.group_info();
    let extensions = info.extensions().tls_serialize_detached().unwrap();
    let signature = info.signature().tls_serialize_detached().unwrap();
    let partial = PartialGroupInfo {
        extensions: Bytes::new(extensions).unwrap(),
        signature: exact(&signature).unwrap(),
    };
    let key = SignatureKey::new(member.signer.public().to_vec()).unwrap();
    let signer = member.group.own_leaf_index().u32();
    let verify = |commit: &[u8]| {
        let public = parse_public(commit).unwrap();
        verify_group_info(&hub.shared, &partial, &public, &staged.commit, signer, &key)
    };
    verify(commit).unwrap();
    let mut other_tag = commit.to_vec();
    other_tag[parts(commit).signed + 1] ^= 1;
    refused(
        verify(&other_tag),
        counts,
        "tampered confirmation tag, with its GroupInfo",
    );
}

#[test]
fn two_hundred_epochs_are_followed_and_nothing_else_is() {
    let hub = hub();
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let (mut counts, mut ours) = (Counts::default(), Counts::default());
    for history in load::histories() {
        assert_eq!(history.cipher_suite, 1);
        let mut member = Member::join(&history);
        let authenticator = member.group.epoch_authenticator().as_slice();
        assert_eq!(authenticator, history.initial_epoch_authenticator.0);
        let group = member.public_group(&hub);
        let mut kept = Kept {
            id: group.group_id().clone(),
            snapshot: store(&group).unwrap(),
            group,
            deltas: Vec::new(),
            items: Vec::new(),
        };
        assert_eq!(kept.id.as_slice().len(), 32);
        for (at, epoch) in history.epochs.iter().enumerate() {
            let staged = one_epoch(
                &hub,
                &mut kept,
                &history,
                at,
                &mut rng,
                &mut counts,
                &mut ours,
            );
            member.follow(epoch);
            let commit = epoch.commit.0.as_slice();
            group_info(&hub, &member, commit, &staged, &mut counts);
            kept.merge(staged);
            counts.add("accepted");
            refused(kept.stage(&hub, commit), &mut counts, "sent again");
            let authenticator = member.group.epoch_authenticator().as_slice();
            assert_eq!(authenticator, epoch.epoch_authenticator.0);
            let theirs = member.group.public_group();
            assert!(kept.group.group_context() == theirs.group_context());
            assert!(kept.group.export_ratchet_tree() == theirs.export_ratchet_tree());
            assert!(kept.group.confirmation_tag() == theirs.confirmation_tag());
        }
        // Who begins here is where the hub has come to.
        assert!(store(&kept.group).unwrap() == store(&member.public_group(&hub)).unwrap());
    }
    // What becomes of every message that is not the next one.
    counts.check(&[
        ("accepted", 200),
        ("sent again: WrongEpoch", 200),
        ("replayed or too early: WrongEpoch", 398),
        ("a proposal is missing: InvalidCommit", 100),
        ("tampered content or signature: refused", 1600),
        ("cut: Malformed", 600),
        ("with a byte more: Malformed", 200),
        // The GroupInfo's signature binds the one, the request's signature the other.
        (
            "tampered confirmation tag: not seen by MLS without secrets",
            200,
        ),
        (
            "tampered confirmation tag, with its GroupInfo: InvalidGroupInfo",
            200,
        ),
        (
            "tampered membership tag: not seen by MLS without secrets",
            200,
        ),
        ("tampered proposal: refused", 1542),
        ("proposal replayed or too early: WrongEpoch", 3057),
    ]);
    // What our rules make impossible: basic credentials, proposals of Adds by members, more than 16
    // pending proposals, group ids of 32 bytes.
    ours.check(&[
        ("KeyPackage: InvalidCredential(NotPseudonymous)", 1542),
        ("Adds by members: InvalidCredential(NotPseudonymous)", 100),
        ("removal: InvalidCredential(NotPseudonymous)", 93),
        ("update: InvalidCredential(NotPseudonymous)", 7),
        ("epochs with more than 16 pending proposals", 48),
    ]);
}
