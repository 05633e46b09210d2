"""Becoming somebody else."""

import ctypes
import os
import struct
import subprocess

from trying import attempt, call, capabilities, first

ALL = (1 << 41) - 1
# By number: what root inside must not have, since each of them reaches beyond its own processes and files.
DANGEROUS = {2: "DAC_READ_SEARCH", 12: "NET_ADMIN", 13: "NET_RAW", 16: "SYS_MODULE", 17: "SYS_RAWIO", 19: "SYS_PTRACE",
             20: "SYS_PACCT", 21: "SYS_ADMIN", 22: "SYS_BOOT", 24: "SYS_RESOURCE", 25: "SYS_TIME", 26: "SYS_TTY_CONFIG",
             29: "AUDIT_WRITE", 30: "AUDIT_CONTROL", 32: "MAC_OVERRIDE", 33: "MAC_ADMIN", 34: "SYSLOG", 35: "WAKE_ALARM",
             36: "BLOCK_SUSPEND", 38: "PERFMON", 39: "BPF", 40: "CHECKPOINT_RESTORE"}


def is_root():
    if 0 in (os.geteuid(), os.getuid(), *os.getresuid()):
        return "it is root now"


def capset(wanted):
    header = ctypes.create_string_buffer(struct.pack("<II", 0x20080522, 0))
    low, high = wanted & 0xffffffff, wanted >> 32
    data = ctypes.create_string_buffer(struct.pack("<6I", low, low, low, high, high, high))
    call("capset", header, data)


@attempt("identity", "user")
def becomes_root():
    return first(lambda: os.setresuid(0, 0, 0) or is_root(), lambda: os.setuid(0) or is_root(),
                 lambda: os.setreuid(0, 0) or is_root(), lambda: os.seteuid(0) or is_root())


@attempt("identity", "user")
def becomes_another_user_or_group():
    def group():
        os.setresgid(0, 0, 0)
        return "its group is root"

    def groups():
        os.setgroups([0, 6])
        return "it is in the groups root and disk"

    def user():
        os.setresuid(1001, 1001, 1001)
        return "it is another user"

    return first(groups, group, user)


@attempt("identity", "user")
def takes_capabilities():
    def ambient():
        for number in range(41):
            ctypes.CDLL(None).prctl(47, 2, number, 0, 0)
        held = capabilities("CapAmb")
        return f"ambient capabilities {held:x}" if held else None

    def effective():
        capset(ALL)
        return f"capabilities {capabilities():x}"

    return first(ambient, effective, lambda: f"it has capabilities {capabilities():x}" if capabilities() else None)


@attempt("identity", "user")
def gains_by_a_program_that_lends_rights():
    """Root inside has left copies of Python with set-user-ID, set-group-ID and file capabilities."""
    code = "import os; s = open('/proc/self/status').read(); print(os.geteuid(), os.getegid(), " \
           "int(s.split('CapEff:')[1].split()[0], 16))"
    for program in ("/home/user/lends-user", "/home/user/lends-group", "/home/user/lends-capabilities"):
        if os.path.exists(program):
            said = subprocess.run([program, "-c", code], capture_output=True, text=True).stdout.split()
            if said and (said[0] == "0" or said[1] == "0" or said[2] != "0"):
                return f"{program} gave it uid {said[0]}, gid {said[1]}, capabilities {said[2]}"


@attempt("identity", "user")
def may_gain_privileges_by_exec():
    with open("/proc/self/status") as status:
        if "NoNewPrivs:\t0" in status.read():
            return "no_new_privs is not set"


@attempt("identity", "root")
def root_has_or_takes_what_reaches_beyond_the_sandbox():
    def dangerous(held):
        return [name for number, name in DANGEROUS.items() if held >> number & 1]

    try:
        capset(ALL)
    except OSError:
        pass
    held = dangerous(capabilities()) + dangerous(capabilities("CapBnd"))
    return "root has " + ", ".join(dict.fromkeys(held)) if held else None


def enter_user_namespace():
    """As its root, with every capability in it."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", 0x10000000)
    for name, line in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(line)
        except OSError:
            # Not every kernel has all of them; the rights are there without a name for their holder.
            pass


@attempt("identity", "user")
def makes_a_user_namespace():
    enter_user_namespace()
    return f"it has capabilities {capabilities():x} in a user namespace"


@attempt("identity", "user")
def reaches_further_as_root_of_a_user_namespace():
    """Where one can be made, its rights must end at its border."""
    import filesystem
    import kernel
    import network
    import processes
    enter_user_namespace()
    return first(lambda: filesystem.reads_a_file_of_the_host_by_its_path(), lambda: filesystem.opens_a_file_of_the_host_by_its_handle(),
                 lambda: filesystem.opens_a_raw_disk(), lambda: filesystem.writes_what_the_image_holds(),
                 lambda: filesystem.replaces_the_agent(), lambda: processes.reads_the_agent_s_secrets(),
                 lambda: processes.traces_or_signals_the_agent(), lambda: processes.dials_the_server_as_the_agent_would(),
                 lambda: kernel.loads_code_into_the_kernel(), lambda: kernel.loads_a_program_by_bpf(),
                 lambda: kernel.sets_the_clock(), lambda: kernel.speaks_to_the_hardware(),
                 lambda: kernel.ends_or_starves_the_host(), lambda: network.reaches_an_address_of_the_host())
