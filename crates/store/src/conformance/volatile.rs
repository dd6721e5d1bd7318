//! Owns a disk in memory with a volatile write cache, which fails and loses power on demand.
//!
//! Invariant: what was synced survives a crash; of what was not, any subset of 512-byte sectors
//! may, and a file's length may be the old or the new one.

use redb::StorageBackend;
use std::fmt;
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

const SECTOR: usize = 512;

/// A seeded generator (splitmix64): tests must fail again as they failed.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What happens to unsynced writes when the power goes.
#[derive(Clone, Copy, Debug)]
pub enum Crash {
    LoseAll,
    KeepAll,
    /// Keeps some sectors, chosen by a seed.
    Tear(u64),
}

/// When to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Never,
    /// The n-th write, sync or resize (from 0), and all after it.
    From(u64),
    /// Only the n-th.
    Once(u64),
}

enum Op {
    Write(usize, Vec<u8>),
    Resize(usize),
}

struct State {
    durable: Vec<u8>,
    live: Vec<u8>,
    unsynced: Vec<Op>,
    fault: Fault,
    ops: u64,
    activity: u64,
    syncs: u64,
    gate_closed: bool,
    held: bool,
}

/// The disk; clones share it.
#[derive(Clone)]
pub struct Disk(Arc<(Mutex<State>, Condvar)>);

impl Disk {
    pub fn new(fault: Fault) -> Self {
        Self::with(Vec::new(), fault)
    }

    fn with(image: Vec<u8>, fault: Fault) -> Self {
        let state = State {
            durable: image.clone(),
            live: image,
            unsynced: Vec::new(),
            fault,
            ops: 0,
            activity: 0,
            syncs: 0,
            gate_closed: false,
            held: false,
        };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// What another boot finds, as a disk of its own.
    pub fn crash(&self, crash: Crash, fault: Fault) -> Self {
        let state = self.lock();
        let mut image = state.durable.clone();
        let mut rng = Rng(match crash {
            Crash::Tear(seed) => seed,
            Crash::LoseAll | Crash::KeepAll => 0,
        });
        let mut keep = || match crash {
            Crash::LoseAll => false,
            Crash::KeepAll => true,
            Crash::Tear(_) => rng.next() & 1 == 0,
        };
        for op in &state.unsynced {
            match op {
                Op::Resize(len) if keep() => image.resize(*len, 0),
                Op::Resize(_) => {}
                Op::Write(offset, data) => write_sectors(&mut image, *offset, data, &mut keep),
            }
        }
        Self::with(image, fault)
    }

    /// Whether the fault has happened.
    pub fn failed(&self) -> bool {
        let state = self.lock();
        match state.fault {
            Fault::Never => false,
            Fault::From(n) | Fault::Once(n) => state.ops > n,
        }
    }

    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Writes, syncs and resizes so far, those that failed included. Where it stands still, no byte
    /// has changed.
    pub fn activity(&self) -> u64 {
        self.lock().activity
    }

    /// All bytes as a reader finds them.
    pub fn image(&self) -> Vec<u8> {
        self.lock().live.clone()
    }

    pub fn set_fault(&self, fault: Fault) {
        let mut state = self.lock();
        state.ops = 0;
        state.fault = fault;
    }

    /// Makes the next sync wait for [`Self::open_gate`].
    pub fn close_gate(&self) {
        self.lock().gate_closed = true;
    }

    /// Returns when a sync waits at the gate.
    pub fn wait_until_held(&self) {
        let held = self.0.1.wait_while(self.lock(), |state| !state.held);
        drop(held.unwrap());
    }

    pub fn open_gate(&self) {
        self.lock().gate_closed = false;
        self.0.1.notify_all();
    }

    /// Counts one operation; fails if it is its turn.
    fn operation(&self) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.lock();
        let n = state.ops;
        state.ops += 1;
        state.activity += 1;
        let fails = match state.fault {
            Fault::Never => false,
            Fault::From(first) => n >= first,
            Fault::Once(only) => n == only,
        };
        if fails {
            Err(Error::from(ErrorKind::StorageFull))
        } else {
            Ok(state)
        }
    }
}

fn write_sectors(image: &mut Vec<u8>, offset: usize, data: &[u8], keep: &mut impl FnMut() -> bool) {
    let mut at = offset;
    let end = offset + data.len();
    while at < end {
        let to = end.min((at / SECTOR + 1) * SECTOR);
        if keep() {
            if image.len() < to {
                image.resize(to, 0);
            }
            image[at..to].copy_from_slice(&data[at - offset..to - offset]);
        }
        at = to;
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, Error> {
        Ok(u64::try_from(self.lock().live.len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let state = self.lock();
        let offset = usize::try_from(offset).unwrap();
        let found = state.live.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let mut state = self.operation()?;
        let len = usize::try_from(len).unwrap();
        state.live.resize(len, 0);
        state.unsynced.push(Op::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Error> {
        let mut state = self.operation()?;
        while state.gate_closed {
            state.held = true;
            self.0.1.notify_all();
            state = self.0.1.wait(state).unwrap();
        }
        state.held = false;
        state.syncs += 1;
        let State {
            durable, unsynced, ..
        } = &mut *state;
        for op in unsynced.drain(..) {
            match op {
                Op::Resize(len) => durable.resize(len, 0),
                Op::Write(offset, data) => write_sectors(durable, offset, &data, &mut || true),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let (outcome, mut state) = match self.operation() {
            Ok(state) => (Ok(()), state),
            Err(e) => (Err(e), self.lock()),
        };
        // A write that fails may have reached the disk in part; once the disk is dead, none does.
        if outcome.is_err() && matches!(state.fault, Fault::From(first) if state.ops > first + 1) {
            return outcome;
        }
        let offset = usize::try_from(offset).unwrap();
        write_sectors(&mut state.live, offset, data, &mut || true);
        state.unsynced.push(Op::Write(offset, data.to_vec()));
        outcome
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk(..)")
    }
}
