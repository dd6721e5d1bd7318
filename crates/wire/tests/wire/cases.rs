//! The list of every wire type: what golden vectors and refusal tests run over.

use crate::model::{Model, Node};
use crate::sample::{Sample, Source, Variants};
use sordino_wire::padding::Padding;
use sordino_wire::*;
use tls_codec::{DeserializeBytes, Serialize};

/// How to read a value and write it again; `None` where it is not accepted.
pub type Reparse = fn(&[u8]) -> Option<Vec<u8>>;

/// One value with both encodings.
pub struct Case {
    pub name: String,
    /// By the crate.
    pub bytes: Vec<u8>,
    /// By the second encoder.
    pub node: Node,
    /// Absent for what is only ever written (signed and hashed content).
    pub reparse: Option<Reparse>,
}

/// An enum: the discriminants that exist, their width, one value of each, and its parser.
pub struct EnumCase {
    pub name: &'static str,
    pub discriminants: Vec<u64>,
    pub width: usize,
    pub values: Vec<Vec<u8>>,
    pub reparse: Reparse,
}

fn reparse<T: DeserializeBytes + Serialize>(bytes: &[u8]) -> Option<Vec<u8>> {
    let value: T = exact(bytes).ok()?;
    Some(encode(&value).unwrap())
}

fn case<T: Sample + Model + Serialize>(name: &str, source: &mut Source) -> Case {
    let value = T::sample(source);
    Case {
        name: name.into(),
        bytes: encode(&value).unwrap(),
        node: value.node(),
        reparse: None,
    }
}

fn both<T: Sample + Model + Serialize>(cases: &mut Vec<Case>, name: &str, parse: Option<Reparse>) {
    for (suffix, mut source) in [("least", Source::Least), ("full", Source::full())] {
        let mut case = case::<T>(&format!("{name}/{suffix}"), &mut source);
        case.reparse = parse;
        cases.push(case);
    }
}

fn each_variant<T>(cases: &mut Vec<Case>, name: &str)
where
    T: Variants + Model + Serialize + DeserializeBytes,
{
    for (variant, build) in T::variants() {
        for (suffix, mut source) in [("least", Source::Least), ("full", Source::full())] {
            let value = build(&mut source);
            let bytes = encode(&value).unwrap();
            if suffix == "full" && cases.last().is_some_and(|c| c.bytes == bytes) {
                continue; // a variant without contents
            }
            cases.push(Case {
                name: format!("{name}::{variant}/{suffix}"),
                bytes,
                node: value.node(),
                reparse: Some(reparse::<T>),
            });
        }
    }
}

/// Every wire type but the envelopes.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    macro_rules! read_and_written {
        ($($name:ident),* $(,)?) => {
            $(both::<$name>(&mut cases, stringify!($name), Some(reparse::<$name>));)*
        };
    }
    macro_rules! only_written {
        ($($name:ident),* $(,)?) => {
            $(both::<$name>(&mut cases, stringify!($name), None);)*
        };
    }
    macro_rules! enums {
        ($($name:ident),* $(,)?) => {
            $(each_variant::<$name>(&mut cases, stringify!($name));)*
        };
    }
    read_and_written!(
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
        TokenPrice,
        BatchSize,
        TokenTerms,
        DrawTokens,
        TokenBytes,
        Handle,
        SignedConnectionKey,
        AccountEntry,
        AccountKeyChange,
        Register,
        ReplaceAccountKey,
        SendConnectionRequest,
        ReadConnectionRequests,
        SettleConnectionRequests,
        AccountView,
        SealedConnectionRequest,
        ConnectionRequest,
        ContactKeys,
        Deposit,
        SetTag,
        DeviceTag,
        SetEntry,
        PublishKeyPackages,
        DropKeyPackages,
        FetchKeyPackages,
        InspectKeyPackages,
        FetchedSet,
        SetState,
        PoolState,
    );
    only_written!(
        PseudonymousCredentialTbs,
        ClientCredentialTbs,
        IdentityEntryContext,
        KeyCheckTbs,
        KeyCheckContent,
        LeafProofTbs,
        GroupKeyObjectTbs,
        KeyQuestionTbs,
        SuccessorPointerTbs,
        ConnectionKeyTbs,
        AccountKeyChangeTbs,
        ProofOfWorkContent,
        AccountRequestTbs,
        ConnectionRequestTbs,
        SetEntryContext,
    );
    enums!(
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
        Admission,
        AdmissionTerms,
        AccountRequestBody,
        AccountAuthentication,
        AccountReject,
        TokenClass,
        PricedOperation,
        AccountResponseBody,
        MemberContent,
    );
    cases.push(request_tbs("RequestTbs/least", &mut Source::Least));
    cases.push(request_tbs("RequestTbs/full", &mut Source::full()));
    cases
}

/// Its fields are private, so the second encoder writes it from what it was made of.
fn request_tbs(name: &str, source: &mut Source) -> Case {
    let hub_domain = Domain::sample(source);
    let group_id = GroupId::sample(source);
    let freshness = Freshness::sample(source);
    let body_hash = Digest::sample(source);
    let node = Node::Sequence(vec![
        1u16.node(),
        hub_domain.node(),
        group_id.node(),
        freshness.node(),
        body_hash.node(),
    ]);
    let tbs = RequestTbs::new(hub_domain, group_id, freshness, body_hash);
    Case {
        name: name.into(),
        bytes: encode(&tbs).unwrap(),
        node,
        reparse: None,
    }
}

/// Every enum.
pub fn enums() -> Vec<EnumCase> {
    fn one<T>(name: &'static str) -> EnumCase
    where
        T: Variants + Serialize + DeserializeBytes,
    {
        let (discriminants, width) = T::discriminants();
        let values = T::variants()
            .into_iter()
            .map(|(_, build)| encode(&build(&mut Source::full())).unwrap())
            .collect();
        EnumCase {
            name,
            discriminants,
            width,
            values,
            reparse: reparse::<T>,
        }
    }
    vec![
        one::<Authentication>("Authentication"),
        one::<Permission>("Permission"),
        one::<JoinRule>("JoinRule"),
        one::<IdentityRule>("IdentityRule"),
        one::<SenderRule>("SenderRule"),
        one::<CommitIntent>("CommitIntent"),
        one::<GenerationStep>("GenerationStep"),
        one::<LeafOperation>("LeafOperation"),
        one::<RequestBody>("RequestBody"),
        one::<ResponseBody>("ResponseBody"),
        one::<Reject>("Reject"),
        one::<Capability>("Capability"),
        one::<CredentialRule>("CredentialRule"),
        one::<DeliveryEvent>("DeliveryEvent"),
        one::<InboxDelivery>("InboxDelivery"),
        one::<Admission>("Admission"),
        one::<AdmissionTerms>("AdmissionTerms"),
        one::<AccountRequestBody>("AccountRequestBody"),
        one::<AccountAuthentication>("AccountAuthentication"),
        one::<AccountReject>("AccountReject"),
        one::<AccountResponseBody>("AccountResponseBody"),
        one::<MemberContent>("MemberContent"),
        one::<TokenClass>("TokenClass"),
        one::<PricedOperation>("PricedOperation"),
    ]
}
