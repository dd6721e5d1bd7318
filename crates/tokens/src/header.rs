//! Owns the two HTTP headers of RFC 9577: challenges and redemption.
//!
//! Invariant: what is written has quoted, padded parameters. What is read may be quoted or not, padded
//! or not, beside other schemes, unknown parameters and reserved token types; but a token stands there
//! once or is refused.

use crate::auth_params::{Scheme, read_schemes};
use crate::base64url;
use crate::challenge::{TokenChallenge, parse_token_challenge};
use rand_core::RngCore;
use sordino_wire::limits::{
    MAX_AUTHORIZATION_HEADER_BYTES, MAX_CHALLENGE_HEADER_BYTES, MAX_CHALLENGES_PER_HEADER,
};
use zeroize::Zeroizing;

/// The authentication scheme.
pub const SCHEME: &str = "PrivateToken";

/// Why a header cannot be used. As HTTP status: 400 for an `Authorization` that is malformed; without
/// one, or without a token in it, the answer is 401 with a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderRefused {
    /// Not the syntax of RFC 9110, or too long.
    #[error("the header is malformed")]
    Malformed,
    /// Credentials of another scheme.
    #[error("the credentials are of another scheme")]
    Scheme,
    /// No token, or more than one.
    #[error("the credentials do not have one token")]
    Token,
}

/// One challenge of a `WWW-Authenticate` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedChallenge {
    /// What a token has to answer.
    pub challenge: TokenChallenge,
    /// The encoded key to draw with. It counts only if the issuer's directory has it.
    pub token_key: Option<Vec<u8>>,
    /// For how many seconds the challenge stands.
    pub max_age_s: Option<u64>,
}

/// Reads the challenges that can be answered here, in order. Others are skipped.
pub fn parse_www_authenticate(header: &str) -> Result<Vec<OfferedChallenge>, HeaderRefused> {
    if header.len() > MAX_CHALLENGE_HEADER_BYTES {
        return Err(HeaderRefused::Malformed);
    }
    let schemes =
        read_schemes(header, MAX_CHALLENGES_PER_HEADER).ok_or(HeaderRefused::Malformed)?;
    let ours = schemes.iter().filter(|scheme| scheme.is(SCHEME));
    Ok(ours.filter_map(offered).collect())
}

fn offered(scheme: &Scheme<'_>) -> Option<OfferedChallenge> {
    let challenge = base64url::read(scheme.value("challenge").ok()??)?;
    let token_key = match scheme.value("token-key").ok()? {
        Some(text) => Some(base64url::read(text)?),
        None => None,
    };
    // A max-age that is no number is like none.
    let max_age = scheme.value("max-age").ok().flatten();
    Some(OfferedChallenge {
        challenge: parse_token_challenge(&challenge).ok()?,
        token_key,
        max_age_s: max_age.and_then(|text| text.parse().ok()),
    })
}

/// Writes a `WWW-Authenticate` header.
pub fn write_www_authenticate(offered: &[OfferedChallenge]) -> String {
    let written: Vec<String> = offered.iter().map(write_one).collect();
    written.join(", ")
}

fn write_one(offered: &OfferedChallenge) -> String {
    let challenge = base64url::write(&offered.challenge.to_bytes());
    let mut text = format!("{SCHEME} challenge=\"{challenge}\"");
    if let Some(key) = &offered.token_key {
        text.push_str(&format!(", token-key=\"{}\"", base64url::write(key)));
    }
    if let Some(seconds) = offered.max_age_s {
        text.push_str(&format!(", max-age=\"{seconds}\""));
    }
    text
}

/// Token types that IANA has reserved so that clients learn to skip what they do not know.
const RESERVED_TYPES: [u16; 9] = [
    0x0000, 0x02aa, 0x1132, 0x2e96, 0x3cd3, 0x4473, 0x5a63, 0x6d32, 0x7f3f,
];

/// A challenge that every client has to skip, for a place among others (RFC 9577 section 2.1.3).
pub fn write_reserved_challenge(rng: &mut impl RngCore) -> String {
    let mut random = [0; 64];
    rng.fill_bytes(&mut random);
    let pick = usize::try_from(rng.next_u32()).unwrap_or(0) % RESERVED_TYPES.len();
    let code = RESERVED_TYPES.get(pick).copied().unwrap_or_default();
    let mut challenge = code.to_be_bytes().to_vec();
    challenge.extend_from_slice(&random);
    format!("{SCHEME} challenge=\"{}\"", base64url::write(&challenge))
}

/// Reads the token of an `Authorization` header. Its bytes are not looked at.
pub fn parse_authorization(header: &str) -> Result<Zeroizing<Vec<u8>>, HeaderRefused> {
    if header.len() > MAX_AUTHORIZATION_HEADER_BYTES {
        return Err(HeaderRefused::Malformed);
    }
    let schemes = read_schemes(header, 2).ok_or(HeaderRefused::Malformed)?;
    let [credentials] = schemes.as_slice() else {
        return Err(HeaderRefused::Malformed);
    };
    if !credentials.is(SCHEME) {
        return Err(HeaderRefused::Scheme);
    }
    let token = credentials.value("token");
    let token = token.ok().flatten().ok_or(HeaderRefused::Token)?;
    let bytes = base64url::read(token).ok_or(HeaderRefused::Token)?;
    Ok(Zeroizing::new(bytes))
}

/// Writes an `Authorization` header.
pub fn write_authorization(token: &[u8]) -> Zeroizing<String> {
    let token = Zeroizing::new(base64url::write(token));
    Zeroizing::new(format!("{SCHEME} token=\"{}\"", *token))
}
