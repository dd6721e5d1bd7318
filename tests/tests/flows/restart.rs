//! The hub goes and comes back on the same folder, under running clients.

use crate::support::{World, drain, evidence, recoveries, texts};
use sordino_client::{Client, ClientError, Event, Group, GroupSettings, GroupStatus, Recovery};
use sordino_server::{Server, StartError};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Talks and commits until it is told to stop; says what the hub acknowledged.
async fn chatter(group: Group, name: &'static str, enough: Arc<AtomicBool>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut number = 0;
    while !enough.load(Ordering::SeqCst) {
        let text = format!("{name} {number}");
        match group.send(text.as_bytes()).await {
            Ok(()) => acknowledged.push(text),
            // It is kept, and sent by the next sync.
            Err(ClientError::Unreachable) => {}
            Err(error) => panic!("{name}: {error}"),
        }
        if number % 3 == 0 {
            match group.update().await {
                Ok(()) | Err(ClientError::Unreachable | ClientError::Contended) => {}
                Err(error) => panic!("{name}: {error}"),
            }
        }
        number += 1;
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_go_on_over_restarts_and_nothing_is_lost() {
    let mut world = World::start().await;
    let party = world
        .party(&["alice", "bob"], GroupSettings::closed())
        .await;
    let mut events = [party.clients[0].events(), party.clients[1].events()];
    let enough = Arc::new(AtomicBool::new(false));
    let names = ["alice", "bob"];
    let tasks: Vec<_> = (0..2)
        .map(|index| {
            let group = party.groups[index].clone();
            tokio::spawn(chatter(group, names[index], Arc::clone(&enough)))
        })
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.stop().await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        world.start_again().await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    enough.store(true, Ordering::SeqCst);
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    party.rounds(&[0, 1], 3).await;
    party.assert_together().await;

    let heard = texts(&party.groups[0]).await;
    assert_eq!(heard, texts(&party.groups[1]).await, "in the same order");
    let once: BTreeSet<&String> = heard.iter().collect();
    assert_eq!(once.len(), heard.len(), "nothing twice");
    for text in &acknowledged {
        assert!(once.contains(text), "{text} is lost");
    }
    assert!(acknowledged.len() > 10);
    for events in &mut events {
        let seen = drain(events);
        assert_eq!(evidence(&seen), []);
        assert_eq!(recoveries(&seen), []);
        let odd = |event: &Event| matches!(event, Event::Gap { .. } | Event::RolledBack { .. });
        assert!(!seen.iter().any(odd));
    }
    party.assert_talks().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_window_keys_the_hub_does_not_start_unless_told_to() {
    let mut world = World::start().await;
    let party = world
        .party(&["alice", "bob"], GroupSettings::closed())
        .await;
    party.groups[0].send(b"delivered").await.unwrap();
    party.clients[1].sync_once().await.unwrap();
    party.groups[0].send(b"not delivered").await.unwrap();
    party.groups[0].update().await.unwrap();
    world.stop().await;
    let windows = world.config.data_dir.join("keys/windows.key");
    std::fs::remove_file(&windows).unwrap();

    let refusal = world.start_again().await.unwrap_err();
    let expected = matches!(&refusal, StartError::WindowKeysMissing { path } if *path == windows);
    assert!(expected, "{refusal}");
    assert!(
        !windows.exists(),
        "nothing is made behind the operator's back"
    );

    world.config.accept_lost_deliveries = true;
    world.start_again().await.unwrap();
    assert!(world.hub().lost_deliveries());
    // Who was behind comes back by itself; what was not delivered is lost, as was said.
    let mut events = party.clients[1].events();
    party.rounds(&[0, 1], 4).await;
    assert!(!recoveries(&drain(&mut events)).is_empty());
    for group in &party.groups {
        assert_eq!(group.status().await.unwrap(), GroupStatus::Active);
    }
    assert_eq!(texts(&party.groups[1]).await, ["delivered"]);
    party.assert_talks().await;
    world.stop().await;

    // And from then on it starts as it did.
    world.config.accept_lost_deliveries = false;
    let again = Server::start(world.config.clone()).await.unwrap();
    assert!(!again.lost_deliveries());
    again.shutdown().await;
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
    // Keys are refused where others could read them.
    let mode = from.metadata().unwrap().permissions();
    std::fs::set_permissions(to, mode).unwrap();
}

/// An operator restores a backup, or is made to: the members have seen more than the hub knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_goes_back_in_time_is_noticed() {
    let mut world = World::start().await;
    let party = world
        .party(&["alice", "bob", "carol"], GroupSettings::closed())
        .await;
    party.groups[0].send(b"before").await.unwrap();
    party.rounds(&[0, 1, 2], 1).await;
    world.stop().await;
    let data = world.config.data_dir.clone();
    let backup = world.directory.path().join("backup");
    copy_folder(&data, &backup);

    world.start_again().await.unwrap();
    party.groups[0].update().await.unwrap();
    party.groups[1].send(b"after").await.unwrap();
    party.groups[1].update().await.unwrap();
    party.rounds(&[0, 1, 2], 1).await;
    party.assert_together().await;
    world.stop().await;

    std::fs::remove_dir_all(&data).unwrap();
    copy_folder(&backup, &data);
    world.start_again().await.unwrap();
    let mut events: Vec<_> = party.clients.iter().map(Client::events).collect();
    party.rounds(&[0, 1, 2], 6).await;
    let seen: Vec<Vec<Event>> = events.iter_mut().map(drain).collect();
    let back = |event: &Event| matches!(event, Event::RolledBack { .. });
    let gap = |event: &Event| matches!(event, Event::Gap { .. });
    // Whoever comes first sees it from the head's counter. Later ones find a stream that does not
    // fit what they have read; by then the counter may have been caught up with.
    assert!(seen[0].iter().any(back), "{:?}", seen[0]);
    for seen in &seen {
        assert!(seen.iter().any(|event| back(event) || gap(event)));
        assert!(recoveries(seen).contains(&Recovery::Resynced), "{seen:?}");
    }
    // They find together again in what the hub has, and nobody lost what it had read.
    party.assert_talks().await;
    for group in &party.groups {
        let heard = texts(group).await;
        for text in ["before", "after"] {
            assert_eq!(heard.iter().filter(|heard| *heard == text).count(), 1);
        }
    }
    world.stop().await;
}
