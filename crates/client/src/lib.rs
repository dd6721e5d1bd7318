//! The client library: accounts, people, groups, streams (design pages 3.6 and 5).
//!
//! Owns: the secrets of one device, its groups' MLS state, what it sends and what it receives.
//! Invariant: nothing is believed because a hub says so; nothing is sent that is not durable here
//! first; every step can be repeated after a crash at any point.
//! Never sees: another user's secrets; and no hub ever sees this user's real identity.
//!
//! A [`Client`] is one device of a user. [`Client::run`] keeps it up to date in the background;
//! [`Client::sync_once`] does one round. What happens is told by [`Client::events`].
//!
//! ```
//! use sordino_client::{
//!     Client, ClientConfig, Delays, GroupSettings, Handle, HubAddress, Invited, RegisterWith,
//! };
//! use sordino_server::{Server, ServerConfig};
//!
//! # type Failure = Box<dyn std::error::Error>;
//! # #[tokio::main]
//! # async fn main() -> Result<(), Failure> {
//! # let folder = tempfile::tempdir()?;
//! let hub = Server::start(ServerConfig::local(folder.path().join("hub"))).await?;
//! let address = HubAddress {
//!     url: format!("http://{}", hub.local_addr()),
//!     domain: hub.domain().clone(),
//! };
//!
//! // A device is a vault with a key that the application keeps; a user is a handle at a provider.
//! let mut config = ClientConfig::new(folder.path().join("alice"), [1; 32], address.clone());
//! # config.delays = Delays::none();
//! let alice = Client::register(config, &Handle::from_input("alice")?, RegisterWith::work()).await?;
//! let mut config = ClientConfig::new(folder.path().join("bob"), [2; 32], address);
//! # config.delays = Delays::none();
//! let bob = Client::register(config, &Handle::from_input("bob")?, RegisterWith::work()).await?;
//!
//! // Alice asks for a connection; bob sees who asks, compares fingerprints, and says yes.
//! alice.connect(&Handle::from_input("bob")?).await?;
//! bob.sync_once().await?; // `bob.run()` would do this by itself
//! let requests = bob.connection_requests().await?;
//! let request = requests.first().ok_or("nobody asks")?;
//! assert_eq!(request.fingerprint, alice.fingerprint()?);
//! let contact = bob.accept(request.id).await?;
//!
//! // Both are in a group of their own now.
//! let group = contact.group.ok_or("no group")?;
//! group.send(b"con sordino").await?;
//! # for _ in 0..2 { alice.sync_once().await?; bob.sync_once().await?; }
//! alice.sync_once().await?;
//! let contact = alice.contact(&bob.credential().user).await?;
//! let messages = contact.group.ok_or("no group")?.messages(0, 10).await?;
//! let message = messages.first().ok_or("no message")?;
//! assert_eq!(message.content, b"con sordino");
//!
//! // And bring each other into further groups.
//! let room = alice.create_group(GroupSettings::closed()).await?;
//! let invited = room.invite(&bob.credential().user).await?;
//! assert_eq!(invited, Invited::Added);
//! bob.sync_once().await?;
//! assert_eq!(bob.groups().len(), 1);
//! # hub.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod arrive;
#[cfg(feature = "audit")]
mod audit;
mod client;
mod clock;
mod core;
mod device;
mod devices;
mod drive;
mod duties;
mod engine;
mod entropy;
mod envelope;
mod error;
mod events;
mod group;
mod handover;
mod inbox;
mod invite;
mod key_packages;
mod key_request;
mod mls;
mod mls_crypto;
mod notes;
mod outbox;
mod people;
#[doc(hidden)]
pub mod raw;
mod records;
mod recover;
mod settings;
#[cfg(feature = "simulation")]
pub mod simulation;
mod slots;
mod sync;
mod template;
mod transport;
mod vault;
mod wallet;

pub use client::Client;
pub use clock::{Clock, ManualClock, SystemClock};
pub use core::{ClientConfig, StreamReading};
pub use devices::linking::Linking;
pub use engine::tools::Delays;
pub use error::{Advice, ClientError, GroupStatus, Result, VaultError};
pub use events::{Event, EventStream, Evidence, Identity, Message, Person, Recovery, Standing};
pub use group::{Group, Inspection};
pub use invite::{link_from_text, link_to_text};
pub use notes::{MAX_LABEL_BYTES, MAX_NOTE_BYTES};
pub use people::contact::{Contact, ContactState};
pub use people::invites::{InviteInfo, Invited};
pub use people::look_up::Found;
pub use people::register::{AccountInfo, RegisterWith};
pub use people::requests::{ConnectionRequestInfo, RequestId};
pub use people::work::{OnWork, WorkProgress};
pub use settings::GroupSettings;
pub use sordino_rules::Operation;
pub use sordino_wire::{
    AccountReject, Domain, GroupId, Handle, IdentifierUri, InviteLink, JoinRule, KeyPackageEntry,
    Permission, PolicySummary, Reject, TokenClass,
};
pub use transport::HubAddress;
pub use wallet::TokenBalance;
