//! Owns base64url as RFC 9577 has it: written with padding, read with or without it.
//!
//! Invariant: bits that the last character leaves over are zero, so bytes have two forms at most.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(crate) fn write(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

pub(crate) fn read(text: &str) -> Option<Vec<u8>> {
    ENGINE.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_written_and_not_demanded() {
        assert_eq!(write(&[0xfb, 0xff]), "-_8=");
        for text in ["-_8=", "-_8"] {
            assert_eq!(read(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(read(""), Some(Vec::new()));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "-_9=", "-_9", "+/8=", "-_8==", "-_8=A", "-", " -_8", "-_8\n", "-=_8",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
