//! Two members who commit and talk at the same time, as fast as they can.

use crate::support::{World, drain, texts};
use sordino_client::{ClientError, Event, Group, GroupSettings};
use sordino_server::Budgets;
use std::collections::BTreeSet;

const COMMITS_EACH: usize = 100;
/// A message follows every fourth commit.
const MESSAGE_EVERY: usize = 4;

/// Commits a number of times, and talks in between; says how often all attempts were lost.
async fn hammer(group: Group, name: &'static str) -> usize {
    let mut contended = 0;
    for number in 0..COMMITS_EACH {
        loop {
            match group.update().await {
                Ok(()) => break,
                Err(ClientError::Contended) => contended += 1,
                Err(error) => panic!("{name} is stuck: {error}"),
            }
        }
        if number % MESSAGE_EVERY == 0 {
            let text = format!("{name} {number}");
            group.send(text.as_bytes()).await.unwrap();
        }
    }
    contended
}

/// Who started which epoch, as one member saw it.
fn winners(events: &[Event]) -> Vec<(u64, String)> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Committed { epoch, by, .. } => {
                let by = by.as_ref().unwrap();
                Some((*epoch, by.client_pseudonym.as_str().to_owned()))
            }
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_racing_commits_each_epoch_has_one_winner() {
    let mut world = World::start_as(|config| config.budgets = Budgets::unlimited()).await;
    let party = world
        .party(&["alice", "bob"], GroupSettings::closed())
        .await;
    let first_epoch = party.groups[0].epoch().await.unwrap();
    let mut events = [party.clients[0].events(), party.clients[1].events()];

    let alice = tokio::spawn(hammer(party.groups[0].clone(), "alice"));
    let bob = tokio::spawn(hammer(party.groups[1].clone(), "bob"));
    let contended = (alice.await.unwrap(), bob.await.unwrap());
    party.rounds(&[0, 1], 2).await;
    party.assert_together().await;

    let all = u64::try_from(2 * COMMITS_EACH).unwrap();
    let last_epoch = party.groups[0].epoch().await.unwrap();
    assert_eq!(last_epoch, first_epoch + all, "contended: {contended:?}");
    let seen = events.each_mut().map(drain);
    let views = [winners(&seen[0]), winners(&seen[1])];
    assert_eq!(views[0], views[1], "two members saw different winners");
    let epochs: Vec<u64> = views[0].iter().map(|(epoch, _)| *epoch).collect();
    let expected: Vec<u64> = (first_epoch + 1..=last_epoch).collect();
    assert_eq!(epochs, expected, "each epoch once, in order");
    let who: BTreeSet<&String> = views[0].iter().map(|(_, who)| who).collect();
    assert_eq!(who.len(), 2);

    let heard = texts(&party.groups[0]).await;
    assert_eq!(heard, texts(&party.groups[1]).await, "in the same order");
    let once: BTreeSet<&String> = heard.iter().collect();
    assert_eq!(heard.len(), once.len());
    assert_eq!(heard.len(), 2 * COMMITS_EACH / MESSAGE_EVERY);
    world.stop().await;
}
