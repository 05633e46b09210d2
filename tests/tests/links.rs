//! Every link of the documentation to a file of this repository leads somewhere.

use std::{fs, path::Path};

const PAGES: [&str; 13] = [
    "ARCHITECTURE.md",
    "README.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docs/configuration.md",
    "docs/observability.md",
    "docs/engines.md",
    "docs/images.md",
    "docs/cli.md",
    "docs/keys.md",
    "docs/usage.md",
    "docs/performance.md",
    "docs/webhooks.md",
];

/// The targets of a page's links, without those that leave the repository.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

#[test]
fn every_link_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut broken = Vec::new();
    for page in PAGES {
        let path = root.join(page);
        let Ok(text) = fs::read_to_string(&path) else {
            broken.push(format!("{page} is missing"));
            continue;
        };
        let dead = links(&text).filter(|target| !path.parent().is_some_and(|folder| folder.join(target).exists()));
        broken.extend(dead.map(|target| format!("{page}: {target}")));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn links_are_found_and_others_left_alone() {
    let page = "[a](docs/a.md) [b](https://example.org) [c](#words) [d](x.rs#L3)";
    assert_eq!(links(page).collect::<Vec<_>>(), ["docs/a.md", "x.rs"]);
}
