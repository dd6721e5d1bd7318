//! A commit that says something twice.

use super::device::*;
use super::world::*;
use crate::*;
use openmls::framing::MlsMessageOut;
use openmls::prelude::LeafNodeIndex;
use sordino_wire::Reject;
use tls_codec::{Serialize as _, VLBytes};

fn bytes(message: &MlsMessageOut) -> Vec<u8> {
    message.tls_serialize_detached().unwrap()
}

/// The message with its proposals once more behind themselves. They begin with `first`.
fn doubled(message: &[u8], first: &[u8], length: usize) -> Vec<u8> {
    let at = message
        .windows(first.len())
        .position(|window| window == first)
        .unwrap();
    let proposals = &message[at..at + length];
    let twice = VLBytes::new([proposals, proposals].concat());
    // One byte of length stands before them.
    assert_eq!(usize::from(message[at - 1]), length);
    [
        &message[..at - 1],
        &twice.tls_serialize_detached().unwrap(),
        &message[at + length..],
    ]
    .concat()
}

fn group() -> World {
    World::with(&open_policy(), &[(1, 0), (2, 0)])
}

#[test]
fn a_proposal_stands_once_in_a_commit() {
    let mut world = group();
    let leaves = [LeafNodeIndex::new(1)];
    let bundle = world.commit(0, moves(), |builder| builder.propose_removals(leaves));
    let honest = bytes(bundle.commit());
    assert_eq!(check_no_repeats(&honest), Ok(()));
    let twice = doubled(&honest, &[1, 0, 3, 0, 0, 0, 1], 7);
    assert_eq!(check_no_repeats(&twice), Err(Reject::InvalidCommit));
}

#[test]
fn a_reference_stands_once_in_a_commit() {
    let mut world = group();
    world.leaves(1);
    let bundle = world.commit(0, moves(), |builder| builder);
    let honest = bytes(bundle.commit());
    assert_eq!(check_no_repeats(&honest), Ok(()));
    // A reference of 32 bytes.
    let twice = doubled(&honest, &[2, 32], 34);
    assert_eq!(check_no_repeats(&twice), Err(Reject::InvalidCommit));
}

#[test]
fn different_proposals_are_no_repeats() {
    let mut world = group();
    let leaves = [1, 2].map(LeafNodeIndex::new);
    let bundle = world.commit(0, moves(), |builder| builder.propose_removals(leaves));
    assert_eq!(check_no_repeats(&bytes(bundle.commit())), Ok(()));
}

#[test]
fn what_is_no_commit_passes_and_junk_does_not() {
    let mut world = group();
    let leaving = world.leaves(1);
    assert_eq!(check_no_repeats(&bytes(&leaving)), Ok(()));
    let honest = bytes(&leaving);
    assert_eq!(check_no_repeats(&honest[..10]), Err(Reject::Malformed));
    assert_eq!(check_no_repeats(&[]), Err(Reject::Malformed));
}
