//! Requests of a real group's members with anything in them, through the whole pipeline.
//!
//! An input is a few requests, one after the other on one state: bytes as they are, a body that is
//! then signed as a member would, or a valid request of that group with some of its bytes replaced
//! and signed again. Nothing may panic, nothing may be a fault, and the group stays usable for who
//! has its keys.

use crate::script::Script;
use crate::types;
use sordino_benches::{BigGroup, Change, LocalHub, Saved, SendTemplate};
use sordino_hub::{Endpoint, Step};
use sordino_wire::{
    Authentication, DsRequest, DsResponse, GroupAccess, Reject, RequestBody, ResponseBody, encode,
    exact,
};
use std::cell::RefCell;

/// Requests in one input.
const MAX_REQUESTS: usize = 4;
/// Bytes replaced in one request.
const MAX_PATCHES: u8 = 6;
/// A user who is in the group with one device.
const USER: u32 = 1;

const ENDPOINTS: [Endpoint; 6] = [
    Endpoint::GroupOperation,
    Endpoint::WelcomeInformation,
    Endpoint::ExternalCommitInformation,
    Endpoint::Streams,
    Endpoint::Inboxes,
    Endpoint::GroupKeyPackages,
];

/// Who signs.
#[derive(Clone, Copy)]
enum Signer {
    Nobody,
    Leaf,
    Joiner,
    Epoch,
}

const SIGNERS: [Signer; 4] = [Signer::Leaf, Signer::Nobody, Signer::Joiner, Signer::Epoch];

/// A group of three at a hub, and valid requests to it.
struct World {
    hub: LocalHub,
    group: BigGroup,
    sender: SendTemplate,
    /// Bodies, and who signs them.
    valid: Vec<(Vec<u8>, Signer)>,
    before: Saved,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

impl World {
    fn new() -> Self {
        let mut hub = LocalHub::new();
        let mut group = BigGroup::blank(&mut hub, 1, 3);
        let mut valid = Vec::new();
        for change in [
            Change::Update,
            Change::Move,
            Change::Add(3..5),
            Change::Remove(vec![2]),
        ] {
            let request = group.build(&mut hub, &change);
            valid.push((body_of(&request), Signer::Leaf));
        }
        let (join, _) = group.build_join(USER);
        valid.push((body_of(&join), Signer::Joiner));
        let sender = group.message(64);
        valid.push((body_of(&sender.bare()), Signer::Epoch));
        let access = group.access();
        for (body, signer) in [
            (RequestBody::ConfirmKeys(copy(&access)), Signer::Leaf),
            (
                RequestBody::InspectMembership(copy(&access)),
                Signer::Nobody,
            ),
            (
                RequestBody::ExternalCommitInformation(access),
                Signer::Nobody,
            ),
        ] {
            valid.push((encode(&body).unwrap(), signer));
        }
        let before = hub.save();
        Self {
            hub,
            group,
            sender,
            valid,
            before,
        }
    }

    fn request(&mut self, script: &mut Script<'_>, kind: u8) -> (Endpoint, Vec<u8>) {
        if kind.is_multiple_of(3) {
            let endpoint = ENDPOINTS[usize::from(script.below(6))];
            let length = script.number();
            return (endpoint, script.take(length.into()).to_vec());
        }
        let (mut bytes, mut signer) = if kind % 3 == 1 {
            let signer = SIGNERS[usize::from(script.below(4))];
            let length = script.number();
            (script.take(length.into()).to_vec(), signer)
        } else {
            let which = usize::from(script.below(u8::MAX)) % self.valid.len();
            self.valid[which].clone()
        };
        if kind & 0x80 != 0 {
            signer = SIGNERS[usize::from(script.below(4))];
        }
        if kind % 3 == 2 {
            patch(&mut bytes, script);
        }
        let Ok(mut body) = exact::<RequestBody>(&bytes) else {
            return (Endpoint::GroupOperation, bytes);
        };
        if kind & 0x40 != 0 {
            aim(&mut body, &self.group.access());
        }
        if let RequestBody::Commit(commit) = &mut body {
            self.group.check_keys(commit);
        }
        let endpoint = ENDPOINTS.into_iter().find(|e| e.accepts(&body));
        let request = match signer {
            Signer::Leaf => self.group.signed(body),
            Signer::Joiner => self.group.signed_by_joiner(USER, body),
            Signer::Epoch => {
                self.sender.carry(body);
                self.sender.next(&mut rng())
            }
            Signer::Nobody => {
                let auth = Authentication::Possession;
                DsRequest { body, auth }.encode().unwrap()
            }
        };
        (endpoint.unwrap_or(Endpoint::GroupOperation), request)
    }

    fn run(&mut self, bytes: &[u8]) {
        let mut script = Script::new(bytes);
        for _ in 0..MAX_REQUESTS {
            let Some(kind) = script.byte() else { break };
            let (endpoint, request) = self.request(&mut script, kind);
            let answer = match self.hub.step(endpoint, &request) {
                Step::Answer(answer) | Step::Wait { answer, .. } => answer,
                Step::Failed { fault, .. } => panic!("a fault: {fault}"),
                Step::Commit(effects) => {
                    assert!(self.hub.keep(effects.changes), "nothing came first");
                    effects.reply
                }
            };
            let refused = matches!(&answer, ResponseBody::Rejected(_));
            let answer = DsResponse { body: answer }.encode().unwrap();
            assert!(DsResponse::parse(&answer).is_ok());
            if refused {
                // What is refused once is refused or answered again, not something worse.
                let again = self.hub.step(endpoint, &request);
                assert!(!matches!(again, Step::Failed { .. }));
            }
        }
        self.look();
        self.hub.restore(&self.before);
    }

    /// The state is there and whole, or a former key says that it has moved on.
    fn look(&mut self) {
        let body = RequestBody::InspectMembership(self.group.access());
        let auth = Authentication::Possession;
        let request = DsRequest { body, auth }.encode().unwrap();
        let step = self.hub.step(Endpoint::ExternalCommitInformation, &request);
        let Step::Answer(answer) = step else {
            panic!("the group cannot be looked at");
        };
        let moved = matches!(
            answer,
            ResponseBody::Rejected(Reject::UnknownGroup | Reject::WrongEpoch { .. })
        );
        assert!(
            moved || matches!(answer, ResponseBody::Membership(_)),
            "{answer:?}"
        );
    }
}

fn rng() -> rand_chacha::ChaCha20Rng {
    use rand_core::SeedableRng as _;
    thread_local! {
        static DRAWN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    // Another nonce each time.
    let drawn = DRAWN.with(|drawn| drawn.replace(drawn.get() + 1));
    rand_chacha::ChaCha20Rng::seed_from_u64(drawn)
}

fn copy(access: &GroupAccess) -> GroupAccess {
    GroupAccess {
        group_id: access.group_id,
        ear_key: access.ear_key.duplicate(),
    }
}

fn body_of(request: &[u8]) -> Vec<u8> {
    DsRequest::parse(request).unwrap().body_bytes.to_vec()
}

/// Replaces, inserts or drops bytes.
pub(crate) fn patch(bytes: &mut Vec<u8>, script: &mut Script<'_>) {
    for _ in 0..script.below(MAX_PATCHES) {
        let Some(last) = bytes.len().checked_sub(1) else {
            return;
        };
        let place = usize::from(script.number()) % (last + 1);
        let value = script.below(u8::MAX);
        match script.below(8) {
            0 => bytes.insert(place, value),
            1 => drop(bytes.remove(place)),
            2 => bytes.truncate(place),
            3 => bytes[place] ^= 1 << (value % 8),
            _ => bytes[place] = value,
        }
    }
}

/// Points a body at the group that is there.
fn aim(body: &mut RequestBody, access: &GroupAccess) {
    let target = match body {
        RequestBody::CreateGroup(request) => &mut request.access,
        RequestBody::Commit(request) => &mut request.access,
        RequestBody::Proposals(request) => &mut request.access,
        RequestBody::SendAsLeaf(request) => &mut request.access,
        RequestBody::Rekey(request) => &mut request.access,
        RequestBody::Reinitialise(request) => &mut request.access,
        RequestBody::ReportCommit(request) => &mut request.access,
        RequestBody::ConfirmKeys(access) => access,
        RequestBody::InspectMembership(access) => access,
        RequestBody::ExternalCommitInformation(access) => access,
        RequestBody::WelcomeInformation(request) => &mut request.access,
        _ => return,
    };
    *target = copy(access);
}

pub(crate) fn run(bytes: &[u8]) {
    WORLD.with(|world| {
        world.borrow_mut().get_or_insert_with(World::new).run(bytes);
    });
}

/// Every valid request as it is, and one body of each kind, aimed and signed.
pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds: Vec<(String, Vec<u8>)> = (0..9)
        .map(|which| (format!("valid-{which}"), vec![2, which, 0]))
        .collect();
    for (name, bytes) in types::seeds() {
        if name.starts_with("RequestBody-") {
            let body = &bytes[1..];
            let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
            let seed = [&[0x41, 0], length.as_slice(), body].concat();
            seeds.push((name, seed));
        }
    }
    seeds
}
