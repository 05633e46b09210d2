//! Archives by hand: those that no tar would write, too.

/// A tar stream that is being put together.
#[derive(Debug, Default, Clone)]
pub struct Tar(Vec<u8>);

impl Tar {
    /// A file.
    #[must_use]
    pub fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(b'0', path, "", content)
    }

    /// A file that may be executed.
    #[must_use]
    pub fn program(mut self, path: &str, content: &[u8]) -> Self {
        let at = self.0.len();
        self = self.entry(b'0', path, "", content);
        self.0[at + 100..at + 107].copy_from_slice(b"0000755");
        self.0[at + 148..at + 156].copy_from_slice(b"        ");
        let sum: u32 = self.0[at..at + 512].iter().copied().map(u32::from).sum();
        self.0[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self
    }

    /// A folder.
    #[must_use]
    pub fn folder(self, path: &str) -> Self {
        self.entry(b'5', path, "", b"")
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(b'2', path, target, b"")
    }

    /// A hard link.
    #[must_use]
    pub fn hardlink(self, path: &str, target: &str) -> Self {
        self.entry(b'1', path, target, b"")
    }

    /// Anything, of whatever type and with whatever size it says it has.
    #[must_use]
    pub fn entry(mut self, kind: u8, path: &str, link: &str, content: &[u8]) -> Self {
        self.header(kind, path, link, content.len());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A header without what it tells of.
    pub fn header(&mut self, kind: u8, path: &str, link: &str, size: usize) {
        let mut block = [0_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, path.as_bytes());
        put(100, b"0000640\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, b"07346545000\0");
        put(148, b"        ");
        put(156, &[kind]);
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().copied().map(u32::from).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&block);
    }

    /// What is there, without an end.
    pub fn cut(self) -> Vec<u8> {
        self.0
    }

    /// The whole stream.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}
