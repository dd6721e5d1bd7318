//! Several sealings of one state: they never fork the group, and they lose nothing of it.

use crate::scene::{all_agree, all_known, confirm, group_of, sync_all};
use crate::support::{Actor, Kind, Plan, Way, World, done, rejected};
use sordino_crypto::{EarKey, SenderKey, keys_hash};
use sordino_hub::{Endpoint, Step};
use sordino_wire::{KeyCheckTbs, Reject, RequestBody, Secret32};

fn duplicate(ear: &EarKey) -> EarKey {
    EarKey::new(ear.secret().duplicate())
}

fn secret(byte: u8) -> (EarKey, Secret32) {
    let secret = Secret32::new([byte; 32]);
    (EarKey::new(secret.duplicate()), secret)
}

/// An update through a sealing, as bytes.
fn update_through(world: &mut World, member: &mut Actor, sealing: &EarKey) -> Vec<u8> {
    let mut request = member.draft(world, &Plan::update());
    request.access.ear_key = sealing.secret().duplicate();
    let sender = SenderKey::new(request.next.sender_key.duplicate());
    let check = &mut request.key_check;
    check.keys_hash = keys_hash(member.group_id, check.epoch, sealing, &sender).unwrap();
    let tbs = KeyCheckTbs {
        group_id: member.group_id,
        epoch: check.epoch,
        commit_hash: check.commit_hash,
        keys_hash: check.keys_hash,
    };
    check.signature = member.leaf_key().sign_struct("KeyCheck", &tbs).unwrap();
    let signing = member.signing(world);
    signing.bytes(world, Kind::Leaf, RequestBody::Commit(Box::new(request)))
}

#[test]
fn two_sealings_do_not_fork_the_group() {
    let (mut world, mut members) = group_of(701, 3);
    let before = duplicate(members[0].ear());
    members[0].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members);
    let (bogus, key) = secret(9);
    done(members[2].rekey(&mut world, &before, &bogus, &key));
    let honest = duplicate(members[1].ear());
    let through_both = [
        update_through(&mut world, &mut members[1], &honest),
        update_through(&mut world, &mut members[2], &bogus),
    ];
    for order in [[0, 1], [1, 0]] {
        let mut store = world.store.clone();
        let steps = order.map(|i| world.step(&through_both[i], Endpoint::GroupOperation));
        let applied = steps.map(|step| match step {
            Step::Commit(effects) => store.apply(effects.changes).is_ok(),
            _ => panic!("not a commit"),
        });
        assert_eq!(applied, [true, false]);
        let former = std::mem::replace(&mut world.store, store);
        let answer = world.handle(&through_both[order[1]], Endpoint::GroupOperation);
        assert_eq!(rejected(answer), Reject::UnknownGroup);
        world.store = former;
    }
}

#[test]
fn two_who_give_the_right_keys_at_once_agree() {
    let (mut world, mut members) = group_of(702, 3);
    let before = duplicate(members[0].ear());
    members[0].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members);
    let (ear, key) = secret(9);
    done(members[1].rekey(&mut world, &before, &ear, &key));
    // The same keys again, by another one: they are in place.
    done(members[2].rekey(&mut world, &before, &ear, &key));
    let honest = members[0].inspect_with(&mut world, 1);
    assert_eq!(
        rejected(honest),
        Reject::UnknownGroup,
        "two users agreed on others"
    );
}

#[test]
fn a_supplier_who_rekeys_its_own_sealing_loses_nothing() {
    let (mut world, mut members) = group_of(703, 3);
    let before = duplicate(members[0].ear());
    members[0].commit(&mut world, &Plan::moving());
    let (ear, key) = secret(9);
    done(members[0].rekey(&mut world, &before, &ear, &key));
    members[0].commit(&mut world, &Plan::update());
    all_agree(&mut world, &mut members);
    confirm(&mut world, &members[1]);
    all_known(&mut world, &members);
    members[0].commit(&mut world, &Plan::moving());
    all_agree(&mut world, &mut members);
}

#[test]
fn a_chain_that_began_with_pending_proposals_is_made_again() {
    let (mut world, mut members) = group_of(704, 4);
    let before = duplicate(members[0].ear());
    done(members[3].leave(&mut world));
    sync_all(&mut world, &mut members);
    members[0].commit(&mut world, &Plan::default());
    members[0].commit(&mut world, &Plan::update());
    let (ear, key) = secret(9);
    done(members[1].rekey(&mut world, &before, &ear, &key));
    let external = members[1].external(&mut world, &ear, &Way::Resync, true, false);
    done(members[1].try_external(&mut world, external));
    members.pop();
    all_agree(&mut world, &mut members);
}

#[test]
fn what_is_pending_is_in_every_sealing() {
    let (mut world, mut members) = group_of(705, 4);
    let before = duplicate(members[0].ear());
    done(members[3].leave(&mut world));
    sync_all(&mut world, &mut members);
    members[0].resync(&mut world, true);
    sync_all(&mut world, &mut members);
    assert_eq!(members[1].pending.len(), 1, "the hub's, made again");
    let (ear, key) = secret(9);
    done(members[1].rekey(&mut world, &before, &ear, &key));
    let leaves_out = Plan {
        without_pending: true,
        ..Plan::update()
    };
    let mut request = members[1].draft(&mut world, &leaves_out);
    request.access.ear_key = ear.secret().duplicate();
    let body = RequestBody::Commit(Box::new(request));
    let answer = members[1].request(&mut world, Kind::Leaf, body);
    assert!(matches!(rejected(answer), Reject::MissingProposals { .. }));
}

#[test]
fn a_window_that_has_passed_is_closed_by_anybody() {
    let (mut world, mut members) = group_of(706, 2);
    let before = duplicate(members[0].ear());
    members[0].commit(&mut world, &Plan::moving());
    members[1].sync(&mut world);
    world.pass_days(85);
    let (ear, key) = secret(9);
    let late = rejected(members[1].rekey(&mut world, &before, &ear, &key));
    assert_eq!(
        late,
        Reject::WrongEpoch {
            current: members[0].epoch()
        }
    );
    done(members[0].confirm(&mut world));
    // Head, guard, tree, roster, mark, tombstone: the old tree, roster and delta are gone.
    assert_eq!(world.store.records.len(), 6);
    all_agree(&mut world, &mut members);
}

#[test]
fn a_window_keeps_what_joiners_no_longer_need() {
    let (mut world, mut members) = group_of(707, 3);
    let before = duplicate(members[0].ear());
    world.pass_days(80);
    members[0].commit(&mut world, &Plan::moving());
    sync_all(&mut world, &mut members);
    // The KeyPackages' days are over, the window's are not.
    world.pass_days(10);
    let (ear, key) = secret(9);
    done(members[1].rekey(&mut world, &before, &ear, &key));
    let external = members[1].external(&mut world, &ear, &Way::Resync, true, false);
    done(members[1].try_external(&mut world, external));
    all_agree(&mut world, &mut members);
}

#[test]
fn what_a_window_kept_goes_once_it_has_passed() {
    let (mut world, mut members) = group_of(708, 2);
    // Until then the old records are there for joiners.
    world.pass_days(85);
    members[0].commit(&mut world, &Plan::moving());
    let before = done(members[0].confirm(&mut world)).counter;
    world.pass_days(31);
    // Only the window's own record dies by itself.
    assert!(world.store.records.len() > 6);
    let ended = done(members[0].confirm(&mut world)).counter;
    assert_eq!(ended, before + 1);
    // Head, guard, tree, roster, mark, tombstone.
    assert_eq!(world.store.records.len(), 6);
    let again = done(members[0].confirm(&mut world)).counter;
    assert_eq!(again, ended);
}
