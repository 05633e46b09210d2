//! The names of users and groups, as they were at one moment.

use std::collections::BTreeMap;

/// Which id has which name; the first of several counts, as for the system.
#[derive(Debug, Default)]
pub(crate) struct Names {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Names {
    /// From the texts of `/etc/passwd` and `/etc/group`, whose first lines count where there are too many.
    pub(super) fn new(passwd: &str, group: &str) -> Self {
        Self { users: read(passwd), groups: read(group) }
    }

    /// Empty where there is none.
    pub(crate) fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_default()
    }

    /// Empty where there is none.
    pub(crate) fn group(&self, gid: u32) -> String {
        self.groups.get(&gid).cloned().unwrap_or_default()
    }
}

/// In both files a line begins with the name, and the id is its third field.
fn read(text: &str) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(id)) = (fields.next(), fields.nth(1)) else { continue };
        if let (Ok(id), true) = (id.parse(), name.len() <= NAME_BYTES_MAX) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

/// Longest name that is told, as `useradd` takes it; it may stand in every line of a list.
const NAME_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_an_id_counts() {
        let names = Names::new("root:x:0:0::/root:\ntoor:x:0:0::/:\nbroken\n:x::\nann:x:1000:7::/:", "staff:x:7:ann\n");
        assert_eq!((names.user(0).as_str(), names.user(1000).as_str(), names.user(1).as_str()), ("root", "ann", ""));
        assert_eq!((names.group(7).as_str(), names.group(0).as_str()), ("staff", ""));
    }
}
