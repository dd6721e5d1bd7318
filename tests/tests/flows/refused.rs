//! A member, or somebody with a member's stolen secrets, whose commits the hub refuses: with an
//! error that says which rule, with nothing changed, and without the others noticing.

use crate::forge::{Commit, forging, information, leaf_key_of, other_pseudonym};
use crate::hostile::trio;
use crate::support::{Party, World, drain, ear_key};
use sordino_client::raw::{self, LeafGrant, LeafRequest};
use sordino_client::{Client, ClientError, Event, GroupStatus};
use sordino_crypto::SigningKey;
use sordino_wire::{
    CommitAad, CredentialRule, ExternalCommitInformation, LeafProof, List, Reject, Secret32,
    SignatureBytes, encode, exact,
};

/// A group, what its hub said about it, and what was heard since.
struct Before {
    key: Secret32,
    information: ExternalCommitInformation,
    authenticator: Vec<u8>,
    events: Vec<sordino_client::EventStream>,
}

impl Before {
    async fn of(world: &World, party: &Party) -> Self {
        let key = ear_key(&party.clients[0], &party.groups[0]).await;
        party.assert_together().await;
        Self {
            information: information(world.address, &party.groups[0], &key).await,
            key,
            authenticator: party.groups[1].epoch_authenticator().await.unwrap(),
            events: party.clients.iter().map(Client::events).collect(),
        }
    }

    /// The hub has what it had, down to its counter; nobody heard of anything; all go on.
    async fn assert_unchanged(&mut self, world: &World, party: &Party) {
        let now = information(world.address, &party.groups[1], &self.key).await;
        assert_eq!(now, self.information);
        party.rounds(&[0, 1, 2], 2).await;
        for (index, group) in party.groups.iter().enumerate() {
            assert_eq!(group.status().await.unwrap(), GroupStatus::Active);
            let authenticator = group.epoch_authenticator().await.unwrap();
            assert_eq!(authenticator, self.authenticator);
            let heard: Vec<Event> = drain(&mut self.events[index]);
            assert!(heard.is_empty(), "{heard:?}");
        }
    }
}

/// Mallory commits a change that a forger makes of it.
async fn refusal(
    before: &Before,
    party: &Party,
    change: impl Fn(&mut Commit, &SigningKey) + Send + Sync + 'static,
) -> Reject {
    let hook = forging(before.information.clone(), change);
    party.clients[0].set_request_hook(Some(hook));
    let outcome = party.groups[0].move_generation().await;
    party.clients[0].set_request_hook(None);
    match outcome {
        Err(ClientError::Refused(reject)) => reject,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_that_become_somebody_else() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let mut before = Before::of(&world, &party).await;

    // A pseudonym of its own making, correct in itself.
    let reject = refusal(&before, &party, |commit, key| {
        commit
            .path()
            .replace_credential(|credential| other_pseudonym(credential, key));
        commit.sign_leaf(key);
    })
    .await;
    let changed = Reject::InvalidCredential(CredentialRule::PseudonymChanged);
    assert_eq!(reject, changed);

    // Bob's user pseudonym, which bob's user key did not sign for.
    let bob = party.groups[1].own().await.unwrap();
    let victim = bob.user_pseudonym.clone();
    let reject = refusal(&before, &party, move |commit, key| {
        commit
            .path()
            .replace_credential(|credential| credential.user_pseudonym = victim.clone());
        commit.sign_leaf(key);
    })
    .await;
    let of_bob = Reject::InvalidCredential(CredentialRule::UserPseudonym);
    assert_eq!(reject, of_bob);

    // Bob's signature key in mallory's leaf: MLS wants bob's signature for it.
    let key_of_bob = leaf_key_of(&before.information, bob.user_pseudonym.as_str());
    let reject = refusal(&before, &party, move |commit, key| {
        commit
            .path()
            .replace_credential(|credential| credential.signature_key = key_of_bob.clone());
        commit.sign_leaf(key);
    })
    .await;
    assert_eq!(reject, Reject::InvalidCommit);

    // Bob's signature key in the credential alone.
    let key_of_bob = leaf_key_of(&before.information, bob.user_pseudonym.as_str());
    let reject = refusal(&before, &party, move |commit, key| {
        commit
            .path()
            .replace_credential(|credential| credential.signature_key = key_of_bob.clone());
        commit.path().signature_key = key.public().as_slice().to_vec();
        commit.sign_leaf(key);
    })
    .await;
    assert!(matches!(reject, Reject::InvalidCredential(_)), "{reject}");

    before.assert_unchanged(&world, &party).await;
    party.assert_talks().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_their_sender_did_not_sign() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let mut before = Before::of(&world, &party).await;
    let info = before.information.group_info.as_slice().to_vec();
    let hook = forging(before.information.clone(), |_, _| {});
    party.clients[0].set_request_hook(Some(std::sync::Arc::new(move |body, context| {
        hook(body, context);
        let sordino_wire::RequestBody::Commit(request) = body else {
            return;
        };
        let mut commit = Commit::parse(request.commit.as_slice());
        commit.sign_content(&SigningKey::from_seed(&[9; 32]), &info);
        request.commit = sordino_wire::HandshakeBytes::new(commit.bytes()).unwrap();
    })));
    let outcome = party.groups[0].move_generation().await;
    party.clients[0].set_request_hook(None);
    let refused = matches!(outcome, Err(ClientError::Refused(Reject::InvalidCommit)));
    assert!(refused, "{outcome:?}");

    // A confirmation tag that the GroupInfo does not cover: the hub cannot check the tag, but
    // what it would serve to joiners.
    party.clients[0].set_request_hook(Some(std::sync::Arc::new(|body, context| {
        let sordino_wire::RequestBody::Commit(request) = body else {
            return;
        };
        let mut commit = Commit::parse(request.commit.as_slice());
        commit.confirmation_tag[0] ^= 1;
        request.key_check.commit_hash = sordino_crypto::sha256(&commit.bytes());
        request.commit = sordino_wire::HandshakeBytes::new(commit.bytes()).unwrap();
        crate::forge::sign_key_check(request, context);
    })));
    let outcome = party.groups[0].move_generation().await;
    party.clients[0].set_request_hook(None);
    let refused = matches!(outcome, Err(ClientError::Refused(Reject::InvalidGroupInfo)));
    assert!(refused, "{outcome:?}");
    before.assert_unchanged(&world, &party).await;
    world.stop().await;
}

/// Somebody who got hold of bob's user secrets, as a device that bob never consented to.
pub async fn thief(world: &World, bob: &Client) -> Client {
    let config = world.client_config("thief");
    raw::stolen_device(bob, config).await.unwrap()
}

/// A grant ends with its proof: user's signature, sibling, sibling's signature.
pub fn with_proof(grant: &LeafGrant, change: impl FnOnce(&mut LeafProof)) -> LeafGrant {
    let mut bytes = encode(grant).unwrap();
    let proof_at = bytes.len() - (66 + 4 + 66);
    let mut proof: LeafProof = exact(&bytes[proof_at..]).unwrap();
    change(&mut proof);
    bytes.truncate(proof_at);
    bytes.extend(encode(&proof).unwrap());
    exact(&bytes).unwrap()
}

pub fn spoiled(signature: &SignatureBytes) -> SignatureBytes {
    let mut bytes = signature.as_slice().to_vec();
    bytes[10] ^= 1;
    SignatureBytes::new(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_not_grafted_by_external_commit() {
    let mut world = World::start().await;
    let party = trio(&world).await;
    let mut before = Before::of(&world, &party).await;
    let thief = thief(&world, &party.clients[1]).await;
    let request = raw::leaf_request(&thief, &party.groups[1]).await.unwrap();
    let grant = raw::grant_leaf(&party.groups[1], &request).await.unwrap();
    // A grant that is good, but for another device's key.
    let other = LeafRequest {
        leaf_key: SigningKey::from_seed(&[3; 32]).public(),
        ..request.clone()
    };
    let other = raw::grant_leaf(&party.groups[1], &other).await.unwrap();
    let changes: [LeafGrant; 4] = [
        with_proof(&grant, |p| {
            p.sibling_signature = spoiled(&p.sibling_signature)
        }),
        with_proof(&grant, |p| p.user_signature = spoiled(&p.user_signature)),
        with_proof(&grant, |p| p.sibling_leaf = 0),
        other,
    ];
    for forged in changes {
        let outcome = raw::join_with_grant(&thief, forged).await;
        let refused = Reject::InvalidCredential(CredentialRule::LeafProof);
        assert!(
            matches!(&outcome, Err(ClientError::Refused(reject)) if *reject == refused),
            "{outcome:?}"
        );
    }
    before.assert_unchanged(&world, &party).await;
    // The grant as it was given is good: it was the forgery that was refused.
    raw::join_with_grant(&thief, grant).await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_not_grafted_by_its_users_add() {
    let mut world = World::free().await;
    let party = trio(&world).await;
    let mut before = Before::of(&world, &party).await;
    let config = world.client_config("second");
    let second = raw::stolen_device(&party.clients[0], config).await.unwrap();
    let entry = raw::key_package_for(&second, &party.groups[0])
        .await
        .unwrap();

    let changes: [fn(&mut LeafProof); 3] = [
        |p| p.sibling_signature = spoiled(&p.sibling_signature),
        |p| p.user_signature = spoiled(&p.user_signature),
        |p| p.sibling_leaf = 1,
    ];
    for change in changes {
        let hook = forging(before.information.clone(), move |commit, _| {
            let mut aad: CommitAad = exact(&commit.aad).unwrap();
            let mut proofs = std::mem::take(&mut aad.proofs).into_vec();
            change(&mut proofs[0]);
            aad.proofs = List::new(proofs).unwrap();
            commit.aad = encode(&aad).unwrap();
        });
        party.clients[0].set_request_hook(Some(hook));
        let outcome = raw::add_own_devices(&party.groups[0], vec![entry.clone()]).await;
        party.clients[0].set_request_hook(None);
        let refused = Reject::InvalidCredential(CredentialRule::LeafProof);
        assert!(
            matches!(&outcome, Err(ClientError::Refused(reject)) if *reject == refused),
            "{outcome:?}"
        );
    }
    before.assert_unchanged(&world, &party).await;
    raw::add_own_devices(&party.groups[0], vec![entry])
        .await
        .unwrap();
    world.stop().await;
}
