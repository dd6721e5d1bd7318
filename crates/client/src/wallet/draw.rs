//! Owns drawing: the next epoch's batch at a random time of the current one, all of it at once
//! (design page 4), so that neither how many tokens are drawn nor when says what they are for.
//!
//! Invariant: a batch is kept only if the issuer's proof is right for the key that everybody is shown;
//! asking again is asking for the same batch.

use crate::client::Client;
use crate::core::Core;
use crate::error::{ClientError, Result};
use crate::records::FORMAT;
use crate::vault::Batch;
use crate::wallet::batch::{self, BatchId, own_part};
use crate::wallet::purse::{Part, Purse};
use crate::wallet::terms::Terms;
use sordino_tokens::{KeyTerms, ListedKey};
use sordino_wire::{
    AccountReject, AccountRequestBody, AccountResponseBody, Bytes, DrawTokens, TokenBytes,
    TokenClass,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tls_codec::{TlsDeserializeBytes, TlsSerialize, TlsSize};

/// Which tokens are left.
const PURSE: &str = "tokens/purse";

/// Where a batch is.
pub(crate) fn batch_name(batch: &BatchId) -> String {
    let class = match batch.class {
        TokenClass::Write => "write",
        TokenClass::Contact => "contact",
    };
    format!("tokens/batch/{class}/{}", batch.epoch)
}

/// A batch as it is kept.
#[derive(Debug, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub(crate) struct BatchRecord {
    format: u8,
    pub(crate) tokens: Vec<TokenBytes>,
}

/// This device's tokens of one class and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBalance {
    /// What they are good for.
    pub class: TokenClass,
    /// When they end, in seconds since 1970.
    pub end_s: u64,
    /// How many are left.
    pub left: usize,
}

/// Tokens and terms, in memory.
#[derive(Default)]
pub(crate) struct Wallet {
    pub(super) terms: Mutex<Option<Arc<Terms>>>,
    purse: Mutex<Purse>,
    /// When the running epoch's batch is drawn, where nothing asks for it before.
    due_s: Mutex<Option<u64>>,
    /// Whose turn it is to draw.
    turn: tokio::sync::Mutex<()>,
}

impl Wallet {
    pub(crate) fn load(vault: &crate::vault::Vault) -> Result<Self> {
        Ok(Self {
            purse: Mutex::new(vault.get(PURSE)?.unwrap_or_default()),
            ..Self::default()
        })
    }
}

impl Client {
    /// The tokens that this device has left. New ones come by themselves; an application may show
    /// them to whoever wonders what an operation waits for.
    pub fn tokens(&self) -> Vec<TokenBalance> {
        let purse = self.core.purse();
        let mut balances: Vec<_> = purse
            .batches()
            .map(|(batch, end_s)| TokenBalance {
                class: batch.class,
                end_s,
                left: purse.left(&batch),
            })
            .collect();
        balances.sort_by_key(|balance| (balance.class, balance.end_s));
        balances
    }
}

impl Core {
    fn purse(&self) -> MutexGuard<'_, Purse> {
        let purse = self.wallet.purse.lock();
        purse.unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the purse, durably or not at all, with the rest of a batch.
    pub(crate) fn change_purse<T>(
        &self,
        batch: &mut Batch,
        change: impl FnOnce(&mut Purse) -> T,
    ) -> Result<T> {
        let mut purse = self.purse();
        let mut next = purse.clone();
        let value = change(&mut next);
        if next != *purse {
            batch.put(PURSE, &next)?;
        }
        self.vault.commit(batch)?;
        *purse = next;
        Ok(value)
    }

    /// What is due about tokens: the next epoch's, at its time; the running one's, where it was missed.
    pub(crate) async fn tend_tokens(&self) -> Result<()> {
        let now_s = self.now_s();
        {
            let mut due_s = self
                .wallet
                .due_s
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let first_s = self.later_s(self.delays.draw_s);
            if *due_s.get_or_insert(first_s) > now_s {
                return Ok(());
            }
            *due_s = Some(
                self.later_s(self.delays.draw_s / 2)
                    .saturating_add(self.delays.draw_s / 2),
            );
        }
        self.forget_old_tokens()?;
        let terms = self.terms().await?;
        if terms.is_free() {
            return Ok(());
        }
        let mut schedule = Vec::new();
        for (id, _, of_key) in terms.keys() {
            let running = of_key.epoch.contains(now_s);
            if self.purse().has(&id) {
                continue;
            }
            let start_s = of_key.epoch.start_s();
            if running || self.draw_time_s(&id, start_s)? <= now_s {
                schedule.push(id);
            }
        }
        for id in schedule {
            self.draw_one(&terms, id).await?;
        }
        Ok(())
    }

    /// When the batch of an epoch to come is drawn: drawn itself, once, between now and then.
    fn draw_time_s(&self, id: &BatchId, start_s: u64) -> Result<u64> {
        let now_s = self.now_s();
        let left_s = start_s.saturating_sub(now_s);
        let at_s = now_s.saturating_add(self.entropy.below(left_s));
        self.change_purse(&mut Batch::default(), |purse| purse.draw_time_s(id, at_s))
    }

    /// Draws the running epoch's batches, unless they are there: somebody is new, or in need.
    pub(crate) async fn draw_running(&self) -> Result<()> {
        let terms = self.terms().await?;
        if terms.is_free() {
            return Ok(());
        }
        let now_s = self.now_s();
        let running = terms.keys().filter(|(_, _, k)| k.epoch.contains(now_s));
        for id in running.map(|(id, _, _)| id).collect::<Vec<_>>() {
            self.draw_one(&terms, id).await?;
        }
        Ok(())
    }

    async fn draw_one(&self, terms: &Terms, id: BatchId) -> Result<()> {
        let _turn = self.wallet.turn.lock().await;
        if self.purse().has(&id) {
            return Ok(());
        }
        let found = terms.keys().find(|(listed, _, _)| *listed == id);
        let (_, key, of_key) = found.ok_or(ClientError::BadAnswer)?;
        let count = terms.count(&id).ok_or(ClientError::BadAnswer)?;
        let numbers = self.secrets_of(&id);
        for number in numbers {
            match self.draw_under(number, id, key, count).await {
                Ok(tokens) => return self.keep_batch(id, number, key, of_key, tokens),
                Err(ClientError::AccountRefused(AccountReject::AlreadyDrawn)) => {}
                Err(ClientError::AccountRefused(AccountReject::EpochClosed)) => {
                    self.renew_terms().await?;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        // Somebody else with this account's keys drew it. There is nothing to be had of this epoch.
        self.keep_batch(id, 0, key, of_key, Vec::new())
    }

    /// The user secrets that a batch may have been drawn under, the likely ones first.
    fn secrets_of(&self, id: &BatchId) -> Vec<u32> {
        let told = self.purse().promised(id).map(|part| part.secret);
        let records = self.device().user_secret_records();
        let newest_first = records.iter().rev().map(|record| record.number);
        let others = newest_first.filter(|number| told != Some(*number));
        told.into_iter().chain(others).collect()
    }

    async fn draw_under(
        &self,
        number: u32,
        id: BatchId,
        key: &ListedKey,
        count: usize,
    ) -> Result<Vec<TokenBytes>> {
        let seed = batch::seed(self.device().user_secret_of(number)?, key)?;
        let (domain, key) = (self.hub_domain.clone(), key.clone());
        let drawing = move || {
            let draw = batch::draw(&seed, &domain, &key, count)?;
            let request = draw.request().map_err(|_| ClientError::BadTokens)?;
            Ok::<_, ClientError>((draw, request))
        };
        let (draw, request) = computed(drawing).await?;
        let request = DrawTokens {
            class: id.class,
            epoch: id.epoch,
            request: Bytes::new(request)?,
        };
        let body = |_: &_| Ok(AccountRequestBody::DrawTokens(request.clone()));
        let AccountResponseBody::Tokens(answer) = self.account_request(body, 0).await? else {
            return Err(ClientError::BadAnswer);
        };
        computed(move || {
            let tokens = draw.finish(answer.as_slice()).map_err(batch::refused)?;
            let tokens = tokens.iter().map(|token| Bytes::new(token.as_bytes()));
            Ok(tokens.collect::<Result<_, _>>()?)
        })
        .await
    }

    fn keep_batch(
        &self,
        id: BatchId,
        secret: u32,
        key: &ListedKey,
        of_key: KeyTerms,
        tokens: Vec<TokenBytes>,
    ) -> Result<()> {
        let own = self.device().credential().client.clone();
        let all = own_part(key, tokens.len(), &own, &self.known_devices()?);
        let mut batch = Batch::default();
        let count = tokens.len();
        let record = BatchRecord {
            format: FORMAT,
            tokens,
        };
        batch.put(batch_name(&id), &record)?;
        let times = (of_key.epoch.start_s(), of_key.epoch.end_s());
        self.change_purse(&mut batch, |purse| {
            let free = match purse.promised(&id) {
                Some(part) => {
                    let known = part
                        .indices
                        .iter()
                        .filter(|index| usize::from(**index) < count);
                    known.copied().collect()
                }
                None => all,
            };
            purse.add(id, secret, times, free);
        })
    }

    /// Half of what this device has left, for one that it links.
    pub(crate) fn split_tokens(&self, batch: &mut Batch) -> Result<Vec<Part>> {
        let entropy = self.entropy.clone();
        self.change_purse(batch, |purse| purse.split(|bound| below(&entropy, bound)))
    }

    /// All tokens that this device knows, spent ones among them.
    #[cfg(feature = "audit")]
    pub(crate) fn held_tokens(&self) -> Result<Vec<Vec<u8>>> {
        let batches: Vec<BatchId> = self.purse().batches().map(|(batch, _)| batch).collect();
        let mut tokens = Vec::new();
        for batch in batches {
            let record: Option<BatchRecord> = self.vault.get(&batch_name(&batch))?;
            let known = record.into_iter().flat_map(|record| record.tokens);
            tokens.extend(known.map(|token| token.as_slice().to_vec()));
        }
        Ok(tokens)
    }

    fn forget_old_tokens(&self) -> Result<()> {
        let now_s = self.now_s();
        let mut batch = Batch::default();
        let mut trial = self.purse().clone();
        for over in trial.expire(now_s) {
            batch.delete(batch_name(&over));
        }
        self.change_purse(&mut batch, |purse| {
            purse.expire(now_s);
        })
    }
}

/// Keeps what a device that was there has left to a new one.
pub(crate) fn keep_promise(batch: &mut Batch, parts: Vec<Part>) -> Result<()> {
    let mut purse = Purse::default();
    purse.promise(parts);
    Ok(batch.put(PURSE, &purse)?)
}

/// A number below a bound, at random.
pub(crate) fn below(entropy: &crate::entropy::Entropy, bound: usize) -> usize {
    let number = entropy.below(u64::try_from(bound).unwrap_or(u64::MAX));
    usize::try_from(number).unwrap_or_default()
}

/// Some milliseconds of arithmetic, off the reactor.
async fn computed<T: Send + 'static>(
    compute: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let task = tokio::task::spawn_blocking(compute);
    task.await.map_err(|_| ClientError::BadTokens)?
}
