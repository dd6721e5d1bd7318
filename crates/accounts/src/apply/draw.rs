//! Owns drawing tokens: the attester's part of Privacy Pass (RFC 9576 section 3; design page 4).
//!
//! Invariant: each account draws one whole batch of a class and epoch, counted in the transaction
//! without which it gets none; the same batch again gets the same tokens, another one none. What is
//! written down dies with the epoch, and holds nothing that a spent token shows.

use crate::Shared;
use crate::authenticate::Device;
use crate::outcome::{Refusal, Step};
use crate::reseal::Writer;
use crate::unseal::Draw;
use sordino_crypto::sha256;
use sordino_effects::{Env, NotIssued, Records, Settlement};
use sordino_wire::{AccountReject, AccountResponseBody, DrawTokens};

pub(crate) fn draw(
    shared: &Shared,
    records: &dyn Records,
    env: &mut Env<'_>,
    device: &Device<'_>,
    request: &DrawTokens,
) -> Result<Step, Refusal> {
    let DrawTokens { class, epoch, .. } = *request;
    let book = env.issuer.draw_book(class, epoch, env.now_s);
    let book = book.ok_or(AccountReject::EpochClosed)?;
    let draw = Draw::new(shared, device.handle, class, epoch, book)?;
    let hash = sha256(request.request.as_slice());
    let before = draw.open(shared, records)?;
    if before.is_some_and(|drawn| drawn != hash) {
        return Err(AccountReject::AlreadyDrawn.into());
    }
    let tokens = env.issuer.issue(request, env.now_s).map_err(refused)?;
    let answer = AccountResponseBody::Tokens(tokens);
    if before.is_some() {
        return Ok(Step::Answer(answer));
    }
    let mut writer = Writer::new(shared, env);
    writer.put_draw(&draw, &hash)?;
    Ok(writer.answer(&Settlement::default(), answer)?)
}

fn refused(not_issued: NotIssued) -> AccountReject {
    match not_issued {
        NotIssued::EpochClosed => AccountReject::EpochClosed,
        NotIssued::InvalidBatch => AccountReject::InvalidBatch,
        NotIssued::TooMuch(too_much) => AccountReject::RateLimited {
            retry_after_s: too_much.retry_after_s,
        },
    }
}
