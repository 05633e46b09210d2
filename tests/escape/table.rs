//! Every attempt: why it must fail, and what is expected of it in each column.
//!
//! The attempts themselves are the programs in `inside/`; a test compares their names with this table.

/// Who tries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// The ordinary user.
    User,
    /// Root inside.
    Root,
    /// The one and the other.
    Both,
    /// The ordinary user, in a small sandbox of its own that need not survive it.
    Bomb,
}

/// What an engine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// It is refused on every engine.
    NoEngine,
    /// gVisor lets it happen within its own kernel, where it reaches nothing of the host's: why that is so.
    GvisorOnly(&'static str),
}

/// What the weak sandbox has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weak {
    /// A hole.
    Hole,
    /// A hole, unless this machine's kernel was built without it.
    HoleIfBuiltIn,
    /// A hole, but only where the root was exchanged and not changed: the kernel has a rule of its own.
    HoleByPivot,
    /// It is not tried: it would do harm to this machine.
    Never(&'static str),
}

/// One attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// The function's name in `inside/`.
    pub(crate) name: &'static str,
    /// Which "cannot" of SECURITY.md it is about; the file in `inside/`.
    pub(crate) group: &'static str,
    pub(crate) who: Who,
    /// What keeps it from succeeding.
    pub(crate) why: &'static str,
    pub(crate) on: On,
    pub(crate) weak: Weak,
}

const fn row(group: &'static str, name: &'static str, who: Who, why: &'static str) -> Attempt {
    Attempt { name, group, who, why, on: On::NoEngine, weak: Weak::Hole }
}

const fn gvisor(attempt: Attempt, reason: &'static str) -> Attempt {
    Attempt { on: On::GvisorOnly(reason), ..attempt }
}

const fn weak(attempt: Attempt, weak: Weak) -> Attempt {
    Attempt { weak, ..attempt }
}

use Who::{Bomb, Both, Root, User};

const IDS: &str = "the ordinary user has no capability, and none comes back: no_new_privs, an empty bounding set";
const READ_ONLY: &str = "the mount is read-only, and there is no CAP_SYS_ADMIN to change that";
const OUTSIDE: &str = "the root is exchanged, not changed: nothing of the host's files is mounted inside";
const PIDS: &str = "a process id namespace of its own (gVisor: a kernel of its own)";
const AGENT: &str = "the agent is root's, not dumpable, and its folder is closed";
const NAMESPACES: &str = "no CAP_SYS_ADMIN, not even for root inside";
const PRIVILEGED: &str = "the capability is missing, and the call is not on the list of those let through";
const UNLISTED: &str = "the call is not on the list of those let through (gVisor: its kernel has none)";
const READ_ONLY_PROC: &str = "/proc/sys and what else reaches the kernel is read-only or covered";
const NO_NETWORK: &str = "a network namespace with nothing but loopback (gVisor: --network=none)";
const BOUNDED: &str = "a limit inside for the error, and one of the host's cgroups behind it";

pub(crate) const ATTEMPTS: [Attempt; 70] = [
    row("identity", "becomes_root", User, IDS),
    row("identity", "becomes_another_user_or_group", User, IDS),
    row("identity", "takes_capabilities", User, IDS),
    row("identity", "gains_by_a_program_that_lends_rights", User, "no_new_privs"),
    row("identity", "may_gain_privileges_by_exec", User, "no_new_privs"),
    row("identity", "root_has_or_takes_what_reaches_beyond_the_sandbox", Root, "the bounding set"),
    gvisor(
        weak(row("identity", "makes_a_user_namespace", User, UNLISTED), Weak::HoleByPivot),
        "its user namespaces are its own: their rights end at its own border",
    ),
    weak(
        row("identity", "reaches_further_as_root_of_a_user_namespace", User, "rights in it end at its border"),
        Weak::HoleByPivot,
    ),
    row("filesystem", "writes_what_the_image_holds", User, "it is root's"),
    row("filesystem", "replaces_the_agent", Both, READ_ONLY),
    row("filesystem", "writes_into_the_folder_it_shares_with_the_host", Both, READ_ONLY),
    row("filesystem", "reads_a_file_of_the_host_by_its_path", Both, OUTSIDE),
    row("filesystem", "climbs_out_through_an_open_descriptor", Both, "no descriptor of the host's is inherited"),
    row("filesystem", "climbs_out_by_changing_its_root", Root, OUTSIDE),
    row("filesystem", "opens_a_file_of_the_host_by_its_handle", Both, "no CAP_DAC_READ_SEARCH"),
    row("filesystem", "opens_a_raw_disk", Both, "device files do not work on any mount inside"),
    row("filesystem", "makes_read_only_mounts_writable", Root, NAMESPACES),
    row("filesystem", "reads_what_is_root_s_through_links", User, "links give no rights"),
    row("processes", "sees_a_process_outside", Both, PIDS),
    row("processes", "signals_a_process_outside", Both, PIDS),
    row("processes", "traces_a_process_outside", Both, PIDS),
    row("processes", "reads_the_memory_of_a_process_outside", Both, PIDS),
    row("processes", "takes_hold_of_a_process_outside_by_a_descriptor", Both, PIDS),
    row("processes", "reads_the_agent_s_secrets", User, AGENT),
    row("processes", "traces_or_signals_the_agent", User, AGENT),
    row("processes", "dials_the_server_as_the_agent_would", User, AGENT),
    row("processes", "lowers_the_limits_of_others_or_raises_its_own", User, "hard limits, and no CAP_SYS_RESOURCE"),
    row("namespaces", "enters_a_namespace_of_another_process", Both, NAMESPACES),
    gvisor(
        row("namespaces", "makes_namespaces_of_its_own", Both, NAMESPACES),
        "a cgroup namespace is accepted and means nothing: its kernel has no cgroups of the host's",
    ),
    row("namespaces", "mounts_something", Both, NAMESPACES),
    row("namespaces", "unmounts_something", Both, NAMESPACES),
    row("namespaces", "exchanges_the_root", Root, NAMESPACES),
    row("namespaces", "names_the_host", Both, NAMESPACES),
    row("namespaces", "reads_shared_memory_of_the_host", Both, "an IPC namespace and a /dev/shm of its own"),
    row("namespaces", "changes_its_cgroup", Both, "no file of the cgroups can be opened for writing"),
    weak(row("namespaces", "has_the_host_run_a_program_when_a_cgroup_is_empty", Root, NAMESPACES), Weak::HoleIfBuiltIn),
    row("kernel", "opens_a_device_of_the_host", Both, "a /dev of its own, and device files work nowhere else"),
    gvisor(
        weak(row("kernel", "opens_a_device_that_a_program_drives", Both, "a /dev of its own"), Weak::HoleIfBuiltIn),
        "its /dev/fuse and /dev/net/tun are its own kernel's",
    ),
    gvisor(
        row("kernel", "changes_a_setting_of_the_kernel", Both, READ_ONLY_PROC),
        "the few settings that root may write are its own kernel's; the host's are compared afterwards",
    ),
    gvisor(
        weak(row("kernel", "pulls_the_magic_key", Both, READ_ONLY_PROC), Weak::HoleIfBuiltIn),
        "its /proc/sysrq-trigger does nothing",
    ),
    row("kernel", "has_the_kernel_run_a_program_of_its_own", Both, READ_ONLY_PROC),
    row("kernel", "changes_something_in_sysfs", Both, "/sys is read-only"),
    row("kernel", "reads_the_kernel_s_memory", Both, READ_ONLY_PROC),
    row("kernel", "reads_the_kernel_s_log", Both, PRIVILEGED),
    weak(row("kernel", "loads_code_into_the_kernel", Both, PRIVILEGED), Weak::HoleIfBuiltIn),
    row("kernel", "loads_a_program_by_bpf", Both, PRIVILEGED),
    row("kernel", "watches_the_processor", Both, UNLISTED),
    row("kernel", "handles_page_faults_by_itself", Both, UNLISTED),
    row("kernel", "makes_an_io_uring", Both, UNLISTED),
    row("kernel", "uses_the_kernel_s_keyrings", Both, UNLISTED),
    row("kernel", "sets_the_clock", Both, PRIVILEGED),
    weak(row("kernel", "sets_the_clock_to_now", Both, PRIVILEGED), Weak::Never("it would step this machine's clock")),
    row("kernel", "ends_or_starves_the_host", Both, PRIVILEGED),
    weak(row("kernel", "speaks_to_the_hardware", Both, PRIVILEGED), Weak::HoleIfBuiltIn),
    row("kernel", "watches_files_of_everybody", Both, PRIVILEGED),
    row("network", "has_an_interface_beyond_loopback", Both, NO_NETWORK),
    row("network", "reaches_an_address_of_the_host", Both, NO_NETWORK),
    row("network", "reaches_an_address_elsewhere", Both, NO_NETWORK),
    row("network", "reaches_a_socket_of_the_host_without_a_path", Both, NO_NETWORK),
    row("network", "reaches_a_socket_of_the_host_by_its_path", Both, OUTSIDE),
    row("network", "makes_a_raw_socket", Both, "no CAP_NET_RAW"),
    row("network", "makes_a_socket_of_a_rare_family", Both, "only the usual families are let through"),
    row("network", "makes_an_interface", Both, "no CAP_NET_ADMIN"),
    row("bombs", "starts_too_many_processes", Bomb, BOUNDED),
    row("bombs", "starts_too_many_threads", Bomb, BOUNDED),
    row("bombs", "takes_too_much_memory", Bomb, BOUNDED),
    row("bombs", "writes_too_much_to_the_disk", Bomb, "the layer is a file system of the disk's size"),
    row("bombs", "makes_too_many_files", Bomb, "the layer's inodes (gVisor: the sandbox's memory)"),
    row("bombs", "opens_too_many_files", Bomb, BOUNDED),
    row("bombs", "keeps_too_much_in_sockets", Bomb, "what the kernel holds for a sandbox counts as the sandbox's"),
];

impl Attempt {
    /// As whom it is tried, as `attempts.py` wants it.
    pub(crate) fn tried_as(&self) -> &'static [&'static str] {
        match self.who {
            User => &["user"],
            Root => &["root"],
            Both => &["user", "root"],
            Bomb => &["bomb"],
        }
    }

    /// How the row is called in the matrix.
    pub(crate) fn label(&self, who: &str) -> String {
        let name = self.name.replace("_s_", "'s ").replace('_', " ");
        if who == "root" { format!("{name} (root)") } else { name }
    }
}
