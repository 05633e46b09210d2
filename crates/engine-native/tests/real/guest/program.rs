//! What runs as the agent in these tests: it dials and obeys one line at a time.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{fs::MetadataExt, net::UnixStream, process::CommandExt},
    process::Command,
    thread::sleep,
    time::Duration,
};

mod sys;

const SOCKET: &str = "/.sentinal/host/agent.sock";

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("--version") => println!("guest"),
        Some("connect") => println!("{}", outcome(UnixStream::connect(SOCKET))),
        Some("sleep") => sleep(Duration::from_secs(1000)),
        Some("eat") => {
            let bytes = std::env::args().nth(2).unwrap().parse().unwrap();
            println!("{}", vec![1u8; bytes].len());
        }
        Some("call") => println!("{}", sys::call(&std::env::args().nth(2).unwrap())),
        Some(_) => println!("what?"),
        None => serve(),
    }
}

fn serve() {
    sys::reap_children();
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
        // An answer is one line.
        "read" => {
            let text = fs::read_to_string(object).unwrap_or_else(|error| format!("{:?}", error.kind()));
            text.trim().replace('\n', "; ")
        }
        "list" => list(object),
        "write" => outcome(File::options().write(true).create(true).open(object).and_then(|mut file| file.write_all(b"x"))),
        "touch-many" => touch_many(object),
        "owner" => fs::metadata(object).map_or_else(|error| format!("{:?}", error.kind()), |file| file.uid().to_string()),
        "fill" => fill(object),
        "room" => sys::room(object).to_string(),
        "remove" => outcome(fs::remove_file(object).or_else(|_| fs::remove_dir_all(object))),
        "rename" => object.split_once(' ').map_or("what?".to_owned(), |(from, to)| outcome(fs::rename(from, to))),
        "eat" => run(Command::new("/bin/guest").args(["eat", object]).uid(1000).gid(1000)),
        "connect-as" => connect_as(object),
        "call" => sys::call(object),
        "call-as-user" => run(Command::new("/bin/guest").args(["call", object]).uid(1000).gid(1000)),
        "status" => status(object),
        "forks" => forks(object.parse().unwrap()),
        "loopback" => loopback(),
        "internet" => outcome(TcpStream::connect_timeout(&"1.1.1.1:443".parse().unwrap(), Duration::from_secs(2))),
        "zero" => {
            let mut bytes = [1; 8];
            outcome(File::open(object).and_then(|mut file| file.read_exact(&mut bytes)))
        }
        "exit" => std::process::exit(0),
        _ => "what?".to_owned(),
    }
}

fn outcome<T>(result: std::io::Result<T>) -> String {
    result.map_or_else(|error| format!("{:?}", error.kind()), |_| "ok".to_owned())
}

/// One line of `/proc/self/status`.
fn status(name: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("missing").trim_start_matches(':').trim().to_owned()
}

fn list(folder: &str) -> String {
    let mut names: Vec<String> = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect(),
        Err(error) => return format!("{:?}", error.kind()),
    };
    names.sort();
    names.join(" ")
}

/// Makes files until that fails, and answers the error.
fn touch_many(folder: &str) -> String {
    fs::create_dir_all(folder).unwrap();
    for number in 0.. {
        if let Err(error) = File::create(format!("{folder}/{number}")) {
            return format!("{:?}", error.kind());
        }
    }
    String::new()
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

/// Runs it to its end and answers what it said, or how it ended.
fn run(command: &mut Command) -> String {
    match command.output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(output) => output.status.to_string(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

fn connect_as(uid: &str) -> String {
    let uid = uid.parse().unwrap();
    run(Command::new("/bin/guest").arg("connect").uid(uid).gid(uid))
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
