//! Where a program may be: the files that a shell would try, in its order.

/// More directories than anybody has: `PATH` comes from outside.
const DIRECTORIES_MAX: usize = 256;

/// A name with a slash is a path. Otherwise every directory of `path` is tried; an empty one is the working
/// directory.
pub(super) fn candidates(program: &str, path: &str) -> Vec<String> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    let place = |directory| match directory {
        "" => format!("./{program}"),
        directory => format!("{directory}/{program}"),
    };
    path.split(':').take(DIRECTORIES_MAX).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_searched_as_in_a_shell() {
        assert_eq!(candidates("ls", "/usr/bin::/bin"), ["/usr/bin/ls", "./ls", "/bin/ls"]);
        assert_eq!(candidates("./ls", "/bin"), ["./ls"]);
        assert!(candidates("", "/bin").is_empty());
    }
}
