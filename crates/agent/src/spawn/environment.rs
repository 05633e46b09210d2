//! A program's environment: the base that every program has, then what the image and the request add or replace.

use std::ffi::CString;

use sentinal_agent_protocol::v1::Variable;
use tonic::Status;

use crate::user::User;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables in the order in which the program gets them, each name once.
#[derive(Debug)]
pub(super) struct Environment(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// `NAME=value`.
    text: CString,
    name_bytes: usize,
}

pub(super) fn build(
    of_image: &[(String, String)],
    added: &[Variable],
    user: &User,
    has_terminal: bool,
) -> Result<Environment, Status> {
    let base = [
        ("PATH", PATH),
        ("HOME", &user.home),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("LANG", "C.UTF-8"),
        ("TERM", if has_terminal { "xterm-256color" } else { "xterm" }),
    ];
    let of_image = of_image.iter().map(|(name, value)| (&**name, &**value));
    let added = added.iter().map(|variable| (&*variable.name, &*variable.value));
    let all = base.into_iter().chain(of_image).chain(added);
    let mut by_name = std::collections::HashMap::with_capacity(all.size_hint().0);
    let mut entries = Vec::with_capacity(all.size_hint().0);
    for (name, value) in all {
        let entry = Entry::new(name, value)?;
        match by_name.entry(name) {
            std::collections::hash_map::Entry::Occupied(place) => entries[*place.get()] = entry,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(entries.len());
                entries.push(entry);
            }
        }
    }
    Ok(Environment(entries))
}

impl Entry {
    fn new(name: &str, value: &str) -> Result<Self, Status> {
        if name.is_empty() || name.contains('=') {
            return Err(Status::invalid_argument("a variable's name must not be empty and must not contain ="));
        }
        let text = CString::new(format!("{name}={value}"))
            .map_err(|_| Status::invalid_argument("a variable must not contain a NUL byte"))?;
        Ok(Self { text, name_bytes: name.len() })
    }

    fn is_named(&self, name: &str) -> bool {
        &self.text.as_bytes()[..self.name_bytes] == name.as_bytes()
    }

    fn value(&self) -> &[u8] {
        &self.text.as_bytes()[self.name_bytes + 1..]
    }
}

impl Environment {
    /// Where programs are searched.
    pub(super) fn path(&self) -> &str {
        let path = self.0.iter().find(|entry| entry.is_named("PATH"));
        path.and_then(|path| std::str::from_utf8(path.value()).ok()).unwrap_or(PATH)
    }

    pub(super) fn into_strings(self) -> Vec<CString> {
        self.0.into_iter().map(|entry| entry.text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::Identity;

    fn user() -> User {
        let identity = Identity { uid: 1, gid: 1, groups: vec![] };
        User { name: "ann".to_owned(), home: "/home/ann".to_owned(), identity }
    }

    fn check(added: &[(&str, &str)]) -> Result<(Vec<String>, String), Status> {
        let variable = |&(name, value): &(&str, &str)| Variable { name: name.to_owned(), value: value.to_owned() };
        let of_image = [("LANG".to_owned(), "C".to_owned()), ("I".to_owned(), "1".to_owned())];
        let built = build(&of_image, &added.iter().map(variable).collect::<Vec<_>>(), &user(), false)?;
        let path = built.path().to_owned();
        Ok((built.into_strings().into_iter().map(|entry| entry.into_string().unwrap()).collect(), path))
    }

    #[test]
    fn what_is_added_comes_after_the_base_and_replaces_it() {
        let (strings, path) = check(&[("A", "1"), ("PATH", "/x"), ("A", "2=3")]).unwrap();
        assert_eq!(path, "/x");
        assert_eq!(
            strings,
            ["PATH=/x", "HOME=/home/ann", "USER=ann", "LOGNAME=ann", "LANG=C", "TERM=xterm", "I=1", "A=2=3"]
        );
    }

    #[test]
    fn a_variable_that_cannot_be_is_refused() {
        for (name, value) in [("", "1"), ("A=", "1"), ("A\0", "1"), ("A", "\0")] {
            assert!(check(&[(name, value)]).is_err());
        }
    }
}
