//! How much is too much: each budget used up, with whom it hits and whom it must not.

use crate::scene::{confirm, group_of, group_with, sync_all};
use crate::support::{Actor, Inbox, Kind, Plan, Way, World, done, policy, rejected};
use sordino_hub::Endpoint;
use sordino_limiter::{Budget, Budgets, Limits, Naming, Rate};
use sordino_wire::{
    JoinRule, PolicySummary, ReadInbox, Reject, RequestBody, ResponseBody, SenderRule,
};
use std::sync::Arc;

/// Two of everything at once, one more each minute; and so many bytes.
fn limited(world: &mut World) {
    let rate = |burst, per_minute| Rate::new(burst, per_minute).unwrap();
    let mut budgets = Budgets::default();
    for (_, budget) in budgets.named() {
        *budget = Budget {
            requests: rate(2, 1),
            bytes: budget.bytes,
        };
    }
    world.limits = Some(Arc::new(Limits::new(&budgets, Naming::new([5; 32]))));
}

/// The refusal of something that must leave everything as it was.
#[track_caller]
fn limited_now(world: &mut World, answer: impl FnOnce(&mut World) -> ResponseBody) -> u32 {
    let before = world.store.clone();
    let reject = rejected(answer(world));
    assert!(world.store == before, "a refusal changed the store");
    match reject {
        Reject::RateLimited { retry_after_s } => retry_after_s,
        other => panic!("not a limit: {other:?}"),
    }
}

#[test]
fn a_groups_messages_have_a_budget_that_comes_back() {
    let (mut world, mut members) = group_of(900, 2);
    limited(&mut world);
    for _ in 0..2 {
        done(members[0].say(&mut world, b"hello"));
    }
    // It is the group's, whichever member sends.
    let retry_after_s = limited_now(&mut world, |world| members[1].say(world, b"hello"));
    assert_eq!(retry_after_s, 60);
    world.now_s += u64::from(retry_after_s);
    done(members[1].say(&mut world, b"hello"));
    limited_now(&mut world, |world| members[0].say(world, b"hello"));
}

#[test]
fn a_leaf_that_signs_has_its_own_budget() {
    let (mut world, mut members) = group_of(901, 3);
    confirm(&mut world, &members[1]);
    limited(&mut world);
    for _ in 0..2 {
        done(members[0].say(&mut world, b"hello"));
    }
    limited_now(&mut world, |world| members[0].say(world, b"hello"));
    // Above the group's budget, a leaf may show itself instead.
    for _ in 0..2 {
        done(members[0].say_as_leaf(&mut world, b"hello"));
    }
    limited_now(&mut world, |world| members[0].say_as_leaf(world, b"hello"));
    done(members[1].say_as_leaf(&mut world, b"hello"));
}

#[test]
fn large_messages_use_up_bytes() {
    let (mut world, mut members) = group_of(902, 1);
    let rate = |burst, per_minute| Rate::new(burst, per_minute).unwrap();
    let mut budgets = Budgets::default();
    budgets.messages.bytes = Some(rate(100_000, 60_000));
    world.limits = Some(Arc::new(Limits::new(&budgets, Naming::new([5; 32]))));
    let large = vec![b'x'; 60_000];
    done(members[0].say(&mut world, &large));
    limited_now(&mut world, |world| members[0].say(world, &large));
    done(members[0].say(&mut world, b"small"));
}

#[test]
fn handshakes_are_bounded_and_what_brings_members_back_is_not() {
    let (mut world, mut members) = group_of(903, 4);
    limited(&mut world);
    for _ in 0..2 {
        members[0].commit(&mut world, &Plan::update());
        sync_all(&mut world, &mut members);
    }
    let before = world.store.clone();
    let refused = rejected(members[0].try_commit(&mut world, &Plan::update()));
    assert!(matches!(refused, Reject::RateLimited { .. }), "{refused:?}");
    // Of another pseudonym: the group's budget is used up.
    let refused = rejected(members[1].try_commit(&mut world, &Plan::update()));
    assert!(matches!(refused, Reject::RateLimited { .. }), "{refused:?}");
    assert!(world.store == before);

    // Resync, confirming keys, rekey and key requests go on, however often.
    for _ in 0..4 {
        members[2].resync(&mut world, false);
        sync_all(&mut world, &mut members);
        done(members[1].confirm(&mut world));
    }
    let head = members[3].head_access(0);
    let (_, answer) = members[3].ask_for_keys(&mut world, head);
    done(answer);
    members[1].inspect(&mut world);
}

#[test]
fn outsiders_use_up_a_budget_of_their_own() {
    let open = PolicySummary {
        join: JoinRule::Open,
        ..policy()
    };
    let (mut world, mut members) = group_with(904, 2, &open);
    limited(&mut world);
    let ear = sordino_crypto::EarKey::new(members[0].ear().secret().duplicate());
    for user in 10..12 {
        let mut guest = Actor::new(&mut world, user, 0);
        guest.come_in(&mut world, &ear, &Way::Open, false);
    }
    let mut guest = Actor::new(&mut world, 12, 0);
    let external = guest.external(&mut world, &ear, &Way::Open, false, false);
    let before = world.store.clone();
    let refused = rejected(guest.try_external(&mut world, external));
    assert!(matches!(refused, Reject::RateLimited { .. }), "{refused:?}");
    assert!(world.store == before);
    // Members notice nothing.
    sync_all(&mut world, &mut members);
    members[0].commit(&mut world, &Plan::update());
    sync_all(&mut world, &mut members);
    done(members[1].say(&mut world, b"hello"));
}

#[test]
fn garbage_uses_up_nobodys_budget() {
    let roles = PolicySummary {
        senders: SenderRule::Anonymous,
        ..policy()
    };
    let (mut world, mut members) = group_with(905, 2, &roles);
    limited(&mut world);
    for _ in 0..9 {
        // Who knows the head's key and no epoch's, as a former member does.
        let body = members[0].sending(b"hello");
        let mut signing = members[0].signing(&mut world);
        signing.sender_key = sordino_wire::Secret32::new([1; 32]);
        let bytes = signing.bytes(&world, Kind::Epoch, body);
        let refused = world.refused(&bytes, Endpoint::GroupOperation);
        assert_eq!(refused, Reject::BadAuthentication);
    }
    for _ in 0..2 {
        done(members[0].say(&mut world, b"hello"));
    }
}

#[test]
fn an_inbox_is_read_by_its_owner_as_often_as_its_budget_says() {
    let mut world = World::new(906);
    limited(&mut world);
    let inbox = Inbox::new(&mut world, 10);
    done(world.ask(RequestBody::OpenInbox(inbox.request())));
    let read = |world: &mut World| {
        world.ask(RequestBody::ReadInbox(ReadInbox {
            inbox_secret: inbox.secret.duplicate(),
            from: 0,
            wait_s: 0,
        }))
    };
    for _ in 0..2 {
        assert!(matches!(read(&mut world), ResponseBody::Inbox(_)));
    }
    limited_now(&mut world, read);
    let other = Inbox::new(&mut world, 10);
    let body = RequestBody::ReadInbox(ReadInbox {
        inbox_secret: other.secret.duplicate(),
        from: 0,
        wait_s: 0,
    });
    assert!(matches!(world.ask(body), ResponseBody::Inbox(_)));
}
