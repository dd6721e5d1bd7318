//! Owns key-package sets (design page 5): publishing, looking at, fetching and dropping them.
//!
//! Invariant: a fetch takes all entries of one complete set in one transaction, and a set that was
//! served cannot come back; of two fetches of one set one is refused by the store and tries again.
//! Never sees whose pool it is, for whom, or what is in an entry.

use super::pool::{Pool, PoolSet, StoredEntry};
use crate::outcome::{Effects, Expectation, Fault, Put, Refusal, Step};
use crate::reseal::{Writer, outcome};
use crate::{Env, HubShared};
use sordino_crypto::{Address, ContactToken, PadClass, Space, sha256};
use sordino_effects::{Records, Remembered, ReplaySlot, address, open_record, seal_record};
use sordino_wire::limits::{MAX_SET_DAYS, MAX_SET_DEVICES, POOL_IDLE_DAYS};
use sordino_wire::{
    Digest, DropKeyPackages, FetchKeyPackages, FetchedSet, InspectKeyPackages, List,
    PublishKeyPackages, Reject, ResponseBody, Secret32, SetEntry, encode, exact,
};

/// Puts entries in, then drops sets.
pub(crate) fn publish(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    request: &PublishKeyPackages,
) -> Result<Step, Refusal> {
    let mut open = OpenPool::read(shared, records, env, &request.contact_token)?;
    let owner = owner_hash(&request.owner_secret);
    if open.pool.owner_hash.is_some_and(|known| known != owner) {
        return Err(Reject::BadAuthentication.into());
    }
    open.pool.owner_hash = Some(owner);
    let mut writer = Writer::new(shared, env);
    for entry in request.entries.iter() {
        put_entry(&mut writer, &mut open.pool, entry)?;
    }
    for tag in request.drop.iter() {
        open.pool.drop_set(*tag);
    }
    open.pool.check_bounds()?;
    open.write(&mut writer)?;
    Ok(writer.finish(None, outcome(0, 0))?)
}

fn put_entry(
    writer: &mut Writer<'_, '_, '_>,
    pool: &mut Pool,
    entry: &SetEntry,
) -> Result<(), Refusal> {
    let today = writer.today();
    let devices = usize::from(entry.devices);
    let fits = (today..=today.saturating_add(MAX_SET_DAYS)).contains(&entry.last_day)
        && (1..=MAX_SET_DEVICES).contains(&devices);
    if !fits {
        return Err(Reject::InvalidSet.into());
    }
    let place = writer.random();
    pool.put(entry, place)?;
    let address = entry_address(writer.shared, &place)?;
    let value = writer.shared.outer.seal_window(
        &address,
        entry.last_day,
        &encode(entry)?,
        writer.env.rng,
    )?;
    writer.changes.put.push(Put {
        key: address.store_key,
        value,
        expires_day: Some(entry.last_day),
    });
    Ok(())
}

/// What the pool holds, for its owner.
pub(crate) fn inspect(
    shared: &HubShared,
    records: &dyn Records,
    env: &Env<'_>,
    request: &InspectKeyPackages,
) -> Result<Step, Refusal> {
    let open = OpenPool::read(shared, records, env, &request.contact_token)?;
    open.check_owner(&request.owner_secret)?;
    Ok(Step::Answer(ResponseBody::Pool(open.pool.state()?)))
}

/// Drops the pool; one that is not there is dropped already.
pub(crate) fn drop_pool(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    request: &DropKeyPackages,
) -> Result<Step, Refusal> {
    let mut open = OpenPool::read(shared, records, env, &request.contact_token)?;
    open.check_owner(&request.owner_secret)?;
    let mut writer = Writer::new(shared, env);
    if open.version.is_some() {
        open.pool.drop_all();
        open.write(&mut writer)?;
    }
    Ok(writer.finish(None, outcome(0, 0))?)
}

/// Takes one complete set: the one that ends first, so that none dies unused.
pub(crate) fn fetch(
    shared: &HubShared,
    records: &dyn Records,
    env: &mut Env<'_>,
    body_hash: &Digest,
    request: &FetchKeyPackages,
) -> Result<Step, Refusal> {
    let slot = ReplaySlot::new(&shared.outer, &request.nonce, env.now_s, body_hash)?;
    match slot.look_up::<FetchedSet>(records)? {
        Remembered::Nothing => {}
        Remembered::Same(set) => return Ok(Step::Answer(ResponseBody::KeyPackages(set))),
        Remembered::Other => return Err(Reject::Replayed.into()),
    }
    let mut open = OpenPool::read(shared, records, env, &request.contact_token)?;
    let set = open.pool.take().ok_or(Reject::PoolEmpty)?;
    let fetched = FetchedSet {
        entries: read_entries(shared, records, &set)?,
        left: open.pool.complete(),
    };
    let mut writer = Writer::new(shared, env);
    open.write(&mut writer)?;
    writer.changes.replay = Some(slot.remember(&fetched, writer.env)?);
    Ok(Step::Commit(Box::new(Effects {
        changes: writer.changes,
        reply: ResponseBody::KeyPackages(fetched),
    })))
}

fn read_entries(
    shared: &HubShared,
    records: &dyn Records,
    set: &PoolSet,
) -> Result<List<SetEntry, MAX_SET_DEVICES>, Refusal> {
    let mut entries = Vec::with_capacity(set.entries.len());
    for StoredEntry { place, .. } in &set.entries {
        let address = entry_address(shared, place)?;
        let bytes = records
            .get(&address.store_key)?
            .ok_or(Fault::Inconsistent)?;
        let plain = shared.outer.open_window(&address, &bytes)?;
        entries.push(exact(&plain).map_err(|_| Fault::Inconsistent)?);
    }
    List::new(entries).map_err(|_| Fault::Inconsistent.into())
}

fn owner_hash(secret: &Secret32) -> Digest {
    sha256(secret.expose())
}

fn entry_address(shared: &HubShared, place: &[u8; 16]) -> Result<Address, Refusal> {
    Ok(address(&shared.outer, Space::KeyPackage, place)?)
}

/// A pool's record, opened; an empty pool where there is none.
struct OpenPool {
    address: Address,
    token: ContactToken,
    version: Option<[u8; 16]>,
    pool: Pool,
}

impl OpenPool {
    fn read(
        shared: &HubShared,
        records: &dyn Records,
        env: &Env<'_>,
        token: &Secret32,
    ) -> Result<Self, Refusal> {
        let token = ContactToken::new(token.duplicate());
        let address = address(&shared.outer, Space::KeyPackage, &token.pool_id()?.0)?;
        let opened = open_record(&shared.outer, records, &address, &token.pool_key()?)?;
        let (version, mut pool) = match opened {
            Some(opened) => {
                let pool = exact(&opened.value).map_err(|_| Fault::Inconsistent)?;
                (Some(opened.version), pool)
            }
            None => (None, Pool::default()),
        };
        pool.expire(env.today());
        Ok(Self {
            address,
            token,
            version,
            pool,
        })
    }

    /// A pool that is not there has no owner who could be another one.
    fn check_owner(&self, secret: &Secret32) -> Result<(), Refusal> {
        let owner = owner_hash(secret);
        if self.pool.owner_hash.is_some_and(|known| known != owner) {
            return Err(Reject::BadAuthentication.into());
        }
        Ok(())
    }

    /// Writes it back, and deletes the entries that are no longer named.
    fn write(&mut self, writer: &mut Writer<'_, '_, '_>) -> Result<(), Refusal> {
        let expected = match self.version {
            Some(version) => Expectation::Is(version),
            None => Expectation::Absent,
        };
        writer
            .changes
            .expect
            .push((self.address.store_key, expected));
        for place in self.pool.take_gone() {
            let key = entry_address(writer.shared, &place)?.store_key;
            writer.changes.delete.push(key);
        }
        let (mut put, _) = seal_record(
            &writer.shared.outer,
            &self.address,
            &self.token.pool_key()?,
            &encode(&self.pool)?,
            PadClass::Pool,
            writer.env.rng,
        )?;
        put.expires_day = Some(writer.today().saturating_add(POOL_IDLE_DAYS));
        writer.changes.put.push(put);
        Ok(())
    }
}
