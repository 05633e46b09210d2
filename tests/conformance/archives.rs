//! Folders as archives: packed, unpacked, and those that mean harm.

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Method;
use sentinal_tests::{Answer, Fact, Ground, Guest, NewExecution, Tar};
use serde_json::{Value, json};

use crate::table::{Row, heavy, light};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        light(a_folder_comes_back_as_it_was),
        light(what_others_pack_is_unpacked_and_what_is_packed_others_unpack),
        light(what_is_there_is_replaced_and_never_followed),
        light(an_archive_that_leads_out_is_refused_by_name),
        light(an_archive_that_is_none_is_refused),
        light(what_cannot_be_packed_is_refused_before_it_begins),
        heavy(ten_thousand_files_go_in_and_out_in_one_archive),
    ]
}

async fn unpack(guest: &Guest, path: &str, archive: impl Into<Bytes>) -> Result<Answer> {
    guest.files(Method::PUT, "/archive", path, "").bytes("application/x-tar", archive).send().await
}

async fn pack(guest: &Guest, path: &str) -> Result<Answer> {
    guest.files(Method::GET, "/archive", path, "").send().await
}

/// Everything that is to come back: content, modes, times, links.
const SHOW: &str = "import os, sys\nos.chdir(sys.argv[1])\nfor at, ds, fs in sorted(os.walk(b'.')):\n  for n in sorted(ds + fs):\n\
    \x20   p = os.path.join(at, n); s = os.lstat(p)\n    link = os.readlink(p) if os.path.islink(p) else b''\n\
    \x20   body = open(p, 'rb').read() if not link and os.path.isfile(p) else b''\n\
    \x20   print(p, oct(s.st_mode), link, int(s.st_mtime) if body else '', hash(body) % 99991, len(body))";

async fn shown(guest: &Guest, folder: &str) -> Result<String> {
    let line = format!("export PYTHONHASHSEED=0; python3 -c \"$SHOW\" {folder}");
    guest.execute(NewExecution::shell(&line).with("env", json!({"SHOW": SHOW}))).await?.ok()
}

async fn a_folder_comes_back_as_it_was(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let make = r"import os
os.makedirs('from/a/b/empty'); os.chdir('from')
open('file', 'wb').write(bytes(range(256)) * 1000); os.utime('file', (1, 1_000_000_000))
open('a/none', 'w'); open('run', 'w').write('x'); os.chmod('run', 0o751)
open(b'a/\xff\xfe', 'w').write('no text'); open('a/gr\u00fc\u00dfe', 'w').write('text')
deep = 'a/' + '/'.join(['d' * 200] * 5); os.makedirs(deep); open(deep + '/' + 'n' * 255, 'w').write('deep')
os.symlink('../file', 'a/up'); os.symlink('n' * 300, 'long'); os.symlink('a', 'to')
os.mkfifo('pipe'); os.chmod('a/b', 0o700)";
    guest.execute(NewExecution::code("python", make)).await?.ok()?;
    let archive = pack(&guest, "from").await?.expect(200)?;
    ensure!(archive.headers["content-type"] == "application/x-tar", "{:?}", archive.headers);
    let unpacked: Value = unpack(&guest, "new/to", archive.body).await?.expect(200)?.json()?;
    ensure!(unpacked["path"] == "/home/user/new/to" && unpacked["entries"] == 17, "{unpacked}");
    guest.shell("rm from/pipe").await?.ok()?;
    let (before, after) = (shown(&guest, "from").await?, shown(&guest, "new/to").await?);
    ensure!(before == after && before.lines().count() == 17, "before:\n{before}\nafter:\n{after}");
    let head = guest.files(Method::HEAD, "/archive", "from", "").send().await?.expect(200)?;
    ensure!(head.body.is_empty());
    guest.gone().await
}

async fn what_others_pack_is_unpacked_and_what_is_packed_others_unpack(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let make = r"import os, tarfile
os.makedirs('from/' + 'x' * 120); open('from/' + 'x' * 120 + '/' + 'y' * 150, 'w').write('long'); open('from/f', 'w').write('hard')
os.link('from/f', 'from/g'); os.symlink('f', 'from/l'); os.chmod('from/f', 0o600)
for name, kind in ('pax', tarfile.PAX_FORMAT), ('gnu', tarfile.GNU_FORMAT):
  with tarfile.open(name, 'w', format=kind) as tar: tar.add('from', '.')";
    guest.execute(NewExecution::code("python", make)).await?.ok()?;
    let expected = shown(&guest, "from").await?;
    for name in ["pax", "gnu"] {
        let archive = guest.read(name).await?.expect(200)?.body;
        unpack(&guest, &format!("of-{name}"), archive).await?.expect(200)?;
        let got = shown(&guest, &format!("of-{name}")).await?;
        ensure!(got == expected, "{name}: {got}\ninstead of\n{expected}");
        ensure!(guest.shell(&format!("stat -c %h of-{name}/f of-{name}/g")).await?.ok()? == "2\n2\n");
    }
    guest.write("ours", "", pack(&guest, "from").await?.expect(200)?.body).await?.expect(200)?;
    let read = "import tarfile; tarfile.open('ours').extractall('theirs')";
    guest.execute(NewExecution::code("python", read)).await?.ok()?;
    let got = shown(&guest, "theirs").await?;
    ensure!(got == expected, "{got}\ninstead of\n{expected}");
    guest.gone().await
}

async fn what_is_there_is_replaced_and_never_followed(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.shell("mkdir -p to/folder out; echo old > to/file; echo kept > to/folder/kept; echo outside > out/file; ln -s ../out/file to/link; ln -s ../out to/way; ln out/file to/hard").await?.ok()?;
    let archive = Tar::default()
        .file("file", b"new")
        .file("link", b"new")
        .file("hard", b"new")
        .folder("folder")
        .symlink("file2", "file");
    unpack(&guest, "to", archive.end()).await?.expect(200)?;
    let said =
        guest.shell("cat to/file to/link to/hard out/file to/folder/kept; test -L to/link || echo file").await?.ok()?;
    ensure!(said == "newnewnewoutside\nkept\nfile\n", "{said:?}");
    let through =
        unpack(&guest, "to", Tar::default().file("way/file", b"new").end()).await?.refused(400, "invalid_request")?;
    ensure!(through.detail.contains("way/file"), "{through:?}");
    unpack(&guest, "to", Tar::default().file("folder", b"x").end()).await?.refused(409, "conflict")?;
    unpack(&guest, "to", Tar::default().symlink("folder", "file").end()).await?.refused(409, "conflict")?;
    unpack(&guest, "to", Tar::default().folder("way/x").end()).await?.refused(400, "invalid_request")?;
    unpack(&guest, "/etc", Tar::default().file("x", b"x").end()).await?.refused(403, "forbidden")?;
    ensure!(guest.shell("cat out/file; ls out").await?.ok()? == "outside\nfile\n");
    guest.gone().await
}

async fn an_archive_that_leads_out_is_refused_by_name(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest.shell("mkdir to out; echo outside > out/file").await?.ok()?;
    let tar = Tar::default;
    let hostile = [
        ("absolute", tar().file("/tmp/evil", b"x")),
        ("climb", tar().file("../evil", b"x")),
        ("climb within", tar().file("a/../../evil", b"x")),
        ("climb and come back", tar().file("a/../evil", b"x")),
        ("folder", tar().folder("../evil")),
        ("absolute link", tar().symlink("evil", "/tmp")),
        ("link up", tar().symlink("evil", "../out")),
        ("link up from below", tar().symlink("a/evil", "../../out")),
        ("link by way of a link", tar().symlink("here", ".").symlink("evil", "here/../out")),
        ("through its own link", tar().folder("d").symlink("way", "d").file("way/evil", b"x")),
        ("hard link up", tar().hardlink("evil", "../out/file")),
        ("absolute hard link", tar().hardlink("evil", "/etc/passwd")),
        ("hard link through a link", tar().symlink("l", "d").folder("d").file("d/x", b"x").hardlink("evil", "l/x")),
        ("hard link to a link", tar().file("f", b"x").symlink("l", "f").hardlink("evil", "l")),
        ("character device", tar().entry(b'3', "evil", "", b"")),
        ("block device", tar().entry(b'4', "evil", "", b"")),
        ("named pipe", tar().entry(b'6', "evil", "", b"")),
        ("sparse", tar().entry(b'S', "evil", "", b"")),
        ("sparse by pax", tar().entry(b'x', "evil", "", b"22 GNU.sparse.major=1\n").file("evil", b"x")),
        ("path by pax", tar().entry(b'x', "pax", "", b"17 path=../evil2\n").file("evil", b"x")),
        ("path by gnu", tar().entry(b'L', "evil", "", b"/tmp/evil\0").file("evil", b"x")),
        ("long name", tar().entry(b'L', "gnu", "", "evil".repeat(64).as_bytes()).file("evil", b"x")),
        ("deep", tar().entry(b'L', "gnu", "", "evil/".repeat(200).as_bytes()).file("evil", b"x")),
        ("long description", tar().entry(b'x', "evil", "", &vec![b'x'; 300_000]).file("evil", b"x")),
    ];
    for (what, archive) in hostile {
        let answer = unpack(&guest, "to", archive.end()).await?;
        let problem = answer.refused(400, "invalid_request").map_err(|error| error.context(what))?;
        ensure!(problem.detail.contains("evil"), "{what}: {problem:?}");
    }
    let left = guest
        .shell("cat out/file; ls out; ls -d /tmp/evil* /home/user/evil* /home/user/*/evil* 2>/dev/null; true")
        .await?
        .ok()?;
    ensure!(left == "outside\nfile\n", "{left:?}");
    guest.gone().await
}

async fn an_archive_that_is_none_is_refused(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    let mut cut = Tar::default().file("whole", b"x");
    cut.header(b'0', "half", "", 5000);
    let mut half = cut.clone().cut();
    half.extend_from_slice(&[b'x'; 1000]);
    for (what, body, says) in [
        ("text", b"no tar at all".repeat(100), "no tar"),
        ("gzip", [&[0x1f, 0x8b, 8][..], &[0; 600]].concat(), "compressed"),
        ("cut in a file", half, "half"),
        ("cut in a header", Tar::default().file("a", b"x").cut()[..700].to_vec(), "in the middle"),
        ("a bad header", [Tar::default().file("a", b"x").cut(), vec![7; 512]].concat(), "damaged"),
    ] {
        let problem = unpack(&guest, "to", body).await?.refused(400, "invalid_request")?;
        ensure!(problem.detail.contains(says), "{what}: {problem:?}");
    }
    ensure!(guest.shell("ls -A to").await?.ok()? == "a\nwhole\n", "what was half is there, or what was whole is not");
    unpack(&guest, "none", "").await?.expect(200)?;
    let encoded = guest.files(Method::PUT, "/archive", "to", "").header("content-encoding", "gzip");
    encoded.bytes("application/x-tar", "x").send().await?.refused(415, "unsupported_media_type")?;
    guest.gone().await
}

async fn what_cannot_be_packed_is_refused_before_it_begins(ground: Ground) -> Fact {
    let guest = ground.guest(json!({})).await?;
    guest
        .shell("mkdir shut sparse deep; echo x > shut/mine; chmod 0 shut/mine; truncate -s 2G sparse/hole; touch file")
        .await?
        .ok()?;
    let dig = "import os\nos.chdir('deep')\nfor n in range(200):\n  os.mkdir('d'); os.chdir('d')";
    guest.execute(NewExecution::code("python", dig)).await?.ok()?;
    let problem = pack(&guest, "shut").await?.refused(403, "forbidden")?;
    ensure!(problem.detail.contains("shut/mine"), "{problem:?}");
    pack(&guest, "sparse").await?.refused(413, "too_large")?;
    pack(&guest, "deep").await?.refused(413, "too_large")?;
    pack(&guest, "file").await?.refused(400, "invalid_request")?;
    pack(&guest, "nothing").await?.refused(404, "not_found")?;
    guest.gone().await
}

async fn ten_thousand_files_go_in_and_out_in_one_archive(ground: Ground) -> Fact {
    let guest = ground.guest(json!({"ttl": 900})).await?;
    let mut archive = Tar::default();
    for number in 0..10_000 {
        archive = archive.file(&format!("{}/{number}", number % 100), number.to_string().as_bytes());
    }
    let unpacked: Value = unpack(&guest, "many", archive.end()).await?.expect(200)?.json()?;
    ensure!(unpacked["entries"] == 10_000 && unpacked["bytes"] == 38_890, "{unpacked}");
    let check = "for f in many/*/*; do [ $(< $f) = ${f##*/} ] || echo $f; done; ls many/* | wc -l";
    let said = guest.execute(NewExecution::code("bash", check).with("timeout", 240)).await?.ok()?;
    ensure!(said == "10199\n", "{said}");
    let back = pack(&guest, "many").await?.expect(200)?.body;
    unpack(&guest, "again", back).await?.expect(200)?;
    ensure!(guest.shell("diff -r many again").await?.ok()?.is_empty());
    guest.gone().await
}
