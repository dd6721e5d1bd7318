//! Owns what a client knows of prices and issuer keys: asked for on two ways, compared, remembered.
//!
//! Invariant: nothing is drawn or paid by terms that two ways do not tell alike, or under keys that were
//! not announced (design page 4; [`ConsistencyPolicy`]). What is asked for says nothing of who asks.

use crate::core::Core;
use crate::envelope::{Occasion, Signing, seal};
use crate::error::{ClientError, Result};
use crate::records::FORMAT;
use crate::transport::{AccountEndpoint, Endpoint};
use crate::vault::Batch;
use crate::wallet::batch::{BatchId, DRAWN_TYPE, listed_class};
use sordino_tokens::{
    ConsistencyPolicy, Directory, Due, Inconsistent, KeyTerms, ListedKey, Operation, Price,
    PriceList, parse_directory, parse_price_list,
};
use sordino_wire::{
    AccountAuthentication, AccountRequest, AccountRequestBody, AccountResponseBody, BatchSize,
    GroupId, RequestBody, ResponseBody, TokenClass, TokenTerms,
};
use std::sync::{Arc, PoisonError};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// What was last told, and accepted.
const TERMS: &str = "tokens/terms";
/// After so long they are asked for again, in seconds.
const FRESH_S: u64 = 86_400;
/// How often two ways may tell different things, since keys come and go between two questions.
const COMPARISONS: u32 = 3;

#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
struct TermsRecord {
    format: u8,
    terms: TokenTerms,
    since_s: u64,
}

/// Terms that are good to draw and to pay by.
pub(crate) struct Terms {
    directory: Directory,
    prices: PriceList,
    batches: Vec<BatchSize>,
    since_s: u64,
}

impl Terms {
    fn read(terms: &TokenTerms, since_s: u64) -> Result<Self> {
        Ok(Self {
            directory: parse_directory(terms.directory.as_slice())
                .map_err(|_| ClientError::BadAnswer)?,
            prices: parse_price_list(terms.price_list.as_slice())
                .map_err(|_| ClientError::BadAnswer)?,
            batches: terms.batches.as_slice().to_vec(),
            since_s,
        })
    }

    /// What an operation costs.
    pub(crate) fn due(&self, operation: Operation, units: usize) -> Result<Option<Due>> {
        let due = self.prices.price(operation).due(units);
        due.map_err(|_| ClientError::OutOfBounds)
    }

    /// Whether nothing costs anything.
    pub(crate) fn is_free(&self) -> bool {
        let mut all = Operation::ALL.iter();
        all.all(|operation| self.prices.price(*operation) == Price::Free)
    }

    /// The keys that accounts draw with, and their epochs.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (BatchId, &ListedKey, KeyTerms)> {
        self.directory.keys.iter().filter_map(|key| {
            let terms = key.terms?;
            let mut classes = TokenClass::ALL.into_iter();
            let class = classes.find(|class| listed_class(*class) == terms.class)?;
            let epoch = terms.epoch.number();
            let is_drawn = key.token_type() == Some(DRAWN_TYPE);
            is_drawn.then_some((BatchId { class, epoch }, key, terms))
        })
    }

    /// How many tokens a batch is.
    pub(crate) fn count(&self, batch: &BatchId) -> Option<usize> {
        let mut sizes = self.batches.iter();
        let size = sizes.find(|size| size.class == batch.class && size.epoch == batch.epoch)?;
        Some(usize::from(size.tokens))
    }

    fn is_fresh(&self, now_s: u64) -> bool {
        now_s.saturating_sub(self.since_s) < FRESH_S && self.since_s <= now_s
    }
}

impl Core {
    /// The terms that are known, if they are fresh; else they are asked for.
    pub(crate) async fn terms(&self) -> Result<Arc<Terms>> {
        match self.known_terms()? {
            Some(terms) if terms.is_fresh(self.now_s()) => Ok(terms),
            _ => self.renew_terms().await,
        }
    }

    fn known_terms(&self) -> Result<Option<Arc<Terms>>> {
        let mut place = self
            .wallet
            .terms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if place.is_none()
            && let Some(record) = self.vault.get::<TermsRecord>(TERMS)?
        {
            *place = Some(Arc::new(Terms::read(&record.terms, record.since_s)?));
        }
        Ok(place.clone())
    }

    /// Asks for the terms on both ways, and compares.
    pub(crate) async fn renew_terms(&self) -> Result<Arc<Terms>> {
        let mut told = None;
        for _ in 0..COMPARISONS {
            let direct = self.ask_terms().await?;
            let through_provider = self.ask_provider_terms().await?;
            if direct == through_provider {
                told = Some(direct);
                break;
            }
        }
        let told = told.ok_or(ClientError::TokenKeys(Inconsistent::Differs))?;
        let now_s = self.now_s();
        let terms = Terms::read(&told, now_s)?;
        let known = self.known_terms()?;
        let remembered = known.as_ref().map(|known| &known.directory);
        // The two are equal; what is left to check is what there is in them, and what was before.
        ConsistencyPolicy::default()
            .check(&terms.directory, terms.directory.clone(), remembered, now_s)
            .map_err(ClientError::TokenKeys)?;
        let mut batch = Batch::default();
        let record = TermsRecord {
            format: FORMAT,
            terms: told,
            since_s: now_s,
        };
        batch.put(TERMS, &record)?;
        self.vault.commit(&batch)?;
        let terms = Arc::new(terms);
        let mut place = self
            .wallet
            .terms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::clone(&terms));
        Ok(terms)
    }

    /// As anybody, where pseudonyms are.
    async fn ask_terms(&self) -> Result<TokenTerms> {
        let occasion = Occasion {
            hub_domain: &self.hub_domain,
            group_id: GroupId([0; 16]),
            epoch: 0,
            time_s: 0,
            nonce: [0; 16],
        };
        let request = seal(RequestBody::TokenTerms, &Signing::Possession, &occasion)?;
        match self
            .transport
            .post(Endpoint::TokenTerms, &request, 0)
            .await?
        {
            ResponseBody::TokenTerms(terms) => Ok(terms),
            ResponseBody::Rejected(reject) => Err(ClientError::Refused(reject)),
            _ => Err(ClientError::BadAnswer),
        }
    }

    /// As anybody, where accounts are: who told this device something else would have to know that it is
    /// this device that asks.
    async fn ask_provider_terms(&self) -> Result<TokenTerms> {
        let auth = AccountAuthentication::Nobody;
        let request = AccountRequest::free(AccountRequestBody::TokenTerms, auth).encode()?;
        let endpoint = AccountEndpoint::Account;
        match self.transport.post_account(endpoint, &request, 0).await? {
            AccountResponseBody::TokenTerms(terms) => Ok(terms),
            AccountResponseBody::Rejected(reject) => Err(ClientError::AccountRefused(reject)),
            _ => Err(ClientError::BadAnswer),
        }
    }
}
