//! The owner of a pool of key-package sets and the contact who fetches from it.

use crate::support::{World, done, rejected};
use rand_chacha::rand_core::RngCore as _;
use sordino_wire::limits::SET_ENTRY_CIPHERTEXT_BYTES;
use sordino_wire::{
    Bytes, DeviceTag, DropKeyPackages, FetchKeyPackages, FetchedSet, InspectKeyPackages, List,
    Nonce, PoolState, PublishKeyPackages, Reject, RequestBody, ResponseBody, Salt, Secret32,
    SetEntry, SetTag,
};

/// What the owner keeps of one pool; the contact has the token alone.
pub(crate) struct Pool {
    token: [u8; 32],
    owner: [u8; 32],
}

impl Pool {
    /// Another number is another pool with another owner.
    pub(crate) fn new(number: u8) -> Self {
        Self {
            token: [number; 32],
            owner: [number ^ 0xff; 32],
        }
    }

    /// The same pool in the hands of somebody who knows the token but not the owner's secret.
    pub(crate) fn without_owner(&self) -> Self {
        Self {
            token: self.token,
            owner: [0x55; 32],
        }
    }

    pub(crate) fn publishes(&self, entries: &[SetEntry], drop: &[SetTag]) -> RequestBody {
        RequestBody::PublishKeyPackages(PublishKeyPackages {
            contact_token: Secret32::new(self.token),
            owner_secret: Secret32::new(self.owner),
            entries: List::new(entries.to_vec()).unwrap(),
            drop: List::new(drop.to_vec()).unwrap(),
        })
    }

    pub(crate) fn drops(&self) -> RequestBody {
        RequestBody::DropKeyPackages(DropKeyPackages {
            contact_token: Secret32::new(self.token),
            owner_secret: Secret32::new(self.owner),
        })
    }

    pub(crate) fn inspects(&self) -> RequestBody {
        RequestBody::InspectKeyPackages(InspectKeyPackages {
            contact_token: Secret32::new(self.token),
            owner_secret: Secret32::new(self.owner),
        })
    }

    pub(crate) fn fetches(&self, nonce: [u8; 16]) -> RequestBody {
        RequestBody::FetchKeyPackages(FetchKeyPackages {
            contact_token: Secret32::new(self.token),
            nonce: Nonce(nonce),
        })
    }

    #[track_caller]
    pub(crate) fn publish(&self, world: &mut World, entries: &[SetEntry]) {
        done(world.ask(self.publishes(entries, &[])));
    }

    #[track_caller]
    pub(crate) fn refused(&self, world: &mut World, entries: &[SetEntry]) -> Reject {
        world.refused_ask(self.publishes(entries, &[]))
    }

    #[track_caller]
    pub(crate) fn state(&self, world: &mut World) -> PoolState {
        match world.ask(self.inspects()) {
            ResponseBody::Pool(state) => state,
            other => panic!("no pool: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn fetch_with(&self, world: &mut World, nonce: [u8; 16]) -> FetchedSet {
        match world.ask(self.fetches(nonce)) {
            ResponseBody::KeyPackages(set) => set,
            other => panic!("no set: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn fetch(&self, world: &mut World) -> FetchedSet {
        let nonce = nonce(world);
        self.fetch_with(world, nonce)
    }

    /// There is nothing to fetch, and asking changes nothing.
    #[track_caller]
    pub(crate) fn assert_empty(&self, world: &mut World) {
        let nonce = nonce(world);
        let before = world.store.clone();
        let reject = rejected(world.ask(self.fetches(nonce)));
        assert_eq!(reject, Reject::PoolEmpty);
        assert!(world.store == before, "a refused fetch changed the store");
    }
}

pub(crate) fn nonce(world: &mut World) -> [u8; 16] {
    let mut nonce = [0; 16];
    world.rng.fill_bytes(&mut nonce);
    nonce
}

/// One device's entry of a set, with contents that occur once; it ends in `days` days.
pub(crate) fn entry(world: &mut World, set: u8, device: u8, devices: u8, days: u32) -> SetEntry {
    let mut ciphertext = vec![0; SET_ENTRY_CIPHERTEXT_BYTES];
    world.rng.fill_bytes(&mut ciphertext);
    SetEntry {
        set_tag: SetTag([set; 16]),
        device_tag: DeviceTag([device; 16]),
        devices,
        cipher_suite: 1,
        last_day: world.today() + days,
        salt: Salt(nonce(world)),
        ciphertext: Bytes::new(ciphertext).unwrap(),
    }
}

/// A set of one device.
pub(crate) fn single(world: &mut World, set: u8, days: u32) -> SetEntry {
    entry(world, set, 1, 1, days)
}

/// A complete set of several devices.
pub(crate) fn whole(world: &mut World, set: u8, devices: u8, days: u32) -> Vec<SetEntry> {
    (1..=devices)
        .map(|device| entry(world, set, device, devices, days))
        .collect()
}
