use std::fs;

use super::*;
use crate::{Silent, erofs::fake_image};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

struct Fixture {
    _folder: tempfile::TempDir,
    store: ImageStore,
    options: BuildOptions,
}

/// A store with an image that was made of the sources in a file.
fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().join("debian.sources");
    fs::write(&sources, "deb http://mirror.example/ bookworm main\n").unwrap();
    let store = ImageStore::open(folder.path().join("images")).unwrap();
    let options = BuildOptions { sources: SourceChoice::File(sources), ..BuildOptions::new(Millis(1)) };
    store.create_folders().unwrap();
    let scratch = store.scratch().unwrap();
    let file = scratch.path().join("image");
    fs::write(&file, fake_image(1)).unwrap();
    let inputs = recipe::key(&block_on(Inputs::gather(&options.sources)).unwrap());
    let (name, source, config) = (ImageName::default(), String::new(), crate::Config::default());
    let label = Label { name, inputs, packages: Vec::new(), created: Millis(1), source, config };
    store.install(&file, label).unwrap();
    Fixture { _folder: folder, store, options }
}

fn is_up_to_date(fixture: &Fixture) -> bool {
    let key = recipe::key(&block_on(Inputs::gather(&fixture.options.sources)).unwrap());
    up_to_date(&fixture.store, &fixture.options, &key).unwrap().is_some()
}

#[test]
fn the_same_inputs_need_no_build() {
    let fixture = fixture();
    let built = block_on(build_default(&fixture.store, &fixture.options, &Silent)).unwrap();
    assert_eq!(built.outcome, Outcome::UpToDate);
    assert_eq!(built.image, fixture.store.resolve("default").unwrap());
}

#[test]
fn other_sources_or_a_wish_for_it_lead_to_a_build() {
    let mut fixture = fixture();
    assert!(is_up_to_date(&fixture));
    fixture.options.rebuild = Rebuild::Always;
    assert!(!is_up_to_date(&fixture));
    fixture.options.rebuild = Rebuild::IfChanged;
    let SourceChoice::File(path) = &fixture.options.sources else { panic!("made so above") };
    fs::write(path, "deb http://other.example/ bookworm main\n").unwrap();
    assert!(!is_up_to_date(&fixture));
}

#[test]
fn a_damaged_image_or_manifest_is_built_again() {
    let fixture = fixture();
    let image = fixture.store.resolve("default").unwrap();
    fs::remove_file(&image.path).unwrap();
    assert!(!is_up_to_date(&fixture));
    fs::write(fixture.store.root().join("names/default.json"), "{").unwrap();
    assert!(!is_up_to_date(&fixture));
}
