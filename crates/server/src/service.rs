//! Owns what the engine must know of a service: how it handles a request, which of its requests are
//! short work, and how its answers are written.
//!
//! Invariant: the services never meet; each has endpoints and answers of its own type.

use crate::http::Problem;
use sordino_accounts::Accounts;
use sordino_effects::{Env, Records, Step};
use sordino_hub::Hub;
use sordino_wire::limits::{MAX_ACCOUNT_BODY_BYTES, MAX_BODY_BYTES};
use sordino_wire::{
    AccountReject, AccountResponse, AccountResponseBody, DsResponse, Reject, ResponseBody,
};

/// A pure function from requests to steps.
pub(crate) trait Service: Send + Sync + 'static {
    /// Which address a request came to.
    type Endpoint: Copy + Send + 'static;
    /// What it answers.
    type Answer: Send + 'static;
    /// The largest request.
    const MAX_BODY_BYTES: usize;

    /// One step on a snapshot.
    fn handle(
        &self,
        bytes: &[u8],
        endpoint: Self::Endpoint,
        records: &dyn Records,
        env: &mut Env<'_>,
    ) -> Step<Self::Answer>;

    /// Whether a request is likely to be short work: then a hop to another thread would cost more
    /// than the work. It is a guess for the sake of speed alone, before anything is parsed, and put
    /// right once there turns out to be much to read.
    fn is_short(bytes: &[u8], endpoint: Self::Endpoint) -> bool;

    /// What is answered where the store does not do its part.
    fn unavailable(retry_after_s: u32) -> Self::Answer;

    /// The padded bytes of an answer.
    fn encode(answer: Self::Answer) -> Result<Vec<u8>, Problem>;
}

impl Service for Hub {
    type Endpoint = sordino_hub::Endpoint;
    type Answer = ResponseBody;
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;

    fn handle(
        &self,
        bytes: &[u8],
        endpoint: Self::Endpoint,
        records: &dyn Records,
        env: &mut Env<'_>,
    ) -> Step<ResponseBody> {
        Self::handle(self, bytes, endpoint, records, env)
    }

    /// A send, a read of a stream or inbox: from the type (`uint16 version; uint16 type`).
    fn is_short(bytes: &[u8], endpoint: Self::Endpoint) -> bool {
        use sordino_hub::Endpoint;
        const SEND: [u8; 2] = 4u16.to_be_bytes();
        match endpoint {
            Endpoint::Streams | Endpoint::Inboxes => true,
            Endpoint::GroupOperation => bytes.get(2..4) == Some(SEND.as_slice()),
            Endpoint::WelcomeInformation
            | Endpoint::ExternalCommitInformation
            | Endpoint::GroupKeyPackages => false,
        }
    }

    fn unavailable(retry_after_s: u32) -> ResponseBody {
        ResponseBody::Rejected(Reject::Unavailable { retry_after_s })
    }

    fn encode(body: ResponseBody) -> Result<Vec<u8>, Problem> {
        encoded(DsResponse { body }.encode())
    }
}

impl Service for Accounts {
    type Endpoint = sordino_accounts::Endpoint;
    type Answer = AccountResponseBody;
    const MAX_BODY_BYTES: usize = MAX_ACCOUNT_BODY_BYTES;

    fn handle(
        &self,
        bytes: &[u8],
        endpoint: Self::Endpoint,
        records: &dyn Records,
        env: &mut Env<'_>,
    ) -> Step<AccountResponseBody> {
        Self::handle(self, bytes, endpoint, records, env)
    }

    /// None: each verifies or makes signatures, up to dozens of them.
    fn is_short(_: &[u8], _: Self::Endpoint) -> bool {
        false
    }

    fn unavailable(retry_after_s: u32) -> AccountResponseBody {
        AccountResponseBody::Rejected(AccountReject::Unavailable { retry_after_s })
    }

    fn encode(body: AccountResponseBody) -> Result<Vec<u8>, Problem> {
        encoded(AccountResponse { body }.encode())
    }
}

fn encoded(bytes: Result<Vec<u8>, tls_codec::Error>) -> Result<Vec<u8>, Problem> {
    bytes.map_err(|_| {
        tracing::error!("an answer could not be encoded");
        Problem::Internal
    })
}
