//! H and C: two groups of one person, as the hub sees them while they are used; and what somebody
//! who shares one of them knows.

use crate::burglar::Burglar;
use crate::database::{Database, operator_keys};
use crate::search::Search;
use crate::world::{Known, World, add, connect, note, of_kind, register, say, settle};
use sordino_client::{Client, Clock as _, GroupSettings, ManualClock, SystemClock};
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many equal bytes may be a field in common.
const WINDOW: usize = 12;
/// They are form where so many in a row also stand in a group of strangers: single bytes of fields
/// are equal by chance.
const PART: usize = 4;

/// Makes a group of two and uses it; gives everything that the hub saw of its state and deliveries.
async fn views(world: &World, one: &Client, other: &Client) -> Vec<Vec<u8>> {
    let data = world.data_dir();
    let before = Database::copy_of(&data);
    let (mut known, mut own) = (Known::new(), Known::new());
    note(&mut known, &[one]).await;
    let group = one.create_group(GroupSettings::closed()).await.unwrap();
    let at_other = add(&group, other, &mut known).await;
    settle(&[one, other], &mut known).await;
    group.update().await.unwrap();
    say(&group, "the same words in all groups", &mut known).await;
    settle(&[one, other], &mut known).await;
    at_other.update().await.unwrap();
    settle(&[one, other], &mut known).await;
    note(&mut known, &[one, other]).await;
    // Of the second, who is in this group alone, so that no key of another group is among them.
    note(&mut own, &[other]).await;

    let after = Database::copy_of(&data);
    let outer = operator_keys(&data, &after);
    let burglar = Burglar::new(&outer, world.hub.domain(), &own, &known);
    let loot = burglar.loot(&after, &before);
    let heard = burglar.heard(&after, &before);
    assert!(loot.len() >= 3 && heard.len() >= 4);
    let opened = loot.into_iter().map(|(_, bytes)| bytes).chain(heard);
    opened.collect()
}

fn windows<const N: usize>(views: &[Vec<u8>]) -> BTreeSet<[u8; N]> {
    let all = views.iter().flat_map(|bytes| bytes.windows(N));
    all.map(|window| window.try_into().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_groups_of_one_person_have_nothing_in_common() {
    let world = World::start().await;
    // One time for everybody: else equal times would look like a person.
    let clock = Arc::new(ManualClock::new(SystemClock.now_s()));
    let mut clients = Vec::new();
    for name in ["anna", "bart", "cass", "desi", "emil"] {
        let mut config = world.config(name);
        config.clock = clock.clone();
        clients.push(register(config, name).await);
    }
    for (one, other) in [(0, 1), (0, 2), (3, 4)] {
        connect(&clients[one], &clients[other]).await;
    }
    let first = views(&world, &clients[0], &clients[1]).await;
    let second = views(&world, &clients[0], &clients[2]).await;
    let strangers = views(&world, &clients[3], &clients[4]).await;
    let strangers = windows::<PART>(&strangers);
    let shared = &windows::<WINDOW>(&first) & &windows::<WINDOW>(&second);
    // What groups without anybody in common share is form, not person.
    let is_form = |window: &&[u8; WINDOW]| {
        let mut parts = window.windows(PART);
        parts.any(|part| strangers.contains(part))
    };
    assert!(shared.iter().filter(is_form).count() > 20);
    let person: Vec<_> = shared.iter().filter(|w| !is_form(w)).collect();
    assert!(person.is_empty(), "{person:?}");
    // A key of the person in both would have been seen.
    let key = clients[0].credential().signature_key;
    assert!(
        key.as_slice()
            .windows(WINDOW)
            .any(|w| !is_form(&&w.try_into().unwrap()))
    );
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_finds_no_leaf_in_another_group() {
    let world = World::start().await;
    let mut clients = Vec::new();
    for name in ["anna-who-is-known", "bart-who-knows-her", "cass-who-is-new"] {
        clients.push(world.user(name).await);
    }
    let [anna, bart, cass] = [0, 1, 2].map(|n: usize| clients[n].clone());
    let together = bart.create_group(GroupSettings::closed()).await.unwrap();
    // What somebody learns of a person whom it adds, talks to and sees rotate her keys.
    let (mut contact, mut all) = (Known::new(), Known::new());
    let at_anna = add(&together, &anna, &mut all).await;
    for _ in 0..2 {
        settle(&[&anna, &bart], &mut all).await;
        note(&mut contact, &[&bart]).await;
        at_anna.update().await.unwrap();
    }
    settle(&[&anna, &bart], &mut all).await;
    note(&mut contact, &[&bart]).await;
    for kind in ["real name", "client key", "account key"] {
        let hers = of_kind(&all, kind).map(|bytes| (kind, bytes.to_vec()));
        contact.extend(hers);
    }

    let elsewhere = views(&world, &anna, &cass).await.concat();
    let found = Search::in_files(&contact).kinds_in(&elsewhere);
    assert_eq!(found, BTreeSet::new());
    // Whoever is in the other group does find her there.
    note(&mut all, &[&anna]).await;
    let found = Search::in_files(&all).kinds_in(&elsewhere);
    assert!(
        found.is_superset(&["pseudonym", "leaf key", "user key"].into()),
        "{found:?}"
    );
    world.hub.shutdown().await;
}
