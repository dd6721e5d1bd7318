//! Doors for tests: hostile clients change a request's body before it is signed; audits list what
//! must never stand in a hub's database (only with the feature `audit`); fuzzers read bytes as each of
//! the records that a vault keeps; a load generator repeats a message.
//!
//! Nothing in the library uses them; without a hook, requests are what they are.

#[cfg(feature = "audit")]
pub use crate::audit::Trace;
pub use crate::template::{Line, MessageTemplate};

use crate::records::{
    DeviceRecord, ExternalRecord, InboxRecord, IndexRecord, KeyPackageRecord, KeysRecord,
    MessageRecord, MlsIndexRecord, MlsRecord, StateRecord,
};
use sordino_crypto::SigningKey;
use sordino_wire::{GroupId, RequestBody, encode, exact};
use std::sync::Arc;
use tls_codec::{DeserializeBytes, Serialize};

/// What a hook may need to forge consistently.
pub struct HookContext<'a> {
    /// The group, where the request is about one.
    pub group_id: GroupId,
    /// The leaf key that signs what is inside the body (the new one, in a rotation).
    pub leaf_key: Option<&'a SigningKey>,
    /// The epoch that the request is signed for.
    pub epoch: u64,
}

/// Changes a body before it is signed.
pub type RequestHook = Arc<dyn Fn(&mut RequestBody, &HookContext<'_>) + Send + Sync>;

/// Lists what must never stand in a hub's database, as this device knows it now.
#[cfg(feature = "audit")]
pub async fn traces(client: &crate::Client) -> crate::Result<Vec<Trace>> {
    client.core.traces().await
}

/// Reads bytes as the record with this number, from 0 on. `None`: there is no such record.
/// `Some(Err(()))`: it was read and does not encode to the same bytes.
pub fn read_record(which: u8, bytes: &[u8]) -> Option<std::result::Result<(), ()>> {
    Some(match which {
        0 => same::<DeviceRecord>(bytes),
        1 => same::<IndexRecord>(bytes),
        2 => same::<KeyPackageRecord>(bytes),
        3 => same::<InboxRecord>(bytes),
        4 => same::<MlsRecord>(bytes),
        5 => same::<MlsIndexRecord>(bytes),
        6 => same::<KeysRecord>(bytes),
        7 => same::<StateRecord>(bytes),
        8 => same::<ExternalRecord>(bytes),
        9 => same::<MessageRecord>(bytes),
        _ => return None,
    })
}

fn same<T: DeserializeBytes + Serialize>(bytes: &[u8]) -> std::result::Result<(), ()> {
    match exact::<T>(bytes) {
        Ok(value) if encode(&value).is_ok_and(|again| again == bytes) => Ok(()),
        Ok(_) => Err(()),
        Err(_) => Ok(()),
    }
}
