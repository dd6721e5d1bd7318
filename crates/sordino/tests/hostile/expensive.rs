//! Requests that cost much: the state of a large group, asked for again and again; commits of very
//! many proposals; large bodies.

use crate::crowd::{BASE_KB, MIB_KB, Siege, many};
use crate::sized;
use sordino_benches::{BigGroup, Change, Http, Transport as _};
use sordino_hub::Endpoint;
use sordino_wire::limits::MAX_HANDSHAKE_BYTES;
use sordino_wire::{Authentication, Bytes, DsRequest, GroupId, RequestBody, ResponseBody, exact};
use std::net::SocketAddr;
use std::time::Duration;

const THREADS: usize = 8;
/// Pieces of long work at once (`WORKERS_PER_CORE` of the server), each with a commit of
/// [`MAX_HANDSHAKE_BYTES`] taken apart; and bodies and answers on their way.
const WORK_KB: u64 = 256 * MIB_KB;

/// The length of a vector as RFC 9420 writes it.
fn length(bytes: usize) -> Vec<u8> {
    let bytes = u32::try_from(bytes).unwrap();
    match bytes {
        0..64 => vec![u8::try_from(bytes).unwrap()],
        64..16_384 => (0x4000 | u16::try_from(bytes).unwrap())
            .to_be_bytes()
            .to_vec(),
        _ => (0x8000_0000 | bytes).to_be_bytes().to_vec(),
    }
}

fn vector(bytes: &[u8]) -> Vec<u8> {
    [length(bytes.len()), bytes.to_vec()].concat()
}

/// A PublicMessage with a commit of as many Removes as fit, signed by nobody.
fn commit_of_many(group_id: GroupId, epoch: u64) -> Vec<u8> {
    // ProposalOrRef proposal, ProposalType remove, the leaf.
    let remove = [1, 0, 3, 0, 0, 0, 1];
    let proposals = remove.repeat((MAX_HANDSHAKE_BYTES - 1_024) / remove.len());
    let mut out = vec![0, 1, 0, 1];
    out.extend(vector(&group_id.0));
    out.extend(epoch.to_be_bytes());
    // The sender: a member, leaf 0. No authenticated data. The content: a commit.
    out.extend([1, 0, 0, 0, 0, 0, 3]);
    out.extend(vector(&proposals));
    // No path; signature, confirmation tag, membership tag.
    out.push(0);
    out.extend(vector(&[7; 64]));
    out.extend(vector(&[7; 32]));
    out.extend(vector(&[7; 32]));
    out
}

/// A valid request of a member around a commit that costs much to look at.
fn bomb(http: &mut Http, group: &mut BigGroup) -> Vec<u8> {
    let request = group.build(http, &Change::Update);
    let body = DsRequest::parse(&request).unwrap().body_bytes.to_vec();
    let Ok(RequestBody::Commit(mut commit)) = exact(&body) else {
        panic!("not a commit");
    };
    let bytes = commit_of_many(group.access().group_id, commit.key_check.epoch - 1);
    commit.commit = Bytes::new(bytes).unwrap();
    group.check_keys(&mut commit);
    group.signed(RequestBody::Commit(commit))
}

fn ask(body: RequestBody) -> Vec<u8> {
    let auth = Authentication::Possession;
    DsRequest { body, auth }.encode().unwrap()
}

/// What is asked again and again.
fn requests(address: SocketAddr) -> Vec<(Endpoint, Vec<u8>)> {
    let mut http = Http::connect(address);
    let mut group = BigGroup::blank(&mut http, 77, sized(64, 1_000));
    let bomb = bomb(&mut http, &mut group);
    vec![
        (Endpoint::GroupOperation, bomb),
        (
            Endpoint::ExternalCommitInformation,
            ask(RequestBody::InspectMembership(group.access())),
        ),
        (
            Endpoint::ExternalCommitInformation,
            ask(RequestBody::ExternalCommitInformation(group.access())),
        ),
    ]
}

#[test]
fn expensive_requests_do_not_starve_cheap_ones() {
    let (siege, group) = Siege::begin();
    let requests = requests(siege.hub.address);
    siege.withstand(group, BASE_KB + WORK_KB, |address| {
        let lasting = Duration::from_secs(sized(3, 60));
        let asked = many(THREADS, lasting, |thread, round| {
            let number = thread + usize::try_from(round).unwrap();
            let (endpoint, request) = &requests[number % requests.len()];
            let answer = Http::connect(address).exchange(*endpoint, request);
            let refused = matches!(answer, ResponseBody::Rejected(_));
            assert_eq!(refused, *endpoint == Endpoint::GroupOperation, "{answer:?}");
        });
        format!("{asked} expensive requests")
    });
}
