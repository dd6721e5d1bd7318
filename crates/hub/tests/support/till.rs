//! A real issuer and origin at the hub, and tokens of its own.

use rand_chacha::ChaCha20Rng;
use sordino_effects::{Origin, Spend};
use sordino_tokens::{
    AllowedChallenges, Draw, Epoch, IssuerKeys, KeyPurpose, RequestForm, TokenChallenge, TokenType,
    parse_issue_request,
};
use sordino_wire::{
    BatchSize, Bytes, Domain, List, PricedOperation, TokenChallengeBytes, TokenClass, TokenPrice,
    TokenTerms, Tokens,
};
use std::sync::atomic::{AtomicUsize, Ordering};

const TYPE: TokenType = TokenType::VoprfRistretto255;

/// What takes tokens, with the standard prices.
pub(crate) struct Till {
    keys: IssuerKeys,
    allowed: AllowedChallenges,
    challenge: TokenChallenge,
    /// How many tokens it has verified by the curve.
    pub(crate) verified: AtomicUsize,
}

fn class_of(class: TokenClass) -> sordino_tokens::TokenClass {
    match class {
        TokenClass::Write => sordino_tokens::TokenClass::Write,
        TokenClass::Contact => sordino_tokens::TokenClass::Contact,
    }
}

impl Till {
    pub(crate) fn new(domain: &Domain, now_s: u64, rng: &mut ChaCha20Rng) -> Self {
        let mut keys = IssuerKeys::new();
        for class in TokenClass::ALL {
            let purpose = KeyPurpose {
                class: class_of(class),
                token_type: TYPE,
                epoch: Epoch::new(1, now_s, now_s + 86_400).unwrap(),
            };
            keys.generate(purpose, rng).unwrap();
        }
        Self {
            keys,
            allowed: AllowedChallenges::of_hub(domain.as_str()).unwrap(),
            challenge: TokenChallenge::of_hub(TYPE, domain.as_str()).unwrap(),
            verified: AtomicUsize::new(0),
        }
    }

    /// Draws tokens.
    pub(crate) fn draw(
        &self,
        class: TokenClass,
        count: usize,
        now_s: u64,
        rng: &mut ChaCha20Rng,
    ) -> Tokens {
        let directory = self.keys.directory("/token-request", now_s);
        let key = directory.key_at(class_of(class), TYPE, now_s).unwrap();
        let draw = Draw::amortised(key, &self.challenge, count, rng).unwrap();
        let request = draw.request().unwrap();
        let limits = sordino_tokens::BatchLimits::default();
        let request = parse_issue_request(RequestForm::Amortised, &request, &limits).unwrap();
        let issued = self.keys.issue(&request, now_s, rng).unwrap();
        let tokens = draw.finish(&issued.body).unwrap();
        let tokens = tokens.iter().map(|t| Bytes::new(t.as_bytes()).unwrap());
        List::new(tokens.collect()).unwrap()
    }
}

impl Origin for Till {
    fn price(&self, operation: PricedOperation, entries: usize) -> Option<TokenPrice> {
        let (class, tokens) = match operation {
            PricedOperation::CreateGroup => (TokenClass::Write, 5),
            PricedOperation::Join => (TokenClass::Write, 2),
            PricedOperation::OpenInbox | PricedOperation::SendOverBudget => (TokenClass::Write, 1),
            PricedOperation::PublishKeyPackages => (TokenClass::Write, entries.div_ceil(4)),
            PricedOperation::FetchKeyPackages | PricedOperation::LookUp => (TokenClass::Contact, 1),
            PricedOperation::ConnectionRequest => (TokenClass::Contact, 2),
        };
        let tokens = u8::try_from(tokens).unwrap();
        (tokens > 0).then_some(TokenPrice { class, tokens })
    }

    fn terms(&self, now_s: u64) -> TokenTerms {
        let directory = self.keys.directory("/token-request", now_s);
        TokenTerms {
            directory: Bytes::new(directory.to_json()).unwrap(),
            price_list: Bytes::new(sordino_tokens::PriceList::default().to_json()).unwrap(),
            batches: List::new(vec![BatchSize {
                class: TokenClass::Write,
                epoch: 1,
                tokens: 100,
            }])
            .unwrap(),
        }
    }

    fn challenge(&self) -> TokenChallengeBytes {
        Bytes::new(self.challenge.to_bytes()).unwrap()
    }

    fn identify(&self, token: &[u8], class: TokenClass, now_s: u64) -> Option<Spend> {
        let recognised = self.keys.recognise(token, &self.allowed, now_s).ok()?;
        (recognised.class() == class_of(class)).then_some(Spend {
            set: recognised.spend_set().0,
            nullifier: recognised.nullifier().0,
        })
    }

    fn verify(&self, token: &[u8], _: &Spend, now_s: u64) -> bool {
        self.verified.fetch_add(1, Ordering::SeqCst);
        self.keys.verify(token, &self.allowed, now_s).is_ok()
    }
}
