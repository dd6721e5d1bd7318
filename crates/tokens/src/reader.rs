//! Owns reading and writing of the primitives of RFC 9578 and of the batch draft.
//!
//! Invariant: nothing is allocated, a length has its minimal form alone, and a reader that has
//! failed is given up.

/// What is left of some bytes.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// `opaque value<0..2^16-1>` of RFC 8446 section 3.4.
    pub(crate) fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// `opaque value<0..255>`.
    pub(crate) fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// `opaque value<V>`: the length is a variable-length integer (RFC 9000 section 16) in the
    /// shortest form. Lengths from 2^30 on, which no body here can have, are refused.
    pub(crate) fn vector(&mut self) -> Option<&'a [u8]> {
        let first = self.u8()?;
        let more = match first >> 6 {
            0 => 0,
            1 => 1,
            2 => 3,
            _ => return None,
        };
        let mut length = usize::from(first & 0x3f);
        for byte in self.take(more)? {
            length = (length << 8) | usize::from(*byte);
        }
        if more != length_bytes(length)?.checked_sub(1)? {
            return None;
        }
        self.take(length)
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The end: `Some` if nothing is left.
    pub(crate) fn end(self) -> Option<()> {
        self.is_empty().then_some(())
    }
}

/// Bytes of the shortest form of a length below 2^30.
fn length_bytes(length: usize) -> Option<usize> {
    match length {
        0..=0x3f => Some(1),
        0x40..=0x3fff => Some(2),
        0x4000..=0x3fff_ffff => Some(4),
        _ => None,
    }
}

/// Writes a length in its shortest form; `None` from 2^30 on.
pub(crate) fn write_length(length: usize, into: &mut Vec<u8>) -> Option<()> {
    let wide = u32::try_from(length).ok()?;
    let [_, _, high, low] = wide.to_be_bytes();
    match length_bytes(length)? {
        1 => into.push(low),
        2 => into.extend_from_slice(&[high | 0x40, low]),
        _ => into.extend_from_slice(&(wide | 0x8000_0000).to_be_bytes()),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_length(length, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn lengths_are_those_of_rfc_9000() {
        assert_eq!(written(37), [0x25]);
        assert_eq!(written(15_293), [0x7b, 0xbd]);
        assert_eq!(written(494_878_333), [0x9d, 0x7f, 0x3e, 0x7d]);
        assert_eq!(write_length(1 << 30, &mut Vec::new()), None);
    }

    #[test]
    fn longer_forms_than_needed_are_refused() {
        assert_eq!(Reader::new(&[0x01, 7]).vector(), Some(&[7][..]));
        for longer in [
            &[0x40, 0x01, 7][..],
            &[0x80, 0, 0, 1, 7],
            &[0xc0, 0, 0, 0, 0, 0, 0, 1, 7],
        ] {
            assert_eq!(Reader::new(longer).vector(), None, "{longer:?}");
        }
    }

    #[test]
    fn a_length_takes_as_many_bytes_as_it_needs() {
        for (length, bytes) in [
            (0, 1),
            (0x3f, 1),
            (0x40, 2),
            (0x3fff, 2),
            (0x4000, 4),
            (0x0001_0203, 4),
        ] {
            let mut vector = written(length);
            assert_eq!(vector.len(), bytes, "{length}");
            vector.resize(bytes + length, 7);
            let mut reader = Reader::new(&vector);
            assert_eq!(reader.vector().map(<[u8]>::len), Some(length));
            assert!(reader.is_empty());
            assert_eq!(
                Reader::new(&vector[..bytes]).vector().is_some(),
                length == 0
            );
        }
        assert_eq!(written((1 << 30) - 1), [0xbf, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn announced_lengths_are_not_believed() {
        assert_eq!(Reader::new(&[0xbf, 0xff, 0xff, 0xff, 1]).vector(), None);
        assert_eq!(Reader::new(&[0xff, 0xff, 1]).vector16(), None);
        assert_eq!(Reader::new(&[2, 1]).vector8(), None);
        assert_eq!(Reader::new(&[]).vector(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(contents in prop::collection::vec(any::<u8>(), 0..20_000)) {
            let mut bytes = written(contents.len());
            bytes.extend_from_slice(&contents);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.vector(), Some(&contents[..]));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn whatever_is_read_is_the_one_form(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut reader = Reader::new(&bytes);
            if let Some(contents) = reader.vector() {
                let mut again = written(contents.len());
                again.extend_from_slice(contents);
                prop_assert_eq!(&again[..], &bytes[..again.len()]);
            }
        }
    }
}
