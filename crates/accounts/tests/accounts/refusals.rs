//! What is refused before anybody looks at an account.

use crate::world::*;
use sordino_accounts::Endpoint;
use sordino_wire::{
    AccountAuthentication, AccountReject, AccountRequest, AccountRequestBody, AccountRequestTbs,
    Domain, Nonce,
};

#[test]
fn what_is_no_request_is_malformed() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let bytes = alice
        .phone
        .bytes(&mut world, AccountRequestBody::ReadAccount);
    let accounts = Endpoint::Accounts;
    for length in (0..bytes.len()).step_by(7) {
        let refused = world.refused(&bytes[..length], accounts);
        assert_eq!(refused, AccountReject::Malformed);
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(world.refused(&longer, accounts), AccountReject::Malformed);
    let mut newer = bytes.clone();
    newer[1] = 2;
    let unsupported = AccountReject::UnsupportedVersion { supported: 1 };
    assert_eq!(world.refused(&newer, accounts), unsupported);
    let large = vec![0; 64 * 1024 + 1];
    let too_large = AccountReject::TooLarge { limit: 65_536 };
    assert_eq!(world.refused(&large, accounts), too_large);
}

#[test]
fn each_address_takes_its_own_requests() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let wrong = AccountReject::WrongEndpoint;
    let bytes = alice
        .phone
        .bytes(&mut world, AccountRequestBody::ReadAccount);
    assert_eq!(world.refused(&bytes, Endpoint::ConnectionRequest), wrong);
    for body in [
        AccountRequestBody::LookUp(handle("alice")),
        asking("alice", 1),
    ] {
        let refused = world.refused(&unsigned(body), Endpoint::Accounts);
        assert_eq!(refused, wrong);
    }
    let terms = unsigned(AccountRequestBody::AdmissionTerms);
    assert_eq!(world.refused(&terms, Endpoint::ConnectionRequest), wrong);
}

#[test]
fn who_need_not_show_an_account_must_not() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    for body in [
        AccountRequestBody::AdmissionTerms,
        AccountRequestBody::LookUp(handle("bob")),
        asking("bob", 1),
    ] {
        let at = endpoint(&body);
        let bytes = alice.phone.bytes(&mut world, body);
        let refused = world.refused(&bytes, at);
        assert_eq!(refused, AccountReject::BadAuthentication);
    }
    let read = unsigned(AccountRequestBody::ReadAccount);
    let refused = world.refused(&read, Endpoint::Accounts);
    assert_eq!(refused, AccountReject::BadAuthentication);
}

#[test]
fn the_signature_covers_provider_account_device_time_nonce_and_body() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    world.registered("bob");
    let body = || AccountRequestBody::ReadAccount;
    let tbs = alice.phone.tbs(&mut world, &body());
    let good = alice.phone.signed(&tbs, body());
    let signature = |tbs: &AccountRequestTbs| {
        let bytes = alice.phone.signed(tbs, body());
        let parsed = AccountRequest::parse(&bytes).unwrap().request;
        match parsed.auth {
            AccountAuthentication::Client { signature, .. } => signature,
            AccountAuthentication::Nobody => panic!("signed by nobody"),
        }
    };
    let other_body = AccountRequestBody::PutClient(alice.credential(&alice.phone));
    let others = [
        AccountRequestTbs {
            version: 2,
            ..tbs.clone()
        },
        AccountRequestTbs {
            domain: Domain::new("other.example").unwrap(),
            ..tbs.clone()
        },
        AccountRequestTbs {
            handle: handle("bob"),
            ..tbs.clone()
        },
        AccountRequestTbs {
            client_key: key(7).public(),
            ..tbs.clone()
        },
        AccountRequestTbs {
            time_s: tbs.time_s - 60,
            ..tbs.clone()
        },
        AccountRequestTbs {
            nonce: Nonce([1; 16]),
            ..tbs.clone()
        },
        alice.phone.tbs(&mut world, &other_body),
    ];
    for signed in others {
        let auth = AccountAuthentication::Client {
            handle: tbs.handle.clone(),
            client_key: tbs.client_key.clone(),
            time_s: tbs.time_s,
            nonce: tbs.nonce,
            signature: signature(&signed),
        };
        let bytes = AccountRequest { body: body(), auth }.encode().unwrap();
        let refused = world.refused(&bytes, Endpoint::Accounts);
        assert_eq!(refused, AccountReject::BadAuthentication);
    }
    let answer = world.handle(&good, Endpoint::Accounts);
    assert!(matches!(
        answer,
        sordino_wire::AccountResponseBody::Account(_)
    ));
}

#[test]
fn a_device_of_one_account_is_none_of_another() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    world.registered("bob");
    let body = AccountRequestBody::ReadAccount;
    let tbs = AccountRequestTbs {
        handle: handle("bob"),
        ..alice.phone.tbs(&mut world, &body)
    };
    let bytes = alice.phone.signed(&tbs, body);
    let refused = world.refused(&bytes, Endpoint::Accounts);
    assert_eq!(refused, AccountReject::BadAuthentication);
}

#[test]
fn a_request_of_another_time_is_stale() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let hub_time_s = world.now_s - world.now_s % 60;
    let at = |world: &mut World, time_s| {
        let body = AccountRequestBody::ReadAccount;
        let tbs = AccountRequestTbs {
            time_s,
            ..alice.phone.tbs(world, &body)
        };
        alice.phone.signed(&tbs, body)
    };
    for time_s in [hub_time_s + 1, hub_time_s + 720, hub_time_s - 720, 0] {
        let bytes = at(&mut world, time_s);
        let refused = world.refused(&bytes, Endpoint::Accounts);
        assert_eq!(refused, AccountReject::StaleTime { hub_time_s });
    }
    for time_s in [hub_time_s + 600, hub_time_s - 600] {
        let bytes = at(&mut world, time_s);
        let answer = world.handle(&bytes, Endpoint::Accounts);
        assert!(matches!(
            answer,
            sordino_wire::AccountResponseBody::Account(_)
        ));
    }
}

#[test]
fn a_nonce_serves_one_request_of_one_device() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    let bob = world.registered("bob");
    let settle = || {
        AccountRequestBody::SettleConnectionRequests(sordino_wire::SettleConnectionRequests {
            hashes: Default::default(),
        })
    };
    let tbs = alice.phone.tbs(&mut world, &settle());
    let bytes = alice.phone.signed(&tbs, settle());
    assert_eq!(world.handle(&bytes, Endpoint::Accounts), DONE);
    // The same request with its time set anew is the same one.
    world.now_s += 900;
    let later = AccountRequestTbs {
        time_s: tbs.time_s + 900,
        ..tbs.clone()
    };
    let after = world.store.clone();
    let again = alice.phone.signed(&later, settle());
    assert_eq!(world.handle(&again, Endpoint::Accounts), DONE);
    assert!(world.store == after);
    // Another body, and the same body of another device.
    let body = alice.put(&alice.phone);
    let tbs = AccountRequestTbs {
        nonce: tbs.nonce,
        ..alice.phone.tbs(&mut world, &body)
    };
    let other = alice.phone.signed(&tbs, body);
    let refused = world.refused(&other, Endpoint::Accounts);
    assert_eq!(refused, AccountReject::Replayed);
    let tbs = AccountRequestTbs {
        nonce: tbs.nonce,
        ..bob.phone.tbs(&mut world, &settle())
    };
    let other = bob.phone.signed(&tbs, settle());
    let refused = world.refused(&other, Endpoint::Accounts);
    assert_eq!(refused, AccountReject::Replayed);
}
