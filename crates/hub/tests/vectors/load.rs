//! The MLS working group's test vectors: those kept here, or a folder with all of them.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::Read as _;

/// Names a folder with the original files, to be run instead of the selection kept here.
pub(crate) const ALL_VECTORS: &str = "SORDINO_MLS_VECTORS";

/// A client that joins by a Welcome and then only follows.
#[derive(Deserialize)]
pub(crate) struct History {
    pub(crate) cipher_suite: u16,
    pub(crate) key_package: Hex,
    pub(crate) signature_priv: Hex,
    pub(crate) encryption_priv: Hex,
    pub(crate) init_priv: Hex,
    pub(crate) welcome: Hex,
    pub(crate) initial_epoch_authenticator: Hex,
    pub(crate) epochs: Vec<Epoch>,
}

/// What is sent in one epoch, and what all know in the next one.
#[derive(Deserialize)]
pub(crate) struct Epoch {
    pub(crate) proposals: Vec<Hex>,
    pub(crate) commit: Hex,
    pub(crate) epoch_authenticator: Hex,
}

/// A valid ratchet tree.
#[derive(Deserialize)]
pub(crate) struct Tree {
    pub(crate) cipher_suite: u16,
    pub(crate) tree: Hex,
    pub(crate) group_id: Hex,
    /// By node index.
    pub(crate) tree_hashes: Vec<Hex>,
}

/// Objects by their name.
pub(crate) type Objects = std::collections::BTreeMap<String, Hex>;

/// Bytes.
#[derive(Clone)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

pub(crate) fn histories() -> Vec<History> {
    let kept = include_bytes!("mls/passive-client-random.json.gz");
    read("passive-client-random.json", kept)
}

pub(crate) fn trees() -> Vec<Tree> {
    read(
        "tree-validation.json",
        include_bytes!("mls/tree-validation.json.gz"),
    )
}

pub(crate) fn messages() -> Vec<Objects> {
    read("messages.json", include_bytes!("mls/messages.json.gz"))
}

/// Whether the selection kept here is read, so that its counts are known.
pub(crate) fn is_selection() -> bool {
    std::env::var_os(ALL_VECTORS).is_none()
}

fn read<T: DeserializeOwned>(name: &str, kept: &[u8]) -> T {
    let Some(folder) = std::env::var_os(ALL_VECTORS) else {
        let mut text = String::new();
        let mut unpacked = flate2::read::GzDecoder::new(kept);
        unpacked.read_to_string(&mut text).unwrap();
        return serde_json::from_str(&text).unwrap();
    };
    let path = std::path::Path::new(&folder).join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
