//! External commits: new devices, invited people, connections, resyncs.

use super::actor::{Known, config, credential_with_key, parse, secret32};
use super::commit::{key_check, partial};
use super::{Actor, Kind, World, done};
use openmls::framing::{MlsMessageBodyIn, PublicMessageIn};
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{LeafNodeParameters, MlsGroup, RatchetTreeIn};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;
use sordino_crypto::{
    EXPORTER_GROUP, EXPORTER_SENDER, EarKey, GroupSecret, exporter_group_context, sha256, stream_id,
};
use sordino_rules::{LEAF_PROOF_LABEL, Members, ProofContext, capabilities, leaf_proof_tbs};
use sordino_wire::{
    Bytes, CommitAad, CommitIntent, CommitRequest, Digest, ExternalCommitInformation, GroupAccess,
    IdentityRule, LeafOperation, LeafProof, List, NextGeneration, NextKeys, RequestBody,
    ResponseBody, encode,
};
use tls_codec::{DeserializeBytes as _, Serialize as _};

/// Which way in.
#[derive(Clone)]
pub(crate) enum Way {
    /// With both signatures, the sibling's among them.
    NewDevice(LeafProof),
    Invite(Digest),
    Open,
    Connection,
    Resync,
}

/// An external commit with the group that it leads to.
pub(crate) struct External {
    pub(crate) request: CommitRequest,
    pub(crate) kind: Kind,
    /// The leaf that a resync replaces.
    pub(crate) replaced: Option<u32>,
    /// The epoch that it was made in.
    pub(crate) epoch: u64,
    pub(crate) group: MlsGroup,
    provider: OpenMlsRustCrypto,
    former: u64,
    next: Option<GroupSecret>,
    cursor: u64,
}

fn public(bytes: &[u8]) -> PublicMessageIn {
    match parse(bytes).extract() {
        MlsMessageBodyIn::PublicMessage(message) => message,
        _ => panic!("not a public message"),
    }
}

impl Actor {
    pub(crate) fn external_information(
        &self,
        world: &mut World,
        access: GroupAccess,
    ) -> ExternalCommitInformation {
        match world.ask(RequestBody::ExternalCommitInformation(access)) {
            ResponseBody::ExternalCommitInformation(information) => information,
            other => panic!("no information: {other:?}"),
        }
    }

    /// Builds an external commit through a sealing of the state.
    pub(crate) fn external(
        &mut self,
        world: &mut World,
        ear: &EarKey,
        way: &Way,
        moves: bool,
        self_removes: bool,
    ) -> External {
        let access = GroupAccess {
            group_id: self.group_id,
            ear_key: ear.secret().duplicate(),
        };
        let information = self.external_information(world, access);
        self.generation = information.position.generation;
        let info =
            VerifiableGroupInfo::tls_deserialize_exact_bytes(information.group_info.as_slice())
                .unwrap();
        let epoch = info.group_context().epoch().as_u64();
        let policy = sordino_rules::policy_of(info.group_context().extensions()).unwrap();
        let (aad, replaced) = self.external_aad(world, way, moves, &information);
        let proposals = if self_removes {
            let all = information.pending.iter();
            all.map(|p| public(p.proposal.as_slice())).collect()
        } else {
            Vec::new()
        };
        let tree = information.ratchet_tree.as_slice();
        let provider = OpenMlsRustCrypto::default();
        let leaf_key = self.leaf_key();
        let (group, bundle) = MlsGroup::external_commit_builder()
            .with_config(config())
            .with_aad(encode(&aad).unwrap())
            .with_proposals(proposals)
            .with_ratchet_tree(RatchetTreeIn::tls_deserialize_exact_bytes(tree).unwrap())
            .skip_lifetime_validation()
            .build_group(&provider, info, credential_with_key(&self.credential()))
            .unwrap()
            .leaf_node_parameters(
                LeafNodeParameters::builder()
                    .with_capabilities(capabilities())
                    .build(),
            )
            .load_psks(provider.storage())
            .unwrap()
            .create_group_info(true)
            .use_ratchet_tree_extension(false)
            .build(provider.rand(), provider.crypto(), &leaf_key, |_| true)
            .unwrap()
            .finalize(&provider)
            .unwrap();
        let former = information.position.generation;
        let export = |label: &str, context: &[u8]| {
            secret32(
                group
                    .export_secret(provider.crypto(), label, context, 32)
                    .unwrap(),
            )
        };
        let context = exporter_group_context(former + 1);
        let next = moves.then(|| GroupSecret::new(export(EXPORTER_GROUP, &context)));
        let sender_key = export(EXPORTER_SENDER, b"");

        let commit = bundle.commit().tls_serialize_detached().unwrap();
        let next_ear = next.as_ref().map(|secret| secret.ear_key().unwrap());
        let ear_after = next_ear.as_ref().unwrap_or(ear);
        let entries = if policy.identities == IdentityRule::None {
            Vec::new()
        } else {
            self.external_entries(world, way, former, next.as_ref())
        };
        let request = CommitRequest {
            access: GroupAccess {
                group_id: self.group_id,
                ear_key: ear.secret().duplicate(),
            },
            intent: CommitIntent::Apply,
            commit: Bytes::new(commit.clone()).unwrap(),
            group_info: partial(bundle.group_info().unwrap()),
            next: NextKeys {
                sender_key: sender_key.duplicate(),
                generation: next_ear.as_ref().map(|ear| NextGeneration {
                    ear_key: ear.secret().duplicate(),
                    wrapper: self.wrapper_from(former, next.as_ref().unwrap()),
                }),
            },
            key_check: key_check(
                &leaf_key,
                self.group_id,
                epoch + 1,
                &commit,
                ear_after,
                &sender_key,
            ),
            identity_entries: List::new(entries).unwrap(),
            welcome: None,
        };
        self.known.entry(former).or_insert_with(|| Known {
            ear: EarKey::new(ear.secret().duplicate()),
            secret: None,
        });
        External {
            request,
            kind: if matches!(way, Way::Resync) {
                Kind::User
            } else {
                Kind::Joiner
            },
            replaced,
            epoch,
            group,
            provider,
            former,
            next,
            cursor: information.position.cursor,
        }
    }

    fn wrapper_from(
        &self,
        former: u64,
        next: &GroupSecret,
    ) -> Option<sordino_wire::PreviousWrapper> {
        let secret = self.known.get(&former)?.secret.as_ref()?;
        let (old, new) = (secret.wrapper_key().unwrap(), next.wrapper_key().unwrap());
        Some(sordino_crypto::wrap_previous(&new, self.group_id, former, &old).unwrap())
    }

    fn external_aad(
        &self,
        world: &World,
        way: &Way,
        moves: bool,
        information: &ExternalCommitInformation,
    ) -> (CommitAad, Option<u32>) {
        let mut aad = self.aad(moves, Vec::new());
        let mut replaced = None;
        match way {
            Way::NewDevice(proof) => aad.proofs = List::new(vec![proof.clone()]).unwrap(),
            Way::Invite(code) => aad.invite_code = Some(*code),
            Way::Open | Way::Connection => {}
            Way::Resync => {
                let leaf = self.leaf_in(information);
                aad.proofs = List::new(vec![self.resync_proof(world, leaf)]).unwrap();
                replaced = Some(leaf);
            }
        }
        (aad, replaced)
    }

    /// The leaf with this actor's key, by the hub's tree.
    fn leaf_in(&self, information: &ExternalCommitInformation) -> u32 {
        let tree = information.ratchet_tree.as_slice();
        let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree).unwrap();
        let info =
            VerifiableGroupInfo::tls_deserialize_exact_bytes(information.group_info.as_slice())
                .unwrap();
        let provider = OpenMlsRustCrypto::default();
        let (group, _) = openmls::group::PublicGroup::from_external(
            provider.crypto(),
            provider.storage(),
            tree,
            info,
            openmls::group::ProposalStore::default(),
        )
        .unwrap();
        let members = Members::of_public_group(&group).unwrap();
        members
            .by_signature_key(&self.leaf_key().public())
            .unwrap()
            .index
    }

    fn resync_proof(&self, world: &World, leaf: u32) -> LeafProof {
        let context = ProofContext {
            hub_domain: &world.domain,
            group_id: self.group_id,
            generation: self.generation,
        };
        let key = self.leaf_key();
        let tbs = leaf_proof_tbs(&context, LeafOperation::Resync, &key.public());
        LeafProof {
            user_signature: self.user_key().sign_struct(LEAF_PROOF_LABEL, &tbs).unwrap(),
            sibling_leaf: leaf,
            sibling_signature: key.sign_struct(LEAF_PROOF_LABEL, &tbs).unwrap(),
        }
    }

    fn external_entries(
        &self,
        world: &mut World,
        way: &Way,
        former: u64,
        next: Option<&GroupSecret>,
    ) -> Vec<sordino_wire::IdentityEntry> {
        if matches!(way, Way::Invite(_) | Way::Open) {
            return Vec::new();
        }
        let (wrapper, generation) = match next {
            Some(secret) => (secret.wrapper_key().unwrap(), former + 1),
            None => {
                let secret = self.known[&former].secret.as_ref();
                (secret.unwrap().wrapper_key().unwrap(), former)
            }
        };
        vec![self.entry(world, &wrapper, generation, &self.credential())]
    }

    /// Sends an external commit; on success this actor is in.
    pub(crate) fn try_external(&mut self, world: &mut World, external: External) -> ResponseBody {
        let mut signing = self.signing(world);
        signing.epoch = external.epoch;
        signing.leaf_index = external.replaced.unwrap_or(0);
        let commit = external.request.commit.as_slice().to_vec();
        let External {
            request,
            kind,
            group,
            provider,
            former,
            next,
            cursor,
            ..
        } = external;
        let body = RequestBody::Commit(Box::new(request));
        let auth = signing.auth(world, kind, &body);
        let answer = world.send(body, auth);
        if !matches!(answer, ResponseBody::Done(_)) {
            return answer;
        }
        self.group = Some(group);
        self.provider = provider;
        self.pending.clear();
        self.own = None;
        self.stuck = None;
        self.joined_by = Some(sha256(&commit));
        self.generation = former;
        let key = self.known[&former].ear.delivery_key().unwrap();
        let id = stream_id(&key, &world.domain).unwrap();
        self.cursors.insert(id.0, cursor);
        if let Some(secret) = next {
            self.generation += 1;
            self.known.insert(self.generation, Known::of(secret));
        }
        self.sync(world);
        answer
    }

    /// Comes in by an external commit that must succeed.
    #[track_caller]
    pub(crate) fn come_in(&mut self, world: &mut World, ear: &EarKey, way: &Way, moves: bool) {
        let external = self.external(world, ear, way, moves, false);
        done(self.try_external(world, external));
    }

    /// Replaces its own leaf, with the keys that it knows.
    #[track_caller]
    pub(crate) fn resync(&mut self, world: &mut World, moves: bool) {
        let ear = EarKey::new(self.ear().secret().duplicate());
        self.come_in(world, &ear, &Way::Resync, moves);
    }
}
