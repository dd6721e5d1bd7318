//! Values survive the way over the wire; so do sequences of arbitrary bytes that parse.

use crate::envelopes::{ENVELOPES, sample};
use crate::model::Model;
use proptest::prelude::*;
use sordino_wire::{
    AccountAuthentication, AccountRequest, AccountRequestBody, AccountResponse,
    AccountResponseBody, Authentication, ConnectionRequest, Delivery, DsRequest, DsResponse,
    InboxDelivery, MemberContent, RequestBody, ResponseBody, SetEntry, encode, exact,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn requests(body: Vec<u8>, auth: Vec<u8>, tokens: Vec<u8>) {
        let body: RequestBody = sample(body);
        let auth: Authentication = sample(auth);
        prop_assert_eq!(body.node().encode(), encode(&body).unwrap());
        let request = DsRequest { body, auth, tokens: sample(tokens) };
        let bytes = request.encode().unwrap();
        let parsed = DsRequest::parse(&bytes).unwrap();
        prop_assert_eq!(parsed.body_bytes, encode(&request.body).unwrap());
        prop_assert_eq!(parsed.request, request);
    }

    #[test]
    fn account_requests(body: Vec<u8>, auth: Vec<u8>, tokens: Vec<u8>) {
        let body: AccountRequestBody = sample(body);
        let auth: AccountAuthentication = sample(auth);
        prop_assert_eq!(body.node().encode(), encode(&body).unwrap());
        let request = AccountRequest { body, auth, tokens: sample(tokens) };
        let bytes = request.encode().unwrap();
        let parsed = AccountRequest::parse(&bytes).unwrap();
        prop_assert_eq!(parsed.body_bytes, encode(&request.body).unwrap());
        prop_assert_eq!(parsed.request, request);
    }

    #[test]
    fn responses(body: Vec<u8>) {
        let body: ResponseBody = sample(body);
        prop_assert_eq!(body.node().encode(), encode(&body).unwrap());
        let response = DsResponse { body };
        prop_assert_eq!(DsResponse::parse(&response.encode().unwrap()).unwrap(), response);
    }

    #[test]
    fn account_responses(body: Vec<u8>) {
        let body: AccountResponseBody = sample(body);
        prop_assert_eq!(body.node().encode(), encode(&body).unwrap());
        let response = AccountResponse { body };
        let bytes = response.encode().unwrap();
        prop_assert_eq!(AccountResponse::parse(&bytes).unwrap(), response);
    }

    #[test]
    fn deliveries(entropy: Vec<u8>) {
        let delivery: Delivery = sample(entropy.clone());
        prop_assert_eq!(exact::<Delivery>(&encode(&delivery).unwrap()).unwrap(), delivery);
        let delivery: InboxDelivery = sample(entropy);
        prop_assert_eq!(exact::<InboxDelivery>(&encode(&delivery).unwrap()).unwrap(), delivery);
    }

    #[test]
    fn what_only_clients_open(entropy: Vec<u8>) {
        let content: MemberContent = sample(entropy.clone());
        prop_assert_eq!(exact::<MemberContent>(&encode(&content).unwrap()).unwrap(), content);
        let request: ConnectionRequest = sample(entropy.clone());
        prop_assert_eq!(exact::<ConnectionRequest>(&encode(&request).unwrap()).unwrap(), request);
        let entry: SetEntry = sample(entropy);
        prop_assert_eq!(exact::<SetEntry>(&encode(&entry).unwrap()).unwrap(), entry);
    }

    #[test]
    fn changed_requests_are_refused_or_canonical(
        body: Vec<u8>,
        position: prop::sample::Index,
        value: u8,
    ) {
        let request = DsRequest::free(sample(body.clone()), Authentication::Possession);
        let account = AccountRequest::free(sample(body), AccountAuthentication::Nobody);
        for mut bytes in [request.encode().unwrap(), account.encode().unwrap()] {
            let position = position.index(bytes.len());
            bytes[position] = value;
            for envelope in ENVELOPES {
                if let Some(again) = envelope.reparse(&bytes) {
                    prop_assert_eq!(&again, &bytes);
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        for envelope in ENVELOPES {
            let _ = envelope.reparse(&bytes);
        }
        if let Some(version) = bytes.get_mut(..2) {
            version.copy_from_slice(&[0, 1]);
        }
        for envelope in ENVELOPES {
            let _ = envelope.reparse(&bytes);
        }
    }
}
