//! S1 and S3: somebody takes the disk and all keys of the operator; the second one also was a
//! member once.

use crate::burglar::{Burglar, all_stripped};
use crate::database::{Database, operator_keys};
use crate::play::play;
use crate::search::Search;
use crate::world::{Known, World, add, note, of_kind, say, settle};
use sordino_client::{Client, Group, GroupSettings};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_keys_open_no_group() {
    let world = World::start().await;
    let played = play(&world, "").await;
    let mut known = played.known;
    let data = world.data_dir();
    let database = Database::copy_of(&data);
    let outer = operator_keys(&data, &database);
    let domain = world.hub.domain();

    // The operator's layer comes off; what is under it shows nothing either.
    let (stripped, count) = all_stripped(&outer, domain, &database, &known);
    assert!(count > 40, "{count}");
    known.insert(("domain", domain.as_str().as_bytes().to_vec()));
    let search = Search::in_files(&known);
    assert_eq!(search.kinds_in(&stripped), BTreeSet::new());

    // Nor do the operator's own keys open it.
    let text = std::fs::read_to_string(data.join("keys/operator.key")).unwrap();
    let index = outer.index().secret().expose().to_vec();
    let own = Known::from([
        ("group key", hex::decode(text.trim()).unwrap()),
        ("group key", index),
    ]);
    let burglar = Burglar::new(&outer, domain, &own, &known);
    let nothing = Database::default();
    assert!(burglar.loot(&database, &nothing).is_empty());
    assert!(burglar.heard(&database, &nothing).is_empty());

    // The members' keys would have.
    let burglar = Burglar::new(&outer, domain, &known, &known);
    let loot = burglar.loot(&database, &nothing);
    assert!(loot.len() > 10, "{}", loot.len());
    let opened: Vec<u8> = loot.into_iter().flat_map(|(_, bytes)| bytes).collect();
    let found = search.kinds_in(&opened);
    for kind in ["pseudonym", "leaf key", "sender key"] {
        assert!(found.contains(kind), "{kind}: {found:?}");
    }
    drop((played.clients, played.groups));
    world.hub.shutdown().await;
}

/// What a group does in a while.
async fn live_on(world: &World, clients: &[&Client], group: &Group, known: &mut Known) {
    for number in 0..3 {
        say(
            group,
            &format!("without those who are gone, {number}"),
            known,
        )
        .await;
        let at_second = clients[1].group(group.id()).await.unwrap();
        at_second.catch_up().await.unwrap();
        at_second.update().await.unwrap();
        settle(clients, known).await;
        note(known, clients).await;
    }
    let late = world.user("late").await;
    let at_late = add(group, &late, known).await;
    settle(clients, known).await;
    say(&at_late, "new here", known).await;
    settle(clients, known).await;
    group.move_generation().await.unwrap();
    settle(&[clients[0], clients[1], &late], known).await;
    note(known, &[clients[0], clients[1], &late]).await;
    at_late.leave().await.unwrap();
    settle(clients, known).await;
    say(group, "as before", known).await;
    note(known, clients).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_opens_and_finds_nothing_since() {
    let world = World::start().await;
    let (mut all, mut own) = (Known::new(), Known::new());
    let anna = world.user("anna").await;
    let bart = world.user("bart").await;
    let gone = world.user("gone").await;
    let group = anna.create_group(GroupSettings::closed()).await.unwrap();
    add(&group, &bart, &mut all).await;
    let at_gone = add(&group, &gone, &mut all).await;
    let clients = [&anna, &bart];
    for round in 0..2 {
        settle(&[&anna, &bart, &gone], &mut all).await;
        note(&mut own, &[&gone]).await;
        note(&mut all, &[&anna, &bart, &gone]).await;
        say(&group, "among all of us", &mut all).await;
        if round == 0 {
            at_gone.move_generation().await.unwrap();
        }
    }
    settle(&[&anna, &bart, &gone], &mut all).await;
    note(&mut own, &[&gone]).await;
    note(&mut all, &[&anna, &bart, &gone]).await;
    assert!(of_kind(&own, "group secret").count() >= 2);

    let data = world.data_dir();
    let before = Database::copy_of(&data);
    group.remove(&at_gone.own().await.unwrap()).await.unwrap();
    note(&mut all, &clients).await;
    settle(&clients, &mut all).await;
    let closed = Database::copy_of(&data);
    live_on(&world, &clients, &group, &mut all).await;
    let after = Database::copy_of(&data);

    let outer = operator_keys(&data, &after);
    let burglar = Burglar::new(&outer, world.hub.domain(), &own, &all);
    let nothing = Database::default();
    // Head, tree, roster, deltas: it could read what was.
    assert!(burglar.loot(&before, &nothing).len() >= 4);
    assert!(burglar.heard(&before, &nothing).len() >= 6);
    // Of the removal it sees the tombstone in its head's place, and the commit that removed it.
    assert_eq!(burglar.loot(&closed, &before).len(), 1);
    assert_eq!(burglar.heard(&closed, &before).len(), 1);
    // Of everything later, nothing.
    assert!(Database::since(&after.records, &closed.records).count() > 6);
    assert!(Database::since(&after.entries, &closed.entries).count() > 10);
    assert!(burglar.loot(&after, &closed).is_empty());
    assert!(burglar.heard(&after, &closed).is_empty());
    // Those who stayed have keys to it.
    let member = Burglar::new(&outer, world.hub.domain(), &all, &all);
    assert!(member.loot(&after, &closed).len() >= 3);
    assert!(member.heard(&after, &closed).len() > 8);
    world.hub.shutdown().await;
}
