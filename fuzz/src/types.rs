//! Every type of the wire: the first byte says which, the rest is read as one.

use sordino_wire::padding::Padding;
use sordino_wire::*;
use std::collections::BTreeMap;
use tls_codec::{DeserializeBytes, Serialize};

type Check = fn(&[u8]);

fn check<T: DeserializeBytes + Serialize>(bytes: &[u8]) {
    if let Ok(value) = exact::<T>(bytes) {
        assert_eq!(encode(&value).unwrap(), bytes);
    }
}

macro_rules! types {
    ($($name:ident),* $(,)?) => {
        /// New ones come last: an input begins with the place in this list.
        const TYPES: &[(&str, Check)] = &[$((stringify!($name), check::<$name>)),*];
    };
}

types!(
    GroupId,
    Locator,
    StreamId,
    InboxId,
    Nonce,
    Salt,
    Digest,
    Secret32,
    SignatureKey,
    SignatureBytes,
    HpkeKey,
    IdentifierUri,
    Domain,
    Padding,
    Freshness,
    PseudonymousCredential,
    ClientCredential,
    IdentityLink,
    IdentityEntry,
    PreviousWrapper,
    PolicySummary,
    HandshakeBytes,
    SealedKeyObject,
    PartialGroupInfo,
    NextKeys,
    NextGeneration,
    KeyCheck,
    CommitAad,
    LeafProof,
    InboxAddress,
    WelcomeBundle,
    JoinerDelivery,
    CommitRequest,
    GroupKeyObject,
    HpkeCiphertext,
    InviteLink,
    KeyPackageEntry,
    KeyPackageSet,
    MessageBytes,
    TreeBytes,
    GroupInfoBytes,
    GroupAccess,
    HeadAccess,
    CreateGroup,
    ProposalsRequest,
    SendMessage,
    SendAsLeaf,
    WelcomeInformationRequest,
    RekeyRequest,
    KeyRequest,
    KeyQuestion,
    AnswerKeyRequest,
    Reinitialise,
    SuccessorPointer,
    ReportCommit,
    OpenInbox,
    Outcome,
    OutcomeDetail,
    RosterEntry,
    Roster,
    Position,
    Membership,
    ExternalCommitInformation,
    StreamRead,
    ReadStreams,
    ReadInbox,
    SealedEntry,
    NumberedEntry,
    StreamPage,
    StreamPages,
    Delivery,
    DeliveredCommit,
    DeliveredProposal,
    DeliveredReport,
    Authentication,
    Permission,
    JoinRule,
    IdentityRule,
    SenderRule,
    CommitIntent,
    GenerationStep,
    LeafOperation,
    RequestBody,
    ResponseBody,
    Reject,
    Capability,
    CredentialRule,
    DeliveryEvent,
    InboxDelivery,
    Handle,
    SignedConnectionKey,
    AccountEntry,
    AccountKeyChange,
    Admission,
    AdmissionTerms,
    Register,
    ReplaceAccountKey,
    SendConnectionRequest,
    ReadConnectionRequests,
    SettleConnectionRequests,
    AccountRequestBody,
    AccountAuthentication,
    AccountView,
    AccountReject,
    AccountResponseBody,
    SealedConnectionRequest,
    ConnectionRequest,
    ContactKeys,
    MemberContent,
    SetTag,
    SetEntry,
    PublishKeyPackages,
    DropKeyPackages,
    FetchKeyPackages,
    InspectKeyPackages,
    FetchedSet,
    SetState,
    DeviceTag,
    PoolState,
    Deposit,
    TokenBytes,
    TokenClass,
    TokenPrice,
    TokenTerms,
    PricedOperation,
    BatchSize,
    DrawTokens,
);

pub(crate) fn run(bytes: &[u8]) {
    if let Some((which, rest)) = bytes.split_first()
        && let Some((_, check)) = TYPES.get(usize::from(*which))
    {
        check(rest);
    }
}

/// The golden vectors, by the name of their type.
fn golden() -> BTreeMap<String, String> {
    let text = include_str!("../../crates/wire/tests/golden/vectors.json");
    serde_json::from_str(text).unwrap()
}

fn type_of(vector: &str) -> &str {
    vector.split(['/', ':']).next().unwrap_or(vector)
}

pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, text) in golden() {
        let place = TYPES.iter().position(|(known, _)| *known == type_of(&name));
        if let Some(place) = place {
            let mut bytes = vec![u8::try_from(place).unwrap()];
            bytes.extend(hex::decode(text).unwrap());
            seeds.push((name.replace(['/', ':'], "-"), bytes));
        }
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is only written, to be signed or hashed, has no parser; what is sent whole has targets
    /// of its own.
    const WRITTEN: [&str; 8] = [
        "Tbs",
        "Context",
        "KeyCheckContent",
        "ProofOfWorkContent",
        "DsRequest",
        "DsResponse",
        "AccountRequest",
        "AccountResponse",
    ];

    #[test]
    fn every_type_with_a_golden_vector_is_in_the_list() {
        for name in golden().keys() {
            let name = type_of(name);
            let listed = TYPES.iter().any(|(known, _)| *known == name);
            let written = WRITTEN.iter().any(|end| name.ends_with(end));
            assert!(listed || written, "{name} is fuzzed nowhere");
        }
        assert!(TYPES.len() < 256, "the first byte names a type");
    }
}
