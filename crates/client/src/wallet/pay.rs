//! Owns paying: which tokens go with a request, and what an answer says of them.
//!
//! Invariant: what a request is paid with is durable before it goes out. A token that the hub may have
//! taken is used for nothing else; one that it has not taken is kept.

use crate::core::Core;
use crate::error::{ClientError, Result, VaultError};
use crate::transport::{AccountEndpoint, Endpoint};
use crate::vault::Batch;
use crate::wallet::batch::listed_class;
use crate::wallet::draw::{BatchRecord, batch_name, below};
use crate::wallet::purchase::{self, Purchase};
use crate::wallet::purse::{Need, Purse, TokenPlace};
use sordino_tokens::Due;
use sordino_wire::{
    AccountReject, AccountRequest, AccountResponseBody, DsRequest, List, Reject, ResponseBody,
    TokenBytes, TokenClass, TokenPrice, Tokens,
};

/// How often a request is paid anew before the caller hears of it.
const PAYMENTS: u32 = 4;

/// A request on its way to being paid.
struct Payment {
    /// What it costs, as far as is known.
    due: Option<Due>,
    /// How often it may be paid anew.
    left: u32,
}

/// What an answer says of the tokens that came with the request.
enum Verdict {
    /// They were taken, now or before.
    Taken,
    /// They were not, for the request was refused.
    Refused,
    /// Others are asked for.
    Asked(TokenPrice),
    /// One of them is not good, or was spent.
    Bad { index: u8 },
    /// That is not known: the same request may come to something.
    Unknown,
}

impl Core {
    /// Sends a request of the pseudonymous world, with the tokens that it costs.
    pub(crate) async fn post(
        &self,
        endpoint: Endpoint,
        request: &[u8],
        wait_s: u16,
    ) -> Result<ResponseBody> {
        let Some(purchase) = costly(endpoint, request)? else {
            return self.transport.post(endpoint, request, wait_s).await;
        };
        let mut payment = self.begin_payment(&purchase).await?;
        let mut refusal = None;
        loop {
            let tokens = match (self.take_tokens(&purchase, &payment).await, refusal) {
                // Waiting helps as well.
                (Err(ClientError::NoTokens { .. }), Some(refusal)) => return Ok(refusal),
                (tokens, _) => tokens?,
            };
            let paid = paid(request, tokens)?;
            let bytes = paid.as_deref().unwrap_or(request);
            let answer = self.transport.post(endpoint, bytes, wait_s).await?;
            let verdict = verdict(&answer);
            if self.settle(&purchase, &mut payment, verdict).await? {
                return Ok(answer);
            }
            refusal = costs_nothing_later(&answer).then_some(answer);
        }
    }

    /// The same for what concerns somebody else's account.
    pub(crate) async fn post_contact(
        &self,
        mut request: AccountRequest,
    ) -> Result<AccountResponseBody> {
        let endpoint = AccountEndpoint::Contact;
        let Some(purchase) = purchase::of_accounts(&request.body) else {
            let bytes = request.encode()?;
            return self.transport.post_account(endpoint, &bytes, 0).await;
        };
        let mut payment = self.begin_payment(&purchase).await?;
        loop {
            request.tokens = self.take_tokens(&purchase, &payment).await?;
            let bytes = request.encode()?;
            let answer = self.transport.post_account(endpoint, &bytes, 0).await?;
            let verdict = account_verdict(&answer);
            if self.settle(&purchase, &mut payment, verdict).await? {
                return Ok(answer);
            }
        }
    }

    async fn begin_payment(&self, purchase: &Purchase) -> Result<Payment> {
        let due = match purchase.always {
            true => self
                .terms()
                .await?
                .due(purchase.operation, purchase.units)?,
            false => None,
        };
        let left = PAYMENTS;
        Ok(Payment { due, left })
    }

    /// Whether the answer stands; else the request is paid anew.
    async fn settle(
        &self,
        purchase: &Purchase,
        payment: &mut Payment,
        verdict: Verdict,
    ) -> Result<bool> {
        payment.left = payment.left.saturating_sub(1);
        match verdict {
            Verdict::Taken | Verdict::Unknown => Ok(true),
            Verdict::Refused => {
                self.note(|purse| purse.release(&purchase.request))?;
                Ok(true)
            }
            Verdict::Asked(price) => {
                self.note(|purse| purse.release(&purchase.request))?;
                payment.due = self.listed_price(purchase, price).await?;
                Ok(payment.left == 0 || payment.due.is_none())
            }
            Verdict::Bad { index } => {
                self.note(|purse| purse.drop_one(&purchase.request, index))?;
                Ok(payment.left == 0)
            }
        }
    }

    /// What is asked for, if it is what everybody is told that it costs.
    async fn listed_price(&self, purchase: &Purchase, asked: TokenPrice) -> Result<Option<Due>> {
        let is_asked = |due: &Option<Due>| {
            due.is_some_and(|due| {
                listed_class(asked.class) == due.class && usize::from(asked.tokens) == due.tokens
            })
        };
        let known = self
            .terms()
            .await?
            .due(purchase.operation, purchase.units)?;
        if is_asked(&known) {
            return Ok(known);
        }
        let told = self.renew_terms().await?;
        let told = told.due(purchase.operation, purchase.units)?;
        Ok(told.filter(|_| is_asked(&told)))
    }

    /// Reserves tokens for a request; draws some where there are none.
    async fn take_tokens(&self, purchase: &Purchase, payment: &Payment) -> Result<Tokens> {
        let Some(due) = payment.due else {
            return Ok(Tokens::default());
        };
        let mut classes = TokenClass::ALL.into_iter();
        let class = classes.find(|class| listed_class(*class) == due.class);
        let class = class.ok_or(ClientError::OutOfBounds)?;
        let need = Need {
            class,
            tokens: due.tokens,
            request: purchase.request,
            scope: purchase.scope,
        };
        if let Some(places) = self.reserve(&need)? {
            return self.read_tokens(&places);
        }
        self.draw_running().await?;
        match self.reserve(&need)? {
            Some(places) => self.read_tokens(&places),
            None => Err(ClientError::NoTokens {
                again_s: self.next_epoch_s(class).await?,
            }),
        }
    }

    fn reserve(&self, need: &Need) -> Result<Option<Vec<TokenPlace>>> {
        let (now_s, entropy) = (self.now_s(), self.entropy.clone());
        self.change_purse(&mut Batch::default(), |purse| {
            let reserved = purse.reserve(need, now_s, |bound| below(&entropy, bound));
            reserved.ok()
        })
    }

    /// How long until there are new ones, in seconds.
    async fn next_epoch_s(&self, class: TokenClass) -> Result<u64> {
        let now_s = self.now_s();
        let terms = self.terms().await?;
        let mut running = terms
            .keys()
            .filter(|(id, _, key)| id.class == class && key.epoch.contains(now_s));
        let end_s = running.next().map(|(_, _, key)| key.epoch.end_s());
        Ok(end_s.map_or(0, |end_s| end_s.saturating_sub(now_s)))
    }

    fn read_tokens(&self, places: &[TokenPlace]) -> Result<Tokens> {
        let mut tokens: Vec<TokenBytes> = Vec::with_capacity(places.len());
        for place in places {
            let record: BatchRecord = self
                .vault
                .get(&batch_name(&place.batch))?
                .ok_or(VaultError::Format)?;
            let token = record.tokens.get(usize::from(place.index));
            tokens.push(token.ok_or(VaultError::Format)?.clone());
        }
        Ok(List::new(tokens)?)
    }

    fn note(&self, change: impl FnOnce(&mut Purse)) -> Result<()> {
        self.change_purse(&mut Batch::default(), change)
    }
}

/// What a request may cost, if it is one that may.
fn costly(endpoint: Endpoint, request: &[u8]) -> Result<Option<Purchase>> {
    match endpoint {
        Endpoint::Operation | Endpoint::InboxOnce | Endpoint::KeyPackages => {}
        _ => return Ok(None),
    }
    let parsed = DsRequest::parse(request).map_err(ClientError::NotAllowed)?;
    let (body, auth) = (&parsed.request.body, &parsed.request.auth);
    Ok(purchase::of_hub(body, auth, parsed.body_bytes))
}

/// The request with tokens; `None` where there are none.
fn paid(request: &[u8], tokens: Tokens) -> Result<Option<Vec<u8>>> {
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parsed = DsRequest::parse(request)
        .map_err(ClientError::NotAllowed)?
        .request;
    parsed.tokens = tokens;
    Ok(Some(parsed.encode()?))
}

/// Whether the request costs something for now alone.
fn costs_nothing_later(answer: &ResponseBody) -> bool {
    matches!(
        answer,
        ResponseBody::Rejected(Reject::TokenRequired {
            retry_after_s: 1..,
            ..
        })
    )
}

fn verdict(answer: &ResponseBody) -> Verdict {
    match answer {
        ResponseBody::Rejected(reject) => match reject {
            Reject::TokenRequired { price, .. } => Verdict::Asked(*price),
            Reject::TokenInvalid { index } | Reject::DoubleSpent { index } => {
                Verdict::Bad { index: *index }
            }
            Reject::Unavailable { .. } | Reject::RateLimited { .. } => Verdict::Unknown,
            _ => Verdict::Refused,
        },
        _ => Verdict::Taken,
    }
}

fn account_verdict(answer: &AccountResponseBody) -> Verdict {
    match answer {
        AccountResponseBody::Rejected(reject) => match reject {
            AccountReject::TokenRequired { price, .. } => Verdict::Asked(*price),
            AccountReject::TokenInvalid { index } | AccountReject::DoubleSpent { index } => {
                Verdict::Bad { index: *index }
            }
            AccountReject::Unavailable { .. } | AccountReject::RateLimited { .. } => {
                Verdict::Unknown
            }
            _ => Verdict::Refused,
        },
        _ => Verdict::Taken,
    }
}
