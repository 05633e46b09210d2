use std::os::unix::fs::PermissionsExt;

use sentinal_model::Millis;
use tempfile::TempDir;

use super::*;
use crate::{erofs::fake_image, manifest::Label};

fn empty() -> (TempDir, ImageStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(folder.path().join("images")).unwrap();
    (folder, store)
}

fn label(name: &str, inputs: Digest) -> Label {
    let (name, config) = (name.parse().unwrap(), crate::Config::default());
    Label { name, inputs, packages: Vec::new(), created: Millis(1), source: "here".to_owned(), config }
}

fn install(store: &ImageStore, name: &str, content: &[u8]) -> Result<ImageRef, ImageError> {
    store.create_folders().unwrap();
    let scratch = store.scratch().unwrap();
    let file = scratch.path().join("image");
    fs::write(&file, content).unwrap();
    let inputs = Digest::of(name.as_bytes());
    store.install(&file, label(name, inputs))
}

#[test]
fn an_image_is_found_by_its_name_and_by_its_digest() {
    let (_folder, store) = empty();
    let installed = install(&store, "team/python:3.12", &fake_image(1)).unwrap();
    assert_eq!(store.resolve("team/python:3.12").unwrap(), installed);
    assert_eq!(store.resolve(&installed.digest.to_string()).unwrap().path, installed.path);
    assert_eq!(fs::metadata(&installed.path).unwrap().permissions().mode() & 0o7777, 0o444);
    store.verify(&installed).unwrap();
}

#[test]
fn an_unknown_image_is_answered_with_what_exists() {
    let (_folder, store) = empty();
    let error = store.resolve("default").unwrap_err().to_string();
    assert_eq!(error, "there is no image default; the store is empty: run `sentinal image build-default`");
    install(&store, "other", &fake_image(1)).unwrap();
    let error = store.resolve("default").unwrap_err();
    assert!(matches!(&error, ImageError::NotFound { known, .. } if known == &["other"]), "{error}");
}

#[test]
fn a_name_moves_to_a_newer_image_and_the_older_one_stays() {
    let (_folder, store) = empty();
    let old = install(&store, "default", &fake_image(1)).unwrap();
    let new = install(&store, "default", &fake_image(2)).unwrap();
    assert_eq!(store.resolve("default").unwrap(), new);
    let list = store.list().unwrap();
    assert_eq!(list.iter().map(|image| image.digest).collect::<Vec<_>>(), [new.digest, old.digest]);
    assert_eq!(list[1].reference, Reference::Digest(old.digest));
}

#[test]
fn what_is_no_image_does_not_get_in() {
    let (_folder, store) = empty();
    assert!(matches!(install(&store, "default", b"garbage"), Err(ImageError::NotAnImage { .. })));
    assert!(matches!(store.resolve("default"), Err(ImageError::NotFound { .. })));
    assert_eq!(store.list().unwrap(), []);
}

#[test]
fn a_crash_leaves_nothing_that_counts_as_an_image() {
    let (_folder, store) = empty();
    store.create_folders().unwrap();
    let scratch = store.scratch().unwrap().keep();
    fs::write(scratch.join("image"), fake_image(1)).unwrap();
    fs::write(store.root().join("names/.new-abc"), "{").unwrap();
    assert_eq!(store.list().unwrap(), []);
    store.sweep().unwrap();
    assert!(!scratch.exists());
}

#[test]
fn a_truncated_or_altered_image_is_noticed() {
    let (_folder, store) = empty();
    let image = install(&store, "default", &fake_image(1)).unwrap();
    let altered = fake_image(9);
    fs::remove_file(&image.path).unwrap();
    fs::write(&image.path, &altered).unwrap();
    assert!(matches!(store.verify(&store.resolve("default").unwrap()), Err(ImageError::Damaged { .. })));
    fs::write(&image.path, &altered[..2000]).unwrap();
    assert!(matches!(store.resolve("default"), Err(ImageError::NotAnImage { .. })));
    assert_eq!(store.list().unwrap(), []);
}

#[test]
fn a_name_whose_image_is_gone_is_not_offered() {
    let (_folder, store) = empty();
    let image = install(&store, "default", &fake_image(1)).unwrap();
    fs::remove_file(&image.path).unwrap();
    let error = store.resolve("default").unwrap_err();
    assert!(matches!(&error, ImageError::NotFound { known, .. } if known.is_empty()), "{error}");
}

#[test]
fn a_broken_manifest_is_an_error_that_names_the_file() {
    let (_folder, store) = empty();
    store.create_folders().unwrap();
    fs::write(store.root().join("names/default.json"), "{").unwrap();
    assert!(matches!(store.resolve("default"), Err(ImageError::Manifest { .. })));
    assert_eq!(store.list().unwrap(), []);
}

#[test]
fn a_file_is_no_store() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(ImageStore::open(file.path()).is_err());
}

fn receive(store: &ImageStore, name: &str, content: &[u8], promised: Digest) -> Result<ImageRef, ImageError> {
    let mut incoming = store.receive(content.len() as u64)?;
    content.chunks(1000).try_for_each(|piece| incoming.write(piece))?;
    incoming.finish(promised, label(name, promised))
}

fn files(store: &ImageStore) -> Vec<String> {
    let is_file = |name: &String| name.starts_with("sha256-") || name.starts_with(".incoming-");
    names_in(store.root()).unwrap().into_iter().filter(is_file).collect()
}

#[test]
fn what_is_received_counts_only_if_it_is_what_was_promised() {
    let (_folder, store) = empty();
    let (content, digest) = (fake_image(3), Digest::of(&fake_image(3)));
    let received = receive(&store, "a/b:1", &content, digest).unwrap();
    assert_eq!((store.resolve("a/b:1").unwrap().digest, received.size_bytes), (digest, 4096));
    assert_eq!(fs::metadata(&received.path).unwrap().permissions().mode() & 0o7777, 0o444);
    assert_eq!(store.details(&"a/b:1".parse().unwrap()).unwrap().source, "here");
    assert!(matches!(receive(&store, "c", &content, Digest::of(b"x")), Err(ImageError::WrongDigest { .. })));
    let no_image = vec![1; 5000];
    assert!(matches!(receive(&store, "c", &no_image, Digest::of(&no_image)), Err(ImageError::NotAnImage { .. })));
    let mut incoming = store.receive(10).unwrap();
    assert!(matches!(incoming.write(&[0; 11]), Err(ImageError::TooLarge { .. })));
    drop(incoming);
    assert!(matches!(store.receive(1 << 60), Err(ImageError::TooLarge { .. })));
    assert_eq!(files(&store).len(), 1);
}

#[test]
fn half_an_image_is_swept_unless_somebody_is_at_it() {
    let (_folder, store) = empty();
    let at_it = store.receive(4096).unwrap();
    fs::write(store.root().join(".incoming-left"), "half").unwrap();
    store.sweep_incoming().unwrap();
    assert_eq!(files(&store).len(), 1);
    drop(at_it);
    assert_eq!(files(&store), Vec::<String>::new());
}

#[test]
fn an_image_goes_with_its_last_name_and_not_while_it_is_in_use() {
    let (_folder, store) = empty();
    let image = install(&store, "one", &fake_image(1)).unwrap();
    install(&store, "two", &fake_image(1)).unwrap();
    let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
    assert_eq!(store.remove(&one, &|_| true).unwrap(), Removed::default());
    assert!(matches!(store.remove(&one, &|_| true), Err(ImageError::NotFound { .. })));
    assert!(matches!(store.remove(&two, &|digest| *digest == image.digest), Err(ImageError::InUse { .. })));
    assert!(store.resolve("two").is_ok());
    assert_eq!(store.remove(&two, &|_| false).unwrap(), Removed { digests: vec![image.digest], bytes: 4096 });
    assert_eq!(files(&store), Vec::<String>::new());
}

#[test]
fn only_what_has_no_name_and_no_use_is_pruned() {
    let (_folder, store) = empty();
    let unnamed = install(&store, "default", &fake_image(1)).unwrap().digest;
    let used = install(&store, "default", &fake_image(2)).unwrap().digest;
    let named = install(&store, "default", &fake_image(3)).unwrap().digest;
    assert_eq!(store.prune(&|digest| *digest == used, None).unwrap(), Removed { digests: vec![unnamed], bytes: 4096 });
    assert!(store.resolve(&used.to_string()).is_ok() && store.resolve(&named.to_string()).is_ok());
}
