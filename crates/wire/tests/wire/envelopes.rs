//! Whole padded messages: requests and answers of both worlds, in one form for all tests.

use crate::sample::{Sample, Source, Variants};
use sordino_wire::limits::{MAX_ACCOUNT_BODY_BYTES, MAX_ANSWER_BYTES, MAX_BODY_BYTES};
use sordino_wire::*;
use tls_codec::Size;

/// Why a message is refused, whichever world it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    Malformed,
    Version { supported: u16 },
    TooLarge { limit: u64 },
}

/// What a parser made of bytes.
#[derive(Debug)]
pub struct Reparsed {
    /// The body's bytes, as the parser hands them to whoever checks a signature.
    pub body: Vec<u8>,
    /// The message, encoded again.
    pub again: Vec<u8>,
}

/// A kind of message.
#[derive(Clone, Copy)]
pub struct Envelope {
    pub name: &'static str,
    /// The largest message of this kind.
    pub limit: usize,
    pub parse: fn(&[u8]) -> Result<Reparsed, Refused>,
}

/// A message of it.
pub struct Message {
    pub envelope: Envelope,
    pub name: String,
    pub bytes: Vec<u8>,
    /// The body alone.
    pub body: Vec<u8>,
    /// The size before padding.
    pub unpadded: usize,
}

/// All kinds.
pub const ENVELOPES: [Envelope; 4] = [
    Envelope {
        name: "DsRequest",
        limit: MAX_BODY_BYTES,
        parse: |bytes| {
            let parsed = DsRequest::parse(bytes).map_err(refused)?;
            let body = parsed.body_bytes.to_vec();
            Ok(reparsed(body, parsed.request.encode()))
        },
    },
    Envelope {
        name: "DsResponse",
        limit: MAX_ANSWER_BYTES,
        parse: |bytes| {
            let parsed = DsResponse::parse(bytes).map_err(refused)?;
            Ok(reparsed(encode(&parsed.body).unwrap(), parsed.encode()))
        },
    },
    Envelope {
        name: "AccountRequest",
        limit: MAX_ACCOUNT_BODY_BYTES,
        parse: |bytes| {
            let parsed = AccountRequest::parse(bytes).map_err(account_refused)?;
            let body = parsed.body_bytes.to_vec();
            Ok(reparsed(body, parsed.request.encode()))
        },
    },
    Envelope {
        name: "AccountResponse",
        limit: MAX_ANSWER_BYTES,
        parse: |bytes| {
            let parsed = AccountResponse::parse(bytes).map_err(account_refused)?;
            Ok(reparsed(encode(&parsed.body).unwrap(), parsed.encode()))
        },
    },
];

fn reparsed(body: Vec<u8>, again: Result<Vec<u8>, tls_codec::Error>) -> Reparsed {
    let again = again.unwrap();
    Reparsed { body, again }
}

fn refused(reject: Reject) -> Refused {
    match reject {
        Reject::Malformed => Refused::Malformed,
        Reject::UnsupportedVersion { supported } => Refused::Version { supported },
        Reject::TooLarge { limit } => Refused::TooLarge { limit },
        other => panic!("no refusal of a parser: {other:?}"),
    }
}

fn account_refused(reject: AccountReject) -> Refused {
    match reject {
        AccountReject::Malformed => Refused::Malformed,
        AccountReject::UnsupportedVersion { supported } => Refused::Version { supported },
        AccountReject::TooLarge { limit } => Refused::TooLarge { limit },
        other => panic!("no refusal of a parser: {other:?}"),
    }
}

/// Every third request comes with tokens.
fn some_tokens(index: usize, source: &mut Source) -> Tokens {
    if index % 3 == 2 {
        Tokens::sample(source)
    } else {
        Tokens::default()
    }
}

/// One message of each kind of body; kinds of authentication take turns.
pub fn messages() -> Vec<Message> {
    let [ds, ds_answer, account, account_answer] = ENVELOPES;
    let mut all = Vec::new();
    let kinds = Authentication::variants();
    for (index, (name, build)) in RequestBody::variants().into_iter().enumerate() {
        let mut source = Source::full();
        let body = build(&mut source);
        let auth = kinds[index % kinds.len()].1(&mut source);
        let tokens = some_tokens(index, &mut source);
        let request = DsRequest { body, auth, tokens };
        let unpadded = request.body.tls_serialized_len()
            + request.auth.tls_serialized_len()
            + request.tokens.tls_serialized_len();
        let body = encode(&request.body).unwrap();
        all.push(message(ds, name, request.encode(), body, unpadded));
    }
    for (name, build) in ResponseBody::variants() {
        let body = build(&mut Source::full());
        let bytes = encode(&body).unwrap();
        let unpadded = body.tls_serialized_len();
        let answer = DsResponse { body }.encode();
        all.push(message(ds_answer, name, answer, bytes, unpadded));
    }
    let kinds = AccountAuthentication::variants();
    for (index, (name, build)) in AccountRequestBody::variants().into_iter().enumerate() {
        let mut source = Source::full();
        let body = build(&mut source);
        let auth = kinds[index % kinds.len()].1(&mut source);
        let tokens = some_tokens(index, &mut source);
        let request = AccountRequest { body, auth, tokens };
        let unpadded = request.body.tls_serialized_len()
            + request.auth.tls_serialized_len()
            + request.tokens.tls_serialized_len();
        let body = encode(&request.body).unwrap();
        all.push(message(account, name, request.encode(), body, unpadded));
    }
    for (name, build) in AccountResponseBody::variants() {
        let body = build(&mut Source::full());
        let bytes = encode(&body).unwrap();
        let unpadded = body.tls_serialized_len();
        let answer = AccountResponse { body }.encode();
        all.push(message(account_answer, name, answer, bytes, unpadded));
    }
    all
}

fn message(
    envelope: Envelope,
    variant: &str,
    bytes: Result<Vec<u8>, tls_codec::Error>,
    body: Vec<u8>,
    unpadded: usize,
) -> Message {
    Message {
        envelope,
        name: format!("{}::{variant}", envelope.name),
        bytes: bytes.unwrap(),
        body,
        unpadded: 2 + unpadded,
    }
}

impl Envelope {
    /// Bytes to message to bytes; `None` where it is refused.
    pub fn reparse(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        (self.parse)(bytes).ok().map(|parsed| parsed.again)
    }
}

/// A value from entropy, for property tests.
pub fn sample<T: Sample>(entropy: Vec<u8>) -> T {
    T::sample(&mut Source::entropy(entropy))
}
