//! Owns nothing of its own: reading, opening and sealing are the seam's.

pub(crate) use sordino_effects::{
    Decoy, Opened, Records, address, open_record, read_page, seal_record, version_of,
};
