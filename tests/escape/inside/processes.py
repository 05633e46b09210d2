"""Reaching processes that are not the sandbox's own, and the agent as the ordinary user."""

import ctypes
import os
import re
import signal
import socket

from trying import CANARY, attempt, call, first, has_marker, reads


def everybody():
    return [name for name in os.listdir("/proc") if name.isdigit()]


def is_canary(pid):
    """A number may be somebody else's in here."""
    try:
        return has_marker(reads(f"/proc/{pid}/cmdline"))
    except OSError:
        return None


@attempt("processes")
def sees_a_process_outside():
    for pid in everybody():
        evidence = is_canary(pid)
        if evidence:
            return evidence
    return f"process 1 is {reads('/proc/1/cmdline')!r}" if "agent" not in reads("/proc/1/comm").decode() else None


@attempt("processes")
def signals_a_process_outside():
    """Whoever is not there to be seen may still be reached: the canary writes down what it gets."""
    seen = is_canary(CANARY["pid"])
    for pid in (CANARY["pid"], -CANARY["pid"]):
        if seen or not os.path.exists(f"/proc/{abs(pid)}"):
            try:
                os.kill(pid, signal.SIGUSR1)
            except OSError:
                continue
            if seen:
                return f"SIGUSR1 was sent to {CANARY['pid']}"
    os.kill(-1, signal.SIGURG)


@attempt("processes")
def traces_a_process_outside():
    pid = CANARY["pid"]
    seen = is_canary(pid)
    if os.path.exists(f"/proc/{pid}") and not seen:
        return None
    call("ptrace", 0x4206, pid, 0, 0)
    return f"it traces {pid}"


@attempt("processes")
def reads_the_memory_of_a_process_outside():
    pid = CANARY["pid"]
    if os.path.exists(f"/proc/{pid}") and not is_canary(pid):
        return None
    return first(lambda: has_marker(reads(f"/proc/{pid}/environ")), lambda: has_marker(reads(f"/proc/{pid}/root{CANARY['file']}")),
                 lambda: has_marker(reads(f"/proc/{pid}/cwd/{os.path.basename(CANARY['file'])}")))


@attempt("processes")
def takes_hold_of_a_process_outside_by_a_descriptor():
    pid = CANARY["pid"]
    if os.path.exists(f"/proc/{pid}") and not is_canary(pid):
        return None
    held = call("pidfd_open", pid, 0)
    return first(lambda: f"it took descriptor {call('pidfd_getfd', held, 1, 0)} out of it", lambda: f"it holds {pid} by {held}")


@attempt("processes", "user")
def reads_the_agent_s_secrets():
    def maps():
        line = next(line for line in reads("/proc/1/maps").decode().splitlines() if " rw-p " in line)
        begin = int(line.split("-")[0], 16)
        with open("/proc/1/mem", "rb", buffering=0) as memory:
            memory.seek(begin)
            return f"it read {len(memory.read(64))} bytes of its memory"

    def remote():
        local = ctypes.create_string_buffer(64)
        here = (ctypes.c_size_t * 2)(ctypes.addressof(local), 64)
        there = (ctypes.c_size_t * 2)(0x400000, 64)
        return f"it read {call('process_vm_readv', 1, here, 1, there, 1, 0)} bytes of its memory"

    def token():
        """The agent wipes it from where the kernel shows it, and may leave the rest."""
        return "its token" if re.search(rb"[0-9a-f]{64}", reads("/proc/1/environ") + reads("/proc/1/cmdline")) else None

    def descriptor(name):
        path = f"/proc/1/fd/{name}"
        if int(name) < 3 or os.readlink(path) == "/dev/null":
            return None
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        return f"its descriptor {name}, {os.readlink(path)}"

    def descriptors():
        return first(*[lambda n=n: descriptor(n) for n in os.listdir("/proc/1/fd")])

    return first(token, maps, remote, descriptors,
                 lambda: f"its stack: {reads('/proc/1/stack')}", lambda: f"its call: {reads('/proc/1/syscall')}")


@attempt("processes", "user")
def traces_or_signals_the_agent():
    def attach():
        call("ptrace", 16, 1, 0, 0)
        return "it traces the agent"

    def seize():
        call("ptrace", 0x4206, 1, 0, 0)
        return "it traces the agent"

    def send(number):
        os.kill(1, number)
        return f"signal {number} was sent"

    return first(seize, attach, *[lambda n=n: send(n) for n in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, 0)],
                 lambda: f"pidfd_getfd gave {call('pidfd_getfd', call('pidfd_open', 1, 0), 3, 0)}")


@attempt("processes", "user")
def dials_the_server_as_the_agent_would():
    def dial(name):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(3)
        client.connect(f"{CANARY['shared']}/{name}")
        return f"it is connected to {name}"

    names = set(CANARY["sockets"])
    try:
        names |= set(os.listdir(CANARY["shared"]))
    except OSError:
        pass
    return first(*[lambda n=n: dial(n) for n in sorted(names)])


@attempt("processes", "user")
def lowers_the_limits_of_others_or_raises_its_own():
    import resource

    def raise_own(which, name):
        soft, hard = resource.getrlimit(which)
        if hard == resource.RLIM_INFINITY:
            return f"{name} has no limit"
        resource.setrlimit(which, (hard * 2, hard * 2))
        return f"{name} was raised"

    def of_agent():
        resource.prlimit(1, resource.RLIMIT_CORE, (0, 0))
        return "a limit of the agent's was set"

    return first(of_agent, lambda: raise_own(resource.RLIMIT_NPROC, "the number of processes"),
                 lambda: raise_own(resource.RLIMIT_NOFILE, "the number of open files"))
