//! Owns the account world (design page 5): accounts, their devices, and asking a person.
//!
//! Invariant: nothing here names a pseudonym, a group, a stream or a key-package set, and nothing
//! of the pseudonymous world names an account; the two never share an envelope or a connection.

use crate::bytes::{Bytes, List};
use crate::connection::SealedConnectionRequest;
use crate::credential::ClientCredential;
use crate::ids::{Digest, Domain, HpkeKey, IdentifierUri, Nonce, SignatureBytes, SignatureKey};
use crate::limits::{
    MAX_ACCOUNT_CLIENTS, MAX_HANDLE_BYTES, MAX_INVITATION_BYTES, MAX_PENDING_CONNECTION_REQUESTS,
    MIN_HANDLE_BYTES,
};
use crate::stream::StreamPage;
use std::io::Write;
use tls_codec::{
    DeserializeBytes, Error, Serialize, Size, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

/// Label under which a device signs a request of the account world.
pub const ACCOUNT_REQUEST_LABEL: &str = "AccountRequest";
/// Label under which an account key signs its connection key.
pub const CONNECTION_KEY_LABEL: &str = "ConnectionKey";
/// Label under which an account key names its successor.
pub const ACCOUNT_KEY_CHANGE_LABEL: &str = "AccountKeyChange";

/// A handle: 2 to 32 lower-case letters, digits, `-` and `_`, beginning with a letter. A UUID is
/// longer, so no handle looks like a pseudonym.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(String);

impl Handle {
    /// Takes a handle as it is written on the wire: folded to lower case already.
    pub fn new(handle: impl Into<String>) -> Result<Self, crate::bytes::OutOfBounds> {
        let handle = handle.into();
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        let fits = (MIN_HANDLE_BYTES..=MAX_HANDLE_BYTES).contains(&handle.len())
            && handle.bytes().all(allowed)
            && handle
                .bytes()
                .next()
                .is_some_and(|b| b.is_ascii_lowercase());
        if fits {
            Ok(Self(handle))
        } else {
            Err(crate::bytes::OutOfBounds)
        }
    }

    /// Takes what a person typed: surrounding spaces go, upper case is folded.
    pub fn from_input(text: &str) -> Result<Self, crate::bytes::OutOfBounds> {
        Self::new(text.trim().to_ascii_lowercase())
    }

    /// The handle.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `mimi://<domain>/u/<handle>`.
    pub fn uri(&self, domain: &Domain) -> Result<IdentifierUri, crate::bytes::OutOfBounds> {
        IdentifierUri::new(format!("mimi://{}/u/{}", domain.as_str(), self.0))
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle(..)")
    }
}

impl Size for Handle {
    fn tls_serialized_len(&self) -> usize {
        tls_codec::VLByteSlice(self.0.as_bytes()).tls_serialized_len()
    }
}

impl Serialize for Handle {
    fn tls_serialize<W: Write>(&self, writer: &mut W) -> Result<usize, Error> {
        tls_codec::VLByteSlice(self.0.as_bytes()).tls_serialize(writer)
    }
}

impl DeserializeBytes for Handle {
    fn tls_deserialize_bytes(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (raw, rest) =
            Bytes::<MIN_HANDLE_BYTES, MAX_HANDLE_BYTES>::tls_deserialize_bytes(bytes)?;
        let text = String::from_utf8(raw.into_vec())
            .map_err(|_| Error::DecodingError("not UTF-8".into()))?;
        let handle = Self::new(text).map_err(|_| Error::DecodingError("not allowed".into()))?;
        Ok((handle, rest))
    }
}

/// The HPKE key to which connection requests are sealed, certified by the account key. Shared by
/// the devices of the account.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct SignedConnectionKey {
    /// The key.
    pub hpke_key: HpkeKey,
    /// By the account key over [`ConnectionKeyTbs`], label [`CONNECTION_KEY_LABEL`].
    pub signature: SignatureBytes,
}

/// What the signature of a [`SignedConnectionKey`] covers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct ConnectionKeyTbs {
    /// Whose key it is.
    pub user: IdentifierUri,
    /// The account key that certifies it.
    pub account_key: SignatureKey,
    /// See [`SignedConnectionKey`].
    pub hpke_key: HpkeKey,
}

/// What anybody may learn of an account who knows its handle. An unknown handle gets one of the
/// same shape, the same each time.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct AccountEntry {
    /// The account key: what contacts pin and compare by fingerprint.
    pub account_key: SignatureKey,
    /// Where connection requests are sealed to.
    pub connection_key: SignedConnectionKey,
}

/// An account key names its successor; every credential of the old key ends with it.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct AccountKeyChange {
    /// The user.
    pub user: IdentifierUri,
    /// The key that ends.
    pub old_key: SignatureKey,
    /// The key that begins.
    pub new_key: SignatureKey,
    /// By the old key over [`AccountKeyChangeTbs`], label [`ACCOUNT_KEY_CHANGE_LABEL`].
    pub old_signature: SignatureBytes,
    /// By the new key over the same.
    pub new_signature: SignatureBytes,
}

/// What both signatures of an [`AccountKeyChange`] cover.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct AccountKeyChangeTbs {
    /// See [`AccountKeyChange`].
    pub user: IdentifierUri,
    /// See [`AccountKeyChange`].
    pub old_key: SignatureKey,
    /// See [`AccountKeyChange`].
    pub new_key: SignatureKey,
}

/// What lets somebody register.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum Admission {
    /// A code from the operator; serves once.
    #[tls_codec(discriminant = 1)]
    Invitation(Bytes<1, MAX_INVITATION_BYTES>),
    /// Work on a challenge of this hub.
    #[tls_codec(discriminant = 2)]
    ProofOfWork {
        /// As in [`AdmissionTerms::ProofOfWork`].
        challenge: Bytes<1, 128>,
        /// SHA-256 of [`ProofOfWorkContent`] begins with the bits that are asked for.
        solution: u64,
    },
}

/// What a proof of work is the hash of.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct ProofOfWorkContent {
    /// The challenge.
    pub challenge: Bytes<1, 128>,
    /// The handle that it registers.
    pub handle: Handle,
    /// The account key that it registers.
    pub account_key: SignatureKey,
    /// The number that was looked for.
    pub solution: u64,
}

/// What this provider asks of somebody who registers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum AdmissionTerms {
    /// A code from the operator.
    #[tls_codec(discriminant = 1)]
    Invitation,
    /// Work.
    #[tls_codec(discriminant = 2)]
    ProofOfWork {
        /// Authenticated by the hub, valid for a while.
        challenge: Bytes<1, 128>,
        /// Zero bits that the hash begins with.
        difficulty_bits: u8,
    },
    /// Nobody registers here now.
    #[tls_codec(discriminant = 3)]
    Closed,
}

/// Registers a handle. `AccountAuthentication::Client` by the first device.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct Register {
    /// What lets it register.
    pub admission: Admission,
    /// The first device, certified by the account key in it.
    pub credential: ClientCredential,
    /// Certified by the same key.
    pub connection_key: SignedConnectionKey,
}

/// Replaces account key, connection key and devices at once: what is not named here is revoked.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct ReplaceAccountKey {
    /// The statement, which contacts get too.
    pub change: AccountKeyChange,
    /// The devices that stay, certified by the new key.
    pub clients: List<ClientCredential, MAX_ACCOUNT_CLIENTS>,
    /// Certified by the new key.
    pub connection_key: SignedConnectionKey,
}

/// Asks a person for a connection. No account is named as the sender's. The answer is `Done`,
/// whether or not there is such a person and room for its request: it says nothing of either.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct SendConnectionRequest {
    /// Whom.
    pub handle: Handle,
    /// Sealed to that account's connection key.
    pub request: SealedConnectionRequest,
}

/// Reads connection requests that are not settled; waits if there is nothing yet. The answer holds
/// those before its `next`; whoever reads on asks from there.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct ReadConnectionRequests {
    /// The first number wanted; 0 stands for the oldest kept.
    pub from: u64,
    /// How long to wait, at most 60.
    pub wait_s: u16,
}

/// Says which connection requests are dealt with, so that there is room for others.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct SettleConnectionRequests {
    /// SHA-256 of the serialised [`SealedConnectionRequest`] of each.
    pub hashes: List<Digest, MAX_PENDING_CONNECTION_REQUESTS>,
}

/// All requests of the account world.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u16)]
pub enum AccountRequestBody {
    /// What registering takes. Nobody signs.
    #[tls_codec(discriminant = 1)]
    AdmissionTerms,
    /// See [`Register`].
    #[tls_codec(discriminant = 2)]
    Register(Register),
    /// The account as its own devices see it (`Client`).
    #[tls_codec(discriminant = 3)]
    ReadAccount,
    /// A further device, or one with a new credential. `Client` by that device; the account key's
    /// signature in the credential is what admits it.
    #[tls_codec(discriminant = 4)]
    PutClient(ClientCredential),
    /// See [`ReplaceAccountKey`] (`Client` by one of the devices that stay).
    #[tls_codec(discriminant = 5)]
    ReplaceAccountKey(ReplaceAccountKey),
    /// A new connection key (`Client`).
    #[tls_codec(discriminant = 6)]
    ReplaceConnectionKey(SignedConnectionKey),
    /// Deletes the account (`Client`). The signature is the account key's over the request's
    /// nonce, label "DeleteAccount".
    #[tls_codec(discriminant = 7)]
    DeleteAccount(SignatureBytes),
    /// See [`ReadConnectionRequests`] (`Client`).
    #[tls_codec(discriminant = 8)]
    ReadConnectionRequests(ReadConnectionRequests),
    /// See [`SettleConnectionRequests`] (`Client`).
    #[tls_codec(discriminant = 9)]
    SettleConnectionRequests(SettleConnectionRequests),
    /// The entry of a handle. Nobody signs.
    #[tls_codec(discriminant = 32)]
    LookUp(Handle),
    /// See [`SendConnectionRequest`]. Nobody signs.
    #[tls_codec(discriminant = 33)]
    SendConnectionRequest(SendConnectionRequest),
}

/// Who asks, in the account world.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u8)]
pub enum AccountAuthentication {
    /// Nobody says who.
    #[tls_codec(discriminant = 0)]
    Nobody,
    /// A device of an account.
    #[tls_codec(discriminant = 1)]
    Client {
        /// The account.
        handle: Handle,
        /// The device's signature key.
        client_key: SignatureKey,
        /// The hub's time in seconds since 1970, floored to 60.
        time_s: u64,
        /// Random; a repeated request repeats it.
        nonce: Nonce,
        /// By that key over [`AccountRequestTbs`], label [`ACCOUNT_REQUEST_LABEL`].
        signature: SignatureBytes,
    },
}

/// What the signature of a request covers.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct AccountRequestTbs {
    /// [`crate::PROTOCOL_VERSION`].
    pub version: u16,
    /// The provider.
    pub domain: Domain,
    /// See [`AccountAuthentication::Client`].
    pub handle: Handle,
    /// See [`AccountAuthentication::Client`].
    pub client_key: SignatureKey,
    /// See [`AccountAuthentication::Client`].
    pub time_s: u64,
    /// See [`AccountAuthentication::Client`].
    pub nonce: Nonce,
    /// SHA-256 of the serialised [`AccountRequestBody`].
    pub body_hash: Digest,
}

/// An account as its own devices see it.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
pub struct AccountView {
    /// What others see.
    pub entry: AccountEntry,
    /// Its devices.
    pub clients: List<ClientCredential, MAX_ACCOUNT_CLIENTS>,
}

/// A refusal in the account world: nothing changed, nothing was spent, nothing was lost.
#[derive(
    Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes, thiserror::Error,
)]
#[repr(u16)]
pub enum AccountReject {
    /// The request does not parse, or has bytes it must not have.
    #[tls_codec(discriminant = 1)]
    #[error("the request is malformed")]
    Malformed,
    /// The version is not spoken here.
    #[tls_codec(discriminant = 2)]
    #[error("the protocol version is not supported; this hub speaks version {supported}")]
    UnsupportedVersion {
        /// What is.
        supported: u16,
    },
    /// Something is over a limit.
    #[tls_codec(discriminant = 3)]
    #[error("too large; the limit is {limit}")]
    TooLarge {
        /// The limit, in bytes or elements.
        limit: u64,
    },
    /// No such account, an unknown or revoked device, or a signature that does not verify.
    #[tls_codec(discriminant = 4)]
    #[error("this account does not know this device, or the signature does not verify")]
    BadAuthentication,
    /// The request's time is too far from the hub's.
    #[tls_codec(discriminant = 5)]
    #[error("the request's time is off; the hub's is {hub_time_s}")]
    StaleTime {
        /// The hub's time, floored to 60 s.
        hub_time_s: u64,
    },
    /// The nonce was used for another body.
    #[tls_codec(discriminant = 6)]
    #[error("the nonce was used before")]
    Replayed,
    /// The handle is somebody's already, or was.
    #[tls_codec(discriminant = 7)]
    #[error("the handle is taken")]
    HandleTaken,
    /// The invitation is unknown, used or expired.
    #[tls_codec(discriminant = 8)]
    #[error("the invitation is not valid, or was used before")]
    InvitationInvalid,
    /// The proof of work is wrong, or its challenge too old: ask for the terms again.
    #[tls_codec(discriminant = 9)]
    #[error("the proof of work is not valid, or too old")]
    ProofOfWorkInvalid,
    /// This provider asks for another kind of admission.
    #[tls_codec(discriminant = 10)]
    #[error("this provider admits in another way")]
    OtherAdmission,
    /// A credential or key is not certified as it must be.
    #[tls_codec(discriminant = 11)]
    #[error("a credential is not certified by the account's key")]
    InvalidCredential,
    /// The account has as many devices as it may.
    #[tls_codec(discriminant = 12)]
    #[error("a limit of the account is reached ({limit})")]
    LimitReached {
        /// The limit.
        limit: u32,
    },
    /// Too many requests.
    #[tls_codec(discriminant = 14)]
    #[error("rate limited; try again in {retry_after_s} s")]
    RateLimited {
        /// When to try again.
        retry_after_s: u32,
    },
    /// The hub cannot answer now.
    #[tls_codec(discriminant = 15)]
    #[error("the hub is not available; try again in {retry_after_s} s")]
    Unavailable {
        /// When to try again.
        retry_after_s: u32,
    },
    /// The request type is not accepted at this address.
    #[tls_codec(discriminant = 16)]
    #[error("this request is not accepted at this address")]
    WrongEndpoint,
}

/// All answers of the account world.
#[derive(Clone, Debug, PartialEq, Eq, TlsSerialize, TlsSize, TlsDeserializeBytes)]
#[repr(u16)]
pub enum AccountResponseBody {
    /// Refused.
    #[tls_codec(discriminant = 0)]
    Rejected(AccountReject),
    /// Done, durably.
    #[tls_codec(discriminant = 1)]
    Done,
    /// What registering takes.
    #[tls_codec(discriminant = 2)]
    AdmissionTerms(AdmissionTerms),
    /// To reading an account.
    #[tls_codec(discriminant = 3)]
    Account(AccountView),
    /// To a look-up.
    #[tls_codec(discriminant = 4)]
    Entry(AccountEntry),
    /// To reading connection requests: entries are serialised [`SealedConnectionRequest`]s.
    #[tls_codec(discriminant = 5)]
    ConnectionRequests(StreamPage),
}
