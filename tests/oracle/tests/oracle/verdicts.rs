//! What hub and watcher say to one commit, and which differences have a name.

use crate::attacks::{ATTACKS, Attack, Scene, Signed};
use crate::stack::Watched;
use crate::support::{Actor, Kind, Plan, World};
use crate::surgery::Commit;
use mls_rs::MlsMessage;
use mls_rs::time::MlsTime;
use openmls::prelude::{KeyPackage, OpenMlsProvider as _};
use rand_core::RngCore;
use sordino_hub::Endpoint;
use sordino_rules::{CIPHERSUITE, capabilities};
use sordino_wire::{Bytes, CommitRequest, Reject, RequestBody};
use tls_codec::Serialize as _;

/// What the hub says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hub {
    /// MLS refuses, or there is nothing to judge.
    Mls,
    /// MLS accepts and a rule refuses.
    Rule(String),
}

impl Hub {
    fn of(reject: Reject) -> Self {
        match reject {
            Reject::Malformed
            | Reject::PrivateHandshake
            | Reject::UnknownGroup
            | Reject::WrongEpoch { .. }
            | Reject::InvalidCommit => Self::Mls,
            rule => Self::Rule(format!("{rule:?}")),
        }
    }
}

/// One judgement: by the hub, and by mls-rs, whose error is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Verdicts {
    pub(crate) hub: Hub,
    pub(crate) watcher: Option<String>,
}

impl Verdicts {
    /// Alike: both refuse, or MLS accepts in both and the hub has a rule.
    pub(crate) fn agree(&self) -> bool {
        (self.hub == Hub::Mls) == self.watcher.is_some()
    }
}

/// mls-rs judges; the watched group stays as it is.
pub(crate) fn by_watcher(group: &Watched, now_s: u64, commit: &[u8]) -> Option<String> {
    let told = match MlsMessage::from_bytes(commit) {
        Err(error) => Err(error),
        Ok(message) => group
            .clone()
            .process_incoming_message_with_time(message, MlsTime::from(now_s)),
    };
    told.err().map(|error| {
        let text = format!("{error:?}");
        text.split(['(', ' ']).next().unwrap().to_owned()
    })
}

/// Both judge a request's commit.
#[track_caller]
pub(crate) fn judge(
    world: &mut World,
    group: &Watched,
    member: &Actor,
    kind: Kind,
    request: CommitRequest,
) -> Verdicts {
    let commit = request.commit.as_slice().to_vec();
    let signing = member.signing(world);
    let bytes = signing.bytes(world, kind, RequestBody::Commit(Box::new(request)));
    let reject = world.refused(&bytes, Endpoint::GroupOperation);
    Verdicts {
        hub: Hub::of(reject),
        watcher: by_watcher(group, world.now_s, &commit),
    }
}

fn key_package(actor: &Actor, world: &World, age_days: u64) -> Vec<u8> {
    let then_s = world.now_s - age_days * 86_400;
    let package = KeyPackage::builder()
        .leaf_node_capabilities(capabilities())
        .key_package_lifetime(sordino_rules::key_package_lifetime(then_s))
        .build(
            CIPHERSUITE,
            &actor.provider,
            &actor.leaf_key(),
            crate::support::credential_with_key(&actor.credential()),
        )
        .unwrap();
    let package = package.key_package().clone();
    package.tls_serialize_detached().unwrap()
}

/// An honest update of one member, changed by an attack, before hub and watcher.
pub(crate) fn attack(
    world: &mut World,
    group: &Watched,
    members: &mut [Actor],
    who: usize,
    other: usize,
    attack: Attack,
) -> Verdicts {
    let mut request = members[who].draft(world, &Plan::update());
    let newcomer = Actor::rejoining(world, 40, 0, 0);
    let scene = Scene {
        own: &members[who],
        other: &members[other],
        newcomer: key_package(&newcomer, world, 0),
        expired: key_package(&newcomer, world, 100),
        present: key_package(&members[other], world, 0),
    };
    let mut commit = Commit::parse(request.commit.as_slice());
    if attack(&mut commit, &scene) == Signed::Again {
        let own = &members[who];
        commit.sign(&own.leaf_key(), own.leaf(), own.context());
    }
    request.commit = Bytes::new(commit.bytes()).unwrap();
    let verdicts = judge(world, group, &members[who], Kind::Leaf, request);
    members[who].forget_commit();
    verdicts
}

impl Actor {
    /// A commit that was never sent.
    pub(crate) fn forget_commit(&mut self) {
        self.own = None;
        let storage = self.provider.storage();
        let group = self.group.as_mut().unwrap();
        group.clear_pending_commit(storage).unwrap();
    }
}

/// One of the attacks.
pub(crate) fn any_attack(rng: &mut dyn RngCore) -> (&'static str, Attack) {
    let chosen = usize::try_from(rng.next_u64() % 1_000_000).unwrap() % ATTACKS.len();
    ATTACKS[chosen]
}
