//! Takes out what no sandbox needs.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use super::tree::Tree;
use crate::{ImageError, recipe::PRUNED};

/// Removes the recipe's list, the large half of Perl, and the scripts that do not work without it.
pub(super) fn prune(tree: &Tree) -> Result<(), ImageError> {
    PRUNED.iter().try_for_each(|path| tree.remove(path))?;
    for path in tree.children_of_libraries()? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "perl" || name.starts_with("libperl.so") {
            tree.remove(&tree.relative(&path))?;
        }
    }
    for folder in ["usr/bin", "usr/sbin"] {
        for path in tree.children(folder)? {
            if needs_all_of_perl(&path) {
                fs::remove_file(&path).map_err(ImageError::io("remove", &path))?;
            }
        }
    }
    Ok(())
}

/// Whether a program is a part of the larger Perl, or a script that may use its modules. (`perl` itself, and
/// what can be said with `perl -e`, comes with the smaller half.)
fn needs_all_of_perl(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_part = name == "perldoc" || (name.starts_with("perl5") && name.ends_with("-linux-gnu"));
    is_part || is_perl_script(path)
}

/// Whether the first line of a file names Perl as its interpreter. What cannot be read is not one.
fn is_perl_script(path: &Path) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    let mut start = Vec::new();
    let read = is_file && File::open(path).and_then(|file| file.take(80).read_to_end(&mut start)).is_ok();
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    read && first_line.starts_with(b"#!") && String::from_utf8_lossy(first_line).contains("perl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &[u8], expected: bool) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        assert_eq!(is_perl_script(file.path()), expected, "{:?}", String::from_utf8_lossy(content));
    }

    #[test]
    fn perl_scripts_are_told_by_their_first_line() {
        check(b"#!/usr/bin/perl -w\nuse strict;\n", true);
        check(b"#! /usr/bin/env perl", true);
        check(b"#!/bin/sh\nexec perl\n", false);
        check(b"\x7fELF perl", false);
        check(b"", false);
        assert!(!is_perl_script(Path::new("/nonexistent")));
    }
}
