//! What runs as the agent in these tests: it dials and obeys one line at a time.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::{net::UnixStream, process::CommandExt},
    process::Command,
    thread::sleep,
    time::Duration,
};

mod sys;

const SOCKET: &str = "/.sentinal/host/agent.sock";

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("connect") => println!("{}", outcome(UnixStream::connect(SOCKET))),
        Some("sleep") => sleep(Duration::from_secs(1000)),
        _ => serve(),
    }
}

fn serve() {
    sys::make_writable();
    loop {
        if let Ok(stream) = UnixStream::connect(SOCKET) {
            obey(stream);
        }
        sleep(Duration::from_millis(2));
    }
}

fn obey(stream: UnixStream) {
    let mut answers = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let (verb, object) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = answer(verb, object);
        if writeln!(answers, "{answer}").is_err() {
            return;
        }
    }
}

fn answer(verb: &str, object: &str) -> String {
    match verb {
        "say" => object.to_owned(),
        "env" => std::env::var(object).unwrap_or_default(),
        "read" => fs::read_to_string(object).unwrap_or_else(|error| error.to_string()).trim().to_owned(),
        "write" => outcome(fs::write(object, "x")),
        "fill" => fill(object),
        "remove" => outcome(fs::remove_file(object)),
        "zero-into-hole" => zero_into_hole(object),
        "eat" => vec![1u8; object.parse().unwrap()].len().to_string(),
        "connect-as" => as_user(object),
        "forks" => forks(object.parse().unwrap()),
        "loopback" => loopback(),
        "internet" => outcome(TcpStream::connect_timeout(&"1.1.1.1:443".parse().unwrap(), Duration::from_secs(2))),
        "exit" => std::process::exit(0),
        _ => "what?".to_owned(),
    }
}

fn outcome<T>(result: std::io::Result<T>) -> String {
    result.map_or_else(|error| format!("{:?}", error.kind()), |_| "ok".to_owned())
}

/// Writes until there is no room, and answers the error and how many MiB there were.
fn fill(path: &str) -> String {
    let mut file = File::create(path).unwrap();
    let block = vec![1; 1 << 16];
    loop {
        if let Err(error) = file.write_all(&block) {
            return format!("{:?} {}", error.kind(), file.metadata().unwrap().len() >> 20);
        }
    }
}

/// Lets the kernel write into a part of a file that has no room behind it.
fn zero_into_hole(path: &str) -> String {
    let file = File::options().create(true).read(true).write(true).open(path).unwrap();
    file.set_len(1 << 20).unwrap();
    outcome(sys::read_zeros_into(&file, 1 << 20))
}

fn as_user(uid: &str) -> String {
    let uid = uid.parse().unwrap();
    let output = Command::new("/bin/guest").arg("connect").uid(uid).gid(uid).output();
    output.map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Starts processes of uid 1000 until one cannot be.
fn forks(most: usize) -> String {
    let mut children = Vec::new();
    let mut error = "none".to_owned();
    while children.len() < most {
        match Command::new("/bin/guest").arg("sleep").uid(1000).gid(1000).spawn() {
            Ok(child) => children.push(child),
            Err(refused) => {
                error = format!("{:?}", refused.kind());
                break;
            }
        }
    }
    let count = children.len();
    for child in &mut children {
        let _ = child.kill();
        let _ = child.wait();
    }
    format!("{error} {count}")
}

fn loopback() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    outcome(TcpStream::connect(listener.local_addr().unwrap()))
}
