"""What the end-to-end tests share: network namespaces, servers, the agent, and
counters that the agent did not write.

Traffic stays in namespaces that belong to one test. Whatever a test makes, it
gives to addCleanup at once, so that nothing outlives it.

Environment: HTTPACCT is the program under test, HTTPACCT_SHARED the folder with
the captures, CI=true turns a test that can't run into one that failed.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
HTTPACCT = os.environ.get("HTTPACCT", str(TOP / "build/agent/httpacct"))
BUILD = pathlib.Path(HTTPACCT).resolve().parents[1]
SHARED = pathlib.Path(os.environ.get("HTTPACCT_SHARED", TOP.parent / "shared"))
SANITIZED = os.environ.get("HTTPACCT_SANITIZED", "")

EXIT_SKIPPED = 77
PATIENCE_S = 120  # how long anything may take before it counts as broken
TCPDUMP_BLOCK_S = 1.5  # after a second its ring hands over a block that is not full
ETHERNET_HEADER_BYTES = 14
CLONE_NEWNET = 0x40000000

os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
# A shell's background jobs ignore it, and so would what they start and end by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def skip(reason):
    """End the program: what it tests can't be tested here."""
    must_run = os.environ.get("CI") == "true"
    print("FAILED, can't run:" if must_run else "SKIPPED:", reason, file=sys.stderr)
    sys.exit(1 if must_run else EXIT_SKIPPED)


def require(*programs_and_files):
    missing = [name for name in (HTTPACCT, *programs_and_files)
               if not shutil.which(name) and not os.path.exists(name)]
    if missing:
        skip(f"not installed: {', '.join(map(str, missing))}")


def require_root():
    if os.geteuid() != 0 or run("unshare", "--net", "true", check=False).returncode != 0:
        skip("network namespaces need root")


def main():
    unittest.main(verbosity=2)


def wait_for(condition, what):
    """Wait until condition() gives something true, and return that."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.05)


def run(*command, **options):
    """Run a command that must succeed; its output is text."""
    options = {"check": True, "capture_output": True, "text": True, "timeout": PATIENCE_S,
               **options}
    try:
        return subprocess.run([str(part) for part in command], **options)
    except subprocess.CalledProcessError as error:
        raise AssertionError(f"{command}: exit {error.returncode}\n{error.stderr}") from error


def httpacct(*options, **more):
    """Run httpacct to its end, whatever its exit code."""
    return run(HTTPACCT, *options, check=False, **more)


def read_capture(path, *options):
    """The final totals of a capture file."""
    result = httpacct("-r", path, "--print", "json", *options)
    if result.returncode != 0:
        raise AssertionError(f"-r {path}: exit {result.returncode}\n{result.stderr}")
    return Totals(json.loads(result.stdout.splitlines()[-1]))


def read_transactions(path, *options):
    result = httpacct("-r", path, "--print", "transactions", *options)
    if result.returncode != 0:
        raise AssertionError(f"-r {path}: exit {result.returncode}\n{result.stderr}")
    return [json.loads(line) for line in result.stdout.splitlines()]


class Totals:
    """The last line of --print json."""

    BALANCE = ("service_bytes", "not_http_bytes", "untracked_bytes", "duplicate_bytes")

    def __init__(self, final):
        if final.get("final") is not True:
            raise AssertionError(f"not a final line: {final}")
        self.services = {service["name"]: service for service in final["services"]}
        self.interfaces = {interface["name"]: interface for interface in final["interfaces"]}

    def interface(self, member):
        return sum(interface[member] for interface in self.interfaces.values())

    def service_sum(self, *members):
        """Over all services and both directions."""
        return sum(service[direction][member] for service in self.services.values()
                   for direction in ("in", "out") for member in members)

    def check_balance(self, test):
        for name, interface in self.interfaces.items():
            test.assertEqual(sum(interface[member] for member in self.BALANCE),
                             interface["tcp_bytes"], f"the books of {name}: {interface}")
        test.assertEqual(self.service_sum("bytes", "control"), self.interface("service_bytes"),
                         "services against interfaces")


class Namespace:
    """A network namespace."""

    def __init__(self, label):
        self.name = f"httpacct-{os.getpid()}-{label}"
        self.path = f"/run/netns/{self.name}"
        run("ip", "netns", "add", self.name)

    def delete(self):
        run("ip", "netns", "del", self.name)

    def command(self, *command):
        # Not "ip netns exec": that wants to mount, which it can't in a chroot.
        return ("nsenter", f"--net={self.path}", *command)

    def run(self, *command, **options):
        return run(*self.command(*command), **options)

    def sysctl(self, name, value):
        with self.entered():
            pathlib.Path("/proc/sys", name.replace(".", "/")).write_text(str(value))

    @contextlib.contextmanager
    def entered(self):
        """Sockets and devices that are opened inside belong to the namespace."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as home, open(self.path) as there:
            if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(home.fileno(), CLONE_NEWNET)

    def link(self, interface):
        """What ip knows of the interface."""
        return json.loads(self.run("ip", "-j", "-s", "link", "show", "dev", interface).stdout)[0]

    def statistics(self, interface):
        """The interface's own counters: "rx" and "tx", each with "bytes" and "packets"."""
        return self.link(interface)["stats64"]

    def wire_bytes(self, interface):
        """IP bytes that passed an Ethernet interface, both ways."""
        counted = self.statistics(interface)
        return sum(counted[way]["bytes"] - counted[way]["packets"] * ETHERNET_HEADER_BYTES
                   for way in ("rx", "tx"))

    def wait_until_quiet(self, interface):
        """Wait until nothing has passed for a while."""
        def still():
            before = self.statistics(interface)
            time.sleep(0.5)
            return before == self.statistics(interface)
        wait_for(still, f"silence on {interface}")

    def offload(self, interface, on):
        state = "on" if on else "off"
        self.run("ethtool", "-K", interface, "tso", state, "gso", state, "gro", state)

    def count_with_nftables(self, match=""):
        """Count all TCP that this namespace takes in or forwards, or that of it which matches. What
        it sends out is not looked at: there segments are cut only after nftables."""
        self.run("nft", "-f", "-", input=f"""
            table inet truth {{
                counter seen {{}}
                chain input {{
                    type filter hook input priority 0
                    {match} meta l4proto tcp counter name seen
                }}
                chain forward {{
                    type filter hook forward priority 0
                    {match} meta l4proto tcp counter name seen
                }}
            }}""")

    def nftables_bytes(self):
        """IP bytes, a super-packet with one header."""
        listing = json.loads(self.run("nft", "-j", "list", "counters").stdout)["nftables"]
        return sum(item["counter"]["bytes"] for item in listing if "counter" in item)


class Program:
    """A program that runs beside the test, with its output in files."""

    def __init__(self, folder, label, command):
        self.out_path = folder / f"{label}.out"
        self.err_path = folder / f"{label}.err"
        with self.out_path.open("w") as out, self.err_path.open("w") as err:
            self.process = subprocess.Popen([str(part) for part in command], stdout=out,
                                            stderr=err, stdin=subprocess.DEVNULL)

    @property
    def out(self):
        return self.out_path.read_text()

    @property
    def err(self):
        return self.err_path.read_text()

    def wait_until(self, condition, what):
        def done():
            if self.process.poll() is not None and not condition():
                raise AssertionError(f"{what}: ended with {self.process.returncode}\n{self.err}")
            return condition()
        return wait_for(done, what)

    def stop(self, signal_number=signal.SIGINT):
        """Ask it to end; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.process.args} did not end when asked") from None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class LabTest(unittest.TestCase):
    """A test with a folder of its own that can make namespaces and start programs."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="httpacct-test-"))
        self.folder.chmod(0o755)  # servers drop their rights before they read from it
        self.addCleanup(shutil.rmtree, self.folder)
        self.config = self.folder / "httpacct.conf"
        self.config.write_text('rules = ( { query = "s"; } );\n')
        self.started = 0

    def namespace(self, label, ipv6=False):
        """A namespace with nothing but loopback; without IPv6, which would talk by itself."""
        namespace = Namespace(label)
        self.addCleanup(namespace.delete)
        namespace.run("ip", "link", "set", "lo", "up")
        if not ipv6:
            namespace.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        return namespace

    def start(self, namespace, *command):
        self.started += 1
        label = f"{self.started}-{os.path.basename(command[0])}"
        program = Program(self.folder, label, namespace.command(*command))
        self.addCleanup(program.kill)
        return program

    def start_agent(self, namespace, *options):
        """Start httpacct and wait until it watches. ?s=NAME names a service."""
        agent = self.start(namespace, HTTPACCT, "-c", self.config, *options)
        agent.wait_until(lambda: "watching" in agent.err, "the agent's ready line")
        return agent

    def stop_agent(self, agent):
        """Its final totals, when it ran with --print json."""
        self.assertEqual(agent.stop(), 0, agent.err)
        return Totals(json.loads(agent.out.splitlines()[-1]))

    def start_tcpdump(self, namespace, interface, path):
        """Record what passes the interface, whole."""
        tcpdump = self.start(namespace, "tcpdump", "-i", interface, "-w", path, "-U",
                             "-B", "65536", "-s", "262144", "-Z", "root", "tcp")
        tcpdump.wait_until(lambda: "listening on" in tcpdump.err, "tcpdump")
        return tcpdump

    def stop_tcpdump(self, tcpdump):
        time.sleep(TCPDUMP_BLOCK_S)
        tcpdump.stop()
        captured, received, dropped = map(int, re.findall(r"(\d+) packets", tcpdump.err))
        self.assertEqual((captured, dropped), (received, 0), "tcpdump lost packets")

    def connect(self, left, right, names=("left0", "right0"), subnet="10.99.0"):
        """Join two namespaces with a veth pair that carries nothing but what is sent to
        SUBNET.1 and SUBNET.2: no ARP, no IPv6."""
        run("ip", "link", "add", names[0], "netns", left.name, "type", "veth",
            "peer", "name", names[1], "netns", right.name)
        for number, (namespace, name) in enumerate(zip((left, right), names), 1):
            namespace.run("ip", "addr", "add", f"{subnet}.{number}/24", "dev", name)
            namespace.run("ip", "link", "set", name, "up")
        self.know_each_other(left, right, names, (f"{subnet}.1", f"{subnet}.2"))

    def route(self, subnet):
        """client -- router -- server: what passes near0, the router's end towards the client, is
        segments as they would be on a wire. Subnets are SUBNET.1 and SUBNET.2."""
        self.client = self.namespace("client")
        self.router = self.namespace("router")
        self.server = self.namespace("server")
        self.connect(self.client, self.router, ("client0", "near0"), f"{subnet}.1")
        self.connect(self.router, self.server, ("far0", "server0"), f"{subnet}.2")
        self.router.sysctl("net.ipv4.ip_forward", 1)
        self.client.run("ip", "route", "add", "default", "via", f"{subnet}.1.2")
        self.server.run("ip", "route", "add", "default", "via", f"{subnet}.2.1")
        self.client.offload("client0", False)
        self.router.offload("near0", False)

    def know_each_other(self, left, right, names, addresses):
        """Each end knows the other's link address for good."""
        ends = list(zip((left, right), names, addresses))
        for (namespace, name, _), (there, its_name, address) in (ends, ends[::-1]):
            namespace.run("ip", "neigh", "replace", address, "lladdr",
                          there.link(its_name)["address"], "dev", name, "nud", "permanent")
