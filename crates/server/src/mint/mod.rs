//! Owns Privacy Pass at this hub: the keys in use, prices, what is issued and what is taken
//! (design page 4). The arithmetic is `sordino_tokens`'.
//!
//! Invariant: requests see one set of keys each, and a key is in use only while its set of spent
//! nullifiers is open. Issuing and taking share nothing but the keys.
//! Never sees an account, a network, a request that tokens pay for.

mod gauges;
mod keys_at_rest;
mod rotation;

pub(crate) use gauges::{Gauges, Refused};
pub(crate) use rotation::{Change, rotate};

use crate::clock::day_of;
use crate::settings::TokenSettings;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use sordino_crypto::{OuterKeys, Space};
use sordino_effects::{DrawBook, Fault, NotIssued, Spend};
use sordino_tokens::{
    AllowedChallenges, BatchLimits, IssueError, IssueRefused, IssueRequest, IssueResponse,
    IssuerKey, IssuerKeys, OfferedChallenge, Operation, RequestForm, SpendSet, TokenChallenge,
    TokenType, parse_issue_request, write_reserved_challenge, write_www_authenticate,
};
use sordino_wire::limits::{MAX_TOKENS_PER_REQUEST, TOKEN_GRACE_S};
use sordino_wire::{
    BatchResponseBytes, BatchSize, Bytes, Domain, DrawTokens, List, PricedOperation,
    TokenChallengeBytes, TokenClass, TokenPrice, TokenTerms, media,
};
use std::sync::{Arc, PoisonError, RwLock};

/// The type that accounts draw.
const DRAWN_TYPE: TokenType = TokenType::VoprfRistretto255;

/// Issuer and origin.
pub(crate) struct Mint {
    domain: Domain,
    outer: Arc<OuterKeys>,
    settings: TokenSettings,
    allowed: AllowedChallenges,
    keys: RwLock<Arc<IssuerKeys>>,
    pub(crate) gauges: Gauges,
}

impl Mint {
    /// A mint without keys: [`rotate`] brings them.
    pub(crate) fn new(
        domain: Domain,
        outer: Arc<OuterKeys>,
        settings: TokenSettings,
    ) -> Result<Self, Fault> {
        let allowed = AllowedChallenges::of_hub(domain.as_str()).map_err(|_| Fault::Encoding)?;
        Ok(Self {
            domain,
            outer,
            settings,
            allowed,
            keys: RwLock::default(),
            gauges: Gauges::default(),
        })
    }

    /// The keys in use now.
    pub(crate) fn keys(&self) -> Arc<IssuerKeys> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys)
    }

    fn use_keys(&self, keys: IssuerKeys) {
        let mut current = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(keys);
    }

    /// The types for which there are keys.
    fn token_types(&self) -> &'static [TokenType] {
        if self.settings.public.is_some() {
            &TokenType::ALL
        } else {
            &[DRAWN_TYPE]
        }
    }

    /// What an operation on so many entries costs. More than a request can carry is what it can.
    pub(crate) fn price(&self, operation: PricedOperation, entries: usize) -> Option<TokenPrice> {
        let price = self.settings.prices.price(listed(operation));
        let (class, tokens) = match price.due(entries) {
            Ok(None) => return None,
            Ok(Some(due)) => (due.class, due.tokens),
            Err(_) => match price {
                sordino_tokens::Price::Free => return None,
                sordino_tokens::Price::Tokens { class, .. } => (class, MAX_TOKENS_PER_REQUEST),
            },
        };
        Some(TokenPrice {
            class: class_on_wire(class),
            tokens: u8::try_from(tokens).unwrap_or(u8::MAX),
        })
    }

    /// Whether anything costs anything.
    pub(crate) fn has_prices(&self) -> bool {
        let prices = &self.settings.prices;
        let free = sordino_tokens::Price::Free;
        Operation::ALL
            .iter()
            .any(|operation| prices.price(*operation) != free)
    }

    /// What everybody may know.
    pub(crate) fn terms(&self, now_s: u64) -> TokenTerms {
        let keys = self.keys();
        let drawn = keys.iter().filter(|key| {
            let purpose = key.purpose();
            purpose.token_type == DRAWN_TYPE && purpose.epoch.is_drawable(now_s)
        });
        let mut batches: Vec<BatchSize> = drawn
            .map(|key| {
                let class = class_on_wire(key.purpose().class);
                let epoch = key.purpose().epoch;
                let tokens = self.settings.batch(class, &epoch);
                BatchSize {
                    class,
                    epoch: epoch.number(),
                    tokens: u16::try_from(tokens).unwrap_or(u16::MAX),
                }
            })
            .collect();
        batches.sort_by_key(|batch| (batch.epoch, batch.class));
        TokenTerms {
            // A few keys and prices: far below the bounds.
            directory: Bytes::new(self.directory(now_s)).unwrap_or_default(),
            price_list: Bytes::new(self.settings.prices.to_json()).unwrap_or_default(),
            batches: List::new(batches).unwrap_or_default(),
        }
    }

    /// The issuer's directory, as JSON.
    pub(crate) fn directory(&self, now_s: u64) -> String {
        let directory = self.keys().directory(media::TOKEN_REQUEST, now_s);
        directory.to_json()
    }

    /// The challenge of the type that accounts draw.
    pub(crate) fn challenge(&self) -> TokenChallengeBytes {
        self.challenge_of(DRAWN_TYPE)
            .and_then(|challenge| Bytes::new(challenge.to_bytes()).ok())
            .unwrap_or_default()
    }

    fn challenge_of(&self, token_type: TokenType) -> Option<TokenChallenge> {
        // A domain is a name that a challenge can have.
        TokenChallenge::of_hub(token_type, self.domain.as_str()).ok()
    }

    /// The challenges of a class for clients that know RFC 9577 alone, the types they know best
    /// first; sometimes with one that nobody knows, so that clients learn to skip it.
    pub(crate) fn www_authenticate(
        &self,
        class: TokenClass,
        now_s: u64,
        rng: &mut impl RngCore,
    ) -> String {
        let keys = self.keys();
        let running = |token_type: TokenType| {
            keys.iter().find(|key| {
                let purpose = key.purpose();
                purpose.token_type == token_type
                    && class_on_wire(purpose.class) == class
                    && purpose.epoch.contains(now_s)
            })
        };
        let types = TokenType::ALL.into_iter().rev();
        let offered = types.filter_map(|token_type| {
            let key = running(token_type)?;
            let ends_s = key.purpose().epoch.end_s();
            Some(OfferedChallenge {
                challenge: self.challenge_of(token_type)?,
                token_key: Some(key.public_key().to_vec()),
                max_age_s: Some(ends_s.saturating_sub(now_s)),
            })
        });
        let mut header = write_www_authenticate(&offered.collect::<Vec<_>>());
        if rng.next_u32().is_multiple_of(4) {
            header.push_str(", ");
            header.push_str(&write_reserved_challenge(rng));
        }
        header
    }

    /// See [`sordino_effects::Origin::identify`].
    pub(crate) fn identify(&self, token: &[u8], class: TokenClass, now_s: u64) -> Option<Spend> {
        let keys = self.keys();
        let recognised = keys.recognise(token, &self.allowed, now_s).ok()?;
        let SpendSet(set) = recognised.spend_set();
        (class_on_wire(recognised.class()) == class).then_some(Spend {
            set,
            nullifier: recognised.nullifier().0,
        })
    }

    /// See [`sordino_effects::Origin::verify`].
    pub(crate) fn verify(&self, token: &[u8], now_s: u64) -> bool {
        self.keys().verify(token, &self.allowed, now_s).is_ok()
    }

    /// See [`sordino_effects::Issuer::draw_book`].
    pub(crate) fn draw_book(&self, class: TokenClass, epoch: u64, now_s: u64) -> Option<DrawBook> {
        let keys = self.keys();
        let key = drawn_key(&keys, class, epoch, now_s)?;
        let over_s = key.purpose().epoch.end_s().saturating_add(TOKEN_GRACE_S);
        Some(DrawBook {
            set: drawn_set(&self.outer, class, epoch).ok()?,
            last_day: day_of(over_s),
        })
    }

    /// See [`sordino_effects::Issuer::issue`].
    pub(crate) fn issue_batch(
        &self,
        draw: &DrawTokens,
        now_s: u64,
    ) -> Result<BatchResponseBytes, NotIssued> {
        let keys = self.keys();
        let key = drawn_key(&keys, draw.class, draw.epoch, now_s);
        let key = key.ok_or(NotIssued::EpochClosed)?;
        let bytes = draw.request.as_slice();
        let request = parse_issue_request(RequestForm::Amortised, bytes, &BatchLimits::default())
            .map_err(|_| NotIssued::InvalidBatch)?;
        let batch = self.settings.batch(draw.class, &key.purpose().epoch);
        let whole = request.asked().iter().all(|asked| {
            asked.token_type == DRAWN_TYPE
                && asked.truncated_key_id == key.id().truncated()
                && asked.tokens == batch
        });
        if !whole {
            return Err(NotIssued::InvalidBatch);
        }
        let mut rng = self.repeatable(key, bytes)?;
        let issued = keys
            .issue(&request, now_s, &mut rng)
            .map_err(|_| NotIssued::InvalidBatch)?;
        Bytes::new(issued.body).map_err(|_| NotIssued::InvalidBatch)
    }

    /// Randomness for a proof that depends on key and request, and on a secret: the same answer to
    /// the same request, without keeping the answer.
    fn repeatable(&self, key: &IssuerKey, request: &[u8]) -> Result<ChaCha20Rng, NotIssued> {
        let seed = [key.id().0.as_slice(), request].concat();
        let seed = self.outer.index().handle(Space::Draw, &seed);
        seed.map(ChaCha20Rng::from_seed)
            .map_err(|_| NotIssued::InvalidBatch)
    }

    /// Issues to somebody without an account, as far as the operator's quota for the public goes.
    /// `take` takes so many tokens out of it.
    pub(crate) fn issue_to_public<E: From<IssueError>>(
        &self,
        form: RequestForm,
        body: &[u8],
        now_s: u64,
        rng: &mut impl RngCore,
        take: impl FnOnce(u64) -> Result<(), E>,
    ) -> Result<IssueResponse, E> {
        let request = parse_issue_request(form, body, &BatchLimits::default());
        let request = request.map_err(|refused| E::from(refused.into()))?;
        let keys = self.keys();
        let asked = request.asked();
        // What no key is there for must not use the quota up.
        let known = |asked: &sordino_tokens::Asked| {
            keys.drawable(asked.token_type, asked.truncated_key_id, now_s)
                .is_some()
        };
        if !matches!(request, IssueRequest::Generic(_)) && !asked.iter().all(known) {
            return Err(E::from(IssueRefused::UnknownKey.into()));
        }
        let tokens = asked.iter().map(|asked| asked.tokens).sum::<usize>();
        take(u64::try_from(tokens).unwrap_or(u64::MAX))?;
        let issued = keys.issue(&request, now_s, rng)?;
        self.gauges.issued_to_public(issued.issued);
        Ok(issued)
    }
}

/// The key that a class and epoch are drawn with.
fn drawn_key(keys: &IssuerKeys, class: TokenClass, epoch: u64, now_s: u64) -> Option<&IssuerKey> {
    keys.iter().find(|key| {
        let purpose = key.purpose();
        purpose.token_type == DRAWN_TYPE
            && class_on_wire(purpose.class) == class
            && purpose.epoch.number() == epoch
            && purpose.epoch.is_drawable(now_s)
    })
}

/// The set in which accounts stand that drew in a class and epoch.
fn drawn_set(outer: &OuterKeys, class: TokenClass, epoch: u64) -> Result<[u8; 8], Fault> {
    let tag = match class {
        TokenClass::Write => 1,
        TokenClass::Contact => 2,
    };
    let mut name = vec![tag];
    name.extend_from_slice(&epoch.to_be_bytes());
    let blinded = outer.index().blind(Space::Drawn, &name)?;
    blinded.first_chunk().copied().ok_or(Fault::Crypto)
}

fn listed(operation: PricedOperation) -> Operation {
    match operation {
        PricedOperation::CreateGroup => Operation::CreateGroup,
        PricedOperation::Join => Operation::Join,
        PricedOperation::OpenInbox => Operation::OpenInboxes,
        PricedOperation::PublishKeyPackages => Operation::PublishKeyPackages,
        PricedOperation::FetchKeyPackages => Operation::FetchKeyPackages,
        PricedOperation::SendOverBudget => Operation::SendOverBudget,
        PricedOperation::LookUp => Operation::LookUpHandle,
        PricedOperation::ConnectionRequest => Operation::RequestConnection,
    }
}

pub(crate) fn class_on_wire(class: sordino_tokens::TokenClass) -> TokenClass {
    match class {
        sordino_tokens::TokenClass::Write => TokenClass::Write,
        sordino_tokens::TokenClass::Contact => TokenClass::Contact,
    }
}
