//! Whoever was removed has all its old keys; let it also have the operator's, the windows', the
//! index key and the whole store. It opens what it could read before, and nothing since.

use crate::scene::{add, all_agree, confirm, group_of, group_with, sync_all};
use crate::support::{Actor, MemoryStore, Plan, Way, World, done, policy};
use sordino_crypto::{
    Address, DeliveryKey, EarKey, LayerKey, Space, open_entry, open_layer, stream_id,
};
use sordino_wire::{Digest, JoinRule, SealedEntry, Secret32, exact};
use std::collections::BTreeSet;

/// Everything that somebody who is outside can try.
struct Burglar {
    keys: Vec<Secret32>,
    places: BTreeSet<[u8; 16]>,
    streams: BTreeSet<[u8; 32]>,
}

impl Burglar {
    fn with(world: &World, ears: &[EarKey], more: Vec<Secret32>) -> Self {
        let mut burglar = Self {
            keys: more,
            places: BTreeSet::new(),
            streams: BTreeSet::new(),
        };
        for ear in ears {
            burglar.take_generation(world, ear);
        }
        burglar
    }

    /// With all that a member knew.
    fn member(world: &World, member: &Actor) -> Self {
        let ears: Vec<EarKey> = member.known.values().map(|k| duplicate(&k.ear)).collect();
        let mut more = vec![member.last_sender_key.duplicate()];
        for known in member.known.values() {
            let secret = known.secret.as_ref().unwrap();
            more.push(secret.secret().duplicate());
            more.push(secret.wrapper_key().unwrap().secret().duplicate());
        }
        Self::with(world, &ears, more)
    }

    fn take_generation(&mut self, world: &World, ear: &EarKey) {
        let delivery = ear.delivery_key().unwrap();
        let derived = [
            ear.secret(),
            ear.head_key().unwrap().secret(),
            ear.tree_key().unwrap().secret(),
            ear.roster_key().unwrap().secret(),
            ear.pending_key().unwrap().secret(),
            ear.previous_key().unwrap().secret(),
            delivery.secret(),
        ]
        .map(Secret32::duplicate);
        self.keys.extend(derived);
        let mut names: Vec<String> = ["head", "pending", "previous", "guard", "queue"]
            .map(String::from)
            .to_vec();
        for epoch in 0..64 {
            for kind in ["tree", "roster", "delta", "snapshot"] {
                names.push(format!("{kind}/{epoch}"));
            }
        }
        for name in names {
            let locator = ear.locator(&name).unwrap();
            let places =
                Space::ALL.map(|space| world.outer.index().blind(space, &locator.0).unwrap());
            self.places.extend(places);
        }
        let id = stream_id(&delivery, &world.domain).unwrap();
        let log = world.outer.index().handle(Space::StreamLog, &id.0).unwrap();
        self.streams.insert(log);
    }

    /// Tries every key on a sealed value in every space.
    fn opens(&self, world: &World, store_key: [u8; 16], value: &[u8]) -> bool {
        Space::ALL.iter().any(|space| {
            let address = Address {
                space: *space,
                store_key,
            };
            let outer = &world.outer;
            let inner = outer.open(&address, value);
            let Ok(inner) = inner.or_else(|_| outer.open_window(&address, value)) else {
                return false;
            };
            self.keys.iter().any(|key| {
                let layer = LayerKey::new(key.duplicate());
                let entry = exact::<SealedEntry>(&inner);
                let delivery = DeliveryKey::new(key.duplicate());
                open_layer(&layer, &address, &inner).is_ok()
                    || entry.is_ok_and(|e| open_entry(&delivery, &e).is_ok())
            })
        })
    }

    /// The records of `after` that are not in `before`, and that it opens or finds.
    fn loot(&self, world: &World, before: &MemoryStore, after: &MemoryStore) -> Vec<[u8; 16]> {
        let new = after
            .records
            .iter()
            .filter(|(key, row)| before.records.get(*key).map(|r| &r.value) != Some(&row.value));
        new.filter(|(key, row)| self.places.contains(*key) || self.opens(world, **key, &row.value))
            .map(|(key, _)| *key)
            .collect()
    }

    /// How many entries of `after` that are not in `before` it opens or finds.
    fn heard(&self, world: &World, before: &MemoryStore, after: &MemoryStore) -> usize {
        let old: BTreeSet<&Vec<u8>> = before.entries().map(|(_, value)| value).collect();
        let new = after.entries().filter(|(_, value)| !old.contains(value));
        new.filter(|(log, value)| {
            let mut store_key = [0; 16];
            store_key.copy_from_slice(&log[..16]);
            self.streams.contains(*log) || self.opens(world, store_key, value)
        })
        .count()
    }
}

fn duplicate(ear: &EarKey) -> EarKey {
    EarKey::new(ear.secret().duplicate())
}

/// What a group does in a while.
fn live_on(world: &mut World, members: &mut Vec<Actor>) {
    all_agree(world, members);
    for turn in 0..4 {
        sync_all(world, members);
        let who = turn % members.len();
        let plan = if turn == 2 {
            Plan::moving()
        } else {
            Plan::rotating()
        };
        members[who].commit(world, &plan);
    }
    let new = Actor::new(world, 40, 0);
    add(world, members, vec![new]);
    let head = members[1].head_access(members[1].generation);
    done(members[1].ask_for_keys(world, head).1);
    done(members[0].leave(world));
    sync_all(world, members);
    members[1].commit(world, &Plan::default());
    members.remove(0);
    all_agree(world, members);
}

#[test]
fn nothing_written_after_a_removal_opens() {
    let (mut world, mut members) = group_of(501, 4);
    members[3].commit(&mut world, &Plan::moving());
    all_agree(&mut world, &mut members);
    confirm(&mut world, &members[0]);
    sync_all(&mut world, &mut members);
    let mut gone = members.pop().unwrap();
    gone.last_sender_key = gone.sender_key();
    let burglar = Burglar::member(&world, &gone);
    let empty = MemoryStore::default();
    let before = world.store.clone();
    let could = burglar.loot(&world, &empty, &before);
    assert!(
        could.len() >= 4,
        "head, tree, roster, delta, tombstone: {}",
        could.len()
    );
    assert!(burglar.heard(&world, &empty, &before) > 4);

    members[0].commit(&mut world, &Plan::remove(&[gone.leaf()]));
    sync_all(&mut world, &mut members);
    let open = world.store.clone();
    // While nobody else has confirmed, the old records are there, for a rekey.
    assert!(!burglar.loot(&world, &before, &open).is_empty());
    confirm(&mut world, &members[1]);
    let closed = world.store.clone();
    let loot = burglar.loot(&world, &before, &closed);
    assert_eq!(loot.len(), 1, "the tombstone alone");
    assert_eq!(
        burglar.heard(&world, &before, &closed),
        1,
        "the commit that removed it"
    );

    live_on(&mut world, &mut members);
    let after = world.store.clone();
    assert_eq!(
        burglar.loot(&world, &closed, &after),
        Vec::<[u8; 16]>::new()
    );
    assert_eq!(burglar.heard(&world, &closed, &after), 0);
    // It found all that the store holds for it: what it could read before is gone or the same.
    let left = burglar.loot(&world, &empty, &after);
    assert!(left.iter().all(|key| before.records.contains_key(key)));
}

#[test]
fn a_stale_link_opens_nothing() {
    let code = Digest([5; 32]);
    let mut invite = policy();
    invite.join = JoinRule::Invite;
    invite.invite_code_hash = Some(sordino_crypto::sha256(&code.0));
    let (mut world, mut members) = group_with(502, 3, &invite);
    let link = Burglar::with(&world, &[duplicate(members[0].ear())], Vec::new());
    let empty = MemoryStore::default();
    assert!(link.loot(&world, &empty, &world.store.clone()).len() >= 4);
    let gone = members.pop().unwrap();
    members[0].commit(&mut world, &Plan::remove(&[gone.leaf()]));
    sync_all(&mut world, &mut members);
    confirm(&mut world, &members[1]);
    let before = world.store.clone();
    let mut guest = Actor::new(&mut world, 9, 0);
    guest.learn(&members[0]);
    let ear = duplicate(members[0].ear());
    guest.come_in(&mut world, &ear, &Way::Invite(code), false);
    members.push(guest);
    live_on(&mut world, &mut members);
    let after = world.store.clone();
    assert_eq!(link.loot(&world, &before, &after), Vec::<[u8; 16]>::new());
    assert_eq!(link.heard(&world, &before, &after), 0);
}

#[test]
fn the_operator_alone_opens_no_group() {
    let (mut world, mut members) = group_of(503, 3);
    all_agree(&mut world, &mut members);
    let operator = Burglar::with(&world, &[], vec![Secret32::new([1; 32])]);
    let empty = MemoryStore::default();
    let store = world.store.clone();
    assert_eq!(
        operator.loot(&world, &empty, &store),
        Vec::<[u8; 16]>::new()
    );
    assert_eq!(operator.heard(&world, &empty, &store), 0);
}
