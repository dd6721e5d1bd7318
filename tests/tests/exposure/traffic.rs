//! H: everything between clients and hub, as an operator sees it.

use crate::play::play;
use crate::search::Search;
use crate::world::{Known, World, add, note, of_kind, say, settle};
use sordino_client::GroupSettings;
use sordino_wire::{
    AccountAuthentication, AccountRequest, Authentication, DsRequest, RequestBody, SendMessage,
    media,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What went one way over one connection.
type Flow = Arc<Mutex<Vec<u8>>>;

/// Passes everything on and keeps a copy.
pub struct Recorder {
    pub address: SocketAddr,
    connections: Arc<Mutex<Vec<Recorded>>>,
}

/// One connection, there and back.
#[derive(Clone)]
struct Recorded {
    requests: Flow,
    answers: Flow,
}

/// What a request is about, and over which kind of connection it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sphere {
    /// As one account.
    Account,
    /// About somebody's account, as nobody: one request per connection.
    Contact,
    /// Group operations, and what it takes to join.
    Operations,
    Streams,
    /// Reading inboxes.
    Inboxes,
    /// Opening one: one request per connection.
    InboxOpening,
    /// Pools of key-package sets: one request per connection.
    KeyPackages,
}

impl Sphere {
    fn of(path: &str, body: &[u8]) -> Self {
        match path {
            media::ACCOUNTS => Self::Account,
            media::CONNECTION_REQUEST => Self::Contact,
            media::STREAMS => Self::Streams,
            media::GROUP_KEY_PACKAGES => Self::KeyPackages,
            media::INBOXES => match DsRequest::parse(body).unwrap().request.body {
                RequestBody::ReadInbox(_) => Self::Inboxes,
                _ => Self::InboxOpening,
            },
            _ => Self::Operations,
        }
    }

    /// Whether names are spoken there.
    pub fn knows_names(self) -> bool {
        matches!(self, Self::Account | Self::Contact)
    }

    fn is_once(self) -> bool {
        matches!(self, Self::Contact | Self::InboxOpening | Self::KeyPackages)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, copy: Flow) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        locked(&copy).extend(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

impl Recorder {
    pub async fn start(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
        };
        let connections = Arc::clone(&recorder.connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A hub that is away for a while is away through this as well.
                let Ok(server) = TcpStream::connect(hub).await else {
                    continue;
                };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let (there, back) = (Flow::default(), Flow::default());
                locked(&connections).push(Recorded {
                    requests: Arc::clone(&there),
                    answers: Arc::clone(&back),
                });
                tokio::spawn(pass_on(from_client, to_server, there));
                tokio::spawn(pass_on(from_server, to_client, back));
            }
        });
        recorder
    }

    fn connections(&self) -> Vec<Recorded> {
        locked(&self.connections).clone()
    }

    /// Paths and bodies of all POSTs so far.
    fn posts(&self) -> Vec<(String, Vec<u8>)> {
        let connections = self.connections();
        connections.iter().flat_map(Recorded::posts).collect()
    }

    /// Everything that went over connections of some spheres.
    pub fn bytes(&self, wanted: impl Fn(Sphere) -> bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for connection in self.connections() {
            if connection.spheres().into_iter().any(&wanted) {
                bytes.extend(locked(&connection.requests).iter());
                bytes.extend(locked(&connection.answers).iter());
            }
        }
        bytes
    }
}

impl Recorded {
    /// Paths and bodies of its POSTs.
    fn posts(&self) -> Vec<(String, Vec<u8>)> {
        let mut posts = Vec::new();
        let bytes = locked(&self.requests);
        let mut rest = bytes.as_slice();
        while let Some(end) = rest.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(rest[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().unwrap())
            });
            let body = &rest[end + 4..][..length.unwrap_or(0)];
            rest = &rest[end + 4 + body.len()..];
            let mut words = head.split_whitespace();
            if words.next() == Some("POST") {
                posts.push((words.next().unwrap().to_owned(), body.to_vec()));
            }
        }
        posts
    }

    fn spheres(&self) -> Vec<Sphere> {
        let posts = self.posts();
        posts
            .iter()
            .map(|(path, body)| Sphere::of(path, body))
            .collect()
    }
}

async fn recorded() -> (World, Recorder) {
    let mut world = World::start().await;
    let recorder = Recorder::start(world.address()).await;
    world.via(recorder.address);
    (world, recorder)
}

/// Nobody who reads this learns who somebody is, or what was said.
pub fn assert_no_identity(known: &Known, recording: &[u8]) {
    assert!(recording.len() > 500_000, "{}", recording.len());
    let found = Search::in_files(known).kinds_in(recording);
    let secret = BTreeSet::from([
        "real name",
        "device name",
        "bare name",
        "client key",
        "account key",
        "group secret",
        "contact key",
        "message",
    ]);
    assert!(found.is_disjoint(&secret), "{found:?}");
    // What a hub does see is found.
    let seen = ["pseudonym", "group id", "leaf key"].into();
    assert!(found.is_superset(&seen), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_name_streams_and_nothing_else() {
    let (world, recorder) = recorded().await;
    let played = play(&world, "").await;
    let mut reads = Vec::new();
    let mut count = 0;
    for (path, body) in recorder.posts() {
        if path != media::STREAMS {
            continue;
        }
        let request = DsRequest::parse(&body).unwrap().request;
        assert!(matches!(request.body, RequestBody::ReadStreams(_)));
        assert!(matches!(request.auth, Authentication::Possession));
        reads.extend(body);
        count += 1;
    }
    assert!(count > 20, "{count}");
    let found = Search::in_files(&played.known).kinds_in(&reads);
    assert_eq!(found, ["stream id"].into());
    world.hub.shutdown().await;
}

/// Invariant 1 of the client: what names somebody and what is done under pseudonyms have nothing in
/// common, down to the connection.
#[tokio::test(flavor = "multi_thread")]
async fn no_connection_carries_two_worlds() {
    let (world, recorder) = recorded().await;
    let played = play(&world, "").await;
    let mut seen: BTreeMap<Sphere, usize> = BTreeMap::new();
    for connection in recorder.connections() {
        let spheres = connection.spheres();
        let Some(sphere) = spheres.first() else {
            continue;
        };
        assert!(spheres.iter().all(|other| other == sphere), "{spheres:?}");
        assert!(!sphere.is_once() || spheres.len() == 1, "{spheres:?}");
        *seen.entry(*sphere).or_default() += spheres.len();
        let posts = connection.posts();
        let mut accounts = BTreeSet::new();
        for (_, body) in posts.iter().filter(|_| sphere.knows_names()) {
            match AccountRequest::parse(body).unwrap().request.auth {
                AccountAuthentication::Client { handle, .. } => {
                    assert_eq!(*sphere, Sphere::Account);
                    accounts.insert(handle);
                }
                AccountAuthentication::Nobody => {}
            }
        }
        assert!(accounts.len() <= 1, "one connection, two accounts");
    }
    for (sphere, least) in [
        (Sphere::Account, 10),
        (Sphere::Contact, 9),
        (Sphere::Operations, 50),
        (Sphere::Streams, 50),
        (Sphere::Inboxes, 10),
        (Sphere::InboxOpening, 24),
        (Sphere::KeyPackages, 24),
    ] {
        let count = seen.get(&sphere).copied().unwrap_or_default();
        assert!(count >= least, "{sphere:?}: {count}");
    }

    // Where names are spoken, nothing is said of groups; and the other way round.
    let names = recorder.bytes(Sphere::knows_names);
    let found = Search::in_files(&played.known).kinds_in(&names);
    let of_accounts = BTreeSet::from([
        "real name",
        "device name",
        "bare name",
        "client key",
        "account key",
        "domain",
    ]);
    // Tokens are seen where somebody else is asked about, never where an account draws them.
    let mut with_tokens = of_accounts.clone();
    with_tokens.insert("token");
    assert!(found.is_subset(&with_tokens), "{found:?}");
    assert!(found.contains("bare name") && found.contains("account key"));
    let drawn = recorder.bytes(|sphere| sphere == Sphere::Account);
    let found = Search::in_files(&played.known).kinds_in(&drawn);
    assert!(found.is_subset(&of_accounts), "{found:?}");
    let pseudonyms = recorder.bytes(|sphere| !sphere.knows_names());
    assert_no_identity(&played.known, &pseudonyms);
    // Pools say nothing of either.
    let pools = recorder.bytes(|sphere| sphere == Sphere::KeyPackages);
    let found = Search::in_files(&played.known).kinds_in(&pools);
    assert!(found.is_subset(&["pool key", "token"].into()), "{found:?}");
    world.hub.shutdown().await;
}

/// All requests to send a message, as they were sent and parsed.
fn sends(recorder: &Recorder) -> Vec<(Vec<u8>, SendMessage, Authentication)> {
    let mut sends = Vec::new();
    for (path, body) in recorder.posts() {
        if Sphere::of(&path, &body).knows_names() {
            continue;
        }
        let request = DsRequest::parse(&body).unwrap().request;
        if let RequestBody::Send(send) = request.body {
            sends.push((body, send, request.auth));
        }
    }
    sends
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_does_not_show_its_sender() {
    let (world, recorder) = recorded().await;
    let mut known = Known::new();
    let anna = world.user("annabella").await;
    let bart = world.user("bartholomew").await;
    let cass = world.user("cassiopeia").await;
    let group = anna.create_group(GroupSettings::closed()).await.unwrap();
    let mut groups = vec![group.clone()];
    groups.push(add(&group, &bart, &mut known).await);
    groups.push(add(&group, &cass, &mut known).await);
    settle(&[&anna, &bart, &cass], &mut known).await;
    for _ in 0..2 {
        for group in &groups {
            say(group, "the same words", &mut known).await;
        }
    }
    note(&mut known, &[&anna, &bart, &cass]).await;

    let mut sends = sends(&recorder);
    // What they say to each other in pairs is another group's.
    sends.retain(|(_, send, _)| send.head.group_id == group.id());
    assert_eq!(sends.len(), 6);
    let mut ciphertexts = BTreeSet::new();
    for (bytes, send, auth) in &sends {
        let (first, first_send, _) = &sends[0];
        assert_eq!(bytes.len(), first.len());
        assert_eq!(send.head, first_send.head);
        assert_eq!(
            send.message.as_slice().len(),
            first_send.message.as_slice().len()
        );
        assert!(matches!(auth, Authentication::EpochMember { .. }));
        // PrivateMessage: version, format, group id, epoch, content type, authenticated data, and
        // from there on ciphertext. The same for everybody up to the encrypted sender.
        let clear = 2 + 2 + 1 + 16 + 8 + 1 + 1;
        let message = send.message.as_slice();
        assert_eq!(message[..clear], first_send.message.as_slice()[..clear]);
        assert!(
            ciphertexts.insert(&message[clear..]),
            "no two ciphertexts are equal"
        );
        // And nothing that belongs to one member.
        let found = Search::in_files(&known).kinds_in(bytes);
        let allowed = ["group id", "locator", "record key"].into();
        assert!(found.is_subset(&allowed), "{found:?}");
    }
    assert!(of_kind(&known, "leaf key").count() >= 3);
    world.hub.shutdown().await;
}
