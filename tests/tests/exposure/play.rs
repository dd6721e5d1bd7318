//! Owns a conversation in which everything happens that leaves something behind.

use crate::world::{Known, World, add, note, say, settle};
use sordino_client::{Client, Group, GroupSettings, Linking};

/// What a play leaves: the devices are still there.
pub struct Played {
    pub known: Known,
    pub clients: Vec<Client>,
    pub groups: Vec<Group>,
}

/// People, groups of all kinds, further devices, messages, removals, updates, lost state. Names end
/// in `suffix`; a longer one makes longer names.
pub async fn play(world: &World, suffix: &str) -> Played {
    let mut known = Known::new();
    let mut clients = Vec::new();
    for name in ["annabella", "bartholomew", "cassiopeia", "desdemona"] {
        clients.push(world.user(&format!("{name}{suffix}")).await);
    }
    let [anna, bart, cass, desi] = [0, 1, 2, 3].map(|n: usize| clients[n].clone());
    let all = [&anna, &bart, &cass, &desi];
    note(&mut known, &all).await;

    let closed = anna.create_group(GroupSettings::closed()).await.unwrap();
    let at_bart = add(&closed, &bart, &mut known).await;
    add(&closed, &cass, &mut known).await;
    let at_desi = add(&closed, &desi, &mut known).await;
    settle(&all, &mut known).await;
    say(&closed, "the first words in the closed group", &mut known).await;
    say(&at_desi, "words of somebody who will go", &mut known).await;
    settle(&all, &mut known).await;
    at_bart.update().await.unwrap();
    settle(&all, &mut known).await;
    note(&mut known, &all).await;
    let gone = at_desi.own().await.unwrap();
    closed.remove(&gone).await.unwrap();
    note(&mut known, &all).await;
    settle(&all, &mut known).await;
    say(&at_bart, "words behind her back", &mut known).await;
    at_bart.move_generation().await.unwrap();
    settle(&all, &mut known).await;
    note(&mut known, &all).await;

    let invite = invited(&all, &mut known).await;
    let connection = further(world, &all, &mut known, suffix).await;
    lost(&closed, &[&anna, &bart, &cass], &mut known).await;
    note(&mut known, &all).await;
    Played {
        known,
        clients,
        groups: vec![closed, invite, connection],
    }
}

/// A group by invite: a join, a departure, a proposal to join.
async fn invited(all: &[&Client; 4], known: &mut Known) -> Group {
    let settings = GroupSettings::by_invite();
    let group = all[1].create_group(settings).await.unwrap();
    let link = group.invite_link().await.unwrap();
    known.insert(("invite code", link.code.unwrap().0.to_vec()));
    let at_desi = all[3].join_by_invite(&link).await.unwrap();
    settle(all, known).await;
    note(known, all).await;
    say(&at_desi, "here by a link", known).await;
    settle(all, known).await;
    at_desi.leave().await.unwrap();
    settle(all, known).await;
    note(known, all).await;
    assert!(all[2].join_by_invite(&link).await.is_err());

    let room = GroupSettings::open().without_identities();
    let open = all[0].create_group(room).await.unwrap();
    let link = open.invite_link().await.unwrap();
    all[2].propose_join(&link).await.unwrap();
    note(known, all).await;
    open.catch_up().await.unwrap();
    open.commit_pending().await.unwrap();
    settle(all, known).await;
    note(known, all).await;
    group
}

/// A connection with a further device; then a deleted group.
async fn further(world: &World, all: &[&Client; 4], known: &mut Known, suffix: &str) -> Group {
    let contact = all[0].contact(&all[2].credential().user).await.unwrap();
    let group = contact.group.unwrap();
    settle(all, known).await;
    note(known, all).await;
    let name = format!("cassiopeia{suffix}");
    let config = world.config(&format!("{name}-2"));
    let linking = Linking::start(config).await.unwrap();
    let code = linking.code().to_owned();
    let (linked, second) = tokio::join!(all[2].link_device(&code), linking.finish());
    linked.unwrap();
    let second = second.unwrap();
    settle(&[all[2], &second], known).await;
    let at_second = second.group(group.id()).await.unwrap();
    say(&at_second, "from a device of its own", known).await;
    settle(&[all[0], all[2], &second], known).await;
    note(known, &[all[0], all[2], &second]).await;

    let doomed = all[1].create_group(GroupSettings::closed()).await.unwrap();
    add(&doomed, all[0], known).await;
    say(&doomed, "not for long", known).await;
    doomed.delete().await.unwrap();
    note(known, all).await;
    settle(all, known).await;
    group
}

/// The last of three loses everything while the generation moves, asks, and comes back.
async fn lost(group: &Group, members: &[&Client; 3], known: &mut Known) {
    let at_last = members[2].group(group.id()).await.unwrap();
    at_last.lose_mls_state().await.unwrap();
    group.move_generation().await.unwrap();
    for _ in 0..4 {
        for member in members {
            // In trouble, a round may fail.
            let _ = member.sync_once().await;
            note(known, &[member]).await;
        }
        let at_second = members[1].group(group.id()).await.unwrap();
        at_second.update().await.unwrap();
        note(known, members).await;
    }
    settle(members, known).await;
    say(&at_last, "back after a loss", known).await;
    settle(members, known).await;
}
