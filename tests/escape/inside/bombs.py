"""Taking more than one's share, up to a bound that would be too much and harms nobody all the same. Each says what it
got; what that did to the host is measured there."""

import os
import signal
import socket
import threading
import time

from trying import attempt

MIB = 1 << 20


@attempt("bombs", "bomb")
def starts_too_many_processes():
    """More than the 512 that a sandbox may have."""
    count = 0
    try:
        while count < 1200:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            count += 1
    except OSError:
        pass
    os.write(2, f"{count} processes\n".encode())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    return f"{count} processes" if 600 < count else None


@attempt("bombs", "bomb")
def starts_too_many_threads():
    count = 0
    threading.stack_size(65536)
    try:
        while count < 1200:
            threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
            count += 1
    except RuntimeError:
        pass
    os.write(2, f"{count} threads\n".encode())
    return f"{count} threads" if 600 < count else None


@attempt("bombs", "bomb")
def takes_too_much_memory():
    """More than the 128 MiB of the sandbox that this is tried in."""
    blocks = []
    try:
        for _ in range(80):
            blocks.append(bytearray(os.urandom(1024)) * 4096)
    except MemoryError:
        return None
    return f"{len(blocks) * 4} MiB of memory"


@attempt("bombs", "bomb")
def writes_too_much_to_the_disk():
    """More than the 32 MiB of the sandbox that this is tried in."""
    written = 0
    with open("/home/user/fill", "wb", buffering=0) as file:
        for _ in range(200):
            written += file.write(os.urandom(MIB))
    return f"{written} bytes on the disk"


@attempt("bombs", "bomb")
def makes_too_many_files():
    """More than a disk of 32 MiB or a memory of 128 MiB could hold; 4 KiB for each would be 1 GiB."""
    os.mkdir("/home/user/names")
    for number in range(260_000):
        os.close(os.open(f"/home/user/names/{number}", os.O_CREAT | os.O_WRONLY))
    return "260,000 files"


@attempt("bombs", "bomb")
def opens_too_many_files():
    kept = []
    try:
        while len(kept) < 9000:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    return f"{len(kept)} open files" if 5000 < len(kept) else None


@attempt("bombs", "bomb")
def keeps_too_much_in_sockets():
    """Memory that the kernel holds for a program counts as the program's."""
    kept, held = [], 0
    try:
        while held < 400 * MIB and len(kept) < 2000:
            pair = socket.socketpair()
            kept.append(pair)
            pair[0].setblocking(False)
            pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MIB)
            try:
                while held < 400 * MIB:
                    held += pair[0].send(b"x" * 65536)
            except BlockingIOError:
                pass
    except OSError:
        pass
    return f"{held // MIB} MiB in sockets" if 200 * MIB < held else None
