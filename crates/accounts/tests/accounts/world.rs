//! The service, its store, its clock, and people with devices.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sordino_accounts::{Accounts, AccountsConfig, Endpoint, Registration, Step};
use sordino_crypto::{
    IndexKey, OperatorKey, OuterKeys, SigningKey, WindowKeys, check_proof_of_work, hpke_generate,
    make_account_deletion, make_account_key_change, make_client_credential, make_connection_key,
    sha256,
};
use sordino_effects::Env;
use sordino_effects::memory::{MemoryStore, Refused};
use sordino_wire::limits::CONNECTION_REQUEST_CIPHERTEXT_BYTES;
use sordino_wire::{
    ACCOUNT_REQUEST_LABEL, AccountAuthentication, AccountReject, AccountRequest,
    AccountRequestBody, AccountRequestTbs, AccountResponse, AccountResponseBody, AccountView,
    Admission, AdmissionTerms, Bytes, ClientCredential, Digest, Domain, Handle, HpkeKey,
    IdentifierUri, List, Nonce, PROTOCOL_VERSION, ProofOfWorkContent, ReadConnectionRequests,
    Register, ReplaceAccountKey, SealedConnectionRequest, Secret32, SendConnectionRequest,
    SettleConnectionRequests, SignedConnectionKey, StreamPage, encode,
};
use std::sync::Arc;

/// How often a request is handled again after a conflict.
const ATTEMPTS: usize = 4;
const START_S: u64 = 1_800_000_017;
/// Few, for tests.
pub(crate) const WORK: Registration = Registration::ProofOfWork { difficulty_bits: 4 };

pub(crate) struct World {
    pub(crate) accounts: Accounts,
    pub(crate) outer: Arc<OuterKeys>,
    pub(crate) store: MemoryStore,
    pub(crate) now_s: u64,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) domain: Domain,
}

impl World {
    pub(crate) fn new(registration: Registration) -> Self {
        let operator = OperatorKey::new(Secret32::new([3; 32]));
        Self::with_operator(registration, operator, Vec::new())
    }

    /// The same provider under another operator key.
    pub(crate) fn with_operator(
        registration: Registration,
        operator: OperatorKey,
        former: Vec<OperatorKey>,
    ) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let today = u32::try_from(START_S / 86_400).unwrap();
        let mut windows = WindowKeys::new();
        windows.ensure(&operator, today, 200, &mut rng).unwrap();
        let index = IndexKey::new(Secret32::new([4; 32]));
        let outer = Arc::new(OuterKeys::new(operator, former, index, windows));
        let domain = Domain::new("hub.example").unwrap();
        let config = AccountsConfig {
            domain: domain.clone(),
            registration,
        };
        Self {
            accounts: Accounts::new(config, outer.clone()).unwrap(),
            outer,
            store: MemoryStore::default(),
            now_s: START_S,
            rng,
            domain,
        }
    }

    /// Goes on with what another one has kept.
    pub(crate) fn continues(mut self, before: &Self) -> Self {
        self.store = before.store.clone();
        self.now_s = before.now_s;
        self
    }

    pub(crate) fn today(&self) -> u32 {
        u32::try_from(self.now_s / 86_400).unwrap()
    }

    /// Time passes; what has expired goes.
    pub(crate) fn pass_days(&mut self, days: u32) {
        self.now_s += u64::from(days) * 86_400;
        let today = self.today();
        self.store.expire(today);
    }

    /// One step against the store as it is.
    pub(crate) fn step(&mut self, bytes: &[u8], endpoint: Endpoint) -> Step {
        let mut env = Env {
            now_s: self.now_s,
            rng: &mut self.rng,
        };
        self.accounts.handle(bytes, endpoint, &self.store, &mut env)
    }

    /// A request the way a server handles it: again after a conflict.
    pub(crate) fn handle(&mut self, bytes: &[u8], endpoint: Endpoint) -> AccountResponseBody {
        for _ in 0..ATTEMPTS {
            match self.step(bytes, endpoint) {
                Step::Answer(answer) | Step::Wait { answer, .. } => return through_wire(answer),
                Step::Failed { fault, .. } => panic!("the service failed: {fault}"),
                Step::Commit(effects) => match self.store.apply(effects.changes) {
                    Ok(()) => return through_wire(effects.reply),
                    Err(Refused::Conflict | Refused::Replayed) => {}
                },
            }
        }
        panic!("a conflict that does not go away");
    }

    /// Sends a request that nobody signs.
    pub(crate) fn ask(&mut self, body: AccountRequestBody) -> AccountResponseBody {
        let endpoint = endpoint(&body);
        let bytes = unsigned(body);
        self.handle(&bytes, endpoint)
    }

    /// Sends bytes that must be refused and must change nothing.
    #[track_caller]
    pub(crate) fn refused(&mut self, bytes: &[u8], endpoint: Endpoint) -> AccountReject {
        let before = self.store.clone();
        let answer = self.handle(bytes, endpoint);
        assert!(self.store == before, "a refusal changed something");
        match answer {
            AccountResponseBody::Rejected(reject) => reject,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(crate) fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; 16];
        self.rng.fill_bytes(&mut nonce);
        Nonce(nonce)
    }

    /// An invitation that is good for some days.
    pub(crate) fn invitation(&mut self, days: u32) -> Admission {
        let last_day = self.today() + days;
        let keys = self.outer.admission_keys().unwrap();
        let code = keys[0].make_invitation(last_day, &mut self.rng).unwrap();
        Admission::Invitation(Bytes::new(code).unwrap())
    }

    /// Work that is asked for now.
    pub(crate) fn work(&mut self, person: &Person) -> Admission {
        let terms = self.ask(AccountRequestBody::AdmissionTerms);
        let AccountResponseBody::AdmissionTerms(AdmissionTerms::ProofOfWork {
            challenge,
            difficulty_bits,
        }) = terms
        else {
            panic!("no work is asked for: {terms:?}");
        };
        let mut content = ProofOfWorkContent {
            challenge: challenge.clone(),
            handle: person.handle.clone(),
            account_key: person.account_key.public(),
            solution: 0,
        };
        while !check_proof_of_work(&content, difficulty_bits).unwrap() {
            content.solution += 1;
        }
        Admission::ProofOfWork {
            challenge,
            solution: content.solution,
        }
    }

    /// A person with one device, registered by work.
    pub(crate) fn registered(&mut self, name: &str) -> Person {
        let person = Person::new(self, name);
        let admission = self.work(&person);
        let register = person.register(admission);
        assert_eq!(person.phone.send(self, register), DONE);
        person
    }

    /// What anybody sees of a handle.
    pub(crate) fn look_up(&mut self, name: &str) -> sordino_wire::AccountEntry {
        match self.ask(AccountRequestBody::LookUp(handle(name))) {
            AccountResponseBody::Entry(entry) => entry,
            other => panic!("no entry: {other:?}"),
        }
    }
}

pub(crate) const DONE: AccountResponseBody = AccountResponseBody::Done;

pub(crate) fn handle(name: &str) -> Handle {
    Handle::new(name).unwrap()
}

pub(crate) fn endpoint(body: &AccountRequestBody) -> Endpoint {
    match body {
        AccountRequestBody::LookUp(_) | AccountRequestBody::SendConnectionRequest(_) => {
            Endpoint::ConnectionRequest
        }
        _ => Endpoint::Accounts,
    }
}

pub(crate) fn unsigned(body: AccountRequestBody) -> Vec<u8> {
    let auth = AccountAuthentication::Nobody;
    AccountRequest { body, auth }.encode().unwrap()
}

fn through_wire(body: AccountResponseBody) -> AccountResponseBody {
    let bytes = AccountResponse { body: body.clone() }.encode().unwrap();
    assert_eq!(AccountResponse::parse(&bytes).unwrap().body, body);
    body
}

/// A sealed request, as far as the provider can tell.
pub(crate) fn sealed(number: u8) -> SealedConnectionRequest {
    SealedConnectionRequest {
        kem_output: Bytes::new([number; 32]).unwrap(),
        ciphertext: Bytes::new([number; CONNECTION_REQUEST_CIPHERTEXT_BYTES]).unwrap(),
    }
}

pub(crate) fn hash(request: &SealedConnectionRequest) -> Digest {
    sha256(&encode(request).unwrap())
}

pub(crate) fn asking(name: &str, number: u8) -> AccountRequestBody {
    AccountRequestBody::SendConnectionRequest(SendConnectionRequest {
        handle: handle(name),
        request: sealed(number),
    })
}

/// A device of some account.
pub(crate) struct Phone {
    pub(crate) handle: Handle,
    pub(crate) client: IdentifierUri,
    pub(crate) key: SigningKey,
}

impl Phone {
    pub(crate) fn new(world: &mut World, handle: &Handle) -> Self {
        let mut seed = [0; 32];
        world.rng.fill_bytes(&mut seed);
        let id = u64::from_le_bytes(*seed.first_chunk().unwrap());
        let client = format!("mimi://{}/d/{id:016x}", world.domain.as_str());
        Self {
            handle: handle.clone(),
            client: IdentifierUri::new(client).unwrap(),
            key: SigningKey::from_seed(&seed),
        }
    }

    /// All that a signature covers; tests change any of it.
    pub(crate) fn tbs(&self, world: &mut World, body: &AccountRequestBody) -> AccountRequestTbs {
        AccountRequestTbs {
            version: PROTOCOL_VERSION,
            domain: world.domain.clone(),
            handle: self.handle.clone(),
            client_key: self.key.public(),
            time_s: world.now_s - world.now_s % 60,
            nonce: world.nonce(),
            body_hash: sha256(&encode(body).unwrap()),
        }
    }

    pub(crate) fn signed(&self, tbs: &AccountRequestTbs, body: AccountRequestBody) -> Vec<u8> {
        let auth = AccountAuthentication::Client {
            handle: tbs.handle.clone(),
            client_key: tbs.client_key.clone(),
            time_s: tbs.time_s,
            nonce: tbs.nonce,
            signature: self.key.sign_struct(ACCOUNT_REQUEST_LABEL, tbs).unwrap(),
        };
        AccountRequest { body, auth }.encode().unwrap()
    }

    pub(crate) fn bytes(&self, world: &mut World, body: AccountRequestBody) -> Vec<u8> {
        let tbs = self.tbs(world, &body);
        self.signed(&tbs, body)
    }

    pub(crate) fn send(&self, world: &mut World, body: AccountRequestBody) -> AccountResponseBody {
        let bytes = self.bytes(world, body);
        world.handle(&bytes, Endpoint::Accounts)
    }

    /// Sends what must be refused and change nothing.
    #[track_caller]
    pub(crate) fn refused(&self, world: &mut World, body: AccountRequestBody) -> AccountReject {
        let bytes = self.bytes(world, body);
        world.refused(&bytes, Endpoint::Accounts)
    }

    /// The account as this device sees it.
    pub(crate) fn account(&self, world: &mut World) -> AccountView {
        match self.send(world, AccountRequestBody::ReadAccount) {
            AccountResponseBody::Account(view) => view,
            other => panic!("no account: {other:?}"),
        }
    }

    /// What waits from a number on.
    pub(crate) fn requests(&self, world: &mut World, from: u64) -> StreamPage {
        let read = ReadConnectionRequests { from, wait_s: 0 };
        match self.send(world, AccountRequestBody::ReadConnectionRequests(read)) {
            AccountResponseBody::ConnectionRequests(page) => page,
            other => panic!("no requests: {other:?}"),
        }
    }

    pub(crate) fn settle(&self, world: &mut World, hashes: Vec<Digest>) -> AccountResponseBody {
        let hashes = List::new(hashes).unwrap();
        let settle = SettleConnectionRequests { hashes };
        self.send(world, AccountRequestBody::SettleConnectionRequests(settle))
    }
}

/// A person: an account key, a connection key, a first device.
pub(crate) struct Person {
    pub(crate) handle: Handle,
    pub(crate) user: IdentifierUri,
    pub(crate) account_key: SigningKey,
    pub(crate) hpke_key: HpkeKey,
    pub(crate) phone: Phone,
}

impl Person {
    pub(crate) fn new(world: &mut World, name: &str) -> Self {
        let handle = handle(name);
        let mut seed = [0; 32];
        world.rng.fill_bytes(&mut seed);
        let (_, hpke_key) = hpke_generate(&mut world.rng).unwrap();
        Self {
            user: handle.uri(&world.domain).unwrap(),
            account_key: SigningKey::from_seed(&seed),
            hpke_key,
            phone: Phone::new(world, &handle),
            handle,
        }
    }

    pub(crate) fn credential(&self, phone: &Phone) -> ClientCredential {
        make_client_credential(&self.user, &phone.client, &phone.key, &self.account_key).unwrap()
    }

    pub(crate) fn signed_key(&self) -> SignedConnectionKey {
        make_connection_key(&self.user, &self.account_key, &self.hpke_key).unwrap()
    }

    pub(crate) fn registration(&self, admission: Admission) -> Register {
        Register {
            admission,
            credential: self.credential(&self.phone),
            connection_key: self.signed_key(),
        }
    }

    pub(crate) fn register(&self, admission: Admission) -> AccountRequestBody {
        AccountRequestBody::Register(self.registration(admission))
    }

    /// A further device, not put in yet.
    pub(crate) fn device(&self, world: &mut World) -> Phone {
        Phone::new(world, &self.handle)
    }

    pub(crate) fn put(&self, phone: &Phone) -> AccountRequestBody {
        AccountRequestBody::PutClient(self.credential(phone))
    }

    /// A new account key for the devices that stay. The person has it when this was done.
    pub(crate) fn replacement(&self, new_key: &SigningKey, stay: &[&Phone]) -> ReplaceAccountKey {
        let credential =
            |p: &&Phone| make_client_credential(&self.user, &p.client, &p.key, new_key).unwrap();
        ReplaceAccountKey {
            change: make_account_key_change(&self.user, &self.account_key, new_key).unwrap(),
            clients: List::new(stay.iter().map(credential).collect()).unwrap(),
            connection_key: make_connection_key(&self.user, new_key, &self.hpke_key).unwrap(),
        }
    }

    /// The bytes that end the account.
    pub(crate) fn deletion(&self, world: &mut World, by: &Phone) -> Vec<u8> {
        let nonce = world.nonce();
        let signature = make_account_deletion(&self.account_key, &nonce).unwrap();
        let body = AccountRequestBody::DeleteAccount(signature);
        let tbs = AccountRequestTbs {
            nonce,
            ..by.tbs(world, &body)
        };
        by.signed(&tbs, body)
    }

    pub(crate) fn delete(&self, world: &mut World) {
        let bytes = self.deletion(world, &self.phone);
        assert_eq!(world.handle(&bytes, Endpoint::Accounts), DONE);
    }
}

/// An account key of a number.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}
