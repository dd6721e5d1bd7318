//! The MLS working group's history at the front door: what the whole pipeline says to commits and
//! proposals that MLS finds good and our rules do not.
//!
//! How it is followed where it can be, below the rules, is in `src/apply/vectors.rs`. Trees and
//! objects by themselves are in `tests/oracle`.

use crate::load::{Hex, histories};
use crate::scene::group_of;
use crate::support::{Actor, Kind, Plan, World};
use sordino_hub::Endpoint;
use sordino_wire::limits::MAX_PROPOSALS_PER_REQUEST;
use sordino_wire::{
    Bytes, CommitRequest, List, ProposalsRequest, Reject, RequestBody, encode, exact,
};

/// A message that says it is for this group and epoch. Its signature covers what it said before.
fn readdressed(message: &Hex, world: &World, epoch: u64) -> Vec<u8> {
    let bytes = &message.0;
    let id_ends = 5 + 32;
    assert_eq!(bytes[4], 32);
    let mut changed = bytes[..4].to_vec();
    changed.push(16);
    changed.extend(world.group_id.0);
    changed.extend(epoch.to_be_bytes());
    changed.extend(&bytes[id_ends + 8..]);
    changed
}

fn send(world: &mut World, member: &Actor, body: RequestBody) -> Reject {
    let signing = member.signing(world);
    let bytes = signing.bytes(world, Kind::Leaf, body);
    world.refused(&bytes, Endpoint::GroupOperation)
}

/// An honest request with another commit in it.
fn with_commit(honest: &CommitRequest, commit: &[u8]) -> RequestBody {
    let mut request: CommitRequest = exact(&encode(honest).unwrap()).unwrap();
    request.commit = Bytes::new(commit.to_vec()).unwrap();
    RequestBody::Commit(Box::new(request))
}

fn with_proposals(member: &Actor, proposals: &[Vec<u8>]) -> RequestBody {
    let proposals = proposals.iter().map(|p| Bytes::new(p.clone()).unwrap());
    RequestBody::Proposals(ProposalsRequest {
        access: member.access(),
        proposals: List::new(proposals.collect()).unwrap(),
        inbox: None,
    })
}

/// Our group ids have 16 bytes, those of the vectors 32: no request can name their group.
#[test]
fn a_member_gets_no_message_of_another_group_past_the_pipeline() {
    let (mut world, mut members) = group_of(901, 2);
    let honest = members[0].draft(&mut world, &Plan::update());
    let member = &members[0];
    let epoch = member.epoch();
    let (mut commits, mut proposals) = (0, 0);
    for sent in histories().iter().flat_map(|history| &history.epochs) {
        let as_it_is = with_commit(&honest, &sent.commit.0);
        assert_eq!(send(&mut world, member, as_it_is), Reject::UnknownGroup);
        let ours = readdressed(&sent.commit, &world, epoch);
        let reject = send(&mut world, member, with_commit(&honest, &ours));
        assert_eq!(reject, Reject::InvalidCommit);
        let late = readdressed(&sent.commit, &world, epoch - 1);
        let reject = send(&mut world, member, with_commit(&honest, &late));
        assert_eq!(reject, Reject::WrongEpoch { current: epoch });
        commits += 1;
        for batch in sent.proposals.chunks(MAX_PROPOSALS_PER_REQUEST) {
            let as_they_are: Vec<Vec<u8>> = batch.iter().map(|p| p.0.clone()).collect();
            let body = with_proposals(member, &as_they_are);
            assert_eq!(send(&mut world, member, body), Reject::UnknownGroup);
        }
        proposals += sent.proposals.len();
        // They are refused one by one; the first of each epoch stands for the others.
        if let Some(first) = sent.proposals.first() {
            let ours = readdressed(first, &world, epoch);
            let reject = send(&mut world, member, with_proposals(member, &[ours]));
            assert_eq!(reject, Reject::InvalidProposal);
        }
    }
    assert_eq!((commits, proposals), (200, 1542));
    members[0].commit(&mut world, &Plan::update());
}
