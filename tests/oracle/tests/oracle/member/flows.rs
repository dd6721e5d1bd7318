//! A member on mls-rs with members on the client library, through a real server.

use super::Member;
use super::commits::Do;
use super::home::Home;
use sordino_client::{Client, Group, GroupSettings, Reject};

/// Everything that a member of the client library has read.
async fn texts(group: &Group) -> Vec<String> {
    let messages = group.messages(0, 1000).await.unwrap();
    messages
        .into_iter()
        .map(|message| String::from_utf8(message.content).unwrap())
        .collect()
}

/// Both stand in one epoch with one secret, and each hears the other.
async fn together(member: &mut Member, groups: &[&Group]) {
    member.sync().await;
    for group in groups {
        group.catch_up().await.unwrap();
        let theirs = group.epoch_authenticator().await.unwrap();
        assert_eq!(theirs, member.epoch_authenticator());
        let text = format!("to mls-rs in epoch {}", member.epoch());
        group.send(text.as_bytes()).await.unwrap();
        member.sync().await;
        assert_eq!(member.heard.last(), Some(&text));
    }
    let text = format!("from mls-rs in epoch {}", member.epoch());
    member.say(&text).await;
    for group in groups {
        group.catch_up().await.unwrap();
        assert_eq!(texts(group).await.last(), Some(&text));
    }
}

async fn take_welcome(client: &Client, id: sordino_wire::GroupId) -> Group {
    client.sync_once().await.unwrap();
    client.group(id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_on_mls_rs_joins_sends_receives_and_commits() {
    let home = Home::start().await;
    let alice = home.user("alice").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let mut member = Member::new(&home, 1);
    let set = member.key_package_set().await;
    at_alice.add_users(vec![set]).await.unwrap();
    member.join().await;
    together(&mut member, &[&at_alice]).await;

    // It follows what the other commits, and the other what it commits.
    at_alice.update().await.unwrap();
    together(&mut member, &[&at_alice]).await;
    at_alice.move_generation().await.unwrap();
    together(&mut member, &[&at_alice]).await;
    member.commit(Do::Update).await;
    together(&mut member, &[&at_alice]).await;
    member.commit(Do::Move).await;
    together(&mut member, &[&at_alice]).await;

    // It brings somebody in, and everybody knows who is who.
    let bob = home.user("bob").await;
    let bobs_uri = bob.credential().user.clone();
    let set = bob.key_package_set(&bobs_uri).await.unwrap();
    let bobs_pseudonym = set.user_pseudonym.clone();
    member.commit(Do::Add(vec![set])).await;
    let at_bob = take_welcome(&bob, at_alice.id()).await;
    together(&mut member, &[&at_alice, &at_bob]).await;
    let people: Vec<String> = member.people().await.into_values().collect();
    let names = ["alice", "bob", "member1"];
    for name in names {
        let uri = format!("mimi://hub.example.org/u/{name}");
        assert!(people.contains(&uri), "{name} is not in {people:?}");
    }
    let seen = at_bob.members().await.unwrap();
    let known = seen.iter().filter(|person| person.identity.is_some());
    assert_eq!((seen.len(), known.count()), (3, 3));

    // It takes him out again, and is taken out.
    member.commit(Do::Remove(bobs_pseudonym)).await;
    together(&mut member, &[&at_alice]).await;
    at_alice
        .remove_users(vec![member.user_pseudonym()])
        .await
        .unwrap();
    member.sync().await;
    assert!(!member.is_member());
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_mls_rs_created() {
    let home = Home::start().await;
    let mut member = Member::new(&home, 2);
    let policy = crate::support::policy();
    member.create(&home.hub_key(), &policy).await;
    let alice = home.user("alice").await;
    let uri = alice.credential().user.clone();
    let set = alice.key_package_set(&uri).await.unwrap();
    member.commit(Do::Add(vec![set])).await;
    let at_alice = take_welcome(&alice, member.id()).await;
    together(&mut member, &[&at_alice]).await;
    at_alice.move_generation().await.unwrap();
    together(&mut member, &[&at_alice]).await;
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn external_commits_by_mls_rs() {
    let home = Home::start().await;
    let alice = home.user("alice").await;
    let at_alice = alice.create_group(GroupSettings::open()).await.unwrap();
    let link = at_alice.invite_link().await.unwrap();
    let mut member = Member::new(&home, 3);
    member.join_open(&link).await;
    together(&mut member, &[&at_alice]).await;
    member.commit(Do::Update).await;
    together(&mut member, &[&at_alice]).await;

    // A policy change is a commit that mls-rs cannot read. The generation stays, so it may come back.
    let mut policy = at_alice.policy().await.unwrap();
    policy.max_members -= 1;
    at_alice.change_policy(policy).await.unwrap();
    member.sync().await;
    assert!(member.lost);
    member.resync().await;
    together(&mut member, &[&at_alice]).await;
    home.stop().await;
}

/// A SelfRemove and its commit are not readable, and the commit moves the generation: what was known
/// opens a tombstone alone. Another Add is the way back (or a key request, which this member does not
/// speak).
#[tokio::test(flavor = "multi_thread")]
async fn what_mls_rs_cannot_follow() {
    let home = Home::start().await;
    let alice = home.user("alice").await;
    let bob = home.user("bob").await;
    let at_alice = alice.create_group(GroupSettings::closed()).await.unwrap();
    let mut member = Member::new(&home, 4);
    let uri = bob.credential().user.clone();
    let sets = vec![
        member.key_package_set().await,
        bob.key_package_set(&uri).await.unwrap(),
    ];
    at_alice.add_users(sets).await.unwrap();
    member.join().await;
    let at_bob = take_welcome(&bob, at_alice.id()).await;
    together(&mut member, &[&at_alice, &at_bob]).await;

    at_bob.leave().await.unwrap();
    alice.sync_once().await.unwrap();
    at_alice.commit_pending().await.unwrap();
    let epoch = member.epoch();
    member.sync().await;
    assert!(member.lost);
    assert_eq!(member.epoch(), epoch);
    let current = at_alice.epoch().await.unwrap();
    assert_eq!(member.refusal().await, Reject::WrongEpoch { current });

    at_alice
        .remove_users(vec![member.user_pseudonym()])
        .await
        .unwrap();
    let mut again = Member::new(&home, 5);
    let set = again.key_package_set().await;
    at_alice.add_users(vec![set]).await.unwrap();
    again.join().await;
    together(&mut again, &[&at_alice]).await;
    home.stop().await;
}
