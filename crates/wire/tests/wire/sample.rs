//! Builds values of every wire type from a source of choices.
//!
//! The source is either one of two fixed ones (golden vectors) or a byte string (property tests,
//! which shrink by shrinking it).

use crate::model::{Model, Node};
use sordino_wire::padding::Padding;
use sordino_wire::*;

/// Where choices come from.
pub enum Source {
    /// Smallest values: zeros, nothing optional, nothing in lists.
    Least,
    /// Counting bytes, everything optional present, two elements in lists.
    Full { next: u8 },
    /// Choices from bytes; zeros when they are used up.
    Entropy { bytes: Vec<u8>, at: usize },
}

impl Source {
    pub fn full() -> Self {
        Self::Full { next: 1 }
    }

    pub fn entropy(bytes: Vec<u8>) -> Self {
        Self::Entropy { bytes, at: 0 }
    }

    fn byte(&mut self) -> u8 {
        match self {
            Self::Least => 0,
            Self::Full { next } => {
                let byte = *next;
                *next = next.wrapping_add(1);
                byte
            }
            Self::Entropy { bytes, at } => {
                let byte = bytes.get(*at).copied().unwrap_or(0);
                *at += 1;
                byte
            }
        }
    }

    pub fn fill(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    fn present(&mut self) -> bool {
        match self {
            Self::Least => false,
            Self::Full { .. } => true,
            Self::Entropy { .. } => self.byte() % 2 == 1,
        }
    }

    fn count(&mut self, max: usize) -> usize {
        match self {
            Self::Least => 0,
            Self::Full { .. } => max.min(2),
            Self::Entropy { .. } => usize::from(self.byte() % 4).min(max),
        }
    }

    /// A length in `min..=max`; property tests like the edges of the length prefix.
    pub fn length(&mut self, min: usize, max: usize) -> usize {
        let wanted = match self {
            Self::Least => min,
            Self::Full { .. } => 5,
            Self::Entropy { .. } => match self.byte() % 16 {
                0 => min,
                1 => 63,
                2 => 64,
                3 => 16_383,
                4 => 16_384,
                _ => usize::from(self.byte()),
            },
        };
        wanted.clamp(min, max)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        match self {
            Self::Least | Self::Full { .. } => 0,
            Self::Entropy { .. } => usize::from(self.byte()) % bound,
        }
    }
}

/// A value that can be built from a source.
pub trait Sample: Sized {
    fn sample(source: &mut Source) -> Self;
}

/// How one variant is built.
pub type Build<T> = fn(&mut Source) -> T;

/// A type whose values come in named variants.
pub trait Variants: Sized {
    /// Name and builder of each.
    fn variants() -> Vec<(&'static str, Build<Self>)>;
    /// The discriminants as integers, and their width in bytes.
    fn discriminants() -> (Vec<u64>, usize);
}

macro_rules! integer_sample {
    ($($integer:ty),*) => {
        $(impl Sample for $integer {
            fn sample(source: &mut Source) -> Self {
                let bytes = source.fill(size_of::<$integer>());
                <$integer>::from_be_bytes(bytes.try_into().unwrap())
            }
        })*
    };
}
integer_sample!(u8, u16, u32, u64);

macro_rules! id_sample {
    ($($name:ident: $size:literal),*) => {
        $(
            impl Sample for $name {
                fn sample(source: &mut Source) -> Self {
                    Self(source.fill($size).try_into().unwrap())
                }
            }
            impl Model for $name {
                fn node(&self) -> Node {
                    Node::Fixed(self.0.to_vec())
                }
            }
        )*
    };
}
id_sample!(
    GroupId: 16, Locator: 16, StreamId: 16, InboxId: 16, Nonce: 16, Salt: 16, SetTag: 16,
    DeviceTag: 16, Digest: 32
);

impl Sample for Secret32 {
    fn sample(source: &mut Source) -> Self {
        Self::new(source.fill(32).try_into().unwrap())
    }
}

impl<const MIN: usize, const MAX: usize> Sample for Bytes<MIN, MAX> {
    fn sample(source: &mut Source) -> Self {
        let length = source.length(MIN, MAX);
        Self::new(source.fill(length)).unwrap()
    }
}

impl<T: Sample, const MAX: usize> Sample for List<T, MAX> {
    fn sample(source: &mut Source) -> Self {
        let count = source.count(MAX);
        Self::new((0..count).map(|_| T::sample(source)).collect()).unwrap()
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(source: &mut Source) -> Self {
        source.present().then(|| T::sample(source))
    }
}

impl<T: Sample> Sample for Box<T> {
    fn sample(source: &mut Source) -> Self {
        Self::new(T::sample(source))
    }
}

impl Sample for IdentifierUri {
    fn sample(source: &mut Source) -> Self {
        let length = source.length(1, 200);
        let path = source
            .fill(length)
            .into_iter()
            .map(|b| char::from(b'a' + b % 26));
        Self::new(format!("mimi://hub.example/u/{}", path.collect::<String>())).unwrap()
    }
}

impl Sample for Domain {
    fn sample(source: &mut Source) -> Self {
        let names = [
            "hub.example",
            "a",
            "localhost:8080",
            "x-1.provider.example:443",
        ];
        Self::new(names[source.below(names.len())]).unwrap()
    }
}

impl Sample for Padding {
    fn sample(source: &mut Source) -> Self {
        // All lengths from 0 to 511 occur.
        let room = u16::from_be_bytes(source.fill(2).try_into().unwrap()) % 512;
        Self::for_size(usize::from(room))
    }
}

impl Model for Padding {
    fn node(&self) -> Node {
        let whole = encode(self).unwrap();
        let prefix = if whole.len() <= 64 { 1 } else { 2 };
        Node::Vector(vec![Node::Fixed(whole[prefix..].to_vec())])
    }
}

macro_rules! wire_struct {
    ($($name:ident { $($field:ident),* $(,)? })*) => {
        $(
            impl Sample for $name {
                fn sample(source: &mut Source) -> Self {
                    Self { $($field: Sample::sample(source)),* }
                }
            }
            impl Model for $name {
                fn node(&self) -> Node {
                    Node::Sequence(vec![$(self.$field.node()),*])
                }
            }
        )*
    };
}

macro_rules! wire_enum {
    ($name:ident: $integer:ty {
        $($number:literal => $variant:ident $(($tuple:ident))? $({ $($field:ident),* })?),* $(,)?
    }) => {
        impl Variants for $name {
            fn variants() -> Vec<(&'static str, Build<Self>)> {
                vec![$((
                    stringify!($variant),
                    |_source: &mut Source| Self::$variant
                        $(({ let $tuple = Sample::sample(_source); $tuple }))?
                        $({ $($field: Sample::sample(_source)),* })?
                )),*]
            }
            fn discriminants() -> (Vec<u64>, usize) {
                let numbers: Vec<$integer> = vec![$($number),*];
                (numbers.into_iter().map(u64::from).collect(), size_of::<$integer>())
            }
        }
        impl Sample for $name {
            fn sample(source: &mut Source) -> Self {
                let all = Self::variants();
                all[source.below(all.len())].1(source)
            }
        }
        impl Model for $name {
            fn node(&self) -> Node {
                match self {
                    $(Self::$variant $(($tuple))? $({ $($field),* })? => Node::Sequence(vec![
                        { let number: $integer = $number; number.node() },
                        $($tuple.node(),)?
                        $($($field.node(),)*)?
                    ])),*
                }
            }
        }
    };
}

wire_struct! {
    Freshness { epoch, time_s, nonce }
    PseudonymousCredential {
        client_pseudonym, user_pseudonym, signature_key, user_auth_key, user_auth_signature,
    }
    PseudonymousCredentialTbs { client_pseudonym, user_pseudonym, signature_key, user_auth_key }
    ClientCredential { user, client, signature_key, account_key, account_signature }
    ClientCredentialTbs { user, client, signature_key, account_key }
    IdentityLink { signature, client_credential }
    IdentityEntry { generation, salt, ciphertext }
    PreviousWrapper { generation, ciphertext }
    IdentityEntryContext { group_id, credential_hash, salt }
    PolicySummary {
        format, add, remove, change_policy, send, destroy, join, senders, identities,
        epoch_tolerance, max_members, invite_code_hash, admins,
    }
    PartialGroupInfo { extensions, signature }
    NextKeys { sender_key, generation }
    NextGeneration { ear_key, wrapper }
    KeyCheck { epoch, commit_hash, keys_hash, signature }
    KeyCheckTbs { group_id, epoch, commit_hash, keys_hash }
    KeyCheckContent { label, group_id, epoch, ear_key, sender_key }
    CommitAad { format, generation, generation_step, proofs, invite_code, request_id }
    LeafProof { user_signature, sibling_leaf, sibling_signature }
    LeafProofTbs { hub_domain, group_id, generation, operation, leaf_key }
    InboxAddress { domain, inbox_id, hpke_key }
    WelcomeBundle { welcome, joiners }
    JoinerDelivery { inbox, key_object }
    CommitRequest {
        access, intent, commit, group_info, next, key_check, identity_entries, welcome,
    }
    GroupKeyObject {
        hub_domain, group_id, epoch, generation, group_secret, giver_leaf_key, giver_credential,
        signature,
    }
    GroupKeyObjectTbs {
        hub_domain, group_id, epoch, welcome_hash, recipient_hash, generation, secret_hash,
        giver_leaf_key,
    }
    HpkeCiphertext { kem_output, ciphertext }
    InviteLink { hub_domain, group_id, generation, ear_key, code }
    KeyPackageEntry { key_package, link, inbox }
    KeyPackageSet { user_pseudonym, entries }
    GroupAccess { group_id, ear_key }
    HeadAccess { group_id, locator, head_key }
    CreateGroup { access, sender_key, group_info, ratchet_tree, identity_entry }
    ProposalsRequest { access, proposals, inbox }
    SendMessage { head, message }
    SendAsLeaf { access, message }
    WelcomeInformationRequest { access, epoch }
    RekeyRequest { access, ear_key, sender_key }
    KeyRequest { head, question }
    KeyQuestion { leaf_key, hpke_key, inbox, last_day, signature }
    KeyQuestionTbs { hub_domain, group_id, leaf_key, hpke_key, inbox, last_day }
    AnswerKeyRequest { head, question, key_object }
    Reinitialise { access, target, pointer }
    SuccessorPointer { group_id, leaf_index, signature }
    SuccessorPointerTbs { group_id, epoch, successor }
    ReportCommit { access, commit_hash }
    OpenInbox { inbox_id, hpke_key, last_day, deposit_hash }
    Deposit { inbox, deposit_secret, contents }
    Outcome { epoch, counter, detail }
    RosterEntry { leaf_index, entry }
    Roster { entries, wrappers }
    Position { epoch, generation, counter, cursor }
    Membership { position, ratchet_tree, roster }
    ExternalCommitInformation { position, group_info, ratchet_tree, roster, pending }
    StreamRead { stream_id, from, max }
    ReadStreams { reads, wait_s }
    ReadInbox { inbox_secret, from, wait_s }
    SealedEntry { salt, ciphertext }
    NumberedEntry { number, entry }
    StreamPage { oldest, next, entries }
    StreamPages { pages }
    Delivery { time_s, counter, event, padding }
    DeliveredCommit { commit, key_check, identity_entries, wrapper, reissued }
    DeliveredProposal { proposal, inbox }
    DeliveredReport { leaf_index, commit_hash }
    TokenPrice { class, tokens }
    BatchSize { class, epoch, tokens }
    TokenTerms { directory, price_list, batches }
    DrawTokens { class, epoch, request }
}

wire_enum!(TokenClass: u8 { 1 => Write, 2 => Contact });
wire_enum!(PricedOperation: u16 {
    1 => CreateGroup,
    2 => Join,
    3 => OpenInbox,
    4 => PublishKeyPackages,
    5 => FetchKeyPackages,
    6 => SendOverBudget,
    32 => LookUp,
    33 => ConnectionRequest,
});
wire_enum!(Authentication: u8 {
    0 => Possession,
    1 => EpochMember { freshness, mac },
    2 => Leaf { freshness, leaf_index, signature },
    3 => PseudonymousUser { freshness, leaf_index, leaf_signature, user_signature },
    4 => Joiner { freshness, signature_key, signature },
});
wire_enum!(Permission: u8 { 0 => Nobody, 1 => Admins, 2 => Members });
wire_enum!(JoinRule: u8 { 0 => Closed, 1 => Invite, 2 => Open, 3 => Connection });
wire_enum!(IdentityRule: u8 { 0 => All, 1 => None });
wire_enum!(SenderRule: u8 { 0 => Anonymous, 1 => Leaf });
wire_enum!(CommitIntent: u8 { 0 => Apply, 1 => Delete });
wire_enum!(GenerationStep: u8 { 0 => Stays, 1 => Moves });
wire_enum!(LeafOperation: u8 { 1 => AddOwnClient, 2 => ExternalJoin, 3 => Resync });
wire_enum!(RequestBody: u16 {
    1 => CreateGroup(body),
    2 => Commit(body),
    3 => Proposals(body),
    4 => Send(body),
    5 => SendAsLeaf(body),
    6 => InspectMembership(body),
    7 => WelcomeInformation(body),
    8 => ExternalCommitInformation(body),
    9 => Rekey(body),
    10 => KeyRequest(body),
    11 => AnswerKeyRequest(body),
    12 => Reinitialise(body),
    13 => ConfirmKeys(body),
    14 => ReportCommit(body),
    32 => OpenInbox(body),
    33 => ReadInbox(body),
    34 => ReadStreams(body),
    35 => Deposit(body),
    48 => PublishKeyPackages(body),
    49 => DropKeyPackages(body),
    50 => FetchKeyPackages(body),
    51 => InspectKeyPackages(body),
    64 => TokenTerms,
});
wire_enum!(ResponseBody: u16 {
    0 => Rejected(body),
    1 => Done(body),
    2 => Membership(body),
    3 => ExternalCommitInformation(body),
    4 => Streams(body),
    5 => Inbox(body),
    6 => KeyPackages(body),
    7 => Pool(body),
    8 => TokenTerms(body),
});
wire_enum!(Reject: u16 {
    1 => Malformed,
    2 => UnsupportedVersion { supported },
    3 => TooLarge { limit },
    4 => UnknownGroup,
    5 => WrongEpoch { current },
    6 => MissingProposals { hashes },
    7 => BeingRemoved,
    8 => BadAuthentication,
    9 => StaleTime { hub_time_s },
    10 => Replayed,
    11 => Policy(capability),
    12 => InvalidCommit,
    13 => InvalidProposal,
    14 => InvalidGroupInfo,
    15 => InvalidCredential(rule),
    16 => IdentityEntries { expected },
    17 => KeyCheckMismatch,
    18 => PrivateHandshake,
    19 => PublicApplication,
    20 => NotAnOperation,
    21 => RateLimited { retry_after_s },
    24 => Frozen { pointer },
    25 => InboxUnavailable { index },
    26 => GroupIdTaken,
    27 => AwaitingConfirmation,
    28 => Unavailable { retry_after_s },
    29 => LimitReached { limit },
    30 => WrongEndpoint,
    31 => QuestionUnknown,
    32 => Generation,
    33 => InvalidWelcome,
    34 => PoolEmpty,
    35 => InvalidSet,
    36 => TokenRequired { price, challenge, retry_after_s },
    37 => TokenInvalid { index },
    38 => DoubleSpent { index },
});
wire_enum!(Capability: u16 {
    1 => Add, 2 => Remove, 3 => ChangePolicy, 4 => Send, 5 => Destroy, 6 => Join, 7 => Size,
    8 => Policy,
});
wire_enum!(CredentialRule: u16 {
    1 => NotPseudonymous,
    2 => UserPseudonym,
    3 => UserSignature,
    4 => LeafKey,
    5 => UserKey,
    6 => Duplicate,
    7 => PseudonymChanged,
    8 => LeafProof,
    9 => NotCanonical,
    10 => KeyPackage,
});
wire_enum!(DeliveryEvent: u8 {
    1 => Message(body),
    2 => Commit(body),
    3 => Proposal(body),
    4 => KeyQuestion(body),
    5 => KeyQuestionAnswered(body),
    6 => KeysConfirmed(body),
    7 => Frozen(body),
    8 => Reported(body),
    9 => Deleted,
});
wire_enum!(InboxDelivery: u8 {
    1 => Welcome { welcome, key_object },
    2 => KeyAnswer { question, key_object },
    3 => Deposit(contents),
});
