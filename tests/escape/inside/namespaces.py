"""Leaving the namespaces, or making others."""

import ctypes
import os

from trying import CANARY, attempt, call, first, has_marker, opens_for_writing

KINDS = {"mnt": 0x00020000, "uts": 0x04000000, "ipc": 0x08000000, "pid": 0x20000000, "net": 0x40000000, "cgroup": 0x02000000}


@attempt("namespaces")
def enters_a_namespace_of_another_process():
    def enter(pid, kind):
        path = f"/proc/{pid}/ns/{kind}"
        own = os.readlink(f"/proc/self/ns/{kind}")
        if os.readlink(path) == own and pid != "1":
            return None
        descriptor = os.open(path, os.O_RDONLY)
        call("setns", descriptor, 0)
        return f"it entered the {kind} namespace of process {pid}"

    pids = [name for name in os.listdir("/proc") if name.isdigit()]
    return first(*[lambda p=p, k=k: enter(p, k) for p in sorted(set(pids) | {str(CANARY["pid"])}) for k in KINDS])


@attempt("namespaces")
def makes_namespaces_of_its_own():
    def make(kind, flag):
        call("unshare", flag)
        return f"it made a {kind} namespace"

    return first(*[lambda k=k, f=f: make(k, f) for k, f in KINDS.items()])


@attempt("namespaces")
def mounts_something():
    os.makedirs("/tmp/point", exist_ok=True)

    def mount(source, kind, flags=0):
        call("mount", source, b"/tmp/point", kind, flags, b"")
        return f"it mounted {kind or source}"

    def by_descriptor():
        context = call("fsopen", b"tmpfs", 0)
        call("fsconfig", context, 6, 0, 0, 0)
        call("move_mount", call("fsmount", context, 0, 0), b"", -100, b"/tmp/point", 4)
        return "it mounted by the new calls"

    def tree():
        call("move_mount", call("open_tree", -100, b"/etc", 1), b"", -100, b"/tmp/point", 4)
        return "it mounted a copy of a tree"

    kinds = (b"tmpfs", b"proc", b"sysfs", b"devtmpfs", b"debugfs", b"cgroup", b"cgroup2", b"overlay", b"bpf", b"fuse")
    return first(*[lambda k=k: mount(b"none", k) for k in kinds], lambda: mount(b"/etc", b"", 4096), by_descriptor, tree)


@attempt("namespaces")
def unmounts_something():
    targets = (CANARY["agent"], CANARY["shared"], "/proc/sys", "/proc/kcore", "/sys", "/dev/shm", "/proc", "/")
    return first(*[lambda t=t: call("umount2", t.encode(), 2) or f"{t} was unmounted" for t in targets])


@attempt("namespaces", "root")
def exchanges_the_root():
    os.makedirs("/tmp/root/old", exist_ok=True)
    try:
        call("mount", b"/", b"/tmp/root", b"", 4096, b"")
    except OSError:
        pass
    os.chdir("/tmp/root")
    call("pivot_root", b".", b"mnt")
    return "the root was exchanged"


@attempt("namespaces")
def names_the_host():
    name = b"named-from-inside"
    call("sethostname", name, len(name))
    return "the name was set"


@attempt("namespaces")
def reads_shared_memory_of_the_host():
    def system_v():
        segment = call("shmget", CANARY["shm_key"], 0, 0)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.shmat.restype = ctypes.c_void_p
        at = libc.shmat(segment, None, 0o10000)
        return has_marker(ctypes.string_at(at, 64))

    def posix():
        with open(f"/dev/shm/{CANARY['shm_name']}", "rb") as file:
            return has_marker(file.read())

    return first(system_v, posix)


@attempt("namespaces")
def changes_its_cgroup():
    tries = []
    for folder, _, names in os.walk("/sys/fs/cgroup"):
        tries += [lambda f=folder, n=n: opens_for_writing(f"{f}/{n}") for n in names
                  if n in ("cgroup.procs", "tasks", "release_agent", "memory.max", "memory.limit_in_bytes", "pids.max")]
        tries.append(lambda f=folder: os.mkdir(f"{f}/inside") or f"{f}/inside was made")
    return first(*tries[:200])


@attempt("namespaces", "root")
def has_the_host_run_a_program_when_a_cgroup_is_empty():
    os.makedirs("/tmp/group", exist_ok=True)

    def by(controller):
        call("mount", b"none", b"/tmp/group", b"cgroup", 0, controller)
        return opens_for_writing("/tmp/group/release_agent")

    return first(*[lambda c=c: by(c) for c in (b"rdma", b"misc", b"cpuset", b"devices", b"freezer")])
