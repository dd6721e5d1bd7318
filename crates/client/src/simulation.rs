//! Owns the seam at which a simulated network and a simulated disk take the place of the real ones.
//!
//! Invariant: everything above a single attempt at a request, and above the vault's database, is
//! what it is without a simulation.

use std::future::Future;
use std::pin::Pin;

/// What a hub says to one attempt at a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Whether the body is one of the protocol's: of the media type of octets.
    pub octets: bool,
    /// The body.
    pub body: Vec<u8>,
}

/// One attempt under way; `None` where no answer comes.
pub type Attempt<'a> = Pin<Box<dyn Future<Output = Option<Reply>> + Send + 'a>>;

/// What one device has around it.
pub trait World: Send + Sync + std::fmt::Debug {
    /// Posts a body to an address of the hub, or gets what is there where there is no body. It ends
    /// by itself, as a timeout would end it.
    fn attempt(&self, path: &'static str, body: Option<&[u8]>) -> Attempt<'_>;

    /// Opens or creates the vault's database.
    ///
    /// # Errors
    /// When the disk fails.
    fn open_vault(&self) -> Result<redb::Database, redb::DatabaseError>;
}
