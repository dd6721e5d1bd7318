//! Members who are away: shortly, longer than the hub keeps entries, or without their state.

use crate::support::{DAY_S, Party, World, drain, recoveries, texts};
use sordino_client::{Event, GroupSettings, GroupStatus, Recovery, raw};

const AWAY: usize = 2;
const PRESENT: [usize; 2] = [0, 1];
const EVERYBODY: [usize; 3] = [0, 1, 2];

async fn trio(world: &World) -> Party {
    world
        .party(&["alice", "bob", "carol"], GroupSettings::closed())
        .await
}

/// A part of life: a new generation, and messages by both.
async fn live_on(world: &World, party: &Party, days: u64, what: &str) {
    world.pass(days * DAY_S);
    world.hub().run_maintenance().await.unwrap();
    party.groups[0].move_generation().await.unwrap();
    party.rounds(&PRESENT, 1).await;
    for index in PRESENT {
        let text = format!("{what} {index}");
        party.groups[index].send(text.as_bytes()).await.unwrap();
    }
    party.rounds(&PRESENT, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_29_days_and_three_generations_the_stream_is_enough() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let before = party.groups[AWAY].generation().await.unwrap();
    let mut events = party.clients[AWAY].events();
    party.groups[0].send(b"soon after").await.unwrap();
    for (days, what) in [(9, "one"), (10, "two"), (10, "three")] {
        live_on(&world, &party, days, what).await;
    }
    party.clients[AWAY].sync_once().await.unwrap();
    assert_eq!(party.groups[AWAY].generation().await.unwrap(), before + 3);
    assert_eq!(
        texts(&party.groups[AWAY]).await,
        [
            "soon after",
            "one 0",
            "one 1",
            "two 0",
            "two 1",
            "three 0",
            "three 1"
        ]
    );
    let seen = drain(&mut events);
    assert_eq!(recoveries(&seen), []);
    assert!(!seen.iter().any(|event| matches!(event, Event::Gap { .. })));
    party.assert_talks().await;
    world.stop().await;
}

/// Asks for the key; the next request that opens the state delivers the question; somebody answers.
async fn come_back_by_question(party: &Party) -> Vec<Recovery> {
    let mut events = party.clients[AWAY].events();
    party.rounds(&EVERYBODY, 2).await;
    party.groups[1].update().await.unwrap();
    party.rounds(&EVERYBODY, 4).await;
    let status = party.groups[AWAY].status().await.unwrap();
    assert_eq!(status, GroupStatus::Active);
    recoveries(&drain(&mut events))
}

const BY_QUESTION: [Recovery; 3] = [
    Recovery::KeyRequested,
    Recovery::KeyReceived,
    Recovery::Resynced,
];

#[tokio::test(flavor = "multi_thread")]
async fn after_31_days_without_a_stream_the_members_are_asked() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let mut events = party.clients[AWAY].events();
    // Everything that the absent one could have caught up with dies.
    live_on(&world, &party, 1, "one").await;
    live_on(&world, &party, 1, "two").await;
    world.pass(33 * DAY_S);
    let report = world.hub().run_maintenance().await.unwrap();
    assert!(report.expired_rows > 0);
    live_on(&world, &party, 1, "three").await;

    let ways = come_back_by_question(&party).await;
    let seen = drain(&mut events);
    assert_eq!(ways, BY_QUESTION, "{seen:?}");
    assert!(seen.iter().any(|event| matches!(event, Event::Gap { .. })));
    let heard = texts(&party.groups[AWAY]).await;
    assert!(!heard.iter().any(|text| text.starts_with("one")));
    party.assert_talks().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_32_days_without_a_new_generation_a_resync_is_enough() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let before = party.groups[0].generation().await.unwrap();
    party.groups[0].update().await.unwrap();
    party.groups[1].send(b"lost").await.unwrap();
    party.rounds(&PRESENT, 1).await;
    world.pass(32 * DAY_S);
    world.hub().run_maintenance().await.unwrap();
    let mut events = party.clients[AWAY].events();
    party.rounds(&EVERYBODY, 4).await;
    let seen = drain(&mut events);
    assert_eq!(recoveries(&seen), [Recovery::Resynced], "{seen:?}");
    // The resync was the first commit after a generation's time was up.
    assert_eq!(party.groups[0].generation().await.unwrap(), before + 1);
    assert_eq!(texts(&party.groups[AWAY]).await, Vec::<String>::new());
    party.assert_talks().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_state_and_an_old_generation_come_back_by_question() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    party.groups[AWAY].lose_mls_state().await.unwrap();
    live_on(&world, &party, 3, "one").await;
    live_on(&world, &party, 3, "two").await;
    let ways = come_back_by_question(&party).await;
    assert_eq!(ways, BY_QUESTION);
    party.assert_talks().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_state_in_the_same_generation_is_resynced() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let before = party.groups[AWAY].own().await.unwrap();
    party.groups[AWAY].lose_mls_state().await.unwrap();
    party.groups[0].update().await.unwrap();
    let mut events = party.clients[AWAY].events();
    party.rounds(&EVERYBODY, 3).await;
    assert_eq!(recoveries(&drain(&mut events)), [Recovery::Resynced]);
    assert_eq!(party.groups[AWAY].own().await.unwrap(), before);
    party.assert_talks().await;
    world.stop().await;
}

/// Nobody has committed for so long that the next commit must start a generation, and whoever comes
/// does not know for how long.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_room_can_be_entered() {
    let mut world = World::start().await;
    let mut party = world.party(&["alice", "bob"], GroupSettings::open()).await;
    world.pass(45 * DAY_S);
    world.hub().run_maintenance().await.unwrap();
    let link = party.groups[0].invite_link().await.unwrap();
    let carol = world.user("carol").await;
    let at_carol = carol.join_open(&link).await.unwrap();
    party.clients.push(carol);
    party.groups.push(at_carol);
    party.rounds(&EVERYBODY, 2).await;
    // Somebody opens the state; carol gets the secret, and pays with her identity.
    party.groups[1].update().await.unwrap();
    party.rounds(&EVERYBODY, 6).await;
    for group in &party.groups {
        assert!(!group.is_busy().await.unwrap());
    }
    party.assert_talks().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_room_can_be_entered_by_a_new_device() {
    let mut world = World::start().await;
    let mut party = world
        .party(&["alice", "bob"], GroupSettings::closed())
        .await;
    let generation = party.groups[0].generation().await.unwrap();
    world.pass(45 * DAY_S);
    world.hub().run_maintenance().await.unwrap();
    let config = world.client_config("tablet");
    // Linking makes a group, whose leaf would be of a day that has not come by the wall clock.
    let tablet = raw::stolen_device(&party.clients[0], config).await.unwrap();
    let request = raw::leaf_request(&tablet, &party.groups[0]).await.unwrap();
    let grant = raw::grant_leaf(&party.groups[0], &request).await.unwrap();
    let at_tablet = raw::join_with_grant(&tablet, grant).await.unwrap();
    party.clients.push(tablet);
    party.groups.push(at_tablet);
    party.rounds(&EVERYBODY, 2).await;
    for group in &party.groups {
        assert_eq!(group.generation().await.unwrap(), generation + 1);
    }
    party.assert_talks().await;
    world.stop().await;
}
