//! Owns how the vault's key comes about: a passphrase or a key file.
//!
//! Invariant: neither key nor passphrase is printed, logged or kept; a key file that others can
//! read is refused.

use super::ChatError;
use super::home::{Seal, write_private};
use argon2::{Algorithm, Argon2, Params, Version};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where a passphrase may stand, for scripts.
pub(crate) const PASSPHRASE_VARIABLE: &str = "SORDINO_PASSPHRASE";
/// The shortest passphrase.
const MIN_PASSPHRASE_CHARS: usize = 8;
/// The first choice of RFC 9106 asks for 2 GiB; this is its second one.
const MEMORY_KIB: u32 = 64 * 1024;
/// As RFC 9106, section 4, has it for that much memory.
const PASSES: u32 = 3;
/// Bounds for what a settings file may ask for.
const MAX_MEMORY_KIB: u32 = 4 * 1024 * 1024;

/// The options that say how to open the vault.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Unlocking {
    /// Read the passphrase from the first line of a file
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "key_file")]
    passphrase_file: Option<PathBuf>,

    /// Seal the vault with a key file in place of a passphrase; made by `register` and `link` if
    /// it does not exist
    #[arg(long, value_name = "FILE", global = true)]
    key_file: Option<PathBuf>,
}

/// A vault's key.
pub(crate) type VaultKey = Zeroizing<[u8; 32]>;

impl Unlocking {
    /// For a new vault: how it is sealed, and its key.
    pub(crate) fn choose(&self) -> Result<(Seal, VaultKey), ChatError> {
        if let Some(path) = &self.key_file {
            let path = std::path::absolute(path).map_err(ChatError::KeyFile)?;
            if !path.exists() {
                make_key_file(&path)?;
            }
            let key = read_key_file(&path)?;
            return Ok((Seal::KeyFile { path }, key));
        }
        let passphrase = self.passphrase(true)?;
        if passphrase.chars().count() < MIN_PASSPHRASE_CHARS {
            return Err(ChatError::ShortPassphrase(MIN_PASSPHRASE_CHARS));
        }
        let salt: [u8; 16] = random()?;
        let seal = Seal::Passphrase {
            salt: hex::encode(salt),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
        };
        let key = stretch(&passphrase, &salt, MEMORY_KIB, PASSES)?;
        Ok((seal, key))
    }

    /// The key of a vault that is there.
    pub(crate) fn open(&self, seal: &Seal) -> Result<VaultKey, ChatError> {
        match seal {
            Seal::KeyFile { path } => read_key_file(self.key_file.as_ref().unwrap_or(path)),
            Seal::Passphrase {
                salt,
                memory_kib,
                passes,
            } => {
                if self.key_file.is_some() {
                    return Err(ChatError::SealedByPassphrase);
                }
                let salt = hex::decode(salt).map_err(|_| ChatError::Settings)?;
                stretch(&self.passphrase(false)?, &salt, *memory_kib, *passes)
            }
        }
    }

    fn passphrase(&self, new: bool) -> Result<Zeroizing<String>, ChatError> {
        if let Some(path) = &self.passphrase_file {
            let text = std::fs::read_to_string(path).map_err(ChatError::PassphraseFile)?;
            let text = Zeroizing::new(text);
            return Ok(Zeroizing::new(
                text.lines().next().unwrap_or_default().to_owned(),
            ));
        }
        if let Ok(passphrase) = std::env::var(PASSPHRASE_VARIABLE) {
            return Ok(Zeroizing::new(passphrase));
        }
        if !std::io::stdin().is_terminal() {
            return Err(ChatError::NoPassphrase);
        }
        let ask = |question: &str| {
            let answer = rpassword::prompt_password(question).map_err(ChatError::Terminal)?;
            Ok::<_, ChatError>(Zeroizing::new(answer))
        };
        let passphrase = ask(if new {
            "Choose a passphrase for this folder (8 characters or more): "
        } else {
            "Passphrase: "
        })?;
        if new && *passphrase != *ask("The same again: ")? {
            return Err(ChatError::PassphrasesDiffer);
        }
        Ok(passphrase)
    }
}

fn stretch(
    passphrase: &str,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
) -> Result<VaultKey, ChatError> {
    if memory_kib > MAX_MEMORY_KIB {
        return Err(ChatError::Settings);
    }
    let params = Params::new(memory_kib, passes, 1, Some(32)).map_err(|_| ChatError::Settings)?;
    let mut key = VaultKey::default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .map_err(|_| ChatError::Settings)?;
    Ok(key)
}

/// Fresh bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], ChatError> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|_| ChatError::NoRandomness)?;
    Ok(bytes)
}

fn make_key_file(path: &Path) -> Result<(), ChatError> {
    let key = Zeroizing::new(random::<32>()?);
    let text = Zeroizing::new(format!("{}\n", hex::encode(key.as_slice())));
    write_private(path, text.as_bytes()).map_err(ChatError::KeyFile)
}

fn read_key_file(path: &Path) -> Result<VaultKey, ChatError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = std::fs::metadata(path).map_err(ChatError::KeyFile)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(ChatError::OpenKeyFile(path.to_owned()));
        }
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(ChatError::KeyFile)?);
    let mut key = VaultKey::default();
    hex::decode_to_slice(text.trim(), key.as_mut_slice()).map_err(|_| ChatError::BadKeyFile)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_file(path: PathBuf) -> Unlocking {
        Unlocking {
            key_file: Some(path),
            ..Unlocking::default()
        }
    }

    #[test]
    fn a_key_file_is_made_once_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let unlocking = by_file(folder.path().join("key"));
        let (seal, key) = unlocking.choose().unwrap();
        assert_eq!(unlocking.open(&seal).unwrap(), key);
        assert_eq!(Unlocking::default().open(&seal).unwrap(), key);
        let (_, again) = unlocking.choose().unwrap();
        assert_eq!(again, key);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_for_all_to_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let (seal, _) = by_file(path.clone()).choose().unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Unlocking::default().open(&seal);
        assert!(matches!(refused, Err(ChatError::OpenKeyFile(_))));
    }

    #[test]
    fn a_key_file_must_hold_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for text in ["", "00", &"zz".repeat(32), &"00".repeat(33)] {
            write_private(&path, text.as_bytes()).unwrap();
            let refused = by_file(path.clone()).choose();
            assert!(matches!(refused, Err(ChatError::BadKeyFile)), "{text}");
        }
    }

    #[test]
    fn a_passphrase_gives_one_key_per_salt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        std::fs::write(&path, "correct horse\nsecond line\n").unwrap();
        let unlocking = Unlocking {
            passphrase_file: Some(path.clone()),
            ..Unlocking::default()
        };
        let seal = |salt: &str| Seal::Passphrase {
            salt: salt.repeat(16),
            memory_kib: 64,
            passes: 1,
        };
        let key = unlocking.open(&seal("00")).unwrap();
        assert_eq!(unlocking.open(&seal("00")).unwrap(), key);
        assert_ne!(unlocking.open(&seal("01")).unwrap(), key);
        std::fs::write(&path, "correct horsf\n").unwrap();
        assert_ne!(unlocking.open(&seal("00")).unwrap(), key);
        std::fs::write(&path, "short\n").unwrap();
        assert!(matches!(
            unlocking.choose(),
            Err(ChatError::ShortPassphrase(8))
        ));
    }

    #[test]
    fn absurd_settings_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        std::fs::write(&path, "correct horse\n").unwrap();
        let unlocking = Unlocking {
            passphrase_file: Some(path),
            ..Unlocking::default()
        };
        for (salt, memory_kib, passes) in [("00", u32::MAX, 1), ("00", 64, 0), ("zz", 64, 1)] {
            let seal = Seal::Passphrase {
                salt: salt.repeat(16),
                memory_kib,
                passes,
            };
            assert!(matches!(unlocking.open(&seal), Err(ChatError::Settings)));
        }
    }
}
