//! Values survive the way over the wire; so do sequences of arbitrary bytes that parse.

use crate::cases::{reparse_request, reparse_response};
use crate::model::Model;
use crate::sample::{Sample, Source};
use proptest::prelude::*;
use sordino_wire::{
    Authentication, Delivery, DsRequest, DsResponse, InboxDelivery, RequestBody, ResponseBody,
    encode, exact,
};

fn sample<T: Sample>(entropy: Vec<u8>) -> T {
    T::sample(&mut Source::entropy(entropy))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn requests(body: Vec<u8>, auth: Vec<u8>) {
        let body: RequestBody = sample(body);
        let auth: Authentication = sample(auth);
        prop_assert_eq!(body.node().encode(), encode(&body).unwrap());
        let request = DsRequest { body, auth };
        let bytes = request.encode().unwrap();
        let parsed = DsRequest::parse(&bytes).unwrap();
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
    fn deliveries(entropy: Vec<u8>) {
        let delivery: Delivery = sample(entropy.clone());
        prop_assert_eq!(exact::<Delivery>(&encode(&delivery).unwrap()).unwrap(), delivery);
        let delivery: InboxDelivery = sample(entropy);
        prop_assert_eq!(exact::<InboxDelivery>(&encode(&delivery).unwrap()).unwrap(), delivery);
    }

    #[test]
    fn changed_requests_are_refused_or_canonical(
        body: Vec<u8>,
        position: prop::sample::Index,
        value: u8,
    ) {
        let request = DsRequest { body: sample(body), auth: Authentication::Possession };
        let mut bytes = request.encode().unwrap();
        let position = position.index(bytes.len());
        bytes[position] = value;
        if let Some(again) = reparse_request(&bytes) {
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        let _ = reparse_request(&bytes);
        let _ = reparse_response(&bytes);
        if let Some(version) = bytes.get_mut(..2) {
            version.copy_from_slice(&[0, 1]);
        }
        let _ = reparse_request(&bytes);
        let _ = reparse_response(&bytes);
    }
}
