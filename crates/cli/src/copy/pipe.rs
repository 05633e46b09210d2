//! Between what waits with a thread (tar) and what waits without one (HTTP): a few pieces, never more.

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::sync::mpsc::{Receiver, Sender};

/// Bytes of one piece.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces on their way.
pub(super) const PIECES_MAX: usize = 8;

/// What a thread writes, for the other side to take.
#[derive(Debug)]
pub(super) struct PipeWriter {
    pieces: Sender<io::Result<Bytes>>,
    unsent: BytesMut,
}

/// What the other side sends, for a thread to read.
#[derive(Debug)]
pub(super) struct PipeReader {
    pieces: Receiver<io::Result<Bytes>>,
    unread: Bytes,
}

impl PipeWriter {
    pub(super) fn new(pieces: Sender<io::Result<Bytes>>) -> Self {
        Self { pieces, unsent: BytesMut::with_capacity(PIECE_BYTES) }
    }

    /// Tells the other side that this is not all.
    pub(super) fn fail(&self, error: &io::Error) {
        // If it has gone, it knows.
        let _ = self.pieces.blocking_send(Err(io::Error::other(error.to_string())));
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unsent.extend_from_slice(bytes);
        if PIECE_BYTES <= self.unsent.len() {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.pieces.blocking_send(Ok(self.unsent.split().freeze())).map_err(gone)
    }
}

impl PipeReader {
    pub(super) fn new(pieces: Receiver<io::Result<Bytes>>) -> Self {
        Self { pieces, unread: Bytes::new() }
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.unread.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.unread = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.unread.len());
        self.unread.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
