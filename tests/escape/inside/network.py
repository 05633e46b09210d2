"""Reaching anything but oneself."""

import os
import socket
import struct

from trying import CANARY, attempt, first, has_marker

RARE = {"packet": 17, "key": 15, "rds": 21, "can": 29, "tipc": 30, "bluetooth": 31, "alg": 38, "vsock": 40, "xdp": 44, "smc": 43}


def hears(family, address):
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(4)
    client.connect(address)
    return has_marker(client.recv(200))


@attempt("network")
def has_an_interface_beyond_loopback():
    names = {name for _, name in socket.if_nameindex()} | set(os.listdir("/sys/class/net") if os.path.isdir("/sys/class/net") else [])
    with open("/proc/net/dev") as table:
        names |= {line.split(":")[0].strip() for line in table if ":" in line}
    more = names - {"lo"}
    return "it has " + ", ".join(sorted(more)) if more else None


@attempt("network")
def reaches_an_address_of_the_host():
    return first(*[lambda a=a: hears(socket.AF_INET6 if ":" in a else socket.AF_INET, (a, CANARY["port"])) for a in CANARY["addresses"]])


@attempt("network")
def reaches_an_address_elsewhere():
    def connect(address, port):
        client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        client.settimeout(2)
        client.connect((address, port))
        return f"it is connected to {address}"

    def send():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.sendto(b"x", ("192.0.2.1", 53))
        return "a datagram was sent"

    def resolve():
        return f"example.com is {socket.getaddrinfo('example.com', 80)[0][4]}"

    elsewhere = [("169.254.169.254", 80), ("1.1.1.1", 53), ("10.0.0.1", 80), ("172.17.0.1", 80), ("192.168.0.1", 80), ("2606:4700::1111", 53)]
    return first(*[lambda e=e: connect(*e) for e in elsewhere], send, resolve)


@attempt("network")
def reaches_a_socket_of_the_host_without_a_path():
    return hears(socket.AF_UNIX, "\0" + CANARY["abstract"])


@attempt("network")
def reaches_a_socket_of_the_host_by_its_path():
    return first(lambda: hears(socket.AF_UNIX, CANARY["unix"]), lambda: hears(socket.AF_UNIX, "/proc/1/root" + CANARY["unix"]))


@attempt("network")
def makes_a_raw_socket():
    def make(*what):
        socket.socket(*what)
        return f"a socket of {what} was made"

    return first(lambda: make(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), lambda: make(socket.AF_INET, socket.SOCK_RAW, 255),
                 lambda: make(socket.AF_INET6, socket.SOCK_RAW, 58), lambda: make(17, socket.SOCK_RAW, 0x0300))


@attempt("network")
def makes_a_socket_of_a_rare_family():
    def make(name, family):
        kind = {"alg": socket.SOCK_SEQPACKET, "key": socket.SOCK_RAW, "xdp": socket.SOCK_RAW, "packet": socket.SOCK_RAW,
                "can": socket.SOCK_RAW, "bluetooth": socket.SOCK_RAW, "rds": socket.SOCK_SEQPACKET}.get(name, socket.SOCK_STREAM)
        socket.socket(family, kind, 2 if name == "key" else 0)
        return f"a socket of family {name} was made"

    return first(*[lambda n=n, f=f: make(n, f) for n, f in RARE.items()])


@attempt("network")
def makes_an_interface():
    """By netlink: a dummy of its own would be the beginning of a network."""
    def ask(kind, flags, body):
        link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        link.settimeout(4)
        link.send(struct.pack("<IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = link.recv(4096)
        error = struct.unpack("<i", answer[16:20])[0]
        if error:
            raise OSError(-error, os.strerror(-error))

    def dummy():
        name = struct.pack("<HH", 4 + 8, 3) + b"inside0\0"
        kind = struct.pack("<HH", 4 + 6, 1) + b"dummy\0\0\0"
        info = struct.pack("<HH", 4 + len(kind), 18) + kind
        ask(16, 0x605, struct.pack("<BxHiII", 0, 0, 0, 0, 0) + name + info)
        return "an interface was made"

    def address():
        number = os.getpid() % 200 + 10
        local = b"".join(struct.pack("<HH4B", 8, kind, 198, 51, 100, number) for kind in (2, 1))
        ask(20, 0x605, struct.pack("<BBBBI", 2, 32, 0, 0, 1) + local)
        return "an address was added to loopback"

    return first(dummy, address)
