//! A person's tokens: drawn, kept, attached to requests.

use crate::client::{Answer, Client, request};
use crate::person::Person;
use hyper::Method;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use sordino_crypto::sha256;
use sordino_tokens::{
    Directory, Draw, ListedKey, Token, TokenChallenge, TokenType, parse_directory,
    write_authorization,
};
use sordino_wire::{
    AccountAuthentication, AccountRequest, AccountRequestBody, AccountResponse,
    AccountResponseBody, Authentication, Bytes, Domain, DrawTokens, DsRequest, DsResponse, HpkeKey,
    InboxId, List, OpenInbox, RequestBody, ResponseBody, TokenClass, TokenTerms, Tokens, media,
};

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// What a hub says about tokens.
pub(crate) async fn terms(client: &mut Client) -> TokenTerms {
    let body = DsRequest::free(RequestBody::TokenTerms, Authentication::Possession);
    match client
        .ask(media::TOKEN_TERMS, &body.encode().unwrap())
        .await
    {
        ResponseBody::TokenTerms(terms) => terms,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn directory_of(terms: &TokenTerms) -> Directory {
    parse_directory(terms.directory.as_slice()).unwrap()
}

pub(crate) fn batch_of(terms: &TokenTerms, class: TokenClass) -> usize {
    let batch = terms.batches.iter().find(|batch| batch.class == class);
    batch.unwrap().tokens.into()
}

pub(crate) fn in_tokens(class: TokenClass) -> sordino_tokens::TokenClass {
    match class {
        TokenClass::Write => sordino_tokens::TokenClass::Write,
        TokenClass::Contact => sordino_tokens::TokenClass::Contact,
    }
}

/// The keys of a class that accounts draw with, in the order of their epochs.
pub(crate) fn keys_of(terms: &TokenTerms, class: TokenClass) -> Vec<ListedKey> {
    let keys = directory_of(terms).keys.into_iter();
    keys.filter(|key| {
        let of_class = |t: sordino_tokens::KeyTerms| t.class == in_tokens(class);
        key.token_type() == Some(TokenType::VoprfRistretto255) && key.terms.is_some_and(of_class)
    })
    .collect()
}

/// A draw with a key, and the request for it.
pub(crate) fn drawing(
    domain: &Domain,
    class: TokenClass,
    key: &ListedKey,
    count: usize,
    rng: &mut impl RngCore,
) -> (Draw, DrawTokens) {
    let challenge = TokenChallenge::of_hub(TokenType::VoprfRistretto255, domain.as_str()).unwrap();
    let draw = Draw::amortised(key, &challenge, count, rng).unwrap();
    let request = DrawTokens {
        class,
        epoch: key.terms.unwrap().epoch.number(),
        request: Bytes::new(draw.request().unwrap()).unwrap(),
    };
    (draw, request)
}

/// Draws the batch of the running epoch.
pub(crate) async fn drawn(
    client: &mut Client,
    person: &Person,
    domain: &Domain,
    class: TokenClass,
    seed: u64,
) -> Vec<Token> {
    let terms = terms(client).await;
    let keys = keys_of(&terms, class);
    let (draw, request) = drawing(
        domain,
        class,
        &keys[0],
        batch_of(&terms, class),
        &mut rng(seed),
    );
    match person
        .send(client, AccountRequestBody::DrawTokens(request))
        .await
    {
        AccountResponseBody::Tokens(batch) => draw.finish(batch.as_slice()).unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn tokens(list: &[&[u8]]) -> Tokens {
    let list = list.iter().map(|token| Bytes::new(*token).unwrap());
    List::new(list.collect()).unwrap()
}

/// Whoever has this may deposit in the inboxes of [`inbox`]: it shows that one is there.
pub(crate) const DEPOSIT_SECRET: [u8; 32] = [7; 32];

/// A request to open an inbox, which one number names.
pub(crate) fn inbox(number: u64, today: u32) -> RequestBody {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let mut rng = rng(number);
    let mut private = [0; 32];
    rng.fill_bytes(&mut private);
    let key = sordino_crypto::HpkePrivateKey::from_bytes(&private).unwrap();
    let hpke_key: HpkeKey = key.public().unwrap();
    RequestBody::OpenInbox(OpenInbox {
        inbox_id: InboxId(id),
        hpke_key,
        last_day: today + 10,
        deposit_hash: Some(sha256(&DEPOSIT_SECRET)),
    })
}

pub(crate) fn paid(body: RequestBody, tokens: Tokens) -> Vec<u8> {
    let auth = Authentication::Possession;
    DsRequest { body, auth, tokens }.encode().unwrap()
}

pub(crate) fn paid_account(body: AccountRequestBody, tokens: Tokens) -> Vec<u8> {
    let auth = AccountAuthentication::Nobody;
    AccountRequest { body, auth, tokens }.encode().unwrap()
}

/// Sends octets, with a token in the header where there is one, and gives the raw answer.
pub(crate) async fn raw(
    client: &mut Client,
    path: &str,
    bytes: Vec<u8>,
    header: Option<&str>,
) -> Answer {
    let mut request = request(Method::POST, path, Some(media::OCTETS), bytes);
    if let Some(header) = header {
        let value = header.parse().unwrap();
        request.headers_mut().insert("authorization", value);
    }
    client.send(request).await
}

pub(crate) fn authorization(token: &[u8]) -> String {
    write_authorization(token).to_string()
}

pub(crate) fn answer_of(answer: &Answer) -> ResponseBody {
    DsResponse::parse(&answer.body).unwrap().body
}

pub(crate) fn account_answer_of(answer: &Answer) -> AccountResponseBody {
    AccountResponse::parse(&answer.body).unwrap().body
}
