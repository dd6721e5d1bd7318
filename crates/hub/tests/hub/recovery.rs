//! Ways out of bad commits (design page 2.4).

use crate::scene::{all_agree, all_known, confirm, group_of, sync_all};
use crate::support::{Actor, Kind, Plan, Seen, Way, World, done, rejected};
use rand_chacha::rand_core::RngCore as _;
use sordino_crypto::{EarKey, SenderKey, keys_hash, sha256};
use sordino_hub::Endpoint;
use sordino_wire::{
    CommitRequest, KeyCheckTbs, Reject, RequestBody, ResponseBody, Secret32, encode,
};

fn random(world: &mut World) -> Secret32 {
    let mut bytes = [0; 32];
    world.rng.fill_bytes(&mut bytes);
    Secret32::new(bytes)
}

fn duplicate(ear: &EarKey) -> EarKey {
    EarKey::new(ear.secret().duplicate())
}

/// Makes a request's key check that of other keys: what a cheat must do for the hub to take it.
fn check_again(cheat: &Actor, request: &mut CommitRequest, ear: &EarKey, rotated: bool) {
    let key = cheat.leaf_key_after(cheat.rotation + u32::from(rotated));
    let sender = SenderKey::new(request.next.sender_key.duplicate());
    let check = &mut request.key_check;
    check.keys_hash = keys_hash(cheat.group_id, check.epoch, ear, &sender).unwrap();
    let tbs = KeyCheckTbs {
        group_id: cheat.group_id,
        epoch: check.epoch,
        commit_hash: check.commit_hash,
        keys_hash: check.keys_hash,
    };
    check.signature = key.sign_struct("KeyCheck", &tbs).unwrap();
}

fn send_commit(world: &mut World, who: &Actor, request: CommitRequest) -> ResponseBody {
    who.request(world, Kind::Leaf, RequestBody::Commit(Box::new(request)))
}

/// A commit that starts a generation under a key that the cheat made up.
fn commit_with_wrong_ear(world: &mut World, cheat: &mut Actor, plan: &Plan) -> EarKey {
    let mut request = cheat.draft(world, plan);
    let wrong = random(world);
    request.next.generation.as_mut().unwrap().ear_key = wrong.duplicate();
    let wrong = EarKey::new(wrong);
    check_again(cheat, &mut request, &wrong, false);
    done(send_commit(world, cheat, request));
    wrong
}

/// A commit that nobody can process, its state sealed under a key that nobody else knows.
fn unprocessable(world: &mut World, cheat: &mut Actor, plan: &Plan) -> sordino_wire::Digest {
    let mut request = cheat.draft(world, plan);
    let next = request.next.generation.as_ref();
    let ear = next.map_or(duplicate(cheat.ear()), |n| {
        EarKey::new(n.ear_key.duplicate())
    });
    cheat.spoil(&mut request, &ear);
    let hash = request.key_check.commit_hash;
    done(send_commit(world, cheat, request));
    hash
}

#[test]
fn a_wrong_sender_key_is_put_right() {
    let (mut world, mut members) = group_of(101, 3);
    let mut request = members[0].draft(&mut world, &Plan::update());
    request.next.sender_key = random(&mut world);
    let ear = duplicate(members[0].ear());
    check_again(&members[0], &mut request, &ear, false);
    done(send_commit(&mut world, &members[0], request));
    sync_all(&mut world, &mut members);
    assert!(members[1].seen.iter().any(|s| matches!(s, Seen::Cheat(_))));
    assert_eq!(
        rejected(members[1].say(&mut world, b"?")),
        Reject::BadAuthentication
    );
    let sender = members[1].sender_key();
    done(members[1].rekey(&mut world, &ear, &ear, &sender));
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
    let again = members[2].rekey(&mut world, &ear, &ear, &sender);
    done(again);
}

#[test]
fn each_user_adds_one_sender_key_to_an_epoch() {
    let (mut world, members) = group_of(102, 2);
    let ear = duplicate(members[0].ear());
    let bogus = random(&mut world);
    done(members[1].rekey(&mut world, &ear, &ear, &bogus));
    let other = random(&mut world);
    let refused = rejected(members[1].rekey(&mut world, &ear, &ear, &other));
    assert_eq!(refused, Reject::LimitReached { limit: 4 });
}

#[test]
fn a_wrong_state_key_is_put_right_and_the_cheats_sealing_dies() {
    let (mut world, mut members) = group_of(103, 4);
    let before = duplicate(members[0].ear());
    let wrong = commit_with_wrong_ear(&mut world, &mut members[0], &Plan::moving());
    sync_all(&mut world, &mut members);
    assert!(members[1].seen.iter().any(|s| matches!(s, Seen::Cheat(_))));
    let answer = members[1].inspect_with(&mut world, 1);
    assert_eq!(rejected(answer), Reject::UnknownGroup);

    let (ear, sender) = (duplicate(members[1].ear()), members[1].sender_key());
    done(members[1].rekey(&mut world, &before, &ear, &sender));
    // A second one who noticed finds the right keys in place, and confirms them.
    done(members[2].rekey(&mut world, &before, &ear, &sender));
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);

    // The cheat's own sealing went with the confirmation.
    let access = sordino_wire::GroupAccess {
        group_id: members[0].group_id,
        ear_key: wrong.secret().duplicate(),
    };
    let answer = world.ask(RequestBody::InspectMembership(access));
    assert_eq!(rejected(answer), Reject::UnknownGroup);
    members[3].commit(&mut world, &Plan::update());
    all_agree(&mut world, &mut members);
}

#[test]
fn a_commit_through_the_honest_sealing_ends_the_cheats() {
    let (mut world, mut members) = group_of(104, 3);
    let before = duplicate(members[0].ear());
    let wrong = commit_with_wrong_ear(&mut world, &mut members[0], &Plan::moving());
    sync_all(&mut world, &mut members);
    let (ear, sender) = (duplicate(members[1].ear()), members[1].sender_key());
    done(members[1].rekey(&mut world, &before, &ear, &sender));
    members[1].commit(&mut world, &Plan::update());
    let access = sordino_wire::GroupAccess {
        group_id: members[0].group_id,
        ear_key: wrong.secret().duplicate(),
    };
    let answer = world.ask(RequestBody::InspectMembership(access));
    assert_eq!(rejected(answer), Reject::UnknownGroup);
    all_agree(&mut world, &mut members);
    confirm(&mut world, &members[2]);
    members[0].commit(&mut world, &Plan::moving());
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_commit_through_the_cheats_sealing_reaches_everybody() {
    let (mut world, mut members) = group_of(105, 3);
    let before = duplicate(members[0].ear());
    let wrong = commit_with_wrong_ear(&mut world, &mut members[0], &Plan::moving());
    members[0].sync(&mut world);
    sync_all(&mut world, &mut members);
    let (ear, sender) = (duplicate(members[1].ear()), members[1].sender_key());
    done(members[1].rekey(&mut world, &before, &ear, &sender));

    // The cheat goes on where nobody else is.
    let mut request = members[0].draft(&mut world, &Plan::update());
    request.access.ear_key = wrong.secret().duplicate();
    check_again(&members[0], &mut request, &wrong, false);
    done(send_commit(&mut world, &members[0], request));
    sync_all(&mut world, &mut members);
    assert_eq!(members[1].epoch(), members[2].epoch());
    let answer = members[1].inspect_with(&mut world, 1);
    assert_eq!(rejected(answer), Reject::UnknownGroup);

    let sender = members[2].sender_key();
    done(members[2].rekey(&mut world, &before, &ear, &sender));
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn an_unprocessable_commit_costs_a_resync() {
    let (mut world, mut members) = group_of(106, 4);
    let hash = unprocessable(&mut world, &mut members[0], &Plan::update());
    sync_all(&mut world, &mut members[1..]);
    for member in &mut members[1..] {
        assert_eq!(member.stuck, Some(hash));
        member.resync(&mut world, false);
    }
    members[0].resync(&mut world, false);
    sync_all(&mut world, &mut members);
    done(members[1].report(&mut world, hash));
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_report_needs_no_processed_state() {
    let (mut world, mut members) = group_of(107, 2);
    let hash = unprocessable(&mut world, &mut members[0], &Plan::update());
    members[1].sync(&mut world);
    let request = sordino_wire::ReportCommit {
        access: members[1].access(),
        commit_hash: hash,
    };
    let body = RequestBody::ReportCommit(request);
    // The reporter is in the epoch before; it knows the current one from the hub.
    let answer = members[1].request(
        &mut world,
        Kind::Leaf,
        RequestBody::ReportCommit(sordino_wire::ReportCommit {
            access: members[1].access(),
            commit_hash: hash,
        }),
    );
    let Reject::WrongEpoch { current } = rejected(answer) else {
        panic!("another refusal");
    };
    let mut signing = members[1].signing(&mut world);
    signing.epoch = current;
    let auth = signing.auth(&world, Kind::Leaf, &body);
    done(world.send(body, auth));
}

#[test]
fn an_unprocessable_commit_that_moves_the_generation_loses_nobody() {
    let (mut world, mut members) = group_of(108, 4);
    let before = duplicate(members[0].ear());
    unprocessable(&mut world, &mut members[0], &Plan::moving());
    sync_all(&mut world, &mut members[1..]);
    for turn in 1..members.len() {
        rescue(&mut world, &mut members[turn], &before);
        sync_all(&mut world, &mut members[1..=turn]);
    }
    rescue(&mut world, &mut members[0], &before);
    all_agree(&mut world, &mut members);
    confirm(&mut world, &members[1]);
    // Nobody could wrap the keys of the generations in between: everybody names itself again.
    for member in &mut members {
        member.sync(&mut world);
        member.commit(&mut world, &Plan::update());
    }
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
    members[2].commit(&mut world, &Plan::moving());
    all_agree(&mut world, &mut members);
}

/// Random keys for the state that nobody can open, then a resync through that sealing.
fn rescue(world: &mut World, member: &mut Actor, before: &EarKey) {
    let (ear, sender) = (EarKey::new(random(world)), random(world));
    done(member.rekey(world, before, &ear, &sender));
    let external = member.external(world, &ear, &Way::Resync, true, false);
    done(member.try_external(world, external));
}

#[test]
fn a_malicious_rekey_hurts_nobody() {
    let (mut world, mut members) = group_of(109, 4);
    let before = duplicate(members[0].ear());
    members[0].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members);
    let (bogus, sender) = (EarKey::new(random(&mut world)), random(&mut world));
    done(members[3].rekey(&mut world, &before, &bogus, &sender));
    let limit =
        rejected(members[3].rekey(&mut world, &before, &EarKey::new(random_of(9)), &sender));
    assert_eq!(limit, Reject::LimitReached { limit: 4 });
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);

    // It commits through its own sealing: the honest one is stale, the commit is found.
    let mut request = members[3].draft(&mut world, &Plan::update());
    request.access.ear_key = bogus.secret().duplicate();
    check_again(&members[3], &mut request, &bogus, false);
    done(send_commit(&mut world, &members[3], request));
    let epoch = members[0].epoch();
    sync_all(&mut world, &mut members);
    assert!(members.iter().all(|m| m.epoch() == epoch + 1));
    let (ear, sender) = (duplicate(members[1].ear()), members[1].sender_key());
    done(members[1].rekey(&mut world, &before, &ear, &sender));
    confirm(&mut world, &members[2]);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

fn random_of(byte: u8) -> Secret32 {
    Secret32::new([byte; 32])
}

#[test]
fn four_further_sealings_at_most() {
    let (mut world, mut members) = group_of(110, 7);
    let before = duplicate(members[0].ear());
    members[0].commit(&mut world, &Plan::moving());
    for turn in 1..6u8 {
        members[usize::from(turn)].sync(&mut world);
        let (ear, sender) = (EarKey::new(random_of(turn)), random_of(turn));
        let answer = members[usize::from(turn)].rekey(&mut world, &before, &ear, &sender);
        match turn {
            1..=4 => drop(done(answer)),
            _ => assert_eq!(rejected(answer), Reject::LimitReached { limit: 4 }),
        }
    }
    confirm(&mut world, &members[5]);
    all_agree(&mut world, &mut members);
}

#[test]
fn a_chain_is_eight_commits_long_until_another_user_confirms() {
    let (mut world, mut members) = group_of(111, 3);
    members[0].commit(&mut world, &Plan::moving());
    for turn in 0..7 {
        let plan = if turn % 3 == 0 {
            Plan::moving()
        } else {
            Plan::update()
        };
        members[0].commit(&mut world, &plan);
    }
    let refused = rejected(members[0].try_commit(&mut world, &Plan::update()));
    assert_eq!(refused, Reject::AwaitingConfirmation);
    sync_all(&mut world, &mut members[1..]);
    let own = rejected(members[0].try_commit(&mut world, &Plan::moving()));
    assert_eq!(own, Reject::AwaitingConfirmation);
    confirm(&mut world, &members[1]);
    members[0].commit(&mut world, &Plan::update());
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_chain_is_made_again_from_its_beginning() {
    let (mut world, mut members) = group_of(112, 4);
    let before = duplicate(members[1].ear());
    let leaf = members[3].leaf();
    members[0].commit(&mut world, &Plan::remove(&[leaf]));
    members[0].commit(&mut world, &Plan::update());
    members[0].commit(&mut world, &Plan::moving());
    members[0].commit(&mut world, &Plan::rotating());
    // Somebody who has processed nothing of it gives keys that only it knows, and resyncs.
    members[1].generation = 0;
    rescue(&mut world, &mut members[1], &before);
    members.pop();
    all_agree(&mut world, &mut members);
    confirm(&mut world, &members[0]);
    // What was sealed in the generations that it skipped is sealed again.
    for turn in [0, 2] {
        members[turn].sync(&mut world);
        members[turn].commit(&mut world, &Plan::update());
    }
    all_known(&mut world, &members);
}

#[test]
fn an_absent_member_stops_nobody() {
    let (mut world, mut members) = group_of(113, 2);
    for _ in 0..8 {
        members[0].commit(&mut world, &Plan::moving());
    }
    let refused = rejected(members[0].try_commit(&mut world, &Plan::update()));
    assert_eq!(refused, Reject::AwaitingConfirmation);
    world.pass_days(31);
    let answer = members[0].try_commit(&mut world, &Plan::moving());
    done(answer);
    members[0].commit(&mut world, &Plan::update());
}

#[test]
fn a_key_request_is_parked_in_the_head_and_answered_once() {
    let (mut world, mut members) = group_of(114, 3);
    let head = members[2].head_access(0);
    let (asked, answer) = members[2].ask_for_keys(&mut world, head);
    done(answer);
    sync_all(&mut world, &mut members[..2]);
    let question = members[0].last_question();
    assert!(question == members[1].last_question());
    done(members[0].answer(&mut world, &question));
    let second = rejected(members[1].answer(&mut world, &question));
    assert_eq!(second, Reject::QuestionUnknown);
    members[2].take_answer(&mut world, &asked);
    members[2].resync(&mut world, false);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_key_request_waits_in_a_tombstone() {
    let (mut world, mut members) = group_of(115, 3);
    for _ in 0..3 {
        members[0].commit(&mut world, &Plan::moving());
        members[1].sync(&mut world);
        confirm(&mut world, &members[1]);
    }
    // The third was away for long, and its stream has died.
    world.pass_days(40);
    let head = members[2].head_access(0);
    let (asked, answer) = members[2].ask_for_keys(&mut world, head);
    assert_eq!(
        done(answer).epoch,
        members[2].epoch() + 1,
        "where the generation moved"
    );
    members[1].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members[..2]);
    let question = members[0].last_question();
    done(members[0].answer(&mut world, &question));
    members[2].take_answer(&mut world, &asked);
    members[2].resync(&mut world, false);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_stranger_at_a_tombstone_is_not_delivered() {
    let (mut world, mut members) = group_of(116, 3);
    let leaf = members[2].leaf();
    members[0].commit(&mut world, &Plan::remove(&[leaf]));
    let head = members[2].head_access(0);
    let (_, answer) = members[2].ask_for_keys(&mut world, head);
    done(answer);
    members[1].sync(&mut world);
    members[1].commit(&mut world, &Plan::update());
    sync_all(&mut world, &mut members[..2]);
    let asked = |m: &Actor| m.seen.iter().any(|s| matches!(s, Seen::Question(_)));
    assert!(!members[..2].iter().any(asked));
}

#[test]
fn confirming_closes_the_window() {
    let (mut world, mut members) = group_of(117, 3);
    let before = duplicate(members[0].ear());
    // Until then the old records are there for joiners.
    world.pass_days(85);
    members[0].commit(&mut world, &Plan::moving());
    members[1].sync(&mut world);
    let open = world.store.records.len();
    confirm(&mut world, &members[1]);
    // The record of the window, tree, roster and the delta of the Adds.
    assert!(world.store.records.len() <= open - 3);
    let (ear, sender) = (EarKey::new(random_of(1)), random_of(1));
    let answer = rejected(members[2].rekey(&mut world, &before, &ear, &sender));
    assert_eq!(
        answer,
        Reject::WrongEpoch {
            current: members[1].epoch()
        }
    );
}

#[test]
fn a_user_alone_waits_for_nobody() {
    let (mut world, mut members) = group_of(118, 1);
    for _ in 0..10 {
        members[0].commit(&mut world, &Plan::moving());
    }
}

#[test]
fn another_users_commit_confirms_a_chain_of_full_length() {
    let (mut world, mut members) = group_of(119, 2);
    for _ in 0..8 {
        members[0].commit(&mut world, &Plan::moving());
    }
    members[1].sync(&mut world);
    members[1].commit(&mut world, &Plan::update());
    members[0].sync(&mut world);
    members[0].commit(&mut world, &Plan::update());
    all_agree(&mut world, &mut members);
}

#[test]
fn a_window_is_open_on_its_last_day() {
    let (mut world, mut members) = group_of(120, 2);
    let before = duplicate(members[0].ear());
    members[0].commit(&mut world, &Plan::moving());
    world.pass_days(30);
    confirm(&mut world, &members[0]);
    let (ear, sender) = (EarKey::new(random_of(1)), random_of(1));
    done(members[1].rekey(&mut world, &before, &ear, &sender));
}

#[test]
fn who_makes_a_state_again_is_in_an_epoch_of_the_chain() {
    let (mut world, mut members) = group_of(121, 2);
    let before = duplicate(members[0].ear());
    let oldest = members[0].epoch();
    members[0].commit(&mut world, &Plan::moving());
    members[0].commit(&mut world, &Plan::update());
    let newest = members[0].epoch();
    let in_epoch = |world: &mut World, epoch| {
        let request = sordino_wire::RekeyRequest {
            access: sordino_wire::GroupAccess {
                group_id: members[1].group_id,
                ear_key: before.secret().duplicate(),
            },
            ear_key: random_of(1),
            sender_key: random_of(1),
        };
        let mut signing = members[1].signing(world);
        signing.epoch = epoch;
        signing.bytes(world, Kind::Leaf, RequestBody::Rekey(request))
    };
    for epoch in [oldest - 1, newest + 1] {
        let bytes = in_epoch(&mut world, epoch);
        let reject = world.refused(&bytes, Endpoint::GroupOperation);
        assert_eq!(reject, Reject::WrongEpoch { current: newest });
    }
    let bytes = in_epoch(&mut world, newest);
    done(world.handle(&bytes, Endpoint::GroupOperation));
}

#[test]
fn commits_behind_a_wrong_key_are_read_through_the_right_one() {
    let (mut world, mut members) = group_of(122, 3);
    let before = duplicate(members[0].ear());
    let wrong = commit_with_wrong_ear(&mut world, &mut members[0], &Plan::moving());
    members[0].sync(&mut world);
    let mut request = members[0].draft(&mut world, &Plan::update());
    request.access.ear_key = wrong.secret().duplicate();
    check_again(&members[0], &mut request, &wrong, false);
    done(send_commit(&mut world, &members[0], request));
    sync_all(&mut world, &mut members);
    let behind = members[1].epoch();
    let (ear, sender) = (duplicate(members[1].ear()), members[1].sender_key());
    done(members[1].rekey(&mut world, &before, &ear, &sender));
    sync_all(&mut world, &mut members);
    assert!(members.iter().all(|m| m.epoch() == behind + 1));
}

#[test]
fn a_question_that_nobody_asked_has_no_answer() {
    let (mut world, mut members) = group_of(123, 3);
    let head = members[2].head_access(0);
    done(members[2].ask_for_keys(&mut world, head).1);
    let unasked = members[1].question(&mut world);
    let refused = rejected(members[0].answer(&mut world, &unasked.question));
    assert_eq!(refused, Reject::QuestionUnknown);
}

#[test]
fn a_tombstone_keeps_one_question_of_each_leaf() {
    let (mut world, mut members) = group_of(124, 4);
    members[0].commit(&mut world, &Plan::moving());
    members[1].sync(&mut world);
    confirm(&mut world, &members[1]);
    let mut last = Vec::new();
    for asker in [2, 3, 2] {
        let head = members[asker].head_access(0);
        let (asked, answer) = members[asker].ask_for_keys(&mut world, head);
        done(answer);
        last.push(asked.hash());
    }
    let delivered = done(members[1].confirm(&mut world)).counter;
    members[0].sync(&mut world);
    let seen = members[0].seen.iter().filter_map(|s| match s {
        Seen::Question(question) => Some(sha256(&encode(question).unwrap())),
        _ => None,
    });
    assert_eq!(seen.collect::<Vec<_>>(), last[1..]);
    // What was collected is not collected again.
    let again = done(members[1].confirm(&mut world)).counter;
    assert_eq!(again, delivered);
}

#[test]
fn keys_that_others_added_do_not_push_out_those_within_tolerance() {
    let (mut world, mut members) = group_of(125, 5);
    let ear = duplicate(members[0].ear());
    for (byte, member) in (1..).zip(&members[1..]) {
        done(member.rekey(&mut world, &ear, &ear, &random_of(byte)));
    }
    let late = members[4].sending(b"late");
    let signing = members[4].signing(&mut world);
    for _ in 0..2 {
        members[0].commit(&mut world, &Plan::update());
    }
    let auth = signing.auth(&world, Kind::Epoch, &late);
    done(world.send(late, auth));
}
