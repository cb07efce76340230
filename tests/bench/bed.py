"""The test bed: two namespaces, nginx in one, a load in the other, and counters
that no tap writes.

    client0 10.96.0.1 ---- server0 10.96.0.2, nginx

Super-packets stay whole, as they do on real servers. nftables counts one of them
as one packet; what its segments' headers add is known from the TCP stacks, which
count segments.
"""

import collections
import contextlib
import itertools
import json
import pathlib
import re
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time

import processes
from harness import Namespace, Program, run, wait_for

HERE = pathlib.Path(__file__).resolve().parent
INTERFACE, SERVER = "server0", "10.96.0.2"
NGINX_CPU, LOAD_CPU = "0", "1"
FILES = {"32k": 32 * 1024, "8m": 8_000_000, "100m": 100_000_000}

IP_HEADER_BYTES = 20
SEGMENT_HEADER_BYTES = IP_HEADER_BYTES + 32  # TCP with timestamps
TCP_HEADER_WORDS = range(5, 16)

# One counter for each length of TCP headers: so the payload is known to the byte.
RULES = """
table inet truth {{
    {counters}
    chain input {{
        type filter hook input priority 0
        iifname {interface} tcp dport 80 counter name tcp doff map {{ {by_header_in} }}
    }}
    chain output {{
        type filter hook output priority 0
        oifname {interface} tcp sport 80 counter name tcp doff map {{ {by_header_out} }}
    }}
}}
"""


def rules():
    names = {way: {words: f"{way}{words}" for words in TCP_HEADER_WORDS} for way in ("in", "out")}
    by_header = {f"by_header_{way}": ", ".join(f'{words} : "{name}"'
                                               for words, name in names[way].items())
                 for way in names}
    counters = "\n    ".join(f"counter {name} {{}}"
                             for way in names.values() for name in way.values())
    return RULES.format(interface=INTERFACE, counters=counters, **by_header)


Load = collections.namedtuple("Load", "requests seconds errors cpu_s")


class Bed:
    """Use it in a with statement: what it made is gone at its end."""

    def __init__(self):
        self.cleanup = contextlib.ExitStack()
        self.labels = itertools.count(1)

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.cleanup.close()
            raise
        return self

    def __exit__(self, *error):
        self.cleanup.close()

    def build(self):
        memory = pathlib.Path("/dev/shm")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="httpacct-bench-",
                                                    dir=memory if memory.is_dir() else None))
        self.cleanup.callback(shutil.rmtree, self.folder)
        self.client, self.server = self.namespace("client"), self.namespace("server")
        self.join()
        self.server.run("nft", "-f", "-", input=rules())
        self.write_files()
        self.tunnel = self.start(self.server, "taskset", "-c", NGINX_CPU, sys.executable,
                                 HERE / "tunnel.py", "serve", self.folder / "tunnel.socket")
        self.nginx = self.start_nginx()
        self.stack = [self.nginx.process.pid, self.tunnel.process.pid,
                      *processes.named("ksoftirqd/")]

    def namespace(self, label):
        namespace = Namespace(label)
        self.cleanup.callback(namespace.delete)
        namespace.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        namespace.sysctl("net.ipv4.ip_local_port_range", "1024 65000")
        namespace.sysctl("net.ipv4.tcp_tw_reuse", 1)
        namespace.sysctl("net.core.somaxconn", 8192)
        return namespace

    def join(self):
        run("ip", "link", "add", "client0", "netns", self.client.name, "type", "veth",
            "peer", "name", INTERFACE, "netns", self.server.name)
        for namespace, name, address in ((self.client, "client0", "10.96.0.1"),
                                         (self.server, INTERFACE, SERVER)):
            namespace.run("ip", "addr", "add", f"{address}/24", "dev", name)
            namespace.run("ip", "link", "set", name, "up")

    def write_files(self):
        (self.folder / "www").mkdir()
        for name, size in FILES.items():
            (self.folder / "www" / name).write_bytes(b"b" * size)

    def start(self, namespace, *command, folder=None):
        """Its output goes to the folder, or that of the bed."""
        program = Program(folder or self.folder, str(next(self.labels)),
                          namespace.command(*command))
        self.cleanup.callback(program.kill)
        return program

    def start_nginx(self):
        conf = self.folder / "nginx.conf"
        conf.write_text((HERE / "nginx.conf").read_text().replace("@FOLDER@", str(self.folder)))
        nginx = self.start(self.server, "taskset", "-c", NGINX_CPU, "nginx", "-c", conf,
                           "-e", self.folder / "error.log")
        nginx.wait_until(lambda: self.server.run("ss", "-Hltn", "sport = :80").stdout, "nginx")
        return nginx

    def load(self, workload, seconds, prefix=()):
        """Run a workload to its end; prefix is a command that runs it."""
        command = self.client.command("taskset", "-c", LOAD_CPU, *workload.command(seconds))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        output = run(*prefix, *command).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        requests, elapsed = re.search(r"(\d+) requests in ([\d.]+)s", output).groups()
        errors = re.search(r"Socket errors: (.*)", output)
        return Load(int(requests), float(elapsed), errors[1] if errors else "",
                    after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def stack_cpu_s(self):
        """Of the server's side, softirqs that have a thread of their own included."""
        return processes.cpu_s(self.stack)

    def counters(self):
        """Packets, bytes, payload and segments so far, by direction."""
        listing = json.loads(self.server.run("nft", "-j", "list", "counters").stdout)["nftables"]
        counted = collections.Counter()
        for counter in (item["counter"] for item in listing if "counter" in item):
            way, words = re.fullmatch(r"(\w+?)(\d+)", counter["name"]).groups()
            header_bytes = IP_HEADER_BYTES + 4 * int(words)
            counted[f"packets_{way}"] += counter["packets"]
            counted[f"bytes_{way}"] += counter["bytes"]
            counted[f"payload_{way}"] += counter["bytes"] - counter["packets"] * header_bytes
        counted["segments_in"] = segments_sent(self.client)
        counted["segments_out"] = segments_sent(self.server)
        return counted

    def quiet_counters(self):
        """The same, when nothing has passed for a while."""
        def unchanged():
            before = self.counters()
            time.sleep(0.2)
            return before if before == self.counters() else None
        return wait_for(unchanged, "silence")

    def take_log(self):
        """Requests that nginx has logged since the last call, by service."""
        log, taken = self.folder / "access.log", self.folder / "access.log.taken"
        log.rename(taken)
        inode = taken.stat().st_ino
        self.nginx.process.send_signal(signal.SIGUSR1)
        descriptors = pathlib.Path(f"/proc/{self.nginx.process.pid}/fd")
        wait_for(lambda: all(inode_of(path) != inode for path in descriptors.iterdir()),
                 "nginx to open its log again")
        return collections.Counter(taken.read_text().splitlines())

    def packet_sockets(self):
        """How many listen on the server's interface."""
        with self.server.entered():
            index = socket.if_nametoindex(INTERFACE)
            lines = pathlib.Path("/proc/thread-self/net/packet").read_text().splitlines()[1:]
        return sum(int(line.split()[4]) == index for line in lines)


def segments_sent(namespace):
    """By all TCP of the namespace. The kernel's OutSegs leave out what was sent again."""
    with namespace.entered():
        lines = pathlib.Path("/proc/thread-self/net/snmp").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    counted = dict(zip(names, values))
    return int(counted["OutSegs"]) + int(counted["RetransSegs"])


def inode_of(path):
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
