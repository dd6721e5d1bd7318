//! A member on mls-rs with members on the client library, through a real server.

use super::Member;
use super::commits::Do;
use super::home::Home;
use sordino_client::{Client, Group, GroupSettings, JoinRule, Reject};

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

/// A room that people ask to be let into, and a member of it on mls-rs beside its creator.
async fn room(home: &Home, alice: &Client, number: u8) -> (Group, Member) {
    let settings = GroupSettings::open().without_identities();
    let at_alice = alice.create_group(settings).await.unwrap();
    let mut member = Member::new(home, number);
    member.ask_in(&at_alice.invite_link().await.unwrap()).await;
    alice.sync_once().await.unwrap();
    at_alice.commit_pending().await.unwrap();
    member.join().await;
    (at_alice, member)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_on_mls_rs_joins_sends_receives_and_commits() {
    let home = Home::start().await;
    let alice = home.user("alice").await;
    let (at_alice, mut member) = room(&home, &alice, 1).await;
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

    // It lets somebody in, takes him out again, and is taken out.
    let bob = home.user("bob").await;
    bob.propose_join(&member.link()).await.unwrap();
    member.sync().await;
    member.commit(Do::Pending).await;
    let at_bob = take_welcome(&bob, at_alice.id()).await;
    together(&mut member, &[&at_alice, &at_bob]).await;
    let bobs_pseudonym = at_bob.own().await.unwrap().user_pseudonym;
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
    let mut policy = crate::support::policy();
    policy.join = JoinRule::Open;
    member.create(&home.hub_key(), &policy).await;
    let alice = home.user("alice").await;
    let at_alice = alice.join_open(&member.link()).await.unwrap();
    together(&mut member, &[&at_alice]).await;
    // Who came by a link knows a generation's secret from the next one on.
    member.commit(Do::Move).await;
    together(&mut member, &[&at_alice]).await;
    at_alice.update().await.unwrap();
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

    // With its first update it says who it is; it learns who the others are from entries since.
    member.commit(Do::Update).await;
    at_alice.catch_up().await.unwrap();
    at_alice.update().await.unwrap();
    together(&mut member, &[&at_alice]).await;
    let people: Vec<String> = member.people().await.into_values().collect();
    for name in ["alice", "member3"] {
        let uri = format!("mimi://hub.example.org/u/{name}");
        assert!(people.contains(&uri), "{name} is not in {people:?}");
    }
    let seen = at_alice.members().await.unwrap();
    let known = seen.iter().filter(|person| person.identity.is_some());
    assert_eq!((seen.len(), known.count()), (2, 2));

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
/// opens a tombstone alone. To be let in again is the way back (or a key request, which this member
/// does not speak).
#[tokio::test(flavor = "multi_thread")]
async fn what_mls_rs_cannot_follow() {
    let home = Home::start().await;
    let alice = home.user("alice").await;
    let bob = home.user("bob").await;
    let (at_alice, mut member) = room(&home, &alice, 4).await;
    let link = at_alice.invite_link().await.unwrap();
    let at_bob = bob.join_open(&link).await.unwrap();
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
    again.ask_in(&at_alice.invite_link().await.unwrap()).await;
    alice.sync_once().await.unwrap();
    at_alice.commit_pending().await.unwrap();
    again.join().await;
    together(&mut again, &[&at_alice]).await;
    home.stop().await;
}
