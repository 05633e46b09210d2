//! Which file is meant, and how, behind the question mark.

use sentinal_model::{
    ArchiveRead, ArchiveWrite, Error, FileAt, FileLook, FileRemoval, FileWrite, FolderList, FolderWatch, GuestPath,
    Result, WritePlace, limits,
};

use crate::{
    Query,
    field::{named, parse_mode, parse_user},
    file::parse_cursor,
    query::{missing, parse_count, parse_flag},
};

impl TryFrom<Query> for FileAt {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let at = file(&mut query)?;
        query.finish(&["path", "user"])?;
        Ok(at)
    }
}

impl TryFrom<Query> for FileWrite {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let at = file(&mut query)?;
        let append = parse_flag("append", query.take("append"))?;
        let parsed = Self {
            at,
            mode: query.take("mode").map(|text| parse_mode(&text)).transpose()?,
            make_parents: parents(&mut query)?,
            place: if append { WritePlace::End } else { WritePlace::Whole },
        };
        query.finish(&["path", "user", "mode", "parents", "append"])?;
        Ok(parsed)
    }
}

impl TryFrom<Query> for ArchiveRead {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let at = folder(&mut query)?;
        query.finish(&["path", "user"])?;
        Ok(Self { at })
    }
}

impl TryFrom<Query> for ArchiveWrite {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let parsed = Self { at: folder(&mut query)?, make_parents: parents(&mut query)? };
        query.finish(&["path", "user", "parents"])?;
        Ok(parsed)
    }
}

impl TryFrom<Query> for FileLook {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let parsed = Self { at: folder(&mut query)?, follow: parse_flag("follow", query.take("follow"))? };
        query.finish(&["path", "user", "follow"])?;
        Ok(parsed)
    }
}

impl TryFrom<Query> for FileRemoval {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let path = required(&mut query)?;
        let at = FileAt { path: named("path", path.parse())?, user: user(&mut query)? };
        let parsed = Self { at, recursive: parse_flag("recursive", query.take("recursive"))? };
        query.finish(&["path", "user", "recursive"])?;
        Ok(parsed)
    }
}

impl TryFrom<Query> for FolderWatch {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let parsed = Self { at: folder(&mut query)?, recursive: parse_flag("recursive", query.take("recursive"))? };
        query.finish(&["path", "user", "recursive"])?;
        Ok(parsed)
    }
}

impl TryFrom<Query> for FolderList {
    type Error = Error;

    fn try_from(mut query: Query) -> Result<Self> {
        let at = folder(&mut query)?;
        let parsed = Self {
            at,
            depth: parse_count("depth", query.take("depth"), 1, limits::LIST_DEPTH_MAX)?,
            after: query.take("cursor").map_or(Ok(Vec::new()), |text| parse_cursor(&text))?,
            entries_max: parse_count("limit", query.take("limit"), limits::LIST_ENTRIES_MAX, limits::LIST_ENTRIES_MAX)?,
        };
        query.finish(&["path", "user", "depth", "limit", "cursor"])?;
        Ok(parsed)
    }
}

fn required(query: &mut Query) -> Result<String> {
    query.take("path").ok_or_else(|| missing("path"))
}

fn user(query: &mut Query) -> Result<Option<String>> {
    query.take("user").map(parse_user).transpose()
}

/// Whether missing folders are made, which they are unless told.
fn parents(query: &mut Query) -> Result<bool> {
    let told = query.take("parents");
    Ok(told.is_none() || parse_flag("parents", told)?)
}

/// What cannot be a folder.
fn file(query: &mut Query) -> Result<FileAt> {
    let path = required(query)?;
    if path.ends_with('/') {
        return Err(Error::invalid("path: names a folder; write the path of a file, without a slash at its end"));
    }
    Ok(FileAt { path: named("path", path.parse())?, user: user(query)? })
}

/// What may be the root folder.
fn folder(query: &mut Query) -> Result<FileAt> {
    let path = required(query)?;
    Ok(FileAt { path: named("path", GuestPath::of_folder(&path))?, user: user(query)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: TryFrom<Query, Error = Error> + std::fmt::Debug>(query: &str, message: &str) {
        let refused = Query::parse(query).and_then(T::try_from).unwrap_err();
        assert_eq!(refused.message(), message, "{query}");
    }

    #[test]
    fn a_query_about_a_file_is_refused_by_name() {
        check::<FileAt>("", "path: is missing; add ?path= to the address");
        check::<FileAt>("path=/a/", "path: names a folder; write the path of a file, without a slash at its end");
        check::<FileAt>("path=/a/../b", "path: the path contains \"..\"; write it without");
        check::<FileAt>("path=/a&user=a:b", "user: write a name of 1 to 32 letters, digits, _ - . or a number");
        check::<FileWrite>("path=/a&mode=9", "mode: \"9\" is no permission bits in octal, as 0644 is");
        check::<FileWrite>("path=/a&mode=0", "mode: \"0\" is no permission bits in octal, as 0644 is");
        check::<FileWrite>("path=/a&mode=10000", "mode: \"10000\" is no permission bits in octal, as 0644 is");
        check::<FileRemoval>("path=/", "path: the path names no file; write for example /home/user/main.py");
        check::<FolderList>("path=/&depth=0", "depth: \"0\" is no number between 1 and 32");
        check::<FolderList>("path=/&limit=20001", "limit: \"20001\" is no number between 1 and 20000");
    }

    #[test]
    fn what_is_not_told_is_as_in_an_upload() {
        let write = |text| Query::parse(text).and_then(FileWrite::try_from).unwrap();
        assert_eq!(write("path=a"), FileWrite::ordinary("a".parse().unwrap()));
        let told = write("path=a&user=root&mode=0600&parents=false&append=true");
        assert_eq!(told.at.user.as_deref(), Some("root"));
        assert_eq!((told.mode, told.make_parents, told.place), (Some(0o600), false, WritePlace::End));
    }
}
