//! Owns what longer worlds have brought to light, each told again on purpose.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use crate::clock::DAY_S;
use crate::world::{Plan, World, runtime};
use sordino_client::{
    Client, ClientError, ContactState, Event, Group, GroupSettings, GroupStatus, Invited, Person,
};
use sordino_wire::Reject;

/// More days than entries are kept in these worlds.
const TOO_LONG_DAYS: u64 = 9;

/// Devices 0, 1 and 2 or more, of whom neighbours know each other.
struct Scene(World);

fn scene<F: Future<Output = ()>>(tell: impl FnOnce(Scene) -> F) {
    let runtime = runtime(1).unwrap();
    runtime.block_on(async {
        let plan = Plan {
            seed: 1,
            steps: 0,
            verbose: false,
        };
        let mut world = World::begin(plan).await.unwrap();
        for device in &mut world.devices {
            device.told();
        }
        tell(Scene(world)).await;
    });
}

impl Scene {
    fn client(&self, device: usize) -> Client {
        self.0.devices[device].client.clone().unwrap()
    }

    fn told(&mut self, device: usize) -> Vec<Event> {
        self.0.devices[device].told()
    }

    async fn sync(&self, device: usize) {
        self.client(device).sync_once().await.unwrap();
    }

    async fn room(&self, device: usize, settings: GroupSettings) -> Group {
        self.client(device).create_group(settings).await.unwrap()
    }

    /// Lets one into a room of another.
    async fn invite(&self, room: &Group, device: usize) -> Group {
        let user = self.client(device).credential().user;
        assert_eq!(room.invite(&user).await.unwrap(), Invited::Added);
        self.sync(device).await;
        self.client(device).group(room.id()).await.unwrap()
    }

    /// Lets two know each other, if they do not.
    async fn know(&mut self, one: usize, other: usize) {
        let user = self.client(other).credential().user;
        let contact = self.client(one).contact(&user).await;
        if !contact.is_ok_and(|contact| contact.state == ContactState::Connected) {
            self.0.connect(one, other).await.unwrap();
        }
    }

    /// Longer than entries are kept.
    fn pass_days(&self) {
        self.audit();
        self.0.clock.jump(TOO_LONG_DAYS * DAY_S);
        self.0.network.hub().upkeep().unwrap();
    }

    fn audit(&self) {
        self.0.network.hub().audit().unwrap();
    }
}

async fn texts(group: &Group) -> Vec<String> {
    let messages = group.messages(0, usize::MAX).await.unwrap();
    let texts = messages.iter().map(|message| &message.content);
    texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

fn unsent(events: &[Event]) -> Vec<(&[u8], bool)> {
    let unsent = events.iter().filter_map(|event| match event {
        Event::NotSent {
            content,
            may_have_arrived,
            ..
        } => Some((content.as_slice(), *may_have_arrived)),
        _ => None,
    });
    unsent.collect()
}

fn accuses(events: &[Event]) -> bool {
    let accuse = |event: &Event| matches!(event, Event::Evidence { .. });
    events.iter().any(accuse)
}

#[test]
fn a_message_whose_answer_is_lost_for_good_is_not_sent_twice() {
    scene(|mut scene| async move {
        let at_0 = scene.room(0, GroupSettings::closed()).await;
        let at_1 = scene.invite(&at_0, 1).await;
        scene.0.network.set_deaf(0, true);
        let sent = at_0.send(b"heard or not").await;
        assert!(matches!(sent, Err(ClientError::Unreachable)));
        scene.0.network.set_deaf(0, false);
        scene.sync(1).await;
        scene.told(0);

        scene.pass_days();
        at_0.send(b"again").await.unwrap();
        let told = scene.told(0);
        assert_eq!(unsent(&told), [(b"heard or not".as_slice(), true)]);
        assert!(told.iter().any(|event| matches!(event, Event::Gap { .. })));
        scene.sync(1).await;
        scene.sync(0).await;
        assert_eq!(texts(&at_1).await, ["heard or not", "again"]);
        assert_eq!(texts(&at_0).await, ["again"]);
        scene.audit();
    });
}

#[test]
fn before_a_return_the_hub_is_asked_what_it_has() {
    scene(|mut scene| async move {
        let at_0 = scene.room(0, GroupSettings::closed()).await;
        let at_1 = scene.invite(&at_0, 1).await;
        scene.0.network.set_deaf(0, true);
        let sent = at_0.send(b"once").await;
        assert!(matches!(sent, Err(ClientError::Unreachable)));
        scene.0.network.set_deaf(0, false);
        at_0.lose_mls_state().await.unwrap();
        scene.sync(0).await;
        scene.sync(0).await;
        scene.sync(1).await;
        assert_eq!(texts(&at_0).await, ["once"]);
        assert_eq!(texts(&at_1).await, ["once"]);
        assert_eq!(unsent(&scene.told(0)), []);
        assert!(at_0.outgoing().await.unwrap().is_empty());
        scene.audit();
    });
}

#[test]
fn what_will_not_be_sent_is_told_by_whoever_is_removed() {
    scene(|mut scene| async move {
        let at_0 = scene.room(0, GroupSettings::closed()).await;
        let at_1 = scene.invite(&at_0, 1).await;
        scene.0.network.cut_off(1, true);
        let sent = at_1.send(b"too late").await;
        assert!(matches!(sent, Err(ClientError::Unreachable)));
        let person = other(&at_0).await;
        at_0.remove(&person).await.unwrap();
        scene.0.network.cut_off(1, false);
        scene.told(1);
        let _ = scene.client(1).sync_once().await;
        assert_eq!(at_1.status().await.unwrap(), GroupStatus::Removed);
        assert_eq!(unsent(&scene.told(1)), [(b"too late".as_slice(), true)]);
        scene.audit();
    });
}

#[test]
fn what_dies_unread_in_a_new_stream_is_missed() {
    scene(|mut scene| async move {
        let at_0 = scene.room(0, GroupSettings::closed()).await;
        let at_1 = scene.invite(&at_0, 1).await;
        at_0.move_generation().await.unwrap();
        scene.sync(1).await;
        at_0.send(b"dies unread").await.unwrap();
        scene.pass_days();
        at_0.send(b"is read").await.unwrap();
        scene.told(1);
        scene.sync(1).await;
        let gap = |event: &Event| matches!(event, Event::Gap { .. });
        assert!(scene.told(1).iter().any(gap));
        assert_ne!(texts(&at_1).await, ["is read"]);
        scene.audit();
    });
}

#[test]
fn so_is_what_a_creator_does_not_read_of_its_own() {
    scene(|mut scene| async move {
        let room = scene.room(0, GroupSettings::closed()).await;
        room.send(b"dies unread").await.unwrap();
        scene.pass_days();
        scene.told(0);
        scene.sync(0).await;
        let gap = |event: &Event| matches!(event, Event::Gap { .. });
        assert!(scene.told(0).iter().any(gap));
        // The hub has told that it has it.
        scene.sync(0).await;
        assert_eq!(texts(&room).await, ["dies unread"]);
        scene.audit();
    });
}

async fn other(group: &Group) -> Person {
    let own = group.own().await.unwrap().user_pseudonym;
    let mut members = group.members().await.unwrap();
    members.retain(|person| person.user_pseudonym != own);
    members.remove(0)
}

#[test]
fn whoever_is_added_again_sees_no_message_twice() {
    scene(|mut scene| async move {
        let settings = GroupSettings::closed().without_identities();
        let at_0 = scene.room(0, settings).await;
        let at_1 = scene.invite(&at_0, 1).await;
        let first = other(&at_0).await;
        // Nobody can tell that this is the same person.
        let user = scene.client(1).credential().user;
        assert_eq!(at_0.invite(&user).await.unwrap(), Invited::Added);
        at_0.send(b"once").await.unwrap();
        at_1.catch_up().await.unwrap();
        assert_eq!(texts(&at_1).await, ["once"]);
        at_0.remove(&first).await.unwrap();
        at_1.catch_up().await.unwrap();
        assert_eq!(at_1.status().await.unwrap(), GroupStatus::Removed);
        at_0.send(b"afterwards").await.unwrap();
        scene.sync(1).await;
        scene.sync(1).await;
        let at_1 = scene.client(1).group(at_0.id()).await.unwrap();
        assert_eq!(at_1.status().await.unwrap(), GroupStatus::Active);
        assert_eq!(texts(&at_1).await, ["once", "afterwards"]);
        assert!(!accuses(&scene.told(1)));
        scene.audit();
    });
}

#[test]
fn an_invite_that_came_through_unheard_is_not_made_twice() {
    scene(|mut scene| async move {
        let settings = GroupSettings::closed().without_identities();
        let at_0 = scene.room(0, settings).await;
        let user = scene.client(1).credential().user;
        // The set is there before.
        scene.sync(0).await;
        scene.0.network.set_deaf(0, true);
        let invited = at_0.invite(&user).await;
        assert!(matches!(invited, Err(ClientError::Unreachable)));
        scene.0.network.set_deaf(0, false);
        assert_eq!(at_0.invite(&user).await.unwrap(), Invited::Added);
        assert_eq!(at_0.members().await.unwrap().len(), 2);
        scene.sync(1).await;
        let at_1 = scene.client(1).group(at_0.id()).await.unwrap();
        assert_eq!(at_1.status().await.unwrap(), GroupStatus::Active);
        scene.told(0);
        scene.audit();
    });
}

#[test]
fn a_key_that_is_outdated_when_it_arrives_accuses_nobody() {
    scene(|mut scene| async move {
        let at_1 = scene.room(1, GroupSettings::closed()).await;
        scene.invite(&at_1, 0).await;
        let at_2 = scene.invite(&at_1, 2).await;
        at_2.lose_mls_state().await.unwrap();
        at_1.move_generation().await.unwrap();
        scene.sync(2).await;
        // Somebody opens the state, so that the question is handed on; another one answers.
        at_1.update().await.unwrap();
        scene.sync(0).await;
        at_1.move_generation().await.unwrap();
        scene.told(2);
        scene.sync(2).await;
        assert!(!accuses(&scene.told(2)));
        assert_eq!(at_2.status().await.unwrap(), GroupStatus::Recovering);
        // It is asked again before long.
        scene.0.clock.jump(120);
        scene.sync(2).await;
        at_1.update().await.unwrap();
        scene.sync(1).await;
        scene.sync(2).await;
        scene.sync(2).await;
        assert!(!accuses(&scene.told(2)));
        assert_eq!(at_2.status().await.unwrap(), GroupStatus::Active);
        scene.audit();
    });
}

#[test]
fn a_member_alone_does_not_shut_out_the_one_who_could_confirm() {
    scene(|mut scene| async move {
        let at_0 = scene.room(0, GroupSettings::closed()).await;
        let at_1 = scene.invite(&at_0, 1).await;
        at_1.lose_mls_state().await.unwrap();
        // Somebody must confirm the keys before the chain goes on for ever.
        at_0.move_generation().await.unwrap();
        let mut moves = 0;
        while at_0.update().await.is_ok() {
            moves += 1;
            assert!(moves < 50);
        }
        let awaits = |outcome: Result<(), ClientError>| {
            matches!(
                outcome,
                Err(ClientError::Refused(Reject::AwaitingConfirmation))
            )
        };
        assert!(awaits(at_0.update().await));
        scene.sync(1).await;
        assert!(awaits(at_0.update().await));
        scene.sync(0).await;
        scene.sync(1).await;
        scene.sync(1).await;
        assert_eq!(at_1.status().await.unwrap(), GroupStatus::Active);
        at_0.update().await.unwrap();
        scene.told(0);
        scene.audit();
    });
}

#[test]
fn a_rotation_that_was_never_heard_of_is_found_in_the_tree() {
    scene(|mut scene| async move {
        let at_0 = scene.room(0, GroupSettings::closed()).await;
        scene.invite(&at_0, 1).await;
        scene.0.network.set_deaf(0, true);
        let updated = at_0.update().await;
        assert!(matches!(updated, Err(ClientError::Unreachable)));
        scene.0.network.set_deaf(0, false);
        scene.sync(1).await;
        scene.pass_days();
        at_0.send(b"back").await.unwrap();
        assert_eq!(at_0.status().await.unwrap(), GroupStatus::Active);
        let gap = |event: &Event| matches!(event, Event::Gap { .. });
        assert!(scene.told(0).iter().any(gap));
        scene.audit();
    });
}

#[test]
fn whoever_is_there_twice_is_removed_as_a_whole() {
    scene(|mut scene| async move {
        let at_1 = scene.room(1, GroupSettings::open()).await;
        let link = at_1.invite_link().await.unwrap();
        let user = scene.client(2).credential().user;
        // Neither knows of the other.
        let client = scene.client(2);
        let (joined, invited) = tokio::join!(client.join_open(&link), at_1.invite(&user));
        joined.unwrap();
        assert_eq!(invited.unwrap(), Invited::Added);
        for _ in 0..3 {
            scene.sync(2).await;
            scene.sync(1).await;
        }
        let members = at_1.members().await.unwrap();
        assert_eq!(members.len(), 3);
        let is_2 = |person: &&Person| {
            let identity = person.identity.as_ref();
            identity.is_some_and(|identity| identity.user == user)
        };
        let twice: Vec<&Person> = members.iter().filter(is_2).collect();
        assert_eq!(twice.len(), 2);
        at_1.remove(twice[0]).await.unwrap();
        assert_eq!(at_1.members().await.unwrap().len(), 1);
        scene.told(1);
        scene.audit();
    });
}

#[test]
fn two_who_invite_the_same_user_bring_it_in_once() {
    scene(|mut scene| async move {
        let at_1 = scene.room(1, GroupSettings::closed()).await;
        let at_0 = scene.invite(&at_1, 0).await;
        let user = scene.client(2).credential().user;
        // Two who know it.
        scene.know(0, 2).await;
        let (one, other) = tokio::join!(at_0.invite(&user), at_1.invite(&user));
        assert_eq!(one.unwrap(), Invited::Added);
        assert_eq!(other.unwrap(), Invited::Added);
        at_0.catch_up().await.unwrap();
        at_1.catch_up().await.unwrap();
        assert_eq!(at_0.members().await.unwrap().len(), 3);
        assert_eq!(at_1.members().await.unwrap().len(), 3);
        scene.told(0);
        scene.audit();
    });
}
