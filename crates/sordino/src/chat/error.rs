//! Owns what a person is told when something does not work.
//!
//! Invariant: every text says what to do next, in words of the command line.

use super::unlock::PASSPHRASE_VARIABLE;
use sordino_client::ClientError;
use std::io;
use std::path::PathBuf;

/// Why a command ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChatError {
    /// No place to live.
    #[error("there is no home folder; name a folder with --home")]
    NoHome,
    /// A folder without an account.
    #[error(
        "nobody lives in {} yet: begin with `sordino chat register HANDLE`, or with \
         `sordino chat link` to add this device to an account that you have", .0.display()
    )]
    NobodyHere(PathBuf),
    /// A folder with an account.
    #[error("somebody lives in {} already; choose another folder with --home", .0.display())]
    SomebodyHere(PathBuf),
    /// The settings do not parse.
    #[error("settings.toml is not understood; restore it, or link this device anew")]
    Settings,
    /// A file of the folder.
    #[error("the folder cannot be used: {0}")]
    Folder(io::Error),
    /// The key file.
    #[error("the key file cannot be used: {0}")]
    KeyFile(io::Error),
    /// A key file for others to read.
    #[error("{} can be read by others; run `chmod 600` on it", .0.display())]
    OpenKeyFile(PathBuf),
    /// A key file without a key.
    #[error("the key file does not hold 64 hexadecimal digits")]
    BadKeyFile,
    /// The passphrase file.
    #[error("the passphrase file cannot be read: {0}")]
    PassphraseFile(io::Error),
    /// No way to ask.
    #[error(
        "no passphrase: run it in a terminal, use --passphrase-file, or set {PASSPHRASE_VARIABLE}"
    )]
    NoPassphrase,
    /// The wrong way to open.
    #[error("this folder is sealed with a passphrase, not with a key file")]
    SealedByPassphrase,
    /// Too short.
    #[error("a passphrase needs {0} characters or more")]
    ShortPassphrase(usize),
    /// Two different ones.
    #[error("the two passphrases differ; try again")]
    PassphrasesDiffer,
    /// The terminal.
    #[error("the terminal does not answer: {0}")]
    Terminal(io::Error),
    /// The system.
    #[error("the system gives no randomness")]
    NoRandomness,
    /// The runtime.
    #[error("the system refuses: {0}")]
    System(io::Error),
    /// Not a place of a hub.
    #[error("{0} is not a hub's domain; write it like `hub.example` or `127.0.0.1:8420`")]
    BadHub(String),
    /// No hub there.
    #[error("no hub answers at {0}; is it running, and is the domain right?")]
    NoHub(String),
    /// Not a handle.
    #[error("{0} is not a handle: 2 to 32 letters, digits, `-` and `_`, beginning with a letter")]
    BadHandle(String),
    /// Nobody of that name among the contacts.
    #[error("{0} is not among your contacts; `sordino chat connect {0}` asks for a connection")]
    NoContact(String),
    /// No such request.
    #[error("there is no connection request of {0}; `sordino chat requests` lists them")]
    NoRequest(String),
    /// No such room.
    #[error("there is no room {0}; `sordino chat rooms` lists them")]
    NoRoom(String),
    /// Several rooms.
    #[error("several rooms are called {0}; use the first digits of the id that `rooms` shows")]
    ManyRooms(String),
    /// No such member.
    #[error("{0} is not in this room; `sordino chat members ROOM` lists who is")]
    NoMember(String),
    /// No such device.
    #[error("there is no device {0}; `sordino chat devices` lists them")]
    NoDevice(String),
    /// Nothing to say, or too much.
    #[error("a message has 1 to 65,536 bytes, a room's name 1 to 64")]
    BadText,
    /// An invitation is needed.
    #[error("this provider admits by invitation; add `--invitation CODE`, which it gives out")]
    InvitationNeeded,
    /// The client library.
    #[error("{}", told(.0))]
    Client(#[from] ClientError),
}

/// A client's error, with what to do about it.
fn told(error: &ClientError) -> String {
    use sordino_client::{Advice, VaultError};
    match error {
        // Under another key every record has another name: the vault seems empty.
        ClientError::Vault(VaultError::Sealed | VaultError::Device) => {
            "the folder does not open: the passphrase or key is wrong".to_owned()
        }
        ClientError::Vault(VaultError::File) => {
            "the folder is in use by another `sordino chat`, or cannot be written".to_owned()
        }
        ClientError::Unreachable => {
            "the hub does not answer; what was begun is kept and goes on at the next command"
                .to_owned()
        }
        other => match other.advice() {
            Advice::RetryAfter(wait_s) => format!("{other}; try again in {wait_s} s"),
            Advice::Wait => format!("{other}; `sordino chat sync` brings it on"),
            Advice::Change | Advice::GiveUp => other.to_string(),
        },
    }
}
