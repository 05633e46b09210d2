//! What pax says of an entry beside its header.

use crate::Malformed;

/// What pax may say of an entry, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) size: Option<u64>,
    pub(crate) modified_s: Option<u64>,
    pub(crate) is_sparse: bool,
}

impl Extension {
    /// From records of the form `LENGTH KEY=VALUE\n`.
    pub(crate) fn read(mut records: &[u8]) -> Result<Self, Malformed> {
        let mut extension = Self::default();
        while !records.is_empty() {
            let space = records.iter().take(20).position(|byte| *byte == b' ').ok_or(Malformed)?;
            let length: usize =
                std::str::from_utf8(&records[..space]).ok().and_then(|text| text.parse().ok()).ok_or(Malformed)?;
            let (record, rest) = records.split_at_checked(length).ok_or(Malformed)?;
            let record = record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n")).ok_or(Malformed)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(Malformed)?;
            extension.set(&record[..equals], &record[equals + 1..])?;
            records = rest;
        }
        Ok(extension)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Malformed> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"size" => self.size = Some(number(value)?),
            // With a fraction, which is not kept; one that cannot be read is no reason to refuse a file.
            b"mtime" => {
                let seconds = value.split(|byte| *byte == b'.').next().unwrap_or_default();
                self.modified_s = std::str::from_utf8(seconds).ok().and_then(|text| text.parse().ok());
            }
            key => self.is_sparse |= key.starts_with(b"GNU.sparse"),
        }
        Ok(())
    }
}

fn number(value: &[u8]) -> Result<u64, Malformed> {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_of_pax_are_read_as_they_say() {
        let read =
            Extension::read(b"13 path=a/\xff\n\n16 linkpath=b/c\n12 size=123\n8 uid=7\n14 mtime=17.9\n10 x=yyyy\n");
        let expected = Extension {
            path: Some(b"a/\xff\n".to_vec()),
            link: Some(b"b/c".to_vec()),
            size: Some(123),
            uid: Some(7),
            gid: None,
            modified_s: Some(17),
            is_sparse: false,
        };
        assert_eq!(read, Ok(expected));
        assert!(Extension::read(b"22 GNU.sparse.major=1\n").unwrap().is_sparse);
        for records in [&b"5 a=b"[..], b"99 path=a\n", b"x", b"3 \n", b"0 a=b\n", b"2 a=b\n", b"11 size=-1\n"] {
            assert_eq!(Extension::read(records), Err(Malformed), "{records:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in "[0-9]{0,3} [a-z]{0,4}=?\\PC{0,8}\n?") {
            // Whatever they are taken for.
            let _ = Extension::read(bytes.as_bytes());
        }
    }
}
