//! Refusals before and beside commits: each with its own error, and the store as it was.

use crate::scene::{group_of, group_with, sync_all};
use crate::support::{Actor, Kind, Plan, Seen, Signing, World, done, policy, rejected};
use sordino_crypto::EarKey;
use sordino_hub::{Endpoint, Step};
use sordino_wire::limits::MAX_BODY_BYTES;
use sordino_wire::{
    Authentication, Bytes, Capability, DsRequest, DsResponse, GroupAccess, GroupId, List,
    Permission, ReadStreams, Reject, RequestBody, ResponseBody, Secret32, SendMessage, SenderRule,
    WelcomeInformationRequest, encode,
};

const GROUP: Endpoint = Endpoint::GroupOperation;

fn update(world: &mut World, member: &mut Actor) -> RequestBody {
    RequestBody::Commit(Box::new(member.draft(world, &Plan::update())))
}

/// A valid commit as bytes, and how it was signed.
fn update_bytes(world: &mut World, member: &mut Actor) -> (Vec<u8>, Signing) {
    let body = update(world, member);
    let signing = member.signing(world);
    (signing.bytes(world, Kind::Leaf, body), signing)
}

#[test]
fn a_body_over_the_limit() {
    let mut world = World::new(301);
    let reject = world.refused(&vec![0; MAX_BODY_BYTES + 1], GROUP);
    let limit = u64::try_from(MAX_BODY_BYTES).unwrap();
    assert_eq!(reject, Reject::TooLarge { limit });
}

#[test]
fn every_prefix_of_a_request() {
    let (mut world, mut members) = group_of(302, 2);
    let (bytes, _) = update_bytes(&mut world, &mut members[0]);
    for length in 0..bytes.len() {
        assert_eq!(world.refused(&bytes[..length], GROUP), Reject::Malformed);
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(world.refused(&longer, GROUP), Reject::Malformed);
}

#[test]
fn an_unknown_version() {
    let (mut world, mut members) = group_of(303, 2);
    let (mut bytes, _) = update_bytes(&mut world, &mut members[0]);
    bytes[1] = 2;
    let expected = Reject::UnsupportedVersion { supported: 1 };
    assert_eq!(world.refused(&bytes, GROUP), expected);
}

#[test]
fn another_address() {
    let (mut world, mut members) = group_of(304, 2);
    let (bytes, _) = update_bytes(&mut world, &mut members[0]);
    for endpoint in [
        Endpoint::WelcomeInformation,
        Endpoint::ExternalCommitInformation,
        Endpoint::Streams,
        Endpoint::Inboxes,
    ] {
        assert_eq!(world.refused(&bytes, endpoint), Reject::WrongEndpoint);
    }
    let body = RequestBody::ReadStreams(ReadStreams {
        reads: List::default(),
        wait_s: 0,
    });
    let auth = Authentication::Possession;
    let bytes = DsRequest::free(body, auth).encode().unwrap();
    assert_eq!(world.refused(&bytes, GROUP), Reject::WrongEndpoint);
}

#[test]
fn a_strangers_signature() {
    let (mut world, mut members) = group_of(305, 2);
    let body = update(&mut world, &mut members[0]);
    let stranger = Actor::new(&mut world, 9, 0);
    let mut signing = members[0].signing(&mut world);
    signing.leaf_key = stranger.leaf_key();
    let bytes = signing.bytes(&world, Kind::Leaf, body);
    assert_eq!(world.refused(&bytes, GROUP), Reject::BadAuthentication);
}

#[test]
fn another_members_signature() {
    let (mut world, mut members) = group_of(306, 2);
    let body = update(&mut world, &mut members[0]);
    let signing = members[1].signing(&mut world);
    let bytes = signing.bytes(&world, Kind::Leaf, body);
    assert_eq!(world.refused(&bytes, GROUP), Reject::BadAuthentication);
}

#[test]
fn another_kind_of_authentication() {
    let (mut world, mut members) = group_of(307, 2);
    for kind in [Kind::Possession, Kind::Epoch, Kind::User, Kind::Joiner] {
        let body = update(&mut world, &mut members[0]);
        let signing = members[0].signing(&mut world);
        let bytes = signing.bytes(&world, kind, body);
        assert_eq!(world.refused(&bytes, GROUP), Reject::BadAuthentication);
    }
    // Reads show no leaf.
    let body = RequestBody::InspectMembership(members[0].access());
    let signing = members[0].signing(&mut world);
    let bytes = signing.bytes(&world, Kind::Leaf, body);
    let reject = world.refused(&bytes, Endpoint::ExternalCommitInformation);
    assert_eq!(reject, Reject::BadAuthentication);
}

#[test]
fn a_signature_for_another_group_or_body() {
    let (mut world, mut members) = group_of(308, 2);
    let body = update(&mut world, &mut members[0]);
    let mut signing = members[0].signing(&mut world);
    signing.group_id = GroupId([1; 16]);
    let bytes = signing.bytes(&world, Kind::Leaf, body);
    assert_eq!(world.refused(&bytes, GROUP), Reject::BadAuthentication);

    let signing = members[0].signing(&mut world);
    let signed = update(&mut world, &mut members[0]);
    let auth = signing.auth(&world, Kind::Leaf, &signed);
    let body = update(&mut world, &mut members[0]);
    let bytes = DsRequest::free(body, auth).encode().unwrap();
    assert_eq!(world.refused(&bytes, GROUP), Reject::BadAuthentication);
}

#[test]
fn a_wrong_mac() {
    let (mut world, mut members) = group_of(309, 2);
    let body = members[0].sending(b"hello");
    let mut signing = members[0].signing(&mut world);
    signing.sender_key = Secret32::new([0; 32]);
    let bytes = signing.bytes(&world, Kind::Epoch, body);
    assert_eq!(world.refused(&bytes, GROUP), Reject::BadAuthentication);
}

#[test]
fn old_and_future_times() {
    let (mut world, mut members) = group_of(310, 2);
    let hub_time_s = world.now_s - world.now_s % 60;
    for time_s in [
        hub_time_s - 720,
        hub_time_s + 780,
        hub_time_s + 1,
        0,
        u64::MAX,
    ] {
        let body = members[0].sending(b"hello");
        let mut signing = members[0].signing(&mut world);
        signing.time_s = time_s;
        let bytes = signing.bytes(&world, Kind::Epoch, body);
        assert_eq!(
            world.refused(&bytes, GROUP),
            Reject::StaleTime { hub_time_s }
        );
    }
}

#[test]
fn the_same_nonce_for_another_body() {
    let (mut world, mut members) = group_of(311, 2);
    let signing = members[0].signing(&mut world);
    let body = members[0].sending(b"one");
    let auth = signing.auth(&world, Kind::Epoch, &body);
    done(world.send(body, auth));
    let body = members[0].sending(b"two");
    let bytes = signing.bytes(&world, Kind::Epoch, body);
    assert_eq!(world.refused(&bytes, GROUP), Reject::Replayed);
}

#[test]
fn the_same_request_again_has_the_same_outcome_and_changes_nothing() {
    let (mut world, mut members) = group_of(312, 2);
    let (bytes, _) = update_bytes(&mut world, &mut members[0]);
    let first = done(world.handle(&bytes, GROUP));
    members[1].sync(&mut world);
    members[1].commit(&mut world, &Plan::update());
    let before = world.store.clone();
    assert_eq!(done(world.handle(&bytes, GROUP)), first);
    assert!(world.store == before);
}

#[test]
fn of_two_commits_of_one_epoch_the_store_takes_one() {
    let (mut world, mut members) = group_of(313, 2);
    let (first, _) = update_bytes(&mut world, &mut members[0]);
    let (second, _) = update_bytes(&mut world, &mut members[1]);
    let Step::Commit(winner) = world.step(&first, GROUP) else {
        panic!("not a commit");
    };
    let Step::Commit(loser) = world.step(&second, GROUP) else {
        panic!("not a commit");
    };
    assert_eq!(world.store.apply(winner.changes), Ok(()));
    assert!(world.store.apply(loser.changes).is_err());
    let current = members[0].epoch() + 1;
    assert_eq!(
        world.refused(&second, GROUP),
        Reject::WrongEpoch { current }
    );
}

#[test]
fn an_old_epoch() {
    let (mut world, mut members) = group_of(314, 2);
    let (bytes, _) = update_bytes(&mut world, &mut members[1]);
    members[0].commit(&mut world, &Plan::update());
    let current = members[0].epoch();
    assert_eq!(world.refused(&bytes, GROUP), Reject::WrongEpoch { current });
}

#[test]
fn a_message_beyond_the_tolerance() {
    let (mut world, mut members) = group_of(315, 2);
    let body = members[1].sending(b"late");
    let signing = members[1].signing(&mut world);
    let late = signing.bytes(&world, Kind::Epoch, body);
    for _ in 0..3 {
        members[0].commit(&mut world, &Plan::update());
    }
    let current = members[0].epoch();
    assert_eq!(world.refused(&late, GROUP), Reject::WrongEpoch { current });
}

#[test]
fn a_message_of_the_generation_before() {
    let (mut world, mut members) = group_of(316, 2);
    let body = members[1].sending(b"late");
    let signing = members[1].signing(&mut world);
    let late = signing.bytes(&world, Kind::Epoch, body);
    members[0].commit(&mut world, &Plan::moving());
    let current = members[0].epoch();
    assert_eq!(world.refused(&late, GROUP), Reject::WrongEpoch { current });
}

#[test]
fn handshakes_as_private_messages_and_messages_as_public_ones() {
    let (mut world, mut members) = group_of(317, 2);
    let message = members[0].message(b"hello");
    let mut request = members[0].draft(&mut world, &Plan::update());
    let commit = request.commit.as_slice().to_vec();
    request.commit = Bytes::new(message).unwrap();
    let signing = members[0].signing(&mut world);
    let bytes = signing.bytes(&world, Kind::Leaf, RequestBody::Commit(Box::new(request)));
    assert_eq!(world.refused(&bytes, GROUP), Reject::PrivateHandshake);

    let body = RequestBody::Send(SendMessage {
        head: members[0].head_access(0),
        message: Bytes::new(commit).unwrap(),
    });
    let signing = members[0].signing(&mut world);
    let bytes = signing.bytes(&world, Kind::Epoch, body);
    assert_eq!(world.refused(&bytes, GROUP), Reject::PublicApplication);

    let body = RequestBody::Send(SendMessage {
        head: members[0].head_access(0),
        message: Bytes::new([0; 40]).unwrap(),
    });
    let signing = members[0].signing(&mut world);
    let bytes = signing.bytes(&world, Kind::Epoch, body);
    assert_eq!(world.refused(&bytes, GROUP), Reject::Malformed);
}

#[test]
fn what_is_not_known_looks_the_same() {
    let (mut world, members) = group_of(318, 2);
    let access = |group_id, ear_key| GroupAccess { group_id, ear_key };
    let ear = members[0].ear().secret();
    let unknown = access(GroupId([99; 16]), Secret32::new([3; 32]));
    let wrong_key = access(members[0].group_id, Secret32::new([4; 32]));
    let wrong_group = access(GroupId([98; 16]), ear.duplicate());
    let mut answers = Vec::new();
    for access in [unknown, wrong_key, wrong_group] {
        answers.push(world.ask(RequestBody::InspectMembership(access)));
    }
    let stranger = Actor::new(&mut world, 9, 0);
    let request = WelcomeInformationRequest {
        access: members[0].access(),
        epoch: 1,
    };
    let body = RequestBody::WelcomeInformation(request);
    answers.push(stranger.request(&mut world, Kind::Joiner, body));
    let request = WelcomeInformationRequest {
        access: members[0].access(),
        epoch: 40,
    };
    let body = RequestBody::WelcomeInformation(request);
    answers.push(members[1].request(&mut world, Kind::Joiner, body));
    let encode = |body: ResponseBody| DsResponse { body }.encode().unwrap();
    let bytes: Vec<_> = answers.into_iter().map(encode).collect();
    assert!(bytes.iter().all(|b| *b == bytes[0] && b.len() == 512));
    let parsed = DsResponse::parse(&bytes[0]).unwrap().body;
    assert_eq!(rejected(parsed), Reject::UnknownGroup);
}

#[test]
fn a_group_id_that_is_taken() {
    let (mut world, _members) = group_of(319, 1);
    let mut other = Actor::new(&mut world, 5, 0);
    let body = RequestBody::CreateGroup(other.creation(&mut world, &policy()));
    let bytes = other.signing(&mut world).bytes(&world, Kind::Leaf, body);
    assert_eq!(world.refused(&bytes, GROUP), Reject::GroupIdTaken);
}

#[test]
fn a_new_group_that_is_not_what_it_must_be() {
    let mut world = World::new(320);
    let send = |world: &mut World, change: fn(&mut sordino_wire::CreateGroup)| {
        let mut creator = Actor::new(world, 1, 0);
        let mut request = creator.creation(world, &policy());
        change(&mut request);
        let signing = creator.signing(world);
        let bytes = signing.bytes(world, Kind::Leaf, RequestBody::CreateGroup(request));
        world.refused(&bytes, GROUP)
    };
    let reject = send(&mut world, |r| r.identity_entry = None);
    assert_eq!(reject, Reject::IdentityEntries { expected: 1 });
    let reject = send(&mut world, |r| {
        r.identity_entry.as_mut().unwrap().generation = 1;
    });
    assert_eq!(reject, Reject::Generation);
    // A tree that is larger than one leaf can be is not read.
    let reject = send(&mut world, |r| {
        r.ratchet_tree = Bytes::new(vec![0; 8_193]).unwrap();
    });
    assert_eq!(reject, Reject::InvalidGroupInfo);
    let reject = send(&mut world, |r| {
        r.ratchet_tree = Bytes::new(vec![0; 8_192]).unwrap();
    });
    assert_eq!(reject, Reject::Malformed);
    let reject = send(&mut world, |r| {
        let mut info = r.group_info.as_slice().to_vec();
        *info.last_mut().unwrap() ^= 1;
        r.group_info = Bytes::new(info).unwrap();
    });
    assert_eq!(reject, Reject::InvalidGroupInfo);
}

/// A GroupInfo that was changed and signed again: a vector of 64 bytes ends it.
fn signed_again(by: &Actor, info: &mut Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) {
    info.truncate(info.len() - 66);
    change(info);
    let label = Bytes::<1, 64>::new(b"MLS 1.0 GroupInfoTBS").unwrap();
    let content = Bytes::<1, 1_000_000>::new(info.clone()).unwrap();
    let signed = [encode(&label).unwrap(), encode(&content).unwrap()].concat();
    let key = by.leaf_key();
    let signature = openmls_traits::signatures::Signer::sign(&key, &signed).unwrap();
    let signature = Bytes::<64, 64>::new(signature).unwrap();
    info.extend_from_slice(&encode(&signature).unwrap());
}

/// The last byte of the epoch, behind version, suite and group id.
const EPOCH_AT: usize = 2 + 2 + 17 + 7;

#[test]
fn a_new_group_under_another_name_or_of_a_later_epoch() {
    let mut world = World::new(329);
    let mut creator = Actor::new(&mut world, 1, 0);
    let mut request = creator.creation(&mut world, &policy());
    request.access.group_id = GroupId([8; 16]);
    let mut signing = creator.signing(&mut world);
    signing.group_id = request.access.group_id;
    let bytes = signing.bytes(&world, Kind::Leaf, RequestBody::CreateGroup(request));
    assert_eq!(world.refused(&bytes, GROUP), Reject::InvalidGroupInfo);

    for (epoch, is_refused) in [(1, true), (0, false)] {
        let mut creator = Actor::new(&mut world, 1, 0);
        let mut request = creator.creation(&mut world, &policy());
        let mut info = request.group_info.as_slice().to_vec();
        signed_again(&creator, &mut info, |info| info[EPOCH_AT] = epoch);
        request.group_info = Bytes::new(info).unwrap();
        let signing = creator.signing(&mut world);
        let bytes = signing.bytes(&world, Kind::Leaf, RequestBody::CreateGroup(request));
        if is_refused {
            assert_eq!(world.refused(&bytes, GROUP), Reject::InvalidGroupInfo);
        } else {
            done(world.handle(&bytes, GROUP));
        }
    }
}

#[test]
fn a_new_group_of_two() {
    let (mut elsewhere, members) = group_of(330, 2);
    let mut creator = Actor::new(&mut elsewhere, 1, 0);
    let mut request = creator.creation(&mut elsewhere, &policy());
    let (mut info, tree) = members[0].group_info_and_tree();
    signed_again(&members[0], &mut info, |info| {
        assert_eq!(info[EPOCH_AT], 1);
        info[EPOCH_AT] = 0;
    });
    request.group_info = Bytes::new(info).unwrap();
    request.ratchet_tree = Bytes::new(tree).unwrap();
    let mut world = World::new(331);
    let mut signing = members[0].signing(&mut world);
    signing.epoch = 0;
    let bytes = signing.bytes(&world, Kind::Leaf, RequestBody::CreateGroup(request));
    assert_eq!(world.refused(&bytes, GROUP), Reject::InvalidGroupInfo);
}

#[test]
fn a_policy_without_sense() {
    let mut world = World::new(321);
    let mut creator = Actor::new(&mut world, 1, 0);
    let mut orphaned = policy();
    orphaned.add = Permission::Admins;
    let body = RequestBody::CreateGroup(creator.creation(&mut world, &orphaned));
    let bytes = creator.signing(&mut world).bytes(&world, Kind::Leaf, body);
    let expected = Reject::Policy(Capability::Policy);
    assert_eq!(world.refused(&bytes, GROUP), expected);
}

#[test]
fn sending_against_the_policy() {
    let mut roles = policy();
    roles.senders = SenderRule::Leaf;
    roles.send = Permission::Nobody;
    let (mut world, mut members) = group_with(322, 1, &roles);
    let expected = Reject::Policy(Capability::Send);
    assert_eq!(rejected(members[0].say(&mut world, b"a")), expected);
    assert_eq!(rejected(members[0].say_as_leaf(&mut world, b"a")), expected);
}

#[test]
fn a_frozen_group_takes_nothing() {
    let (mut world, mut members) = group_of(323, 2);
    world.group_id = GroupId([8; 16]);
    let target = Actor::create(&mut world, 1, &policy());
    done(members[0].reinitialise(&mut world, &target));
    let frozen = |reject| assert!(matches!(reject, Reject::Frozen { .. }));
    frozen(rejected(members[1].say(&mut world, b"a")));
    frozen(rejected(members[1].say_as_leaf(&mut world, b"a")));
    frozen(rejected(members[1].leave(&mut world)));
    frozen(rejected(members[0].try_commit(&mut world, &Plan::update())));
    frozen(rejected(members[0].reinitialise(&mut world, &target)));
}

#[test]
fn a_group_is_not_re_initialised_against_the_policy_or_into_nothing() {
    let mut tied = policy();
    tied.destroy = Permission::Nobody;
    let (mut world, members) = group_with(324, 1, &tied);
    world.group_id = GroupId([8; 16]);
    let target = Actor::create(&mut world, 1, &policy());
    let reject = rejected(members[0].reinitialise(&mut world, &target));
    assert_eq!(reject, Reject::Policy(Capability::Destroy));
    world.group_id = GroupId([6; 16]);
    let mut nowhere = Actor::new(&mut world, 1, 0);
    let _ = nowhere.creation(&mut world, &policy());
    let reject = rejected(target.reinitialise(&mut world, &nowhere));
    assert_eq!(reject, Reject::UnknownGroup);
    let itself = rejected(target.reinitialise(&mut world, &target));
    assert_eq!(itself, Reject::BadAuthentication);
}

#[test]
fn a_key_request_with_a_forged_signature() {
    let (mut world, mut members) = group_of(325, 2);
    let mut asked = members[1].question(&mut world);
    asked.question.last_day += 1;
    let body = RequestBody::KeyRequest(sordino_wire::KeyRequest {
        head: members[1].head_access(0),
        question: asked.question,
    });
    let auth = Authentication::Possession;
    let bytes = DsRequest::free(body, auth).encode().unwrap();
    assert_eq!(world.refused(&bytes, GROUP), Reject::BadAuthentication);
}

#[test]
fn more_key_requests_than_there_is_room() {
    let (mut world, mut members) = group_of(326, 2);
    for user in 0..64 {
        let mut stranger = Actor::new(&mut world, 100 + user, 0);
        let head = members[0].head_access(0);
        done(stranger.ask_for_keys(&mut world, head).1);
    }
    let head = members[0].head_access(0);
    let (_, answer) = members[1].ask_for_keys(&mut world, head);
    assert_eq!(rejected(answer), Reject::LimitReached { limit: 64 });
    // The next signed request sees who is a member.
    done(members[0].confirm(&mut world));
    let head = members[0].head_access(0);
    done(members[1].ask_for_keys(&mut world, head).1);
    sync_all(&mut world, &mut members);
    assert!(
        members[0]
            .seen
            .iter()
            .any(|s| matches!(s, Seen::Question(_)))
    );
}

#[test]
fn a_request_through_a_stale_link() {
    let (mut world, mut members) = group_of(327, 3);
    let ear = EarKey::new(members[0].ear().secret().duplicate());
    let leaf = members[2].leaf();
    members[0].commit(&mut world, &Plan::remove(&[leaf]));
    let access = GroupAccess {
        group_id: members[0].group_id,
        ear_key: ear.secret().duplicate(),
    };
    let answer = world.ask(RequestBody::ExternalCommitInformation(access));
    let current = members[0].epoch();
    assert_eq!(rejected(answer), Reject::WrongEpoch { current });
}

#[test]
fn keys_of_zeros_open_nothing() {
    let (mut world, members) = group_of(328, 1);
    let head = sordino_wire::HeadAccess {
        group_id: members[0].group_id,
        locator: sordino_wire::Locator([0; 16]),
        head_key: Secret32::new([0; 32]),
    };
    let mut stranger = Actor::new(&mut world, 9, 0);
    let (_, answer) = stranger.ask_for_keys(&mut world, head);
    assert_eq!(rejected(answer), Reject::UnknownGroup);
}
