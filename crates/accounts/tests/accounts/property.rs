//! Registering, devices and requests against a model that knows nothing of keys at rest.

use crate::world::*;
use proptest::prelude::*;
use sordino_crypto::SigningKey;
use sordino_wire::limits::MAX_PENDING_CONNECTION_REQUESTS;
use sordino_wire::{AccountReject, AccountRequestBody, AccountResponseBody};
use std::collections::BTreeMap;

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

#[derive(Clone, Debug)]
enum Deed {
    Register {
        who: usize,
    },
    Put {
        who: usize,
        device: usize,
    },
    /// Keeps the devices whose bits are set, by the device of that number.
    Replace {
        who: usize,
        by: usize,
        keep: u8,
    },
    Delete {
        who: usize,
        by: usize,
    },
    Ask {
        whom: usize,
        number: u8,
    },
    Settle {
        who: usize,
        by: usize,
        numbers: Vec<u8>,
    },
    Read {
        who: usize,
        by: usize,
    },
    Days(u32),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let who = 0..NAMES.len();
    let device = 0..4_usize;
    let deed = prop_oneof![
        2 => who.clone().prop_map(|who| Deed::Register { who }),
        4 => (who.clone(), device.clone()).prop_map(|(who, device)| Deed::Put { who, device }),
        2 => (who.clone(), device.clone(), any::<u8>())
            .prop_map(|(who, by, keep)| Deed::Replace { who, by, keep }),
        1 => (who.clone(), device.clone()).prop_map(|(who, by)| Deed::Delete { who, by }),
        8 => (who.clone(), 0..20_u8).prop_map(|(whom, number)| Deed::Ask { whom, number }),
        2 => (who.clone(), device.clone(), prop::collection::vec(0..20_u8, 0..6))
            .prop_map(|(who, by, numbers)| Deed::Settle { who, by, numbers }),
        4 => (who, device).prop_map(|(who, by)| Deed::Read { who, by }),
        1 => (1..40_u32).prop_map(Deed::Days),
    ];
    prop::collection::vec(deed, 1..40)
}

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Free,
    Taken,
    Gone,
}

struct Model {
    standing: [Standing; 3],
    /// Numbers of the devices that are in.
    devices: [Vec<usize>; 3],
    /// Number and last day, oldest first.
    waiting: [Vec<(u8, u32)>; 3],
}

struct Play {
    world: World,
    people: Vec<Person>,
    /// Four devices each; the first one registers.
    phones: Vec<Vec<Phone>>,
    model: Model,
    keys: u8,
}

impl Play {
    fn new() -> Self {
        let mut world = World::new(WORK);
        let mut people = Vec::new();
        let mut phones = Vec::new();
        for name in NAMES {
            let person = Person::new(&mut world, name);
            let first = Phone {
                handle: person.handle.clone(),
                client: person.phone.client.clone(),
                key: SigningKey::from_seed(&person.phone.key.seed()),
            };
            let others = [0; 3].map(|_| person.device(&mut world));
            phones.push(std::iter::once(first).chain(others).collect());
            people.push(person);
        }
        let model = Model {
            standing: [Standing::Free; 3],
            devices: Default::default(),
            waiting: Default::default(),
        };
        Self {
            world,
            people,
            phones,
            model,
            keys: 50,
        }
    }

    fn is_in(&self, who: usize, device: usize) -> bool {
        self.model.devices[who].contains(&device)
    }

    /// What a device's request must come to: done, or refused without a change.
    fn expect(&self, good: bool) -> AccountResponseBody {
        if good {
            DONE
        } else {
            AccountResponseBody::Rejected(AccountReject::BadAuthentication)
        }
    }

    fn send(&mut self, who: usize, by: usize, body: AccountRequestBody) -> AccountResponseBody {
        let before = self.world.store.clone();
        let answer = self.phones[who][by].send(&mut self.world, body);
        if matches!(answer, AccountResponseBody::Rejected(_)) {
            assert!(self.world.store == before, "a refusal changed something");
        }
        answer
    }

    fn apply(&mut self, deed: Deed) {
        match deed {
            Deed::Register { who } => self.register(who),
            Deed::Put { who, device } => self.put(who, device),
            Deed::Replace { who, by, keep } => self.replace(who, by, keep),
            Deed::Delete { who, by } => self.delete(who, by),
            Deed::Ask { whom, number } => self.ask(whom, number),
            Deed::Settle { who, by, numbers } => self.settle(who, by, &numbers),
            Deed::Read { who, by } => self.read(who, by),
            Deed::Days(days) => self.world.pass_days(days),
        }
    }

    fn register(&mut self, who: usize) {
        let admission = self.world.work(&self.people[who]);
        let body = self.people[who].register(admission);
        let answer = self.send(who, 0, body);
        if self.model.standing[who] == Standing::Free {
            assert_eq!(answer, DONE);
            self.model.standing[who] = Standing::Taken;
            self.model.devices[who] = vec![0];
            self.model.waiting[who].clear();
        } else {
            let taken = AccountReject::HandleTaken;
            assert_eq!(answer, AccountResponseBody::Rejected(taken));
        }
    }

    fn put(&mut self, who: usize, device: usize) {
        let body = self.people[who].put(&self.phones[who][device]);
        let answer = self.send(who, device, body);
        let good = self.model.standing[who] == Standing::Taken;
        assert_eq!(answer, self.expect(good));
        if good {
            self.model.devices[who].retain(|other| *other != device);
            self.model.devices[who].push(device);
        }
    }

    fn replace(&mut self, who: usize, by: usize, keep: u8) {
        let stays = |device: &usize| *device == by || keep & (1 << *device) != 0;
        let stay: Vec<usize> = (0..4).filter(stays).collect();
        let phones: Vec<&Phone> = stay
            .iter()
            .map(|device| &self.phones[who][*device])
            .collect();
        let new_key = key(self.keys);
        let replacement = self.people[who].replacement(&new_key, &phones);
        let good = self.is_in(who, by);
        let answer = self.send(who, by, AccountRequestBody::ReplaceAccountKey(replacement));
        assert_eq!(answer, self.expect(good));
        if good {
            self.keys += 1;
            self.people[who].account_key = new_key;
            self.model.devices[who] = stay;
        }
    }

    fn delete(&mut self, who: usize, by: usize) {
        let bytes = self.people[who].deletion(&mut self.world, &self.phones[who][by]);
        let good = self.is_in(who, by);
        let answer = self
            .world
            .handle(&bytes, sordino_accounts::Endpoint::Accounts);
        assert_eq!(answer, self.expect(good));
        if good {
            self.model.standing[who] = Standing::Gone;
            self.model.devices[who].clear();
            self.model.waiting[who].clear();
        }
    }

    fn ask(&mut self, whom: usize, number: u8) {
        let today = self.world.today();
        assert_eq!(self.world.ask(asking(NAMES[whom], number)), DONE);
        let waiting = &mut self.model.waiting[whom];
        waiting.retain(|(_, last_day)| *last_day >= today);
        let known = waiting.iter().any(|(other, _)| *other == number);
        if !known && waiting.len() < MAX_PENDING_CONNECTION_REQUESTS {
            waiting.push((number, today + 30));
        }
    }

    fn settle(&mut self, who: usize, by: usize, numbers: &[u8]) {
        let hashes = numbers
            .iter()
            .map(|number| hash(&sealed(*number)))
            .collect();
        let answer = self.phones[who][by].settle(&mut self.world, hashes);
        let good = self.is_in(who, by);
        assert_eq!(answer, self.expect(good));
        if good {
            self.model.waiting[who].retain(|(number, _)| !numbers.contains(number));
        }
    }

    fn read(&mut self, who: usize, by: usize) {
        if !self.is_in(who, by) {
            let refused = self.send(who, by, AccountRequestBody::ReadAccount);
            assert_eq!(refused, self.expect(false));
            return;
        }
        let view = self.phones[who][by].account(&mut self.world);
        let devices = &self.model.devices[who];
        let expected: Vec<_> = devices
            .iter()
            .map(|device| self.people[who].credential(&self.phones[who][*device]))
            .collect();
        assert_eq!(view.clients.as_slice(), expected);
        assert_eq!(self.world.look_up(NAMES[who]), view.entry);
        let today = self.world.today();
        let page = self.phones[who][by].requests(&mut self.world, 0);
        let read: Vec<u8> = page.entries.iter().map(|e| e.entry.as_slice()[1]).collect();
        let mut waiting = self.model.waiting[who].clone();
        waiting.retain(|(_, last_day)| *last_day >= today);
        let mut expected: Vec<u8> = waiting.iter().map(|(number, _)| *number).collect();
        // One that was settled and came again is in the log twice while both live.
        let mut seen = read.clone();
        seen.sort_unstable();
        seen.dedup();
        expected.sort_unstable();
        assert_eq!(seen, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn accounts_follow_a_model(deeds in deeds()) {
        let mut play = Play::new();
        for deed in deeds {
            play.apply(deed);
        }
        // Whoever has an account is found under its key, and nobody else under any.
        let mut entries = BTreeMap::new();
        for (who, name) in NAMES.iter().enumerate() {
            let entry = play.world.look_up(name);
            let own = entry.account_key == play.people[who].account_key.public();
            prop_assert_eq!(own, play.model.standing[who] == Standing::Taken);
            entries.insert(entry.account_key.as_slice().to_vec(), *name);
        }
        prop_assert_eq!(entries.len(), NAMES.len());
    }
}
