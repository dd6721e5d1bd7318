//! Requests about accounts with anything in them, through the whole account service.
//!
//! As in `pipeline`: bytes as they are, a body that a registered device then signs, or a valid request
//! with some of its bytes replaced and signed again. The world is that of the service's own tests,
//! which panics where the service fails on its own data or an answer does not survive the wire.

// A part of it is used here.
#[allow(dead_code, unreachable_pub)]
#[path = "../../crates/accounts/tests/accounts/world.rs"]
mod world;

use crate::pipeline::patch;
use crate::script::Script;
use crate::types;
use sordino_accounts::Endpoint;
use sordino_effects::memory::MemoryStore;
use sordino_wire::{
    AccountRequestBody, List, ReadConnectionRequests, SettleConnectionRequests, encode, exact,
};
use std::cell::RefCell;
use world::{Person, WORK, World, asking, endpoint, handle, hash, sealed, unsigned};

/// Requests in one input.
const MAX_REQUESTS: usize = 6;

struct Scene {
    world: World,
    person: Person,
    /// Bodies, and whether a device signs them.
    valid: Vec<(Vec<u8>, bool)>,
    before: MemoryStore,
}

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new(WORK);
        let person = world.registered("ada");
        let newcomer = Person::new(&mut world, "ben");
        let admission = world.work(&newcomer);
        let device = person.device(&mut world);
        let replacement = person.replacement(&world::key(9), &[&person.phone]);
        let hashes = List::new(vec![hash(&sealed(1))]).unwrap();
        let read = ReadConnectionRequests { from: 0, wait_s: 0 };
        let bodies = [
            (newcomer.register(admission), true),
            (person.put(&device), true),
            (AccountRequestBody::ReplaceAccountKey(replacement), true),
            (
                AccountRequestBody::ReplaceConnectionKey(person.signed_key()),
                true,
            ),
            (AccountRequestBody::ReadAccount, true),
            (AccountRequestBody::ReadConnectionRequests(read), true),
            (
                AccountRequestBody::SettleConnectionRequests(SettleConnectionRequests { hashes }),
                true,
            ),
            (AccountRequestBody::LookUp(handle("ada")), false),
            (asking("ada", 1), false),
            (asking("nobody", 1), false),
            (AccountRequestBody::AdmissionTerms, false),
        ];
        let valid = bodies.iter();
        Self {
            valid: valid
                .map(|(body, signed)| (encode(body).unwrap(), *signed))
                .collect(),
            before: world.store.clone(),
            world,
            person,
        }
    }

    fn request(&mut self, script: &mut Script<'_>, kind: u8) -> (Endpoint, Vec<u8>) {
        let (mut bytes, signed) = match kind % 3 {
            2 => {
                let which = usize::from(script.below(u8::MAX)) % self.valid.len();
                self.valid[which].clone()
            }
            _ => {
                let length = script.number();
                (script.take(length.into()).to_vec(), kind & 0x40 != 0)
            }
        };
        if kind % 3 == 2 {
            patch(&mut bytes, script);
        }
        match exact::<AccountRequestBody>(&bytes) {
            Ok(body) if !kind.is_multiple_of(3) => {
                let endpoint = endpoint(&body);
                let request = if signed != (kind & 0x80 != 0) {
                    self.person.phone.bytes(&mut self.world, body)
                } else {
                    unsigned(body)
                };
                (endpoint, request)
            }
            _ if kind & 0x20 == 0 => (Endpoint::Accounts, bytes),
            _ => (Endpoint::ConnectionRequest, bytes),
        }
    }

    fn run(&mut self, bytes: &[u8]) {
        let mut script = Script::new(bytes);
        for _ in 0..MAX_REQUESTS {
            let Some(kind) = script.byte() else { break };
            let (endpoint, request) = self.request(&mut script, kind);
            self.world.handle(&request, endpoint);
            // The same again is answered or refused, not something worse.
            self.world.handle(&request, endpoint);
        }
        // A handle's entry is always well-formed, whatever became of the account.
        self.world.look_up("ada");
        self.world.store.clone_from(&self.before);
    }
}

pub(crate) fn run(bytes: &[u8]) {
    SCENE.with(|scene| {
        scene.borrow_mut().get_or_insert_with(Scene::new).run(bytes);
    });
}

/// Every valid request as it is, and one body of each kind, signed and not.
pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds: Vec<(String, Vec<u8>)> = (0..11)
        .map(|which| (format!("valid-{which}"), vec![2, which, 0]))
        .collect();
    for (name, bytes) in types::seeds() {
        if name.starts_with("AccountRequestBody-") {
            let body = &bytes[1..];
            let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
            for kind in [0x01, 0x41] {
                let seed = [&[kind], length.as_slice(), body].concat();
                seeds.push((format!("{name}-{kind:x}"), seed));
            }
        }
    }
    seeds
}
