//! Owns every use of the VOPRF library (RFC 9497, mode 0x01).
//!
//! Invariant: no element of a peer is used before it has been decoded, and a P-384 element is a
//! compressed point (the library also takes SEC1's compact form). The identity is refused.

use crate::kind::{TOKEN_INPUT_BYTES, TokenType};
use crate::random::Lent;
use crate::refused::TokenFault;
use p384::NistP384;
use rand_core::RngCore;
use subtle::ConstantTimeEq;
use voprf::{
    BlindedElement, CipherSuite, EvaluationElement, Group, Proof, Ristretto255, VoprfClient,
    VoprfServer,
};
use zeroize::Zeroizing;

/// A cipher suite with its token type.
pub(crate) trait Suite: CipherSuite {
    const TOKEN_TYPE: TokenType;

    /// Whether bytes may be an element, before any arithmetic.
    fn may_be_element(bytes: &[u8]) -> bool;
}

impl Suite for Ristretto255 {
    const TOKEN_TYPE: TokenType = TokenType::VoprfRistretto255;

    fn may_be_element(bytes: &[u8]) -> bool {
        // Canonical encodings are even (RFC 9496 section 4.3.1); the identity is all zeros.
        bytes.first().is_some_and(|low| low & 1 == 0) && bytes.iter().any(|byte| *byte != 0)
    }
}

impl Suite for NistP384 {
    const TOKEN_TYPE: TokenType = TokenType::VoprfP384;

    fn may_be_element(bytes: &[u8]) -> bool {
        matches!(bytes.first(), Some(0x02 | 0x03))
    }
}

/// The info string of DeriveKeyPair (RFC 9578 section 5.5).
const KEY_INFO: &[u8] = b"PrivacyPass";

/// A new key pair.
pub(crate) fn generate<S: Suite>(rng: &mut impl RngCore) -> Result<VoprfServer<S>, TokenFault> {
    let mut seed = Zeroizing::new(vec![0; S::TOKEN_TYPE.private_key_bytes()]);
    rng.fill_bytes(&mut seed);
    VoprfServer::new_from_seed(&seed, KEY_INFO).map_err(|_| TokenFault)
}

/// The private scalar.
pub(crate) fn private_key<S: Suite>(server: &VoprfServer<S>) -> Zeroizing<Vec<u8>> {
    let mut both = Zeroizing::new(server.serialize().to_vec());
    both.truncate(S::TOKEN_TYPE.private_key_bytes());
    both
}

/// The encoded public key.
pub(crate) fn public_key<S: Suite>(server: &VoprfServer<S>) -> Vec<u8> {
    S::Group::serialize_elem(server.get_public_key()).to_vec()
}

/// The key pair of a private scalar.
pub(crate) fn from_private_key<S: Suite>(private_key: &[u8]) -> Option<VoprfServer<S>> {
    VoprfServer::new_with_key(private_key).ok()
}

/// Decodes blinded elements; `None` if one of them is not one.
pub(crate) fn decode_blinded<'a, S: Suite>(
    elements: impl Iterator<Item = &'a [u8]> + Clone,
) -> Option<Vec<BlindedElement<S>>> {
    // All of the cheap looks come before the first square root.
    if !elements.clone().all(S::may_be_element) {
        return None;
    }
    elements
        .map(|bytes| BlindedElement::deserialize(bytes).ok())
        .collect()
}

/// Evaluates blinded elements: evaluated elements end to end, and one proof for all of them.
pub(crate) fn evaluate<S: Suite>(
    server: &VoprfServer<S>,
    blinded: &[BlindedElement<S>],
    rng: &mut impl RngCore,
) -> Result<(Vec<u8>, Vec<u8>), TokenFault> {
    let prepared: Vec<_> = server
        .batch_blind_evaluate_prepare(blinded.iter())
        .collect();
    let result = server
        .batch_blind_evaluate_finish(&mut Lent(rng), blinded.iter(), &prepared)
        .map_err(|_| TokenFault)?;
    let mut messages = Vec::with_capacity(blinded.len() * S::TOKEN_TYPE.message_bytes());
    for message in result.messages {
        messages.extend_from_slice(&message.serialize());
    }
    Ok((messages, result.proof.serialize().to_vec()))
}

/// Whether the key made this authenticator. Compared in constant time.
pub(crate) fn verify<S: Suite>(
    server: &VoprfServer<S>,
    input: &[u8; TOKEN_INPUT_BYTES],
    authenticator: &[u8],
) -> bool {
    server
        .evaluate(input)
        .is_ok_and(|expected| expected.as_slice().ct_eq(authenticator).into())
}

/// Whether bytes are a public key.
pub(crate) fn is_public_key<S: Suite>(public_key: &[u8]) -> bool {
    S::may_be_element(public_key) && S::Group::deserialize_elem(public_key).is_ok()
}

/// Blinds an input: the scalar, then the blinded element.
pub(crate) fn blind<S: Suite>(
    input: &[u8; TOKEN_INPUT_BYTES],
    rng: &mut impl RngCore,
) -> Result<Zeroizing<Vec<u8>>, TokenFault> {
    let blinded = VoprfClient::<S>::blind(input, &mut Lent(rng)).map_err(|_| TokenFault)?;
    Ok(Zeroizing::new(blinded.state.serialize().to_vec()))
}

/// Checks the proof over all evaluated elements and unblinds them: one authenticator per input.
/// `None` if anything is wrong. There are as many inputs and elements as blindings.
pub(crate) fn finish<'a, S: Suite>(
    public_key: &[u8],
    inputs: &[[u8; TOKEN_INPUT_BYTES]],
    blindings: impl Iterator<Item = &'a [u8]>,
    evaluated: &[u8],
    proof: &[u8],
) -> Option<Vec<Zeroizing<Vec<u8>>>> {
    let public_key = S::Group::deserialize_elem(public_key).ok()?;
    let clients: Vec<VoprfClient<S>> = blindings
        .map(|bytes| VoprfClient::deserialize(bytes).ok())
        .collect::<Option<_>>()?;
    let chunks = evaluated.chunks_exact(S::TOKEN_TYPE.message_bytes());
    if !chunks.clone().all(S::may_be_element) {
        return None;
    }
    let elements: Vec<EvaluationElement<S>> = chunks
        .map(|bytes| EvaluationElement::deserialize(bytes).ok())
        .collect::<Option<_>>()?;
    let proof = Proof::deserialize(proof).ok()?;
    let inputs: Vec<_> = inputs.iter().collect();
    let outputs = VoprfClient::batch_finalize(&inputs, &clients, &elements, &proof, public_key);
    outputs
        .ok()?
        .map(|output| Some(Zeroizing::new(output.ok()?.to_vec())))
        .collect()
}
