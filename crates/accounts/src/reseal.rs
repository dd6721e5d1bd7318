//! Stage 5, reseal: turns what an operation changed into sealed records and entries.
//!
//! Owns: the write set of one request. Invariant: whatever replaces a record expects the one that
//! was read; all records of a kind have one size.

use crate::Shared;
use crate::outcome::{Effects, Step};
use crate::state::{Account, AccountRecord, FORMAT, Waiting};
use crate::unseal::{account_address, request_log, waiting_address};
use sordino_crypto::{Invitation, PadClass, Space, pad};
use sordino_effects::{
    Changes, Env, Expectation, Fault, Put, RecordVersion, ReplaySlot, address, seal_log_entry,
    seal_record,
};
use sordino_wire::limits::CONNECTION_REQUEST_DAYS;
use sordino_wire::{AccountResponseBody, Handle, Outcome, encode};

/// Bytes of a mark: random ones, which mean nothing.
const MARK_BYTES: usize = 32;

/// The write set of one request.
pub(crate) struct Writer<'s, 'e, 'r> {
    shared: &'s Shared,
    env: &'e mut Env<'r>,
    changes: Changes,
}

impl<'s, 'e, 'r> Writer<'s, 'e, 'r> {
    pub(crate) fn new(shared: &'s Shared, env: &'e mut Env<'r>) -> Self {
        Self {
            shared,
            env,
            changes: Changes::default(),
        }
    }

    /// Writes what stands at a handle from now on: an account, or that there was one. `read`: the
    /// version of what was there.
    pub(crate) fn put_account(
        &mut self,
        handle: &Handle,
        account: Option<Account>,
        read: Option<RecordVersion>,
    ) -> Result<(), Fault> {
        let address = account_address(self.shared, handle)?;
        self.expect(address.store_key, read);
        let record = AccountRecord {
            format: FORMAT,
            account,
        };
        let layer = self.shared.outer.index().account_layer(handle)?;
        // The largest account fits the smallest class, so that there is one class.
        let class = PadClass::PowerOfTwo;
        let (put, _) = seal_record(
            &self.shared.outer,
            &address,
            &layer,
            &encode(&record)?,
            class,
            self.env.rng,
        )?;
        self.changes.put.push(put);
        Ok(())
    }

    /// Writes what waits at a handle; it dies with the window of the last that can be in it.
    pub(crate) fn put_waiting(
        &mut self,
        handle: &Handle,
        waiting: &Waiting,
        read: Option<RecordVersion>,
    ) -> Result<(), Fault> {
        let address = waiting_address(self.shared, handle)?;
        self.expect(address.store_key, read);
        let last_day = self.last_day();
        let padded = pad(&encode(waiting)?, PadClass::Delta)?;
        let value = self
            .shared
            .outer
            .seal_window(&address, last_day, &padded, self.env.rng)?;
        self.changes.put.push(Put {
            key: address.store_key,
            value,
            expires_day: Some(last_day),
        });
        Ok(())
    }

    /// Nothing waits at a handle any more.
    pub(crate) fn delete_waiting(&mut self, handle: &Handle) -> Result<(), Fault> {
        let address = waiting_address(self.shared, handle)?;
        self.changes.delete.push(address.store_key);
        Ok(())
    }

    /// Appends a request to what waits at a handle.
    pub(crate) fn append_request(&mut self, handle: &Handle, entry: &[u8]) -> Result<(), Fault> {
        let log = request_log(self.shared, handle)?;
        let last_day = self.last_day();
        let append = seal_log_entry(
            &self.shared.outer,
            Space::RequestLog,
            log,
            entry,
            last_day,
            self.env.rng,
        )?;
        self.changes.append.push(append);
        Ok(())
    }

    /// Uses up an invitation. The mark is kept as long as the code is good.
    pub(crate) fn spend(&mut self, invitation: &Invitation) -> Result<(), Fault> {
        let address = address(&self.shared.outer, Space::Invitation, &invitation.id)?;
        self.expect(address.store_key, None);
        let mut value = vec![0; MARK_BYTES];
        self.env.rng.fill_bytes(&mut value);
        self.changes.put.push(Put {
            key: address.store_key,
            value,
            expires_day: Some(invitation.last_day),
        });
        Ok(())
    }

    /// The last day on which a request that comes today waits.
    pub(crate) fn last_day(&self) -> u32 {
        self.env.today().saturating_add(CONNECTION_REQUEST_DAYS)
    }

    fn expect(&mut self, key: [u8; 16], read: Option<RecordVersion>) {
        let expected = read.map_or(Expectation::Absent, Expectation::Is);
        self.changes.expect.push((key, expected));
    }

    /// Ends the request: effects with their answer, remembered for a repetition.
    pub(crate) fn finish(mut self, replay: Option<&ReplaySlot>) -> Result<Step, Fault> {
        if let Some(slot) = replay {
            // There is nothing to tell beside that it is done; in the store it is like any other.
            let outcome = Outcome {
                epoch: 0,
                counter: 0,
                detail: Default::default(),
            };
            self.changes.replay = Some(slot.remember(&outcome, self.env)?);
        }
        Ok(Step::Commit(Box::new(Effects {
            changes: self.changes,
            reply: AccountResponseBody::Done,
        })))
    }
}
