//! Owns the errors of this crate.
//!
//! Invariant: a text names the kind of trouble and nothing of the values.

/// What can go wrong with a key, a signature or a sealed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// A length or a number is outside its bounds.
    #[error("a length or a number is outside its bounds")]
    Length,
    /// A signature does not verify, or a signature key is not one.
    #[error("a signature does not verify")]
    Signature,
    /// A MAC does not verify.
    #[error("a MAC does not verify")]
    Mac,
    /// A ciphertext does not open.
    #[error("a ciphertext does not open")]
    Decrypt,
    /// The key is not the one that the value was sealed with.
    #[error("a key commitment does not match")]
    Commitment,
    /// Padding is not what the encoder makes.
    #[error("padding is not canonical")]
    Padding,
    /// An HPKE operation failed.
    #[error("an HPKE operation failed")]
    Hpke,
    /// A value does not encode or parse.
    #[error("a value does not encode or parse")]
    Encoding,
}

impl From<tls_codec::Error> for CryptoError {
    fn from(_: tls_codec::Error) -> Self {
        Self::Encoding
    }
}

impl From<sordino_wire::OutOfBounds> for CryptoError {
    fn from(_: sordino_wire::OutOfBounds) -> Self {
        Self::Length
    }
}
