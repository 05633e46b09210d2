//! What of a folder is left out, as `.containerignore` and `.dockerignore` say it.
//!
//! <https://docs.docker.com/build/concepts/context/#dockerignore-files>, without classes of characters.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path},
};

use anyhow::{Context as _, Result};
use sentinal_archive::matches;

/// The first that is there says it.
const FILES: [&str; 2] = [".containerignore", ".dockerignore"];

/// What is left out; nothing by default.
#[derive(Debug, Default)]
pub(crate) struct Ignore {
    rules: Vec<Rule>,
    /// Never left out.
    kept: String,
}

#[derive(Debug)]
struct Rule {
    /// Parts of a path; `**` is any number of them.
    parts: Vec<String>,
    /// What it names is not left out after all.
    is_exception: bool,
}

impl Ignore {
    /// As the folder says it, if it does; except for one file.
    pub(crate) fn of(folder: &Path, kept: &str) -> Result<Self> {
        for name in FILES {
            match fs::read_to_string(folder.join(name)) {
                Ok(text) => return Ok(Self::parse(&text, kept)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("read {}", folder.join(name).display())),
            }
        }
        Ok(Self::default())
    }

    fn parse(text: &str, kept: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rules = lines.map(|line| {
            let (line, is_exception) = line.strip_prefix('!').map_or((line, false), |line| (line.trim(), true));
            let parts = line.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect();
            Rule { parts, is_exception }
        });
        Self { rules: rules.filter(|rule| !rule.parts.is_empty()).collect(), kept: kept.to_owned() }
    }

    /// Whether this path within the folder is left out. The last rule that names it, or a folder that it is in, decides.
    pub(super) fn leaves_out(&self, within: &Path) -> bool {
        let parts: Vec<&[u8]> = within
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name.as_bytes()),
                Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
            })
            .collect();
        let names = |rule: &&Rule| (1..=parts.len()).any(|depth| named(&rule.parts, &parts[..depth]));
        let decides = self.rules.iter().rev().find(names);
        decides.is_some_and(|rule| !rule.is_exception) && within != Path::new(&self.kept)
    }

    /// Whether something in a folder that is left out may be not.
    pub(super) fn has_exceptions(&self, within: &Path) -> bool {
        self.rules.iter().any(|rule| rule.is_exception) || Path::new(&self.kept).starts_with(within)
    }
}

fn named(rule: &[String], path: &[&[u8]]) -> bool {
    let Some((first, rest)) = rule.split_first() else { return path.is_empty() };
    if first == "**" {
        return (0..=path.len()).any(|skipped| named(rest, &path[skipped..]));
    }
    path.split_first().is_some_and(|(name, below)| matches(first.as_bytes(), name) && named(rest, below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_names_a_path_decides() {
        let ignore = Ignore::parse(
            "# no\n*.log\n/target/\n**/cache\nContainerfile\n!keep.log\n !target/this \n",
            "Containerfile",
        );
        for (path, is_out) in [
            ("a", false),
            ("a.log", true),
            ("deep/a.log", false),
            ("keep.log", false),
            ("target", true),
            ("target/debug/x", true),
            ("target/this", false),
            ("target/this/y", false),
            ("cache", true),
            ("a/b/cache/x", true),
            ("Containerfile", false),
        ] {
            assert_eq!(ignore.leaves_out(Path::new(path)), is_out, "{path}");
        }
        assert!(!Ignore::default().leaves_out(Path::new("a")));
    }
}
