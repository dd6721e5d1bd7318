//! Deposits: how two devices of one user meet in an inbox.

use crate::refuse::refuse_plan;
use crate::scene::group_of;
use crate::support::{Actor, Inbox, Kind, Plan, World, done, possession_bytes};
use sordino_crypto::sha256;
use sordino_hub::Endpoint;
use sordino_wire::limits::{MAX_DEPOSIT_BYTES, MAX_INBOX_DAYS, MAX_INBOX_DELIVERIES};
use sordino_wire::{
    Bytes, Deposit, Domain, InboxAddress, InboxDelivery, InboxId, OpenInbox, Reject, RequestBody,
    Secret32,
};

const SECRET: [u8; 32] = [0x5e; 32];
const UNAVAILABLE: Reject = Reject::InboxUnavailable { index: 0 };

fn opening(inbox: &Inbox) -> OpenInbox {
    OpenInbox {
        deposit_hash: Some(sha256(&SECRET)),
        ..inbox.request()
    }
}

/// An inbox that takes deposits for ten days.
fn deposit_inbox(world: &mut World) -> Inbox {
    let inbox = Inbox::new(world, 10);
    done(world.ask(RequestBody::OpenInbox(opening(&inbox))));
    inbox
}

fn deposit_with(inbox: &InboxAddress, secret: [u8; 32], contents: &[u8]) -> RequestBody {
    RequestBody::Deposit(Deposit {
        inbox: inbox.clone(),
        deposit_secret: Secret32::new(secret),
        contents: Bytes::new(contents).unwrap(),
    })
}

fn deposit(inbox: &InboxAddress, contents: &[u8]) -> RequestBody {
    deposit_with(inbox, SECRET, contents)
}

#[test]
fn a_deposit_arrives_as_it_was_made() {
    let mut world = World::new(741);
    let inbox = deposit_inbox(&mut world);
    let largest = vec![7; MAX_DEPOSIT_BYTES];
    done(world.ask(deposit(&inbox.address, b"contents")));
    done(world.ask(deposit(&inbox.address, &largest)));
    let expected = [b"contents".to_vec(), largest]
        .map(|contents| InboxDelivery::Deposit(Bytes::new(contents).unwrap()));
    assert!(inbox.deliveries(&mut world) == expected);
    // Opening it again, as after a lost answer, changes nothing and makes no room.
    let before = world.store.clone();
    done(world.ask(RequestBody::OpenInbox(opening(&inbox))));
    assert!(world.store == before);
}

#[test]
fn a_wrong_secret() {
    let mut world = World::new(742);
    let inbox = deposit_inbox(&mut world);
    let mut near = SECRET;
    near[31] ^= 1;
    for secret in [[0; 32], near, *inbox.secret.expose(), sha256(&SECRET).0] {
        let body = deposit_with(&inbox.address, secret, b"contents");
        assert_eq!(world.refused_ask(body), UNAVAILABLE);
    }
    // They took no room.
    for _ in 0..MAX_INBOX_DELIVERIES {
        done(world.ask(deposit(&inbox.address, b"contents")));
    }
}

#[test]
fn an_inbox_that_is_not_there() {
    let mut world = World::new(743);
    let inbox = deposit_inbox(&mut world);
    let mut unknown = inbox.address.clone();
    unknown.inbox_id = InboxId([1; 16]);
    assert_eq!(
        world.refused_ask(deposit(&unknown, b"contents")),
        UNAVAILABLE
    );
    let mut elsewhere = inbox.address.clone();
    elsewhere.domain = Domain::new("other.example").unwrap();
    assert_eq!(
        world.refused_ask(deposit(&elsewhere, b"contents")),
        UNAVAILABLE
    );
    let mut key = inbox.address.clone();
    key.hpke_key = Inbox::new(&mut world, 10).address.hpke_key;
    assert_eq!(world.refused_ask(deposit(&key, b"contents")), UNAVAILABLE);
}

#[test]
fn an_inbox_that_is_full() {
    let mut world = World::new(744);
    let inbox = deposit_inbox(&mut world);
    for _ in 0..MAX_INBOX_DELIVERIES {
        done(world.ask(deposit(&inbox.address, b"contents")));
    }
    assert_eq!(
        world.refused_ask(deposit(&inbox.address, b"more")),
        UNAVAILABLE
    );
    assert_eq!(
        inbox.deliveries(&mut world).len(),
        usize::from(MAX_INBOX_DELIVERIES)
    );
}

#[test]
fn an_inbox_past_its_day() {
    let mut world = World::new(745);
    let inbox = deposit_inbox(&mut world);
    world.pass_days(10);
    done(world.ask(deposit(&inbox.address, b"contents")));
    world.pass_days(1);
    assert_eq!(
        world.refused_ask(deposit(&inbox.address, b"contents")),
        UNAVAILABLE
    );
    // Also where its record was not swept yet.
    let mut world = World::new(746);
    let inbox = deposit_inbox(&mut world);
    world.now_s += 11 * 86_400;
    assert_eq!(
        world.refused_ask(deposit(&inbox.address, b"contents")),
        UNAVAILABLE
    );
}

/// An inbox takes what it was opened for: nobody who knows a key package's inbox fills it, and no
/// Welcome comes where a device is linked.
#[test]
fn an_inbox_of_the_other_kind() {
    let (mut world, mut members) = group_of(747, 2);
    let mut late = Actor::new(&mut world, 3, 0);
    let entry = late.invitation(&mut world);
    let body = deposit(&entry.inbox, b"contents");
    assert_eq!(world.refused_ask(body), UNAVAILABLE);

    let inbox = deposit_inbox(&mut world);
    let mut other = Actor::new(&mut world, 4, 0);
    let mut entry = other.invitation(&mut world);
    entry.inbox = inbox.address.clone();
    let refused = refuse_plan(&mut world, &mut members[0], &Plan::add(vec![entry]));
    assert_eq!(refused, UNAVAILABLE);
}

#[test]
fn an_inbox_is_not_opened_twice_in_different_ways() {
    let mut world = World::new(748);
    let inbox = deposit_inbox(&mut world);
    let opened = opening(&inbox);
    let mut none = opened.clone();
    none.deposit_hash = None;
    let mut another = opened.clone();
    another.deposit_hash = Some(sha256(b"another secret"));
    let mut day = opened.clone();
    day.last_day += 1;
    let mut key = opened.clone();
    key.hpke_key = Inbox::new(&mut world, 10).address.hpke_key;
    for other in [none, another, day, key] {
        assert_eq!(
            world.refused_ask(RequestBody::OpenInbox(other)),
            UNAVAILABLE
        );
    }
    // Nor beyond the days that an inbox may live.
    for days in [MAX_INBOX_DAYS + 1, u32::MAX - world.today()] {
        let late = opening(&Inbox::new(&mut world, days));
        assert_eq!(world.refused_ask(RequestBody::OpenInbox(late)), UNAVAILABLE);
    }
    for days in [0, MAX_INBOX_DAYS] {
        let in_time = opening(&Inbox::new(&mut world, days));
        done(world.ask(RequestBody::OpenInbox(in_time)));
    }
    let mut past = opening(&Inbox::new(&mut world, 0));
    past.last_day -= 1;
    assert_eq!(world.refused_ask(RequestBody::OpenInbox(past)), UNAVAILABLE);
}

#[test]
fn an_authentication_that_says_who() {
    let (mut world, members) = group_of(749, 1);
    let inbox = deposit_inbox(&mut world);
    for kind in [Kind::Epoch, Kind::Leaf, Kind::User, Kind::Joiner] {
        let signing = members[0].signing(&mut world);
        let bytes = signing.bytes(&world, kind, deposit(&inbox.address, b"contents"));
        let refused = world.refused(&bytes, Endpoint::Inboxes);
        assert_eq!(refused, Reject::BadAuthentication);
    }
}

#[test]
fn another_address() {
    let mut world = World::new(750);
    let inbox = deposit_inbox(&mut world);
    let bytes = possession_bytes(deposit(&inbox.address, b"contents"));
    for endpoint in [
        Endpoint::GroupOperation,
        Endpoint::WelcomeInformation,
        Endpoint::ExternalCommitInformation,
        Endpoint::Streams,
        Endpoint::GroupKeyPackages,
    ] {
        assert_eq!(world.refused(&bytes, endpoint), Reject::WrongEndpoint);
    }
}
