//! The background task.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
use common::{World, connect, register};
use sordino_client::{Event, GroupSettings, StreamReading};
use std::time::Duration;

async fn talk(reading: StreamReading) {
    let world = World::start().await;
    let alice = world.user("alice").await;
    let mut config = world.config("bob");
    config.stream_reading = reading;
    let bob = register(config, "bob").await;
    connect(&alice, &bob).await;
    let mut events = bob.events();
    let (one, two) = (alice.run(), bob.run());
    let group = alice.create_group(GroupSettings::closed()).await.unwrap();
    group.invite(&world.uri("bob")).await.unwrap();
    let mut received = Vec::new();
    for number in 0..3u8 {
        group.send(&[number]).await.unwrap();
        if number == 1 {
            group.move_generation().await.unwrap();
        }
    }
    let wait = async {
        while received.len() < 3 {
            if let Some(Event::Message { message, .. }) = events.next().await {
                received.push(message.content[0]);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .unwrap();
    assert_eq!(received, [0, 1, 2]);
    one.abort();
    two.abort();
    world.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_by_themselves() {
    talk(StreamReading::Together).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_by_themselves_one_request_per_group() {
    talk(StreamReading::Separate).await;
}
