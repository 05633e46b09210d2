//! Every promise of SECURITY.md names tests that try to break it, and those are there.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// The rows of the table of what a program inside cannot do: what, why, tried by.
fn promises(page: &str) -> Vec<[String; 3]> {
    let table = page.split("| it cannot |").nth(1).unwrap_or_default();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    rows.filter_map(|line| cells(line).try_into().ok()).collect()
}

/// ``tests/escape: `identity`, `kernel`; crates/agent-client`` names two groups and a folder.
fn named(tried_by: &str) -> Vec<(String, Vec<String>)> {
    let place = |text: &str| {
        let (folder, names) = text.split_once(':').unwrap_or((text, ""));
        let names = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (folder.trim().to_owned(), names)
    };
    tried_by.split(';').map(place).collect()
}

/// All that is in the files of a folder.
fn content(folder: &Path) -> Result<String> {
    let mut all = String::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            all += &content(&path)?;
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "py") {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            all.extend(["\nfile ", name.as_ref(), "\n", &fs::read_to_string(&path)?]);
        }
    }
    Ok(all)
}

/// Whether a group of tests has this name: a file, or a group of attempts, with something in it that can fail.
fn is_there(content: &str, name: &str) -> bool {
    let file = content.split("\nfile ").find(|file| file.lines().next() == Some(name));
    let words = ["#[test]", "#[tokio::test]", "light(", "heavy(", "@attempt(", "part("];
    let in_a_file = file.is_some_and(|file| words.iter().any(|word| file.contains(word)));
    in_a_file || content.contains(&format!("GROUP: &str = \"{name}\""))
}

#[test]
fn every_promise_names_tests_that_are_there() -> Result<()> {
    let page = fs::read_to_string(root().join("SECURITY.md"))?;
    let promises = promises(&page);
    ensure!(promises.len() >= 10, "only {} promises were found: {promises:?}", promises.len());
    let mut wrong = Vec::new();
    for [what, _, tried_by] in &promises {
        for (folder, names) in named(tried_by) {
            let Ok(content) = content(&root().join(&folder)) else {
                wrong.push(format!("{what}: there is no folder {folder:?}"));
                continue;
            };
            if names.is_empty() && !content.contains("#[test]") && !content.contains("#[tokio::test]") {
                wrong.push(format!("{what}: {folder} has no test"));
            }
            let missing = names.iter().filter(|name| !is_there(&content, name));
            wrong.extend(missing.map(|name| format!("{what}: {folder} has no tests named {name:?}")));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_promise_is_read_as_it_is_written() {
    let page = "| it cannot | because | tried by |\n|---|---|---|\n| fly | no wings | tests/escape: `air`, `sea`; crates/x |\n\nmore";
    let promises = promises(page);
    assert_eq!(promises, [["fly", "no wings", "tests/escape: `air`, `sea`; crates/x"]]);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = [("tests/escape".to_owned(), names(&["air", "sea"])), ("crates/x".to_owned(), names(&[]))];
    assert_eq!(named(&promises[0][2]), expected);
}
