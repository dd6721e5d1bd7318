//! Members whose hub skips its checks: a proxy in front of the real one adds to a stream what no
//! honest hub would deliver. The commits are good MLS, so nothing but the members' own rules stands
//! between them and the group.

use crate::hostile::trio;
use crate::refused::{spoiled, thief, with_proof};
use crate::support::{
    HUB, World, add, drain, ear_key, evidence, exchange, recoveries, register, texts,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sordino_client::raw;
use sordino_client::{
    Client, ClientError, Event, Evidence, Group, GroupSettings, GroupStatus, InviteLink, Operation,
    Recovery,
};
use sordino_crypto::{EarKey, seal_entry, sha256, stream_id};
use sordino_wire::{
    Bytes, CommitRequest, DeliveredCommit, DeliveryEvent, Domain, DsRequest, DsResponse, List,
    NumberedEntry, Reject, RequestBody, ResponseBody, Secret32, StreamId, encode, exact, media,
};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

type Armed = Arc<Mutex<Option<(StreamId, Vec<u8>)>>>;

/// A hub that appends an entry to the next page of a stream that it serves.
struct LyingHub {
    address: SocketAddr,
    armed: Armed,
}

impl LyingHub {
    async fn start(honest: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let armed = Armed::default();
        let shared = Arc::clone(&armed);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, honest, Arc::clone(&shared)));
            }
        });
        Self { address, armed }
    }

    /// A member who knows the hub at this address alone.
    async fn user(&self, world: &World, name: &str) -> Client {
        let mut config = world.client_config(name);
        config.hub.url = format!("http://{}", self.address);
        register(config, name).await
    }

    fn deliver(&self, commit: &DeliveredCommit, ear_key: &Secret32) {
        let key = EarKey::new(ear_key.duplicate()).delivery_key().unwrap();
        let event = DeliveryEvent::Commit(Box::new(commit.clone()));
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let entry = seal_entry(&key, 0, u64::from(u32::MAX), event, &mut rng).unwrap();
        let stream = stream_id(&key, &Domain::new(HUB).unwrap()).unwrap();
        *self.armed.lock().unwrap() = Some((stream, encode(&entry).unwrap()));
    }
}

/// One request on one connection.
async fn serve(mut stream: TcpStream, honest: SocketAddr, armed: Armed) {
    let mut request = Vec::new();
    let (head, begins) = loop {
        let mut buffer = [0; 16_384];
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
            _ => return,
        }
        if let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(request[..end].to_vec()).unwrap();
            break (head.to_lowercase(), end + 4);
        }
    };
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |value| value.trim().parse().unwrap());
    let missing = (begins + length).saturating_sub(request.len());
    let mut rest = vec![0; missing];
    stream.read_exact(&mut rest).await.unwrap();
    request.extend(rest);
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
    let method = method.to_uppercase();
    let (answer_head, mut answer) = exchange(honest, &method, &path, &request[begins..]).await;
    if path == media::STREAMS {
        answer = with_addition(&request[begins..], answer, &armed);
    }
    let status = answer_head.lines().next().unwrap();
    let content_type = answer_head
        .lines()
        .find(|line| line.to_lowercase().starts_with("content-type"))
        .unwrap_or("content-type: text/plain");
    let head = format!(
        "{status}\r\n{content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&answer).await;
}

fn with_addition(request: &[u8], answer: Vec<u8>, armed: &Armed) -> Vec<u8> {
    let mut armed = armed.lock().unwrap();
    let Ok(ResponseBody::Streams(mut pages)) = DsResponse::parse(&answer).map(|r| r.body) else {
        return answer;
    };
    let RequestBody::ReadStreams(reads) = DsRequest::parse(request).unwrap().request.body else {
        return answer;
    };
    let stream = armed.as_ref().map(|(stream, _)| *stream);
    let mut reads = reads.reads.iter();
    let place = reads.position(|read| Some(read.stream_id) == stream);
    let (Some(place), Some((_, entry))) = (place, armed.take_if(|_| place.is_some())) else {
        return answer;
    };
    let mut list = std::mem::take(&mut pages.pages).into_vec();
    let page = &mut list[place];
    let mut entries = std::mem::take(&mut page.entries).into_vec();
    entries.push(NumberedEntry {
        number: page.next,
        entry: Bytes::new(entry).unwrap(),
    });
    page.next += 1;
    page.entries = List::new(entries).unwrap();
    pages.pages = List::new(list).unwrap();
    let body = ResponseBody::Streams(pages);
    DsResponse { body }.encode().unwrap()
}

/// Keeps the commit that a client sends.
fn capture(client: &Client) -> Arc<Mutex<Option<DeliveredCommit>>> {
    let seen = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&seen);
    client.set_request_hook(Some(Arc::new(move |body, _| {
        if let RequestBody::Commit(request) = body {
            *slot.lock().unwrap() = Some(delivered(request));
        }
    })));
    seen
}

/// What an obliging hub would make of a request.
fn delivered(request: &CommitRequest) -> DeliveredCommit {
    let next = request.next.generation.as_ref();
    DeliveredCommit {
        commit: request.commit.clone(),
        key_check: request.key_check.clone(),
        identity_entries: request.identity_entries.clone(),
        wrapper: next.and_then(|next| next.wrapper.clone()),
        reissued: List::default(),
    }
}

/// The victim takes what the hub says for what it is, and keeps its group as it was.
async fn assert_not_merged(victim: &Client, group: &Group, illegal: &DeliveredCommit) {
    let before = (
        group.epoch_authenticator().await.unwrap(),
        group.members().await.unwrap(),
        texts(group).await,
    );
    let mut events = victim.events();
    victim.sync_once().await.unwrap();
    let seen = drain(&mut events);
    let commit = sha256(illegal.commit.as_slice());
    assert_eq!(evidence(&seen), [Evidence::IllegalCommit { commit }]);
    assert!(seen.iter().any(|e| matches!(e, Event::Halted { .. })));
    assert_eq!(group.status().await.unwrap(), GroupStatus::Halted);
    let after = (
        group.epoch_authenticator().await.unwrap(),
        group.members().await.unwrap(),
        texts(group).await,
    );
    assert_eq!(after, before);
    let sending = group.send(b"is anybody there?").await;
    assert!(
        matches!(sending, Err(ClientError::Inactive(GroupStatus::Halted))),
        "{sending:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_not_let_in_by_the_hub_alone() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let lying = LyingHub::start(world.address).await;
    let victim = lying.user(&world, "victim").await;
    let at_victim = add(&party.groups[0], &victim).await;
    let key = ear_key(&party.clients[0], &party.groups[0]).await;
    victim.sync_once().await.unwrap();

    // The group is closed; a stranger who has its key enters all the same.
    let eve = world.user("eve").await;
    let link = InviteLink {
        hub_domain: world.domain(),
        group_id: at_victim.id(),
        generation: at_victim.generation().await.unwrap(),
        ear_key: key.duplicate(),
        code: None,
    };
    let seen = capture(&eve);
    let outcome = eve.join_open(&link).await;
    assert!(
        matches!(outcome, Err(ClientError::Refused(Reject::Policy(_)))),
        "{outcome:?}"
    );
    let illegal = seen.lock().unwrap().take().unwrap();
    lying.deliver(&illegal, &key);
    assert_not_merged(&victim, &at_victim, &illegal).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_not_grafted_by_the_hub_alone() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let lying = LyingHub::start(world.address).await;
    let victim = lying.user(&world, "victim").await;
    let at_victim = add(&party.groups[0], &victim).await;
    let key = ear_key(&party.clients[0], &party.groups[0]).await;
    party.rounds(&[1], 1).await;
    victim.sync_once().await.unwrap();

    // Bob's user secrets were stolen; the consent of one of his devices was not.
    let thief = thief(&world, &party.clients[1]).await;
    let request = raw::leaf_request(&thief, &party.groups[1]).await.unwrap();
    let grant = raw::grant_leaf(&party.groups[1], &request).await.unwrap();
    let forged = with_proof(&grant, |proof| {
        proof.sibling_signature = spoiled(&proof.sibling_signature);
    });
    let seen = capture(&thief);
    let outcome = raw::join_with_grant(&thief, forged).await;
    assert!(
        matches!(
            outcome,
            Err(ClientError::Refused(Reject::InvalidCredential(_)))
        ),
        "{outcome:?}"
    );
    let illegal = seen.lock().unwrap().take().unwrap();
    lying.deliver(&illegal, &key);
    assert_not_merged(&victim, &at_victim, &illegal).await;
    world.stop().await;
}

/// The same way of delivering, with a commit that breaks no rule: it is the rules that refuse.
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_no_rule_is_merged_from_the_same_hub() {
    let mut world = World::start().await;
    let settings = GroupSettings::open();
    let party = world.party(&["alice", "bob"], settings).await;
    let lying = LyingHub::start(world.address).await;
    let victim = lying.user(&world, "victim").await;
    let at_victim = add(&party.groups[0], &victim).await;
    let before = at_victim.epoch().await.unwrap();

    // The commit is captured and broken on its way, so that the honest hub never has it.
    let carol = world.user("carol").await;
    let link = party.groups[0].invite_link().await.unwrap();
    let slot = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&slot);
    carol.set_request_hook(Some(Arc::new(move |body, _| {
        if let RequestBody::Commit(request) = body {
            *seen.lock().unwrap() = Some(delivered(request));
            request.key_check.epoch += 1;
        }
    })));
    assert!(carol.join_open(&link).await.is_err());
    let legal = slot.lock().unwrap().take().unwrap();
    let again: DeliveredCommit = exact(&encode(&legal).unwrap()).unwrap();
    lying.deliver(&again, &link.ear_key);
    let mut events = victim.events();
    victim.sync_once().await.unwrap();
    let seen = drain(&mut events);
    let merged = seen.iter().any(|event| {
        matches!(event, Event::Committed { epoch, operation, .. }
            if *epoch == before + 1 && *operation == Operation::ExternalJoinOpen)
    });
    assert!(merged, "{seen:?}");
    assert_eq!(evidence(&seen), []);
    // The real stream does not fit what the victim was told: it comes back to the others.
    assert!(seen.iter().any(|e| matches!(e, Event::Gap { .. })));
    assert_eq!(recoveries(&seen), [Recovery::Resynced]);
    party.rounds(&[0, 1], 1).await;
    victim.sync_once().await.unwrap();
    party.rounds(&[0, 1], 1).await;
    assert_eq!(
        at_victim.epoch_authenticator().await.unwrap(),
        party.groups[0].epoch_authenticator().await.unwrap()
    );
    world.stop().await;
}
