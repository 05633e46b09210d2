//! One entry's header, block by block: POSIX ustar, with the long names of GNU on their way out.

/// What everything in an archive is a multiple of.
pub const BLOCK_BYTES: usize = 512;

/// A header, or a part of a content.
pub type Block = [u8; BLOCK_BYTES];

/// Longest names that fit into a header.
const NAME_BYTES_MAX: usize = 100;
/// The name of an entry that is the name of the next one.
const LONG_NAME: &[u8] = b"././@LongLink";

/// One entry's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Where it is: not checked, and not to be believed.
    pub path: Vec<u8>,
    /// What a link leads to.
    pub link: Vec<u8>,
    /// Permissions, with the bits that lend rights: at most 0o7777.
    pub mode: u32,
    /// Whose it is.
    pub uid: u64,
    /// Whose group's it is.
    pub gid: u64,
    /// Of its content, in bytes.
    pub size: u64,
    /// When it was changed, in seconds since 1970.
    pub modified_s: u64,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file with content.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of a file that came before.
    Hardlink,
    /// The path of the next entry.
    LongPath,
    /// The link of the next entry.
    LongLink,
    /// What is to be known of the next entry, as pax writes it.
    Extended,
    /// The same of all that follow.
    ExtendedForAll,
    /// What is no file, and means nothing where it is unpacked: in words.
    Special(&'static str),
    /// What is not read: in words.
    Other(&'static str),
}

/// It is no archive of a kind that is read here.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

impl Header {
    /// `None` for the block of zeros that ends an archive.
    pub fn read(block: &Block) -> Result<Option<Self>, Malformed> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if number(&block[148..156])? != checksum(block) {
            return Err(Malformed);
        }
        let name = text(&block[..100]);
        // GNU has other things in the place of the prefix.
        let prefix = if &block[257..263] == b"ustar\0" { text(&block[345..500]) } else { &[] };
        let path = if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
        let kind = match (block[156], path.ends_with(b"/")) {
            // Before POSIX a folder was known by the slash.
            (0 | b'0' | b'7', true) => Kind::Directory,
            (letter, _) => kind(letter),
        };
        Ok(Some(Self {
            kind,
            path,
            link: text(&block[157..257]).to_vec(),
            mode: u32::try_from(number(&block[100..108])? & 0o7777).unwrap_or(0),
            // Numbers that cannot be read are nobody's in particular; who reads them decides whose that is.
            uid: number(&block[108..116]).unwrap_or(0),
            gid: number(&block[116..124]).unwrap_or(0),
            size: number(&block[124..136])?,
            // A time that cannot be read is no reason to refuse a file.
            modified_s: number(&block[136..148]).unwrap_or(0),
        }))
    }

    /// The blocks that tell of this entry, those with long names first.
    pub fn write(&self, mut block: impl FnMut(&[u8])) {
        for (letter, name) in [(b'K', &self.link), (b'L', &self.path)] {
            if NAME_BYTES_MAX < name.len() {
                let header = Self {
                    kind: Kind::File,
                    path: LONG_NAME.to_vec(),
                    link: Vec::new(),
                    mode: 0o644,
                    uid: 0,
                    gid: 0,
                    size: name.len() as u64 + 1,
                    modified_s: 0,
                };
                block(&header.block(letter));
                block(name);
                block(&[0]);
                block(&PADDING[..padding(header.size)]);
            }
        }
        let letter = match self.kind {
            Kind::Directory => b'5',
            Kind::Symlink => b'2',
            Kind::Hardlink => b'1',
            Kind::File
            | Kind::LongPath
            | Kind::LongLink
            | Kind::Extended
            | Kind::ExtendedForAll
            | Kind::Special(_)
            | Kind::Other(_) => b'0',
        };
        block(&self.block(letter));
    }

    fn block(&self, letter: u8) -> Block {
        let mut block = [0; BLOCK_BYTES];
        put(&mut block[..100], &self.path);
        put(&mut block[157..257], &self.link);
        put_number(&mut block[100..108], u64::from(self.mode & 0o7777));
        put_number(&mut block[108..116], self.uid);
        put_number(&mut block[116..124], self.gid);
        put_number(&mut block[124..136], self.size);
        put_number(&mut block[136..148], self.modified_s);
        block[156] = letter;
        put(&mut block[257..265], b"ustar  \0");
        let sum = format!("{:06o}\0 ", checksum(&block));
        put(&mut block[148..156], sum.as_bytes());
        block
    }
}

/// What follows bytes of this number until the next block.
pub fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK_BYTES as u64).unwrap_or(0);
    if over == 0 { 0 } else { BLOCK_BYTES - over }
}

/// Nothing, as much as is ever needed of it.
pub const PADDING: [u8; 2 * BLOCK_BYTES] = [0; 2 * BLOCK_BYTES];

const fn kind(letter: u8) -> Kind {
    match letter {
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::Hardlink,
        b'2' => Kind::Symlink,
        b'3' | b'4' => Kind::Special("a device"),
        b'5' => Kind::Directory,
        b'6' => Kind::Special("a named pipe"),
        b'K' => Kind::LongLink,
        b'L' => Kind::LongPath,
        b'S' => Kind::Other("a sparse file"),
        b'g' => Kind::ExtendedForAll,
        b'x' => Kind::Extended,
        _ => Kind::Other("of a kind that is not known here"),
    }
}

/// Up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// In octal, or in base 256 when the first bit is set.
fn number(field: &[u8]) -> Result<u64, Malformed> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        let first = field.first().map(|first| first & 0x7f);
        let mut value: u64 = 0;
        for byte in first.iter().chain(field.iter().skip(1)) {
            value = value.checked_mul(256).ok_or(Malformed)? | u64::from(*byte);
        }
        return Ok(value);
    }
    let text = std::str::from_utf8(text(field)).map_err(|_| Malformed)?.trim();
    if text.is_empty() { Ok(0) } else { u64::from_str_radix(text, 8).map_err(|_| Malformed) }
}

/// With spaces in its own place.
fn checksum(block: &Block) -> u64 {
    let rest = block[..148].iter().chain(&block[156..]);
    rest.fold(8 * u64::from(b' '), |sum, byte| sum + u64::from(*byte))
}

fn put(field: &mut [u8], bytes: &[u8]) {
    field.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
}

/// In octal with a NUL at its end, or in base 256 where that has no room.
fn put_number(field: &mut [u8], number: u64) {
    let digits = field.len() - 1;
    let octal = format!("{number:0digits$o}");
    if octal.len() <= digits {
        return put(field, octal.as_bytes());
    }
    field.iter_mut().rev().zip(number.to_le_bytes()).for_each(|(place, byte)| *place = byte);
    field[0] |= 0x80;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(kind: Kind, path: &[u8], link: &[u8]) -> Header {
        Header {
            kind,
            path: path.to_vec(),
            link: link.to_vec(),
            mode: 0o750,
            uid: 1000,
            gid: 100,
            size: 7,
            modified_s: 1_000_000_000,
        }
    }

    fn blocks(header: &Header) -> Vec<Block> {
        let mut bytes = Vec::new();
        header.write(|block| bytes.extend_from_slice(block));
        let (blocks, rest) = bytes.as_chunks();
        assert!(rest.is_empty());
        blocks.to_vec()
    }

    #[test]
    fn what_is_written_is_read() {
        for written in [
            header(Kind::File, b"a/b", b""),
            header(Kind::Directory, b"d/", b""),
            header(Kind::Symlink, b"l\xff", b"../x"),
            header(Kind::File, &[b'n'; 100], b""),
            Header { uid: 0o7_777_777, gid: 0o7_777_777, size: (8 << 30) - 1, ..header(Kind::File, b"a", b"") },
            Header { uid: 0o10_000_000, gid: u64::from(u32::MAX), size: 8 << 30, ..header(Kind::File, b"a", b"") },
        ] {
            assert_eq!(Header::read(&blocks(&written)[0]), Ok(Some(written)));
        }
    }

    #[test]
    fn long_names_stand_before_their_entry() {
        let blocks = blocks(&header(Kind::Symlink, &[b'n'; 600], &[b'l'; 101]));
        let kinds: Vec<_> = [0, 2, 5].map(|at| Header::read(&blocks[at]).unwrap().unwrap().kind).into();
        assert_eq!(kinds, [Kind::LongLink, Kind::LongPath, Kind::Symlink]);
        assert_eq!(Header::read(&blocks[2]).unwrap().unwrap().size, 601);
    }

    #[test]
    fn a_block_that_was_changed_is_noticed() {
        let mut block = blocks(&header(Kind::File, b"a", b""))[0];
        block[0] = b'b';
        assert_eq!(Header::read(&block), Err(Malformed));
        assert_eq!(Header::read(&[0; BLOCK_BYTES]), Ok(None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), BLOCK_BYTES), sound in any::<bool>()) {
            let mut block: Block = bytes.try_into().unwrap();
            if sound {
                let sum = format!("{:06o}\0 ", checksum(&block));
                put(&mut block[148..156], sum.as_bytes());
            }
            // Whatever it is taken for.
            let _ = Header::read(&block);
        }
    }
}
