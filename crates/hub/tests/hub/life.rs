//! The life of a group: four users with two devices each, who do whatever they are told to.

use crate::scene::add_device;
use crate::support::{Actor, Kind, Plan, World, done, policy, rejected};
use sordino_hub::{Endpoint, Step};
use sordino_wire::{Outcome, Reject, RequestBody, ResponseBody};

/// What a member does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Say,
    Update,
    Rotate,
    Move,
    AddUser,
    AddDevice,
    RemoveUser,
    RemoveDevice,
    ChangePolicy,
    Leave,
    Resync,
    Confirm,
    Race,
}

/// The group with what was seen of it.
pub(crate) struct Life {
    pub(crate) world: World,
    pub(crate) members: Vec<Actor>,
    /// By user: how often it came in.
    rejoins: [u32; 5],
    counter: u64,
    epoch: u64,
}

impl Life {
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let creator = Actor::create(&mut world, 1, &policy());
        Self {
            world,
            members: vec![creator],
            rejoins: [0; 5],
            counter: 1,
            epoch: 0,
        }
    }

    fn present(&self, user: u8, device: u8) -> bool {
        self.members
            .iter()
            .any(|m| m.user == user && m.device == device)
    }

    pub(crate) fn leaving(&self, who: usize) -> bool {
        let leaf = self.members[who].leaf();
        self.members[who]
            .pending
            .iter()
            .any(|p| p.reference.leaving() == Some(leaf))
    }

    /// The counter never falls; an epoch is one commit.
    fn note(&mut self, outcome: &Outcome, commits: u64) {
        assert!(outcome.counter >= self.counter);
        assert!(commits == 0 || outcome.counter > self.counter);
        assert_eq!(outcome.epoch, self.epoch + commits);
        self.counter = outcome.counter;
        self.epoch = outcome.epoch;
    }

    /// Commits; where another user must confirm first, one does.
    fn commit(&mut self, who: usize, plan: &Plan) {
        let mut answer = self.members[who].try_commit(&mut self.world, plan);
        if let ResponseBody::Rejected(Reject::AwaitingConfirmation) = answer {
            let user = self.members[who].user;
            let other = self.members.iter().position(|m| m.user != user).unwrap();
            let outcome = done(self.members[other].confirm(&mut self.world));
            self.note(&outcome, 0);
            answer = self.members[who].try_commit(&mut self.world, plan);
        }
        let outcome = done(answer);
        self.note(&outcome, 1);
    }

    pub(crate) fn act(&mut self, who: usize, chosen: usize, op: Op) {
        let other = chosen % self.members.len();
        if self.leaving(who) && !matches!(op, Op::Say | Op::Confirm) {
            return;
        }
        match op {
            // MLS commits what is pending before anybody speaks.
            Op::Say if self.members[who].pending.is_empty() => {
                let outcome = done(self.members[who].say(&mut self.world, b"something"));
                self.note(&outcome, 0);
            }
            Op::Say => {}
            Op::Update => self.commit(who, &Plan::update()),
            // A commit of what is pending is no update, and rotates nothing.
            Op::Rotate if self.members[who].pending.is_empty() => {
                self.commit(who, &Plan::rotating())
            }
            Op::Rotate => {}
            Op::Move => self.commit(who, &Plan::moving()),
            Op::AddUser => self.add_user(who, chosen),
            Op::AddDevice => self.add_device(who),
            Op::RemoveUser => self.remove_user(who, other),
            Op::RemoveDevice => self.remove_device(who),
            Op::ChangePolicy => {
                let mut new = self.members[who].policy();
                new.max_members ^= 1;
                let plan = Plan {
                    policy: Some(new),
                    ..Plan::default()
                };
                self.commit(who, &plan);
            }
            Op::Leave if self.members.len() > 1 => {
                let outcome = done(self.members[who].leave(&mut self.world));
                self.note(&outcome, 0);
            }
            Op::Leave => {}
            Op::Resync => {
                self.members[who].resync(&mut self.world, false);
                self.epoch += 1;
            }
            Op::Confirm => {
                let outcome = done(self.members[who].confirm(&mut self.world));
                self.note(&outcome, 0);
            }
            Op::Race => self.race(who, other),
        }
    }

    fn add_user(&mut self, who: usize, chosen: usize) {
        let user = u8::try_from(chosen % 4 + 1).unwrap();
        if self.members.iter().any(|m| m.user == user) {
            return;
        }
        self.rejoins[usize::from(user)] += 1;
        let rejoin = self.rejoins[usize::from(user)];
        let mut new = Actor::rejoining(&mut self.world, user, 0, rejoin);
        let entry = new.invitation(&mut self.world);
        self.commit(who, &Plan::add(vec![entry]));
        new.join(&mut self.world);
        self.members.push(new);
    }

    fn add_device(&mut self, who: usize) {
        let user = self.members[who].user;
        let device = 1 - self.members[who].device;
        if self.present(user, device) {
            return;
        }
        let others = self.members.iter().position(|m| m.user != user);
        if let Some(other) = others {
            let outcome = done(self.members[other].confirm(&mut self.world));
            self.note(&outcome, 0);
            self.members[who].sync(&mut self.world);
        }
        let new = add_device(&mut self.world, &mut self.members[who], device);
        self.members.push(new);
        self.epoch += 1;
    }

    fn remove_user(&mut self, who: usize, other: usize) {
        let user = self.members[other].user;
        if self.members[who].user == user {
            return;
        }
        // Those who leave by themselves are not removed as well.
        let leaves: Vec<u32> = (0..self.members.len())
            .filter(|m| self.members[*m].user == user && !self.leaving(*m))
            .map(|m| self.members[m].leaf())
            .collect();
        if !leaves.is_empty() {
            self.commit(who, &Plan::remove(&leaves));
        }
    }

    fn remove_device(&mut self, who: usize) {
        let user = self.members[who].user;
        let sibling = (0..self.members.len())
            .find(|m| *m != who && self.members[*m].user == user && !self.leaving(*m));
        if let Some(sibling) = sibling {
            let leaf = self.members[sibling].leaf();
            self.commit(who, &Plan::remove(&[leaf]));
        }
    }

    /// Two commit at once: one wins, and the other hears of it.
    fn race(&mut self, who: usize, other: usize) {
        if who == other || self.leaving(other) {
            return;
        }
        let bytes: Vec<Vec<u8>> = [who, other]
            .map(|m| {
                let request = self.members[m].draft(&mut self.world, &Plan::moving());
                let body = RequestBody::Commit(Box::new(request));
                let signing = self.members[m].signing(&mut self.world);
                signing.bytes(&self.world, Kind::Leaf, body)
            })
            .to_vec();
        let steps: Vec<Step> = bytes
            .iter()
            .map(|b| self.world.step(b, Endpoint::GroupOperation))
            .collect();
        let mut won = 0;
        for step in steps {
            if let Step::Commit(effects) = step {
                won += u64::from(self.world.store.apply(effects.changes).is_ok());
            }
        }
        assert!(won <= 1);
        self.epoch += won;
        if won == 1 {
            let answer = self.world.handle(&bytes[1], Endpoint::GroupOperation);
            let late = Reject::WrongEpoch {
                current: self.epoch,
            };
            assert_eq!(rejected(answer), late);
        }
    }

    /// Everybody catches up, and all are in one place.
    pub(crate) fn converge(&mut self) {
        for member in &mut self.members {
            member.sync(&mut self.world);
        }
        self.members.retain(Actor::is_member);
        let first = &self.members[0];
        assert_eq!(first.epoch(), self.epoch);
        for member in &self.members {
            assert_eq!(member.stuck, None);
            let authenticator = member.mls().epoch_authenticator();
            assert_eq!(
                authenticator.as_slice(),
                first.mls().epoch_authenticator().as_slice()
            );
            assert_eq!(member.generation, first.generation);
            let roster = member.inspect(&mut self.world);
            assert_eq!(roster.position.epoch, self.epoch);
            assert_eq!(member.check_roster(&roster).len(), self.members.len());
        }
    }
}
