//! Owns external commits: joining from outside and coming back.
//!
//! Invariant: built on a scratch provider that becomes the group's only when the stream delivers
//! the commit; a lost race costs nothing. A resync uses the leaf key that is in the tree.

use crate::device::Leaf;
use crate::engine::commit_request::{Extras, FreshKeys, parts};
use crate::engine::process::Flow;
use crate::engine::roster::{credential_hash, open_roster};
use crate::engine::state::{LoadedGroup, Step, parse};
use crate::engine::tools::Tools;
use crate::engine::tree::{leaf_index, tree};
use crate::envelope::Signing;
use crate::error::{ClientError, GroupStatus, Result, mls};
use crate::events::{Event, Recovery};
use crate::mls::{Exporter, Provider, credential_with_key, join_config, protocol_message, signer};
use crate::records::{ExternalRecord, FORMAT, IdentityRecord};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{CommitMessageBundle, LeafNodeParameters, MlsGroup, OpenMlsProvider};
use sordino_crypto::sha256;
use sordino_rules::{Members, capabilities, check_group_context, check_tree};
use sordino_wire::limits::{MAX_EPOCH_TOLERANCE, PADDING_FLOOR_BYTES};
use sordino_wire::{
    COMMIT_AAD_FORMAT, ClientCredential, CommitAad, CommitIntent, CommitRequest, DeliveredCommit,
    Delivery, DeliveryEvent, Digest, ExternalCommitInformation, GenerationStep, IdentityEntry,
    IdentityRule, LeafOperation, LeafProof, List, RequestBody, SignatureKey, encode,
};
use tls_codec::VLBytes;

/// Former leaf keys that are looked for in the tree of a hub that went back in time.
const MAX_FORGOTTEN_ROTATIONS: usize = 64;

/// How somebody comes in.
#[derive(Clone, Debug)]
pub(crate) enum Entrance {
    /// A new device, with a sibling's proof.
    NewDevice(LeafProof),
    Invite(Digest),
    Open,
    /// As the person who was asked, by the id of the request.
    Connection(Box<Asked>),
    /// In place of the former leaf.
    Resync,
}

/// What somebody who was asked knows of the group that it enters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) request_id: Option<Digest>,
    /// Who asked: every leaf of the group must be this user's, one of them this device's.
    pub(crate) by: Option<ClientCredential>,
}

impl Entrance {
    fn code(&self) -> Option<Digest> {
        match self {
            Self::Invite(code) => Some(*code),
            _ => None,
        }
    }

    fn request_id(&self) -> Option<Digest> {
        match self {
            Self::Connection(asked) => asked.request_id,
            _ => None,
        }
    }

    /// Whether the joiner's identity entry comes with the commit.
    fn brings_identity(&self) -> bool {
        matches!(
            self,
            Self::NewDevice(_) | Self::Connection(_) | Self::Resync
        )
    }
}

impl Asked {
    /// The group holds who asked and nobody else, as its identity entries prove; another device of
    /// this user may have been quicker.
    fn check(&self, members: &Members, identities: &[IdentityRecord], own: &Leaf) -> Result<()> {
        let Some(by) = &self.by else {
            return Ok(());
        };
        let mut there = false;
        for member in members.iter() {
            if member.credential == own.credential {
                continue;
            }
            if member.credential.user_pseudonym == own.credential.user_pseudonym {
                return Err(ClientError::AlreadyMember);
            }
            let hash = credential_hash(&member.credential)?;
            let known = identities.iter().find(|record| record.credential == hash);
            let known = known.map(|record| &record.link.client_credential);
            let known =
                known.filter(|known| known.user == by.user && known.account_key == by.account_key);
            there |= known.ok_or(ClientError::IdentityMismatch)? == by;
        }
        if there {
            Ok(())
        } else {
            Err(ClientError::IdentityMismatch)
        }
    }
}

/// Where an external commit starts from.
struct Start {
    leaf: Leaf,
    rotation: u32,
    replaced: Option<u32>,
    aad: CommitAad,
}

impl LoadedGroup {
    /// Builds an external commit and notes it; the keys of `information`'s generation are known.
    pub(crate) fn build_external(
        &mut self,
        tools: &Tools<'_>,
        hub_key: &SignatureKey,
        entrance: &Entrance,
        information: &ExternalCommitInformation,
    ) -> Result<()> {
        if information.position.generation != self.generation()? {
            return Err(ClientError::BadAnswer);
        }
        let start = self.start(tools, entrance, information)?;
        let provider = Provider::new(tools.entropy.clone());
        let (group, bundle) = self.mls_external(&provider, &start, information)?;
        let policy =
            check_group_context(group.public_group().group_context(), self.domain(), hub_key)
                .map_err(ClientError::NotAllowed)?;
        let members = Members::of_mls_group(&group).map_err(ClientError::NotAllowed)?;
        check_tree(&members).map_err(ClientError::NotAllowed)?;
        let keys = self.external_keys(&provider, &group, &start.aad)?;
        let with_entry = entrance.brings_identity() && policy.identities == IdentityRule::All;
        let extras = Extras {
            entries: self.own_entry(tools, &keys, &start.leaf, with_entry)?,
            welcome: None,
        };
        let owes = !entrance.brings_identity() && policy.identities == IdentityRule::All;
        let identities = self.external_identities(
            tools,
            &members,
            information,
            &start.leaf,
            policy.identities == IdentityRule::All,
        )?;
        if let Entrance::Connection(asked) = entrance {
            asked.check(&members, &identities, &start.leaf)?;
        }
        let parts = parts(bundle)?;
        let epoch = information.position.epoch.saturating_add(1);
        let body = self.commit_request(
            CommitIntent::Apply,
            parts,
            &keys,
            epoch,
            &start.leaf,
            extras,
        )?;
        let next = self.next_generation(&keys)?;
        let record = ExternalRecord {
            format: FORMAT,
            commit_hash: sha256(body.commit.as_slice()),
            epoch: information.position.epoch,
            request: VLBytes::new(self.sign_external(tools, &start, body, information)?),
            mls: provider.dump(),
            next,
            identities,
            resync: u8::from(start.replaced.is_some()),
            owes_identity: u8::from(owes),
        };
        self.keys.rotation = start.rotation;
        self.state.cursor = information.position.cursor;
        self.state.counter = self.state.counter.max(information.position.counter);
        self.external = Some(record);
        Ok(())
    }

    fn start(
        &self,
        tools: &Tools<'_>,
        entrance: &Entrance,
        information: &ExternalCommitInformation,
    ) -> Result<Start> {
        let mut rotation = self.keys.rotation;
        let mut leaf = self.leaf(tools.device)?;
        let mut replaced = None;
        let mut proofs = Vec::new();
        match entrance {
            Entrance::Resync => {
                let found = self.find_own_leaf(tools, information)?;
                (rotation, leaf) = (found.rotation, found.leaf);
                let key = leaf.key.public();
                let operation = LeafOperation::Resync;
                proofs.push(self.leaf_proof(operation, &key, &leaf, found.index)?);
                replaced = Some(found.index);
            }
            Entrance::NewDevice(proof) => proofs.push(proof.clone()),
            Entrance::Invite(_) | Entrance::Open | Entrance::Connection(_) => {}
        }
        let secret_known = self.group_secret()?.is_some();
        // Who comes by link cannot keep the chain of wrapper keys, so it never moves what it enters.
        let due = !secret_known || self.generation_is_old(tools.time_s);
        let moves = entrance.brings_identity() && due;
        Ok(Start {
            leaf,
            rotation,
            replaced,
            aad: CommitAad {
                format: COMMIT_AAD_FORMAT,
                generation: information.position.generation,
                generation_step: if moves {
                    GenerationStep::Moves
                } else {
                    GenerationStep::Stays
                },
                proofs: List::new(proofs)?,
                invite_code: entrance.code(),
                request_id: entrance.request_id(),
            },
        })
    }

    /// The own leaf as it is in the tree: a rotation may have been applied of which this device never
    /// heard, and a hub that went back in time has forgotten some.
    fn find_own_leaf(
        &self,
        tools: &Tools<'_>,
        information: &ExternalCommitInformation,
    ) -> Result<OwnLeaf> {
        let current = self.keys.rotation;
        let former = (0..current).rev().take(MAX_FORGOTTEN_ROTATIONS);
        let unheard = current.checked_add(1);
        let candidates = [current].into_iter().chain(unheard).chain(former);
        for rotation in candidates {
            let leaf = self.leaf_at(tools.device, rotation)?;
            let tree = information.ratchet_tree.as_slice();
            if let Some(index) = leaf_index(tree, &leaf.key.public())? {
                return Ok(OwnLeaf {
                    rotation,
                    index,
                    leaf,
                });
            }
        }
        Err(ClientError::NotInGroup)
    }

    fn mls_external(
        &self,
        provider: &Provider,
        start: &Start,
        information: &ExternalCommitInformation,
    ) -> Result<(MlsGroup, CommitMessageBundle)> {
        let info: VerifiableGroupInfo = parse(information.group_info.as_slice(), "no GroupInfo")?;
        if info.group_id() != &crate::mls::group_id(self.id())
            || info.epoch().as_u64() != information.position.epoch
        {
            return Err(ClientError::BadAnswer);
        }
        let parameters = LeafNodeParameters::builder()
            .with_capabilities(capabilities())
            .build();
        MlsGroup::external_commit_builder()
            .with_config(join_config(PADDING_FLOOR_BYTES, MAX_EPOCH_TOLERANCE))
            .with_ratchet_tree(tree(information.ratchet_tree.as_slice())?)
            .with_aad(encode(&start.aad)?)
            .skip_lifetime_validation()
            .build_group(provider, info, credential_with_key(&start.leaf.credential)?)
            .map_err(mls("the group cannot be joined"))?
            .leaf_node_parameters(parameters)
            .load_psks(provider.storage())
            .map_err(mls("the commit cannot be started"))?
            .use_ratchet_tree_extension(false)
            .create_group_info(true)
            .build(
                provider.rand(),
                provider.crypto(),
                &signer(&start.leaf.key),
                |_| true,
            )
            .map_err(mls("the commit is not valid"))?
            .finalize(provider)
            .map_err(mls("the commit cannot be kept"))
    }

    fn external_keys(
        &self,
        provider: &Provider,
        group: &MlsGroup,
        aad: &CommitAad,
    ) -> Result<FreshKeys> {
        let crypto = provider.crypto();
        let secret = match aad.generation_step {
            GenerationStep::Moves => {
                Some(group.group_secret(crypto, self.generation()?.saturating_add(1))?)
            }
            GenerationStep::Stays => None,
        };
        Ok(FreshKeys {
            sender_key: group.sender_key(crypto)?,
            secret,
        })
    }

    fn own_entry(
        &self,
        tools: &Tools<'_>,
        keys: &FreshKeys,
        leaf: &Leaf,
        wanted: bool,
    ) -> Result<Vec<IdentityEntry>> {
        if !wanted {
            return Ok(Vec::new());
        }
        let after = self.after(keys)?;
        let link = tools.device.link(&leaf.credential)?;
        self.seal_entries(tools, &after, &[(&leaf.credential, link)])
    }

    /// Whom the roster names, where its keys are known, and this device itself.
    fn external_identities(
        &self,
        tools: &Tools<'_>,
        members: &Members,
        information: &ExternalCommitInformation,
        leaf: &Leaf,
        shown: bool,
    ) -> Result<Vec<IdentityRecord>> {
        let mut identities = self.state.identities.clone();
        if !shown {
            return Ok(identities);
        }
        if let Some(wrapper) = self.wrapper_key()? {
            let roster = &information.roster;
            let opened = open_roster(&wrapper, self.generation()?, self.id(), members, roster)?;
            identities = opened.identities;
        }
        let own = credential_hash(&leaf.credential)?;
        identities.retain(|record| record.credential != own);
        identities.push(IdentityRecord {
            credential: own,
            link: tools.device.link(&leaf.credential)?,
        });
        Ok(identities)
    }

    fn sign_external(
        &self,
        tools: &Tools<'_>,
        start: &Start,
        body: CommitRequest,
        information: &ExternalCommitInformation,
    ) -> Result<Vec<u8>> {
        let signing = match start.replaced {
            Some(index) => Signing::User {
                index,
                key: &start.leaf.key,
                user_key: &start.leaf.user_key,
            },
            None => Signing::Joiner {
                key: &start.leaf.key,
            },
        };
        let body = RequestBody::Commit(Box::new(body));
        let epoch = information.position.epoch;
        tools.seal(self, epoch, body, &signing, Some(&start.leaf.key))
    }

    /// An entry that is read while an external commit is on its way.
    pub(crate) fn await_external(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        delivery: &Delivery,
    ) -> Result<Flow> {
        let Some(external) = &self.external else {
            return Ok(Flow::On);
        };
        match &delivery.event {
            DeliveryEvent::Commit(commit) => {
                if sha256(commit.commit.as_slice()) == external.commit_hash {
                    return self.adopt_external(tools, step, commit);
                }
                let epoch = protocol_message(commit.commit.as_slice())
                    .map_or(external.epoch, |message| message.epoch().as_u64());
                if epoch >= external.epoch {
                    // Lost: whoever drives the join builds another one.
                    self.external = None;
                    return Ok(Flow::Stop);
                }
                Ok(Flow::On)
            }
            DeliveryEvent::Deleted => {
                self.external = None;
                self.state.status = GroupStatus::Deleted;
                step.events.push(Event::Deleted { group: self.id() });
                Ok(Flow::Stop)
            }
            _ => Ok(Flow::On),
        }
    }

    /// The external commit was delivered: the scratch group is the group.
    fn adopt_external(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        delivered: &DeliveredCommit,
    ) -> Result<Flow> {
        let Some(external) = self.external.take() else {
            return Ok(Flow::On);
        };
        self.provider = self.provider.successor(&external.mls);
        self.reload_mls()?;
        self.fit_tolerance()?;
        let resync = external.resync == 1;
        self.clear_epoch();
        self.state.last_own_commit = Some(external.commit_hash);
        self.state.status = GroupStatus::Active;
        self.state.joined_epoch = self.epoch()?;
        self.state.trouble.clear();
        self.state.asked = None;
        self.state.identities = external.identities;
        self.state.owes_identity = external.owes_identity;
        self.state.owes_rotation = u8::from(resync);
        let moved = external.next.is_some();
        if let Some(next) = external.next {
            self.enter_generation(step, next);
        }
        self.take_reissued(tools, step, delivered)?;
        self.settle_outbox(step)?;
        let group = self.id();
        step.events.push(if resync {
            Event::Recovered {
                group,
                how: Recovery::Resynced,
            }
        } else {
            Event::Joined { group }
        });
        step.events.push(Event::RosterChanged { group });
        Ok(if moved { Flow::Stop } else { Flow::On })
    }
}

struct OwnLeaf {
    rotation: u32,
    index: u32,
    leaf: Leaf,
}
