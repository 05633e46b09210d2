//! What a sandbox cannot do, tried from inside.

use std::os::unix::fs::FileTypeExt;

use anyhow::{Result, ensure};
use sentinal_tests::{Fact, Guest, NewExecution, guest};
use serde_json::json;

/// Runs Python as root, which inside a sandbox is allowed everything that the sandbox is.
async fn as_root(guest: &Guest, code: &str) -> Result<String> {
    guest.execute(NewExecution::code("python", code).with("user", "root")).await?.ok()
}

#[tokio::test]
async fn there_is_no_network() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let interfaces =
        guest.shell("ls /sys/class/net 2>/dev/null; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").await?.ok()?;
    ensure!(interfaces.lines().all(|name| name == "lo"), "{interfaces:?}");
    let connect = "import socket\n\
        for address in ['169.254.169.254', '1.1.1.1', '10.0.0.1', '172.17.0.1']:\n\
        \x20 s = socket.socket(); s.settimeout(2)\n\
        \x20 try: s.connect((address, 80)); print('connected to', address)\n\
        \x20 except OSError: pass\n\
        try: socket.getaddrinfo('example.com', 80); print('resolved')\n\
        except OSError: pass\n";
    ensure!(as_root(&guest, connect).await?.is_empty(), "root reached something");
    let loopback = "import socket, threading\n\
        server = socket.create_server(('127.0.0.1', 0))\n\
        threading.Thread(target=lambda: server.accept()[0].send(b'own')).start()\n\
        print(socket.create_connection(server.getsockname()).recv(3).decode())";
    ensure!(guest.execute(NewExecution::code("python", loopback)).await?.ok()? == "own\n", "its own loopback works");
    guest.gone().await
}

#[tokio::test]
async fn what_is_written_to_the_image_goes_with_the_sandbox() -> Fact {
    let Some(first) = guest(json!({})).await? else { return Ok(()) };
    let spoil = "import os\nos.remove('/bin/ls') if not os.path.islink('/bin') else os.remove('/usr/bin/ls')\n\
                 open('/etc/spoiled', 'w').write('x'); print('done')";
    ensure!(as_root(&first, spoil).await? == "done\n");
    ensure!(first.shell("ls").await?.exit_code == Some(127), "it is removed for this sandbox");
    let Some(second) = guest(json!({})).await? else { return Ok(()) };
    ensure!(second.shell("test ! -e /etc/spoiled && ls /bin/ls").await?.ok()? == "/bin/ls\n");
    second.gone().await?;
    first.gone().await
}

#[tokio::test]
async fn the_ordinary_user_cannot_write_the_image_or_become_root() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    for path in ["/etc/passwd", "/usr/bin/python3", "/bin/sh", "/.sentinal/agent"] {
        let tried = guest.shell(&format!("echo x >> {path}")).await?;
        ensure!(tried.exit_code != Some(0), "{path} was written: {tried:?}");
    }
    let setuid = guest.shell("find / -xdev -perm /6000 -type f 2>/dev/null").await?;
    ensure!(setuid.stdout.as_deref() == Some(""), "files that lend rights: {setuid:?}");
    let capabilities = guest.shell("grep -E '^Cap(Eff|Prm|Amb)' /proc/self/status | cut -f2 | sort -u").await?.ok()?;
    ensure!(capabilities == "0000000000000000\n", "{capabilities:?}");
    guest.gone().await
}

/// The names of the sockets that the host has for a sandbox.
fn sockets(guest: &Guest) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![guest.place().state_dir()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)?.flatten() {
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_socket() && folder.to_string_lossy().contains(guest.id()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    Ok(names)
}

#[tokio::test]
async fn the_agent_and_its_socket_are_out_of_reach() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let listed = guest.shell("ls -la /.sentinal/host /.sentinal/host/* 2>&1; ls /proc/1/root/ 2>&1 | head -1").await?;
    ensure!(!listed.stdout.unwrap_or_default().contains("srw"), "the ordinary user sees the socket");
    let names = sockets(&guest)?;
    ensure!(!names.is_empty(), "no socket of the sandbox on the host: this test looks in the wrong place");
    let dial = "import socket, sys\n\
        for name in sys.argv[1:]:\n\
        \x20 try: socket.socket(socket.AF_UNIX).connect('/.sentinal/host/' + name); print('connected to', name)\n\
        \x20 except PermissionError: print('refused')\n";
    let dialled = guest.execute(NewExecution::code("python", dial).with("args", names.clone())).await?.ok()?;
    ensure!(dialled == "refused\n".repeat(names.len()), "the ordinary user dialled the server: {dialled}");
    for write in ["echo x > /.sentinal/agent", "rm -f /.sentinal/agent", "echo x > /.sentinal/host/x"] {
        let tried = guest.execute(NewExecution::shell(write).with("user", "root")).await?;
        ensure!(tried.exit_code != Some(0), "root could: {write}");
    }
    let signal = guest.shell("kill -KILL 1; kill -TERM 1").await?;
    ensure!(signal.exit_code != Some(0), "{signal:?}");
    let environment = as_root(&guest, "print(open('/proc/1/environ').read().replace(chr(0), '\\n'))").await?;
    let secret = |word: &str| word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let mut words = environment.split(|c: char| !c.is_ascii_alphanumeric());
    ensure!(!words.any(secret), "the agent's token is to be read: {environment:?}");
    guest.works().await?;
    guest.gone().await
}

#[tokio::test]
async fn nothing_of_the_host_is_to_be_seen() -> Fact {
    let Some(guest) = guest(json!({})).await? else { return Ok(()) };
    let own = std::process::id().to_string();
    let look = "import os\n\
        print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit())[-1] < 1000)\n\
        print(os.path.exists('/var/tmp') and any(n.startswith('snt-') for n in os.listdir('/var/tmp')))\n\
        print(any(os.path.exists(p) for p in ['/dev/vda', '/dev/kvm', '/dev/mem', '/var/run/docker.sock']))\n\
        print(open('/proc/sys/kernel/hostname').read().strip())";
    let seen = as_root(&guest, look).await?;
    let lines: Vec<&str> = seen.lines().collect();
    ensure!(lines[..3] == ["True", "False", "False"], "{seen} (this is process {own})");
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    ensure!(lines[3] != hostname.trim(), "it has the host's name");
    guest.gone().await
}
