//! Owns making invitation codes for an operator.
//!
//! Invariant: it reads the operator key and nothing else, so it works beside a running server, and
//! nothing remembers for whom a code was made, or that it was.

use crate::clock::day_of;
use crate::error::StartError;
use crate::folder::operator_key_in;
use crate::keys::read_operator_key;
use crate::random;
use crate::settings::{KeyPlace, ServerConfig};
use sordino_accounts::Registration;
use std::path::PathBuf;

/// The longest life of a code in days.
pub const MAX_INVITATION_DAYS: u32 = 365;
/// The most codes at once.
pub const MAX_INVITATIONS: u32 = 10_000;

/// Why there are no codes.
#[derive(Debug, thiserror::Error)]
pub enum InvitationError {
    /// Codes would open nothing.
    #[error(
        "codes would serve nobody: registration is not by invitation here \
         (in the configuration: [accounts] registration = \"invitation\")"
    )]
    NotByInvitation,
    /// There is no operator key yet.
    #[error(
        "there is no operator key at {key}: it is made when the server starts for the first time"
    )]
    NoOperatorKey {
        /// Where it was looked for.
        key: PathBuf,
    },
    /// A number is out of range.
    #[error("{what}: {value} is out of range; 1 to {most} are allowed")]
    Range {
        /// Which one.
        what: &'static str,
        /// What it is.
        value: u32,
        /// The most.
        most: u32,
    },
    /// The operator key cannot be read.
    #[error(transparent)]
    Key(#[from] StartError),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
    /// Cryptography failed on our own data.
    #[error("cryptography failed on own data")]
    Crypto(#[from] sordino_crypto::CryptoError),
}

/// New codes, good from now on for so many days; each serves one registration.
pub fn invitations(
    config: &ServerConfig,
    count: u32,
    days: u32,
) -> Result<Vec<String>, InvitationError> {
    within("count", count, MAX_INVITATIONS)?;
    within("days", days, MAX_INVITATION_DAYS)?;
    if config.registration != Registration::Invitation {
        return Err(InvitationError::NotByInvitation);
    }
    let path = match &config.operator_key {
        KeyPlace::DataFolder => operator_key_in(&config.data_dir),
        KeyPlace::File(path) | KeyPlace::Credential(path) => path.clone(),
    };
    let key = read_operator_key(&path, &config.operator_key)?;
    let key = key.ok_or(InvitationError::NoOperatorKey { key: path })?;
    let admission = key.admission_key()?;
    let mut rng = random::generator().map_err(|_| InvitationError::Randomness)?;
    let last_day = day_of(config.clock.now_s()).saturating_add(days);
    (0..count)
        .map(|_| Ok(admission.make_invitation(last_day, &mut rng)?))
        .collect()
}

fn within(what: &'static str, value: u32, most: u32) -> Result<(), InvitationError> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(InvitationError::Range { what, value, most })
    }
}
