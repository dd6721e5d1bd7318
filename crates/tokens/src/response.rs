//! Owns the bodies of answers with tokens (RFC 9578 sections 5.2 and 6.2, batch draft).
//!
//! Invariant: lengths are exact. Whether an evaluation is right, only its proof shows.

use crate::kind::TokenType;
use crate::reader::{Reader, write_length};

/// What a body holds for one draw: evaluated messages end to end, and their proof.
#[derive(Clone, Copy)]
pub struct Evaluated<'a> {
    pub(crate) messages: &'a [u8],
    pub(crate) proof: &'a [u8],
}

/// Reads a TokenResponse: `{evaluated_msg[Ne]; proof[2*Ns]}` or `{blind_sig[256]}`.
pub fn parse_single_response(token_type: TokenType, body: &[u8]) -> Option<Evaluated<'_>> {
    let mut reader = Reader::new(body);
    let evaluated = read_single(token_type, &mut reader)?;
    reader.end()?;
    Some(evaluated)
}

fn read_single<'a>(token_type: TokenType, reader: &mut Reader<'a>) -> Option<Evaluated<'a>> {
    Some(Evaluated {
        messages: reader.take(token_type.message_bytes())?,
        proof: reader.take(token_type.proof_bytes())?,
    })
}

/// Reads an AmortizedBatchTokenResponse: `{EvaluatedMessage evaluated_msgs<V>; proof[2*Ns]}`.
pub fn parse_amortised_response(token_type: TokenType, body: &[u8]) -> Option<Evaluated<'_>> {
    let mut reader = Reader::new(body);
    let messages = reader.vector()?;
    let proof = reader.take(token_type.proof_bytes())?;
    reader.end()?;
    let chunks = messages.chunks_exact(token_type.message_bytes());
    let whole = token_type.is_amortised() && chunks.remainder().is_empty();
    whole.then_some(Evaluated { messages, proof })
}

/// Reads a GenericBatchTokenResponse of at most `max` answers, each of which may be absent.
pub fn parse_generic_response(
    body: &[u8],
    max: usize,
) -> Option<Vec<Option<(TokenType, Evaluated<'_>)>>> {
    let mut reader = Reader::new(body);
    let mut contents = Reader::new(reader.vector()?);
    reader.end()?;
    let mut answers = Vec::new();
    while !contents.is_empty() {
        if answers.len() == max {
            return None;
        }
        answers.push(match contents.u8()? {
            0 => None,
            1 => {
                let token_type = TokenType::from_code(contents.u16()?)?;
                Some((token_type, read_single(token_type, &mut contents)?))
            }
            _ => return None,
        });
    }
    Some(answers)
}

/// Writes an AmortizedBatchTokenResponse.
pub(crate) fn write_amortised(messages: &[u8], proof: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::with_capacity(messages.len() + proof.len() + 4);
    write_length(messages.len(), &mut body)?;
    body.extend_from_slice(messages);
    body.extend_from_slice(proof);
    Some(body)
}

/// Writes a GenericBatchTokenResponse of TokenResponses.
pub(crate) fn write_generic(answers: &[Option<(TokenType, Vec<u8>)>]) -> Option<Vec<u8>> {
    let mut contents = Vec::new();
    for answer in answers {
        match answer {
            None => contents.push(0),
            Some((token_type, response)) => {
                contents.push(1);
                contents.extend_from_slice(&token_type.code().to_be_bytes());
                contents.extend_from_slice(response);
            }
        }
    }
    let mut body = Vec::with_capacity(contents.len() + 4);
    write_length(contents.len(), &mut body)?;
    body.extend_from_slice(&contents);
    Some(body)
}
