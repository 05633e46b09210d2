"""Interfaces of the kernel that reach beyond a sandbox. Where a call could do harm, it is made so that it fails after
the question whether it is allowed; where a file could, it is opened and not written."""

import ctypes
import os
import stat
import time

from trying import allowed, attempt, call, first, make_node, opens_for_writing, reads

# Character devices by what they are.
DEVICES = {"mem": (1, 1), "kmem": (1, 2), "port": (1, 4), "kmsg": (1, 11), "loop-control": (10, 237),
           "kvm": (10, 232), "vhost-net": (10, 238), "vhost-vsock": (10, 241), "rtc0": (252, 0),
           "snapshot": (10, 231), "userfaultfd": (10, 126), "uinput": (10, 223), "autofs": (10, 235), "nvram": (10, 144)}


@attempt("kernel")
def opens_a_device_of_the_host():
    def named(name):
        os.close(os.open("/dev/" + name, os.O_RDWR | os.O_NONBLOCK))
        return f"/dev/{name} is open"

    def made(name, numbers):
        os.close(os.open(make_node("/tmp/device", stat.S_IFCHR, numbers), os.O_RDONLY | os.O_NONBLOCK))
        return f"a node for {name} was made and opened"

    return first(*[lambda n=n: named(n) for n in DEVICES], *[lambda n=n, d=d: made(n, d) for n, d in DEVICES.items()])


@attempt("kernel")
def opens_a_device_that_a_program_drives():
    def opened(path):
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        return f"{path} is open"

    return first(lambda: opened("/dev/fuse"), lambda: opened("/dev/net/tun"),
                 lambda: opened(make_node("/tmp/fuse", stat.S_IFCHR, (10, 229))),
                 lambda: opened(make_node("/tmp/tun", stat.S_IFCHR, (10, 200))))


@attempt("kernel")
def changes_a_setting_of_the_kernel():
    names = ("kernel/core_pattern", "kernel/modprobe", "kernel/sysrq", "kernel/panic", "kernel/hotplug", "kernel/poweroff_cmd",
             "kernel/randomize_va_space", "kernel/kptr_restrict", "kernel/dmesg_restrict", "kernel/yama/ptrace_scope",
             "kernel/unprivileged_bpf_disabled", "kernel/threads-max", "kernel/pid_max", "vm/drop_caches",
             "vm/overcommit_memory", "vm/panic_on_oom", "vm/mmap_min_addr", "fs/file-max", "fs/protected_symlinks",
             "fs/suid_dumpable", "fs/binfmt_misc/register", "user/max_user_namespaces")
    return first(*[lambda n=n: opens_for_writing("/proc/sys/" + n) for n in names])


@attempt("kernel")
def pulls_the_magic_key():
    return first(lambda: opens_for_writing("/proc/sysrq-trigger"))


@attempt("kernel")
def has_the_kernel_run_a_program_of_its_own():
    return first(lambda: opens_for_writing("/proc/sys/kernel/core_pattern"), lambda: opens_for_writing("/sys/kernel/uevent_helper"),
                 lambda: opens_for_writing("/proc/sys/kernel/modprobe"), lambda: opens_for_writing("/proc/sys/fs/binfmt_misc/register"))


@attempt("kernel")
def changes_something_in_sysfs():
    tries = [lambda p=p: opens_for_writing(p) for p in ("/sys/power/state", "/sys/kernel/uevent_helper", "/sys/kernel/mm/ksm/run",
             "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/module/loop/uevent", "/sys/bus/pci/rescan", "/sys/devices/system/cpu/cpu1/online")]
    count = 0
    for folder, folders, names in os.walk("/sys"):
        folders.sort()
        for name in names:
            path = f"{folder}/{name}"
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode) and mode & 0o222:
                tries.append(lambda p=path: opens_for_writing(p))
                count += 1
        if 300 < count:
            break
    return first(*tries)


@attempt("kernel")
def reads_the_kernel_s_memory():
    def kallsyms():
        named = [line.split() for line in reads("/proc/kallsyms", 4096).decode().splitlines()[:20]]
        known = [words for words in named if words and int(words[0], 16)]
        return f"{known[0][2]} is at {known[0][0]}" if known else None

    return first(lambda: f"kcore: {reads('/proc/kcore', 4)}" if reads("/proc/kcore", 4) else None, kallsyms,
                 lambda: f"kpageflags: {reads('/proc/kpageflags', 8)}" if reads("/proc/kpageflags", 8) else None,
                 lambda: "debugfs: " + os.listdir("/sys/kernel/debug")[0] if os.listdir("/sys/kernel/debug") else None,
                 lambda: f"vmallocinfo: {reads('/proc/vmallocinfo', 40)}" if reads("/proc/vmallocinfo", 40) else None)


@attempt("kernel")
def reads_the_kernel_s_log():
    def by_call():
        buffer = ctypes.create_string_buffer(1 << 16)
        length = call("syslog", 3, buffer, len(buffer))
        said = buffer.raw[:length].decode(errors="replace")
        # gVisor's own kernel has a log of its own, and makes jokes in it.
        return f"the log begins {said[:60]!r}" if said and "gVisor" not in said else None

    def by_file(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        return f"{path} is open"

    return first(by_call, lambda: by_file("/proc/kmsg"), lambda: by_file("/dev/kmsg"), lambda: allowed("syslog", 8, 0, 99))


@attempt("kernel")
def loads_code_into_the_kernel():
    file = os.memfd_create("module") if hasattr(os, "memfd_create") else os.open("/bin/true", os.O_RDONLY)
    return first(lambda: allowed("init_module", b"no module", 9, b""), lambda: allowed("finit_module", file, b"", 0),
                 lambda: allowed("delete_module", b"no-such-module", 0), lambda: allowed("kexec_load", 0, 99, 0, 0),
                 lambda: allowed("kexec_file_load", file, file, 0, b"", 0))


@attempt("kernel")
def loads_a_program_by_bpf():
    def load():
        instructions = ctypes.create_string_buffer(bytes([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]))
        text = ctypes.create_string_buffer(b"GPL")
        attributes = ctypes.create_string_buffer(128)
        fields = (1).to_bytes(4, "little") + (2).to_bytes(4, "little") + ctypes.addressof(instructions).to_bytes(8, "little") \
            + ctypes.addressof(text).to_bytes(8, "little")
        attributes.raw = fields + b"\0" * (128 - len(fields))
        return f"the program is descriptor {call('bpf', 5, attributes, 128)}"

    def map_of_two():
        attributes = ctypes.create_string_buffer(b"".join(n.to_bytes(4, "little") for n in (2, 4, 4, 2)) + b"\0" * 112)
        return f"the map is descriptor {call('bpf', 0, attributes, 128)}"

    return first(load, map_of_two)


@attempt("kernel")
def watches_the_processor():
    attributes = ctypes.create_string_buffer((1).to_bytes(4, "little") + (128).to_bytes(4, "little") + b"\0" * 120)
    return f"perf_event_open gave {call('perf_event_open', attributes, 0, -1, -1, 0)}"


@attempt("kernel")
def handles_page_faults_by_itself():
    return first(lambda: f"userfaultfd gave {call('userfaultfd', 0)}", lambda: f"userfaultfd gave {call('userfaultfd', 1)}")


@attempt("kernel")
def makes_an_io_uring():
    return f"io_uring_setup gave {call('io_uring_setup', 4, ctypes.create_string_buffer(120))}"


@attempt("kernel")
def uses_the_kernel_s_keyrings():
    process_keyring, user_keyring = -2, -4
    return first(lambda: f"add_key gave {call('add_key', b'user', b'inside', b'x', 1, process_keyring)}",
                 lambda: f"keyctl gave {call('keyctl', 0, user_keyring, 0, 0, 0)}")


@attempt("kernel")
def sets_the_clock():
    """To what it is: whoever may do that may do more."""
    def adjust():
        state = ctypes.create_string_buffer(208)
        call("clock_adjtime", 0, state)
        state.raw = (0x10).to_bytes(4, "little") + state.raw[4:]
        call("clock_adjtime", 0, state)
        return "the clock's state was set"

    def zone():
        call("settimeofday", 0, ctypes.create_string_buffer(8))
        return "the time zone was set"

    return first(adjust, zone)


@attempt("kernel")
def sets_the_clock_to_now():
    now = time.clock_gettime_ns(time.CLOCK_REALTIME)
    value = ctypes.create_string_buffer((now // 10**9).to_bytes(8, "little") + (now % 10**9).to_bytes(8, "little"))
    call("clock_settime", 0, value)
    return "the clock was set"


@attempt("kernel")
def ends_or_starves_the_host():
    off = 0
    return first(lambda: allowed("reboot", 0xfee1dead - (1 << 32), 672274793, off, 0), lambda: allowed("swapon", b"/no/such/file", 0),
                 lambda: allowed("swapoff", b"/no/such/file"), lambda: allowed("acct", b"/no/such/file"),
                 lambda: allowed("quotactl", 0x80000100, b"/no/such/file", 0, 0))


@attempt("kernel")
def speaks_to_the_hardware():
    return first(lambda: call("iopl", 3) or "iopl(3) succeeded", lambda: call("ioperm", 0x80, 1, 1) or "ioperm succeeded")


@attempt("kernel")
def watches_files_of_everybody():
    return f"fanotify_init gave {call('fanotify_init', 0, 0)}"
