//! Owns what two devices of one user seal to each other before they share a group (design page 5).
//!
//! Invariant: what opens was sealed to this device's key by somebody who knows the secret of the
//! code; the hub, which passes it on, knows neither.

use crate::hpke::labelled_info;
use crate::labels::encode_secret;
use crate::padding::{PadClass, pad, unpad};
use crate::{CryptoError, hpke_open, hpke_seal, sha256};
use rand_core::RngCore;
use sordino_wire::{HpkeCiphertext, HpkeKey, Secret32, encode, exact};
use subtle::ConstantTimeEq as _;
use tls_codec::{TlsSerialize, TlsSize, VLByteSlice};
use zeroize::Zeroizing;

/// Bytes of a code's secret: 128 bits.
pub const LINK_SECRET_BYTES: usize = 16;

const SEAL_LABEL: &str = "device link";
const DEPOSIT_LABEL: &[u8] = b"Sordino 1.0 device link deposit";

/// The secret of a link code: whoever typed it in has it, and nobody else.
pub struct LinkSecret(Zeroizing<[u8; LINK_SECRET_BYTES]>);

impl LinkSecret {
    /// Takes the bytes.
    pub fn new(bytes: [u8; LINK_SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for a code or a vault.
    pub fn expose(&self) -> &[u8; LINK_SECRET_BYTES] {
        &self.0
    }

    /// A second copy, where two owners legitimately need one.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// What lets its holder deposit in the inbox of the code.
    pub fn deposit_secret(&self) -> Secret32 {
        let content = Zeroizing::new([DEPOSIT_LABEL, self.0.as_slice()].concat());
        Secret32::new(sha256(&content).0)
    }
}

impl PartialEq for LinkSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for LinkSecret {}

impl std::fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkSecret(..)")
    }
}

/// What stands as additional data: only who knows the secret can make it.
#[derive(TlsSerialize, TlsSize)]
struct LinkData<'a> {
    secret: VLByteSlice<'a>,
    recipient: VLByteSlice<'a>,
}

fn data(secret: &LinkSecret, recipient: &HpkeKey) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    encode_secret(&LinkData {
        secret: VLByteSlice(secret.expose()),
        recipient: VLByteSlice(recipient.as_slice()),
    })
}

/// Seals a value to another device, padded to Padmé sizes.
pub fn seal_link(
    secret: &LinkSecret,
    recipient: &HpkeKey,
    plaintext: &[u8],
    rng: &mut dyn RngCore,
) -> Result<Vec<u8>, CryptoError> {
    let info = labelled_info(SEAL_LABEL, b"")?;
    let padded = Zeroizing::new(pad(plaintext, PadClass::Padme)?);
    let aad = data(secret, recipient)?;
    let sealed = hpke_seal(recipient.as_slice(), &info, &aad, &padded, rng)?;
    Ok(encode(&sealed)?)
}

/// Opens what another device sealed.
pub fn open_link(
    secret: &LinkSecret,
    private_key: &crate::HpkePrivateKey,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let sealed: HpkeCiphertext = exact(sealed)?;
    let info = labelled_info(SEAL_LABEL, b"")?;
    let aad = data(secret, &private_key.public()?)?;
    let padded = hpke_open(private_key.expose(), &info, &aad, &sealed)?;
    Ok(Zeroizing::new(unpad(&padded)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpke_generate;
    use crate::testing::rng;

    #[test]
    fn what_is_sealed_opens_with_key_and_secret() {
        let (private, public) = hpke_generate(&mut rng()).unwrap();
        let secret = LinkSecret::new([1; 16]);
        let sealed = seal_link(&secret, &public, b"offer", &mut rng()).unwrap();
        let opened = open_link(&secret, &private, &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"offer");
        let other = LinkSecret::new([2; 16]);
        assert!(open_link(&other, &private, &sealed).is_err());
        let stranger = crate::HpkePrivateKey::from_bytes(&[7; 32]).unwrap();
        assert!(open_link(&secret, &stranger, &sealed).is_err());
        for at in [0, 10, 40, sealed.len() - 1] {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(open_link(&secret, &private, &damaged).is_err());
        }
        for length in [0, 1, 33, sealed.len() - 1] {
            assert!(open_link(&secret, &private, &sealed[..length]).is_err());
        }
    }

    #[test]
    fn a_code_opens_no_other_inbox() {
        let one = LinkSecret::new([1; 16]);
        assert_eq!(one.deposit_secret(), one.duplicate().deposit_secret());
        let other = LinkSecret::new([2; 16]);
        assert_ne!(one.deposit_secret(), other.deposit_secret());
        assert!(one == one.duplicate() && one != other);
        assert_eq!(format!("{one:?}"), "LinkSecret(..)");
    }
}
