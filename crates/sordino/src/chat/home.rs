//! Owns the folder in which a person's chat lives: settings in the clear, everything else in the
//! sealed vault.
//!
//! Invariant: the settings say which hub and how the vault is sealed, and no name, contact or
//! room; folder and files are the owner's alone.

use super::ChatError;
use serde::{Deserialize, Serialize};
use sordino_client::{Domain, HubAddress};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

const SETTINGS: &str = "settings.toml";
const VAULT: &str = "vault.redb";
/// Stands there while somebody moves in.
const BEGUN: &str = "moving-in";

/// How the vault's key comes about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Seal {
    /// From a passphrase, by Argon2id.
    Passphrase {
        /// 16 random bytes, in hexadecimal digits.
        salt: String,
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
    },
    /// From a file of 32 bytes in hexadecimal digits.
    KeyFile {
        /// Where it was when the vault was made; `--key-file` names another place.
        path: PathBuf,
    },
}

/// What a folder says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the hub is.
    pub(crate) hub_url: String,
    /// What it is called.
    pub(crate) hub_domain: String,
    /// How the vault is sealed.
    pub(crate) seal: Seal,
}

impl Settings {
    /// For a hub.
    pub(crate) fn new(hub: &HubAddress, seal: Seal) -> Self {
        Self {
            hub_url: hub.url.clone(),
            hub_domain: hub.domain.as_str().to_owned(),
            seal,
        }
    }

    /// The hub, as the client wants it.
    pub(crate) fn hub(&self) -> Result<HubAddress, ChatError> {
        let domain = Domain::new(self.hub_domain.clone()).map_err(|_| ChatError::Settings)?;
        Ok(HubAddress {
            url: self.hub_url.clone(),
            domain,
        })
    }
}

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// Where the arguments say, or the usual place.
    pub(crate) fn at(chosen: Option<PathBuf>) -> Result<Self, ChatError> {
        let place = chosen.or_else(|| std::env::home_dir().map(|home| home.join(".sordino")));
        place.map(Self).ok_or(ChatError::NoHome)
    }

    /// The folder's path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The vault's path.
    pub(crate) fn vault(&self) -> PathBuf {
        self.0.join(VAULT)
    }

    /// Whether somebody lives here already.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.join(SETTINGS).exists() && !self.is_begun()
    }

    /// Whether somebody began to move in, and was interrupted.
    pub(crate) fn is_begun(&self) -> bool {
        self.0.join(BEGUN).exists()
    }

    /// Somebody moves in: until [`Home::settle`], the same command goes on where it was.
    pub(crate) fn begin(&self, settings: &Settings) -> Result<(), ChatError> {
        self.make()?;
        write_private(&self.0.join(BEGUN), b"").map_err(ChatError::Folder)?;
        self.keep(settings)
    }

    /// Somebody has moved in.
    pub(crate) fn settle(&self) -> Result<(), ChatError> {
        fs::remove_file(self.0.join(BEGUN)).map_err(ChatError::Folder)
    }

    /// Reads the settings.
    pub(crate) fn settings(&self) -> Result<Settings, ChatError> {
        let text = match fs::read_to_string(self.0.join(SETTINGS)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ChatError::NobodyHere(self.0.clone()));
            }
            Err(error) => return Err(ChatError::Folder(error)),
        };
        toml::from_str(&text).map_err(|_| ChatError::Settings)
    }

    /// Makes the folder, for its owner alone.
    fn make(&self) -> Result<(), ChatError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0).map_err(ChatError::Folder)
    }

    /// Writes the settings, whole or not at all.
    fn keep(&self, settings: &Settings) -> Result<(), ChatError> {
        let text = toml::to_string(settings).map_err(|_| ChatError::Settings)?;
        let draft = self.0.join("settings.toml.new");
        write_private(&draft, text.as_bytes()).map_err(ChatError::Folder)?;
        fs::rename(&draft, self.0.join(SETTINGS)).map_err(ChatError::Folder)
    }
}

/// Writes a file that its owner alone can read, and waits for the disk.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            hub_url: "https://hub.example".into(),
            hub_domain: "hub.example".into(),
            seal: Seal::Passphrase {
                salt: "00".repeat(16),
                memory_kib: 64,
                passes: 1,
            },
        }
    }

    #[test]
    fn settings_come_back_and_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(Some(folder.path().join("deep/inside"))).unwrap();
        assert!(!home.is_taken());
        assert!(matches!(home.settings(), Err(ChatError::NobodyHere(_))));
        home.begin(&settings()).unwrap();
        assert!(home.is_begun() && !home.is_taken());
        home.settle().unwrap();
        assert!(home.is_taken() && !home.is_begun());
        assert_eq!(home.settings().unwrap(), settings());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(home.path()), 0o700);
            assert_eq!(mode(&home.path().join(SETTINGS)), 0o600);
        }
    }

    #[test]
    fn settings_that_are_not_understood_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(Some(folder.path().to_owned())).unwrap();
        for text in [
            "",
            "hub_url = 1",
            "nonsense",
            "hub_url = \"x\"\nhub_domain = \"y\"",
        ] {
            fs::write(folder.path().join(SETTINGS), text).unwrap();
            assert!(
                matches!(home.settings(), Err(ChatError::Settings)),
                "{text}"
            );
        }
    }
}
