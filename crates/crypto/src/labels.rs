//! Owns hashing, key derivation and the labels' common prefix.
//!
//! Invariant: label and context are length-prefixed, so no two derivations can share an input.

use crate::CryptoError;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use sordino_wire::Digest;
use tls_codec::{Serialize, TlsSerialize, TlsSize, VLByteSlice};
use zeroize::Zeroizing;

/// Stands in front of every label.
pub(crate) const LABEL_PREFIX: &str = "Sordino 1.0 ";

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// `ExpandWithLabel` of RFC 9420 section 8 with HKDF-SHA-256 and the prefix "Sordino 1.0 ".
///
/// `secret` has at least 32 bytes; `context` is empty or the TLS encoding of a struct.
pub fn expand<const L: usize>(
    secret: &[u8],
    label: &str,
    context: &[u8],
) -> Result<Zeroizing<[u8; L]>, CryptoError> {
    let length = u16::try_from(L).map_err(|_| CryptoError::Length)?;
    let info = KdfLabel {
        length,
        labelled: labelled(label, context),
    };
    let info = encode_secret(&info)?;
    let kdf = Hkdf::<Sha256>::from_prk(secret).map_err(|_| CryptoError::Length)?;
    let mut output = Zeroizing::new([0u8; L]);
    kdf.expand(&info, output.as_mut_slice())
        .map_err(|_| CryptoError::Length)?;
    Ok(output)
}

/// HKDF-Extract with SHA-256.
pub(crate) fn extract(salt: &[u8], key_material: &[u8]) -> Zeroizing<[u8; 32]> {
    let (secret, _) = Hkdf::<Sha256>::extract(Some(salt), key_material);
    Zeroizing::new(secret.into())
}

/// HMAC-SHA-256.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> Result<Hmac<Sha256>, CryptoError> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).map_err(|_| CryptoError::Length)?;
    mac.update(message);
    Ok(mac)
}

/// HMAC-SHA-256, as bytes.
pub(crate) fn hmac_bytes(key: &[u8], message: &[u8]) -> Result<[u8; 32], CryptoError> {
    Ok(hmac(key, message)?.finalize().into_bytes().into())
}

/// The first `L` bytes of a digest.
pub(crate) fn truncate<const L: usize>(digest: &[u8; 32]) -> Result<[u8; L], CryptoError> {
    let head = digest.get(..L).ok_or(CryptoError::Length)?;
    head.try_into().map_err(|_| CryptoError::Length)
}

/// `{opaque label<V>; opaque content<V>}`, what signatures, MACs and HPKE contexts cover.
#[derive(TlsSerialize, TlsSize)]
pub(crate) struct Labelled<'a> {
    label: LabelBytes,
    content: VLByteSlice<'a>,
}

/// A label with its prefix.
#[derive(TlsSerialize, TlsSize)]
struct LabelBytes(tls_codec::VLBytes);

#[derive(TlsSerialize, TlsSize)]
struct KdfLabel<'a> {
    length: u16,
    labelled: Labelled<'a>,
}

/// Puts a label with its prefix in front of something.
pub(crate) fn labelled<'a>(label: &str, content: &'a [u8]) -> Labelled<'a> {
    let label = [LABEL_PREFIX, label].concat().into_bytes();
    Labelled {
        label: LabelBytes(label.into()),
        content: VLByteSlice(content),
    }
}

/// Serialises something that may hold a secret into one buffer that is wiped.
///
/// The buffer has its size from the start: growing would leave copies behind.
pub(crate) fn encode_secret<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(value.tls_serialized_len()));
    value.tls_serialize(&mut *bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_of_expand_matters() {
        let base = expand::<32>(&[1; 32], "label", b"context").unwrap();
        assert_ne!(base, expand::<32>(&[2; 32], "label", b"context").unwrap());
        assert_ne!(base, expand::<32>(&[1; 32], "labelc", b"ontext").unwrap());
        assert_ne!(base, expand::<32>(&[1; 32], "label", b"context2").unwrap());
        let longer = expand::<33>(&[1; 32], "label", b"context").unwrap();
        assert_ne!(base.as_slice(), &longer[..32]);
    }

    #[test]
    fn short_secrets_and_long_outputs_are_refused() {
        assert_eq!(expand::<16>(&[1; 31], "x", b""), Err(CryptoError::Length));
        assert!(expand::<8160>(&[1; 32], "x", b"").is_ok());
        assert_eq!(expand::<8161>(&[1; 32], "x", b""), Err(CryptoError::Length));
        assert_eq!(
            expand::<65536>(&[1; 32], "x", b""),
            Err(CryptoError::Length)
        );
    }

    #[test]
    fn no_error_text_holds_a_digit() {
        use CryptoError::*;
        for error in [
            Length, Signature, Mac, Decrypt, Commitment, Padding, Hpke, Encoding,
        ] {
            assert!(!error.to_string().chars().any(|c| c.is_ascii_digit()));
        }
    }
}
