//! Owns the requests of the account world: who signs them, and over which connection they go.
//!
//! Invariant: what names this account never goes where pseudonyms go, and what names somebody else
//! never says who asks. A request whose time was off is signed again with a fresh nonce.

use crate::core::Core;
use crate::error::{ClientError, Result};
use crate::transport::AccountEndpoint;
use sordino_crypto::sha256;
use sordino_wire::{
    ACCOUNT_REQUEST_LABEL, AccountAuthentication, AccountReject, AccountRequest,
    AccountRequestBody, AccountRequestTbs, AccountResponseBody, Handle, Nonce, PROTOCOL_VERSION,
    encode,
};

/// How often a request is signed before the caller hears of it.
const SIGNINGS: u32 = 3;

impl Core {
    /// Sends a request as this device of this account. The body may depend on the nonce.
    pub(crate) async fn account_request(
        &self,
        body: impl Fn(&Nonce) -> Result<AccountRequestBody>,
        wait_s: u16,
    ) -> Result<AccountResponseBody> {
        for _ in 0..SIGNINGS {
            let nonce = Nonce(self.entropy.array());
            let body = body(&nonce)?;
            let auth = self.sign_account_request(&body, nonce)?;
            let request = AccountRequest::free(body, auth).encode()?;
            let answer = self
                .transport
                .post_account(AccountEndpoint::Account, &request, wait_s)
                .await?;
            match answer {
                AccountResponseBody::Rejected(AccountReject::StaleTime { hub_time_s }) => {
                    self.learn_time(hub_time_s);
                }
                AccountResponseBody::Rejected(reject) => {
                    return Err(ClientError::AccountRefused(reject));
                }
                answer => return Ok(answer),
            }
        }
        Err(ClientError::Unreachable)
    }

    /// Sends a request as nobody, with the tokens that it costs.
    pub(crate) async fn anonymous_request(
        &self,
        endpoint: AccountEndpoint,
        body: AccountRequestBody,
    ) -> Result<AccountResponseBody> {
        let auth = AccountAuthentication::Nobody;
        let request = AccountRequest::free(body, auth);
        let answer = match endpoint {
            AccountEndpoint::Contact => self.post_contact(request).await?,
            AccountEndpoint::Account => {
                let bytes = request.encode()?;
                self.transport.post_account(endpoint, &bytes, 0).await?
            }
        };
        match answer {
            AccountResponseBody::Rejected(reject) => Err(ClientError::AccountRefused(reject)),
            answer => Ok(answer),
        }
    }

    fn sign_account_request(
        &self,
        body: &AccountRequestBody,
        nonce: Nonce,
    ) -> Result<AccountAuthentication> {
        let device = self.device();
        let client_key = device.client_key();
        let tbs = AccountRequestTbs {
            version: PROTOCOL_VERSION,
            domain: self.hub_domain.clone(),
            handle: self.handle()?,
            client_key: client_key.public(),
            time_s: self.floored_time_s(),
            nonce,
            body_hash: sha256(&encode(body)?),
        };
        let signature = client_key.sign_struct(ACCOUNT_REQUEST_LABEL, &tbs)?;
        Ok(AccountAuthentication::Client {
            handle: tbs.handle,
            client_key: tbs.client_key,
            time_s: tbs.time_s,
            nonce,
            signature,
        })
    }

    /// The handle of this account.
    pub(crate) fn handle(&self) -> Result<Handle> {
        handle_of(&self.device().credential().user)
    }
}

/// The handle in a user's URI.
pub(crate) fn handle_of(user: &sordino_wire::IdentifierUri) -> Result<Handle> {
    let (_, handle) = user
        .as_str()
        .rsplit_once("/u/")
        .ok_or(ClientError::OutOfBounds)?;
    Ok(Handle::new(handle)?)
}

/// An answer that says no more than that it is done.
pub(crate) fn done(answer: AccountResponseBody) -> Result<()> {
    match answer {
        AccountResponseBody::Done => Ok(()),
        _ => Err(ClientError::BadAnswer),
    }
}
