//! `multipart/form-data` (RFC 7578), part by part and without holding more than a piece of it.
//!
//! Ours, because those that exist hold as much of a body as its sender likes before they find a boundary or the
//! end of a part's head.

mod head;

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};
use memchr::memmem;
use sentinal_model::{Error, Result};

pub(crate) use head::{PartHead, boundary_of};

/// Largest head of one part.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// The parts of a body, one after the other.
pub(crate) struct Multipart {
    source: BoxStream<'static, Result<Bytes>>,
    /// Read, and not yet given out.
    buffer: BytesMut,
    /// A line break, two dashes, the boundary.
    delimiter: Vec<u8>,
    place: Place,
}

#[derive(PartialEq, Eq)]
enum Place {
    /// Inside a part, or before the first: bytes up to the next delimiter.
    Content,
    /// Right after a delimiter.
    Delimiter,
    /// After the last part.
    End,
}

impl Multipart {
    pub(crate) fn new(source: BoxStream<'static, Result<Bytes>>, boundary: &str) -> Self {
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        // The first delimiter needs no line break before it; with one it is like the others.
        Self { source, buffer: BytesMut::from(&b"\r\n"[..]), delimiter, place: Place::Content }
    }

    /// The head of the next part; what is left of the part before is passed over.
    pub(crate) async fn next_part(&mut self) -> Result<Option<PartHead>> {
        while self.chunk().await?.is_some() {}
        if self.place == Place::End {
            return Ok(None);
        }
        while self.buffer.len() < 2 {
            self.read().await?;
        }
        if self.buffer.starts_with(b"--") {
            self.place = Place::End;
            return Ok(None);
        }
        let head = self.head().await?;
        self.place = Place::Content;
        PartHead::parse(&head).map(Some)
    }

    /// The next bytes of the part; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while self.place == Place::Content {
            let found = memmem::find(&self.buffer, &self.delimiter);
            // Without a delimiter, its beginning may still stand at the end.
            let content = found.unwrap_or_else(|| (self.buffer.len() + 1).saturating_sub(self.delimiter.len()));
            if content != 0 {
                return Ok(Some(self.buffer.split_to(content).freeze()));
            }
            if found.is_some() {
                self.buffer.advance(self.delimiter.len());
                self.place = Place::Delimiter;
                return Ok(None);
            }
            self.read().await?;
        }
        Ok(None)
    }

    /// From the end of the delimiter's line to the empty line.
    async fn head(&mut self) -> Result<BytesMut> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                let head = self.buffer.split_to(end);
                self.buffer.advance(4);
                return Ok(head);
            }
            if HEAD_BYTES_MAX < self.buffer.len() {
                return Err(Error::invalid(format!("the head of a part has more than {HEAD_BYTES_MAX} bytes")));
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<()> {
        let more = self.source.next().await.transpose()?;
        let more =
            more.ok_or_else(|| Error::invalid("the body ends before its last boundary; send it again, whole"))?;
        self.buffer.extend_from_slice(&more);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    const BODY: &[u8] =
        b"preamble\r\n--xyz\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\n/tmp/\r\n--xyz \r\n\
        content-type: text/plain\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"b%22.txt\"\r\n\r\n\
        \r\n--xy\r\n--xyz\r\nContent-Disposition: form-data; name=file; filename=empty\r\n\r\n\r\n--xyz--\r\nepilogue";

    async fn parts(body: &[u8], piece: usize) -> Result<Vec<(String, Option<String>, Vec<u8>)>> {
        let pieces: Vec<_> = body.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mut multipart = Multipart::new(stream::iter(pieces).boxed(), "xyz");
        let mut parts = Vec::new();
        while let Some(head) = multipart.next_part().await? {
            let mut content = Vec::new();
            while let Some(bytes) = multipart.chunk().await? {
                content.extend_from_slice(&bytes);
            }
            parts.push((head.name, head.filename, content));
        }
        Ok(parts)
    }

    #[tokio::test]
    async fn parts_come_out_as_they_went_in_however_they_are_cut() {
        let expected = [
            ("path".to_owned(), None, b"/tmp/".to_vec()),
            ("file".to_owned(), Some("a\"b\".txt".to_owned()), b"\r\n--xy".to_vec()),
            ("file".to_owned(), Some("empty".to_owned()), Vec::new()),
        ];
        for piece in 1..=BODY.len() {
            assert_eq!(parts(BODY, piece).await.unwrap(), expected, "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn a_body_that_ends_too_early_is_refused_wherever_it_ends() {
        for end in 0..BODY.len() - "--\r\nepilogue".len() {
            assert!(parts(&BODY[..end], 7).await.is_err(), "at {end}");
        }
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let body = [b"--xyz\r\nA: ".as_slice(), &[b'a'; 2 * HEAD_BYTES_MAX]].concat();
        let error = parts(&body, 1000).await.unwrap_err();
        assert_eq!(error.message(), "the head of a part has more than 8192 bytes");
    }
}
