//! Commits that MLS finds good and our rules do not: mls-rs takes them, unless they touch what its
//! identity provider is told of our credential.

use crate::scene::{add_device, group_of, sync_all};
use crate::support::{Actor, Plan, World, policy};
use crate::verdicts::{Hub, judge};
use crate::watch::Watch;
use sordino_crypto::SigningKey;
use sordino_wire::{PseudonymousCredential, PseudonymousCredentialTbs};
use std::collections::BTreeMap;

/// Signed by a user key of its own.
fn signed(mut credential: PseudonymousCredential, key: &SigningKey) -> PseudonymousCredential {
    credential.user_auth_key = key.public();
    let tbs = PseudonymousCredentialTbs {
        client_pseudonym: credential.client_pseudonym.clone(),
        user_pseudonym: credential.user_pseudonym.clone(),
        signature_key: credential.signature_key.clone(),
        user_auth_key: credential.user_auth_key.clone(),
    };
    credential.user_auth_signature = key.sign_struct("PseudonymousCredential", &tbs).unwrap();
    credential
}

/// A correct credential of another user for the next leaf key.
fn other_user(member: &Actor) -> Plan {
    let key = SigningKey::from_seed(&[77; 32]);
    let domain = sordino_wire::Domain::new("home.example").unwrap();
    let mut credential = member.credential_after(member.rotation + 1);
    credential.user_pseudonym = sordino_crypto::user_pseudonym(&domain, &key.public()).unwrap();
    let leaf_key = member.leaf_key_after(member.rotation + 1);
    Plan {
        impostor: Some((leaf_key, signed(credential, &key))),
        ..Plan::update()
    }
}

/// A credential under a user pseudonym that is not its key's hash.
fn stolen_pseudonym(member: &Actor, other: &Actor) -> Plan {
    let mut credential = member.credential_after(member.rotation + 1);
    credential.user_pseudonym = other.user_pseudonym();
    let leaf_key = member.leaf_key_after(member.rotation + 1);
    Plan {
        impostor: Some((leaf_key, signed(credential, &member.user_key()))),
        ..Plan::update()
    }
}

fn plans(world: &mut World, members: &[Actor]) -> Vec<(&'static str, Plan)> {
    let [first, second, third] = [0, 1, 2].map(|m| members[m].leaf());
    let mut new = Actor::rejoining(world, 9, 0, 0);
    let mut own_device = Actor::new(world, 1, 1);
    let mut others_device = Actor::new(world, 3, 1);
    let mut small = policy();
    small.max_members = 2;
    let with = |removes: &[u32], plan: Plan| Plan {
        removes: removes.to_vec(),
        ..plan
    };
    assert_ne!(first, second);
    vec![
        ("half a user", Plan::remove(&[second])),
        (
            "an Add and a removal",
            with(&[third], Plan::add(vec![new.invitation(world)])),
        ),
        (
            "a removal that keeps the generation",
            Plan {
                moves: Some(false),
                ..Plan::remove(&[third])
            },
        ),
        (
            "an end of a group with others in it",
            Plan {
                delete: true,
                ..Plan::remove(&[third])
            },
        ),
        (
            "an own device without proof",
            Plan::add(vec![own_device.invitation(world)]),
        ),
        (
            "another's device",
            Plan::add(vec![others_device.invitation(world)]),
        ),
        ("somebody else's leaf", other_user(&members[0])),
        (
            "a stolen pseudonym",
            stolen_pseudonym(&members[0], &members[2]),
        ),
        (
            "a policy that does not hold its members",
            Plan {
                policy: Some(small),
                ..Plan::default()
            },
        ),
        ("a removal that was asked for, left out", {
            Plan {
                without_pending: true,
                ..Plan::update()
            }
        }),
    ]
}

#[test]
fn what_rules_alone_refuse() {
    let (mut world, mut members) = group_of(960, 3);
    let device = add_device(&mut world, &mut members[1], 1);
    members.push(device);
    sync_all(&mut world, &mut members);
    let mut watch = Watch::begin(&mut world, &members[0]);
    let mut verdicts = BTreeMap::new();
    let plans = plans(&mut world, &members);
    for (name, plan) in plans {
        if plan.without_pending {
            crate::support::done(members[3].leave(&mut world));
            sync_all(&mut world, &mut members);
            watch.follow(&mut world, &members[0]);
        }
        let request = members[0].draft(&mut world, &plan);
        let kind = members[0].kind_of(&plan);
        let said = judge(&mut world, &watch.group, &members[0], kind, request);
        let rule = match said.hub {
            Hub::Rule(rule) => rule.split(['{', ' ']).next().unwrap().to_owned(),
            Hub::Mls => panic!("MLS refuses {name}"),
        };
        verdicts.insert(name, (rule, said.watcher));
    }
    let mls_rs = |error: &str| Some(error.to_owned());
    let expected = [
        ("half a user", "NotAnOperation", None),
        ("an Add and a removal", "NotAnOperation", None),
        ("a removal that keeps the generation", "Generation", None),
        (
            "an end of a group with others in it",
            "NotAnOperation",
            None,
        ),
        (
            "an own device without proof",
            "InvalidCredential(LeafProof)",
            None,
        ),
        ("another's device", "InvalidCredential(LeafProof)", None),
        // What mls-rs' identity provider is told of our credential.
        (
            "somebody else's leaf",
            "InvalidCredential(PseudonymChanged)",
            mls_rs("InvalidSuccessor"),
        ),
        (
            "a stolen pseudonym",
            "InvalidCredential(UserPseudonym)",
            mls_rs("IdentityProviderError"),
        ),
        // Not readable by mls-rs.
        (
            "a policy that does not hold its members",
            "Policy(Policy)",
            mls_rs("SerializationError"),
        ),
        (
            "a removal that was asked for, left out",
            "MissingProposals",
            None,
        ),
    ];
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(name, rule, watcher)| (name, (rule.to_owned(), watcher)))
        .collect();
    assert_eq!(verdicts, expected);
}
