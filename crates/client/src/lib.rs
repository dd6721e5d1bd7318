//! The client library: users, devices, groups, streams (design page 3.6).
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
//! use sordino_client::{Client, ClientConfig, GroupSettings, HubAddress, IdentifierUri};
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
//! let uri = |name: &str| {
//!     IdentifierUri::new(format!("mimi://{}/u/{name}", hub.domain().as_str()))
//! };
//!
//! // A user is a vault with a key that the application keeps.
//! let config = ClientConfig::new(folder.path().join("alice"), [1; 32], address.clone());
//! let alice = Client::create_user(config, &uri("alice")?).await?;
//! let config = ClientConfig::new(folder.path().join("bob"), [2; 32], address);
//! let bob = Client::create_user(config, &uri("bob")?).await?;
//!
//! // Bob hands alice a key-package set; she makes a group and adds him.
//! let set = bob.key_package_set(&uri("alice")?).await?;
//! let group = alice.create_group(GroupSettings::closed()).await?;
//! group.add_users(vec![set]).await?;
//! group.send(b"con sordino").await?;
//!
//! // Bob finds his Welcome and the message. `bob.run()` would do this by itself.
//! bob.sync_once().await?;
//! let at_bob = bob.group(group.id()).await?;
//! let messages = at_bob.messages(0, 10).await?;
//! let message = messages.first().ok_or("no message")?;
//! assert_eq!(message.content, b"con sordino");
//! let sender = message.sender.identity.as_ref().ok_or("unidentified")?;
//! assert_eq!(sender.user, uri("alice")?);
//! # hub.shutdown().await;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "audit")]
mod audit;
mod client;
mod clock;
mod core;
mod device;
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
mod outbox;
#[doc(hidden)]
pub mod raw;
mod records;
mod recover;
mod settings;
mod slots;
mod sync;
mod template;
mod transport;
mod vault;

pub use client::{Client, NewDevice};
pub use clock::{Clock, ManualClock, SystemClock};
pub use core::{ClientConfig, StreamReading};
pub use engine::tools::Delays;
pub use error::{Advice, ClientError, GroupStatus, Result, VaultError};
pub use events::{Event, EventStream, Evidence, Identity, Message, Person, Recovery};
pub use group::{Group, Inspection};
pub use handover::{DeviceHandover, GroupHandover, LeafGrant, LeafRequest, LinkRequest};
pub use invite::{link_from_text, link_to_text};
pub use key_packages::{SetSlot, assemble_set};
pub use settings::GroupSettings;
pub use sordino_rules::Operation;
pub use sordino_wire::{
    Domain, GroupId, IdentifierUri, InviteLink, JoinRule, KeyPackageEntry, KeyPackageSet,
    Permission, PolicySummary, Reject,
};
pub use transport::HubAddress;
