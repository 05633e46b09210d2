//! Every promise of SECURITY.md names tests that try to break it, and those are there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// The rows of the tables of what somebody cannot do: what, why, tried by.
fn promises(page: &str) -> Vec<[String; 3]> {
    let tables = page.split("| it cannot |").skip(1);
    let rows = tables.flat_map(|table| table.lines().skip(2).take_while(|line| line.starts_with('|')));
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

/// What a test looks like, in each of the kinds there are.
const TESTS: [&str; 6] = ["#[test]", "#[tokio::test]", "light(", "heavy(", "@attempt(", "part("];

/// The programs of a folder and of those beneath it: path and text.
fn programs(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(programs(&path)?);
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "py") {
            let text = fs::read_to_string(&path)?;
            found.push((path, text));
        }
    }
    Ok(found)
}

/// Whether a group of tests has this name: a file, a folder or a group of attempts, with something that can fail.
fn is_there(programs: &[(PathBuf, String)], name: &str) -> bool {
    let is_named = |path: &Path| path.with_extension("").iter().any(|part| part == name);
    let has_tests = |text: &str| TESTS.iter().any(|word| text.contains(word));
    let group = format!("GROUP: &str = \"{name}\"");
    programs.iter().any(|(path, text)| is_named(path) && has_tests(text) || text.contains(&group))
}

#[test]
fn every_promise_names_tests_that_are_there() -> Result<()> {
    let page = fs::read_to_string(root().join("SECURITY.md"))?;
    let promises = promises(&page);
    ensure!(promises.len() >= 10, "only {} promises were found: {promises:?}", promises.len());
    let mut wrong = Vec::new();
    for [what, _, tried_by] in &promises {
        for (folder, names) in named(tried_by) {
            let Ok(programs) = programs(&root().join(&folder)) else {
                wrong.push(format!("{what}: there is no folder {folder:?}"));
                continue;
            };
            if names.is_empty() && !programs.iter().any(|(_, text)| TESTS.iter().any(|word| text.contains(word))) {
                wrong.push(format!("{what}: {folder} has no test"));
            }
            let missing = names.iter().filter(|name| !is_there(&programs, name));
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
