use std::io::Write as _;

use futures::TryStreamExt as _;
use sentinal_archive::{Entries, Header, Kind, PADDING, Reader, padding};
use tokio::sync::Semaphore;

use super::*;

fn add(bytes: &mut Vec<u8>, kind: Kind, path: &str, text: &str) {
    let (link, content) = if kind == Kind::File { ("", text) } else { (text, "") };
    let size = content.len() as u64;
    let (path, link) = (path.as_bytes().to_vec(), link.as_bytes().to_vec());
    let header = Header { kind, path, link, mode: 0o4755, uid: 7, gid: 7, size, modified_s: 5 };
    header.write(|block| bytes.extend_from_slice(block));
    bytes.extend_from_slice(content.as_bytes());
    bytes.extend_from_slice(&PADDING[..padding(size)]);
}

async fn read(bytes: &[u8]) -> Result<Context, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("context");
    File::create(&path).unwrap().write_all(bytes).unwrap();
    let turn = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    Context::read(File::open(path).unwrap(), folder, turn).await
}

async fn sample() -> Context {
    let mut bytes = Vec::new();
    add(&mut bytes, Kind::File, "./Containerfile", "FROM a");
    add(&mut bytes, Kind::File, "src/deep/a.txt", "a");
    add(&mut bytes, Kind::Hardlink, "src/b.txt", "src/deep/a.txt");
    add(&mut bytes, Kind::Symlink, "src/link", "b.txt");
    add(&mut bytes, Kind::File, "src.txt", "old");
    add(&mut bytes, Kind::File, "src.txt", "new");
    read(&bytes).await.unwrap()
}

/// Paths of an archive, with what is in its files.
async fn picked(context: &Context, sources: &[&str], name: Option<&str>) -> Vec<String> {
    let sources: Vec<String> = sources.iter().map(|&source| source.to_owned()).collect();
    let pieces: Vec<Bytes> = context.pick(&sources, name).unwrap().try_collect().await.unwrap();
    let bytes = pieces.concat();
    let mut entries = Entries::new(Reader::new(&bytes[..], |error| error));
    let mut all = Vec::new();
    while let Some(entry) = entries.entry().unwrap() {
        let mut content = entry.link.clone();
        entries
            .content(&entry, |bytes| {
                content.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
        assert_eq!((entry.uid, entry.mode & 0o7000), (0, 0));
        all.push(format!("{}={}", String::from_utf8_lossy(&entry.path), String::from_utf8_lossy(&content)));
    }
    all
}

#[tokio::test]
async fn what_is_picked_comes_under_its_new_name() {
    let context = sample().await;
    assert_eq!(context.text("Containerfile").await.unwrap(), "FROM a");
    assert_eq!(picked(&context, &["src"], None).await, ["b.txt=a", "deep/=", "deep/a.txt=a", "link=b.txt"]);
    assert_eq!(picked(&context, &["src/*.txt", "src.txt"], None).await, ["b.txt=a", "src.txt=new"]);
    assert_eq!(picked(&context, &["src/deep/a.txt"], Some("x")).await, ["x=a"]);
    assert_eq!(picked(&context, &[""], None).await.len(), 7);
    let is_one = |source: &str| context.is_one_file(&[source.to_owned()]).unwrap();
    assert_eq!([is_one("src"), is_one("src.txt"), is_one("*.txt"), is_one("src/link")], [false, true, true, false]);
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name() {
    let context = sample().await;
    for source in ["none", "src/none*", "src.txt/a", "sr"] {
        let refused = context.is_one_file(&[source.to_owned()]).unwrap_err().to_string();
        assert!(refused.contains(source), "{refused}");
    }
    assert!(context.text("src").await.is_err() && context.text("none").await.is_err());
}

#[tokio::test]
async fn hostile_contexts_are_refused() {
    let check = async |kind: Kind, path: &str, text: &str, words: &str| {
        let mut bytes = Vec::new();
        add(&mut bytes, Kind::File, "file", "");
        add(&mut bytes, Kind::Symlink, "link", "/etc");
        add(&mut bytes, kind, path, text);
        let refused = read(&bytes).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{path}: {refused}");
    };
    check(Kind::File, "../a", "", "leads out of the context").await;
    check(Kind::File, "a/../../b", "", "leads out of the context").await;
    check(Kind::Hardlink, "a", "../../etc/shadow", "leads out of the context").await;
    check(Kind::Hardlink, "a", "link", "no file of the context").await;
    check(Kind::File, "link/passwd", "", "is no folder").await;
    check(Kind::File, "file/a", "", "is no folder").await;
    check(Kind::File, &"a/".repeat(200), "", "nested deeper").await;
    assert!(read(b"no archive").await.unwrap_err().to_string().contains("ends in the middle"));
    assert!(read(&[b'x'; 1024]).await.unwrap_err().to_string().contains("no tar stream"));
}

#[tokio::test]
async fn many_names_are_refused() {
    let mut bytes = Vec::new();
    for at in 0..60_000 {
        add(&mut bytes, Kind::Directory, &format!("{at}/a/"), "");
    }
    assert!(read(&bytes).await.unwrap_err().to_string().contains("more than"));
}
