//! The hub, its store, its clock, and what all clients know of one another.

use super::till::Till;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sordino_crypto::{IndexKey, OperatorKey, OuterKeys, SigningKey, WindowKeys};
use sordino_effects::memory::{MemoryStore, Refused};
use sordino_hub::{Endpoint, Env, Hub, HubConfig, Step};
use sordino_limiter::{Attempt, Limits};
use sordino_wire::{
    Authentication, Domain, DsRequest, DsResponse, GroupId, IdentityLink, IdentityRule, JoinRule,
    List, Outcome, POLICY_FORMAT, Permission, PolicySummary, Reject, RequestBody, ResponseBody,
    Secret32, SenderRule, TokenClass, Tokens,
};
use std::collections::HashMap;
use std::sync::Arc;

/// How often a request is handled again after a conflict.
const ATTEMPTS: usize = 4;

pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) outer: Arc<OuterKeys>,
    pub(crate) store: MemoryStore,
    pub(crate) now_s: u64,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) domain: Domain,
    /// What counts how much is too much, in tests of that.
    pub(crate) limits: Option<Arc<Limits>>,
    /// What takes tokens, in tests of that.
    pub(crate) till: Option<Arc<Till>>,
    /// What requests come with.
    pub(crate) tokens: Tokens,
    /// The group that actors are made for.
    pub(crate) group_id: GroupId,
    /// Identity links by leaf key: what reaches adders in key-package sets.
    pub(crate) links: HashMap<Vec<u8>, IdentityLink>,
}

/// Every member may do everything; outsiders come in by invitation of members alone.
pub(crate) fn policy() -> PolicySummary {
    PolicySummary {
        format: POLICY_FORMAT,
        add: Permission::Members,
        remove: Permission::Members,
        change_policy: Permission::Members,
        send: Permission::Members,
        destroy: Permission::Members,
        join: JoinRule::Closed,
        senders: SenderRule::Anonymous,
        identities: IdentityRule::All,
        epoch_tolerance: 2,
        max_members: 100,
        invite_code_hash: None,
        admins: List::default(),
    }
}

/// The outcome of a request that must succeed.
#[track_caller]
pub(crate) fn done(answer: ResponseBody) -> Outcome {
    match answer {
        ResponseBody::Done(outcome) => outcome,
        other => panic!("not done: {other:?}"),
    }
}

/// The refusal of a request that must fail.
#[track_caller]
pub(crate) fn rejected(answer: ResponseBody) -> Reject {
    match answer {
        ResponseBody::Rejected(reject) => reject,
        other => panic!("not refused: {other:?}"),
    }
}

/// Where a request belongs.
pub(crate) fn endpoint(body: &RequestBody) -> Endpoint {
    [
        Endpoint::GroupOperation,
        Endpoint::WelcomeInformation,
        Endpoint::ExternalCommitInformation,
        Endpoint::Streams,
        Endpoint::Inboxes,
        Endpoint::GroupKeyPackages,
        Endpoint::TokenTerms,
    ]
    .into_iter()
    .find(|endpoint| endpoint.accepts(body))
    .unwrap()
}

impl World {
    /// A hub with an empty store. openmls reads the wall clock, so the hub's begins there.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let now_s = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let operator = OperatorKey::new(Secret32::new([1; 32]));
        let mut windows = WindowKeys::new();
        let today = u32::try_from(now_s / 86_400).unwrap();
        windows.ensure(&operator, today, 300, &mut rng).unwrap();
        let index = IndexKey::generate(&mut rng);
        let outer = Arc::new(OuterKeys::new(operator, Vec::new(), index, windows));
        let domain = Domain::new("hub.example").unwrap();
        let hub_key = SigningKey::from_seed(&[9; 32]);
        Self {
            hub: Hub::new(HubConfig::new(domain.clone()), &hub_key, outer.clone()).unwrap(),
            outer,
            store: MemoryStore::default(),
            now_s,
            rng,
            domain,
            limits: None,
            till: None,
            tokens: Tokens::default(),
            group_id: GroupId([7; 16]),
            links: HashMap::new(),
        }
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
        let attempt = self.attempt();
        self.step_of(attempt.as_ref(), bytes, endpoint)
    }

    /// One request, as what counts sees it.
    fn attempt(&self) -> Option<Attempt> {
        let limits = self.limits.as_ref()?;
        Some(Attempt::new(Arc::clone(limits), None, self.now_s))
    }

    fn step_of(&mut self, attempt: Option<&Attempt>, bytes: &[u8], endpoint: Endpoint) -> Step {
        let mut env = Env::new(self.now_s, &mut self.rng);
        if let Some(attempt) = attempt {
            env.limiter = attempt;
        }
        if let Some(till) = &self.till {
            env.origin = till.as_ref();
        }
        self.hub.handle(bytes, endpoint, &self.store, &mut env)
    }

    /// A request the way a server handles it: again after a conflict.
    pub(crate) fn handle(&mut self, bytes: &[u8], endpoint: Endpoint) -> ResponseBody {
        let attempt = self.attempt();
        for _ in 0..ATTEMPTS {
            match self.step_of(attempt.as_ref(), bytes, endpoint) {
                Step::Answer(answer) | Step::Wait { answer, .. } => return through_wire(answer),
                Step::Failed { fault, .. } => panic!("the hub failed: {fault}"),
                Step::Commit(effects) => match self.store.apply(effects.changes) {
                    Ok(()) => return through_wire(effects.reply),
                    Err(Refused::Conflict | Refused::Replayed | Refused::Spent) => {}
                },
            }
        }
        panic!("a conflict that does not go away");
    }

    /// Encodes and sends a request to where it belongs.
    pub(crate) fn send(&mut self, body: RequestBody, auth: Authentication) -> ResponseBody {
        let endpoint = endpoint(&body);
        let tokens = self.tokens.clone();
        let bytes = DsRequest { body, auth, tokens }.encode().unwrap();
        self.handle(&bytes, endpoint)
    }

    /// Everything has its price from now on.
    pub(crate) fn open_till(&mut self) {
        self.till = Some(Arc::new(Till::new(&self.domain, self.now_s, &mut self.rng)));
    }

    /// Draws tokens.
    pub(crate) fn draw(&mut self, class: TokenClass, count: usize) -> Tokens {
        let till = Arc::clone(self.till.as_ref().unwrap());
        till.draw(class, count, self.now_s, &mut self.rng)
    }

    /// Sends a request that proves possession alone.
    pub(crate) fn ask(&mut self, body: RequestBody) -> ResponseBody {
        self.send(body, Authentication::Possession)
    }

    /// Sends a request that proves possession alone, must be refused and must change nothing.
    #[track_caller]
    pub(crate) fn refused_ask(&mut self, body: RequestBody) -> Reject {
        let endpoint = endpoint(&body);
        let bytes = possession_bytes(body);
        self.refused(&bytes, endpoint)
    }

    /// Sends bytes that must be refused and must change nothing.
    #[track_caller]
    pub(crate) fn refused(&mut self, bytes: &[u8], endpoint: Endpoint) -> Reject {
        let before = self.store.clone();
        let reject = rejected(self.handle(bytes, endpoint));
        assert!(self.store == before, "a refusal changed the store");
        reject
    }
}

/// A request that proves possession alone.
pub(crate) fn possession_bytes(body: RequestBody) -> Vec<u8> {
    let auth = Authentication::Possession;
    DsRequest::free(body, auth).encode().unwrap()
}

/// What a client makes of an answer's bytes.
fn through_wire(answer: ResponseBody) -> ResponseBody {
    let bytes = DsResponse {
        body: answer.clone(),
    }
    .encode()
    .unwrap();
    let parsed = DsResponse::parse(&bytes).unwrap().body;
    assert!(parsed == answer);
    parsed
}
