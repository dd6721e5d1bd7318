//! Accounts, contacts and what passes between people (design page 5).
//!
//! Invariant: a name is shown only after the account key behind it was looked up, and acted upon
//! only after a leaf of the group proved it; what is sent about it is durable here first.
//! Never seen by the hub: which contact a pool, a group or a message belongs to.

pub(crate) mod accept;
pub(crate) mod account_request;
pub(crate) mod book;
pub(crate) mod conclude;
pub(crate) mod confirm;
pub(crate) mod connect;
pub(crate) mod contact;
pub(crate) mod fetch;
pub(crate) mod invites;
pub(crate) mod look_up;
pub(crate) mod pool;
pub(crate) mod register;
pub(crate) mod requests;
pub(crate) mod tend;
pub(crate) mod work;
