//! Tokens, as a device has them (design page 4): what they cost and under which keys they are drawn,
//! how they are drawn ahead, kept and spent.
//!
//! Invariant: a token leaves this device only after it is durable here which request it goes with; the
//! same request goes with the same tokens, however often it is sent; a token that was shown with one
//! thing is never shown with another.
//! Never seen by whoever takes tokens: an account. Never seen by whoever issues them: a token.

pub(crate) mod batch;
pub(crate) mod draw;
pub(crate) mod pay;
pub(crate) mod purchase;
pub(crate) mod purse;
pub(crate) mod terms;

pub use draw::TokenBalance;
