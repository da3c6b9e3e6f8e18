//! Compressed parts that can be kept, reordered and joined into one gzip document.
//!
//! Joining whole gzip members would be simpler, but Chromium shows only the first member and curl
//! refuses the rest: a scrape would seem complete and not be. So a part is a piece of one deflate
//! stream: compressed from an empty history, so that it refers to nothing before it, and flushed to a
//! byte boundary. A document is a header, parts in any order, an empty last block and the combined
//! checksum ([RFC 1951](https://www.rfc-editor.org/rfc/rfc1951),
//! [RFC 1952](https://www.rfc-editor.org/rfc/rfc1952)). Plain text is made from it again, piece by piece.

use bytes::{Buf as _, Bytes};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use zlib_rs::crc32::{crc32, crc32_combine_gen, crc32_combine_op};

/// Measured on 200,000 series: level 2 is eight times smaller for a third of level 6's time.
const LEVEL: u32 = 2;
/// Room for the flush marker and for stored blocks, over what deflate needs in the worst case.
const HEADROOM: usize = 64;
/// Magic, method deflate, no flags, no time, no extra flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// A last block, with the fixed code, that holds nothing.
const END: [u8; 2] = [3, 0];
/// Plain text that is made at once.
const PIECE: usize = 64 * 1024;

/// Text that is compressed so that it can stand anywhere in a document.
pub(super) struct Part {
    pub(super) packed: Box<[u8]>,
    crc: u32,
    /// Of the text.
    length: u32,
    /// What turns the checksum of the text before this one into its share of that of both. Kept, because to
    /// derive it from the length takes ten times as long as to use it.
    shift: u32,
}

/// Compresses parts one after the other.
pub(super) struct Deflater {
    stream: Compress,
}

/// A gzip document without its end.
pub(super) struct Gzip {
    pub(super) bytes: Vec<u8>,
    pub(super) checksum: Checksum,
}

/// The checksum and the length of a text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Checksum {
    crc: u32,
    pub(super) length: u32,
}

/// Makes the text of a gzip document without its end.
pub(super) struct Inflater {
    stream: Decompress,
    packed: Bytes,
    /// Bytes of text that are not made yet.
    left: usize,
}

impl Deflater {
    pub(super) fn new() -> Self {
        Self { stream: Compress::new(Compression::new(LEVEL), false) }
    }

    /// Compresses `text`; nothing stays nothing.
    pub(super) fn part(&mut self, text: &[u8]) -> Part {
        let packed = if text.is_empty() { Vec::new() } else { self.pack(text) };
        let shift = crc32_combine_gen(text.len() as u64);
        let (crc, length) = (crc32(0, text), text.len() as u32);
        Part { packed: packed.into(), crc, length, shift }
    }

    fn pack(&mut self, text: &[u8]) -> Vec<u8> {
        self.stream.reset();
        let mut out = Vec::with_capacity(text.len() / 4 + HEADROOM);
        let mut rest = text;
        loop {
            let before = self.stream.total_in();
            // Compressing to memory with room cannot fail; a full buffer is enlarged below.
            let _ = self.stream.compress_vec(rest, &mut out, FlushCompress::Sync);
            let consumed = (self.stream.total_in() - before) as usize;
            rest = rest.get(consumed..).unwrap_or_default();
            // The flush is complete only once the compressor leaves room unused.
            if rest.is_empty() && out.len() < out.capacity() {
                return out;
            }
            out.reserve(out.capacity().max(HEADROOM));
        }
    }
}

impl Gzip {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut document = Vec::with_capacity(HEADER.len() + bytes + HEADROOM);
        document.extend_from_slice(&HEADER);
        Self { bytes: document, checksum: Checksum::default() }
    }

    pub(super) fn append(&mut self, part: &Part) {
        self.bytes.extend_from_slice(&part.packed);
        self.checksum.append(part);
    }
}

impl Checksum {
    fn append(&mut self, part: &Part) {
        self.crc = crc32_combine_op(self.crc, part.crc, part.shift);
        self.length = self.length.wrapping_add(part.length);
    }

    /// The end of a document with this checksum: a last part, and what ends a gzip file.
    pub(super) fn end(mut self, last: &Part) -> Vec<u8> {
        self.append(last);
        [&last.packed[..], &END, &self.crc.to_le_bytes(), &self.length.to_le_bytes()].concat()
    }
}

impl Inflater {
    pub(super) fn new(mut document: Bytes, checksum: Checksum) -> Self {
        document.advance(HEADER.len());
        Self { stream: Decompress::new(false), packed: document, left: checksum.length as usize }
    }
}

impl Iterator for Inflater {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let mut text = Vec::with_capacity(PIECE.min(self.left));
        let before = self.stream.total_in();
        // What was compressed here can be unpacked; if not, the text is cut off instead of endless.
        let done = self.stream.decompress_vec(&self.packed, &mut text, FlushDecompress::None);
        self.packed.advance((self.stream.total_in() - before) as usize);
        self.left = if done.is_ok() { self.left.saturating_sub(text.len()) } else { 0 };
        (!text.is_empty()).then(|| text.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use proptest::prelude::*;

    fn join(texts: &[Vec<u8>]) -> Vec<u8> {
        let mut deflater = Deflater::new();
        let mut document = Gzip::with_capacity(0);
        for text in texts {
            document.append(&deflater.part(text));
        }
        let end = document.checksum.end(&deflater.part(&[]));
        [document.bytes, end].concat()
    }

    /// Reads one member only, as a browser does, and checks that nothing follows it.
    fn read_one_member(document: &[u8]) -> Vec<u8> {
        let mut decoder = flate2::bufread::GzDecoder::new(document);
        let mut text = Vec::new();
        decoder.read_to_end(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "bytes after the first member");
        text
    }

    proptest! {
        #[test]
        fn parts_in_any_order_make_one_member(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 0..6)
        ) {
            prop_assert_eq!(read_one_member(&join(&texts)), texts.concat());
        }
    }

    #[test]
    fn parts_may_repeat_each_other() {
        let text = b"wazzup_user_up{account=\"acme\",user=\"1\"} 1\n".repeat(3000);
        let texts = [text.clone(), text.clone(), text];
        assert_eq!(read_one_member(&join(&texts)), texts.concat());
    }
}
