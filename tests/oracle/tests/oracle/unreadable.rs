//! What mls-rs cannot take part in, shown on the bytes: it frames the body of every proposal type that
//! it does not know as an `opaque<V>`, and gives no way to frame it otherwise.

use crate::scene::group_of;
use crate::stack::{APP_DATA_UPDATE, SELF_REMOVE};
use crate::support::{Kind, Plan, policy, rejected};
use mls_rs::MlsMessage;
use mls_rs::group::proposal::{CustomProposal, Proposal as Theirs, ProposalType};
use mls_rs_codec::{MlsDecode as _, MlsEncode as _};
use openmls::framing::MlsMessageIn;
use openmls::messages::proposals::{AppDataUpdateProposal, Proposal};
use sordino_wire::{Bytes, List, POLICY_COMPONENT, Reject, RequestBody, encode};
use tls_codec::{DeserializeBytes as _, Serialize as _};

fn theirs(kind: u16, body: Vec<u8>) -> Vec<u8> {
    let proposal = CustomProposal::new(ProposalType::new(kind), body);
    Theirs::Custom(proposal).mls_encode_to_vec().unwrap()
}

#[test]
fn a_self_remove_has_another_encoding() {
    let drafts = Proposal::SelfRemove.tls_serialize_detached().unwrap();
    assert_eq!(drafts, [0, 10]);
    assert!(Theirs::mls_decode(&mut drafts.as_slice()).is_err());
    assert_eq!(theirs(SELF_REMOVE, Vec::new()), [0, 10, 0]);
}

#[test]
fn an_app_data_update_has_another_encoding() {
    let policy = encode(&policy()).unwrap();
    let update = AppDataUpdateProposal::update(POLICY_COMPONENT, policy.clone());
    let drafts = Proposal::AppDataUpdate(Box::new(update));
    let drafts = drafts.tls_serialize_detached().unwrap();
    assert!(Theirs::mls_decode(&mut drafts.as_slice()).is_err());
    // Whatever body it is given, a length comes before it.
    let ours = theirs(APP_DATA_UPDATE, drafts[2..].to_vec());
    assert!(ours.ends_with(&drafts[2..]) && ours.len() > drafts.len());
}

#[test]
fn messages_with_them_are_not_read() {
    let (mut world, mut members) = group_of(980, 2);
    let mut policy = policy();
    policy.max_members = 50;
    let plan = Plan {
        policy: Some(policy),
        ..Plan::default()
    };
    let commit = members[0].draft(&mut world, &plan).commit;
    let leaving = members[1].leaving_request();
    let leaving = leaving.proposals.iter().next().unwrap();
    for message in [commit.as_slice(), leaving.as_slice()] {
        assert!(MlsMessageIn::tls_deserialize_exact_bytes(message).is_ok());
        assert!(MlsMessage::from_bytes(message).is_err());
    }
    // Their form of a SelfRemove does not reach the hub's MLS either: one byte is too many.
    let at = leaving.as_slice().windows(3).position(|w| w == [2, 0, 10]);
    let mut as_theirs = leaving.as_slice().to_vec();
    as_theirs.insert(at.unwrap() + 3, 0);
    let mut request = members[1].leaving_request();
    request.proposals = List::new(vec![Bytes::new(as_theirs).unwrap()]).unwrap();
    let answer = members[1].request(&mut world, Kind::Leaf, RequestBody::Proposals(request));
    assert_eq!(rejected(answer), Reject::Malformed);
}
