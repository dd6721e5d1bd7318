//! I: somebody holds an invite link, and here also all that the operator has.

use crate::burglar::Burglar;
use crate::database::{Database, operator_keys};
use crate::search::Search;
use crate::world::{Known, World, add, exchange, note, say, settle};
use openmls::prelude::RatchetTreeIn;
use sordino_client::{GroupSettings, InviteLink};
use sordino_crypto::{WrapperKey, open_identity_entry};
use sordino_wire::{
    Authentication, DsRequest, DsResponse, ExternalCommitInformation, GroupAccess, GroupId,
    PseudonymousCredential, RequestBody, ResponseBody, RosterEntry, Secret32, exact, media,
};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use tls_codec::DeserializeBytes as _;

/// What a link gives.
fn keys_of(link: &InviteLink) -> Known {
    Known::from([("group key", link.ear_key.expose().to_vec())])
}

/// What anybody with a link asks the hub before joining.
async fn information(hub: SocketAddr, link: &InviteLink) -> ExternalCommitInformation {
    let access = GroupAccess {
        group_id: link.group_id,
        ear_key: link.ear_key.duplicate(),
    };
    let body = RequestBody::ExternalCommitInformation(access);
    let request = DsRequest::free(body, Authentication::Possession);
    let head = format!("POST {}", media::EXTERNAL_COMMIT_INFORMATION);
    let answer = exchange(hub, &head, &request.encode().unwrap()).await;
    let body = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    match DsResponse::parse(&answer[body..]).unwrap().body {
        ResponseBody::ExternalCommitInformation(information) => information,
        _ => panic!("refused"),
    }
}

/// How many identity entries open under any of these keys, whosever they are.
fn identities_opened(keys: &[Secret32], id: GroupId, seen: &ExternalCommitInformation) -> usize {
    let tree = RatchetTreeIn::tls_deserialize_exact_bytes(seen.ratchet_tree.as_slice()).unwrap();
    let leaves: Vec<PseudonymousCredential> = tree
        .leaves()
        .map(|leaf| exact(leaf.credential().serialized_content()).unwrap())
        .collect();
    let opens = |entry: &RosterEntry| {
        keys.iter().any(|key| {
            let wrapper = WrapperKey::new(key.duplicate());
            let mut leaves = leaves.iter();
            leaves.any(|leaf| open_identity_entry(&wrapper, id, leaf, &entry.entry).is_ok())
        })
    };
    seen.roster
        .entries
        .iter()
        .filter(|entry| opens(entry))
        .count()
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

    // The hub hands the entries to whoever has a link, sealed.
    let seen = information(world.address(), &link).await;
    assert_eq!(seen.roster.entries.len(), 3);
    assert_eq!(identities_opened(burglar.keys(), group.id(), &seen), 0);
    let member = Burglar::new(&outer, domain, &all, &all);
    assert_eq!(identities_opened(member.keys(), group.id(), &seen), 3);

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
