//! What costs tokens, with a real issuer: paid once, kept where nothing was done.

use crate::scene::{group_of, group_with, sync_all};
use crate::support::{Actor, Inbox, Kind, Plan, Way, World, done, policy, rejected};
use sordino_crypto::{EarKey, sha256};
use sordino_effects::{Limiter as _, Subject};
use sordino_limiter::{Attempt, Budgets, Limits, Naming, Rate};
use sordino_wire::limits::{RECEIPT_MEMORY_S, SET_ENTRY_CIPHERTEXT_BYTES};
use sordino_wire::{
    Bytes, DeviceTag, Digest, FetchKeyPackages, JoinRule, LeafOperation, List, Nonce,
    PolicySummary, PublishKeyPackages, Reject, RequestBody, ResponseBody, Salt, Secret32, SetEntry,
    SetTag, SignatureKey, TokenClass, TokenPrice, Tokens,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn first(tokens: &Tokens, count: usize) -> Tokens {
    List::new(tokens.as_slice()[..count].to_vec()).unwrap()
}

/// The price that a refusal names. Nothing changed.
#[track_caller]
fn asked(world: &mut World, request: impl FnOnce(&mut World) -> ResponseBody) -> TokenPrice {
    let before = world.store.clone();
    let reject = rejected(request(world));
    assert!(world.store == before, "a refusal changed the store");
    match reject {
        Reject::TokenRequired { price, .. } => price,
        other => panic!("no price: {other:?}"),
    }
}

fn write(tokens: u8) -> TokenPrice {
    TokenPrice {
        class: TokenClass::Write,
        tokens,
    }
}

#[test]
fn creating_a_group_costs_five() {
    let mut world = World::new(920);
    world.open_till();
    let mut actor = Actor::new(&mut world, 1, 0);
    let request = actor.creation(&mut world, &policy());
    let body = RequestBody::CreateGroup(request);
    let signing = actor.signing(&mut world);
    let auth = signing.auth(&world, Kind::Leaf, &body);
    // One body that is sent in several ways.
    let bytes = sordino_wire::encode(&body).unwrap();
    let again = || sordino_wire::exact::<RequestBody>(&bytes).unwrap();
    let five = world.draw(TokenClass::Write, 5);
    let send = |world: &mut World, tokens: Tokens| {
        world.tokens = tokens;
        world.send(again(), auth.clone())
    };
    assert_eq!(asked(&mut world, |w| send(w, Tokens::default())), write(5));
    assert_eq!(asked(&mut world, |w| send(w, first(&five, 4))), write(5));

    // A signature that does not verify: refused after the tokens were found good, and they are kept.
    world.tokens = five.clone();
    let mut other = actor.signing(&mut world);
    other.leaf_key = actor.leaf_key_after(9);
    let bad = other.auth(&world, Kind::Leaf, &again());
    let before = world.store.clone();
    let refused = rejected(world.send(again(), bad));
    assert_eq!(refused, Reject::BadAuthentication);
    assert!(world.store == before);

    let outcome = done(send(&mut world, five.clone()));
    // The same again, also under another nonce and time: the stored answer.
    assert_eq!(done(send(&mut world, five.clone())), outcome);
    world.tokens = five.clone();
    world.now_s += 3_000;
    let later = actor.signing(&mut world);
    let later = later.auth(&world, Kind::Leaf, &again());
    assert_eq!(done(world.send(again(), later)), outcome);

    // The same tokens for another group, or for this one in another order.
    let mut reversed = five.clone().into_vec();
    reversed.reverse();
    for (body_of, tokens) in [(2, five.clone()), (1, List::new(reversed).unwrap())] {
        world.group_id = sordino_wire::GroupId([body_of; 16]);
        let mut second = Actor::new(&mut world, 1, 0);
        let request = second.creation(&mut world, &policy());
        world.tokens = tokens;
        let before = world.store.clone();
        let body = RequestBody::CreateGroup(request);
        let refused = rejected(second.request(&mut world, Kind::Leaf, body));
        assert_eq!(refused, Reject::DoubleSpent { index: 0 });
        assert!(world.store == before);
    }
}

#[test]
fn joining_by_a_link_costs_two_and_coming_back_nothing() {
    let open = PolicySummary {
        join: JoinRule::Open,
        ..policy()
    };
    let (mut world, mut members) = group_with(921, 2, &open);
    world.open_till();
    let ear = EarKey::new(members[0].ear().secret().duplicate());
    let mut guest = Actor::new(&mut world, 9, 0);
    let external = guest.external(&mut world, &ear, &Way::Open, false, false);
    assert_eq!(
        asked(&mut world, |w| guest.try_external(w, external)),
        write(2)
    );
    let mut guest = Actor::new(&mut world, 10, 0);
    let external = guest.external(&mut world, &ear, &Way::Open, false, false);
    world.tokens = world.draw(TokenClass::Write, 2);
    done(guest.try_external(&mut world, external));

    // What members do costs nothing: messages, commits, resync, leaving.
    world.tokens = Tokens::default();
    sync_all(&mut world, &mut members);
    done(members[0].say(&mut world, b"hello"));
    members[0].commit(&mut world, &Plan::update());
    sync_all(&mut world, &mut members);
    members[1].resync(&mut world, false);
    sync_all(&mut world, &mut members);
    done(members[1].leave(&mut world));
}

#[test]
fn an_own_device_comes_in_for_nothing_and_a_forged_proof_does_not() {
    let open = PolicySummary {
        join: JoinRule::Open,
        ..policy()
    };
    let (mut world, mut members) = group_with(928, 2, &open);
    world.open_till();
    // No budget is left for outsiders either.
    let mut budgets = Budgets::default();
    budgets.joins.requests = Rate::new(1, 1).unwrap();
    let limits = Arc::new(Limits::new(&budgets, Naming::new([5; 32])));
    limits_used_up(&world, &limits);
    world.limits = Some(limits);
    let ear = EarKey::new(members[1].ear().secret().duplicate());
    let of_device = |device: &mut Actor, world: &mut World, vouched: &SignatureKey| {
        let proof = members[1].proof(world, LeafOperation::ExternalJoin, vouched);
        device.learn(&members[1]);
        device.external(world, &ear, &Way::NewDevice(proof), false, false)
    };
    // For another key, or by half of the signatures: it is somebody who joins by a link.
    let mut stranger = Actor::new(&mut world, 2, 2);
    let other = stranger.leaf_key_after(9).public();
    let external = of_device(&mut stranger, &mut world, &other);
    let price = asked(&mut world, |w| stranger.try_external(w, external));
    assert_eq!(price, write(2));
    let mut device = Actor::new(&mut world, 2, 1);
    let key = device.leaf_key().public();
    let external = of_device(&mut device, &mut world, &key);
    done(device.try_external(&mut world, external));
    sync_all(&mut world, &mut members);
}

/// An outsider takes the last of the budget for joins.
fn limits_used_up(world: &World, limits: &Arc<Limits>) {
    let attempt = Attempt::new(Arc::clone(limits), None, world.now_s);
    let group = world.group_id;
    attempt.take(Subject::Joins(&group), 0).unwrap();
    let next = Attempt::new(Arc::clone(limits), None, world.now_s);
    assert!(next.take(Subject::Joins(&group), 0).is_err());
}

#[test]
fn a_lost_race_keeps_the_tokens_of_a_join() {
    let open = PolicySummary {
        join: JoinRule::Open,
        ..policy()
    };
    let (mut world, mut members) = group_with(922, 1, &open);
    world.open_till();
    let ear = EarKey::new(members[0].ear().secret().duplicate());
    let mut guest = Actor::new(&mut world, 9, 0);
    let external = guest.external(&mut world, &ear, &Way::Open, false, false);
    members[0].commit(&mut world, &Plan::update());
    world.tokens = world.draw(TokenClass::Write, 2);
    let before = world.store.clone();
    let refused = rejected(guest.try_external(&mut world, external));
    assert!(matches!(refused, Reject::WrongEpoch { .. }), "{refused:?}");
    assert!(world.store == before);
    let mut guest = Actor::new(&mut world, 10, 0);
    guest.come_in(&mut world, &ear, &Way::Open, false);
}

#[test]
fn above_a_groups_budget_a_message_takes_a_token_or_a_signature() {
    let (mut world, mut members) = group_of(923, 2);
    world.open_till();
    let mut budgets = Budgets::default();
    budgets.messages.requests = Rate::new(1, 1).unwrap();
    world.limits = Some(Arc::new(Limits::new(&budgets, Naming::new([5; 32]))));
    done(members[0].say(&mut world, b"free"));
    let before = world.store.clone();
    let refused = rejected(members[0].say(&mut world, b"over"));
    let Reject::TokenRequired {
        price,
        retry_after_s,
        ..
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!((price, retry_after_s), (write(1), 60));
    assert!(world.store == before);
    let tokens = world.draw(TokenClass::Write, 1);
    world.tokens = tokens.clone();
    done(members[0].say(&mut world, b"paid"));
    let refused = rejected(members[1].say(&mut world, b"with the same"));
    assert_eq!(refused, Reject::DoubleSpent { index: 0 });
    world.tokens = Tokens::default();
    done(members[1].say_as_leaf(&mut world, b"signed"));
    world.now_s += 60;
    done(members[1].say(&mut world, b"free again"));
}

#[test]
fn an_inbox_costs_one_and_a_receipt_lasts_a_day() {
    let mut world = World::new(924);
    world.open_till();
    let inbox = Inbox::new(&mut world, 30);
    let open = || RequestBody::OpenInbox(inbox.request());
    assert_eq!(asked(&mut world, |w| w.ask(open())), write(1));
    world.tokens = world.draw(TokenClass::Write, 1);
    let outcome = done(world.ask(open()));
    world.now_s += RECEIPT_MEMORY_S - 3_600;
    assert_eq!(done(world.ask(open())), outcome);
    let other = Inbox::new(&mut world, 30);
    let refused = rejected(world.ask(RequestBody::OpenInbox(other.request())));
    assert_eq!(refused, Reject::DoubleSpent { index: 0 });
    // When its epoch is over, and the two hours after it, the token is none.
    world.now_s += 3 * 3_600 + 1;
    assert_eq!(
        rejected(world.ask(open())),
        Reject::TokenInvalid { index: 0 }
    );
}

#[test]
fn garbage_touches_no_curve_and_writes_nothing() {
    let mut world = World::new(927);
    world.open_till();
    let inbox = Inbox::new(&mut world, 30);
    let open = || RequestBody::OpenInbox(inbox.request());
    let good = world.draw(TokenClass::Write, 1);
    let bytes = good.as_slice()[0].as_slice().to_vec();
    let one = |bytes: &[u8]| List::new(vec![Bytes::new(bytes).unwrap()]).unwrap();
    let mut garbage: Vec<Tokens> = (1..bytes.len()).map(|n| one(&bytes[..n])).collect();
    garbage.push(one(&[bytes.as_slice(), &[0]].concat()));
    garbage.push(world.draw(TokenClass::Contact, 1));
    // Type, challenge and key: every bit. They are looked up before the curve.
    for bit in (0..2 * 8).chain(34 * 8..98 * 8) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        garbage.push(one(&flipped));
    }
    let invalid = Reject::TokenInvalid { index: 0 };
    let verified = |world: &World| world.till.as_ref().unwrap().verified.load(Ordering::SeqCst);
    let before = world.store.clone();
    for tokens in garbage {
        world.tokens = tokens;
        assert_eq!(rejected(world.ask(open())), invalid);
    }
    assert_eq!(verified(&world), 0);
    assert!(world.store == before);
    // A nonce or an authenticator that is none is found by the curve, once.
    for (count, byte) in (1..).zip([2, 33, 98, bytes.len() - 1]) {
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1;
        world.tokens = one(&flipped);
        assert_eq!(rejected(world.ask(open())), invalid);
        assert_eq!(verified(&world), count);
        assert!(world.store == before);
    }
    // A token that is spent is looked up, whatever it is to pay for.
    world.tokens = good;
    let outcome = done(world.ask(open()));
    let after = verified(&world);
    assert_eq!(done(world.ask(open())), outcome);
    let other = RequestBody::OpenInbox(Inbox::new(&mut world, 30).request());
    let refused = rejected(world.ask(other));
    assert_eq!(refused, Reject::DoubleSpent { index: 0 });
    assert_eq!(verified(&world), after);
}

fn entry(world: &World, tag: u8) -> SetEntry {
    SetEntry {
        set_tag: SetTag([tag; 16]),
        device_tag: DeviceTag([tag; 16]),
        devices: 1,
        cipher_suite: 1,
        last_day: world.today() + 30,
        salt: Salt([tag; 16]),
        ciphertext: Bytes::new(vec![tag; SET_ENTRY_CIPHERTEXT_BYTES]).unwrap(),
    }
}

#[test]
fn sets_cost_one_for_four_to_publish_and_one_each_to_fetch() {
    let mut world = World::new(925);
    world.open_till();
    let publish = |world: &mut World, tags: std::ops::Range<u8>| {
        let entries: Vec<SetEntry> = tags.map(|tag| entry(world, tag)).collect();
        world.ask(RequestBody::PublishKeyPackages(PublishKeyPackages {
            contact_token: Secret32::new([1; 32]),
            owner_secret: Secret32::new([2; 32]),
            entries: List::new(entries).unwrap(),
            drop: List::default(),
        }))
    };
    assert_eq!(asked(&mut world, |w| publish(w, 1..5)), write(1));
    assert_eq!(asked(&mut world, |w| publish(w, 1..6)), write(2));
    world.tokens = world.draw(TokenClass::Write, 2);
    done(publish(&mut world, 1..6));
    // Dropping alone publishes nothing.
    world.tokens = Tokens::default();
    done(publish(&mut world, 1..1));

    let fetch = |world: &mut World, nonce: u8, tokens: &Tokens| {
        world.tokens = tokens.clone();
        world.ask(RequestBody::FetchKeyPackages(FetchKeyPackages {
            contact_token: Secret32::new([1; 32]),
            nonce: Nonce([nonce; 16]),
        }))
    };
    let price = asked(&mut world, |w| fetch(w, 1, &Tokens::default()));
    assert_eq!(price.class, TokenClass::Contact);
    let token = world.draw(TokenClass::Contact, 1);
    let set = fetch(&mut world, 1, &token);
    assert!(matches!(set, ResponseBody::KeyPackages(_)), "{set:?}");
    assert!(
        fetch(&mut world, 1, &token) == set,
        "the same request, the same set"
    );
    let spent = Reject::DoubleSpent { index: 0 };
    assert_eq!(rejected(fetch(&mut world, 2, &token)), spent);
    // When the set itself is forgotten, its token does not buy another one.
    world.store.outcomes.retain(|_, value| value.len() < 1_000);
    assert_eq!(rejected(fetch(&mut world, 1, &token)), spent);
    // An empty pool costs nothing.
    let other = world.draw(TokenClass::Contact, 1);
    world.tokens = other.clone();
    let unknown = RequestBody::FetchKeyPackages(FetchKeyPackages {
        contact_token: Secret32::new([9; 32]),
        nonce: Nonce([9; 16]),
    });
    assert_eq!(rejected(world.ask(unknown)), Reject::PoolEmpty);
    let set = fetch(&mut world, 3, &other);
    assert!(matches!(set, ResponseBody::KeyPackages(_)));
}

#[test]
fn asking_to_join_an_open_group_costs_as_much_as_joining() {
    let invite = PolicySummary {
        join: JoinRule::Invite,
        invite_code_hash: Some(sha256(&Digest([3; 32]).0)),
        ..policy()
    };
    let (mut world, members) = group_with(926, 1, &invite);
    let ear = EarKey::new(members[0].ear().secret().duplicate());
    let mut guest = Actor::new(&mut world, 9, 0);
    world.open_till();
    // The inbox that the Welcome is to come to costs one.
    world.tokens = world.draw(TokenClass::Write, 1);
    let request = guest.joining_request(&mut world, members[0].epoch(), &ear);
    world.tokens = Tokens::default();
    let mut signing = guest.signing(&mut world);
    signing.epoch = members[0].epoch();
    let body = RequestBody::Proposals(request);
    let auth = signing.auth(&world, Kind::Joiner, &body);
    assert_eq!(asked(&mut world, |w| w.send(body, auth)), write(2));
}
