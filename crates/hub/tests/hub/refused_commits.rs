//! Refusals of commits and proposals: each with its own error, and the store as it was.

use crate::refuse::{credential, refuse, refuse_plan};
use crate::scene::{add_device, group_of, group_with, sync_all};
use crate::support::{Actor, Kind, Plan, Way, World, done, policy, rejected};
use sordino_crypto::{EarKey, sha256};
use sordino_hub::Endpoint;
use sordino_wire::{
    Bytes, Capability, CommitRequest, CredentialRule, Digest, Domain, GenerationStep, InboxAddress,
    JoinRule, KeyCheck, KeyCheckTbs, List, Permission, PolicySummary, Reject, RequestBody,
    ResponseBody, Secret32,
};

fn removal(member: &Actor) -> Plan {
    Plan::remove(&[member.leaf()])
}

#[test]
fn a_wrong_number_of_identity_entries() {
    let (mut world, mut members) = group_of(401, 2);
    let reject = refuse(&mut world, &mut members[0], &Plan::update(), |r, _| {
        r.identity_entries = List::default();
    });
    assert_eq!(reject, Reject::IdentityEntries { expected: 1 });
    let plan = removal(&members[1]);
    let donor = members[0]
        .draft(&mut world, &Plan::update())
        .identity_entries;
    let reject = refuse(&mut world, &mut members[0], &plan, |r, _| {
        r.identity_entries = donor
    });
    assert_eq!(reject, Reject::IdentityEntries { expected: 0 });
}

#[test]
fn an_entry_of_another_generation() {
    let (mut world, mut members) = group_of(402, 2);
    for plan in [Plan::update(), Plan::moving()] {
        let reject = refuse(&mut world, &mut members[0], &plan, |r, _| {
            let mut entries = std::mem::take(&mut r.identity_entries).into_vec();
            entries[0].generation ^= 1;
            r.identity_entries = List::new(entries).unwrap();
        });
        assert_eq!(reject, Reject::Generation);
    }
}

#[test]
fn proposals_outside_the_table() {
    let (mut world, mut members) = group_of(403, 2);
    let mut new = Actor::new(&mut world, 3, 0);
    let both = Plan {
        adds: vec![new.invitation(&mut world)],
        ..removal(&members[1])
    };
    assert_eq!(
        refuse_plan(&mut world, &mut members[0], &both),
        Reject::NotAnOperation
    );
    let policy_and_removal = Plan {
        policy: Some(policy()),
        ..removal(&members[1])
    };
    let reject = refuse_plan(&mut world, &mut members[0], &policy_and_removal);
    assert_eq!(reject, Reject::NotAnOperation);
    let delete = Plan {
        delete: true,
        ..Plan::moving()
    };
    assert_eq!(
        refuse_plan(&mut world, &mut members[0], &delete),
        Reject::NotAnOperation
    );
}

#[test]
fn half_a_user_is_not_removed() {
    let (mut world, mut members) = group_of(404, 2);
    let device = add_device(&mut world, &mut members[1], 1);
    members.push(device);
    sync_all(&mut world, &mut members);
    let plan = removal(&members[1]);
    assert_eq!(
        refuse_plan(&mut world, &mut members[0], &plan),
        Reject::NotAnOperation
    );
}

#[test]
fn a_key_package_that_was_used() {
    let (mut world, mut members) = group_of(405, 1);
    let mut new = Actor::new(&mut world, 2, 0);
    let entry = new.invitation(&mut world);
    members[0].commit(&mut world, &Plan::add(vec![entry.clone()]));
    new.join(&mut world);
    let leaf = new.leaf();
    members[0].commit(&mut world, &Plan::remove(&[leaf]));
    let again = Plan::add(vec![entry]);
    let reject = refuse_plan(&mut world, &mut members[0], &again);
    assert_eq!(reject, credential(CredentialRule::KeyPackage));
}

#[test]
fn inboxes_that_take_nothing() {
    let (mut world, mut members) = group_of(406, 1);
    let refused = Reject::InboxUnavailable { index: 0 };
    let mut new = Actor::new(&mut world, 2, 0);
    let entry = new.invitation(&mut world);

    let mut unknown = entry.clone();
    unknown.inbox.inbox_id = sordino_wire::InboxId([1; 16]);
    let reject = refuse_plan(&mut world, &mut members[0], &Plan::add(vec![unknown]));
    assert_eq!(reject, refused);
    let mut foreign = entry.clone();
    foreign.inbox.domain = Domain::new("elsewhere.example").unwrap();
    let reject = refuse_plan(&mut world, &mut members[0], &Plan::add(vec![foreign]));
    assert_eq!(reject, refused);
    let mut other_key = entry.clone();
    other_key.inbox.hpke_key = Bytes::new([7; 32]).unwrap();
    let reject = refuse_plan(&mut world, &mut members[0], &Plan::add(vec![other_key]));
    assert_eq!(reject, refused);

    let mut second = Actor::new(&mut world, 3, 0);
    let mut shared = second.invitation(&mut world);
    shared.inbox = entry.inbox.clone();
    let both = Plan::add(vec![entry.clone(), shared]);
    let reject = refuse_plan(&mut world, &mut members[0], &both);
    assert_eq!(reject, Reject::InboxUnavailable { index: 1 });

    for user in 10..14 {
        let mut filler = Actor::new(&mut world, user, 0);
        let mut into = filler.invitation(&mut world);
        into.inbox = entry.inbox.clone();
        members[0].commit(&mut world, &Plan::add(vec![into]));
    }
    let reject = refuse_plan(&mut world, &mut members[0], &Plan::add(vec![entry]));
    assert_eq!(reject, refused, "it is full");
}

#[test]
fn an_inbox_is_opened_once_and_for_a_time() {
    let (mut world, mut members) = group_of(407, 1);
    let refused = Reject::InboxUnavailable { index: 0 };
    members[0].open_inbox(&mut world, 10);
    let mut request = members[0].inbox.as_ref().unwrap().request();
    let before = world.store.clone();
    done(world.ask(RequestBody::OpenInbox(request.clone())));
    assert!(world.store == before, "the same request changes nothing");
    request.last_day += 1;
    assert_eq!(
        rejected(world.ask(RequestBody::OpenInbox(request.clone()))),
        refused
    );
    request.inbox_id = sordino_wire::InboxId([3; 16]);
    request.last_day = world.today() + 91;
    assert_eq!(
        rejected(world.ask(RequestBody::OpenInbox(request.clone()))),
        refused
    );
    request.last_day = world.today() - 1;
    assert_eq!(
        rejected(world.ask(RequestBody::OpenInbox(request))),
        refused
    );
}

#[test]
fn a_welcome_that_does_not_fit() {
    let (mut world, mut members) = group_of(408, 1);
    let mut new = Actor::new(&mut world, 2, 0);
    let plan = Plan::add(vec![new.invitation(&mut world)]);
    let reject = refuse(&mut world, &mut members[0], &plan, |r, _| r.welcome = None);
    assert_eq!(reject, Reject::InvalidWelcome);
    let reject = refuse(&mut world, &mut members[0], &plan, |r, _| {
        r.welcome.as_mut().unwrap().joiners = List::default();
    });
    assert_eq!(reject, Reject::InvalidWelcome);
    let mut other = Actor::new(&mut world, 3, 0);
    let for_other = Plan::add(vec![other.invitation(&mut world)]);
    let welcome = members[0].draft(&mut world, &for_other).welcome;
    let same = welcome.clone();
    let reject = refuse(&mut world, &mut members[0], &plan, |r, _| r.welcome = same);
    assert_eq!(reject, Reject::InvalidWelcome);
    let update = Plan::update();
    let reject = refuse(&mut world, &mut members[0], &update, |r, _| {
        r.welcome = welcome;
    });
    assert_eq!(reject, Reject::InvalidWelcome);
}

#[test]
fn a_group_info_that_is_not_the_epochs() {
    let (mut world, mut members) = group_of(409, 2);
    let reject = refuse(&mut world, &mut members[0], &Plan::update(), |r, _| {
        let mut signature = r.group_info.signature.as_slice().to_vec();
        signature[3] ^= 1;
        r.group_info.signature = Bytes::new(signature).unwrap();
    });
    assert_eq!(reject, Reject::InvalidGroupInfo);
    let reject = refuse(&mut world, &mut members[0], &Plan::update(), |r, member| {
        let extensions = r.group_info.extensions.as_slice();
        let list: Bytes<0, 60_000> = sordino_wire::exact(extensions).unwrap();
        let more = [list.as_slice(), &[0xf0, 0x00, 0x01, 0xaa]].concat();
        let more = Bytes::<0, 60_000>::new(more).unwrap();
        r.group_info.extensions = Bytes::new(sordino_wire::encode(&more).unwrap()).unwrap();
        let commit = r.commit.as_slice();
        let tag = commit[commit.len() - 66..commit.len() - 33].to_vec();
        member.sign_group_info(r, &tag);
    });
    assert_eq!(reject, Reject::InvalidGroupInfo);
}

#[test]
fn a_key_check_that_does_not_match() {
    let (mut world, mut members) = group_of(410, 2);
    let changes: [fn(&mut CommitRequest); 6] = [
        |r| r.key_check.epoch += 1,
        |r| r.key_check.commit_hash = Digest([0; 32]),
        |r| r.key_check.keys_hash = Digest([0; 32]),
        |r| r.key_check.signature = Bytes::new([1; 64]).unwrap(),
        |r| r.next.sender_key = Secret32::new([0; 32]),
        |r| {
            let generation = r.next.generation.as_mut().unwrap();
            generation.ear_key = Secret32::new([0; 32]);
        },
    ];
    for change in changes {
        let plan = Plan::moving();
        let reject = refuse(&mut world, &mut members[0], &plan, |r, _| change(r));
        assert_eq!(reject, Reject::KeyCheckMismatch);
    }
}

#[test]
fn a_key_check_that_is_signed_for_another_epoch_or_commit() {
    let (mut world, mut members) = group_of(425, 2);
    let changes: [fn(&mut KeyCheck); 3] = [
        |check| check.epoch += 1,
        |check| check.commit_hash = Digest([0; 32]),
        |_| {},
    ];
    for (change, is_refused) in changes.into_iter().zip([true, true, false]) {
        let mut request = members[0].draft(&mut world, &Plan::update());
        let check = &mut request.key_check;
        change(check);
        let tbs = KeyCheckTbs {
            group_id: members[0].group_id,
            epoch: check.epoch,
            commit_hash: check.commit_hash,
            keys_hash: check.keys_hash,
        };
        check.signature = members[0].leaf_key().sign_struct("KeyCheck", &tbs).unwrap();
        let signing = members[0].signing(&mut world);
        let body = RequestBody::Commit(Box::new(request));
        let bytes = signing.bytes(&world, Kind::Leaf, body);
        if is_refused {
            let reject = world.refused(&bytes, Endpoint::GroupOperation);
            assert_eq!(reject, Reject::KeyCheckMismatch);
        } else {
            done(world.handle(&bytes, Endpoint::GroupOperation));
        }
    }
}

#[test]
fn a_generation_that_must_move_or_must_not() {
    let (mut world, mut members) = group_of(411, 2);
    let stays = Plan {
        moves: Some(false),
        ..removal(&members[1])
    };
    assert_eq!(
        refuse_plan(&mut world, &mut members[0], &stays),
        Reject::Generation
    );
    let plan = Plan::moving();
    let reject = refuse(&mut world, &mut members[0], &plan, |r, _| {
        r.next.generation = None
    });
    assert_eq!(reject, Reject::Generation);
    let next = members[0]
        .draft(&mut world, &Plan::moving())
        .next
        .generation;
    let plan = Plan::update();
    let reject = refuse(&mut world, &mut members[0], &plan, |r, _| {
        r.next.generation = next
    });
    assert_eq!(reject, Reject::Generation);
    let reject = refuse(&mut world, &mut members[0], &Plan::moving(), |r, _| {
        r.next
            .generation
            .as_mut()
            .unwrap()
            .wrapper
            .as_mut()
            .unwrap()
            .generation = 4;
    });
    assert_eq!(reject, Reject::Generation);
    let reject = refuse(&mut world, &mut members[0], &Plan::moving(), |r, member| {
        let same = member.ear().secret().duplicate();
        r.next.generation.as_mut().unwrap().ear_key = same;
    });
    assert_eq!(reject, Reject::Generation);
    let claims = Plan {
        aad: Some(|aad| aad.generation_step = GenerationStep::Moves),
        ..Plan::update()
    };
    assert_eq!(
        refuse_plan(&mut world, &mut members[0], &claims),
        Reject::Generation
    );
    let counts = Plan {
        aad: Some(|aad| aad.generation = 7),
        ..Plan::update()
    };
    assert_eq!(
        refuse_plan(&mut world, &mut members[0], &counts),
        Reject::Generation
    );
    world.pass_days(30);
    let reject = refuse_plan(&mut world, &mut members[0], &Plan::update());
    assert_eq!(reject, Reject::Generation, "it is overdue");
    members[0].commit(&mut world, &Plan::moving());
}

#[test]
fn who_is_being_removed_can_only_wait() {
    let (mut world, mut members) = group_of(412, 3);
    done(members[2].leave(&mut world));
    members[0].sync(&mut world);
    let plan = Plan {
        without_pending: true,
        ..Plan::update()
    };
    assert_eq!(
        refuse_plan(&mut world, &mut members[2], &plan),
        Reject::BeingRemoved
    );
    let missing = refuse_plan(&mut world, &mut members[0], &plan);
    assert!(matches!(missing, Reject::MissingProposals { hashes } if hashes.len() == 1));
    let ear = EarKey::new(members[2].ear().secret().duplicate());
    let external = members[2].external(&mut world, &ear, &Way::Resync, false, false);
    assert_eq!(
        rejected(members[2].try_external(&mut world, external)),
        Reject::BeingRemoved
    );
}

#[test]
fn nobody_leaves_twice_or_for_another() {
    let (mut world, mut members) = group_of(413, 3);
    let request = members[2].leaving_request();
    let body = RequestBody::Proposals(request);
    let bytes = members[1]
        .signing(&mut world)
        .bytes(&world, Kind::Leaf, body);
    let reject = world.refused(&bytes, Endpoint::GroupOperation);
    assert_eq!(reject, Reject::BadAuthentication);
    done(members[1].leave(&mut world));
    let again = rejected(members[1].leave(&mut world));
    assert_eq!(again, Reject::InvalidProposal);
}

fn permissions(change: fn(&mut PolicySummary)) -> PolicySummary {
    let mut policy = policy();
    change(&mut policy);
    policy
}

#[test]
fn what_the_policy_does_not_allow() {
    let nobody = permissions(|p| {
        p.add = Permission::Nobody;
        p.remove = Permission::Nobody;
        p.change_policy = Permission::Nobody;
        p.destroy = Permission::Nobody;
        p.join = JoinRule::Open;
    });
    let (mut world, mut members) = group_with(414, 1, &nobody);
    let mut guest = Actor::new(&mut world, 2, 0);
    guest.learn(&members[0]);
    let ear = EarKey::new(members[0].ear().secret().duplicate());
    guest.come_in(&mut world, &ear, &Way::Open, false);
    members.push(guest);
    sync_all(&mut world, &mut members);

    let mut new = Actor::new(&mut world, 3, 0);
    let addition = Plan::add(vec![new.invitation(&mut world)]);
    let removal = removal(&members[1]);
    let change = Plan {
        policy: Some(policy()),
        ..Plan::default()
    };
    let delete = Plan {
        delete: true,
        ..Plan::remove(&[members[1].leaf()])
    };
    for (plan, capability) in [
        (addition, Capability::Add),
        (removal, Capability::Remove),
        (change, Capability::ChangePolicy),
        (delete, Capability::Destroy),
    ] {
        let reject = refuse_plan(&mut world, &mut members[0], &plan);
        assert_eq!(reject, Reject::Policy(capability));
    }
}

#[track_caller]
fn come_in(world: &mut World, member: &Actor, user: u8, way: &Way) -> ResponseBody {
    let mut guest = Actor::new(world, user, 0);
    guest.learn(member);
    let ear = EarKey::new(member.ear().secret().duplicate());
    let external = guest.external(world, &ear, way, false, false);
    guest.try_external(world, external)
}

#[test]
fn doors_that_are_closed() {
    let (mut world, members) = group_of(415, 1);
    let reject = rejected(come_in(&mut world, &members[0], 2, &Way::Open));
    assert_eq!(reject, Reject::Policy(Capability::Join));

    let mut invite = policy();
    invite.join = JoinRule::Invite;
    invite.invite_code_hash = Some(sha256(&[5; 32]));
    let (mut world, members) = group_with(416, 1, &invite);
    for way in [Way::Open, Way::Invite(Digest([6; 32]))] {
        let reject = rejected(come_in(&mut world, &members[0], 2, &way));
        assert_eq!(reject, Reject::Policy(Capability::Join));
    }

    let (mut world, members) = group_with(417, 1, &permissions(|p| p.join = JoinRule::Connection));
    done(come_in(&mut world, &members[0], 2, &Way::Connection));
    let reject = rejected(come_in(&mut world, &members[0], 3, &Way::Connection));
    assert_eq!(reject, Reject::Policy(Capability::Join));
}

#[test]
fn a_room_that_is_full() {
    let (mut world, mut members) = group_with(418, 2, &permissions(|p| p.max_members = 2));
    let mut new = Actor::new(&mut world, 3, 0);
    let plan = Plan::add(vec![new.invitation(&mut world)]);
    let reject = refuse_plan(&mut world, &mut members[0], &plan);
    assert_eq!(reject, Reject::Policy(Capability::Size));
}

#[test]
fn more_pending_proposals_than_sixteen() {
    let (mut world, members) = group_with(419, 1, &permissions(|p| p.join = JoinRule::Open));
    let ear = EarKey::new(members[0].ear().secret().duplicate());
    for user in 0..17u8 {
        let mut guest = Actor::new(&mut world, 100 + user, 0);
        let answer = guest.ask_to_join(&mut world, 0, &ear);
        match user {
            0..16 => drop(done(answer)),
            _ => assert_eq!(rejected(answer), Reject::LimitReached { limit: 16 }),
        }
    }
}

#[test]
fn a_request_to_be_let_in_by_somebody_else_or_from_nowhere() {
    let (mut world, members) = group_with(420, 1, &permissions(|p| p.join = JoinRule::Open));
    let ear = EarKey::new(members[0].ear().secret().duplicate());
    let mut guest = Actor::new(&mut world, 2, 0);
    let request = guest.joining_request(&mut world, 0, &ear);
    let other = Actor::new(&mut world, 3, 0);
    let body = RequestBody::Proposals(request);
    let bytes = other.signing(&mut world).bytes(&world, Kind::Joiner, body);
    let reject = world.refused(&bytes, Endpoint::GroupOperation);
    assert_eq!(reject, Reject::BadAuthentication);
    let nowhere: [fn(&mut Option<InboxAddress>); 2] = [
        |inbox| *inbox = None,
        |inbox| inbox.as_mut().unwrap().domain = Domain::new("elsewhere.example").unwrap(),
    ];
    for change in nowhere {
        let mut request = guest.joining_request(&mut world, 0, &ear);
        change(&mut request.inbox);
        let body = RequestBody::Proposals(request);
        let bytes = guest.signing(&mut world).bytes(&world, Kind::Joiner, body);
        let reject = world.refused(&bytes, Endpoint::GroupOperation);
        assert_eq!(reject, Reject::InboxUnavailable { index: 0 });
    }
}

#[test]
fn who_asked_to_be_let_in_gets_its_welcome_where_it_said() {
    let open = permissions(|p| p.join = JoinRule::Open);
    let (mut world, mut members) = group_with(426, 1, &open);
    let ear = EarKey::new(members[0].ear().secret().duplicate());
    let mut guest = Actor::new(&mut world, 2, 0);
    done(guest.ask_to_join(&mut world, 0, &ear));
    members[0].sync(&mut world);
    let elsewhere = members[0].open_inbox(&mut world, 80);
    let plan = Plan::default();
    let reject = refuse(&mut world, &mut members[0], &plan, |r, _| {
        let welcome = r.welcome.as_mut().unwrap();
        let mut joiners = std::mem::take(&mut welcome.joiners).into_vec();
        joiners[0].inbox = elsewhere;
        welcome.joiners = List::new(joiners).unwrap();
    });
    assert_eq!(reject, Reject::InvalidWelcome);
    members[0].commit(&mut world, &plan);
}

#[test]
fn who_comes_in_signs_with_the_key_of_its_leaf() {
    let open = permissions(|p| p.join = JoinRule::Open);
    let (mut world, members) = group_with(427, 1, &open);
    let ear = EarKey::new(members[0].ear().secret().duplicate());
    let mut guest = Actor::new(&mut world, 2, 0);
    guest.learn(&members[0]);
    let external = guest.external(&mut world, &ear, &Way::Open, false, false);
    assert_eq!(external.kind, Kind::Joiner);
    let mut signing = Actor::new(&mut world, 3, 0).signing(&mut world);
    signing.epoch = external.epoch;
    let body = RequestBody::Commit(Box::new(external.request));
    let bytes = signing.bytes(&world, Kind::Joiner, body);
    let reject = world.refused(&bytes, Endpoint::GroupOperation);
    assert_eq!(reject, Reject::BadAuthentication);
    guest.come_in(&mut world, &ear, &Way::Open, false);
}
