"""How an attempt is tried: alone, in a child that may die, and with a deadline.

An attempt is a function that is named as what it tries to do. It gives evidence of its success as a text, or it gives
nothing, or it fails with an OSError: the latter two mean that the sandbox held. What is to be reached outside (files,
processes, sockets of the test's own) is named in CANARY; the marker is what only they contain.
"""

import ctypes
import json
import os
import select
import signal
import sys
import traceback

CANARY = {}
MARKER = "canary" + "-secret-"
DEADLINE_SECONDS = 25
DEADLINE_SECONDS_OF_A_BOMB = 150
ATTEMPTS = []

libc = ctypes.CDLL(None, use_errno=True)

# Numbers of x86-64.
SYS = {
    "mount": 165, "umount2": 166, "pivot_root": 155, "unshare": 272, "setns": 308, "ptrace": 101, "kexec_load": 246,
    "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176, "bpf": 321,
    "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "add_key": 248, "keyctl": 250,
    "clock_settime": 227, "clock_adjtime": 305, "settimeofday": 164, "reboot": 169, "swapon": 167, "swapoff": 168,
    "acct": 163, "iopl": 172, "ioperm": 173, "syslog": 103, "process_vm_readv": 310, "pidfd_open": 434,
    "pidfd_getfd": 438, "open_by_handle_at": 304, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "move_mount": 429,
    "open_tree": 428, "shmget": 29, "shmat": 30, "capset": 126, "capget": 125, "chroot": 161, "sethostname": 170,
    "quotactl": 179, "lookup_dcookie": 212, "memfd_secret": 447, "kcmp": 312, "fanotify_init": 300, "setgroups": 116,
    "mount_setattr": 442,
}


def attempt(group, who="both"):
    """Registers an attempt. `who`: whether the ordinary user tries it, root inside, or both."""

    def register(function):
        ATTEMPTS.append((group, function.__name__, who, function))
        return function

    return register


def call(name, *arguments):
    """A raw system call; an OSError if it fails."""
    prepared = [ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) if isinstance(a, int) else a
                for a in arguments]
    result = libc.syscall(ctypes.c_long(SYS[name]), *prepared)
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{name}: {os.strerror(errno)}")
    return result


def allowed(name, *arguments, refusals=("EPERM", "ENOSYS", "EACCES")):
    """Whether a call got beyond the question whether it is allowed: for calls that are made to fail harmlessly."""
    import errno
    try:
        call(name, *arguments)
        return f"{name} succeeded"
    except OSError as error:
        word = errno.errorcode.get(error.errno, str(error.errno))
        return None if word in refusals else f"{name} was allowed, and failed with {word} only for its arguments"


def first(*tries):
    """The first evidence; otherwise the refusals."""
    refused = []
    for function in tries:
        try:
            evidence = function()
            if evidence:
                return evidence
            refused.append("nothing")
        except (OSError, ValueError, StopIteration) as error:
            refused.append(str(error) or type(error).__name__)
    raise OSError(0, "; ".join(dict.fromkeys(refused)))


def has_marker(content):
    """Evidence, if this came from a canary."""
    content = content if isinstance(content, bytes) else content.encode()
    at = content.find(MARKER.encode())
    return "it read " + content[at:at + 60].split(b"\0")[0].decode(errors="replace") if 0 <= at else None


def reads(path, limit=1 << 16):
    with open(path, "rb", buffering=0) as file:
        return file.read(limit)


def opens_for_writing(path):
    """Without writing: whether it is open is enough."""
    os.close(os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
    return f"{path} is open for writing"


def make_node(path, kind, numbers):
    if os.path.lexists(path):
        os.unlink(path)
    os.mknod(path, 0o600 | kind, os.makedev(*numbers))
    return path


def capabilities(which="CapEff"):
    with open("/proc/self/status") as status:
        return next((int(line.split()[1], 16) for line in status if line.startswith(which)), 0)


def try_one(function, deadline):
    """What came of it: (verdict, detail)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.close(reading)
        try:
            evidence = function()
            said = ("escaped", evidence) if evidence else ("held", "nothing came of it")
        except OSError as error:
            said = ("held", error.strerror or str(error))
        except BaseException:
            said = ("broken", traceback.format_exc())
        os.write(writing, json.dumps(said).encode()[:60000])
        os._exit(0)
    os.close(writing)
    said = b""
    while select.select([reading], [], [], deadline)[0]:
        block = os.read(reading, 65536)
        if not block:
            break
        said += block
    os.close(reading)
    for target in (-child, child):
        try:
            os.kill(target, signal.SIGKILL)
        except OSError:
            pass
    _, status = os.waitpid(child, 0)
    if said:
        return json.loads(said)
    how = f"ended with status {status}" if not os.WIFSIGNALED(status) else f"ended by signal {os.WTERMSIG(status)}"
    return ("held", f"nothing was said within {deadline} s: {how}")


def main():
    who, wanted = sys.argv[1], json.loads(sys.argv[2])
    CANARY.update(json.loads(sys.argv[3]))
    for group, name, by, function in ATTEMPTS:
        if by not in ("both", who) or (who == "bomb") != (by == "bomb") or (wanted and name not in wanted):
            continue
        verdict, detail = try_one(function, DEADLINE_SECONDS_OF_A_BOMB if group == "bombs" else DEADLINE_SECONDS)
        print(json.dumps({"group": group, "name": name, "who": who, "verdict": verdict, "detail": str(detail)[:600]}),
              flush=True)
