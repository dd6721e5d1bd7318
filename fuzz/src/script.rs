//! Reading decisions out of bytes.

/// What is left of an input.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte, if there is one.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number below `bound`, which is not 0; 0 at the end of the input.
    pub(crate) fn below(&mut self, bound: u8) -> u8 {
        self.byte().unwrap_or(0) % bound
    }

    /// A 16-bit number; 0 at the end of the input.
    pub(crate) fn number(&mut self) -> u16 {
        let mut byte = || self.byte().unwrap_or(0);
        u16::from_be_bytes([byte(), byte()])
    }

    /// The next bytes, at most `max`.
    pub(crate) fn take(&mut self, max: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(max.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
