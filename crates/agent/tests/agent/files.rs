//! Files in and out.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use futures::StreamExt;
use sentinal_agent_protocol::v1::{ReadFileRequest, User, WriteFileRequest, WriteFileStart};
use tonic::{Code, Status};

use crate::harness::{Client, Sandbox, is_root, until, within};

fn start(path: &str) -> WriteFileStart {
    WriteFileStart { path: path.to_owned(), ..WriteFileStart::default() }
}

fn messages(start: WriteFileStart, data: &[u8]) -> Vec<WriteFileRequest> {
    let mut messages: Vec<WriteFileRequest> = data
        .chunks(65_536)
        .map(|chunk| WriteFileRequest { data: chunk.to_vec().into(), ..WriteFileRequest::default() })
        .collect();
    if messages.is_empty() {
        messages.push(WriteFileRequest::default());
    }
    messages[0].start = Some(start);
    messages.last_mut().unwrap().end = true;
    messages
}

async fn write(client: &Client, start: WriteFileStart, data: &[u8]) -> Result<u64, Status> {
    let stream = futures::stream::iter(messages(start, data));
    Ok(within(client.clone().write_file(stream)).await?.into_inner().size)
}

async fn read_as(client: &Client, path: &str, user: &str) -> Result<Vec<u8>, Status> {
    let user = Some(User { name: user.to_owned() });
    let request = ReadFileRequest { path: path.to_owned(), user, ..ReadFileRequest::default() };
    let mut stream = within(client.clone().read_file(request)).await?.into_inner();
    let (mut data, mut is_complete) = (Vec::new(), false);
    let mut size = None;
    while let Some(message) = within(stream.message()).await? {
        assert!(!is_complete, "something after the end");
        size.get_or_insert(message.size);
        data.extend(message.data);
        is_complete = message.end;
    }
    assert!(is_complete, "cut off");
    assert_eq!(size, Some(data.len() as u64));
    Ok(data)
}

async fn read(client: &Client, path: &str) -> Result<Vec<u8>, Status> {
    read_as(client, path, "").await
}

fn leftovers(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with(".sentinal-upload-")).count()
}

fn open_folder(sandbox: &Sandbox, name: &str) -> String {
    let path = sandbox.path(name);
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    path
}

#[tokio::test]
async fn what_is_written_is_read() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    for size in [0_usize, 1, 65_536, 65_537, 5 << 20] {
        let data: Vec<u8> = (0..size).map(|at| u8::try_from(at % 253).unwrap()).collect();
        let path = sandbox.path(&format!("file-{size}"));
        assert_eq!(write(&client, start(&path), &data).await.unwrap(), size as u64);
        assert!(read(&client, &path).await.unwrap() == data, "{size}");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o644);
        if is_root() {
            assert_eq!((metadata.uid(), metadata.gid()), (1000, 1000));
        }
    }
    assert_eq!(leftovers(sandbox.folder()), 0);
}

#[tokio::test]
async fn mode_and_parents_are_as_asked() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let path = sandbox.path("a/b/c");
    assert_eq!(write(&client, start(&path), b"x").await.unwrap_err().code(), Code::NotFound);
    let request = WriteFileStart { make_parents: true, mode: 0o750, ..start(&path) };
    write(&client, request, b"x").await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o750);
    write(&client, WriteFileStart { make_parents: true, ..start(&path) }, b"xy").await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"xy");
}

#[tokio::test]
async fn an_upload_cut_off_leaves_the_old_file_and_nothing_else() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let path = sandbox.path("file");
    write(&client, start(&path), b"old").await.unwrap();
    let mut cut = messages(start(&path), &vec![b'n'; 300_000]);
    cut.pop();
    let status = within(client.clone().write_file(futures::stream::iter(cut.clone()))).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert_eq!(leftovers(sandbox.folder()), 0);

    // And with the whole connection.
    let endless = futures::stream::iter(cut).chain(futures::stream::pending());
    let upload = tokio::spawn({
        let mut client = client.clone();
        async move { client.write_file(endless).await.map(|_| ()) }
    });
    until(|| leftovers(sandbox.folder()) == 1).await;
    upload.abort();
    until(|| leftovers(sandbox.folder()) == 0).await;
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[tokio::test]
async fn what_is_no_file_is_refused_at_once() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let fifo = sandbox.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &*fifo, rustix::fs::FileType::Fifo, 0o666.into(), 0).unwrap();
    let cases = [
        (sandbox.path(""), Code::FailedPrecondition),
        ("/".to_owned(), Code::FailedPrecondition),
        (fifo, Code::FailedPrecondition),
        ("/dev/null".to_owned(), Code::FailedPrecondition),
        ("/etc/passwd/x".to_owned(), Code::InvalidArgument),
        (sandbox.path(&"x".repeat(300)), Code::InvalidArgument),
        (sandbox.path("a\0b"), Code::InvalidArgument),
        (String::new(), Code::InvalidArgument),
        (format!("/{}", "x/".repeat(3000)), Code::InvalidArgument),
    ];
    for (path, code) in cases {
        let status = write(&client, start(&path), b"x").await.unwrap_err();
        assert_eq!(status.code(), code, "write {path}: {status}");
        let status = read(&client, &path).await.unwrap_err();
        assert_eq!(status.code(), code, "read {path}: {status}");
    }
    let status = read(&client, &sandbox.path("nosuch")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let stream = futures::stream::iter([WriteFileRequest::default()]);
    let status = within(client.clone().write_file(stream)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_link_is_written_through() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    open_folder(&sandbox, "real");
    symlink("real/file", sandbox.path("relative")).unwrap();
    symlink(sandbox.path("relative"), sandbox.path("absolute")).unwrap();
    for (link, data) in [("relative", b"one"), ("absolute", b"two")] {
        write(&client, start(&sandbox.path(link)), data).await.unwrap();
        assert_eq!(fs::read(sandbox.path("real/file")).unwrap(), data);
        assert!(fs::symlink_metadata(sandbox.path(link)).unwrap().is_symlink(), "{link} is still a link");
    }
    symlink("loop", sandbox.path("loop")).unwrap();
    let status = write(&client, start(&sandbox.path("loop")), b"x").await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_planted_link_leads_nowhere_the_user_could_not_go() {
    if !is_root() {
        eprintln!("skipped: without root there is nothing that is root's to protect");
        return;
    }
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let secret = sandbox.path("secret");
    fs::create_dir(&secret).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(sandbox.path("secret/file"), "root's").unwrap();
    fs::write(sandbox.path("read-only"), "root's").unwrap();
    symlink(sandbox.path("secret/file"), sandbox.path("link")).unwrap();
    symlink(&secret, sandbox.path("folder")).unwrap();
    for name in ["link", "folder/file", "folder/new", "secret/file", "read-only"] {
        let status = write(&client, start(&sandbox.path(name)), b"mine").await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "write {name}: {status}");
    }
    for name in ["link", "folder/file"] {
        assert_eq!(read(&client, &sandbox.path(name)).await.unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(read_as(&client, &sandbox.path(name), "root").await.unwrap(), b"root's");
        // The thread that has just been root must not stay it.
        assert_eq!(read(&client, &sandbox.path(name)).await.unwrap_err().code(), Code::PermissionDenied);
    }
    let request = WriteFileStart { make_parents: true, ..start(&sandbox.path("folder/a/b")) };
    assert_eq!(write(&client, request, b"x").await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(fs::read(sandbox.path("secret/file")).unwrap(), b"root's");
    assert_eq!(leftovers(Path::new(&secret)), 0);
}

#[tokio::test]
async fn a_full_disk_is_said() {
    if !Path::new("/dev/full").exists() || !is_root() {
        eprintln!("skipped: no small file system can be mounted here");
        return;
    }
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let small = open_folder(&sandbox, "small");
    let mount = |words: &[&str]| std::process::Command::new(words[0]).args(&words[1..]).status();
    let mounted = mount(&["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs", &small]);
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no small file system can be mounted here");
        return;
    }
    let status = write(&client, start(&sandbox.path("small/file")), &vec![0; 1 << 20]).await;
    let left = leftovers(Path::new(&small));
    mount(&["umount", &small]).unwrap();
    let status = status.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "no space left on the sandbox's disk"));
    assert_eq!(left, 0);
}

#[tokio::test]
async fn many_transfers_at_once_wait_for_their_turn() {
    let sandbox = Sandbox::start();
    let client = sandbox.accept().await;
    let writes = (0..40).map(|number| {
        let (client, path) = (client.clone(), sandbox.path(&number.to_string()));
        async move { write(&client, start(&path), &vec![b'x'; 200_000]).await }
    });
    for written in futures::future::join_all(writes).await {
        assert_eq!(written.unwrap(), 200_000);
    }
    let reads = (0..40).map(|number| {
        let (client, path) = (client.clone(), sandbox.path(&number.to_string()));
        async move { read(&client, &path).await }
    });
    for data in futures::future::join_all(reads).await {
        assert_eq!(data.unwrap().len(), 200_000);
    }
}
