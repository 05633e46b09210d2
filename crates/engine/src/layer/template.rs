//! Empty file systems, remembered: the few blocks that `mkfs.ext4` wrote, to be written again without it.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use super::Inodes;

/// Most that is remembered of one file system; one of 64 GiB takes 600 KiB.
const TEMPLATE_BYTES_MAX: u64 = 4 << 20;
/// Sizes that are remembered.
const TEMPLATES_MAX: usize = 16;

/// The file systems made so far.
#[derive(Debug, Default)]
pub struct Templates(Mutex<BTreeMap<(u64, Inodes), Arc<Template>>>);

/// All of a sparse file that is not a hole.
#[derive(Debug)]
pub(super) struct Template(Vec<(u64, Vec<u8>)>);

impl Templates {
    pub(super) fn get(&self, bytes: u64, inodes: Inodes) -> Option<Arc<Template>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(bytes, inodes)).map(Arc::clone)
    }

    /// A help, no need: what cannot be remembered is made again.
    pub(super) fn remember(&self, bytes: u64, inodes: Inodes, image: &Path) {
        let Ok(template) = Template::read(image) else { return };
        let mut templates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if templates.len() < TEMPLATES_MAX {
            templates.insert((bytes, inodes), Arc::new(template));
        }
    }
}

impl Template {
    fn read(image: &Path) -> io::Result<Self> {
        let file = File::open(image)?;
        let (mut extents, mut total, mut end) = (Vec::new(), 0, 0);
        loop {
            let start = match seek(&file, SeekFrom::Data(end)) {
                Ok(start) => start,
                // Nothing but a hole up to the end.
                Err(Errno::NXIO) => return Ok(Self(extents)),
                Err(error) => return Err(error.into()),
            };
            end = seek(&file, SeekFrom::Hole(start))?;
            total += end - start;
            let length = usize::try_from(end - start).map_err(io::Error::other)?;
            if TEMPLATE_BYTES_MAX < total {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, start)?;
            extents.push((start, bytes));
        }
    }

    pub(super) fn write(&self, image: &File) -> io::Result<()> {
        self.0.iter().try_for_each(|(start, bytes)| image.write_all_at(bytes, *start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_written_and_holes_stay_holes() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let file = File::create(&first).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"head", 0).unwrap();
        file.write_all_at(b"middle", 32 << 20).unwrap();
        let template = Template::read(&first).unwrap();
        let copy = File::create(&second).unwrap();
        copy.set_len(64 << 20).unwrap();
        template.write(&copy).unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
        let blocks = std::os::unix::fs::MetadataExt::blocks(&copy.metadata().unwrap());
        assert!(blocks < 1024, "{blocks}");
    }
}
