//! What the hub says to those who must not know, byte for byte, and to those who send no request.

use crate::hostile::trio;
use crate::support::{World, access, ear_key, exchange, post};
use sordino_wire::limits::MAX_BODY_BYTES;
use sordino_wire::{
    Authentication, DsRequest, DsResponse, GroupAccess, GroupId, Reject, RequestBody, ResponseBody,
    Secret32, WelcomeInformationRequest, media,
};
use std::sync::{Arc, Mutex};

fn request(body: RequestBody, auth: Authentication) -> Vec<u8> {
    DsRequest::free(body, auth).encode().unwrap()
}

fn rejected(answer: &[u8]) -> Reject {
    match DsResponse::parse(answer).unwrap().body {
        ResponseBody::Rejected(reject) => reject,
        other => panic!("not refused: {other:?}"),
    }
}

/// The head without what differs from one second to the next.
fn stable(head: &str) -> Vec<String> {
    let lines = head.lines().map(str::to_lowercase);
    lines.filter(|line| !line.starts_with("date:")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_wrong_and_not_permitted_are_one_answer() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let key = ear_key(&party.clients[0], &party.groups[0]).await;
    party.assert_together().await;
    let group_id = party.groups[0].id();
    let epoch = party.groups[0].epoch().await.unwrap();
    let unknown = || GroupAccess {
        group_id: GroupId([99; 16]),
        ear_key: Secret32::new([3; 32]),
    };
    let wrong_key = || GroupAccess {
        group_id,
        ear_key: Secret32::new([4; 32]),
    };
    let wrong_group = || GroupAccess {
        group_id: GroupId([98; 16]),
        ear_key: key.duplicate(),
    };
    let mut answers = Vec::new();
    let mut keep = async |path: &str, bytes: Vec<u8>| {
        let (head, body) = exchange(world.address, "POST", path, &bytes).await;
        answers.push((stable(&head), body));
    };
    for make in [
        RequestBody::InspectMembership,
        RequestBody::ExternalCommitInformation,
    ] {
        for access in [unknown(), wrong_key(), wrong_group()] {
            let bytes = request(make(access), Authentication::Possession);
            keep(media::EXTERNAL_COMMIT_INFORMATION, bytes).await;
        }
    }
    // Welcome information, for a joiner who was not added, of a group whose key it has; and of one
    // that there is not.
    let stranger = sordino_crypto::SigningKey::from_seed(&[8; 32]);
    for access in [access(&party.groups[0], &key), unknown(), wrong_key()] {
        let id = access.group_id;
        let body = RequestBody::WelcomeInformation(WelcomeInformationRequest { access, epoch });
        let bytes = joiner_request(&world, &stranger, body, id, epoch);
        keep(media::WELCOME_INFORMATION, bytes).await;
    }
    let (head, body) = &answers[0];
    assert_eq!(rejected(body), Reject::UnknownGroup);
    assert_eq!(body.len(), 512);
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(&answer.1, body, "answer {index}");
        assert_eq!(&answer.0, head, "answer {index}");
    }
    assert_eq!(answers.len(), 9);
    world.stop().await;
}

fn joiner_request(
    world: &World,
    key: &sordino_crypto::SigningKey,
    body: RequestBody,
    group_id: GroupId,
    epoch: u64,
) -> Vec<u8> {
    let now_s = world.now_s();
    let freshness = sordino_wire::Freshness {
        epoch,
        time_s: now_s - now_s % 60,
        nonce: sordino_wire::Nonce([7; 16]),
    };
    let domain = world.domain();
    let body_hash = sordino_crypto::sha256(&sordino_wire::encode(&body).unwrap());
    let tbs = sordino_wire::RequestTbs::new(domain, group_id, freshness, body_hash);
    let auth = Authentication::Joiner {
        freshness,
        signature_key: key.public(),
        signature: key.sign_struct(sordino_wire::REQUEST_LABEL, &tbs).unwrap(),
    };
    request(body, auth)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_has_an_error_of_its_own() {
    let mut world = World::start().await;
    let read = RequestBody::InspectMembership(GroupAccess {
        group_id: GroupId([1; 16]),
        ear_key: Secret32::new([1; 32]),
    });
    let whole = request(read, Authentication::Possession);
    let path = media::EXTERNAL_COMMIT_INFORMATION;

    let (status, answer) = post(world.address, path, &whole).await;
    assert_eq!((status, rejected(&answer)), (200, Reject::UnknownGroup));

    let (status, answer) = post(world.address, path, &whole[..whole.len() - 1]).await;
    assert_eq!((status, rejected(&answer)), (200, Reject::Malformed));

    let mut newer = whole.clone();
    newer[..2].copy_from_slice(&77u16.to_be_bytes());
    let (status, answer) = post(world.address, path, &newer).await;
    let Reject::UnsupportedVersion { supported } = rejected(&answer) else {
        panic!("not the version");
    };
    assert_eq!((status, supported), (200, sordino_wire::PROTOCOL_VERSION));

    let mut padded = whole.clone();
    *padded.last_mut().unwrap() = 1;
    let (status, answer) = post(world.address, path, &padded).await;
    assert_eq!((status, rejected(&answer)), (200, Reject::Malformed));

    let (status, answer) = post(world.address, media::INBOXES, &whole).await;
    assert_eq!((status, rejected(&answer)), (200, Reject::WrongEndpoint));

    let (head, problem) = exchange(world.address, "POST", path, &vec![0; MAX_BODY_BYTES + 1]).await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    let problem = String::from_utf8(problem).unwrap();
    assert!(problem.contains("body_too_large"), "{problem}");
    world.stop().await;
}

/// A request that a client signed serves once: not in another group, not later, not with another
/// body.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_serves_nothing_else() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let other = party.clients[0]
        .create_group(sordino_client::GroupSettings::closed())
        .await
        .unwrap();
    let key = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&key);
    party.clients[0].set_request_hook(Some(Arc::new(move |body, context| {
        if let (RequestBody::Commit(_), Some(leaf_key)) = (&*body, context.leaf_key) {
            *slot.lock().unwrap() = Some(leaf_key.seed());
        }
    })));
    party.groups[0].move_generation().await.unwrap();
    party.clients[0].set_request_hook(None);
    party.rounds(&[0, 1, 2], 2).await;
    let ear = ear_key(&party.clients[1], &party.groups[1]).await;
    party.rounds(&[0, 1, 2], 1).await;
    let seed = key.lock().unwrap().take().unwrap();
    let leaf = sordino_crypto::SigningKey::from_seed(&seed);
    let epoch = party.groups[0].epoch().await.unwrap();
    let now_s = world.now_s();
    let time_s = now_s - now_s % 60;
    let domain = world.domain();
    let group_id = party.groups[0].id();

    let confirm = || RequestBody::ConfirmKeys(access(&party.groups[0], &ear));
    let signed = |domain, group_id, time_s, nonce, body: &RequestBody| {
        let freshness = sordino_wire::Freshness {
            epoch,
            time_s,
            nonce: sordino_wire::Nonce([nonce; 16]),
        };
        let body_hash = sordino_crypto::sha256(&sordino_wire::encode(body).unwrap());
        let tbs = sordino_wire::RequestTbs::new(domain, group_id, freshness, body_hash);
        Authentication::Leaf {
            freshness,
            leaf_index: 0,
            signature: leaf.sign_struct(sordino_wire::REQUEST_LABEL, &tbs).unwrap(),
        }
    };
    let path = media::GROUP_OPERATION;
    let elsewhere = sordino_wire::Domain::new("other.example.org").unwrap();
    let body = confirm();
    let for_another_hub = signed(elsewhere, group_id, time_s, 1, &body);
    let for_another_group = signed(domain.clone(), other.id(), time_s, 2, &body);
    let too_old = signed(domain.clone(), group_id, time_s - 3_600, 3, &body);
    let report = RequestBody::ReportCommit(sordino_wire::ReportCommit {
        access: access(&party.groups[0], &ear),
        commit_hash: sordino_wire::Digest([1; 32]),
    });
    let for_another_body = signed(domain.clone(), group_id, time_s, 4, &report);
    for (auth, expected) in [
        (for_another_hub, Reject::BadAuthentication),
        (for_another_group, Reject::BadAuthentication),
        (too_old, Reject::StaleTime { hub_time_s: time_s }),
        (for_another_body, Reject::BadAuthentication),
    ] {
        let (_, answer) = post(world.address, path, &request(confirm(), auth)).await;
        assert_eq!(rejected(&answer), expected);
    }
    // It was not the key: signed for what it is, the hub takes it.
    let good = request(confirm(), signed(domain, group_id, time_s, 5, &body));
    let (_, answer) = post(world.address, path, &good).await;
    let answer = DsResponse::parse(&answer).unwrap().body;
    assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
    world.stop().await;
}
