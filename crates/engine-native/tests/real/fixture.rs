//! A sandbox of a test: an image and an agent of its own, and the check that nothing is left.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use sentinal_engine::{BootSpec, Engine as _, cgroup::Cgroups, host::OnHost, mounts};
use sentinal_engine_native::{Launcher, Native, NativeConfig};
use sentinal_model::{Cpu, Disk, Memory, SandboxId};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    time::{Instant, sleep, timeout},
};

const DEADLINE: Duration = Duration::from_secs(30);
const SOURCES: &str = concat!(include_str!("guest/program.rs"), include_str!("guest/sys.rs"));
// What another process of these tests is told in its environment.
const PLACE: &str = "SENTINAL_TEST_PLACE";
const BUILT: &str = "SENTINAL_TEST_BUILT";
const ID: &str = "SENTINAL_TEST_ID";

pub(crate) struct Fixture {
    pub(crate) engine: OnHost<Native>,
    pub(crate) config: NativeConfig,
    pub(crate) spec: BootSpec,
    listener: UnixListener,
    place: tempfile::TempDir,
}

/// A dialled agent.
pub(crate) struct Guest(BufReader<UnixStream>);

impl Fixture {
    /// `None`, with a line that says why, where this machine cannot run the tests.
    pub(crate) fn new() -> Option<Self> {
        let built = match built() {
            Ok(built) => built,
            Err(reason) => {
                println!("SKIPPED: {reason}");
                return None;
            }
        };
        let place = tempfile::tempdir().unwrap();
        let (config, spec) = parts(place.path(), SandboxId::generate(), built);
        let sockets = &spec.socket_folder;
        fs::create_dir(sockets).unwrap();
        let listener = UnixListener::bind(sockets.join("agent.sock")).unwrap();
        // As where the server is an ordinary user, here with the number of the user inside.
        for path in [sockets, &sockets.join("agent.sock")] {
            std::os::unix::fs::chown(path, Some(1000), Some(1000)).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        Some(Self { engine: OnHost::new(Native::new(config.clone())), config, spec, listener, place })
    }

    /// The same boot by a process that can be killed; it runs [`boot_of_the_environment`].
    pub(crate) fn boot_in_another_process(&self) -> Child {
        let built = self.spec.image.parent().unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.args(["--exact", "verbs::boots_what_the_environment_says"]).stdout(Stdio::null()).stderr(Stdio::null());
        process.env(PLACE, self.place.path()).env(BUILT, built).env(ID, self.id().to_string()).spawn().unwrap()
    }

    /// Returns when the boot has begun.
    pub(crate) async fn has_begun(&self) {
        let end = Instant::now() + DEADLINE;
        while !self.config.folder.join(self.id().to_string()).exists() {
            assert!(Instant::now() < end, "the other process does not boot");
            sleep(Duration::from_micros(200)).await;
        }
    }

    pub(crate) fn id(&self) -> &SandboxId {
        &self.spec.id
    }

    /// An engine that remembers nothing, as after a crash.
    pub(crate) fn another_engine(&self) -> OnHost<Native> {
        OnHost::new(Native::new(self.config.clone()))
    }

    pub(crate) async fn boot(&self) -> Guest {
        self.engine.boot(&self.spec).await.unwrap();
        self.dialled().await
    }

    pub(crate) async fn dialled(&self) -> Guest {
        Guest(BufReader::new(timeout(DEADLINE, self.listener.accept()).await.expect("the agent dials").unwrap().0))
    }

    /// The server's end goes and comes back: another socket in the same place.
    pub(crate) fn listen_again(&mut self) {
        let path = self.spec.socket_folder.join("agent.sock");
        fs::remove_file(&path).unwrap();
        self.listener = UnixListener::bind(path).unwrap();
    }

    /// The sandbox's first process.
    pub(crate) fn pid(&self) -> i32 {
        let path = self.config.folder.join(self.id().to_string()).join("pid");
        fs::read_to_string(path).unwrap().split(' ').next().unwrap().parse().unwrap()
    }

    /// Waits until the host has no trace of the instance; some of it the kernel removes a little later.
    pub(crate) async fn nothing_is_left(&self) {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = self.left();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "left over: {left:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Every trace of the instance on the host.
    pub(crate) fn left(&self) -> Vec<String> {
        let id = self.id().to_string();
        let mut left = Vec::new();
        left.extend(mounts::beneath(self.place.path()).unwrap().iter().map(|mount| format!("{mount:?}")));
        if self.config.folder.join(&id).exists() {
            left.push("its folder".to_owned());
        }
        if Cgroups::detect(&self.config.cgroup_parent).unwrap().of(self.id()).exists() {
            left.push("its cgroup".to_owned());
        }
        left.extend(loop_devices().into_iter().filter(|file| file.contains(&id)));
        let users = fs::read_dir(self.config.folder.join("users")).into_iter().flatten().flatten();
        left.extend(users.map(|claim| claim.file_name().display().to_string()));
        left.extend(command_lines().into_iter().filter(|line| line.contains(&id)));
        left
    }
}

/// What the parent process of [`Fixture::boot_in_another_process`] wants booted; `None` in any other.
pub(crate) fn boot_of_the_environment() -> Option<(OnHost<Native>, BootSpec)> {
    let [place, built, id] = [PLACE, BUILT, ID].map(std::env::var_os);
    let id = id?.to_str()?.parse().ok()?;
    let (config, spec) = parts(Path::new(&place?), id, Path::new(&built?));
    Some((OnHost::new(Native::new(config)), spec))
}

fn parts(place: &Path, id: SandboxId, built: &Path) -> (NativeConfig, BootSpec) {
    let spec = BootSpec {
        id,
        folder: place.to_owned(),
        image: built.join("image.erofs"),
        agent: built.join("guest"),
        socket_folder: place.join("host"),
        agent_env: vec![("TOKEN".to_owned(), "t0k3n".to_owned())],
        cpu: Cpu::try_from_cores(1.0).unwrap(),
        memory: Memory::MIN,
        disk: Disk::MIN,
    };
    let launcher = Launcher { program: launcher(), arguments: Vec::new() };
    (NativeConfig::in_folder(&place.join("native"), launcher, spec.agent.clone()), spec)
}

/// The example of this crate, which is built with its tests.
fn launcher() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/native-launch")
}

impl Drop for Fixture {
    /// Also after a failure nothing stays on the machine.
    fn drop(&mut self) {
        let (engine, id) = (self.another_engine(), *self.id());
        let halt = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(engine.halt(&id)).unwrap();
        };
        // Not an error: the test's own failure says more.
        let _ = std::thread::spawn(halt).join();
    }
}

impl Guest {
    /// Says a line and answers the guest's; `None` when the guest is gone.
    pub(crate) async fn try_ask(&mut self, line: &str) -> Option<String> {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).await.ok()?;
        let mut answer = String::new();
        let length = timeout(DEADLINE, self.0.read_line(&mut answer)).await.expect("the guest answers").ok()?;
        (0 < length).then(|| answer.trim_end().to_owned())
    }

    /// The answer to what was asked before.
    pub(crate) async fn answer(&mut self) -> String {
        let mut answer = String::new();
        timeout(DEADLINE, self.0.read_line(&mut answer)).await.expect("the guest answers").unwrap();
        answer.trim_end().to_owned()
    }

    pub(crate) async fn ask(&mut self, line: &str) -> String {
        self.try_ask(line).await.expect("the guest lives")
    }
}

fn loop_devices() -> Vec<String> {
    let devices = fs::read_dir("/sys/block").unwrap().flatten();
    devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok()).collect()
}

fn command_lines() -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect()
}

/// The folder with the guest program and an image around it.
fn built() -> Result<&'static Path, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref().map_err(Clone::clone)
}

/// Builds what is not built yet from these sources; other processes of these tests wait for it.
fn build() -> Result<PathBuf, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("not root".to_owned());
    }
    if !launcher().exists() {
        return Err(format!("{} is not built: build the examples of this crate first", launcher().display()));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("native");
    fs::create_dir_all(&folder).unwrap();
    let lock = fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let stamp = folder.join("sources");
    if fs::read_to_string(&stamp).is_ok_and(|built| built == SOURCES) {
        return Ok(folder);
    }
    let (root, guest, image) = (folder.join("root"), folder.join("guest"), folder.join("image.erofs"));
    for path in [".sentinal", "bin", "dev", "etc", "proc", "run", "sys", "tmp", "var/tmp"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/guest/program.rs");
    let options = ["--edition", "2024", "-O", "--target", "x86_64-unknown-linux-musl", "-o"];
    run(Command::new("rustc").args(options).arg(&guest).arg(source))?;
    fs::copy(&guest, root.join("bin/guest")).unwrap();
    run(Command::new("mkfs.erofs").args(["-E", "noinline_data"]).arg(image).arg(root))?;
    fs::write(stamp, SOURCES).unwrap();
    Ok(folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", command.get_program().display(), String::from_utf8_lossy(&output.stderr)))
}
