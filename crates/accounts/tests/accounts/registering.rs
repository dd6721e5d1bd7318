//! Who may register, and as what.

use crate::world::*;
use sordino_accounts::{Endpoint, Registration};
use sordino_crypto::{OperatorKey, make_client_credential, make_connection_key};
use sordino_wire::{
    AccountReject, AccountRequestBody, AccountResponseBody, Admission, AdmissionTerms, Bytes,
    HpkeKey, IdentifierUri, Secret32,
};

#[test]
fn an_invitation_makes_an_account_that_is_found() {
    let mut world = World::new(Registration::Invitation);
    let terms = world.ask(AccountRequestBody::AdmissionTerms);
    let expected = AccountResponseBody::AdmissionTerms(AdmissionTerms::Invitation);
    assert_eq!(terms, expected);
    let alice = Person::new(&mut world, "alice");
    let admission = world.invitation(0);
    let answer = alice.phone.send(&mut world, alice.register(admission));
    assert_eq!(answer, DONE);
    let entry = world.look_up("alice");
    assert_eq!(entry.account_key, alice.account_key.public());
    assert_eq!(entry.connection_key, alice.signed_key());
    let view = alice.phone.account(&mut world);
    assert_eq!(view.entry, entry);
    assert_eq!(view.clients.as_slice(), [alice.credential(&alice.phone)]);
}

#[test]
fn an_invitation_serves_once() {
    let mut world = World::new(Registration::Invitation);
    let [alice, bob] = ["alice", "bob"].map(|name| Person::new(&mut world, name));
    let admission = world.invitation(30);
    let register = alice.register(admission.clone());
    assert_eq!(alice.phone.send(&mut world, register), DONE);
    let again = |world: &mut World| bob.phone.refused(world, bob.register(admission.clone()));
    assert_eq!(again(&mut world), AccountReject::InvitationInvalid);
    // Its mark goes when its own time is over, and not before.
    world.pass_days(30);
    assert_eq!(again(&mut world), AccountReject::InvitationInvalid);
    let marked = world.store.records.len();
    world.pass_days(1);
    assert_eq!(world.store.records.len(), marked - 1);
    assert_eq!(again(&mut world), AccountReject::InvitationInvalid);
}

#[test]
fn an_invitation_of_somebody_elses_or_of_yesterday_is_refused() {
    let mut world = World::new(Registration::Invitation);
    let alice = Person::new(&mut world, "alice");
    let other = OperatorKey::new(Secret32::new([9; 32]));
    let foreign = World::with_operator(Registration::Invitation, other, vec![]).invitation(9);
    let odd = Admission::Invitation(Bytes::new(*b"let me in").unwrap());
    let old = world.invitation(0);
    world.pass_days(1);
    for admission in [foreign, odd, old] {
        let refused = alice.phone.refused(&mut world, alice.register(admission));
        assert_eq!(refused, AccountReject::InvitationInvalid);
    }
}

#[test]
fn codes_of_a_former_operator_key_are_good() {
    let former = OperatorKey::new(Secret32::new([9; 32]));
    let registration = Registration::Invitation;
    let code = World::with_operator(registration, former.duplicate(), Vec::new()).invitation(9);
    let current = OperatorKey::new(Secret32::new([3; 32]));
    let mut world = World::with_operator(registration, current, vec![former]);
    let alice = Person::new(&mut world, "alice");
    assert_eq!(alice.phone.send(&mut world, alice.register(code)), DONE);
}

#[test]
fn a_taken_handle_costs_no_invitation() {
    let mut world = World::new(Registration::Invitation);
    let alice = Person::new(&mut world, "alice");
    let admission = world.invitation(1);
    assert_eq!(
        alice.phone.send(&mut world, alice.register(admission)),
        DONE
    );
    let (thief, bob) = (
        Person::new(&mut world, "alice"),
        Person::new(&mut world, "bob"),
    );
    let admission = world.invitation(1);
    let refused = thief
        .phone
        .refused(&mut world, thief.register(admission.clone()));
    assert_eq!(refused, AccountReject::HandleTaken);
    assert_eq!(bob.phone.send(&mut world, bob.register(admission)), DONE);
    assert_eq!(
        world.look_up("alice").account_key,
        alice.account_key.public()
    );
}

#[test]
fn a_deleted_handle_stays_taken() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    alice.delete(&mut world);
    world.pass_days(150);
    for person in [alice, Person::new(&mut world, "alice")] {
        let admission = world.work(&person);
        let register = person.register(admission);
        let refused = person.phone.refused(&mut world, register);
        assert_eq!(refused, AccountReject::HandleTaken);
    }
}

#[test]
fn whether_a_handle_is_taken_is_told_to_who_is_admitted_alone() {
    let mut world = World::new(WORK);
    world.registered("alice");
    for name in ["alice", "nobody"] {
        let person = Person::new(&mut world, name);
        let Admission::ProofOfWork { challenge, .. } = world.work(&person) else {
            panic!("no work");
        };
        let lazy = Admission::ProofOfWork {
            challenge: Bytes::new([0; 36]).unwrap(),
            solution: 0,
        };
        drop(challenge);
        let refused = person.phone.refused(&mut world, person.register(lazy));
        assert_eq!(refused, AccountReject::ProofOfWorkInvalid, "{name}");
    }
}

#[test]
fn work_makes_an_account() {
    let mut world = World::new(WORK);
    let alice = world.registered("alice");
    assert_eq!(
        world.look_up("alice").account_key,
        alice.account_key.public()
    );
}

#[test]
fn work_is_for_one_handle_and_key_and_hour() {
    let difficulty_bits = 12;
    let mut world = World::new(Registration::ProofOfWork { difficulty_bits });
    let alice = Person::new(&mut world, "alice");
    let good = world.work(&alice);
    let Admission::ProofOfWork {
        challenge,
        solution,
    } = good.clone()
    else {
        panic!("no work");
    };
    // A chance of one in four thousand each that other work happens to be good; always the same.
    let bob = Person::new(&mut world, "bob");
    let refused = bob.phone.refused(&mut world, bob.register(good.clone()));
    assert_eq!(refused, AccountReject::ProofOfWorkInvalid);
    let other = Person::new(&mut world, "alice");
    let refused = other
        .phone
        .refused(&mut world, other.register(good.clone()));
    assert_eq!(refused, AccountReject::ProofOfWorkInvalid);
    let mut flipped = challenge.as_slice().to_vec();
    flipped[10] ^= 1;
    let forged = Admission::ProofOfWork {
        challenge: Bytes::new(flipped).unwrap(),
        solution,
    };
    let refused = alice.phone.refused(&mut world, alice.register(forged));
    assert_eq!(refused, AccountReject::ProofOfWorkInvalid);
    // It is taken until the end of the next hour.
    let hour = world.now_s - world.now_s % 3_600;
    for late_s in [hour + 7_200, hour - 1] {
        world.now_s = late_s;
        let refused = alice
            .phone
            .refused(&mut world, alice.register(good.clone()));
        assert_eq!(refused, AccountReject::ProofOfWorkInvalid);
    }
    world.now_s = hour + 7_199;
    assert_eq!(alice.phone.send(&mut world, alice.register(good)), DONE);
}

#[test]
fn a_provider_admits_in_its_own_way_alone() {
    let mut lender = World::new(Registration::Invitation);
    let code = lender.invitation(9);
    let mut working = World::new(WORK);
    let alice = Person::new(&mut working, "alice");
    let work = working.work(&alice);
    let other = AccountReject::OtherAdmission;
    let refused = alice
        .phone
        .refused(&mut working, alice.register(code.clone()));
    assert_eq!(refused, other);
    let refused = alice
        .phone
        .refused(&mut lender, alice.register(work.clone()));
    assert_eq!(refused, other);
    let mut closed = World::new(Registration::Closed);
    let terms = closed.ask(AccountRequestBody::AdmissionTerms);
    let expected = AccountResponseBody::AdmissionTerms(AdmissionTerms::Closed);
    assert_eq!(terms, expected);
    for admission in [code, work] {
        let refused = alice.phone.refused(&mut closed, alice.register(admission));
        assert_eq!(refused, other);
    }
}

#[test]
fn a_credential_that_is_not_the_accounts_is_refused() {
    let mut world = World::new(WORK);
    let alice = Person::new(&mut world, "alice");
    let admission = world.work(&alice);
    let right = alice.registration(admission);
    let uri = |text: &str| IdentifierUri::new(text).unwrap();
    let (user, client) = (&alice.user, &alice.phone.client);
    let made = |user: &str, client: &str| {
        let (key, account_key) = (&alice.phone.key, &alice.account_key);
        make_client_credential(&uri(user), &uri(client), key, account_key).unwrap()
    };
    let mut credentials = vec![
        made("mimi://hub.example/u/bob", client.as_str()),
        made("mimi://other.example/u/alice", client.as_str()),
        made(user.as_str(), "mimi://other.example/d/phone"),
        made(user.as_str(), "mimi://hub.example/u/phone"),
        made(user.as_str(), "mimi://hub.example/d/"),
        made(user.as_str(), "mimi://hub.example/d/a/b"),
    ];
    // Signed by another key than it names, and by the device itself.
    let mut forged = right.credential.clone();
    forged.account_key = key(7).public();
    credentials.push(forged);
    let own = &alice.phone.key;
    credentials.push(make_client_credential(user, client, own, own).unwrap());
    for credential in credentials {
        let body = AccountRequestBody::Register(sordino_wire::Register {
            credential,
            ..right.clone()
        });
        let refused = alice.phone.refused(&mut world, body);
        assert_eq!(refused, AccountReject::InvalidCredential);
    }
    let other_user = uri("mimi://hub.example/u/bob");
    let keys = [
        make_connection_key(user, &key(7), &alice.hpke_key).unwrap(),
        make_connection_key(&other_user, &alice.account_key, &alice.hpke_key).unwrap(),
        make_connection_key(user, &alice.account_key, &HpkeKey::new([1; 33]).unwrap()).unwrap(),
    ];
    for connection_key in keys {
        let body = AccountRequestBody::Register(sordino_wire::Register {
            connection_key,
            ..right.clone()
        });
        let refused = alice.phone.refused(&mut world, body);
        assert_eq!(refused, AccountReject::InvalidCredential);
    }
    // Nothing of it was lost.
    let body = AccountRequestBody::Register(right);
    assert_eq!(alice.phone.send(&mut world, body), DONE);
}

#[test]
fn the_first_device_registers_itself() {
    let mut world = World::new(WORK);
    let alice = Person::new(&mut world, "alice");
    let admission = world.work(&alice);
    let stranger = alice.device(&mut world);
    let refused = stranger.refused(&mut world, alice.register(admission.clone()));
    assert_eq!(refused, AccountReject::BadAuthentication);
    assert_eq!(
        alice.phone.send(&mut world, alice.register(admission)),
        DONE
    );
}

#[test]
fn a_repeated_registration_is_answered_alike_and_of_two_one_wins() {
    let mut world = World::new(WORK);
    let alice = Person::new(&mut world, "alice");
    let admission = world.work(&alice);
    let bytes = alice.phone.bytes(&mut world, alice.register(admission));
    assert_eq!(world.handle(&bytes, Endpoint::Accounts), DONE);
    let after = world.store.clone();
    assert_eq!(world.handle(&bytes, Endpoint::Accounts), DONE);
    assert!(world.store == after);
    // Two that were handled on the same state: the second one is not applied.
    let mut world = World::new(WORK);
    let effects = ["first", "second"].map(|_| {
        let person = Person::new(&mut world, "alice");
        let admission = world.work(&person);
        let bytes = person.phone.bytes(&mut world, person.register(admission));
        match world.step(&bytes, Endpoint::Accounts) {
            sordino_accounts::Step::Commit(effects) => effects.changes,
            _ => panic!("not a commit"),
        }
    });
    let applied = effects.map(|changes| world.store.apply(changes).is_ok());
    assert_eq!(applied, [true, false]);
}
