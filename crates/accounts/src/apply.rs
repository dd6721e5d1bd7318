//! Stage 4, apply: one module per thing that can be done.
//!
//! Owns: what each operation checks and changes. Invariant: a refusal leaves everything as it was
//! read, since nothing outlives the request but the write set.

pub(crate) mod admission;
pub(crate) mod connection_requests;
pub(crate) mod delete;
pub(crate) mod devices;
pub(crate) mod keys;
pub(crate) mod look_up;
pub(crate) mod register;
