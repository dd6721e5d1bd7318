//! The whole way of a request, on one page.
//!
//! ```text
//! bytes -> admit -> unseal -> authenticate -> pay -> limit -> apply -> reseal -> (commit -> wake -> reply)
//! ```
//! Owns the order. Invariant: each stage takes the value of the stage before, so none is skipped.
//! What needs no group to tell its price is paid for before any group is looked at.

use crate::admit::admit;
use crate::authenticate::Who;
use crate::outcome::{Refusal, Step};
use crate::unseal::{open_group, open_head};
use crate::{Endpoint, Env, HubShared, apply, authenticate, limit, pay};
use sordino_effects::Records;
use sordino_wire::{Reject, RequestBody, ResponseBody};

/// When to try again after a fault, in seconds.
const FAULT_RETRY_S: u32 = 5;

pub(crate) fn handle(
    shared: &HubShared,
    bytes: &[u8],
    endpoint: Endpoint,
    records: &dyn Records,
    env: &mut Env<'_>,
) -> Step {
    match run(shared, bytes, endpoint, records, env) {
        Ok(step) => step,
        Err(Refusal::Reject(reject)) => Step::Answer(ResponseBody::Rejected(reject)),
        Err(Refusal::Repeated(answer)) => Step::Answer(*answer),
        Err(Refusal::Fault(fault)) => {
            let reject = Reject::Unavailable {
                retry_after_s: FAULT_RETRY_S,
            };
            Step::Failed {
                fault,
                answer: ResponseBody::Rejected(reject),
            }
        }
    }
}

fn run(
    shared: &HubShared,
    bytes: &[u8],
    endpoint: Endpoint,
    records: &dyn Records,
    env: &mut Env<'_>,
) -> Result<Step, Refusal> {
    let (body, mut admitted) = admit(shared, bytes, endpoint, records, env)?;
    if let Some((operation, entries)) = pay::priced(&body) {
        pay::pay(shared, records, env, &mut admitted, operation, entries)?;
    }
    match &body {
        RequestBody::Send(request) => {
            let opened = open_head(shared, records, &request.head)?;
            let epoch = authenticate::epoch_member(shared, &admitted, &opened)?;
            limit::message(shared, records, env, &mut admitted, &opened)?;
            apply::send::send(shared, env, &admitted, opened, epoch, request)
        }
        RequestBody::AnswerKeyRequest(request) => {
            let opened = open_head(shared, records, &request.head)?;
            let _ = authenticate::epoch_member(shared, &admitted, &opened)?;
            apply::key_request::answer(shared, records, env, &admitted, opened, request)
        }
        RequestBody::KeyRequest(request) => apply::key_request::ask(shared, records, env, request),
        RequestBody::CreateGroup(request) => {
            apply::create::create(shared, records, env, &admitted, request)
        }
        RequestBody::Commit(request) => {
            let state = open_group(shared, records, &request.access)?;
            let who = authenticate::signer(shared, &admitted, &state)?;
            // Who brings an own device has its standing already.
            if !authenticate::is_own_device(shared, &state, &who, request.commit.as_slice()) {
                if matches!(who, Who::Joiner { .. }) {
                    pay::join(shared, records, env, &mut admitted, &state)?;
                }
                limit::handshake(env, &admitted, &state, &who)?;
            }
            apply::commit::commit(shared, records, env, &admitted, state, who, request)
        }
        RequestBody::Proposals(request) => {
            let state = open_group(shared, records, &request.access)?;
            let who = authenticate::signer(shared, &admitted, &state)?;
            if matches!(who, Who::Joiner { .. }) {
                pay::join(shared, records, env, &mut admitted, &state)?;
            }
            limit::handshake(env, &admitted, &state, &who)?;
            apply::proposals::propose(shared, records, env, &admitted, state, who, request)
        }
        RequestBody::SendAsLeaf(request) => {
            let state = open_group(shared, records, &request.access)?;
            let (leaf, user) = authenticate::leaf(shared, &admitted, &state)?;
            limit::pseudonym(env, &admitted, &state, &user)?;
            apply::send::send_as_leaf(shared, records, env, &admitted, state, leaf, &user, request)
        }
        RequestBody::ConfirmKeys(access) => {
            let state = open_group(shared, records, access)?;
            let (_, user) = authenticate::leaf(shared, &admitted, &state)?;
            apply::confirm::confirm_keys(shared, records, env, &admitted, state, &user)
        }
        RequestBody::ReportCommit(request) => {
            let state = open_group(shared, records, &request.access)?;
            let (leaf, user) = authenticate::leaf(shared, &admitted, &state)?;
            limit::pseudonym(env, &admitted, &state, &user)?;
            apply::confirm::report(shared, records, env, &admitted, state, leaf, &user, request)
        }
        RequestBody::Reinitialise(request) => {
            let state = open_group(shared, records, &request.access)?;
            let (leaf, user) = authenticate::leaf(shared, &admitted, &state)?;
            limit::pseudonym(env, &admitted, &state, &user)?;
            apply::freeze::freeze(shared, records, env, &admitted, state, leaf, &user, request)
        }
        RequestBody::Rekey(request) => {
            apply::rekey::rekey(shared, records, env, &admitted, request)
        }
        RequestBody::InspectMembership(access) => {
            let mut state = open_group(shared, records, access)?;
            apply::read::membership(shared, records, &mut state)
        }
        RequestBody::ExternalCommitInformation(access) => {
            let mut state = open_group(shared, records, access)?;
            apply::read::external_commit_information(shared, records, &mut state)
        }
        RequestBody::WelcomeInformation(request) => {
            apply::read::welcome_information(shared, records, &admitted, request)
        }
        RequestBody::OpenInbox(request) => {
            apply::inbox::open(shared, records, env, &admitted, request)
        }
        RequestBody::ReadInbox(request) => apply::inbox::read(shared, records, env, request),
        RequestBody::Deposit(request) => apply::inbox::deposit(shared, records, env, request),
        RequestBody::PublishKeyPackages(request) => {
            apply::key_packages::publish(shared, records, env, &admitted, request)
        }
        RequestBody::InspectKeyPackages(request) => {
            apply::key_packages::inspect(shared, records, env, request)
        }
        RequestBody::DropKeyPackages(request) => {
            apply::key_packages::drop_pool(shared, records, env, request)
        }
        RequestBody::FetchKeyPackages(request) => {
            apply::key_packages::fetch(shared, records, env, &mut admitted, request)
        }
        RequestBody::ReadStreams(request) => apply::stream::read(shared, records, request),
        RequestBody::TokenTerms => {
            let terms = env.origin.terms(env.now_s);
            Ok(Step::Answer(ResponseBody::TokenTerms(terms)))
        }
    }
}
