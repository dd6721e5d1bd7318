//! A member who cheats with commits: the others notice, recover by themselves, and lose nobody.

use crate::forge::{forging, information, sign_key_check};
use crate::support::{Party, World, drain, ear_key, evidence, recoveries};
use sordino_client::raw::HookContext;
use sordino_client::{Event, EventStream, Evidence, GroupSettings, GroupStatus, Recovery};
use sordino_crypto::{EarKey, SenderKey, keys_hash};
use sordino_wire::{ExternalCommitInformation, RequestBody, Secret32};
use std::sync::Arc;

const MALLORY: usize = 0;
const HONEST: [usize; 2] = [1, 2];
const EVERYBODY: [usize; 3] = [0, 1, 2];

pub async fn trio(world: &World) -> Party {
    world
        .party(&["mallory", "bob", "carol"], GroupSettings::closed())
        .await
}

/// What mallory needs to forge the next commit.
pub async fn prepare(world: &World, party: &Party) -> ExternalCommitInformation {
    let key = ear_key(&party.clients[MALLORY], &party.groups[MALLORY]).await;
    party.assert_together().await;
    information(world.address, &party.groups[MALLORY], &key).await
}

fn listen(party: &Party) -> [EventStream; 2] {
    HONEST.map(|index| party.clients[index].events())
}

/// Gives the hub other keys than the commit gives to the members, and signs for them.
fn wrong_keys(body: &mut RequestBody, context: &HookContext<'_>, ear: bool, sender: bool) {
    let RequestBody::Commit(request) = body else {
        return;
    };
    if sender {
        request.next.sender_key = Secret32::new([66; 32]);
    }
    let in_force = match &mut request.next.generation {
        Some(next) => {
            if ear {
                next.ear_key = Secret32::new([67; 32]);
            }
            next.ear_key.duplicate()
        }
        None => request.access.ear_key.duplicate(),
    };
    request.key_check.keys_hash = keys_hash(
        context.group_id,
        request.key_check.epoch,
        &EarKey::new(in_force),
        &SenderKey::new(request.next.sender_key.duplicate()),
    )
    .unwrap();
    sign_key_check(request, context);
}

/// Both honest members hold evidence that names the committer.
fn assert_blamed(seen: &[Vec<Event>], mallory: &sordino_client::Person) {
    for events in seen {
        let blamed = evidence(events).into_iter().any(|evidence| {
            let Evidence::WrongKeys { committer, .. } = evidence else {
                return false;
            };
            // The leaf that signed may have changed its key, never its pseudonyms.
            committer.client_pseudonym == mallory.client_pseudonym
        });
        assert!(blamed, "{events:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_ear_key_is_signed_evidence_and_the_group_goes_on() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let mallory = party.groups[MALLORY].own().await.unwrap();
    let mut events = listen(&party);
    party.clients[MALLORY].set_request_hook(Some(Arc::new(|body, context| {
        wrong_keys(body, context, true, false);
    })));
    let _ = party.groups[MALLORY].move_generation().await;
    party.clients[MALLORY].set_request_hook(None);

    party.rounds(&HONEST, 4).await;
    let seen = events.each_mut().map(drain);
    assert_blamed(&seen, &mallory);
    let ways: Vec<Recovery> = seen.iter().flat_map(|events| recoveries(events)).collect();
    assert!(ways.contains(&Recovery::Rekeyed), "{ways:?}");
    assert!(!ways.contains(&Recovery::Resynced), "no leaf was replaced");
    party.rounds(&EVERYBODY, 4).await;
    party.groups[1].update().await.unwrap();
    party.groups[2].move_generation().await.unwrap();
    party.rounds(&EVERYBODY, 2).await;
    party.assert_talks().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_sender_key_is_signed_evidence_and_the_group_goes_on() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let mallory = party.groups[MALLORY].own().await.unwrap();
    let mut events = listen(&party);
    party.clients[MALLORY].set_request_hook(Some(Arc::new(|body, context| {
        wrong_keys(body, context, false, true);
    })));
    let _ = party.groups[MALLORY].update().await;
    party.clients[MALLORY].set_request_hook(None);

    party.rounds(&HONEST, 3).await;
    let seen = events.each_mut().map(drain);
    assert_blamed(&seen, &mallory);
    let ways: Vec<Recovery> = seen.iter().flat_map(|events| recoveries(events)).collect();
    assert!(ways.contains(&Recovery::Rekeyed), "{ways:?}");
    party.rounds(&EVERYBODY, 2).await;
    party.assert_talks().await;
    world.stop().await;
}

/// After a commit that nobody can process: evidence, resyncs, and everybody is there again.
async fn assert_survived(party: &Party, events: &mut [EventStream; 2]) {
    party.rounds(&HONEST, 6).await;
    for seen in events.each_mut().map(drain) {
        let unprocessable = |e: &Evidence| matches!(e, Evidence::Unprocessable { .. });
        assert!(evidence(&seen).iter().any(unprocessable), "{seen:?}");
        assert!(recoveries(&seen).contains(&Recovery::Resynced), "{seen:?}");
    }
    party.rounds(&EVERYBODY, 6).await;
    // A parked key request is delivered by whoever opens the state next; even mallory's.
    party.groups[1].update().await.unwrap();
    party.rounds(&EVERYBODY, 6).await;
    for (index, group) in party.groups.iter().enumerate() {
        let status = group.status().await.unwrap();
        assert_eq!(status, GroupStatus::Active, "member {index}");
    }
    party.assert_talks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_path_secrets_are_survived() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let information = prepare(&world, &party).await;
    let mut events = listen(&party);
    // From outside: no membership tag stands in the way, so members get to the path itself.
    let hook = forging(information, |commit, _| {
        *commit.path().nodes.last_mut().unwrap() ^= 1;
    });
    party.clients[MALLORY].set_request_hook(Some(hook));
    let before = party.groups[1].epoch().await.unwrap();
    let _ = party.groups[MALLORY].resync().await;
    party.clients[MALLORY].set_request_hook(None);
    assert_survived(&party, &mut events).await;
    assert!(party.groups[1].epoch().await.unwrap() > before + 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbage_confirmation_tag_is_survived() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let information = prepare(&world, &party).await;
    let mut events = listen(&party);
    let hook = forging(information, |commit, _| commit.confirmation_tag[7] ^= 1);
    party.clients[MALLORY].set_request_hook(Some(hook));
    let _ = party.groups[MALLORY].resync().await;
    party.clients[MALLORY].set_request_hook(None);
    assert_survived(&party, &mut events).await;
    world.stop().await;
}

/// A member's own commit breaks at its membership tag already; and the generation moved with it,
/// to keys that nobody can derive.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_that_moves_the_generation_is_survived() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let information = prepare(&world, &party).await;
    let mut events = listen(&party);
    let hook = forging(information, |commit, _| {
        *commit.path().nodes.last_mut().unwrap() ^= 1;
        commit.confirmation_tag[7] ^= 1;
    });
    party.clients[MALLORY].set_request_hook(Some(hook));
    let _ = party.groups[MALLORY].move_generation().await;
    party.clients[MALLORY].set_request_hook(None);
    assert_survived(&party, &mut events).await;
    world.stop().await;
}
