//! I: somebody holds an invite link, and here also all that the operator has.

use crate::burglar::Burglar;
use crate::database::{Database, operator_keys};
use crate::search::Search;
use crate::world::{Known, World, add, note, say, settle};
use sordino_client::{GroupSettings, InviteLink};
use std::collections::BTreeSet;

/// What a link gives.
fn keys_of(link: &InviteLink) -> Known {
    Known::from([("group key", link.ear_key.expose().to_vec())])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_no_identity_and_nothing_after_a_removal() {
    let world = World::start().await;
    let mut all = Known::new();
    let anna = world.user("annabella").await;
    let bart = world.user("bartholomew").await;
    let gone = world.user("gone-before-long").await;
    let settings = GroupSettings::by_invite();
    let group = anna.create_group(settings).await.unwrap();
    let at_bart = add(&group, &bart, &mut all).await;
    let at_gone = add(&group, &gone, &mut all).await;
    settle(&[&anna, &bart, &gone], &mut all).await;
    say(&group, "among all of us", &mut all).await;
    note(&mut all, &[&anna, &bart, &gone]).await;
    let link = group.invite_link().await.unwrap();
    let data = world.data_dir();
    let before = Database::copy_of(&data);

    let outer = operator_keys(&data, &before);
    let domain = world.hub.domain();
    let burglar = Burglar::new(&outer, domain, &keys_of(&link), &all);
    let nothing = Database::default();
    let loot = burglar.loot(&before, &nothing);
    assert!(loot.len() >= 3, "{}", loot.len());
    let heard = burglar.heard(&before, &nothing);
    assert!(heard.len() >= 3, "{}", heard.len());
    let opened = loot.into_iter().map(|(_, bytes)| bytes).chain(heard);
    let opened: Vec<u8> = opened.flatten().collect();
    let found = Search::in_files(&all).kinds_in(&opened);
    assert!(
        found.contains("pseudonym") && found.contains("leaf key"),
        "{found:?}"
    );
    let identities = [
        "real name",
        "device name",
        "bare name",
        "client key",
        "account key",
        "group secret",
        "message",
    ];
    assert!(found.is_disjoint(&BTreeSet::from(identities)), "{found:?}");

    group.remove(&at_gone.own().await.unwrap()).await.unwrap();
    note(&mut all, &[&anna, &bart]).await;
    settle(&[&anna, &bart], &mut all).await;
    let closed = Database::copy_of(&data);
    let guest = world.user("guest").await;
    let fresh = group.invite_link().await.unwrap();
    let at_guest = guest.join_by_invite(&fresh).await.unwrap();
    settle(&[&anna, &bart, &guest], &mut all).await;
    for group in [&at_guest, &group, &at_bart] {
        group.catch_up().await.unwrap();
        say(group, "without the old link", &mut all).await;
        group.update().await.unwrap();
        settle(&[&anna, &bart, &guest], &mut all).await;
        note(&mut all, &[&anna, &bart, &guest]).await;
    }
    let after = Database::copy_of(&data);
    let burglar = Burglar::new(&outer, domain, &keys_of(&link), &all);
    assert_eq!(burglar.loot(&closed, &before).len(), 1, "the tombstone");
    assert!(burglar.loot(&after, &closed).is_empty());
    assert!(burglar.heard(&after, &closed).is_empty());
    let burglar = Burglar::new(&outer, domain, &keys_of(&fresh), &all);
    assert!(burglar.loot(&after, &closed).len() >= 2);
    assert!(burglar.heard(&after, &closed).len() >= 6);
    world.hub.shutdown().await;
}
