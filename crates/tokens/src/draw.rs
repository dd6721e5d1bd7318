//! Owns the client's side of issuance: from a public key to tokens.
//!
//! Invariant: a draw asks with the same bytes however often it is asked, also after it was stored and
//! read back, so an interrupted one is repeated without a second batch; and it gives tokens only if the
//! proof is right for the key that it was begun with.

use crate::blind_rsa::RsaPublic;
use crate::challenge::TokenChallenge;
use crate::directory::ListedKey;
use crate::kind::{TOKEN_INPUT_BYTES, TokenType};
use crate::media::RequestForm;
use crate::reader::{Reader, write_length};
use crate::refused::TokenFault;
use crate::request::{write_amortised, write_single};
use crate::response::{
    Evaluated, parse_amortised_response, parse_generic_response, parse_single_response,
};
use crate::token::{KeyId, Token, token_input};
use crate::voprf_suite::{self as suite, Suite};
use p384::NistP384;
use rand_core::RngCore;
use sordino_wire::limits::MAX_TOKEN_BATCH_RISTRETTO255;
use voprf::Ristretto255;
use zeroize::Zeroizing;

/// Why a draw cannot begin, or brings nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DrawRefused {
    /// The key is of an unknown type or not an encoded key of its type.
    #[error("not a public key of a type that is spoken here")]
    Key,
    /// The challenge is of another type than the key.
    #[error("challenge and key are of different types")]
    Challenge,
    /// No tokens, too many, or a batch of a type that has no batches.
    #[error("not a number of tokens that can be drawn at once")]
    Count,
    /// The answer is malformed or has another number of tokens.
    #[error("the answer is not one to this request")]
    Answer,
    /// The proof or the signature is not the key's.
    #[error("the answer was not made with the announced key")]
    Proof,
    /// A stored draw is damaged.
    #[error("not a stored draw")]
    Stored,
    /// A library failed.
    #[error(transparent)]
    Fault(#[from] TokenFault),
}

/// A batch that is being drawn: what was asked, and the secrets that turn the answer into tokens.
pub struct Draw {
    form: RequestForm,
    token_type: TokenType,
    public_key: Vec<u8>,
    challenge_digest: [u8; 32],
    items: Vec<Item>,
}

/// One token of a draw.
struct Item {
    nonce: Zeroizing<[u8; 32]>,
    /// A secret, then the blinded message.
    blinding: Zeroizing<Vec<u8>>,
}

impl Draw {
    /// Begins a draw of one token.
    pub fn single(
        key: &ListedKey,
        challenge: &TokenChallenge,
        rng: &mut impl RngCore,
    ) -> Result<Self, DrawRefused> {
        Self::begin(RequestForm::Single, key, challenge, 1, rng)
    }

    /// Begins a draw of up to 100 tokens under one proof (types 0x0005 and 0x0001).
    pub fn amortised(
        key: &ListedKey,
        challenge: &TokenChallenge,
        count: usize,
        rng: &mut impl RngCore,
    ) -> Result<Self, DrawRefused> {
        Self::begin(RequestForm::Amortised, key, challenge, count, rng)
    }

    fn begin(
        form: RequestForm,
        key: &ListedKey,
        challenge: &TokenChallenge,
        count: usize,
        rng: &mut impl RngCore,
    ) -> Result<Self, DrawRefused> {
        let token_type = key.token_type().ok_or(DrawRefused::Key)?;
        if challenge.token_type() != token_type {
            return Err(DrawRefused::Challenge);
        }
        if !may_draw(form, token_type, count) {
            return Err(DrawRefused::Count);
        }
        let public_key = PublicKey::read(token_type, &key.public_key).ok_or(DrawRefused::Key)?;
        let challenge_digest = challenge.digest().0;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            let mut nonce = Zeroizing::new([0; 32]);
            rng.fill_bytes(nonce.as_mut_slice());
            let input = token_input(token_type, &nonce, &challenge_digest, &key.id());
            let blinding = public_key.blind(&input, rng)?;
            items.push(Item { nonce, blinding });
        }
        Ok(Self {
            form,
            token_type,
            public_key: key.public_key.clone(),
            challenge_digest,
            items,
        })
    }

    /// The key that it draws with.
    pub fn key_id(&self) -> KeyId {
        KeyId::of(&self.public_key)
    }

    /// How many tokens it draws.
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// The form, and with it the media types, of its request.
    pub fn form(&self) -> RequestForm {
        self.form
    }

    /// The body of its request.
    pub fn request(&self) -> Result<Vec<u8>, TokenFault> {
        let mut blinded = Vec::with_capacity(self.items.len() * self.token_type.message_bytes());
        for item in &self.items {
            blinded.extend_from_slice(self.blinded(item)?);
        }
        let truncated = self.key_id().truncated();
        match self.form {
            RequestForm::Amortised => write_amortised(self.token_type, truncated, &blinded),
            _ => Some(write_single(self.token_type, truncated, &blinded)),
        }
        .ok_or(TokenFault)
    }

    fn blinded<'a>(&self, item: &'a Item) -> Result<&'a [u8], TokenFault> {
        let secret_bytes = self.token_type.blinding_bytes() - self.token_type.message_bytes();
        item.blinding.get(secret_bytes..).ok_or(TokenFault)
    }

    /// Turns the answer into tokens. The draw can be used again if this fails.
    pub fn finish(&self, answer: &[u8]) -> Result<Vec<Token>, DrawRefused> {
        let evaluated = match self.form {
            RequestForm::Amortised => parse_amortised_response(self.token_type, answer),
            _ => parse_single_response(self.token_type, answer),
        };
        self.finish_with(evaluated.ok_or(DrawRefused::Answer)?)
    }

    fn finish_with(&self, evaluated: Evaluated<'_>) -> Result<Vec<Token>, DrawRefused> {
        let expected = self.items.len() * self.token_type.message_bytes();
        if evaluated.messages.len() != expected {
            return Err(DrawRefused::Answer);
        }
        let key_id = self.key_id();
        let input = |item: &Item| {
            token_input(
                self.token_type,
                &item.nonce,
                &self.challenge_digest,
                &key_id,
            )
        };
        let inputs: Zeroizing<Vec<[u8; TOKEN_INPUT_BYTES]>> =
            Zeroizing::new(self.items.iter().map(input).collect());
        let authenticators = match self.token_type {
            TokenType::VoprfP384 => self.finish_voprf::<NistP384>(&inputs, evaluated),
            TokenType::VoprfRistretto255 => self.finish_voprf::<Ristretto255>(&inputs, evaluated),
            TokenType::BlindRsa => self.finish_blind_rsa(&inputs, evaluated),
        };
        let authenticators = authenticators.ok_or(DrawRefused::Proof)?;
        let pairs = inputs.iter().zip(&authenticators);
        let tokens = pairs.map(|(input, authenticator)| Token::new(input, authenticator));
        Ok(tokens.collect::<Option<_>>().ok_or(TokenFault)?)
    }

    fn finish_voprf<S: Suite>(
        &self,
        inputs: &[[u8; TOKEN_INPUT_BYTES]],
        evaluated: Evaluated<'_>,
    ) -> Option<Vec<Zeroizing<Vec<u8>>>> {
        let blindings = self.items.iter().map(|item| item.blinding.as_slice());
        suite::finish::<S>(
            &self.public_key,
            inputs,
            blindings,
            evaluated.messages,
            evaluated.proof,
        )
    }

    fn finish_blind_rsa(
        &self,
        inputs: &[[u8; TOKEN_INPUT_BYTES]],
        evaluated: Evaluated<'_>,
    ) -> Option<Vec<Zeroizing<Vec<u8>>>> {
        let public_key = RsaPublic::from_spki(&self.public_key)?;
        let signatures = evaluated
            .messages
            .chunks_exact(self.token_type.message_bytes());
        let parts = inputs.iter().zip(&self.items).zip(signatures);
        parts
            .map(|((input, item), signature)| public_key.finish(input, &item.blinding, signature))
            .collect()
    }

    /// The form to be sealed and kept: `{uint8 version = 1; uint8 form; uint16 type;
    /// opaque public_key[N]; opaque challenge_digest[32]; Item items<V>}` with
    /// `Item {opaque nonce[32]; opaque blinding[M]}`, a secret and the blinded message.
    pub fn to_stored(&self) -> Result<Zeroizing<Vec<u8>>, TokenFault> {
        let item_bytes = 32 + self.token_type.blinding_bytes();
        let items_bytes = self.items.len() * item_bytes;
        // Enough from the beginning: a vector that grows leaves copies behind.
        let capacity = 8 + self.public_key.len() + 32 + items_bytes;
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        bytes.extend_from_slice(&[STORED_VERSION, form_code(self.form)]);
        bytes.extend_from_slice(&self.token_type.code().to_be_bytes());
        bytes.extend_from_slice(&self.public_key);
        bytes.extend_from_slice(&self.challenge_digest);
        write_length(items_bytes, &mut bytes).ok_or(TokenFault)?;
        for item in &self.items {
            bytes.extend_from_slice(item.nonce.as_slice());
            bytes.extend_from_slice(&item.blinding);
        }
        Ok(bytes)
    }
}

const STORED_VERSION: u8 = 1;

const fn form_code(form: RequestForm) -> u8 {
    match form {
        RequestForm::Single => 1,
        RequestForm::Amortised => 2,
        RequestForm::Generic => 3,
    }
}

/// Reads a whole stored draw.
pub fn parse_stored_draw(bytes: &[u8]) -> Result<Draw, DrawRefused> {
    read_stored(bytes).ok_or(DrawRefused::Stored)
}

fn read_stored(bytes: &[u8]) -> Option<Draw> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != STORED_VERSION {
        return None;
    }
    let code = reader.u8()?;
    let mut forms = [RequestForm::Single, RequestForm::Amortised].into_iter();
    let form = forms.find(|form| form_code(*form) == code)?;
    let token_type = TokenType::from_code(reader.u16()?)?;
    let public_key = reader.take(token_type.public_key_bytes())?.to_vec();
    PublicKey::read(token_type, &public_key)?;
    let challenge_digest = *reader.array()?;
    let items = reader.vector()?;
    reader.end()?;
    let items = items.chunks_exact(32 + token_type.blinding_bytes());
    if !items.remainder().is_empty() || !may_draw(form, token_type, items.len()) {
        return None;
    }
    let items = items.map(|item| {
        let (nonce, blinding) = item.split_first_chunk()?;
        Some(Item {
            nonce: Zeroizing::new(*nonce),
            blinding: Zeroizing::new(blinding.to_vec()),
        })
    });
    Some(Draw {
        form,
        token_type,
        public_key,
        challenge_digest,
        items: items.collect::<Option<_>>()?,
    })
}

fn may_draw(form: RequestForm, token_type: TokenType, count: usize) -> bool {
    match form {
        RequestForm::Single => count == 1,
        RequestForm::Amortised => {
            token_type.is_amortised() && (1..=MAX_TOKEN_BATCH_RISTRETTO255).contains(&count)
        }
        RequestForm::Generic => false,
    }
}

/// The body of a generic batch of single draws.
pub fn generic_request(draws: &[Draw]) -> Result<Vec<u8>, DrawRefused> {
    if draws.is_empty() || draws.iter().any(|draw| draw.form != RequestForm::Single) {
        return Err(DrawRefused::Count);
    }
    let mut contents = Vec::new();
    for draw in draws {
        contents.extend_from_slice(&draw.request()?);
    }
    let mut body = Vec::with_capacity(contents.len() + 4);
    write_length(contents.len(), &mut body).ok_or(DrawRefused::Count)?;
    body.extend_from_slice(&contents);
    Ok(body)
}

/// Turns the answer to a generic batch into tokens, `None` for each that was not issued.
pub fn finish_generic(draws: &[Draw], answer: &[u8]) -> Result<Vec<Option<Token>>, DrawRefused> {
    let answers = parse_generic_response(answer, draws.len()).ok_or(DrawRefused::Answer)?;
    if answers.len() != draws.len() {
        return Err(DrawRefused::Answer);
    }
    let pairs = draws.iter().zip(answers);
    pairs
        .map(|(draw, answer)| match answer {
            None => Ok(None),
            Some((token_type, _)) if token_type != draw.token_type => Err(DrawRefused::Answer),
            Some((_, evaluated)) => Ok(draw.finish_with(evaluated)?.pop()),
        })
        .collect()
}

/// A key to blind for.
enum PublicKey {
    VoprfP384,
    BlindRsa(Box<RsaPublic>),
    VoprfRistretto255,
}

impl PublicKey {
    fn read(token_type: TokenType, bytes: &[u8]) -> Option<Self> {
        match token_type {
            TokenType::VoprfP384 => {
                suite::is_public_key::<NistP384>(bytes).then_some(Self::VoprfP384)
            }
            TokenType::VoprfRistretto255 => {
                suite::is_public_key::<Ristretto255>(bytes).then_some(Self::VoprfRistretto255)
            }
            TokenType::BlindRsa => {
                let key = RsaPublic::from_spki(bytes)?;
                Some(Self::BlindRsa(Box::new(key)))
            }
        }
    }

    fn blind(
        &self,
        input: &[u8; TOKEN_INPUT_BYTES],
        rng: &mut impl RngCore,
    ) -> Result<Zeroizing<Vec<u8>>, TokenFault> {
        match self {
            Self::VoprfP384 => suite::blind::<NistP384>(input, rng),
            Self::VoprfRistretto255 => suite::blind::<Ristretto255>(input, rng),
            Self::BlindRsa(key) => key.blind(input, rng),
        }
    }
}

impl std::fmt::Debug for Draw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Draw(..)")
    }
}
