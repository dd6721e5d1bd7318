//! Key schedule, sealing, blinding, pseudonyms and identity links (design page 2).
//!
//! Owns: every derivation and every use of a key outside MLS itself.
//! Invariant: a context is empty or the TLS encoding of a struct, every label is used in one place,
//! a key is a newtype that is wiped on drop and never printed, and whatever does not open says
//! nothing about why.
//! Never sees: time, the system's randomness, a store. Randomness is an argument.

mod account;
mod account_row;
mod admission;
mod aead;
mod connection;
mod credential;
mod error;
mod generation;
mod hpke;
mod identity;
mod inbox;
mod key_object;
mod key_package_set;
mod labels;
mod link;
mod operator;
mod outer;
mod padding;
mod seal;
mod secret;
mod signature;
mod stream;
#[cfg(test)]
mod testing;
mod user;
mod windows;

pub use account::{
    check_account_deletion, check_account_key_change, check_connection_key, make_account_deletion,
    make_account_key_change, make_connection_key,
};
pub use admission::{AdmissionKey, Invitation, check_proof_of_work};
pub use connection::{
    RequestParts, account_fingerprint, check_connection_request, make_connection_request,
    open_connection_request, seal_connection_request,
};
pub use credential::{check_credential, make_credential};
pub use error::CryptoError;
pub use generation::{
    DeliveryKey, EXPORTER_GROUP, EXPORTER_SENDER, EarKey, GroupSecret, HeadKey, PendingKey,
    PreviousKey, RosterKey, SenderKey, TreeKey, WrapperKey, exporter_group_context, keys_hash,
    unwrap_previous, wrap_previous,
};
pub use hpke::{HpkePrivateKey, hpke_generate, hpke_open, hpke_seal, hpke_send_export};
pub use identity::{
    check_client_credential, check_identity_link, make_client_credential, make_identity_link,
    open_identity_entry, seal_identity_entry,
};
pub use inbox::{inbox_id, open_inbox_delivery, seal_inbox_delivery};
pub use key_object::{
    KEY_OBJECT_PLAINTEXT_BYTES, check_key_object, make_key_object, open_key_object, seal_key_object,
};
pub use key_package_set::{SetPlace, open_set_entry, seal_set_entry};
pub use labels::{expand, sha256};
pub use link::{LINK_SECRET_BYTES, LinkSecret, open_link, seal_link};
pub use operator::{IndexKey, OperatorKey};
pub use outer::OuterKeys;
pub use padding::{MAX_DELTA_BYTES, PadClass, pad, unpad};
pub use seal::{Address, LayerKey, RECORD_FORMAT, Space, open_layer, seal_layer};
pub use signature::{SigningKey, verify, verify_struct};
pub use stream::{open_entry, seal_entry, stream_id};
pub use user::{ClientSecret, ContactKey, ContactToken, Slot, UserSecret, user_pseudonym};
pub use windows::{SLOT_BYTES, SLOTS, WindowKey, WindowKeys};
