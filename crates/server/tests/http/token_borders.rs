//! Tokens that go over a border: of types that the public draws, between the two worlds, and
//! requests for tokens that ask for what is not issued.

use crate::client::{Client, Version, request};
use crate::person::handle;
use crate::tokens::{Hub, NOW_S, TODAY, drawn_in_public, is_done, spent};
use crate::wallet::{
    account_answer_of, answer_of, in_tokens, paid, paid_account, raw, rng, terms, tokens,
};
use futures_util::future::join_all;
use hyper::Method;
use sordino_server::{PublicQuota, ServerConfig};
use sordino_tokens::{Draw, TokenChallenge, TokenType, parse_directory};
use sordino_wire::limits::{MAX_TOKEN_BATCH_P384, SET_ENTRY_CIPHERTEXT_BYTES};
use sordino_wire::{
    AccountReject, AccountRequestBody, AccountResponseBody, Bytes, DeviceTag, FetchKeyPackages,
    List, Nonce, PublishKeyPackages, Reject, RequestBody, ResponseBody, Salt, Secret32, SetEntry,
    SetTag, TokenClass, media,
};

/// Who asks at once.
const CROWD: u8 = 32;

fn public(tokens_per_hour: u32) -> impl FnOnce(&mut ServerConfig) {
    move |config| {
        config.tokens.public = Some(PublicQuota {
            tokens_per_hour,
            tokens_per_network_per_hour: tokens_per_hour,
        });
        config.metrics = Some("127.0.0.1:0".parse().unwrap());
    }
}

#[tokio::test]
async fn tokens_of_the_types_of_the_rfc_are_refused_wherever_they_are_changed() {
    let mut hub = Hub::start_with(public(10)).await;
    let invalid = Reject::TokenInvalid { index: 0 };
    for (number, token_type) in (0u64..).zip([TokenType::VoprfP384, TokenType::BlindRsa]) {
        let token = drawn_in_public(&mut hub, token_type, number).await.unwrap();
        let good = token.as_bytes();
        for length in 1..good.len() {
            let refused = hub.refused(number, &[&good[..length]]).await;
            assert_eq!(refused, invalid, "{length}");
        }
        for byte in 0..good.len() {
            let mut flipped = good.to_vec();
            flipped[byte] ^= 1 << (byte % 8);
            let refused = hub.refused(number, &[&flipped]).await;
            assert_eq!(refused, invalid, "byte {byte}");
        }
        assert_eq!(spent(&hub).await, number);
        assert!(is_done(&hub.open(number, &[good]).await.1));
    }
}

fn pool_of_one() -> RequestBody {
    RequestBody::PublishKeyPackages(PublishKeyPackages {
        contact_token: Secret32::new([1; 32]),
        owner_secret: Secret32::new([2; 32]),
        entries: List::new(vec![SetEntry {
            set_tag: SetTag([3; 16]),
            device_tag: DeviceTag([4; 16]),
            devices: 1,
            cipher_suite: 1,
            last_day: TODAY + 30,
            salt: Salt([5; 16]),
            ciphertext: Bytes::new(vec![6; SET_ENTRY_CIPHERTEXT_BYTES]).unwrap(),
        }])
        .unwrap(),
        drop: List::default(),
    })
}

/// A look-up on even numbers, the fetch of a set on odd ones: what either says, if it does anything.
async fn buy(hub: &Hub, number: u8, token: &[u8]) -> Option<&'static str> {
    let mut client = Client::connect(hub.server.address(), Version::One).await;
    if number.is_multiple_of(2) {
        let body = AccountRequestBody::LookUp(handle("somebody"));
        let bytes = paid_account(body, tokens(&[token]));
        let answer = raw(&mut client, media::CONNECTION_REQUEST, bytes, None).await;
        return match account_answer_of(&answer) {
            AccountResponseBody::Entry(_) => Some("an entry"),
            AccountResponseBody::Rejected(AccountReject::DoubleSpent { index: 0 }) => None,
            other => panic!("{other:?}"),
        };
    }
    let body = RequestBody::FetchKeyPackages(FetchKeyPackages {
        contact_token: Secret32::new([1; 32]),
        nonce: Nonce([number; 16]),
    });
    let bytes = paid(body, tokens(&[token]));
    let answer = raw(&mut client, media::GROUP_KEY_PACKAGES, bytes, None).await;
    match answer_of(&answer) {
        ResponseBody::KeyPackages(_) => Some("a set"),
        ResponseBody::Rejected(Reject::DoubleSpent { index: 0 }) => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_token_does_not_pay_in_both_worlds() {
    let mut hub = Hub::start().await;
    let write = hub.purse(TokenClass::Write, 1).await;
    let contact = hub.purse(TokenClass::Contact, 2).await;
    let bytes = paid(pool_of_one(), tokens(&[write[0].as_bytes()]));
    let answer = raw(&mut hub.client, media::GROUP_KEY_PACKAGES, bytes, None).await;
    assert!(is_done(&answer_of(&answer)));
    // What was bought in one world buys nothing in the other.
    let first = contact[0].as_bytes();
    assert_eq!(buy(&hub, 0, first).await, Some("an entry"));
    assert_eq!(buy(&hub, 1, first).await, None);
    // And all at once: equal look-ups are one request, each fetch is another one.
    let second = contact[1].as_bytes();
    let bought = join_all((0..CROWD).map(|number| buy(&hub, number, second))).await;
    let entries = bought.iter().filter(|b| **b == Some("an entry")).count();
    let sets = bought.iter().filter(|b| **b == Some("a set")).count();
    let looked_up = usize::from(CROWD) / 2;
    assert!(
        [(looked_up, 0), (0, 1)].contains(&(entries, sets)),
        "{entries} entries and {sets} sets for one token"
    );
}

/// The length of a vector in two bytes, whether or not one would do.
fn two_bytes(length: usize) -> [u8; 2] {
    (0x4000 | u16::try_from(length).unwrap()).to_be_bytes()
}

#[tokio::test]
async fn batches_of_nothing_of_too_many_and_with_long_lengths_take_nothing_of_the_quota() {
    let most = MAX_TOKEN_BATCH_P384;
    let mut hub = Hub::start_with(public(u32::try_from(most).unwrap())).await;
    let token_type = TokenType::VoprfP384;
    let directory = parse_directory(terms(&mut hub.client).await.directory.as_slice()).unwrap();
    let class = in_tokens(TokenClass::Write);
    let key = directory.key_at(class, token_type, NOW_S).unwrap();
    let challenge = TokenChallenge::of_hub(token_type, hub.domain.as_str()).unwrap();
    let draw = Draw::single(key, &challenge, &mut rng(1)).unwrap();
    // Type, key, one element.
    let single = draw.request().unwrap();
    let (head, element) = single.split_at(3);
    let batch = |count: usize, length: &[u8]| [head, length, &element.repeat(count)].concat();
    let bytes_of = |count: usize| element.len() * count;
    let mut ask = async |body: Vec<u8>| {
        let content_type = Some("application/private-token-amortized-batch-request");
        let sent = request(Method::POST, media::TOKEN_REQUEST, content_type, body);
        hub.client.send(sent).await
    };
    for bad in [
        batch(0, &[0]),
        batch(most + 1, &two_bytes(bytes_of(most + 1))),
        batch(1, &two_bytes(bytes_of(1))),
        batch(2, &two_bytes(bytes_of(2) + 1)),
        batch(2, &two_bytes(bytes_of(1))),
    ] {
        ask(bad).await.assert_problem(422, "token_request_refused");
    }
    // All of the quota is left for as many as one request may ask for.
    let answer = ask(batch(most, &two_bytes(bytes_of(most)))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(ask(batch(1, &[49])).await.status, 429);
}
