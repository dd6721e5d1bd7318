//! Owns becoming somebody: a handle at the provider, with this as its first device.
//!
//! Invariant: all keys are durable before the provider hears of them, so that a registration whose
//! answer was lost is found again and not lost; the work for it is done on a thread of its own.

use crate::client::Client;
use crate::core::{ClientConfig, Core, open_vault};
use crate::device::Device;
use crate::error::{ClientError, Result, VaultError};
use crate::people::account_request::done;
use crate::people::work::{OnWork, solve};
use crate::records::{DEVICE, DeviceRecord, INDEX, IndexRecord, REGISTRATION};
use crate::transport::AccountEndpoint;
use crate::vault::Batch;
use sordino_crypto::{account_fingerprint, make_account_deletion};
use sordino_wire::{
    AccountReject, AccountRequestBody, AccountResponseBody, AccountView, Admission, AdmissionTerms,
    Bytes, Handle, IdentifierUri, Register,
};
use std::sync::Arc;

/// What lets this user register.
#[derive(Clone)]
pub enum RegisterWith {
    /// A code from the provider.
    Invitation(String),
    /// Work: a computation that takes this machine a moment.
    ProofOfWork {
        /// Is told how it comes on.
        on_work: Option<OnWork>,
    },
}

impl RegisterWith {
    /// Work that nobody watches.
    pub fn work() -> Self {
        Self::ProofOfWork { on_work: None }
    }
}

impl std::fmt::Debug for RegisterWith {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Invitation(_) => "Invitation(..)",
            Self::ProofOfWork { .. } => "ProofOfWork",
        })
    }
}

/// This user's account, as the provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    /// The user.
    pub user: IdentifierUri,
    /// Of the account key: what contacts compare.
    pub fingerprint: String,
    /// Its devices, this one among them.
    pub devices: Vec<IdentifierUri>,
}

impl Client {
    /// Registers a handle, with this as its first device. Where it was interrupted, the same call
    /// goes on with the same keys.
    pub async fn register(
        config: ClientConfig,
        handle: &Handle,
        with: RegisterWith,
    ) -> Result<Self> {
        let user = handle.uri(&config.hub.domain)?;
        let (vault, entropy) = open_vault(&config)?;
        if vault.contains(DEVICE)? {
            return Err(VaultError::Device.into());
        }
        let device = match vault.get::<DeviceRecord>(REGISTRATION)? {
            Some(record) if record.credential.user == user => Device::load(record)?,
            // A handle that was taken gives way to another one.
            _ => {
                let device = Device::first(&user, &entropy)?;
                let mut batch = Batch::default();
                batch.put(REGISTRATION, &device.record())?;
                vault.commit(&batch)?;
                device
            }
        };
        let core = Core::assemble(config, vault, entropy, device)?;
        core.register(handle, with).await?;
        let mut batch = Batch::default();
        batch.put(DEVICE, &core.device().record())?;
        batch.put(INDEX, &IndexRecord::default())?;
        batch.delete(REGISTRATION);
        core.vault.commit(&batch)?;
        // Without them the account is there all the same; they are drawn when they are needed.
        let _ = core.draw_running().await;
        Ok(Self {
            core: Arc::new(core),
        })
    }

    /// This user's account, as the provider has it.
    pub async fn account(&self) -> Result<AccountInfo> {
        let view = self.core.read_account().await?;
        let user = self.credential().user.clone();
        let clients = view.clients.iter();
        Ok(AccountInfo {
            fingerprint: account_fingerprint(&user, &view.entry.account_key)?,
            user,
            devices: clients.map(|client| client.client.clone()).collect(),
        })
    }

    /// What contacts see of this user's account key.
    pub fn fingerprint(&self) -> Result<String> {
        let credential = self.credential();
        Ok(account_fingerprint(
            &credential.user,
            &credential.account_key,
        )?)
    }

    /// Deletes the account at the provider. Nobody can have the handle again. Groups that this
    /// user is in do not notice; leave them first.
    pub async fn delete_account(&self) -> Result<()> {
        let device = self.core.device();
        let account_key = device.account_key()?;
        let body = |nonce: &_| {
            Ok(AccountRequestBody::DeleteAccount(make_account_deletion(
                account_key,
                nonce,
            )?))
        };
        done(self.core.account_request(body, 0).await?)
    }
}

impl Core {
    /// The account as its own devices see it.
    pub(crate) async fn read_account(&self) -> Result<AccountView> {
        let body = |_: &_| Ok(AccountRequestBody::ReadAccount);
        match self.account_request(body, 0).await? {
            AccountResponseBody::Account(view) => Ok(view),
            _ => Err(ClientError::BadAnswer),
        }
    }

    async fn register(&self, handle: &Handle, with: RegisterWith) -> Result<()> {
        let admission = self.admission(handle, with).await?;
        let device = self.device();
        let register = Register {
            admission,
            credential: device.credential().clone(),
            connection_key: device.signed_connection_key()?,
        };
        let body = |_: &_| Ok(AccountRequestBody::Register(register.clone()));
        match self.account_request(body, 0).await {
            Ok(answer) => done(answer),
            // An earlier attempt may have got through, and its answer not.
            Err(ClientError::AccountRefused(
                reject @ (AccountReject::HandleTaken
                | AccountReject::InvitationInvalid
                | AccountReject::ProofOfWorkInvalid),
            )) => match self.read_account().await {
                Ok(view) if view.entry.account_key == device.credential().account_key => Ok(()),
                _ => Err(ClientError::AccountRefused(reject)),
            },
            Err(error) => Err(error),
        }
    }

    async fn admission(&self, handle: &Handle, with: RegisterWith) -> Result<Admission> {
        let on_work = match with {
            RegisterWith::Invitation(code) => {
                let code = Bytes::new(code.trim().as_bytes().to_vec());
                let refused = ClientError::AccountRefused(AccountReject::InvitationInvalid);
                return Ok(Admission::Invitation(code.map_err(|_| refused)?));
            }
            RegisterWith::ProofOfWork { on_work } => on_work,
        };
        let body = AccountRequestBody::AdmissionTerms;
        let answer = self
            .anonymous_request(AccountEndpoint::Account, body)
            .await?;
        let AccountResponseBody::AdmissionTerms(terms) = answer else {
            return Err(ClientError::BadAnswer);
        };
        if terms == AdmissionTerms::Closed {
            return Err(ClientError::AccountRefused(AccountReject::OtherAdmission));
        }
        let AdmissionTerms::ProofOfWork {
            challenge,
            difficulty_bits,
        } = terms
        else {
            return Err(ClientError::AccountRefused(AccountReject::OtherAdmission));
        };
        let account_key = self.device().credential().account_key.clone();
        let solution = solve(
            challenge.clone(),
            handle.clone(),
            account_key,
            difficulty_bits,
            on_work,
        )
        .await?;
        Ok(Admission::ProofOfWork {
            challenge,
            solution,
        })
    }
}
