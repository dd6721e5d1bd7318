//! Owns the book on tokens: what each one has bought, by the answers that acknowledged it.
//!
//! Invariant: a token is in the book with one request; with another one, the hub sold twice.

use crate::violation::Violation;
use sordino_crypto::sha256;
use sordino_wire::{Digest, Tokens};
use std::collections::BTreeMap;

/// Where the nonce of a serialised token is (RFC 9577 section 2.2).
const NONCE: std::ops::Range<usize> = 2..34;

/// Tokens by their nonces.
#[derive(Default)]
pub(crate) struct Till {
    sold: BTreeMap<Vec<u8>, Digest>,
}

impl Till {
    /// A request with these tokens was done.
    pub(crate) fn sold(&mut self, tokens: &Tokens, body: &[u8]) -> Result<(), Violation> {
        let request = sha256(body);
        for token in tokens.iter() {
            let nonce = token.as_slice().get(NONCE).unwrap_or_default().to_vec();
            let first = *self.sold.entry(nonce).or_insert(request);
            if first != request {
                return Err(Violation::TokenBoughtTwice);
            }
        }
        Ok(())
    }

    /// How many have bought something.
    pub(crate) fn spent(&self) -> u64 {
        u64::try_from(self.sold.len()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sordino_wire::{Bytes, List};

    #[test]
    fn a_token_buys_one_thing_however_often_it_is_asked_for() {
        let token = |byte: u8| Bytes::new(vec![byte; 162]).unwrap();
        let tokens = |bytes: &[u8]| List::new(bytes.iter().map(|b| token(*b)).collect()).unwrap();
        let mut till = Till::default();
        till.sold(&tokens(&[1, 2]), b"a group").unwrap();
        till.sold(&tokens(&[1, 2]), b"a group").unwrap();
        till.sold(&tokens(&[3]), b"an inbox").unwrap();
        assert_eq!(till.spent(), 3);
        let twice = till.sold(&tokens(&[4, 2]), b"an inbox");
        assert_eq!(twice, Err(Violation::TokenBoughtTwice));
    }
}
