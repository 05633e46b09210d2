//! Paths of an image and of a context, as texts.

/// The whole path, without its dots, within the root. One that ends with a slash keeps it.
pub(crate) fn absolute(folder: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let is_folder = path.ends_with('/') || path == "." || path.ends_with("/.");
    let slash = if is_folder && !parts.is_empty() { "/" } else { "" };
    format!("/{}{slash}", parts.join("/"))
}

/// A path of the context, without its dots; empty for all of it. `None` if it leads out.
pub(crate) fn inside(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_whole() {
        for (folder, path, whole) in [
            ("/", "a", "/a"),
            ("/srv", "a/../b/", "/srv/b/"),
            ("/srv", "../../../a", "/a"),
            ("/srv", "/etc/./x", "/etc/x"),
            ("/srv", ".", "/srv/"),
            ("/", ".", "/"),
            ("/srv", "/", "/"),
        ] {
            assert_eq!(absolute(folder, path), whole, "{folder} {path}");
        }
    }

    #[test]
    fn nothing_outside_of_the_context_is_named() {
        for (path, inner) in
            [(".", Some("")), ("/", Some("")), ("./a//b/", Some("a/b")), ("a/../b", None), ("..", None)]
        {
            assert_eq!(inside(path).as_deref(), inner, "{path}");
        }
    }
}
