//! Owns asking the provider who a handle is.
//!
//! Invariant: the question goes over a connection of its own and says nothing of who asks; an
//! answer counts only where its account key has signed its connection key for this very user.

use crate::core::Core;
use crate::error::{ClientError, Result};
use crate::people::account_request::handle_of;
use crate::transport::AccountEndpoint;
use sordino_crypto::{account_fingerprint, check_connection_key};
use sordino_wire::{
    AccountEntry, AccountRequestBody, AccountResponseBody, Handle, IdentifierUri, SignatureKey,
};

/// What a provider says of a handle. It says as much of a handle that nobody has, so only the
/// person's answer to a connection request proves that there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The user.
    pub user: IdentifierUri,
    /// To be compared with what the person sees, over a call or in a room.
    pub fingerprint: String,
    /// What the fingerprint is of.
    pub account_key: SignatureKey,
}

impl Core {
    pub(crate) async fn look_up(&self, handle: &Handle) -> Result<(IdentifierUri, AccountEntry)> {
        let user = handle.uri(&self.hub_domain)?;
        let body = AccountRequestBody::LookUp(handle.clone());
        let answer = self
            .anonymous_request(AccountEndpoint::Contact, body)
            .await?;
        let AccountResponseBody::Entry(entry) = answer else {
            return Err(ClientError::BadAnswer);
        };
        check_connection_key(&user, &entry.account_key, &entry.connection_key)
            .map_err(|_| ClientError::BadAnswer)?;
        Ok((user, entry))
    }

    /// The entry of a user, who must be at this provider.
    pub(crate) async fn look_up_user(&self, user: &IdentifierUri) -> Result<AccountEntry> {
        let handle = handle_of(user)?;
        if handle.uri(&self.hub_domain)? != *user {
            return Err(ClientError::OtherHub);
        }
        Ok(self.look_up(&handle).await?.1)
    }
}

impl Found {
    pub(crate) fn new(user: IdentifierUri, account_key: SignatureKey) -> Result<Self> {
        Ok(Self {
            fingerprint: account_fingerprint(&user, &account_key)?,
            user,
            account_key,
        })
    }
}
