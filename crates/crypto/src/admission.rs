//! Owns what admits somebody to registering (design page 5): invitation codes and the challenges of
//! proofs of work. The provider remembers neither; it knows its own by their tags.
//!
//! Invariant: both are made under a key that only the operator has, and each names its end, so that
//! what marks a code as used need not be kept longer than the code is good.

use crate::CryptoError;
use crate::labels::{expand, sha256};
use crate::operator::OperatorKey;
use crate::secret::secret;
use data_encoding::BASE32_NOPAD;
use rand_core::RngCore;
use sordino_wire::{Bytes, ProofOfWorkContent, encode};
use subtle::ConstantTimeEq as _;
use tls_codec::{TlsSerialize, TlsSize};

const INVITATION_LABEL: &str = "invitation";
const CHALLENGE_LABEL: &str = "proof of work challenge";
const TAG_BYTES: usize = 16;
const INVITATION_ID_BYTES: usize = 10;
/// Characters of a code between two hyphens.
const GROUP_CHARACTERS: usize = 8;

secret! {
    /// `Expand(operator_key, "admission", "", 32)`.
    AdmissionKey;
}

impl OperatorKey {
    /// The key of invitation codes and challenges.
    pub fn admission_key(&self) -> Result<AdmissionKey, CryptoError> {
        Ok(AdmissionKey::new(self.derive("admission", b"")?))
    }
}

/// What an invitation code says.
#[derive(Clone, Copy, PartialEq, Eq, TlsSerialize, TlsSize)]
pub struct Invitation {
    /// Names the code, to mark it as used.
    pub id: [u8; INVITATION_ID_BYTES],
    /// The last day on which it is good, in days since 1970.
    pub last_day: u32,
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Invitation(..)")
    }
}

/// What a challenge says.
#[derive(TlsSerialize, TlsSize)]
struct Challenge {
    /// When it was made, in hours since 1970.
    hour: u32,
    random: [u8; 16],
}

impl AdmissionKey {
    /// A new invitation code: `id[10] || uint32 last_day || tag[16]` in base 32 (RFC 4648, small
    /// letters), 48 characters in groups of eight with hyphens between them.
    pub fn make_invitation(
        &self,
        last_day: u32,
        rng: &mut dyn RngCore,
    ) -> Result<String, CryptoError> {
        let mut id = [0; INVITATION_ID_BYTES];
        rng.fill_bytes(&mut id);
        let tagged = self.tag(INVITATION_LABEL, &encode(&Invitation { id, last_day })?)?;
        let text = BASE32_NOPAD.encode(&tagged).to_ascii_lowercase();
        let groups: Vec<&[u8]> = text.as_bytes().chunks(GROUP_CHARACTERS).collect();
        String::from_utf8(groups.join(&b'-')).map_err(|_| CryptoError::Encoding)
    }

    /// Reads a code of ours; hyphens, spaces and the case of letters do not matter. Whether it is
    /// still good is for the caller. [`CryptoError::Mac`] for anything else.
    pub fn open_invitation(&self, code: &[u8]) -> Result<Invitation, CryptoError> {
        let refused = CryptoError::Mac;
        let letters = code
            .iter()
            .filter(|byte| **byte != b'-' && !byte.is_ascii_whitespace());
        let letters: Vec<u8> = letters.map(u8::to_ascii_uppercase).collect();
        let tagged = BASE32_NOPAD.decode(&letters).map_err(|_| refused)?;
        let content = self.check_tag(INVITATION_LABEL, &tagged)?;
        let (id, day) = content.split_first_chunk().ok_or(CryptoError::Mac)?;
        let day = day.try_into().map_err(|_| CryptoError::Mac)?;
        Ok(Invitation {
            id: *id,
            last_day: u32::from_be_bytes(day),
        })
    }

    /// A new challenge: `uint32 hour || random[16] || tag[16]`.
    pub fn make_challenge(
        &self,
        hour: u32,
        rng: &mut dyn RngCore,
    ) -> Result<Bytes<1, 128>, CryptoError> {
        let mut random = [0; 16];
        rng.fill_bytes(&mut random);
        let tagged = self.tag(CHALLENGE_LABEL, &encode(&Challenge { hour, random })?)?;
        Ok(Bytes::new(tagged)?)
    }

    /// The hour in which a challenge of ours was made. [`CryptoError::Mac`] for anything else.
    pub fn open_challenge(&self, challenge: &[u8]) -> Result<u32, CryptoError> {
        let content = self.check_tag(CHALLENGE_LABEL, challenge)?;
        let hour = content.first_chunk().ok_or(CryptoError::Mac)?;
        Ok(u32::from_be_bytes(*hour))
    }

    fn tag(&self, label: &str, content: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let tag = expand::<TAG_BYTES>(self.secret().expose(), label, content)?;
        Ok([content, tag.as_slice()].concat())
    }

    fn check_tag<'a>(&self, label: &str, tagged: &'a [u8]) -> Result<&'a [u8], CryptoError> {
        let (content, tag) = tagged
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(CryptoError::Mac)?;
        let expected = expand::<TAG_BYTES>(self.secret().expose(), label, content)?;
        if bool::from(expected.ct_eq(tag)) {
            Ok(content)
        } else {
            Err(CryptoError::Mac)
        }
    }
}

/// Whether the hash of a proof of work begins with so many zero bits.
pub fn check_proof_of_work(
    content: &ProofOfWorkContent,
    difficulty_bits: u8,
) -> Result<bool, CryptoError> {
    let hash = sha256(&encode(content)?).0;
    let mut zeros = 0;
    for byte in hash {
        zeros += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    Ok(zeros >= u32::from(difficulty_bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{flips, rng, secret};
    use sordino_wire::{Handle, SignatureKey};

    fn key() -> AdmissionKey {
        OperatorKey::new(secret(1)).admission_key().unwrap()
    }

    #[test]
    fn a_code_is_48_characters_and_can_be_typed() {
        let code = key().make_invitation(20_700, &mut rng()).unwrap();
        assert_eq!(code.len(), 48 + 5);
        let opened = key().open_invitation(code.as_bytes()).unwrap();
        assert_eq!(opened.last_day, 20_700);
        let typed = format!(" {} \n", code.to_uppercase().replace('-', " "));
        assert_eq!(key().open_invitation(typed.as_bytes()), Ok(opened));
        let other = key().make_invitation(20_700, &mut rng()).unwrap();
        assert_eq!(code, other, "the same randomness gives the same code");
        let mut twice = rng();
        let first = key().make_invitation(20_700, &mut twice).unwrap();
        assert_ne!(first, key().make_invitation(20_700, &mut twice).unwrap());
    }

    #[test]
    fn other_codes_are_refused() {
        let refused = Err(CryptoError::Mac);
        let code = key().make_invitation(20_700, &mut rng()).unwrap();
        let other = OperatorKey::new(secret(2)).admission_key().unwrap();
        assert_eq!(other.open_invitation(code.as_bytes()), refused);
        for index in (0..code.len()).filter(|index| code.as_bytes()[*index] != b'-') {
            let mut changed = code.clone().into_bytes();
            changed[index] = if changed[index] == b'a' { b'b' } else { b'a' };
            assert_eq!(key().open_invitation(&changed), refused, "{index}");
            assert_eq!(key().open_invitation(&code.as_bytes()[..index]), refused);
        }
        for odd in ["", "-", "11111111", "aaaaaaaa"] {
            assert_eq!(key().open_invitation(odd.as_bytes()), refused);
        }
        let long = format!("{code}-{code}");
        assert_eq!(key().open_invitation(long.as_bytes()), refused);
    }

    #[test]
    fn a_challenge_tells_its_hour_to_its_maker_alone() {
        let challenge = key().make_challenge(500_000, &mut rng()).unwrap();
        assert_eq!(challenge.as_slice().len(), 36);
        assert_eq!(key().open_challenge(challenge.as_slice()), Ok(500_000));
        let refused = Err(CryptoError::Mac);
        for flipped in flips(challenge.as_slice()) {
            assert_eq!(key().open_challenge(&flipped), refused);
        }
        let other = OperatorKey::new(secret(2)).admission_key().unwrap();
        assert_eq!(other.open_challenge(challenge.as_slice()), refused);
        assert_eq!(key().open_challenge(&[0; 16]), refused);
    }

    #[test]
    fn work_is_for_one_challenge_handle_and_key() {
        let content = |challenge: u8, handle: &str, account_key: u8, solution| ProofOfWorkContent {
            challenge: Bytes::new([challenge; 36]).unwrap(),
            handle: Handle::new(handle).unwrap(),
            account_key: SignatureKey::new([account_key; 32]).unwrap(),
            solution,
        };
        let good = |content: &ProofOfWorkContent| check_proof_of_work(content, 12).unwrap();
        let solution = (0..)
            .find(|solution| good(&content(1, "alice", 2, *solution)))
            .unwrap();
        // A chance of one in four thousand each, and always the same.
        assert!(!good(&content(2, "alice", 2, solution)));
        assert!(!good(&content(1, "alicf", 2, solution)));
        assert!(!good(&content(1, "alice", 3, solution)));
        assert!(!good(&content(1, "alice", 2, solution + 1)));
        let any = content(1, "alice", 2, 0);
        assert_eq!(check_proof_of_work(&any, 0), Ok(true));
        assert_eq!(check_proof_of_work(&any, 255), Ok(false));
    }
}
