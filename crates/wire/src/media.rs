//! Owns media types, paths and well-known names of the HTTP binding (draft-kohbrok-mimi-moh).

/// Body of every request and answer.
pub const OCTETS: &str = "application/octet-stream";
/// All group operations, the group named only inside.
pub const GROUP_OPERATION: &str = "/group_operation";
/// Welcome information.
pub const WELCOME_INFORMATION: &str = "/welcome_information";
/// External commit information and membership.
pub const EXTERNAL_COMMIT_INFORMATION: &str = "/external_commit_information";
/// Reading streams.
pub const STREAMS: &str = "/streams";
/// Streams over a WebSocket.
pub const STREAMS_LIVE: &str = "/streams/live";
/// Opening and reading inboxes.
pub const INBOXES: &str = "/inboxes";
/// The delivery service's domain.
pub const DS_DOMAIN: &str = "/.well-known/mimi/ds-domain";
/// The directory of addresses.
pub const DIRECTORY: &str = "/.well-known/mimi-protocol-directory";
/// Accounts: registering, devices, connection requests that wait.
pub const ACCOUNTS: &str = "/accounts";
/// Asking a person: look-up and connection request, without an account.
pub const CONNECTION_REQUEST: &str = "/connection_request";
/// Publishing and fetching key-package sets.
pub const GROUP_KEY_PACKAGES: &str = "/group_key_packages";
