//! Every row of the table, end to end.

use crate::scene::{
    add, add_device, all_agree, all_known, confirm, group_of, group_with, sync_all,
};
use crate::support::{Actor, Kind, Plan, Seen, Way, done, policy, rejected};
use sordino_crypto::{EarKey, sha256};
use sordino_wire::{
    Digest, IdentityRule, JoinRule, LeafOperation, Permission, Reject, RequestBody, SenderRule,
};

fn duplicate(ear: &EarKey) -> EarKey {
    EarKey::new(ear.secret().duplicate())
}

#[test]
fn a_group_is_created_and_takes_messages() {
    let (mut world, mut members) = group_of(1, 1);
    done(members[0].say(&mut world, b"hello"));
    all_known(&mut world, &members);
}

#[test]
fn users_are_added_with_welcome_and_keys() {
    let (mut world, mut members) = group_of(2, 4);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
    assert_eq!(members[0].generation, 0, "adding moves no generation");
}

#[test]
fn several_devices_of_a_user_come_in_together() {
    let (mut world, mut members) = group_of(3, 1);
    let new = vec![
        Actor::new(&mut world, 2, 0),
        Actor::new(&mut world, 2, 1),
        Actor::new(&mut world, 3, 0),
    ];
    add(&mut world, &mut members, new);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn own_clients_are_added_and_removed() {
    let (mut world, mut members) = group_of(4, 2);
    let device = add_device(&mut world, &mut members[1], 1);
    members.push(device);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
    let leaf = members[2].leaf();
    members[1].commit(&mut world, &Plan::remove(&[leaf]));
    let mut gone = members.pop().unwrap();
    gone.sync(&mut world);
    assert!(!gone.is_member());
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
    assert_eq!(members[0].generation, 1);
}

#[test]
fn users_are_removed_and_the_generation_moves() {
    let (mut world, mut members) = group_of(5, 4);
    let leaf = members[3].leaf();
    members[0].commit(&mut world, &Plan::remove(&[leaf]));
    let mut gone = members.pop().unwrap();
    gone.sync(&mut world);
    assert!(!gone.is_member());
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
    assert_eq!(members[0].generation, 1);
    let old = gone.inspect_with(&mut world, 0);
    let epoch = members[0].epoch();
    assert_eq!(rejected(old), Reject::WrongEpoch { current: epoch });
}

#[test]
fn an_update_rotates_the_leaf_key() {
    let (mut world, mut members) = group_of(6, 3);
    members[1].commit(&mut world, &Plan::update());
    members[1].commit(&mut world, &Plan::rotating());
    assert_eq!(members[1].rotation, 1);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
    members[1].commit(&mut world, &Plan::rotating());
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_generation_moves_where_it_is_asked_for() {
    let (mut world, mut members) = group_of(7, 3);
    for turn in 0..3 {
        members[turn].commit(&mut world, &Plan::moving());
        all_agree(&mut world, &mut members);
        all_known(&mut world, &members);
    }
    assert_eq!(members[0].generation, 3);
}

#[test]
fn newcomers_walk_back_through_the_generations() {
    let (mut world, mut members) = group_of(8, 2);
    for turn in 0..5 {
        members[turn % 2].commit(&mut world, &Plan::moving());
        sync_all(&mut world, &mut members);
    }
    let newcomer = Actor::new(&mut world, 3, 0);
    add(&mut world, &mut members, vec![newcomer]);
    all_known(&mut world, &members);
    all_agree(&mut world, &mut members);
}

#[test]
fn the_policy_changes() {
    let (mut world, mut members) = group_of(9, 3);
    let mut new = policy();
    new.max_members = 3;
    let plan = Plan {
        policy: Some(new.clone()),
        ..Plan::default()
    };
    members[2].commit(&mut world, &plan);
    all_agree(&mut world, &mut members);
    assert_eq!(members[0].policy(), new);
}

#[test]
fn a_new_device_comes_in_with_both_signatures() {
    let (mut world, mut members) = group_of(10, 2);
    let mut device = Actor::new(&mut world, 2, 1);
    let key = device.leaf_key().public();
    let proof = members[1].proof(&world, LeafOperation::ExternalJoin, &key);
    device.learn(&members[1]);
    let ear = duplicate(members[1].ear());
    device.come_in(&mut world, &ear, &Way::NewDevice(proof), false);
    members.push(device);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn somebody_comes_in_by_an_invite_link_and_names_itself_in_its_first_update() {
    let code = Digest([5; 32]);
    let mut invite = policy();
    invite.join = JoinRule::Invite;
    invite.invite_code_hash = Some(sha256(&code.0));
    let (mut world, mut members) = group_with(11, 2, &invite);
    let mut guest = Actor::new(&mut world, 3, 0);
    let ear = duplicate(members[0].ear());
    guest.come_in(&mut world, &ear, &Way::Invite(code), false);
    sync_all(&mut world, &mut members);
    let roster = members[0].inspect(&mut world);
    assert_eq!(
        members[0].check_roster(&roster).len(),
        2,
        "unidentified so far"
    );

    let head = guest.head_access(0);
    let (asked, answer) = guest.ask_for_keys(&mut world, head);
    done(answer);
    members[0].sync(&mut world);
    let question = members[0].last_question();
    done(members[0].answer(&mut world, &question));
    guest.take_answer(&mut world, &asked);
    guest.commit(&mut world, &Plan::update());
    members.push(guest);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn an_open_room_is_open() {
    let mut open = policy();
    open.join = JoinRule::Open;
    open.identities = IdentityRule::None;
    let (mut world, mut members) = group_with(12, 1, &open);
    for user in 2..5 {
        let mut guest = Actor::new(&mut world, user, 0);
        let ear = duplicate(members[0].ear());
        guest.come_in(&mut world, &ear, &Way::Open, false);
        members.push(guest);
        sync_all(&mut world, &mut members);
    }
    all_agree(&mut world, &mut members);
}

#[test]
fn a_connection_group_takes_one_other_user() {
    let mut connection = policy();
    connection.join = JoinRule::Connection;
    let (mut world, mut members) = group_with(13, 1, &connection);
    let mut peer = Actor::new(&mut world, 2, 0);
    peer.learn(&members[0]);
    let ear = duplicate(members[0].ear());
    peer.come_in(&mut world, &ear, &Way::Connection, false);
    members.push(peer);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_client_resyncs_and_the_generation_stays() {
    let (mut world, mut members) = group_of(14, 3);
    let leaf = members[1].leaf();
    members[1].resync(&mut world, false);
    assert_eq!(members[1].leaf(), leaf);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
    assert_eq!(members[0].generation, 0);
}

#[test]
fn a_client_resyncs_into_the_first_free_leaf() {
    let (mut world, mut members) = group_of(27, 3);
    let free = members[1].leaf();
    members[0].commit(&mut world, &Plan::remove(&[free]));
    members.remove(1);
    sync_all(&mut world, &mut members);
    assert_ne!(members[1].leaf(), free);
    members[1].resync(&mut world, false);
    assert_eq!(members[1].leaf(), free);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn a_member_leaves_with_the_next_commit() {
    let (mut world, mut members) = group_of(15, 3);
    done(members[2].leave(&mut world));
    sync_all(&mut world, &mut members);
    members[1].commit(&mut world, &Plan::default());
    let mut gone = members.pop().unwrap();
    gone.sync(&mut world);
    assert!(!gone.is_member());
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
    assert_eq!(members[0].generation, 1);
}

#[test]
fn what_an_external_commit_leaves_out_the_hub_proposes_again() {
    let (mut world, mut members) = group_of(16, 3);
    done(members[2].leave(&mut world));
    sync_all(&mut world, &mut members);
    members[1].resync(&mut world, false);
    sync_all(&mut world, &mut members);
    assert_eq!(members[0].pending.len(), 1);
    let missing = members[0].try_commit(&mut world, &without_pending());
    assert!(matches!(rejected(missing), Reject::MissingProposals { .. }));
    members[1].commit(&mut world, &Plan::default());
    members.pop();
    all_agree(&mut world, &mut members);
}

fn without_pending() -> Plan {
    Plan {
        without_pending: true,
        ..Plan::update()
    }
}

#[test]
fn an_external_commit_may_take_a_self_remove_along() {
    let (mut world, mut members) = group_of(17, 3);
    done(members[2].leave(&mut world));
    sync_all(&mut world, &mut members);
    let ear = duplicate(members[1].ear());
    let external = members[1].external(&mut world, &ear, &Way::Resync, true, true);
    done(members[1].try_external(&mut world, external));
    members.pop();
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
    assert_eq!(members[0].generation, 1);
}

#[test]
fn somebody_asks_to_be_let_in() {
    let mut open = policy();
    open.join = JoinRule::Open;
    let (mut world, mut members) = group_with(18, 2, &open);
    let mut guest = Actor::new(&mut world, 3, 0);
    let (epoch, ear) = (members[0].epoch(), duplicate(members[0].ear()));
    done(guest.ask_to_join(&mut world, epoch, &ear));
    sync_all(&mut world, &mut members);
    members[1].commit(&mut world, &Plan::default());
    guest.join(&mut world);
    members.push(guest);
    all_agree(&mut world, &mut members);
    all_known(&mut world, &members);
}

#[test]
fn roles_for_sending_need_a_leaf() {
    let mut roles = policy();
    roles.senders = SenderRule::Leaf;
    roles.send = Permission::Members;
    let (mut world, mut members) = group_with(19, 2, &roles);
    done(members[1].say_as_leaf(&mut world, b"as myself"));
    sync_all(&mut world, &mut members);
    assert!(members[0].heard(b"as myself"));
}

#[test]
fn a_late_message_is_accepted_within_tolerance() {
    let (mut world, mut members) = group_of(20, 2);
    let late = members[1].sending(b"late");
    let signing = members[1].signing(&mut world);
    members[0].commit(&mut world, &Plan::update());
    let auth = signing.auth(&world, Kind::Epoch, &late);
    done(world.send(late, auth));
    sync_all(&mut world, &mut members);
    assert!(members[0].heard(b"late"));
}

#[test]
fn a_group_freezes_in_favour_of_another() {
    let (mut world, mut members) = group_of(21, 2);
    world.group_id = sordino_wire::GroupId([8; 16]);
    let target = Actor::create(&mut world, 1, &policy());
    done(members[0].reinitialise(&mut world, &target));
    sync_all(&mut world, &mut members);
    assert!(members[1].seen.iter().any(|s| matches!(s, Seen::Frozen)));
    let refused = rejected(members[1].say(&mut world, b"too late"));
    assert!(matches!(refused, Reject::Frozen { .. }));
}

#[test]
fn a_group_is_deleted() {
    let (mut world, mut members) = group_of(22, 3);
    let others: Vec<u32> = members[1..].iter().map(Actor::leaf).collect();
    let plan = Plan {
        delete: true,
        ..Plan::remove(&others)
    };
    members[0].commit(&mut world, &plan);
    sync_all(&mut world, &mut members[1..]);
    assert!(members[1..].iter().all(|m| !m.is_member()));
    let epoch = members[0].epoch();
    let answer = members[1].inspect_with(&mut world, 0);
    assert_eq!(rejected(answer), Reject::WrongEpoch { current: epoch });
    let again = Actor::new(&mut world, 1, 0).creation(&mut world, &policy());
    let creator = Actor::new(&mut world, 1, 0);
    let answer = creator.request(&mut world, Kind::Leaf, RequestBody::CreateGroup(again));
    assert_eq!(rejected(answer), Reject::GroupIdTaken);
}

#[test]
fn another_member_confirms_the_keys() {
    let (mut world, mut members) = group_of(23, 3);
    members[0].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members);
    confirm(&mut world, &members[1]);
    sync_all(&mut world, &mut members);
    let told = |m: &Actor| m.seen.iter().any(|s| matches!(s, Seen::Confirmed(1)));
    assert!(members.iter().all(told));
}

#[test]
fn a_report_reaches_the_members() {
    let (mut world, mut members) = group_of(24, 2);
    done(members[1].report(&mut world, Digest([1; 32])));
    sync_all(&mut world, &mut members);
    let told = members[0]
        .seen
        .iter()
        .any(|s| matches!(s, Seen::Reported(_)));
    assert!(told);
}

#[test]
fn the_hub_removes_who_has_been_away_for_long() {
    let (mut world, mut members) = group_of(25, 3);
    world.pass_days(60);
    members[1].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members);
    world.pass_days(30);
    members[0].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members);
    assert!(members[0].pending.is_empty(), "90 days are not too many");
    world.pass_days(1);
    members[0].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members);
    assert_eq!(members[0].pending.len(), 1, "the third");
    members[1].commit(&mut world, &Plan::default());
    members.pop();
    all_agree(&mut world, &mut members);
    assert!(members[0].pending.is_empty());
}

#[test]
fn a_leaf_that_leaves_and_is_removed_goes_once() {
    let (mut world, mut members) = group_of(26, 3);
    world.pass_days(60);
    members[1].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members);
    world.pass_days(31);
    members[0].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members);
    done(members[2].leave(&mut world));
    sync_all(&mut world, &mut members);
    assert_eq!(members[0].pending.len(), 2);
    members[1].commit(&mut world, &Plan::default());
    members.pop();
    all_agree(&mut world, &mut members);
}
